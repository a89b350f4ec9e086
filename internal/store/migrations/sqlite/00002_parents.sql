-- +goose Up

-- A key may have been issued by another one, its parent, which is charged too.
-- The grants of unlimited payers rise by what is charged; these columns say by
-- how much, so that every balance can be worked out again from its rows.
ALTER TABLE usage_records ADD COLUMN parent_id INTEGER NOT NULL DEFAULT 0;
ALTER TABLE usage_records ADD COLUMN key_grant_nano INTEGER NOT NULL DEFAULT 0;
ALTER TABLE usage_records ADD COLUMN parent_grant_nano INTEGER NOT NULL DEFAULT 0;
ALTER TABLE usage_records ADD COLUMN user_grant_nano INTEGER NOT NULL DEFAULT 0;

ALTER TABLE usage_hours ADD COLUMN key_grant_nano INTEGER NOT NULL DEFAULT 0;
ALTER TABLE usage_hours ADD COLUMN parent_grant_nano INTEGER NOT NULL DEFAULT 0;
ALTER TABLE usage_hours ADD COLUMN user_grant_nano INTEGER NOT NULL DEFAULT 0;
