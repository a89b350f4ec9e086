-- +goose Up

-- Nodes that share this database spend only what they have leased: of a key's
-- (kind 1) or an account's (kind 2) quota, whose purse is '', or of one window of
-- a renewing budget, whose purse names its schedule. What a node may still
-- charge is taken_nano - landed_nano, where that is above 0.
CREATE TABLE leases (
  kind        INTEGER NOT NULL,
  subject_id  INTEGER NOT NULL,
  purse       TEXT NOT NULL,
  start_ms    INTEGER NOT NULL,
  node_id     INTEGER NOT NULL,
  end_ms      INTEGER NOT NULL,
  taken_nano  INTEGER NOT NULL,
  landed_nano INTEGER NOT NULL,
  held_nano   INTEGER NOT NULL,
  recalls     INTEGER NOT NULL DEFAULT 0, -- how often others asked for what is not used
  answered    INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (kind, subject_id, purse, start_ms, node_id)
);
CREATE INDEX leases_node ON leases (node_id);

-- A node's line counts its signs of life. Who sees the count stand still for the
-- whole of the term that nodes are given takes the line and the leases away; a
-- node that comes back begins a new term, never one that it had before.
CREATE TABLE lease_nodes (
  id      INTEGER PRIMARY KEY,
  term    INTEGER NOT NULL,
  beats   INTEGER NOT NULL,
  seen_ms INTEGER NOT NULL
);
