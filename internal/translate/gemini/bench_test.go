package gemini_test

import (
	"fmt"
	"strings"
	"testing"

	"halley/internal/translate"
	"halley/internal/translate/chat"
	"halley/internal/translate/gemini"
)

// BenchmarkRequest reads and writes a request of 32 KB: a long conversation with
// tools, as agents have it.
func BenchmarkRequest(b *testing.B) {
	var turns []string
	for i := range 24 {
		turns = append(turns,
			`{"role":"user","parts":[{"text":"`+strings.Repeat("words and more ", 30)+`"}]}`,
			fmt.Sprintf(`{"role":"model","parts":[{"text":%q},{"functionCall":{"id":"c%d","name":"w","args":{"a":"b"}}}]}`, strings.Repeat("answer ", 40), i),
			fmt.Sprintf(`{"role":"user","parts":[{"functionResponse":{"id":"c%d","name":"w","response":{"output":%q}}}]}`, i, strings.Repeat("x", 300)))
	}
	var tools []string
	for i := range 10 {
		tools = append(tools, fmt.Sprintf(`{"name":"tool_%d","description":"does","parameters":{"type":"OBJECT","properties":{"a":{"type":"STRING"}}}}`, i))
	}
	body := []byte(`{"systemInstruction":{"parts":[{"text":"be brief"}]},"generationConfig":{"maxOutputTokens":100},"tools":[{"functionDeclarations":[` + strings.Join(tools, ",") + `]}],"contents":[` + strings.Join(turns, ",") + `]}`)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		c, err := gemini.Codec{}.DecodeRequest(body)
		if err != nil {
			b.Fatal(err)
		}
		c.From = translate.Chat // fitted to the model, which is more work
		if _, err := (gemini.Codec{}).EncodeRequest(c, translate.Target{Model: "gemini-3-flash"}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkChunk reads one chunk of a stream and writes it, in this dialect and in
// OpenAI's.
func BenchmarkChunk(b *testing.B) {
	chunk := []byte(`{"candidates": [{"content": {"parts": [{"text": " and some more words of an answer"}],"role": "model"},"index": 0}],"usageMetadata": {"promptTokenCount": 71,"candidatesTokenCount": 16,"totalTokenCount": 180,"promptTokensDetails": [{"modality": "TEXT","tokenCount": 71}],"thoughtsTokenCount": 93,"serviceTier": "standard"},"modelVersion": "gemini-3.5-flash","responseId": "FyIhav7bJNyw4-EP6eCsqA0"}`)
	next := []byte(strings.Replace(string(chunk), "180", "181", 1)) // usage changes with every chunk
	for name, codec := range map[string]translate.Client{"gemini": gemini.Codec{}, "chat": chat.Codec{}} {
		b.Run(name, func(b *testing.B) {
			d := gemini.Codec{}.DecodeStream()
			enc := codec.EncodeStream(&translate.Conversation{Model: "m", From: translate.Gemini})
			var out []byte
			emit := func(e translate.Event) { out = enc.Encode(out, e) }
			b.ReportAllocs()
			for b.Loop() {
				out = out[:0]
				if err := d.Decode("", chunk, emit); err != nil {
					b.Fatal(err)
				}
				chunk, next = next, chunk
			}
		})
	}
}
