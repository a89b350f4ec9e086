package chat_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"halley/internal/translate"
	"halley/internal/translate/chat"
	"halley/test/translatetest"
)

func TestARequestKeepsTheFormThatItsClientGaveIt(t *testing.T) {
	t.Parallel()
	for name, rest := range map[string]string{
		"a user by both names":        `"user":"u","safety_identifier":"s","messages":[{"role":"user","content":"a"}]`,
		"refusals in two places":      `"messages":[{"role":"assistant","content":[{"type":"refusal","refusal":"no"}]},{"role":"assistant","content":null,"refusal":"never"},{"role":"user","content":"a"}]`,
		"texts in a list":             `"messages":[{"role":"assistant","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},{"role":"user","content":"c"}]`,
		"a call without arguments":    `"messages":[{"role":"assistant","tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":""}}]},{"role":"tool","tool_call_id":"c","content":"r"}]`,
		"a picture that a model made": `"messages":[{"role":"assistant","content":"a","images":[{"type":"image_url","image_url":{"url":"https://a.b/c.png"},"index":0}]},{"role":"user","content":"c"}]`,
		"a picture by a bare URL":     `"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url","image_url":"https://a.b/c.png"}]}]`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body := []byte(`{"model":"m",` + rest + `}`)
			c, err := chat.Codec{}.DecodeRequest(body)
			if err != nil {
				t.Fatal(err)
			}
			out, err := chat.Codec{}.EncodeRequest(c, translate.Target{Model: "m"})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(translatetest.PlainChat(translatetest.Parse(t, body)), translatetest.PlainChat(translatetest.Parse(t, out))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAnAnswerKeepsItsPartsOfOtherKinds(t *testing.T) {
	t.Parallel()
	for name, message := range map[string]string{
		"Mistral's references": `{"role":"assistant","content":[{"type":"text","text":"a"},{"type":"reference","reference_ids":[1]},{"type":"text","text":"b"}]}`,
		"pictures":             `{"role":"assistant","content":"a","images":[{"type":"image_url","image_url":{"url":"https://a.b/c.png"},"index":0}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body := []byte(`{"id":"x","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":` + message + `,"finish_reason":"stop"}]}`)
			a, err := chat.Codec{}.DecodeAnswer(body)
			if err != nil {
				t.Fatal(err)
			}
			out, err := chat.Codec{}.EncodeAnswer(&translate.Conversation{From: translate.Chat}, a)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(translatetest.PlainChat(translatetest.Parse(t, body)), translatetest.PlainChat(translatetest.Parse(t, out))); diff != "" {
				t.Error(diff)
			}
		})
	}
}
