package telemetry

import (
	"io"
	"log/slog"
	"strings"
)

// Standard is a writer for Go's standard logger, to which libraries write that
// know no other: lines go to l at the debug level, without what they quote.
// net/http quotes there what upstreams send unasked, which may repeat the
// credential they were shown.
func Standard(l *slog.Logger) io.Writer { return standard{l} }

type standard struct{ log *slog.Logger }

// Write takes one line.
func (s standard) Write(p []byte) (int, error) {
	text, _, quotes := strings.Cut(strings.TrimSpace(string(p)), `"`)
	if quotes {
		text += "…"
	}
	s.log.Debug("a library says", "text", text)
	return len(p), nil
}
