package store

import "database/sql"

// Writer is the pool that writes go through.
func (db *DB) Writer() *sql.DB { return db.w }

// Reader is the pool that reads go through.
func (db *DB) Reader() *sql.DB { return db.r }
