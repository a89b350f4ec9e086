-- +goose Up

-- Nothing is ever written here: one server serves a SQLite database, and there
-- is nobody to tell. The table is here so that both engines have the same ones.
CREATE TABLE changes (
  id      INTEGER PRIMARY KEY,
  topic   TEXT NOT NULL,
  ref     TEXT NOT NULL,
  time_ms INTEGER NOT NULL,
  xact    INTEGER NOT NULL
);
