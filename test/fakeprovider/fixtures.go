// Package fakeprovider stands in for model providers in tests: it serves
// recorded traffic byte for byte, in friendly and hostile chunkings, answers
// from a script of its own, and fails on request in every way an upstream can.
// It says what usage a recording reports, worked out here and nowhere else, so
// that it can be held against Halley's metering. It must not use Halley's
// gateway, wire or sse packages: it is the measure they are held to.
package fakeprovider

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The APIs of the fixtures that speak the OpenAI dialect's first two endpoints.
const (
	Chat       = "openai.chat"
	Embeddings = "openai.embeddings"
)

// Meta is an interaction without its bodies: one line of manifest.jsonl.
type Meta struct {
	ID       string   `json:"id"`
	Provider string   `json:"provider"`
	API      string   `json:"api"`
	Feature  string   `json:"feature"`
	Stream   bool     `json:"stream"`
	Model    string   `json:"model"`
	Tags     []string `json:"tags"`
	// Authenticity is "recorded", or "suspect" for what its project wrote by
	// hand.
	Authenticity string `json:"authenticity"`
	// File is the path below the fixtures directory; Status, Framing and
	// BodyForm describe the response.
	File       string   `json:"file"`
	Status     int      `json:"status"`
	Framing    string   `json:"framing"`
	BodyForm   string   `json:"body_form"`
	HasRequest bool     `json:"has_request"`
	SourcePath string   `json:"source_path"`
	Sequence   Sequence `json:"sequence"`
}

// Sequence is an interaction's place in its recording.
type Sequence struct {
	Index int `json:"index"`
	Of    int `json:"of"`
}

// Has reports whether the interaction carries the tag.
func (m Meta) Has(tag string) bool { return slices.Contains(m.Tags, tag) }

// Interaction is one recorded request and its response.
type Interaction struct {
	Meta
	Request  Request
	Response Response
}

// Request is what the recorded client sent.
type Request struct {
	Method  string
	Path    string // with the query
	Headers map[string]string
	// Body is the body's bytes, JSON without insignificant space. It is nil
	// when only the response was published.
	Body []byte
}

// Response is what the provider answered; Body's bytes are as recorded.
type Response struct {
	Status  int
	Headers map[string]string
	Body    []byte
}

// IsSSE reports whether the response is an event stream: its content type says
// so, or, where the type was not recorded, the body starts like one.
func (r Response) IsSSE() bool {
	if ct, ok := r.Headers["content-type"]; ok {
		return strings.HasPrefix(strings.ToLower(ct), "text/event-stream")
	}
	start := bytes.TrimLeft(r.Body, "\r\n")
	for _, prefix := range []string{"data:", "event:", "id:", ":"} {
		if bytes.HasPrefix(start, []byte(prefix)) {
			return true
		}
	}
	return false
}

// Library is a fixtures directory whose manifest has been read.
type Library struct {
	dir  string
	Meta []Meta // every interaction, in the manifest's order
}

// Fixtures opens the recorded traffic: HALLEY_FIXTURES, or ../shared/fixtures
// beside the repository. Where there is none, the test says so and is left out;
// with CI=true it fails.
func Fixtures(t testing.TB) *Library {
	t.Helper()
	dir, err := fixturesDir()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, manifest)); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("no recorded traffic: %v (set HALLEY_FIXTURES)", err)
		}
		t.Skipf("left out: no recorded traffic at %s (set HALLEY_FIXTURES)", dir)
	}
	lib, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return lib
}

// Open reads the manifest of a fixtures directory.
func Open(dir string) (*Library, error) {
	f, err := os.Open(filepath.Join(dir, manifest))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lib := &Library{dir: dir}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var m Meta
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
			return nil, fmt.Errorf("%s line %d: %w", manifest, len(lib.Meta)+1, err)
		}
		lib.Meta = append(lib.Meta, m)
	}
	return lib, lines.Err()
}

// Load reads the interactions that want picks; nil picks all.
func (l *Library) Load(want func(Meta) bool) ([]Interaction, error) {
	var picked []Interaction
	for _, m := range l.Meta {
		if want != nil && !want(m) {
			continue
		}
		in, err := l.read(m)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.File, err)
		}
		picked = append(picked, in)
	}
	return picked, nil
}

// MustLoad is Load for tests: an error, or nothing picked, ends the test.
func (l *Library) MustLoad(t testing.TB, want func(Meta) bool) []Interaction {
	t.Helper()
	picked, err := l.Load(want)
	if err != nil {
		t.Fatal(err)
	}
	if len(picked) == 0 {
		t.Fatal("no recorded interaction is as asked for")
	}
	return picked
}

// OfAPI picks the interactions of the named APIs.
func OfAPI(apis ...string) func(Meta) bool {
	return func(m Meta) bool { return slices.Contains(apis, m.API) }
}

const manifest = "manifest.jsonl"

// read loads one interaction's file.
func (l *Library) read(m Meta) (Interaction, error) {
	text, err := os.ReadFile(filepath.Join(l.dir, filepath.FromSlash(m.File)))
	if err != nil {
		return Interaction{}, err
	}
	var file struct {
		Request struct {
			Method       string            `json:"method"`
			Path         string            `json:"path"`
			Headers      map[string]string `json:"headers"`
			Body         json.RawMessage   `json:"body"`
			BodyEncoding string            `json:"body_encoding"`
			Absent       bool              `json:"absent"`
		} `json:"request"`
		Response struct {
			Status       int               `json:"status"`
			Headers      map[string]string `json:"headers"`
			Body         string            `json:"body"`
			BodyEncoding string            `json:"body_encoding"`
		} `json:"response"`
	}
	if err := json.Unmarshal(text, &file); err != nil {
		return Interaction{}, err
	}
	in := Interaction{
		Meta:     m,
		Request:  Request{Method: file.Request.Method, Path: file.Request.Path, Headers: file.Request.Headers},
		Response: Response{Status: file.Response.Status, Headers: file.Response.Headers},
	}
	if !file.Request.Absent {
		if in.Request.Body, err = requestBody(file.Request.Body, file.Request.BodyEncoding); err != nil {
			return Interaction{}, err
		}
	}
	if in.Response.Body, err = decode(file.Response.Body, file.Response.BodyEncoding); err != nil {
		return Interaction{}, err
	}
	return in, nil
}

// requestBody turns a recorded request body into bytes: JSON compacted, without
// touching what is inside strings; a JSON string stands for a body that is not
// JSON.
func requestBody(raw json.RawMessage, encoding string) ([]byte, error) {
	if len(raw) > 0 && raw[0] == '"' {
		var text string
		if err := json.Unmarshal(raw, &text); err != nil {
			return nil, err
		}
		return decode(text, encoding)
	}
	var b bytes.Buffer
	if err := json.Compact(&b, raw); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// decode gives the bytes of a body by its encoding.
func decode(text, encoding string) ([]byte, error) {
	switch encoding {
	case "":
		return []byte(text), nil
	case "base64":
		return base64.StdEncoding.DecodeString(text)
	}
	return nil, fmt.Errorf("unknown body encoding %q", encoding)
}

// fixturesDir is where the recorded traffic should be.
func fixturesDir() (string, error) {
	if dir := os.Getenv("HALLEY_FIXTURES"); dir != "" {
		return dir, nil
	}
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if mod, err := os.ReadFile(filepath.Join(dir, "go.mod")); err == nil && bytes.HasPrefix(mod, []byte("module halley\n")) {
			return filepath.Join(dir, "..", "shared", "fixtures"), nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", errors.New("fakeprovider: not inside the halley repository")
		}
		dir = up
	}
}
