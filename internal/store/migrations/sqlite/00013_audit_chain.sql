-- +goose Up

-- before and after are JSON objects of what a change has changed. hash covers
-- the record and the hash of the one before it; records from before this have
-- none.
ALTER TABLE audit_records ADD COLUMN request_id TEXT NOT NULL DEFAULT '';
ALTER TABLE audit_records ADD COLUMN before TEXT NOT NULL DEFAULT '';
ALTER TABLE audit_records ADD COLUMN after TEXT NOT NULL DEFAULT '';
ALTER TABLE audit_records ADD COLUMN hash BLOB NOT NULL DEFAULT x'';

-- One row. The head is the newest record; whoever adds one holds the row, so that
-- ids have no gaps and records follow each other. The anchor is the last record
-- that is not checked any more: it was pruned, or is from before there were hashes.
CREATE TABLE audit_chain (
  id          INTEGER PRIMARY KEY,
  head_id     INTEGER NOT NULL,
  head_hash   BLOB NOT NULL,
  anchor_id   INTEGER NOT NULL,
  anchor_hash BLOB NOT NULL,
  anchor_mac  BLOB NOT NULL
);
INSERT INTO audit_chain (id, head_id, head_hash, anchor_id, anchor_hash, anchor_mac)
SELECT 1, COALESCE(MAX(id), 0), x'', COALESCE(MAX(id), 0), x'', x'' FROM audit_records;
