package gateway_test

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"halley/internal/channel"
	"halley/internal/gateway"
	"halley/internal/group"
	"halley/internal/health"
	"halley/internal/provider/azure"
	"halley/internal/provider/token"
	"halley/internal/upstream"
)

// How Azure's streams begin and go on, as recorded.
const (
	azurePrelude = `data: {"choices":[],"created":0,"id":"","model":"","object":"","prompt_filter_results":[{"prompt_index":0,"content_filter_results":{"hate":{"filtered":false,"severity":"safe"}}}]}` + "\n\n"
	azureRole    = `data: {"choices":[{"content_filter_results":{},"delta":{"content":"","role":"assistant"},"finish_reason":null,"index":0,"logprobs":null}],"created":1714036975,"id":"chatcmpl-9H","model":"gpt-35-turbo","object":"chat.completion.chunk","system_fingerprint":null}` + "\n\n"
	azureText    = `data: {"choices":[{"content_filter_results":{"hate":{"filtered":false,"severity":"safe"}},"delta":{"content":"Why"},"finish_reason":null,"index":0,"logprobs":null}],"created":1714036975,"id":"chatcmpl-9H","model":"gpt-35-turbo","object":"chat.completion.chunk","system_fingerprint":null}` + "\n\n"
	azureLast    = `data: {"choices":[{"content_filter_results":{},"delta":{},"finish_reason":"stop","index":0,"logprobs":null}],"created":1714036975,"id":"chatcmpl-9H","model":"gpt-35-turbo","object":"chat.completion.chunk","system_fingerprint":null}` + "\n\n"
	azureUsage   = `data: {"choices":[],"created":1714036975,"id":"chatcmpl-9H","model":"gpt-35-turbo","object":"chat.completion.chunk","usage":{"completion_tokens":24,"prompt_tokens":15,"total_tokens":39}}` + "\n\n"
)

// atAzure makes the house's own channel one of the kind azure.
func atAzure(t *testing.T) func(*house) {
	t.Helper()
	return func(h *house) {
		first(h)
		h.channel.Kind, h.channel.BaseURL = channel.Azure, h.upstream.URL
	}
}

// withAzure gives the gateway what speaks to it.
func withAzure(t *testing.T, h *house) *house {
	t.Helper()
	prov := azure.New(token.Options{Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	t.Cleanup(prov.Close)
	h.Upstreams[channel.Azure] = gateway.Upstream{Provider: prov, Transport: upstream.NewTransport(channel.AddressPolicy{AllowAll: true})}
	return h
}

func TestADeploymentStreamsUnderItsPublicName(t *testing.T) {
	t.Parallel()
	h := withAzure(t, newHouse(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.URL.String() != "/openai/deployments/my-dep/chat/completions?api-version=2024-10-21" || r.Header.Get("Api-Key") != "upstream-secret" || r.Header["Authorization"] != nil {
			t.Errorf("%s with %v", r.URL, r.Header)
		}
		if !strings.Contains(string(body), `"include_usage":true`) {
			t.Errorf("usage is not asked for: %s", body)
		}
		streams(w, azurePrelude, azureRole, azureText, azureLast, azureUsage, done)
	}, atAzure(t), func(h *house) { h.channel.ModelMapping = mapping(t, "m", "my-dep") }))
	var c client
	h.do(t.Context(), streamedAsk, &c)
	want := strings.NewReplacer(`"model":""`, `"model":"m"`, `"model":"gpt-35-turbo"`, `"model":"m"`).Replace(azurePrelude+azureRole+azureText+azureLast) + done
	if c.status != 200 || c.body.String() != want {
		t.Errorf("client got %d %s", c.status, c.body.String())
	}
	if r := h.settled(); r.Tokens.Prompt != 15 || r.Tokens.Completion != 24 || r.ServedModel != "my-dep" {
		t.Errorf("record = %+v", r)
	}
}

func TestAStreamThatHasSaidNothingButHowItFiltersIsHadElsewhere(t *testing.T) {
	t.Parallel()
	for name, bad := range map[string]http.HandlerFunc{
		"it breaks off":   func(w http.ResponseWriter, _ *http.Request) { streams(w, azurePrelude); panic(http.ErrAbortHandler) },
		"it ends":         func(w http.ResponseWriter, _ *http.Request) { streams(w, azurePrelude) },
		"it fails":        func(w http.ResponseWriter, _ *http.Request) { streams(w, azurePrelude, theirError) },
		"it fails slowly": func(w http.ResponseWriter, _ *http.Request) { streams(w, azurePrelude); streams(w, theirError) },
		"it stalls":       func(w http.ResponseWriter, r *http.Request) { streams(w, azurePrelude); stalls(w, r) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked calls
			good := func(w http.ResponseWriter, _ *http.Request) { streams(w, chunk("a"), lastChunk, usageChunk, done) }
			h := withAzure(t, newHouse(t, bad, atAzure(t), asked.channel(t, 9, good, group.Default), tracked(t), func(h *house) { h.channel.Timeouts.Idle = 50 * time.Millisecond }))
			var c client
			h.do(t.Context(), streamedAsk, &c)
			if c.status != 200 || c.body.String() != chunk("a")+lastChunk+done {
				t.Errorf("client got %d %s", c.status, c.body.String())
			}
			if r := h.settled(); r.Attempts != 2 || r.ChannelID != 9 {
				t.Errorf("record = %+v", r)
			}
		})
	}
}

func TestADeploymentThatIsNotThereIsNoFaultOfTheClient(t *testing.T) {
	t.Parallel()
	const missing = `{"error":{"type":"invalid_request_error","code":"DeploymentNotFound","message":"The API deployment for this resource does not exist."}}`
	var asked calls
	h := withAzure(t, newHouse(t, answers(404, "application/json", missing), atAzure(t), asked.channel(t, 9, answers(200, "application/json", plainAnswer), group.Default), tracked(t)))
	var c client
	h.do(t.Context(), `{"model":"m"}`, &c)
	if want := []health.Class{health.Failed, health.Success}; c.status != 200 || !slices.Equal(h.outcomes, want) {
		t.Errorf("client got %d %s after %v", c.status, c.body.String(), h.outcomes)
	}
	h = withAzure(t, newHouse(t, answers(404, "application/json", missing), atAzure(t), tracked(t)))
	c = client{}
	if h.do(t.Context(), `{"model":"m"}`, &c); c.status != 404 || c.body.String() != missing {
		t.Errorf("alone the client gets %d %s", c.status, c.body.String())
	}
}

// entra gives the channel an application's credentials at an authority.
func entra(url string) func(*house) {
	return func(h *house) {
		h.channel.Azure.Authority = url
		h.channel.Credentials = []channel.Credential{{ID: "a", Value: "entra:tenant:client:application-secret"}}
	}
}

func TestAnApplicationWithoutATokenIsARefusedCredentialAndNot401(t *testing.T) {
	t.Parallel()
	authority := httptest.NewServer(answers(401, "application/json", `{"error":"invalid_client","error_description":"AADSTS7000215: application-secret"}`))
	defer authority.Close()
	unasked := func(http.ResponseWriter, *http.Request) { t.Error("the upstream was asked without a token") }
	var asked calls
	h := withAzure(t, newHouse(t, unasked, atAzure(t), entra(authority.URL), asked.channel(t, 9, answers(200, "application/json", plainAnswer), group.Default), tracked(t)))
	var c client
	h.do(t.Context(), `{"model":"m"}`, &c)
	if want := []health.Class{health.Credential, health.Success}; c.status != 200 || !slices.Equal(h.outcomes, want) {
		t.Errorf("client got %d after %v", c.status, h.outcomes)
	}
	view := h.health.Channel(time.Now(), h.channel.ID)
	if len(view.Targets) == 0 || view.Targets[0].State != health.Out || !strings.Contains(view.Targets[0].Reason, "Entra ID gives no token: status 401 invalid_client") {
		t.Errorf("health is %+v", view.Targets)
	}
	h = withAzure(t, newHouse(t, unasked, atAzure(t), entra(authority.URL), tracked(t)))
	c = client{}
	h.do(t.Context(), `{"model":"m"}`, &c)
	if body := c.body.String(); c.status != 502 || !strings.Contains(body, `"code":"upstream_error"`) || strings.Contains(body, "AADSTS") || strings.Contains(body, "application-secret") {
		t.Errorf("alone the client gets %d %s", c.status, body)
	}
}

func TestATokenThatIsRefusedIsNotShownAgain(t *testing.T) {
	t.Parallel()
	var tokens atomic.Int64
	authority := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"token_type":"Bearer","expires_in":3600,"access_token":"some-token-%d"}`, tokens.Add(1))
	}))
	defer authority.Close()
	h := withAzure(t, newHouse(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header["Api-Key"] != nil {
			t.Error("the application's secret went to the upstream")
		}
		token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		if token == "some-token-1" {
			answers(401, "application/json", `{"error":{"code":"401","message":"bad `+token+`"}}`)(w, r)
			return
		}
		answers(200, "application/json", strings.Replace(plainAnswer, "hi", "hi "+token, 1))(w, r)
	}, atAzure(t), entra(authority.URL)))
	var c client
	if h.do(t.Context(), `{"model":"m"}`, &c); c.status != 502 || strings.Contains(c.body.String(), "some-token") {
		t.Errorf("client got %d %s", c.status, c.body.String())
	}
	c = client{}
	if h.do(t.Context(), `{"model":"m"}`, &c); c.status != 200 || !strings.Contains(c.body.String(), "hi [redacted]") {
		t.Errorf("then it got %d %s", c.status, c.body.String())
	}
}

func TestAProxyThatRefusesUsIsNothingTheClientCanMend(t *testing.T) {
	t.Parallel()
	h := newHouse(t, answers(407, "text/plain", "who are you?"))
	var c client
	h.do(t.Context(), `{"model":"m"}`, &c)
	if c.status != 502 || strings.Contains(c.body.String(), "who are you") || !slices.Equal(slices.Compact(h.outcomes), []health.Class{health.Failed}) {
		t.Errorf("client got %d %s after %v", c.status, c.body.String(), h.outcomes)
	}
}

func TestARequestGoesByTheChannelsProxy(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.URL.Host != "upstream.example" {
			t.Errorf("asked for %s", r.URL)
		}
		answers(200, "application/json", plainAnswer)(w, r)
	}))
	defer proxy.Close()
	h := newHouse(t, func(http.ResponseWriter, *http.Request) { t.Error("called directly") }, func(h *house) {
		h.channel.BaseURL, h.channel.Network.Proxy.URL = "http://upstream.example/v1", proxy.URL
	})
	ways := upstream.NewTransports(channel.AddressPolicy{AllowAll: true})
	defer ways.Close()
	h.Networks = ways
	var c client
	if h.do(t.Context(), `{"model":"m"}`, &c); c.status != 200 || asked.Load() != 1 {
		t.Errorf("client got %d %s, the proxy was asked %d times", c.status, c.body.String(), asked.Load())
	}
}
