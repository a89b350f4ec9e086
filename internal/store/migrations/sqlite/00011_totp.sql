-- +goose Up

-- The secret is sealed. Until confirmed it asks for nothing at sign-in. No code of
-- the step last_step or an earlier one is accepted any more.
CREATE TABLE totp (
  user_id    INTEGER PRIMARY KEY REFERENCES users (id),
  sealed     BLOB NOT NULL,
  confirmed  INTEGER NOT NULL,
  last_step  INTEGER NOT NULL,
  created_ms INTEGER NOT NULL
);

-- The codes that have not been used, by their hash.
CREATE TABLE recovery_codes (
  user_id INTEGER NOT NULL REFERENCES users (id),
  hash    BLOB NOT NULL,
  PRIMARY KEY (user_id, hash)
);
