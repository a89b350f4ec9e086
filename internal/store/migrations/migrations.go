// Package migrations embeds the schema's history, one folder per engine. The
// files go forward only and are never edited once released.
package migrations

import "embed"

// Files holds sqlite/*.sql and postgres/*.sql.
//
//go:embed sqlite/*.sql postgres/*.sql
var Files embed.FS
