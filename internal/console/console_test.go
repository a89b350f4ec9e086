package console

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
)

const (
	browser = "text/html,application/xhtml+xml,*/*;q=0.8"
	script  = "assets/index-3f2a.js"
)

func builtConsole(t *testing.T) http.Handler {
	t.Helper()
	h, err := handler(fstest.MapFS{
		"index.html":    {Data: []byte("the page")},
		"index.html.gz": {Data: []byte("page, gzip")},
		script:          {Data: []byte("the script, plain")},
		script + ".br":  {Data: []byte("script, brotli")},
		script + ".gz":  {Data: []byte("script, gzip")},
		"assets/i.svg":  {Data: []byte("<svg/>")},
	}, "v1")
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func ask(h http.Handler, method, path string, headers map[string]string) *http.Response {
	r := httptest.NewRequest(method, path, nil)
	for name, value := range headers {
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func text(t *testing.T, resp *http.Response) string {
	t.Helper()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestBrowsersGetThePageAtEveryAddressOfTheConsole(t *testing.T) {
	t.Parallel()
	h := builtConsole(t)
	for _, path := range []string{"/", "/keys", "/keys/12", "/admin/channels", "/sign-in?from=%2Fkeys"} {
		resp := ask(h, http.MethodGet, path, map[string]string{"Accept": browser})
		if got := text(t, resp); resp.StatusCode != 200 || got != "the page" {
			t.Errorf("GET %s: %d %q", path, resp.StatusCode, got)
		}
		if got := resp.Header.Get("Cache-Control"); got != "no-cache" {
			t.Errorf("GET %s: Cache-Control %q, an update would not be seen", path, got)
		}
		if got := resp.Header.Get("Content-Type"); got != "text/html; charset=utf-8" {
			t.Errorf("GET %s: Content-Type %q", path, got)
		}
	}
}

func TestWhatIsNoPageIsNotFound(t *testing.T) {
	t.Parallel()
	h := builtConsole(t)
	tests := []struct{ name, method, path, accept string }{
		{"a file that the build does not have", "GET", "/assets/index-0000.js", browser},
		{"a folder of the build", "GET", "/assets/", browser},
		{"an address with an ending", "GET", "/favicon.ico", browser},
		{"a program at an address of the console", "GET", "/keys", "application/json"},
		{"a model endpoint without its version", "POST", "/chat/completions", browser},
		{"a compressed file by its own name", "GET", "/" + script + ".br", browser},
		{"the page by its file name", "GET", "/index.html", browser},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			resp := ask(h, tt.method, tt.path, map[string]string{"Accept": tt.accept})
			if resp.StatusCode != 404 || strings.Contains(text(t, resp), "the page") {
				t.Errorf("status %d", resp.StatusCode)
			}
		})
	}
}

func TestThePageCanOnlyBeRead(t *testing.T) {
	t.Parallel()
	h := builtConsole(t)
	resp := ask(h, http.MethodPost, "/", nil)
	if resp.StatusCode != 405 || resp.Header.Get("Allow") != "GET, HEAD" {
		t.Errorf("POST /: %d, Allow %q", resp.StatusCode, resp.Header.Get("Allow"))
	}
	resp = ask(h, http.MethodHead, "/", nil)
	if got := text(t, resp); resp.StatusCode != 200 || got != "" {
		t.Errorf("HEAD /: %d %q", resp.StatusCode, got)
	}
}

func TestFilesComeInTheBestEncodingThatTheClientTakes(t *testing.T) {
	t.Parallel()
	h := builtConsole(t)
	tests := []struct{ name, path, accept, encoding, body string }{
		{"nothing said", "/" + script, "", "", "the script, plain"},
		{"what browsers send", "/" + script, "gzip, deflate, br, zstd", "br", "script, brotli"},
		{"gzip alone", "/" + script, "gzip", "gzip", "script, gzip"},
		{"brotli refused", "/" + script, "br;q=0, gzip;q=0.5", "gzip", "script, gzip"},
		{"in capitals", "/" + script, "BR", "br", "script, brotli"},
		{"a weight that cannot be read", "/" + script, "br;q=much", "", "the script, plain"},
		{"no brotli at hand", "/", "br, gzip", "gzip", "page, gzip"},
		{"nothing compressed at hand", "/assets/i.svg", "br, gzip", "", "<svg/>"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			resp := ask(h, http.MethodGet, tt.path, map[string]string{"Accept-Encoding": tt.accept})
			if got := text(t, resp); got != tt.body || resp.Header.Get("Content-Encoding") != tt.encoding {
				t.Errorf("%q in %q", got, resp.Header.Get("Content-Encoding"))
			}
			if compressed := tt.path != "/assets/i.svg"; compressed != (resp.Header.Get("Vary") == "Accept-Encoding") {
				t.Errorf("Vary %q", resp.Header.Get("Vary"))
			}
		})
	}
}

func TestHashedFilesAreKeptForEverAndThePageIsAskedForAgain(t *testing.T) {
	t.Parallel()
	h := builtConsole(t)
	resp := ask(h, http.MethodGet, "/"+script, nil)
	if got := resp.Header.Get("Cache-Control"); got != "public, max-age=31536000, immutable" {
		t.Errorf("Cache-Control %q", got)
	}
	tags := map[string]bool{}
	for _, encoding := range []string{"", "gzip"} {
		resp := ask(h, http.MethodGet, "/", map[string]string{"Accept-Encoding": encoding})
		tag := resp.Header.Get("ETag")
		tags[tag] = true
		again := ask(h, http.MethodGet, "/", map[string]string{"Accept-Encoding": encoding, "If-None-Match": tag})
		if again.StatusCode != 304 || again.Header.Get("Content-Security-Policy") == "" {
			t.Errorf("the page again: %d, policy %q", again.StatusCode, again.Header.Get("Content-Security-Policy"))
		}
	}
	if len(tags) != 2 || tags[""] {
		t.Errorf("the page's encodings share the tags %v", tags)
	}
}

func TestNoAnswerAllowsInlineScriptOrAnotherOrigin(t *testing.T) {
	t.Parallel()
	h := builtConsole(t)
	for _, path := range []string{"/", "/" + script, "/nothing.txt"} {
		resp := ask(h, http.MethodGet, path, nil)
		policy := resp.Header.Get("Content-Security-Policy")
		if !strings.HasPrefix(policy, "default-src 'none'; ") || !strings.Contains(policy, "frame-ancestors 'none'") {
			t.Errorf("%s: policy %q", path, policy)
		}
		for _, loose := range []string{"unsafe", "http", "*"} {
			if strings.Contains(policy, loose) {
				t.Errorf("%s: policy %q has %s", path, policy, loose)
			}
		}
		if resp.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s may be sniffed", path)
		}
	}
}

func TestABinaryWithoutTheConsoleSaysHowToBuildIt(t *testing.T) {
	t.Parallel()
	h, err := handler(fstest.MapFS{}, "v1<2")
	if err != nil {
		t.Fatal(err)
	}
	resp := ask(h, http.MethodGet, "/", map[string]string{"Accept": browser})
	got := text(t, resp)
	if resp.StatusCode != 200 || !strings.Contains(got, "make web") || !strings.Contains(got, "v1&lt;2") {
		t.Errorf("%d %s", resp.StatusCode, got)
	}
}

func TestTheEmbeddedFolderServesAPage(t *testing.T) {
	t.Parallel()
	h, err := New("v1") // built or not
	if err != nil {
		t.Fatal(err)
	}
	resp := ask(h, http.MethodGet, "/", nil)
	if got := text(t, resp); resp.StatusCode != 200 || !strings.Contains(got, "Halley") {
		t.Errorf("%d %s", resp.StatusCode, got)
	}
}
