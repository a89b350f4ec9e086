package gateway

import (
	"bytes"
	"net/http"
	"slices"
	"strings"
)

// mask stands where an upstream repeated our credential.
const mask = "[redacted]"

// leastSecret is the shortest credential that is looked for: a shorter one, such
// as the "none" of a server that wants no key, is a word that answers may hold.
const leastSecret = 8

// masked is an upstream's text without our credential, which some servers and
// proxies repeat in errors or echo back. Everything else stays as it is.
func (t *ticket) masked(text []byte) []byte {
	if len(t.secret) < leastSecret || !bytes.Contains(text, t.secret) {
		return text
	}
	return bytes.ReplaceAll(text, t.secret, []byte(mask))
}

// copyAnswerHeader gives the client the upstream's header, but for what
// belongs to the connection or repeats our credential.
func (t *ticket) copyAnswerHeader(from http.Header) {
	to := t.sink.Header()
	copyAnswerHeader(to, from)
	if len(t.secret) < leastSecret {
		return
	}
	secret := string(t.secret)
	for name, values := range from {
		if slices.ContainsFunc(values, func(v string) bool { return strings.Contains(v, secret) }) {
			to.Del(name)
		}
	}
}
