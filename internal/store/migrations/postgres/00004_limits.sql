-- +goose Up

-- Rates, and of users also renewing budgets, as JSON without what is not set.
ALTER TABLE users ADD COLUMN limits TEXT NOT NULL DEFAULT '{}';
ALTER TABLE groups ADD COLUMN limits TEXT NOT NULL DEFAULT '{}';
