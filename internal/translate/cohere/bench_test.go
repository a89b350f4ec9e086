package cohere_test

import (
	"fmt"
	"strings"
	"testing"

	"halley/internal/translate"
	"halley/internal/translate/chat"
	"halley/internal/translate/cohere"
)

// BenchmarkRequest reads a request of 32 KB, and writes it as one of another dialect.
func BenchmarkRequest(b *testing.B) {
	var turns []string
	for i := range 24 {
		turns = append(turns,
			`{"role":"user","content":"`+strings.Repeat("words and more ", 30)+`"}`,
			fmt.Sprintf(`{"role":"assistant","content":%q,"tool_calls":[{"id":"call_%d","type":"function","function":{"name":"w","arguments":"{\"a\":\"b\"}"}}]}`, strings.Repeat("answer ", 40), i),
			fmt.Sprintf(`{"role":"tool","tool_call_id":"call_%d","content":"%s"}`, i, strings.Repeat("x", 300)))
	}
	body := []byte(`{"model":"m","max_tokens":100,"stream":true,"messages":[` + strings.Join(turns, ",") + `]}`)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		c, err := cohere.Codec{}.DecodeRequest(body)
		if err != nil {
			b.Fatal(err)
		}
		c.From = translate.Chat
		if _, err := (cohere.Codec{}).EncodeRequest(c, translate.Target{Model: "command-a"}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkChunk brings one of Cohere's deltas to a chat client.
func BenchmarkChunk(b *testing.B) {
	d := cohere.Codec{}.DecodeStream()
	enc := chat.Codec{}.EncodeStream(&translate.Conversation{})
	var out []byte
	emit := func(e translate.Event) { out = enc.Encode(out, e) }
	for _, data := range []string{
		`{"type":"message-start","id":"m","delta":{"message":{"role":"assistant"}}}`,
		`{"type":"content-start","index":0,"delta":{"message":{"content":{"type":"text","text":""}}}}`,
	} {
		if err := d.Decode("", []byte(data), emit); err != nil {
			b.Fatal(err)
		}
	}
	chunk := []byte(`{"type":"content-delta","index":0,"delta":{"message":{"content":{"text":" and some more words"}}}}`)
	b.ReportAllocs()
	for b.Loop() {
		out = out[:0]
		if err := d.Decode("content-delta", chunk, emit); err != nil {
			b.Fatal(err)
		}
	}
}
