-- +goose Up

-- Instants are Unix milliseconds, money nano-USD, booleans 0 or 1.

CREATE TABLE meta (
  name  TEXT PRIMARY KEY,
  value TEXT NOT NULL
);

-- Case does not count in the fold columns. search_fold, where keywords are
-- looked for, is username, display name and e-mail, a line each.
CREATE TABLE users (
  id            INTEGER PRIMARY KEY AUTOINCREMENT,
  username      TEXT NOT NULL,
  username_fold TEXT NOT NULL UNIQUE,
  display_name  TEXT NOT NULL DEFAULT '',
  email         TEXT NOT NULL DEFAULT '',
  search_fold   TEXT NOT NULL,
  password_hash TEXT NOT NULL,
  role          TEXT NOT NULL,
  status        INTEGER NOT NULL,
  grp           TEXT NOT NULL,
  granted_nano  INTEGER NOT NULL DEFAULT 0,
  used_nano     INTEGER NOT NULL DEFAULT 0,
  unlimited     INTEGER NOT NULL DEFAULT 0,
  request_count INTEGER NOT NULL DEFAULT 0,
  time_zone     TEXT NOT NULL DEFAULT '',
  language      TEXT NOT NULL DEFAULT '',
  must_change   INTEGER NOT NULL DEFAULT 0,
  created_ms    INTEGER NOT NULL,
  deleted_ms    INTEGER NOT NULL DEFAULT 0,
  version       INTEGER NOT NULL DEFAULT 1
);

CREATE TABLE sessions (
  hash       BLOB PRIMARY KEY,
  user_id    INTEGER NOT NULL REFERENCES users (id),
  created_ms INTEGER NOT NULL,
  seen_ms    INTEGER NOT NULL,
  ends_ms    INTEGER NOT NULL,
  ip         TEXT NOT NULL DEFAULT '',
  user_agent TEXT NOT NULL DEFAULT ''
);
CREATE INDEX sessions_user ON sessions (user_id);

CREATE TABLE access_tokens (
  id          INTEGER PRIMARY KEY AUTOINCREMENT,
  user_id     INTEGER NOT NULL REFERENCES users (id),
  name        TEXT NOT NULL,
  scope       TEXT NOT NULL,
  hash        BLOB NOT NULL UNIQUE,
  last4       TEXT NOT NULL,
  created_ms  INTEGER NOT NULL,
  accessed_ms INTEGER NOT NULL,
  ends_ms     INTEGER NOT NULL
);
CREATE INDEX access_tokens_user ON access_tokens (user_id);

-- ends_ms is -1 for keys that never expire. A deleted key keeps its row, for
-- the ledger and so that its value can never come back.
CREATE TABLE keys (
  id                   INTEGER PRIMARY KEY AUTOINCREMENT,
  user_id              INTEGER NOT NULL REFERENCES users (id),
  status               INTEGER NOT NULL,
  name                 TEXT NOT NULL,
  name_fold            TEXT NOT NULL,
  created_ms           INTEGER NOT NULL,
  accessed_ms          INTEGER NOT NULL,
  ends_ms              INTEGER NOT NULL,
  granted_nano         INTEGER NOT NULL,
  used_nano            INTEGER NOT NULL DEFAULT 0,
  unlimited            INTEGER NOT NULL,
  model_limits_enabled INTEGER NOT NULL,
  model_limits         TEXT NOT NULL,
  allow_ips            TEXT NOT NULL,
  grp                  TEXT NOT NULL,
  cross_group_retry    INTEGER NOT NULL,
  limits               TEXT NOT NULL,
  parent_id            INTEGER NOT NULL DEFAULT 0,
  version              INTEGER NOT NULL DEFAULT 1,
  deleted_ms           INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX keys_user ON keys (user_id, deleted_ms, id);
CREATE INDEX keys_parent ON keys (parent_id);

-- A key has one current value (ends_ms = 0) and, while a rotation's grace
-- lasts, older ones. sealed is empty once a value has ended.
CREATE TABLE key_values (
  hash       BLOB PRIMARY KEY,
  key_id     INTEGER NOT NULL REFERENCES keys (id),
  sealed     BLOB NOT NULL,
  last4      TEXT NOT NULL,
  created_ms INTEGER NOT NULL,
  used_ms    INTEGER NOT NULL DEFAULT 0,
  ends_ms    INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX key_values_key ON key_values (key_id);
CREATE INDEX key_values_last4 ON key_values (last4);
CREATE INDEX key_values_ends ON key_values (ends_ms) WHERE ends_ms > 0;

CREATE TABLE groups (
  name        TEXT PRIMARY KEY,
  ratio_micro INTEGER NOT NULL,
  description TEXT NOT NULL DEFAULT '',
  usable_by   TEXT NOT NULL,
  version     INTEGER NOT NULL DEFAULT 1
);

-- The list-like columns are JSON. credentials holds sealed values only.
CREATE TABLE channels (
  id            INTEGER PRIMARY KEY AUTOINCREMENT,
  name          TEXT NOT NULL,
  kind          TEXT NOT NULL,
  base_url      TEXT NOT NULL,
  credentials   TEXT NOT NULL,
  models        TEXT NOT NULL,
  model_mapping TEXT NOT NULL,
  groups        TEXT NOT NULL,
  priority      INTEGER NOT NULL,
  weight        INTEGER NOT NULL,
  status        INTEGER NOT NULL,
  tag           TEXT NOT NULL DEFAULT '',
  timeouts      TEXT NOT NULL,
  on_disconnect TEXT NOT NULL,
  created_ms    INTEGER NOT NULL,
  version       INTEGER NOT NULL DEFAULT 1
);

-- Every definition a price ever had; the highest id of a model is the one in
-- force, and a removed one (definition '') means the catalog's price again.
CREATE TABLE price_versions (
  id         INTEGER PRIMARY KEY AUTOINCREMENT,
  model      TEXT NOT NULL,
  definition TEXT NOT NULL,
  created_ms INTEGER NOT NULL
);
CREATE INDEX price_versions_model ON price_versions (model, id);

CREATE TABLE options (
  name  TEXT PRIMARY KEY,
  value TEXT NOT NULL
);

-- event_id is the request id, a dot and random characters: unique, and its
-- index also finds rows by request id.
CREATE TABLE usage_records (
  id                INTEGER PRIMARY KEY,
  event_id          TEXT NOT NULL UNIQUE,
  time_ms           INTEGER NOT NULL,
  request_id        TEXT NOT NULL,
  key_id            INTEGER NOT NULL,
  key_name          TEXT NOT NULL,
  user_id           INTEGER NOT NULL,
  model             TEXT NOT NULL,
  served_model      TEXT NOT NULL,
  channel_id        INTEGER NOT NULL,
  grp               TEXT NOT NULL,
  dialect           TEXT NOT NULL,
  endpoint          TEXT NOT NULL,
  stream            INTEGER NOT NULL,
  status            INTEGER NOT NULL,
  error_code        TEXT NOT NULL,
  prompt_tokens     INTEGER NOT NULL,
  cached_tokens     INTEGER NOT NULL,
  write_5m_tokens   INTEGER NOT NULL,
  write_1h_tokens   INTEGER NOT NULL,
  completion_tokens INTEGER NOT NULL,
  reasoning_tokens  INTEGER NOT NULL,
  audio_in_tokens   INTEGER NOT NULL,
  audio_out_tokens  INTEGER NOT NULL,
  image_in_tokens   INTEGER NOT NULL,
  image_out_tokens  INTEGER NOT NULL,
  cost_nano         INTEGER NOT NULL,
  absorbed_nano     INTEGER NOT NULL,
  held_nano         INTEGER NOT NULL,
  price_version     TEXT NOT NULL,
  latency_ms        INTEGER NOT NULL,
  first_byte_ms     INTEGER NOT NULL,
  attempts          INTEGER NOT NULL,
  usage_source      TEXT NOT NULL,
  end_user          TEXT NOT NULL,
  ip                TEXT NOT NULL
);
CREATE INDEX usage_records_user ON usage_records (user_id, time_ms);
CREATE INDEX usage_records_key ON usage_records (key_id, time_ms);
CREATE INDEX usage_records_time ON usage_records (time_ms);

-- One row per hour × user × key × model × channel; screens read this table.
CREATE TABLE usage_hours (
  hour_ms     INTEGER NOT NULL,
  user_id     INTEGER NOT NULL,
  key_id      INTEGER NOT NULL,
  model       TEXT NOT NULL,
  channel_id  INTEGER NOT NULL,
  requests    INTEGER NOT NULL,
  errors      INTEGER NOT NULL,
  tokens_in   INTEGER NOT NULL,
  tokens_out  INTEGER NOT NULL,
  cost_nano   INTEGER NOT NULL,
  PRIMARY KEY (hour_ms, user_id, key_id, model, channel_id)
);
CREATE INDEX usage_hours_user ON usage_hours (user_id, hour_ms);

CREATE TABLE audit_records (
  id      INTEGER PRIMARY KEY AUTOINCREMENT,
  time_ms INTEGER NOT NULL,
  actor   INTEGER NOT NULL,
  action  TEXT NOT NULL,
  target  TEXT NOT NULL,
  detail  TEXT NOT NULL,
  ip      TEXT NOT NULL
);
CREATE INDEX audit_records_time ON audit_records (time_ms);
CREATE INDEX audit_records_actor ON audit_records (actor, id);

CREATE TABLE nodes (
  id         TEXT PRIMARY KEY,
  hostname   TEXT NOT NULL,
  listen     TEXT NOT NULL,
  socket     TEXT NOT NULL,
  version    TEXT NOT NULL,
  started_ms INTEGER NOT NULL,
  seen_ms    INTEGER NOT NULL
);

INSERT INTO groups (name, ratio_micro, description, usable_by, version) VALUES ('default', 1000000, '', '', 1);
