-- +goose Up
-- What most channels do without: a JSON object with a member for each thing that is set.
ALTER TABLE channels ADD COLUMN settings TEXT NOT NULL DEFAULT '{}';
