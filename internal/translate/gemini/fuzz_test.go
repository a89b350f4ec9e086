package gemini_test

import (
	"bytes"
	"testing"
	"unicode/utf8"

	"halley/internal/jsonx"
	"halley/internal/translate"
	"halley/internal/translate/chat"
	"halley/internal/translate/gemini"
	"halley/internal/translate/messages"
	"halley/test/translatetest"
)

// seeds are recorded bodies small enough to be worked on.
func seeds(f *testing.F, pick func(request, response []byte) []byte) {
	f.Helper()
	for _, in := range translatetest.Recordings(f, generateAPI) {
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

func FuzzDecodeRequest(f *testing.F) {
	seeds(f, func(request, _ []byte) []byte { return request })
	f.Fuzz(func(t *testing.T, body []byte) {
		c, err := gemini.Codec{}.DecodeRequest(body)
		if err != nil {
			return
		}
		own, err := gemini.Codec{}.EncodeRequest(c, translate.Target{Model: "m"})
		if err != nil {
			t.Fatalf("its own dialect is refused: %v", err)
		}
		if !wellFormed(own) {
			t.Fatalf("not JSON: %s", own)
		}
		if _, err := (gemini.Codec{}).DecodeRequest(own); err != nil {
			t.Fatalf("%v in %s", err, own)
		}
		c.From = translate.Chat
		for _, model := range []string{"gemini-2.0-flash", "gemini-2.5-pro", "gemini-3-flash"} {
			for _, vertex := range []bool{false, true} {
				if out, err := (gemini.Codec{Vertex: vertex}).EncodeRequest(c, translate.Target{Model: model, Cap: 9}); err == nil && !wellFormed(out) {
					t.Fatalf("not JSON: %s", out)
				}
			}
		}
	})
}

func FuzzDecodeAnswer(f *testing.F) {
	seeds(f, func(_, response []byte) []byte { return response })
	f.Fuzz(func(t *testing.T, body []byte) {
		a, err := gemini.Codec{}.DecodeAnswer(body)
		if err != nil {
			return
		}
		for _, from := range []translate.Dialect{translate.Gemini, translate.Chat} {
			a.From = from
			if out, err := (gemini.Codec{}).EncodeAnswer(nil, a); err != nil || !wellFormed(out) {
				t.Fatalf("not JSON: %s %v", out, err)
			}
		}
	})
}

func FuzzDecodeStream(f *testing.F) {
	seeds(f, func(_, response []byte) []byte {
		if !bytes.HasPrefix(response, []byte("data:")) {
			return nil
		}
		return response
	})
	f.Fuzz(func(t *testing.T, body []byte) {
		if !utf8.Valid(body) {
			return
		}
		d := gemini.Codec{}.DecodeStream()
		client := &translate.Conversation{Model: "m"}
		encoders := []translate.StreamEncoder{
			gemini.Codec{}.EncodeStream(client), gemini.Codec{Array: true}.EncodeStream(client), chat.Codec{}.EncodeStream(client), messages.Codec{}.EncodeStream(client),
		}
		outs := make([][]byte, len(encoders))
		var a translate.Assembler
		emit := func(e translate.Event) {
			a.Add(e)
			for i, enc := range encoders {
				outs[i] = enc.Encode(outs[i], e)
			}
		}
		for event := range bytes.SplitSeq(body, []byte("\n\n")) {
			if d.Decode("", bytes.TrimPrefix(event, []byte("data: ")), emit) != nil {
				return
			}
		}
		if d.End(emit) != nil {
			if _, whole, _ := a.Answer(); whole {
				t.Fatal("an error, and yet a whole answer")
			}
			return
		}
		if len(outs[1]) > 0 && !wellFormed(outs[1]) {
			t.Fatalf("not JSON: %s", outs[1])
		}
		for event := range bytes.SplitSeq(bytes.TrimSuffix(outs[0], []byte("\r\n\r\n")), []byte("\r\n\r\n")) {
			if data, ok := bytes.CutPrefix(event, []byte("data: ")); ok && !wellFormed(data) {
				t.Fatalf("not JSON: %s", data)
			}
		}
	})
}

func FuzzDecodeFailure(f *testing.F) {
	seeds(f, func(_, response []byte) []byte { return response })
	f.Add([]byte(`[{"error":{"code":429,"message":"Slow down.","status":"RESOURCE_EXHAUSTED","details":[{"reason":"X"},7]}}]`))
	f.Fuzz(func(t *testing.T, body []byte) {
		failure := gemini.Codec{}.DecodeFailure(0, body)
		if failure.Status < 400 || failure.Kind == "" {
			t.Fatalf("%+v", failure)
		}
		if out := (gemini.Codec{}).EncodeFailure(failure, "r"); !wellFormed(out) {
			t.Fatalf("not JSON: %s", out)
		}
	})
}
