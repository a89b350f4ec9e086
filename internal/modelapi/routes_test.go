package modelapi_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"halley/internal/clientip"
	"halley/internal/modelapi"
)

func TestAPanicIsAnsweredAndLogged(t *testing.T) {
	t.Parallel()
	for path, method := range map[string]string{"/v1/models": http.MethodGet, "/v1/chat/completions": http.MethodPost} {
		var log bytes.Buffer
		w := do(&log, method, path) // without a gateway every handler meets a nil pointer
		if w.Code != http.StatusInternalServerError || !strings.Contains(w.Body.String(), `"code":"internal_error"`) || strings.Contains(w.Body.String(), "nil pointer") {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
		if got := log.String(); !strings.Contains(got, "the-id") || !strings.Contains(got, "nil pointer") {
			t.Errorf("%s: log: %s", path, got)
		}
	}
}

func TestRefusedPathsAndMethodsAreOneLineInTheLog(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ method, path, status string }{
		{http.MethodGet, "/v1/nothing", "status=404"}, {http.MethodGet, "/v1//models", "status=404"}, {http.MethodPost, "/v1beta/models/m:doNothing", "status=404"},
		{http.MethodDelete, "/v1/models", "status=405"}, {http.MethodGet, "/v1/chat/completions", "status=405"},
	} {
		var log bytes.Buffer
		do(&log, row.method, row.path)
		if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "request_id=the-id") || !strings.Contains(got, row.status) || !strings.Contains(got, "path="+row.path) {
			t.Errorf("%s %s: log: %s", row.method, row.path, got)
		}
	}
}

func do(log *bytes.Buffer, method, path string) *httptest.ResponseRecorder {
	s := modelapi.New(modelapi.Config{Log: slog.New(slog.NewTextHandler(log, nil)), ClientIP: clientip.New(nil)})
	w := httptest.NewRecorder()
	r := httptest.NewRequest(method, path, nil)
	r.Header.Set("X-Request-Id", "the-id")
	s.ServeHTTP(w, r)
	return w
}
