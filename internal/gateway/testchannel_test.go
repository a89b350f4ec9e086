package gateway_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"halley/internal/fault"
)

func TestATestShowsWhatCameBackWithoutSecrets(t *testing.T) {
	t.Parallel()
	padding := strings.Repeat("x", 995) // so that cutting would leave half of the key
	for name, row := range map[string]struct {
		upstream http.HandlerFunc
		stream   bool
		ok       bool
		message  string
		answer   string
	}{
		"text":           {answers(200, "application/json", plainAnswer), false, true, "", "hi"},
		"reasoning only": {answers(200, "application/json", `{"choices":[{"message":{"content":null,"reasoning_content":"Hm"}}]}`), false, true, "", "Hm"},
		"no text":        {answers(200, "application/json", `{"choices":[]}`), false, true, "", `{"choices":[]}`},
		"a stream": {func(w http.ResponseWriter, _ *http.Request) {
			streams(w, azurePrelude, chunk("a"), chunk("b"), lastChunk, done)
		}, true, true, "", "ab"},
		"a stream that fails":      {func(w http.ResponseWriter, _ *http.Request) { streams(w, theirError) }, true, false, strings.TrimSpace(theirError) + "\n\n", strings.TrimSpace(theirError) + "\n\n"},
		"a stream that breaks off": {func(w http.ResponseWriter, _ *http.Request) { streams(w, chunk("a")) }, true, false, "The stream broke off before its end: " + chunk("a"), "a"},
		"nothing but an end":       {func(w http.ResponseWriter, _ *http.Request) { streams(w, done) }, true, false, "The answer is not an event stream: " + done, done},
		"an object of its own":     {answers(200, "application/json", `{"code":500,"msg":"no"}`), false, false, `The answer is none: {"code":500,"msg":"no"}`, `{"code":500,"msg":"no"}`},
		"no stream":                {answers(200, "application/json", plainAnswer), true, false, "The answer is not an event stream: " + plainAnswer, plainAnswer},
		"an error":                 {answers(401, "application/json", `{"error":"bad key upstream-secret"}`), false, false, "bad key [redacted]", `{"error":"bad key [redacted]"}`},
		"an error in a 200":        {answers(200, "application/json", `{"error":{"message":"m"}}`), false, false, "m", `{"error":{"message":"m"}}`},
		"no JSON":                  {answers(200, "text/html", "<html>"), false, false, "The answer is not a JSON object: <html>", "<html>"},
		"an error without a body":  {answers(500, "", ""), false, false, "The answer has no body.", ""},
		"a secret at the cut":      {answers(400, "", padding+"upstream-secret"), false, false, padding + "[reda", padding + "[reda"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, row.upstream)
			got, err := h.TestChannel(t.Context(), h.channel, "m", row.stream)
			if err != nil || got.OK != row.ok || got.Message != row.message || got.Answer != row.answer {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}

func TestTheUpstreamsModelsAreListed(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		upstream http.HandlerFunc
		want     []string
		message  string
	}{
		"as OpenAI does":   {answers(200, "application/json", `{"object":"list","data":[{"id":"b"},{"id":"a","object":"model"},{"id":"b"},{"name":"?"}]}`), []string{"a", "b"}, ""},
		"as a bare list":   {answers(200, "application/json", `[{"id":"x/y"}]`), []string{"x/y"}, ""},
		"none":             {answers(200, "application/json", `{"data":[]}`), []string{}, ""},
		"a refusal":        {answers(401, "application/json", `{"error":"no upstream-secret"}`), nil, `status 401: {"error":"no [redacted]"}`},
		"something else":   {answers(200, "text/html", `<html>`), nil, "not a list of models: <html>"},
		"nobody is there":  {resets, nil, "cannot be listed"},
		"an endless error": {answers(500, "", strings.Repeat("e", 600)), nil, "status 500: " + strings.Repeat("e", 500)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, row.upstream)
			got, err := h.UpstreamModels(t.Context(), h.channel)
			if row.message == "" {
				if diff := cmp.Diff(row.want, got); diff != "" || err != nil {
					t.Errorf("%v %s", err, diff)
				}
				return
			}
			f := fault.From(err)
			if f.Kind != fault.BadGateway || !strings.Contains(f.Message, row.message) || strings.Contains(f.Message, "upstream-secret") {
				t.Errorf("err = %v", err)
			}
		})
	}
}
