package azure_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"halley/internal/channel"
	"halley/internal/provider"
	"halley/internal/provider/azure"
	"halley/internal/provider/token"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestRequestsGoToTheDeploymentOrToTheV1API(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		base, version string
		op            provider.Operation
		want          string
	}{
		{"https://n.openai.azure.com", "", provider.Chat, "https://n.openai.azure.com/openai/deployments/my%20gpt/chat/completions?api-version=2024-10-21"},
		{"https://n.openai.azure.com/openai", "2025-04-01-preview", provider.Chat, "https://n.openai.azure.com/openai/deployments/my%20gpt/chat/completions?api-version=2025-04-01-preview"},
		{"https://n.openai.azure.com", "", provider.Embeddings, "https://n.openai.azure.com/openai/deployments/my%20gpt/embeddings?api-version=2024-10-21"},
		{"https://n.openai.azure.com", "", provider.Models, "https://n.openai.azure.com/openai/models?api-version=2024-10-21"},
		{"https://n.openai.azure.com/openai/v1", "", provider.Chat, "https://n.openai.azure.com/openai/v1/chat/completions"},
		{"https://n.services.ai.azure.com/openai/v1", "preview", provider.Embeddings, "https://n.services.ai.azure.com/openai/v1/embeddings?api-version=preview"},
		{"https://n.openai.azure.com/openai/v1", "", provider.Models, "https://n.openai.azure.com/openai/v1/models"},
		{"https://apim.example.com/team", "", provider.Chat, "https://apim.example.com/team/openai/deployments/my%20gpt/chat/completions?api-version=2024-10-21"},
	} {
		ch := &channel.Channel{Kind: channel.Azure, BaseURL: row.base, Azure: channel.AzureSettings{APIVersion: row.version}}
		if got := (&azure.Provider{}).URL(ch, provider.Call{Operation: row.op, Model: "my gpt"}); got != row.want {
			t.Errorf("%s %s: %s, want %s", row.base, row.op, got, row.want)
		}
	}
}

// The bodies are Azure's; those of 401 and 404 were recorded.
func TestErrorsAreOurCredentialsTheChannelsOrTheRequests(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		status int
		body   string
		want   provider.Class
	}{
		"a wrong key":                   {401, `{"error":{"code":"401","message":"Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key for an active subscription and use a correct regional API endpoint for your resource."}}`, provider.OfCredential},
		"a principal without the role":  {401, `{"error":{"code":"PermissionDenied","message":"The principal lacks the required data action"}}`, provider.OfCredential},
		"a network that may not call":   {403, `{"error":{"code":"403","message":"Access denied due to Virtual Network/Firewall rules."}}`, provider.OfCredential},
		"no such deployment":            {404, "{\n  \"error\": {\n    \"type\": \"invalid_request_error\",\n    \"code\": \"DeploymentNotFound\",\n    \"message\": \"The API deployment for this resource does not exist.\"\n  }\n}", provider.OfChannel},
		"no such address":               {404, `{"error":{"code":"404","message":"Resource not found"}}`, provider.OfChannel},
		"a version the model lacks":     {400, `{"error":{"code":"BadRequest","message":"Model o3 is enabled only for api versions 2024-12-01-preview and later"}}`, provider.OfChannel},
		"the content filter":            {400, `{"error":{"message":"The response was filtered due to the prompt triggering Azure OpenAI's content management policy.","type":null,"param":"prompt","code":"content_filter","status":400,"innererror":{"code":"ResponsibleAIPolicyViolation","content_filter_result":{"jailbreak":{"filtered":true,"detected":true}}}}}`, provider.OfRequest},
		"the filter on a talk of money": {400, `{"error":{"code":"content_filter","message":"insufficient balance"}}`, provider.OfRequest},
		"a bad request":                 {400, `{"error":{"message":"Unrecognized request argument supplied: x","type":"invalid_request_error","param":null,"code":null}}`, provider.OfRequest},
		"too fast":                      {429, `{"error":{"code":"429","message":"Requests to the ChatCompletions_Create Operation under Azure OpenAI API version 2024-02-01 have exceeded token rate limit."}}`, provider.OfRequest},
		"no quota":                      {429, `{"error":{"code":"insufficient_quota","message":"You exceeded your current quota"}}`, provider.OfBalance},
		"a fault of theirs":             {500, `{"error":{"code":"InternalServerError"}}`, provider.OfRequest},
	} {
		if got := (&azure.Provider{}).Classify(row.status, []byte(row.body)); got != row.want {
			t.Errorf("%s: class %d, want %d", name, got, row.want)
		}
	}
}

// authority is an Entra ID of its own.
type authority struct {
	*httptest.Server
	asked  atomic.Int64
	answer atomic.Pointer[http.HandlerFunc]
}

const secret = "the~secret:with.a:colon"

const application = "entra:contoso.example:11111111-2222:" + secret

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := a.asked.Add(1)
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		want := "client_credentials 11111111-2222 " + secret + " https://cognitiveservices.azure.com/.default"
		got := strings.Join([]string{r.PostForm.Get("grant_type"), r.PostForm.Get("client_id"), r.PostForm.Get("client_secret"), r.PostForm.Get("scope")}, " ")
		if r.URL.Path != "/contoso.example/oauth2/v2.0/token" || got != want {
			t.Errorf("asked at %s: %s", r.URL.Path, got)
		}
		if answer := a.answer.Load(); answer != nil {
			(*answer)(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"token_type":"Bearer","expires_in":3600,"ext_expires_in":3600,"access_token":"token-%d"}`, n)
	}))
	t.Cleanup(a.Close)
	return a
}

func (a *authority) answers(h http.HandlerFunc) { a.answer.Store(&h) }

// bench is a provider whose clock runs ahead.
type bench struct {
	*azure.Provider
	*authority
	channel *channel.Channel
	ahead   atomic.Int64 // nanoseconds
	way     *http.Transport
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
	b := &bench{authority: newAuthority(t), way: &http.Transport{}}
	b.Provider = azure.New(token.Options{
		Now: func() time.Time { return time.Now().Add(time.Duration(b.ahead.Load())) }, Log: slog.New(slog.NewTextHandler(&b.log, nil)),
	})
	t.Cleanup(func() { b.Provider.Close(); b.way.CloseIdleConnections() })
	b.channel = &channel.Channel{Kind: channel.Azure, Azure: channel.AzureSettings{Authority: b.URL()}}
	return b
}

// URL is the authority's; the provider has a method of that name as well.
func (b *bench) URL() string { return b.Server.URL }

func (b *bench) exchange(ctx context.Context) (string, error) {
	shown, ok, err := b.Exchange(ctx, b.channel, application, b.way)
	if !ok {
		return "", errors.New("it is not exchanged")
	}
	if err == nil && (shown.Header != "Authorization" || shown.Value != "Bearer "+shown.Secret) {
		err = fmt.Errorf("shown as %s: %s", shown.Header, shown.Value)
	}
	return shown.Secret, err
}

func (b *bench) want(t *testing.T, token string) {
	t.Helper()
	if got, err := b.exchange(t.Context()); err != nil || got != token {
		t.Errorf("the token is %q, %v; want %q", got, err, token)
	}
}

func TestAnAPIKeyIsShownAsItIs(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	if _, ok, err := b.Exchange(t.Context(), b.channel, "0123456789abcdef", b.way); ok || err != nil {
		t.Errorf("exchanged: %v, %v", ok, err)
	}
	if header, value := b.Authorize("0123456789abcdef"); header != "Api-Key" || value != "0123456789abcdef" {
		t.Errorf("%s: %s", header, value)
	}
}

func TestATokenIsFetchedOnceForAllWhoNeedIt(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	arrived, release := make(chan struct{}), make(chan struct{})
	b.answers(func(w http.ResponseWriter, _ *http.Request) {
		close(arrived)
		<-release
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"token_type":"Bearer","expires_in":3600,"access_token":"shared"}`)
	})
	impatient, leave := context.WithCancel(t.Context())
	left := make(chan error, 1)
	go func() { _, err := b.exchange(impatient); left <- err }()
	<-arrived
	leave()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("who leaves is told %v", err)
	}
	var others sync.WaitGroup
	for range 20 {
		others.Go(func() { b.want(t, "shared") })
	}
	close(release)
	others.Wait()
	b.want(t, "shared")
	if n := b.asked.Load(); n != 1 {
		t.Errorf("the authority was asked %d times", n)
	}
}

func TestATokenIsReplacedBeforeItEndsAndNobodyWaits(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.want(t, "token-1")
	b.ahead.Store(int64(54 * time.Minute))
	b.want(t, "token-1")
	if n := b.asked.Load(); n != 1 {
		t.Errorf("it was replaced %d minutes early", n)
	}
	b.ahead.Store(int64(56 * time.Minute))
	b.want(t, "token-1") // at once; the next is being fetched
	b.Settle()
	b.want(t, "token-2")
}

func TestAReplacementThatFailsLeavesTheOldTokenAsLongAsItIsGood(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.want(t, "token-1")
	b.answers(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	b.ahead.Store(int64(56 * time.Minute))
	b.want(t, "token-1")
	b.Settle()
	b.want(t, "token-1")
	if n := b.asked.Load(); n != 2 {
		t.Errorf("the authority was asked %d times, want no storm", n)
	}
	if log := b.log.String(); !strings.Contains(log, "status 503") || strings.Contains(log, secret) {
		t.Errorf("the log says %s", log)
	}
	b.ahead.Store(int64(61 * time.Minute))
	if _, err := b.exchange(t.Context()); err == nil {
		t.Error("a token that has ended still serves")
	}
}

func TestARefusalSaysWhyAndNeverTheSecret(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		answer http.HandlerFunc
		reason string
		cause  string
	}{
		"a wrong secret": {
			func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(http.StatusUnauthorized)
				_, _ = fmt.Fprintf(w, `{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret provided: %s","trace_id":"x"}`, secret)
			}, "Entra ID gives no token: status 401 invalid_client", "AADSTS7000215: Invalid client secret provided: [redacted]",
		},
		"it is down": {
			func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503); _, _ = io.WriteString(w, secret) },
			"Entra ID gives no token: status 503", "it does not say why",
		},
		"it sends us elsewhere": {
			func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusTemporaryRedirect)
			}, "Entra ID gives no token: status 307", "it does not say why",
		},
		"a token without an end": {
			func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				_, _ = io.WriteString(w, `{"token_type":"Bearer","access_token":"t"}`)
			}, "no token from Entra ID", "does not say when",
		},
		"it hangs up": {
			func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
			"Entra ID could not be asked for a token", "EOF",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.answers(row.answer)
			_, err := b.exchange(t.Context())
			refusal, ok := errors.AsType[*provider.Refusal](err)
			if !ok || refusal.Reason != row.reason || !strings.Contains(err.Error(), row.cause) || strings.Contains(err.Error(), secret) {
				t.Errorf("err = %v", err)
			}
			if _, again := b.exchange(t.Context()); again == nil || b.asked.Load() != 1 {
				t.Errorf("asked at once again: %d times, %v", b.asked.Load(), again)
			}
			b.answers(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				_, _ = io.WriteString(w, `{"token_type":"Bearer","expires_in":3600,"access_token":"good"}`)
			})
			b.ahead.Store(int64(3 * time.Second))
			b.want(t, "good")
		})
	}
}

func TestATokenThatTheUpstreamRefusesIsForgottenOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.want(t, "token-1")
	b.Refused(b.channel, application, "token-1")
	b.want(t, "token-2")
	b.Refused(b.channel, application, "token-1") // a late answer to the old one
	b.want(t, "token-2")
}

func TestClosingEndsACallForATokenThatHangs(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	arrived := make(chan struct{})
	b.answers(func(_ http.ResponseWriter, r *http.Request) { close(arrived); <-r.Context().Done() })
	failed := make(chan error, 1)
	go func() { _, err := b.exchange(context.Background()); failed <- err }()
	<-arrived
	b.Provider.Close()
	if err := <-failed; err == nil {
		t.Error("there is a token")
	}
}

func TestCredentialsThatAreNotWrittenWellAreRefusedWithoutACall(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for _, key := range []string{"entra:", "entra:t:c", "entra:t:c:", "entra:../x:c:s", "entra:..:c:s", "entra::c:s"} {
		_, ok, err := b.Exchange(t.Context(), b.channel, key, b.way)
		if refusal, isOne := errors.AsType[*provider.Refusal](err); !ok || !isOne || refusal.Reason == "" {
			t.Errorf("%s: %v, %v", key, ok, err)
		}
	}
	if b.asked.Load() != 0 {
		t.Error("the authority was asked")
	}
}
