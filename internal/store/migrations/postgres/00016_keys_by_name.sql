-- +goose Up

-- Lists of keys by name. Orders by what requests change have no index: each
-- request would have to write it, too.
CREATE INDEX keys_name ON keys (user_id, deleted_ms, name_fold, id DESC);
