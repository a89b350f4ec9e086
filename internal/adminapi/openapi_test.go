package adminapi_test

import (
	"encoding/json"
	"flag"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"halley/internal/adminapi"
	"halley/internal/clientip"
)

var update = flag.Bool("update", false, "write docs/openapi.json anew")

// golden is the document as the repository has it.
const golden = "../../docs/openapi.json"

func TestOpenAPIIsWhatTheDocumentationHas(t *testing.T) {
	t.Parallel()
	s := describedServer(t)
	text, err := s.OpenAPIText()
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(golden, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(text)); diff != "" {
		t.Errorf("the API has changed; if it should, run the test with -update (-docs/openapi.json +now):\n%s", diff)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/openapi.json", nil))
	if w.Code != http.StatusOK || w.Body.String() != string(want) || w.Header().Get("Content-Type") != "application/json; charset=utf-8" {
		t.Errorf("served: %d, %v\n%s", w.Code, w.Header(), cmp.Diff(string(want), w.Body.String()))
	}
}

func TestOpenAPIHoldsTogether(t *testing.T) {
	t.Parallel()
	text, err := describedServer(t).OpenAPIText()
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Components struct{ Schemas map[string]json.RawMessage }
		Paths      map[string]map[string]struct {
			OperationID string
			Summary     string
			Tags        []string
		}
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	for _, match := range regexp.MustCompile(`"\$ref": "(#/components/schemas/)?([^"]*)"`).FindAllStringSubmatch(string(text), -1) {
		if doc.Components.Schemas[match[2]] == nil {
			t.Errorf("a reference leads nowhere: %s", match[0])
		}
	}
	for name := range doc.Components.Schemas {
		if strings.ContainsAny(name, "_[]./") || strings.Contains(name, "Opt") && !strings.Contains(name, "Option") {
			t.Errorf("a schema is called %q", name)
		}
	}
	known := map[string]bool{}
	for path, item := range doc.Paths {
		for method, op := range item {
			if op.Summary == "" || len(op.Tags) != 1 || known[op.OperationID] {
				t.Errorf("%s %s: %+v", method, path, op)
			}
			known[op.OperationID] = true
		}
	}
	if len(known) < 50 {
		t.Errorf("only %d operations", len(known))
	}
}

func describedServer(t *testing.T) *adminapi.Server {
	t.Helper()
	s, err := adminapi.New(adminapi.Base{Log: slog.New(slog.DiscardHandler), ClientIP: clientip.New(nil)}, adminapi.Services{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}
