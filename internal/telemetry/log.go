// Package telemetry owns how Halley is looked into: the logger's construction,
// the metrics and the ids that tie a request's traces together. It knows no
// domain: what is observed comes in as plain numbers and words.
package telemetry

import (
	"io"
	"log/slog"
)

// NewLogger makes a logger that writes lines of JSON (format "json") or of
// key=value text (anything else) from a level on: "debug", "info", "warn" or
// "error", and info when the word is unknown. What looks like a credential is
// masked on the way out, whichever way it got into a line.
func NewLogger(w io.Writer, format, level string) *slog.Logger {
	var from slog.Level
	if err := from.UnmarshalText([]byte(level)); err != nil {
		from = slog.LevelInfo
	}
	options := &slog.HandlerOptions{Level: from}
	w = Redacted(w)
	if format == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}
