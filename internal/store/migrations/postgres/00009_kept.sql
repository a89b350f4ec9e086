-- +goose Up

-- Responses that clients may ask for again and go on from. content is sealed;
-- size is its length. root is the first response of the conversation.
CREATE TABLE kept (
  key_id     BIGINT NOT NULL,
  id         TEXT NOT NULL,
  previous   TEXT NOT NULL,
  root       TEXT NOT NULL,
  channel_id BIGINT NOT NULL,
  credential TEXT NOT NULL,
  created_ms BIGINT NOT NULL,
  expires_ms BIGINT NOT NULL,
  size       BIGINT NOT NULL,
  content    BYTEA NOT NULL,
  PRIMARY KEY (key_id, id)
);
CREATE INDEX kept_root ON kept (key_id, root);
CREATE INDEX kept_age ON kept (key_id, created_ms);
CREATE INDEX kept_expiry ON kept (expires_ms);

-- Which response has an item.
CREATE TABLE kept_items (
  key_id      BIGINT NOT NULL,
  item_id     TEXT NOT NULL,
  response_id TEXT NOT NULL,
  PRIMARY KEY (key_id, item_id),
  FOREIGN KEY (key_id, response_id) REFERENCES kept (key_id, id) ON DELETE CASCADE
);
CREATE INDEX kept_items_response ON kept_items (key_id, response_id);

-- How much each key keeps, in bytes; its row is the lock of the key's responses.
CREATE TABLE kept_totals (
  key_id BIGINT PRIMARY KEY,
  bytes  BIGINT NOT NULL
);
