package messages_test

import (
	"fmt"
	"strings"
	"testing"

	"halley/internal/translate"
	"halley/internal/translate/messages"
)

// BenchmarkRequest reads and writes a request of 32 KB: a long conversation with
// tools, as agents have it.
func BenchmarkRequest(b *testing.B) {
	var turns []string
	for i := range 24 {
		turns = append(turns,
			`{"role":"user","content":[{"type":"text","text":"`+strings.Repeat("words and more ", 30)+`"}]}`,
			fmt.Sprintf(`{"role":"assistant","content":[{"type":"text","text":%q},{"type":"tool_use","id":"toolu_%d","name":"w","input":{"a":"b"}}]}`, strings.Repeat("answer ", 40), i),
			fmt.Sprintf(`{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_%d","content":"%s"}]}`, i, strings.Repeat("x", 300)))
	}
	var tools []string
	for i := range 10 {
		tools = append(tools, fmt.Sprintf(`{"name":"tool_%d","description":"does","input_schema":{"type":"object","properties":{"a":{"type":"string"}}}}`, i))
	}
	body := []byte(`{"model":"claude-sonnet-4-5","max_tokens":100,"stream":true,"system":"be brief","tools":[` + strings.Join(tools, ",") + `],"messages":[` + strings.Join(turns, ",") + `]}`)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		c, err := messages.Codec{}.DecodeRequest(body)
		if err != nil {
			b.Fatal(err)
		}
		c.From = translate.Chat // fitted to the model, which is more work
		if _, err := (messages.Codec{}).EncodeRequest(c, translate.Target{Model: "claude-sonnet-4-5"}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkChunk reads and writes one delta of a stream.
func BenchmarkChunk(b *testing.B) {
	d := messages.Codec{}.DecodeStream()
	enc := messages.Codec{}.EncodeStream(nil)
	var out []byte
	emit := func(e translate.Event) { out = enc.Encode(out, e) }
	for _, data := range []string{
		`{"type":"message_start","message":{"type":"message","content":[]}}`,
		`{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`,
	} {
		if err := d.Decode("", []byte(data), emit); err != nil {
			b.Fatal(err)
		}
	}
	chunk := []byte(`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":" and some more words"}}`)
	b.ReportAllocs()
	for b.Loop() {
		out = out[:0]
		if err := d.Decode("content_block_delta", chunk, emit); err != nil {
			b.Fatal(err)
		}
	}
}
