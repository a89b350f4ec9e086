// Package console serves the web pages that are embedded in the binary. It must
// not know any domain: pages speak to the management API like everybody else.
package console

import (
	_ "embed"
	"html/template"
	"net/http"
)

//go:embed welcome.html
var welcome string

// New makes the handler of everything that is not an API. Until the console is
// built into the binary it is one page that says where the APIs are.
func New(version string) http.Handler {
	page := template.Must(template.New("welcome").Parse(welcome))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		if r.URL.Path != "/" {
			http.Error(w, "There is no page at "+r.URL.Path+".", http.StatusNotFound)
			return
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "This page can only be read.", http.StatusMethodNotAllowed)
			return
		}
		h.Set("Content-Type", "text/html; charset=utf-8")
		_ = page.Execute(w, version) // the browser may be gone
	})
}
