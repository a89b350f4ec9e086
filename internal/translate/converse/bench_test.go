package converse_test

import (
	"fmt"
	"strings"
	"testing"

	"halley/internal/translate"
	"halley/internal/translate/chat"
	"halley/internal/translate/converse"
)

// BenchmarkRequest puts a request of 32 KB of a chat client into Converse: a long
// conversation with tools, as agents have it.
func BenchmarkRequest(b *testing.B) {
	var turns []string
	for i := range 24 {
		turns = append(turns,
			`{"role":"user","content":"`+strings.Repeat("words and more ", 30)+`"}`,
			fmt.Sprintf(`{"role":"assistant","content":%q,"tool_calls":[{"id":"call_%d","type":"function","function":{"name":"w","arguments":"{\"a\":\"b\"}"}}]}`, strings.Repeat("answer ", 40), i),
			fmt.Sprintf(`{"role":"tool","tool_call_id":"call_%d","content":"%s"}`, i, strings.Repeat("x", 300)))
	}
	body := []byte(`{"model":"m","stream":true,"tools":[{"type":"function","function":{"name":"w","parameters":{"type":"object"}}}],"messages":[` + strings.Join(turns, ",") + `]}`)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		c, err := chat.Codec{}.DecodeRequest(body)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := (converse.Codec{}).EncodeRequest(c, translate.Target{Model: sonnet}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkChunk brings one delta of a stream to a chat client.
func BenchmarkChunk(b *testing.B) {
	d := converse.Codec{}.DecodeStream()
	enc := chat.Codec{}.EncodeStream(&translate.Conversation{})
	var out []byte
	emit := func(e translate.Event) { out = enc.Encode(out, e) }
	if err := d.Decode("messageStart", []byte(`{"role":"assistant"}`), emit); err != nil {
		b.Fatal(err)
	}
	chunk := []byte(`{"contentBlockIndex":0,"delta":{"text":" and some more words"},"p":"abcdefghijklmnopqrstuvwxyz"}`)
	b.ReportAllocs()
	for b.Loop() {
		out = out[:0]
		if err := d.Decode("contentBlockDelta", chunk, emit); err != nil {
			b.Fatal(err)
		}
	}
}
