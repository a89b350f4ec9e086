// Package console serves the web pages that are embedded in the binary. It must
// not know any domain: pages speak to the management API like everybody else.
package console

import (
	"embed"
	"fmt"
	"html"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"
)

// dist has what `make web` builds, in site. Without it the folder has only the
// file that keeps it there, and the binary says how to build the console.
//
//go:embed all:dist
var dist embed.FS

//go:embed welcome.html
var welcome string

// page is the file that every address of the console is answered with; its
// script shows what the address names.
const page = "index.html"

// New makes the handler of everything that is not an API.
func New(version string) (http.Handler, error) {
	built, err := fs.Sub(dist, "dist/site")
	if err != nil {
		return nil, fmt.Errorf("console: %w", err)
	}
	return handler(built, version)
}

// handler serves a built console or, when there is none, the page about that.
func handler(built fs.FS, version string) (http.Handler, error) {
	files, err := load(built)
	if err != nil {
		return nil, fmt.Errorf("console: %w", err)
	}
	if files[page] == nil {
		text, err := newVariant(unbuilt(version), "")
		if err != nil {
			return nil, fmt.Errorf("console: %w", err)
		}
		files = map[string]*file{page: {name: page, plain: text}}
	}
	return &site{files: files}, nil
}

// unbuilt opens the page that says how to build the console.
func unbuilt(version string) func() (content, error) {
	text := strings.ReplaceAll(welcome, "{{version}}", html.EscapeString(version))
	return func() (content, error) { return readable{strings.NewReader(text)}, nil }
}

// readable is a text as an open file.
type readable struct{ *strings.Reader }

func (readable) Close() error { return nil }

// site answers with the console's files.
type site struct {
	files map[string]*file
}

// policy lets pages load what this server has, and nothing else: no inline
// script or style, no other origin. Pictures may also be made by the page
// itself.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self' data: blob:; connect-src 'self'; " +
	"manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// ServeHTTP answers with a file of the console.
func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	f := s.find(r)
	if f == nil {
		h.Set("Cache-Control", "no-store")
		http.Error(w, "There is no page at "+r.URL.Path+".", http.StatusNotFound)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		http.Error(w, "This page can only be read.", http.StatusMethodNotAllowed)
		return
	}
	f.serve(w, r)
}

// find is the file for a request: the one with that name, or the page, where a
// browser goes to an address of the console. Programs that look for an API at a
// wrong address do not want a page; they get a 404.
func (s *site) find(r *http.Request) *file {
	name := strings.TrimPrefix(r.URL.Path, "/")
	if name == "" {
		return s.files[page]
	}
	if f := s.files[name]; f != nil && name != page {
		return f
	}
	reading := r.Method == http.MethodGet || r.Method == http.MethodHead
	if reading && path.Ext(name) == "" && !strings.HasPrefix(name, assets) && strings.Contains(r.Header.Get("Accept"), "text/html") {
		return s.files[page]
	}
	return nil
}

// serve answers with the variant that the client can take. What has a hash in
// its name never changes; the page itself is asked for again each time.
func (f *file) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", typeOf(f.name))
	h.Set("Cache-Control", "no-cache")
	if strings.HasPrefix(f.name, assets) {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	v := f.plain
	if f.brotli != nil || f.gzip != nil {
		h.Set("Vary", "Accept-Encoding")
		accepted := acceptedEncodings(r.Header.Values("Accept-Encoding"))
		switch {
		case f.brotli != nil && accepted["br"]:
			v = f.brotli
		case f.gzip != nil && accepted["gzip"]:
			v = f.gzip
		}
		if v.encoding != "" {
			h.Set("Content-Encoding", v.encoding)
		}
	}
	text, err := v.open()
	if err != nil { // it could be when the server started
		http.Error(w, "This page cannot be read.", http.StatusInternalServerError)
		return
	}
	defer func() { _ = text.Close() }() // nothing was written
	h.Set("ETag", v.etag)
	http.ServeContent(w, r, "", time.Time{}, text)
}
