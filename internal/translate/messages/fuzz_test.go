package messages_test

import (
	"bytes"
	"slices"
	"testing"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"halley/internal/jsonx"
	"halley/internal/translate"
	"halley/internal/translate/messages"
	"halley/test/translatetest"
)

// seeds are recorded bodies small enough to be worked on.
func seeds(f *testing.F, pick func(request, response []byte) []byte) {
	f.Helper()
	for _, in := range translatetest.Recordings(f, messagesAPI) {
		if seed := pick(in.Request.Body, in.Response.Body); len(seed) > 0 && len(seed) < 8<<10 {
			f.Add(seed)
		}
	}
}

// wellFormed says whether a text is JSON. What a body says twice, or in half a
// surrogate, is passed on as it came.
func wellFormed(text []byte) bool {
	r := jsonx.Read(text)
	r.Skip()
	return r.End() == nil
}

// platforms are all there are.
var platforms = [...]messages.Platform{messages.Direct, messages.Vertex, messages.Bedrock}

func FuzzDecodeRequest(f *testing.F) {
	seeds(f, func(request, _ []byte) []byte { return request })
	f.Fuzz(func(t *testing.T, body []byte) {
		c, err := messages.Codec{}.DecodeRequest(body)
		if err != nil {
			return
		}
		for _, from := range []translate.Dialect{translate.Messages, translate.Chat} {
			c.From = from
			for _, p := range platforms {
				for _, model := range []string{"claude-sonnet-4-0", "claude-opus-5-5"} {
					out, err := messages.Codec{Platform: p}.EncodeRequest(c, translate.Target{Model: model, Cap: 2000})
					if err == nil && !wellFormed(out) {
						t.Fatalf("not JSON: %s", out)
					}
				}
			}
			if _, err := (messages.Codec{}).EncodeCount(c, translate.Target{Model: "claude-opus-4-6"}); err != nil && from == translate.Messages {
				t.Fatalf("its own dialect is refused: %v", err)
			}
		}
	})
}

func FuzzDecodeAnswer(f *testing.F) {
	seeds(f, func(_, response []byte) []byte {
		if jsontext.Value(response).IsValid() {
			return response
		}
		return nil
	})
	f.Fuzz(func(t *testing.T, body []byte) {
		a, err := messages.Codec{}.DecodeAnswer(body)
		if err != nil {
			return
		}
		for _, from := range []translate.Dialect{translate.Messages, translate.Gemini} {
			a.From = from
			out, err := messages.Codec{}.EncodeAnswer(nil, a)
			if err != nil || !wellFormed(out) {
				t.Fatalf("%v: not JSON: %s", err, out)
			}
		}
	})
}

// FuzzDecodeStream reads a stream whose events are lines.
func FuzzDecodeStream(f *testing.F) {
	for _, s := range streams(f) {
		if body := bytes.Join(s.events, []byte("\n")); len(body) < 8<<10 {
			f.Add(body)
		}
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		list, err := run(stream{"", bytes.Split(body, []byte("\n"))})
		done := slices.ContainsFunc(list, func(e translate.Event) bool { return e.Kind == translate.Done })
		failed := slices.ContainsFunc(list, func(e translate.Event) bool { return e.Kind == translate.Fault })
		if done && failed || err == nil && !done && !failed {
			t.Fatalf("done %v, failed %v, error %v", done, failed, err)
		}
		if !done {
			return
		}
		for i := range list {
			if list[i].Kind == translate.Begin && len(body)%2 == 1 {
				list[i].From = translate.Responses
			}
		}
		checkGrammar(t, "fuzzed", streamed(list...))
	})
}

func FuzzDecodeFailure(f *testing.F) {
	for _, in := range translatetest.Recordings(f, messagesAPI) {
		if in.Response.Status >= 400 {
			f.Add(in.Response.Status, in.Response.Body)
		}
	}
	f.Add(400, []byte(`[{"error":{"message":"m"}}]`))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		failure := messages.Codec{}.DecodeFailure(status, body)
		if out := (messages.Codec{}).EncodeFailure(failure, "r"); !wellFormed(out) || !utf8.Valid(out) {
			t.Fatalf("not JSON: %q", out)
		}
	})
}
