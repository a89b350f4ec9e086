package gateway

import (
	"net/http"
	"slices"

	"halley/internal/channel"
)

// masked is an upstream's text without our credential; everything else stays as
// it is.
func (t *ticket) masked(text []byte) []byte { return channel.Mask(text, t.secret) }

// copyAnswerHeader gives the client the upstream's header, but for what
// belongs to the connection or repeats our credential.
func (t *ticket) copyAnswerHeader(from http.Header) {
	to := t.sink.Header()
	copyAnswerHeader(to, from)
	for name, values := range from {
		if slices.ContainsFunc(values, func(v string) bool { return string(t.masked([]byte(v))) != v }) {
			to.Del(name)
		}
	}
}
