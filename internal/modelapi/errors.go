package modelapi

import (
	"math"
	"net/http"
	"path"
	"strconv"

	"halley/internal/fault"
	"halley/internal/wire/anthropic"
	"halley/internal/wire/gemini"
	"halley/internal/wire/openai"
)

// fail answers with a fault in the shape of the path's dialect.
func fail(w http.ResponseWriter, r *http.Request, err error) {
	f := fault.From(err)
	h := w.Header()
	if f.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(f.RetryAfter.Seconds()))))
	}
	var body []byte
	switch {
	case isGemini(r):
		body = gemini.Error(f, requestID(r))
	case isAnthropic(r):
		body = anthropic.Error(f, requestID(r))
	default:
		body = openai.Error(f, requestID(r))
	}
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(f.Kind.Status())
	_, _ = w.Write(body) // the client may be gone
}

func notFound(w http.ResponseWriter, r *http.Request) {
	fail(w, r, fault.New(fault.NotFound, "not_found", "There is no %s %s.", r.Method, r.URL.Path))
}

func methodNotAllowed(r *http.Request, want string) error {
	return fault.New(fault.NotAllowed, "method_not_allowed", "%s takes %s, not %s.", r.URL.Path, want, r.Method)
}

// unclean reports a path that is not in its shortest form.
func unclean(p string) bool {
	clean := path.Clean(p)
	return clean != p && clean+"/" != p
}

// requestID is the id that the outer handler gave the request.
func requestID(r *http.Request) string { return r.Header.Get("X-Request-Id") }

// Refuse answers for a server that cannot serve yet, in the shape of the path's
// dialect.
func Refuse(w http.ResponseWriter, r *http.Request, f *fault.Error) { fail(w, r, f) }
