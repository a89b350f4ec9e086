package cohere_test

import (
	"bytes"
	"slices"
	"testing"

	"halley/internal/jsonx"
	"halley/internal/translate"
	"halley/internal/translate/cohere"
	"halley/test/translatetest"
)

func wellFormed(text []byte) bool {
	r := jsonx.Read(text)
	r.Skip()
	return r.End() == nil
}

func FuzzDecodeRequest(f *testing.F) {
	for _, in := range translatetest.Recordings(f, chatAPI) {
		if in.Request.Body != nil {
			f.Add(in.Request.Body)
		}
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		c, err := cohere.Codec{}.DecodeRequest(body)
		if err != nil {
			return
		}
		for _, from := range []translate.Dialect{translate.Cohere, translate.Chat} {
			c.From = from
			out, err := cohere.Codec{}.EncodeRequest(c, translate.Target{Model: "command-a", Cap: 2})
			if err != nil && from == translate.Cohere {
				t.Fatalf("its own dialect is refused: %v", err)
			}
			if err == nil && !wellFormed(out) {
				t.Fatalf("not JSON: %s", out)
			}
		}
	})
}

func FuzzDecodeAnswer(f *testing.F) {
	for _, in := range translatetest.Recordings(f, chatAPI) {
		if !in.Response.IsSSE() {
			f.Add(in.Response.Body)
		}
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		a, err := cohere.Codec{}.DecodeAnswer(body)
		if err != nil {
			return
		}
		for _, from := range []translate.Dialect{translate.Cohere, translate.Chat} {
			a.From = from
			if out, err := (cohere.Codec{}).EncodeAnswer(nil, a); err != nil || !wellFormed(out) {
				t.Fatalf("%v: not JSON: %s", err, out)
			}
		}
	})
}

// FuzzDecodeStream reads a stream whose events are lines.
func FuzzDecodeStream(f *testing.F) {
	for _, s := range streams(f) {
		f.Add(bytes.Join(s.events, []byte("\n")))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		list, err := run(bytes.Split(body, []byte("\n")))
		done := slices.ContainsFunc(list, func(e translate.Event) bool { return e.Kind == translate.Done })
		failed := slices.ContainsFunc(list, func(e translate.Event) bool { return e.Kind == translate.Fault })
		if done && failed || err == nil && !done && !failed {
			t.Fatalf("done %v, failed %v, error %v", done, failed, err)
		}
		if !done {
			return
		}
		enc := cohere.Codec{}.EncodeStream(nil)
		var out []byte
		for _, e := range list {
			out = enc.Encode(out, e)
		}
		named(t, out)
	})
}

func FuzzDecodeFailure(f *testing.F) {
	f.Add(404, []byte(`{"id":"x","message":"no such model"}`))
	f.Add(502, []byte(`<html>`))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		failure := cohere.Codec{}.DecodeFailure(status, body)
		if out := (cohere.Codec{}).EncodeFailure(failure, "r"); !wellFormed(out) {
			t.Fatalf("not JSON: %q", out)
		}
	})
}
