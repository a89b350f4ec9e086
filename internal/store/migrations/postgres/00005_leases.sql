-- +goose Up

-- Nodes that share this database spend only what they have leased: of a key's
-- (kind 1) or an account's (kind 2) quota, whose purse is '', or of one window of
-- a renewing budget, whose purse names its schedule. What a node may still
-- charge is taken_nano - landed_nano, where that is above 0.
CREATE TABLE leases (
  kind        BIGINT NOT NULL,
  subject_id  BIGINT NOT NULL,
  purse       TEXT NOT NULL,
  start_ms    BIGINT NOT NULL,
  node_id     BIGINT NOT NULL,
  end_ms      BIGINT NOT NULL,
  taken_nano  BIGINT NOT NULL,
  landed_nano BIGINT NOT NULL,
  held_nano   BIGINT NOT NULL,
  recalls     BIGINT NOT NULL DEFAULT 0, -- how often others asked for what is not used
  answered    BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (kind, subject_id, purse, start_ms, node_id)
);
CREATE INDEX leases_node ON leases (node_id);

-- A node's line counts its signs of life. Who sees the count stand still for the
-- whole of the term that nodes are given takes the line and the leases away; a
-- node that comes back begins a new term, never one that it had before.
CREATE TABLE lease_nodes (
  id      BIGINT PRIMARY KEY,
  term    BIGINT NOT NULL,
  beats   BIGINT NOT NULL,
  seen_ms BIGINT NOT NULL
);
