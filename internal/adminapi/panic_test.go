package adminapi_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"halley/internal/adminapi"
	"halley/internal/clientip"
)

func TestAPanicIsAnsweredAndLogged(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	// Without services every handler meets a nil pointer.
	s, err := adminapi.New(adminapi.Base{Log: slog.New(slog.NewTextHandler(&log, nil)), ClientIP: clientip.New(nil)}, adminapi.Services{})
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/models", nil)
	r.Header.Set("X-Request-Id", "the-id")
	s.ServeHTTP(w, r)
	if w.Code != http.StatusInternalServerError || !strings.Contains(w.Body.String(), `"code":"internal_error"`) || strings.Contains(w.Body.String(), "nil pointer") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if got := log.String(); !strings.Contains(got, "the-id") || !strings.Contains(got, "nil pointer") || !strings.Contains(got, "listPublicModels") {
		t.Errorf("log: %s", got)
	}
}
