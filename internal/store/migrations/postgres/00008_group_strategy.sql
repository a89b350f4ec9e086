-- +goose Up
-- How a group chooses among its channels.
ALTER TABLE groups ADD COLUMN strategy TEXT NOT NULL DEFAULT 'weighted';
-- Single users may be listed beside user groups. Empty is still everybody.
UPDATE groups SET usable_by = '{"groups":' || usable_by || '}' WHERE usable_by <> '';
