package converse_test

import (
	"bytes"
	"testing"
	"unicode/utf8"

	"halley/internal/jsonx"
	"halley/internal/translate"
	"halley/internal/translate/chat"
	"halley/internal/translate/converse"
	"halley/internal/translate/messages"
	"halley/test/translatetest"
)

// wellFormed says whether a text is JSON. What a body says twice, or in half a
// surrogate, is passed on as it came.
func wellFormed(text []byte) bool {
	r := jsonx.Read(text)
	r.Skip()
	return r.End() == nil
}

// small says whether a recorded body is small enough to be worked on.
func small(body []byte) bool { return len(body) > 0 && len(body) < 8<<10 }

func FuzzDecodeRequest(f *testing.F) {
	for _, in := range translatetest.Recordings(f, plainAPI, streamAPI) {
		if small(in.Request.Body) {
			f.Add(in.Request.Body)
		}
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		c, err := converse.Codec{}.DecodeRequest(body)
		if err != nil {
			return
		}
		out, err := converse.Codec{}.EncodeRequest(c, translate.Target{Model: sonnet})
		if err != nil || !wellFormed(out) {
			t.Fatalf("its own dialect gives %v: %s", err, out)
		}
		if _, err := (converse.Codec{}).DecodeRequest(out); err != nil {
			t.Fatalf("%v in %s", err, out)
		}
		c.From = translate.Chat
		for _, model := range models {
			if out, err := (converse.Codec{}).EncodeRequest(c, translate.Target{Model: model, Cap: 2000}); err == nil && !wellFormed(out) {
				t.Fatalf("not JSON: %s", out)
			}
		}
		c.From = translate.Converse
		for _, far := range []translate.Codec{chat.Codec{}, messages.Codec{}} {
			if out, err := far.EncodeRequest(c, translate.Target{Model: "m"}); err == nil && !wellFormed(out) {
				t.Fatalf("not JSON: %s", out)
			}
		}
	})
}

func FuzzDecodeAnswer(f *testing.F) {
	for _, in := range translatetest.Recordings(f, plainAPI) {
		if small(in.Response.Body) {
			f.Add(in.Response.Body)
		}
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		a, err := converse.Codec{}.DecodeAnswer(body)
		if err != nil {
			return
		}
		if u := a.Usage; u != nil && (u.Prompt < 0 || u.Completion < 0 || u.CachedRead > u.Prompt || u.CacheWrite1h+u.CacheWrite5m > u.Prompt) {
			t.Fatalf("usage %+v", *u)
		}
		for _, from := range []translate.Dialect{translate.Converse, translate.Gemini} {
			a.From = from
			out, err := converse.Codec{}.EncodeAnswer(nil, a)
			if err != nil || !wellFormed(out) {
				t.Fatalf("%v: not JSON: %s", err, out)
			}
		}
	})
}

// FuzzDecodeStream reads lines of a name and data, a blank between them.
func FuzzDecodeStream(f *testing.F) {
	for _, list := range streams(f) {
		var seed []byte
		for _, h := range list {
			seed = append(append(append(append(seed, h.Name...), ' '), h.Data...), '\n')
		}
		if small(seed) {
			f.Add(seed)
		}
	}
	f.Add([]byte("messageStart {}\ncontentBlockStart {\"start\":{\"toolUse\":{\"name\":\"hly_answer_in_format_value\"}}}\ncontentBlockDelta {\"delta\":{\"toolUse\":{\"input\":\"{\"}}}\nthrottlingException {}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		d := converse.Codec{}.DecodeStream()
		encoders := []translate.StreamEncoder{converse.Codec{}.EncodeStream(nil), messages.Codec{}.EncodeStream(nil)}
		var outs [2][]byte
		done, fault, open := false, false, 0
		emit := func(e translate.Event) {
			if done || fault {
				t.Fatalf("%v comes after the end", e.Kind)
			}
			switch e.Kind {
			case translate.PartBegin:
				open++
			case translate.PartEnd:
				open--
			case translate.Done:
				done = true
			case translate.Fault:
				fault = true
			}
			if open < 0 || open > 1 {
				t.Fatal("parts overlap")
			}
			for i, enc := range encoders {
				outs[i] = enc.Encode(outs[i], e)
			}
		}
		broken := false
		for line := range bytes.Lines(text) {
			name, data, _ := bytes.Cut(line, []byte(" "))
			if d.Decode(string(name), data, emit) != nil {
				broken = true
				break
			}
		}
		if !broken && d.End(emit) == nil && !done && !fault {
			t.Fatal("an end that is none")
		}
		for _, out := range outs {
			for event := range bytes.SplitSeq(out, []byte("\n\n")) {
				if _, data, ok := bytes.Cut(event, []byte("\ndata: ")); ok && !wellFormed(data) {
					t.Fatalf("not JSON: %s", event)
				}
			}
		}
	})
}

func FuzzDecodeFailure(f *testing.F) {
	for _, in := range translatetest.Recordings(f, plainAPI, streamAPI) {
		if in.Response.Status >= 400 {
			f.Add(in.Response.Status, in.Response.Body)
		}
	}
	f.Add(503, []byte("<html>"))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		failure := converse.Codec{}.DecodeFailure(status, body)
		if failure.Message == "" && len(body) > 0 || !utf8.ValidString(failure.Message) {
			t.Fatalf("message %q", failure.Message)
		}
		if out := (converse.Codec{}).EncodeFailure(failure, "id"); !wellFormed(out) {
			t.Fatalf("not JSON: %s", out)
		}
		if out := (converse.Codec{}).EncodeStream(nil).Fail(nil, failure, "id"); !bytes.HasSuffix(out, []byte("}\n\n")) {
			t.Fatalf("no event: %s", out)
		}
	})
}
