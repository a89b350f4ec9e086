-- +goose Up

-- record is the public key and what is known of the authenticator, as JSON.
CREATE TABLE passkeys (
  id            INTEGER PRIMARY KEY AUTOINCREMENT,
  user_id       INTEGER NOT NULL REFERENCES users (id),
  name          TEXT NOT NULL,
  credential_id BLOB NOT NULL UNIQUE,
  record        TEXT NOT NULL,
  sign_count    INTEGER NOT NULL,
  created_ms    INTEGER NOT NULL,
  used_ms       INTEGER NOT NULL
);
CREATE INDEX passkeys_user ON passkeys (user_id);

-- The begun sign-ins that have been finished, until they would be too old
-- anyhow: none is finished twice.
CREATE TABLE spent_states (
  hash    BLOB PRIMARY KEY,
  ends_ms INTEGER NOT NULL
);
CREATE INDEX spent_states_ends ON spent_states (ends_ms);
