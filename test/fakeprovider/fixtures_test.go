package fakeprovider_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"halley/internal/usage"
	"halley/test/fakeprovider"
)

func TestEveryChatAndEmbeddingsRecordingLoads(t *testing.T) {
	t.Parallel()
	lib := fakeprovider.Fixtures(t)
	type tally struct{ Plain, Streamed, Errors, Handwritten, WithUsage int }
	got := map[string]tally{}
	for _, in := range lib.MustLoad(t, fakeprovider.OfAPI(fakeprovider.Chat, fakeprovider.Embeddings)) {
		n := got[in.API]
		switch {
		case in.Stream:
			n.Streamed++
		default:
			n.Plain++
		}
		if in.Status >= 400 {
			n.Errors++
		}
		if in.Authenticity != "recorded" {
			n.Handwritten++
		}
		if _, ok := in.Usage(); ok {
			n.WithUsage++
		}
		got[in.API] = n

		if in.HasRequest != (in.Request.Body != nil) {
			t.Errorf("%s: the manifest says has_request=%v, the file has %d bytes", in.File, in.HasRequest, len(in.Request.Body))
		}
		if in.Request.Body != nil && !json.Valid(in.Request.Body) {
			t.Errorf("%s: the request body is not JSON", in.File)
		}
		if in.Stream != in.Response.IsSSE() {
			t.Errorf("%s: stream=%v, but the response as an event stream is %v", in.File, in.Stream, in.Response.IsSSE())
		}
		if in.Status != in.Response.Status {
			t.Errorf("%s: the manifest says status %d, the file %d", in.File, in.Status, in.Response.Status)
		}
	}
	want := map[string]tally{
		fakeprovider.Chat:       {Plain: 439, Streamed: 110, Errors: 18, Handwritten: 9, WithUsage: 494},
		fakeprovider.Embeddings: {Plain: 32, Errors: 5, WithUsage: 27},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("recordings (-want +got):\n%s", diff)
	}
}

// One recording for every way in which a provider reports usage; the figures
// were read from the recordings by eye.
func TestUsageIsReadInEverySpelling(t *testing.T) {
	t.Parallel()
	lib := fakeprovider.Fixtures(t)
	rows := []struct {
		name, file string
		want       usage.Tokens
	}{
		{"plain, with audio input", "openai/openai.chat/audio/openai-audio-url-input--0.json",
			usage.Tokens{Prompt: 81, AudioIn: 69, Completion: 72}},
		{"plain, every detail", "openai/openai.chat/caching/token-counts--0.json",
			usage.Tokens{Prompt: 20, CachedRead: 1, AudioIn: 2, Completion: 4, Reasoning: 3, AudioOut: 4}},
		{"plain, cache write", "openai/openai.chat/text/openai-chat-prompt-cache-e2e--0.json",
			usage.Tokens{Prompt: 4020, CacheWrite5m: 4012, Completion: 4}},
		{"plain, read and written both", "openrouter/openai.chat/caching/openrouter-cache-instructions-gemini-real-api--0.json",
			usage.Tokens{Prompt: 2168, CachedRead: 2161, CacheWrite5m: 2161, Completion: 100}},
		{"plain, num_cached_tokens alone", "mistral/openai.chat/tool_call/multimodal-tool-return-matrix-direct-binary-audio-mistral--0.json",
			usage.Tokens{Prompt: 64, CachedRead: 32, Completion: 6}},
		{"plain, top-level cached_tokens", "handwritten/moonshotai/openai.chat/thinking/moonshotai-reasoning--0.json",
			usage.Tokens{Prompt: 20, CachedRead: 10, Completion: 30, Reasoning: 22}},
		{"plain, reasoning beside completion", "xai/openai.chat/caching/xai-tool-call--0.json",
			usage.Tokens{Prompt: 307, CachedRead: 244, Completion: 26 + 255, Reasoning: 255}},
		{"streamed, reasoning beside completion", "xai/openai.chat/caching-stream/xai-tool-call--0.json",
			usage.Tokens{Prompt: 307, CachedRead: 306, Completion: 26 + 227, Reasoning: 227}},
		{"streamed, growing in every chunk", "perplexity/openai.chat/text-stream/perplexity-citations--0.json",
			usage.Tokens{Prompt: 10, Completion: 336}},
		{"streamed, before an error", "openrouter/openai.chat/error_mid_stream-stream/openrouter-stream-error--0.json",
			usage.Tokens{Prompt: 43, Completion: 10, Reasoning: 11}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			in := lib.MustLoad(t, func(m fakeprovider.Meta) bool { return m.File == row.file })[0]
			got, ok := in.Usage()
			if !ok {
				t.Fatal("reports no usage")
			}
			if diff := cmp.Diff(row.want, got); diff != "" {
				t.Errorf("usage (-want +got):\n%s", diff)
			}
		})
	}
}

func TestGroqReportsUsageOfItsOwn(t *testing.T) {
	t.Parallel()
	in := fakeprovider.Interaction{
		Meta: fakeprovider.Meta{API: fakeprovider.Chat},
		Response: fakeprovider.Response{
			Headers: map[string]string{"content-type": "text/event-stream"},
			Body: []byte("data: {\"choices\":[{\"index\":0}],\"usage\":null}\n\n" +
				"data: {\"choices\":[{\"index\":0}],\"x_groq\":{\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2,\"total_tokens\":5}}}\n\n" +
				"data: [DONE]\n\n"),
		},
	}
	got, ok := in.Usage()
	if want := (usage.Tokens{Prompt: 3, Completion: 2}); !ok || got != want {
		t.Errorf("usage = %+v, %v, want %+v", got, ok, want)
	}
}

func TestErrorsReportNoUsage(t *testing.T) {
	t.Parallel()
	lib := fakeprovider.Fixtures(t)
	for _, in := range lib.MustLoad(t, func(m fakeprovider.Meta) bool {
		return fakeprovider.OfAPI(fakeprovider.Chat, fakeprovider.Embeddings)(m) && m.Status >= 400
	}) {
		if got, ok := in.Usage(); ok {
			t.Errorf("%s: status %d reports %+v", in.File, in.Status, got)
		}
	}
}
