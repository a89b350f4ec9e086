-- +goose Up

-- Identity providers that people sign in at. client_secret is sealed; settings is
-- a JSON object.
CREATE TABLE login_providers (
  name          TEXT PRIMARY KEY,
  label         TEXT NOT NULL,
  issuer        TEXT NOT NULL,
  client_id     TEXT NOT NULL,
  client_secret BLOB NOT NULL,
  settings      TEXT NOT NULL,
  version       INTEGER NOT NULL DEFAULT 1
);

-- Who a provider's users are here. An identity is its issuer's word and subject,
-- and nobody's e-mail address.
CREATE TABLE identities (
  id         INTEGER PRIMARY KEY AUTOINCREMENT,
  user_id    INTEGER NOT NULL REFERENCES users (id),
  provider   TEXT NOT NULL,
  issuer     TEXT NOT NULL,
  subject    TEXT NOT NULL,
  shown      TEXT NOT NULL,
  created_ms INTEGER NOT NULL,
  used_ms    INTEGER NOT NULL,
  UNIQUE (issuer, subject)
);
CREATE INDEX identities_user ON identities (user_id);
