-- +goose Up

-- Every change of what a key (kind 1) or an account (kind 2) may spend in all,
-- written with the change and never touched again. reason 'unlimited' and
-- 'limited' are changes of that flag, which move nothing.
CREATE TABLE grants (
  id         INTEGER PRIMARY KEY AUTOINCREMENT,
  time_ms    INTEGER NOT NULL,
  kind       INTEGER NOT NULL,
  subject_id INTEGER NOT NULL,
  delta_nano INTEGER NOT NULL,
  reason     TEXT NOT NULL,
  actor      INTEGER NOT NULL,
  request_id TEXT NOT NULL
);
CREATE INDEX grants_subject ON grants (kind, subject_id, id);

-- What was granted before there were rows: the grants as they stand, but for
-- what usage, which has rows of its own, has raised them by.
INSERT INTO grants (time_ms, kind, subject_id, delta_nano, reason, actor, request_id)
SELECT CAST(strftime('%s', 'now') AS INTEGER) * 1000, 1, k.id,
  k.granted_nano - COALESCE(own.rise, 0) - COALESCE(issued.rise, 0), 'opening', 0, ''
FROM keys k
LEFT JOIN (SELECT key_id, SUM(key_grant_nano) AS rise FROM usage_hours GROUP BY key_id) own ON own.key_id = k.id
LEFT JOIN (SELECT c.parent_id, SUM(h.parent_grant_nano) AS rise FROM usage_hours h JOIN keys c ON c.id = h.key_id WHERE c.parent_id <> 0 GROUP BY c.parent_id) issued ON issued.parent_id = k.id
ORDER BY k.id;

INSERT INTO grants (time_ms, kind, subject_id, delta_nano, reason, actor, request_id)
SELECT CAST(strftime('%s', 'now') AS INTEGER) * 1000, 2, u.id, u.granted_nano - COALESCE(own.rise, 0), 'opening', 0, ''
FROM users u
LEFT JOIN (SELECT user_id, SUM(user_grant_nano) AS rise FROM usage_hours GROUP BY user_id) own ON own.user_id = u.id
ORDER BY u.id;

INSERT INTO grants (time_ms, kind, subject_id, delta_nano, reason, actor, request_id)
SELECT CAST(strftime('%s', 'now') AS INTEGER) * 1000, kind, id, 0, 'unlimited', 0, ''
FROM (SELECT 1 AS kind, id FROM keys WHERE unlimited = 1 UNION ALL SELECT 2, id FROM users WHERE unlimited = 1) AS lifted
ORDER BY kind, id;
