package browser_test

import (
	"database/sql"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"halley/internal/oidc/oidctest"
	"halley/test/fakeprovider"
	"halley/test/harness"
)

// A world fills a server, starts what is beside it, and gives what the stories'
// environment says of that.
type world func(*testing.T, *harness.Server) []string

// tellIn runs a file of stories in the world that it needs.
func tellIn(t *testing.T, w world, file string) {
	t.Helper()
	chromium := needs(t)
	s := harness.Start(t, harness.Options{})
	if !built(t, s.BaseURL) {
		harness.LeaveOut(t, "the binary is without the console: make web")
	}
	run(t, file, s, chromium, w(t, s)...)
}

// operators is a server with an upstream in its reach, with a past, and without
// any channel that would serve what the stories ask for.
func operators(t *testing.T, s *harness.Server) []string {
	t.Helper()
	provider := fakeprovider.Start(t)
	s.Root.CreateChannel(t, harness.Fields{"name": "Old demo", "kind": "demo", "models": []string{"demo-echo"}})
	key := s.Root.CreateKey(t, harness.Fields{"name": "Long ago", "unlimited_quota": true})
	for range 3 {
		ask(t, s, key.Key, "demo-echo")
	}
	s.Root.Logs(t, "", 3)
	lastMonth(t, s, key.ID)
	return []string{"HALLEY_UPSTREAM=" + provider.Queue(fakeprovider.Script()).BaseURL, "HALLEY_UPSTREAM_AWAY=" + fakeprovider.RefusedURL(t)}
}

// access is a filled server, of which a user sees nothing.
func access(t *testing.T, s *harness.Server) []string {
	t.Helper()
	fill(t, s)
	return nil
}

// spending is a filled server with an upstream that answers what it is asked in
// brackets, and requests of the week before.
func spending(t *testing.T, s *harness.Server) []string {
	t.Helper()
	fill(t, s)
	provider := fakeprovider.Start(t)
	s.Root.CreateChannel(t, harness.Fields{
		"name": "Questions", "kind": "openai", "base_url": provider.Queue(fakeprovider.Speak(fakeprovider.OpenAIChat, fakeprovider.Questions)).BaseURL,
		"keys": []string{"sk-questions"}, "models": []string{"questions"},
	})
	s.Root.PutPrice(t, "questions", harness.Fields{"input": 3, "output": 15, "max_output_tokens": 1000})
	key := s.Root.CreateKey(t, harness.Fields{"name": "A week ago", "unlimited_quota": true})
	for range 4 {
		ask(t, s, key.Key, "demo-echo")
	}
	s.Root.Logs(t, "", 28)
	backdate(t, s, key.ID, 9*24*time.Hour)
	return []string{"HALLEY_IMAGE=" + fakeprovider.ScriptImage, "HALLEY_SAYS=" + fakeprovider.ScriptText}
}

// identities is a server and an identity provider. Who sits in front of the
// browser there is told by PUT /signed-in, and PUT /other-keys has it sign with a
// key that nobody knows.
func identities(t *testing.T, s *harness.Server) []string {
	t.Helper()
	s.Root.CreateGroup(t, harness.Fields{"name": "research"})
	provider := oidctest.New(t, "ES256")
	told := http.NewServeMux()
	told.HandleFunc("PUT /signed-in", func(w http.ResponseWriter, r *http.Request) {
		var claims map[string]any
		if err := json.NewDecoder(r.Body).Decode(&claims); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		provider.SignedIn(claims)
	})
	told.HandleFunc("PUT /other-keys", func(http.ResponseWriter, *http.Request) { provider.OtherKeys(t) })
	server := httptest.NewServer(told)
	t.Cleanup(server.Close)
	return []string{
		"HALLEY_ISSUER=" + provider.URL, "HALLEY_ISSUER_TOLD=" + server.URL,
		"HALLEY_CLIENT_ID=" + oidctest.ClientID, "HALLEY_CLIENT_SECRET=" + oidctest.ClientSecret,
	}
}

// lastMonth has a key's requests made in the middle of the month before.
func lastMonth(t *testing.T, s *harness.Server, key int64) {
	t.Helper()
	now := time.Now().UTC()
	then := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, -15)
	backdate(t, s, key, now.Sub(then).Truncate(time.Hour))
}

// backdate has a key's requests made so many hours earlier.
func backdate(t *testing.T, s *harness.Server, key int64, by time.Duration) {
	t.Helper()
	inDatabase(t, s, func(tx *sql.Tx) error {
		for _, statement := range []string{
			`UPDATE usage_records SET time_ms = time_ms - $2 WHERE key_id = $1`,
			`UPDATE usage_hours SET hour_ms = hour_ms - $2 WHERE key_id = $1`,
		} {
			if _, err := tx.ExecContext(t.Context(), statement, key, by.Milliseconds()); err != nil {
				return err
			}
		}
		return nil
	})
}
