-- +goose Up

-- What became of each attempt of a request that more than one was made for, or
-- that none served: a JSON array.
ALTER TABLE usage_records ADD COLUMN trail TEXT NOT NULL DEFAULT '';
