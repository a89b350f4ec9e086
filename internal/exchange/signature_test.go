package exchange_test

import (
	"strings"
	"testing"

	"halley/internal/exchange"
	"halley/internal/translate"
	"halley/internal/translate/chat"
	"halley/internal/translate/gemini"
	"halley/internal/translate/messages"
	"halley/internal/translate/responses"
	"halley/internal/wire"
)

// Gemini 3 signs the texts of an answer too, in the last part or in one without
// words behind it. That is for models to read on their own thoughts; Google does
// not ask for it, and clients of other dialects have no place for it.
func TestAConversationWithSignedTextsGoesOn(t *testing.T) {
	t.Parallel()
	const signed = `{"candidates":[{"index":0,"content":{"role":"model","parts":[{"text":"It returns"},{"text":" in 2061.","thoughtSignature":"c2lnbmVk"},{"text":"","thoughtSignature":"YWxvbmU="}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":4,"totalTokenCount":7},"modelVersion":"gemini-3.1-pro-preview","responseId":"r1"}`
	for name, client := range map[string]struct {
		codec   translate.Codec
		dialect translate.Dialect
		ask     string
	}{
		"chat":      {chat.Codec{}, translate.Chat, `{"model":"public","messages":[{"role":"user","content":"When?"}]}`},
		"responses": {responses.Codec{}, translate.Responses, `{"model":"public","input":"When?"}`},
		"messages":  {messages.Codec{}, translate.Messages, `{"model":"public","max_tokens":100,"messages":[{"role":"user","content":"When?"}]}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := client.codec.DecodeRequest([]byte(client.ask))
			if err != nil {
				t.Fatal(err)
			}
			x := &exchange.Across{Conversation: c, Client: client.codec, Upstream: gemini.Codec{}, Model: "public"}
			if _, _, err := x.Body(wire.Changes{Model: "gemini-3.1-pro-preview"}, 100); err != nil {
				t.Fatal(err)
			}
			_, out, ok := x.Answer([]byte(signed))
			if !ok {
				t.Fatal("it is no answer")
			}
			s := x.Stream()
			stream := s.Take(nil, []byte("data: "+signed+"\n\n"))
			if stream = s.AppendEnd(stream); s.Progress().Failed || !strings.Contains(string(stream), "It returns") {
				t.Errorf("%s", stream)
			}

			answer, err := client.codec.DecodeAnswer(out)
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			c.Messages = append(c.Messages, translate.Message{Role: translate.Assistant, Parts: answer.Candidates[0].Parts}, translate.Message{Role: translate.User, Parts: []translate.Part{&translate.Text{Text: "Sure?"}}})
			next, err := client.codec.EncodeRequest(c, translate.Target{Model: "public"})
			if err != nil {
				t.Fatal(err)
			}
			if x.Conversation, err = client.codec.DecodeRequest(next); err != nil {
				t.Fatalf("%v: %s", err, next)
			}
			body, dropped, err := x.Body(wire.Changes{Model: "gemini-3.1-pro-preview"}, 100)
			if err != nil || len(dropped) > 0 {
				t.Fatalf("%v, %v is told", err, dropped)
			}
			asked, err := gemini.Codec{}.DecodeRequest(body)
			if err != nil || len(asked.Messages) != 3 {
				t.Fatalf("%v: %s", err, body)
			}
			var said strings.Builder
			for _, p := range asked.Messages[1].Parts {
				if text, ok := p.(*translate.Text); ok {
					said.WriteString(text.Text)
				}
			}
			if said.String() != "It returns in 2061." {
				t.Errorf("the model is told that it said %q", said.String())
			}
		})
	}
}
