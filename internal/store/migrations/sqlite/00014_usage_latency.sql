-- +goose Up

-- The time that answers took, summed over the requests that are no errors: a
-- refusal takes no time and would only blur it.
ALTER TABLE usage_hours ADD COLUMN latency_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE usage_hours ADD COLUMN first_byte_ms INTEGER NOT NULL DEFAULT 0;

UPDATE usage_hours SET latency_ms = past.latency_ms, first_byte_ms = past.first_byte_ms
FROM (
  SELECT time_ms - time_ms % 3600000 AS hour_ms, user_id, key_id, model, channel_id, SUM(latency_ms) AS latency_ms, SUM(first_byte_ms) AS first_byte_ms
  FROM usage_records WHERE status < 400
  GROUP BY time_ms - time_ms % 3600000, user_id, key_id, model, channel_id
) AS past
WHERE past.hour_ms = usage_hours.hour_ms AND past.user_id = usage_hours.user_id AND past.key_id = usage_hours.key_id
  AND past.model = usage_hours.model AND past.channel_id = usage_hours.channel_id;
