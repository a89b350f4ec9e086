-- +goose Up

-- Sessions get an id that may be shown, as their hash should not be, and say
-- how they were signed in to.
CREATE TABLE sessions_new (
  hash       BLOB NOT NULL UNIQUE,
  user_id    INTEGER NOT NULL REFERENCES users (id),
  created_ms INTEGER NOT NULL,
  seen_ms    INTEGER NOT NULL,
  ends_ms    INTEGER NOT NULL,
  ip         TEXT NOT NULL DEFAULT '',
  user_agent TEXT NOT NULL DEFAULT '',
  id         INTEGER PRIMARY KEY AUTOINCREMENT,
  method     TEXT NOT NULL
);
INSERT INTO sessions_new (hash, user_id, created_ms, seen_ms, ends_ms, ip, user_agent, method)
SELECT hash, user_id, created_ms, seen_ms, ends_ms, ip, user_agent, 'password' FROM sessions ORDER BY created_ms;
DROP TABLE sessions;
ALTER TABLE sessions_new RENAME TO sessions;
CREATE INDEX sessions_user ON sessions (user_id);
