package dialects_test

import (
	"bytes"
	"strings"

	"halley/internal/translate"
	"halley/internal/translate/chat"
	"halley/internal/translate/cohere"
	"halley/internal/translate/converse"
	"halley/internal/translate/gemini"
	"halley/internal/translate/messages"
	"halley/internal/translate/responses"
	"halley/test/fakeprovider"
	"halley/test/translatetest"
)

// dialect is one of the dialects with what its recordings need to be read.
type dialect struct {
	name translate.Dialect
	apis []string
	// model is asked when requests of other dialects come here.
	model string
	codec func(in fakeprovider.Interaction) translate.Codec
	plain func(any) any
	whole func([]translatetest.Happening) ([]byte, error)
	// less takes out of a gist what the dialect has no words for.
	less func(g *translatetest.Gist)
	// noMedia says that its answers are without images.
	noMedia bool
	// ends are what says in a stream that an answer is over; without it the stream
	// was cut.
	ends []string
	// last says that an event is the last of its answer, in recordings that hold
	// several answers behind each other.
	last func(h translatetest.Happening) bool
}

func always(c translate.Codec) func(fakeprovider.Interaction) translate.Codec {
	return func(fakeprovider.Interaction) translate.Codec { return c }
}

// speaks says that an interaction is of the dialect: of those with Bedrock's
// InvokeModel, which takes every model's own form, Claude's are.
func (d *dialect) speaks(in fakeprovider.Interaction) bool {
	return !strings.HasPrefix(in.API, "bedrock.invoke") || bytes.Contains(in.Request.Body, []byte(`"anthropic_version"`))
}

// ofClaude is the codec of the platform that a Messages interaction is with.
func ofClaude(in fakeprovider.Interaction) translate.Codec {
	if strings.HasPrefix(in.API, "bedrock.") {
		return messages.Codec{Platform: messages.Bedrock}
	}
	return messages.Codec{}
}

// text are the text dialects.
func text() []*dialect {
	return []*dialect{
		{
			name: translate.Chat, apis: []string{fakeprovider.Chat}, model: "gpt-5", codec: always(chat.Codec{}),
			plain: translatetest.PlainChat, whole: translatetest.WholeChat,
			ends: []string{`"finish_reason":"`, `"finish_reason": "`, `"error"`, "[DONE]"}, last: never,
		},
		{
			name: translate.Responses, apis: []string{"openai.responses", "openai.responses.input_tokens", "openai.responses.retrieve"}, model: "gpt-5",
			codec: always(responses.Codec{}), plain: translatetest.PlainResponses, whole: translatetest.WholeResponses,
			ends: []string{"response.completed", "response.incomplete", "response.failed"},
			last: contains(`"type":"response.completed"`, `"type":"response.incomplete"`, `"type":"response.failed"`),
		},
		{
			name: translate.Messages, apis: []string{"anthropic.messages", "anthropic.count_tokens", "bedrock.invoke", "bedrock.invokeStream"}, model: "claude-opus-4-6", codec: ofClaude,
			plain: translatetest.PlainMessages, whole: translatetest.WholeMessages, ends: []string{"message_stop"}, noMedia: true, last: contains(`"message_stop"`),
		},
		{
			name: translate.Gemini, apis: []string{"gemini.generateContent"}, model: "gemini-2.5-pro",
			codec: func(in fakeprovider.Interaction) translate.Codec { return gemini.Codec{Model: in.Model} },
			plain: translatetest.PlainGemini, whole: translatetest.WholeGemini, ends: []string{"finishReason", "blockReason"}, last: never,
		},
		{
			name: translate.Converse, apis: []string{"bedrock.converse", "bedrock.converseStream"}, model: "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
			codec: always(converse.Codec{}), plain: translatetest.PlainConverse, whole: translatetest.WholeConverse, ends: []string{"messageStop"}, noMedia: true, last: never,
			less: func(g *translatetest.Gist) { g.Usage.Reasoning = 0 },
		},
		{
			name: translate.Cohere, apis: []string{"cohere.chat_v2"}, model: "command-a-03-2025", codec: always(cohere.Codec{}),
			plain: translatetest.PlainCohere, whole: translatetest.WholeCohere, ends: []string{"message-end"}, noMedia: true, last: never,
			less: func(g *translatetest.Gist) { g.Usage.Reasoning, g.Usage.CachedRead = 0, 0 },
		},
	}
}

func never(translatetest.Happening) bool { return false }

func contains(marks ...string) func(translatetest.Happening) bool {
	return func(h translatetest.Happening) bool {
		for _, mark := range marks {
			if bytes.Contains(h.Data, []byte(mark)) {
				return true
			}
		}
		return false
	}
}
