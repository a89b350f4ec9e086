-- +goose Up

-- The secret is sealed. Until confirmed it asks for nothing at sign-in. No code of
-- the step last_step or an earlier one is accepted any more.
CREATE TABLE totp (
  user_id    BIGINT PRIMARY KEY REFERENCES users (id),
  sealed     BYTEA NOT NULL,
  confirmed  BIGINT NOT NULL,
  last_step  BIGINT NOT NULL,
  created_ms BIGINT NOT NULL
);

-- The codes that have not been used, by their hash.
CREATE TABLE recovery_codes (
  user_id BIGINT NOT NULL REFERENCES users (id),
  hash    BYTEA NOT NULL,
  PRIMARY KEY (user_id, hash)
);
