package vertex_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"halley/internal/channel"
	"halley/internal/provider"
	"halley/internal/provider/token"
	"halley/internal/provider/vertex"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestRequestsGoToThePublishersModel(t *testing.T) {
	t.Parallel()
	const regional, project = "https://us-central1-aiplatform.googleapis.com", "https://us-central1-aiplatform.googleapis.com/v1/projects/p/locations/us-central1"
	for _, row := range []struct {
		base, project, location string
		call                    provider.Call
		want                    string
	}{
		{regional, "p", "", provider.Call{Operation: provider.VertexGenerate, Model: "gemini-2.5-pro"}, project + "/publishers/google/models/gemini-2.5-pro:generateContent"},
		{regional, "p", "", provider.Call{Operation: provider.VertexGenerate, Model: "gemini-2.5-pro", Stream: true}, project + "/publishers/google/models/gemini-2.5-pro:streamGenerateContent?alt=sse"},
		{regional + "/v1", "p", "", provider.Call{Operation: provider.VertexMessages, Model: "claude-sonnet-4-5@20250929"}, project + "/publishers/anthropic/models/claude-sonnet-4-5@20250929:rawPredict"},
		{regional, "p", "", provider.Call{Operation: provider.VertexMessages, Model: "anthropic/claude-opus-4-6", Stream: true}, project + "/publishers/anthropic/models/claude-opus-4-6:streamRawPredict"},
		{regional, "p", "", provider.Call{Operation: provider.CountMessages, Model: "claude-opus-4-6"}, project + "/publishers/anthropic/models/count-tokens:rawPredict"},
		{regional, "p", "", provider.Call{Operation: provider.CountGenerate, Model: "gemini-2.5-pro"}, project + "/publishers/google/models/gemini-2.5-pro:countTokens"},
		{regional, "p", "", provider.Call{Operation: provider.VertexPredict, Model: "text-embedding-005"}, project + "/publishers/google/models/text-embedding-005:predict"},
		{regional, "p", "", provider.Call{Operation: provider.VertexEmbed, Model: "gemini-embedding-2"}, project + "/publishers/google/models/gemini-embedding-2:embedContent"},
		{regional, "p", "", provider.Call{Operation: provider.Chat, Model: "meta/llama-4-maverick"}, project + "/endpoints/openapi/chat/completions"},
		{regional, "p", "", provider.Call{Operation: provider.Models}, regional + "/v1beta1/publishers/google/models?pageSize=200"},
		{"https://aiplatform.googleapis.com", "p", "", provider.Call{Operation: provider.VertexGenerate, Model: "g"}, "https://aiplatform.googleapis.com/v1/projects/p/locations/global/publishers/google/models/g:generateContent"},
		{"https://aiplatform.eu.rep.googleapis.com", "p", "", provider.Call{Operation: provider.VertexGenerate, Model: "g"}, "https://aiplatform.eu.rep.googleapis.com/v1/projects/p/locations/eu/publishers/google/models/g:generateContent"},
		{"https://proxy.example/v", "example.com:p", "us-east5", provider.Call{Operation: provider.VertexGenerate, Model: "a/b?c"}, "https://proxy.example/v/v1/projects/example.com:p/locations/us-east5/publishers/a/models/b%3Fc:generateContent"},
		{"https://aiplatform.googleapis.com", "", "", provider.Call{Operation: provider.VertexGenerate, Model: "g"}, "https://aiplatform.googleapis.com/v1/publishers/google/models/g:generateContent"},
	} {
		ch := &channel.Channel{Kind: channel.Vertex, BaseURL: row.base, Vertex: channel.VertexSettings{Project: row.project, Location: row.location}}
		if got := (&vertex.Provider{}).URL(ch, row.call); got != row.want {
			t.Errorf("%s %s: %s, want %s", row.base, row.call.Operation, got, row.want)
		}
	}
}

func TestEachPublishersModelsSpeakTheirOwnDialect(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		model string
		op    provider.Operation
		want  provider.Operation
	}{
		{"claude-sonnet-4-5@20250929", provider.Messages, provider.VertexMessages},
		{"claude-sonnet-4-5@20250929", provider.Chat, provider.VertexMessages},
		{"claude-sonnet-4-5@20250929", provider.CountMessages, provider.CountMessages},
		{"claude-sonnet-4-5@20250929", provider.CountGenerate, ""},
		{"claude-sonnet-4-5@20250929", provider.Embeddings, ""},
		{"gemini-2.5-flash", provider.Generate, provider.VertexGenerate},
		{"google/gemini-2.5-flash", provider.Responses, provider.VertexGenerate},
		{"gemini-2.5-flash", provider.CountGenerate, provider.CountGenerate},
		{"gemini-2.5-flash", provider.CountMessages, ""},
		{"gemini-2.5-flash", provider.Rerank, ""},
		{"meta/llama-4", provider.Chat, provider.Chat},
		{"meta/llama-4", provider.Messages, provider.Chat},
		{"text-embedding-005", provider.Embeddings, provider.VertexPredict},
		{"gemini-embedding-001", provider.Embeddings, provider.VertexPredict},
		{"gemini-embedding-2", provider.Embeddings, provider.VertexEmbed},
		{"", provider.Models, provider.Models},
	} {
		if got := (&vertex.Provider{}).Speaks(nil, row.model, row.op); got != row.want {
			t.Errorf("%s %s: %q, want %q", row.model, row.op, got, row.want)
		}
	}
}

func TestClaudesRequestsAreFittedInPlace(t *testing.T) {
	t.Parallel()
	p := newBench(t)
	h := http.Header{"Anthropic-Version": {"2023-06-01"}, "Anthropic-Beta": {"context-1m-2025-08-07,claude-code-20250219"}, "X-Goog-User-Project": {"other"}, "X-App": {"cli"}}
	call := provider.Call{Operation: provider.VertexMessages, Model: "claude-opus-4-6"}
	p.Prepare(h, call)
	if len(h) != 2 || h.Get("Anthropic-Beta") != "context-1m-2025-08-07" || h.Get("X-App") != "cli" {
		t.Errorf("header %v", h)
	}
	body := `{"later":{"x": 1.0},"model":"claude-opus-4-6", "stream":true,"anthropic_version":"old"}`
	want := `{"later":{"x": 1.0}, "stream":true,"anthropic_version":"vertex-2023-10-16"}`
	if got := string(p.Reshape([]byte(body), nil, call)); got != want {
		t.Errorf("body %s\nwant %s", got, want)
	}
	call.Operation = provider.VertexGenerate
	if got := string(p.Reshape([]byte(body), nil, call)); got != body {
		t.Errorf("another dialect's body %s", got)
	}
}

// Bodies of 429 and 404 were recorded.
func TestErrorsAreOurCredentialsTheChannelsOrTheRequests(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		status int
		body   string
		want   provider.Class
	}{
		"a token that is none":       {401, `{"error":{"code":401,"message":"Request had invalid authentication credentials.","status":"UNAUTHENTICATED"}}`, provider.OfCredential},
		"a principal without a role": {403, `{"error":{"code":403,"message":"Permission 'aiplatform.endpoints.predict' denied","status":"PERMISSION_DENIED"}}`, provider.OfCredential},
		"no such model":              {404, `[{"error":{"code":404,"message":"Publisher Model was not found","status":"NOT_FOUND"}}]`, provider.OfChannel},
		"not in this region":         {400, `{"error":{"code":400,"message":"claude-opus-4 is not servable in region us-central1.","status":"FAILED_PRECONDITION"}}`, provider.OfChannel},
		"a bad request":              {400, `{"error":{"code":400,"message":"Please use a valid role: user, model.","status":"INVALID_ARGUMENT"}}`, provider.OfRequest},
		"Claude's bad request":       {400, `{"type":"error","error":{"type":"invalid_request_error","message":"max_tokens: Field required"}}`, provider.OfRequest},
		"too fast":                   {429, `{"error":{"code":429,"message":"Resource exhausted","status":"RESOURCE_EXHAUSTED"}}`, provider.OfRequest},
	} {
		if got := (&vertex.Provider{}).Classify(row.status, []byte(row.body)); got != row.want {
			t.Errorf("%s: class %d, want %d", name, got, row.want)
		}
	}
	const wait = `{"error":{"code":429,"details":[{"@type":"type.googleapis.com/google.rpc.QuotaFailure"},{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"34.4s"}]}}`
	if got := (&vertex.Provider{}).RetryAfter([]byte(wait)); got != 34400*time.Millisecond {
		t.Errorf("waits %v", got)
	}
	for _, none := range []string{``, `{}`, `{"error":{"details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"soon"}]}}`, `{"error":{"details":[{"retryDelay":"3s"}]}}`} {
		if got := (&vertex.Provider{}).RetryAfter([]byte(none)); got != 0 {
			t.Errorf("%s: waits %v", none, got)
		}
	}
}

// bench is a provider and a token endpoint of its own.
type bench struct {
	*vertex.Provider
	server  *httptest.Server
	asked   atomic.Int64
	answer  atomic.Pointer[http.HandlerFunc]
	channel *channel.Channel
	ahead   atomic.Int64 // nanoseconds that the clock runs ahead
	way     *http.Transport
	key     *rsa.PrivateKey
	log     syncBuffer
}

type syncBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{way: &http.Transport{}, channel: &channel.Channel{Kind: channel.Vertex}}
	var err error
	if b.key, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		t.Fatal(err)
	}
	b.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := b.asked.Add(1)
		b.check(t, r)
		if answer := b.answer.Load(); answer != nil {
			(*answer)(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"access_token":"token-%d","expires_in":3599,"token_type":"Bearer"}`, n)
	}))
	b.Provider, err = vertex.New(token.Options{
		Now: func() time.Time { return time.Now().Add(time.Duration(b.ahead.Load())) }, Log: slog.New(slog.NewTextHandler(&b.log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close(); b.way.CloseIdleConnections(); b.server.Close() })
	return b
}

func (b *bench) answers(h http.HandlerFunc) { b.answer.Store(&h) }

// check verifies the assertion as Google does: signed with the account's key, for
// the scope, at this address.
func (b *bench) check(t *testing.T, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		t.Error(err)
	}
	signed, signature, _ := cutLast(r.PostForm.Get("assertion"), ".")
	proof, err := base64.RawURLEncoding.DecodeString(signature)
	digest := sha256.Sum256([]byte(signed))
	if err != nil || rsa.VerifyPKCS1v15(&b.key.PublicKey, crypto.SHA256, digest[:], proof) != nil {
		t.Errorf("the assertion is not signed: %v", r.PostForm)
	}
	_, text, _ := strings.Cut(signed, ".")
	claims, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		t.Error(err)
	}
	var said struct{ Iss, Scope, Aud string }
	if err := json.Unmarshal(claims, &said); err != nil || said.Iss != "sa@p.example" || said.Scope != channel.VertexScope || said.Aud != b.server.URL {
		t.Errorf("claims %s, %v", claims, err)
	}
	if r.PostForm.Get("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer" {
		t.Errorf("asked with %v", r.PostForm)
	}
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// account is the service account's key.
func (b *bench) account(t *testing.T) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(b.key)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(map[string]string{
		"type": "service_account", "project_id": "p", "private_key_id": "the-key-id", "client_email": "sa@p.example", "token_uri": b.server.URL,
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func (b *bench) want(t *testing.T, key, token string) {
	t.Helper()
	shown, ok, err := b.Exchange(t.Context(), b.channel, key, b.way)
	if !ok || err != nil || shown.Header != "Authorization" || shown.Value != "Bearer "+token || shown.Secret != token {
		t.Errorf("shown %+v, %v, %v; want %s", shown, ok, err, token)
	}
}

func TestAServiceAccountBuysATokenOnceForAll(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	key := b.account(t)
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() { b.want(t, key, "token-1") })
	}
	all.Wait()
	if n := b.asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
	b.ahead.Store(int64(56 * time.Minute))
	b.want(t, key, "token-1") // at once; the next is being fetched
	b.Settle()
	b.want(t, key, "token-2")
	b.Refused(b.channel, key, "token-2")
	b.want(t, key, "token-3")
	elsewhere := &channel.Channel{Kind: channel.Vertex, Network: channel.Network{CAPEM: "x"}}
	if shown, _, err := b.Exchange(t.Context(), elsewhere, key, b.way); err != nil || shown.Secret != "token-4" {
		t.Errorf("by another way %+v, %v", shown, err)
	}
}

func TestTheServersOwnCredentialsBuyATokenToo(t *testing.T) {
	b := newBench(t)
	file := filepath.Join(t.TempDir(), "credentials.json")
	if err := os.WriteFile(file, []byte(b.account(t)), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", file)
	b.want(t, channel.AmbientKey, "token-1")
	b.want(t, channel.AmbientKey, "token-1")
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", file+".not")
	b.Refused(b.channel, channel.AmbientKey, "token-1")
	_, ok, err := b.Exchange(t.Context(), b.channel, channel.AmbientKey, b.way)
	if refusal, isOne := errors.AsType[*provider.Refusal](err); !ok || !isOne || refusal.Reason != "the server has no Google credentials of its own" {
		t.Errorf("%v, %v", ok, err)
	}
}

func TestAnAPIKeyIsShownAsItIs(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	if _, ok, err := b.Exchange(t.Context(), b.channel, "AQ.Ab8RN6", b.way); ok || err != nil {
		t.Errorf("exchanged: %v, %v", ok, err)
	}
	if header, value := b.Authorize("AQ.Ab8RN6"); header != "X-Goog-Api-Key" || value != "AQ.Ab8RN6" {
		t.Errorf("%s: %s", header, value)
	}
}

func TestARefusalSaysWhyAndNeverTheKey(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		answer        http.HandlerFunc
		reason, cause string
	}{
		"a key that was deleted": {
			func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(http.StatusBadRequest)
				_, _ = io.WriteString(w, `{"error":"invalid_grant","error_description":"Invalid JWT Signature."}`)
			}, "Google gives no token: status 400 invalid_grant", "Invalid JWT Signature.",
		},
		"it is down":            {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }, "Google gives no token: status 503", "it does not say why"},
		"it sends us elsewhere": {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "http://127.0.0.1:1/", 307) }, "Google gives no token: status 307", "it does not say why"},
		"a token without an end": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"access_token":"t"}`)
		}, "no token", "does not say when"},
		"it hangs up": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "Google could not be asked for a token", "EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.answers(row.answer)
			_, _, err := b.Exchange(t.Context(), b.channel, b.account(t), b.way)
			refusal, ok := errors.AsType[*provider.Refusal](err)
			if !ok || refusal.Reason != row.reason || !strings.Contains(err.Error(), row.cause) || strings.Contains(err.Error(), "PRIVATE KEY") {
				t.Errorf("err = %v", err)
			}
		})
	}
}

func TestClosingEndsACallForATokenThatHangs(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	arrived := make(chan struct{})
	b.answers(func(_ http.ResponseWriter, r *http.Request) { close(arrived); <-r.Context().Done() })
	failed := make(chan error, 1)
	go func() {
		_, _, err := b.Exchange(context.Background(), b.channel, b.account(t), b.way)
		failed <- err
	}()
	<-arrived
	b.Close()
	if err := <-failed; err == nil {
		t.Error("there is a token")
	}
}

func TestATokenThatCannotBeReplacedIsLoggedWithoutTheKey(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	key := b.account(t)
	b.want(t, key, "token-1")
	b.answers(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) })
	b.ahead.Store(int64(56 * time.Minute))
	b.want(t, key, "token-1")
	b.Settle()
	if log := b.log.String(); !strings.Contains(log, "sa@p.example") || !strings.Contains(log, "status 503") || strings.Contains(log, "PRIVATE") || strings.Contains(log, "token-1") {
		t.Errorf("the log says %s", log)
	}
}
