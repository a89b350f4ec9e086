-- +goose Up

-- How often the provider searched the web for a request.
ALTER TABLE usage_records ADD COLUMN searches BIGINT NOT NULL DEFAULT 0;
