package fakeprovider

import (
	"encoding/json"
	"strings"
)

// messagesSpeech is Anthropic's Messages.
//
// https://docs.claude.com/en/api/messages
type messagesSpeech struct{}

func (messagesSpeech) read(path string, body node) (a Asked, known bool) {
	a.Model, a.Stream, a.Usage = body.at("model").text(), body.at("stream").yes(), true
	for _, m := range body.at("messages").elements() {
		content := m.at("content")
		switch m.at("role").text() {
		case "user":
			if words := content.plain(); words != "" {
				a.hear(words)
			}
			for _, b := range content.elements() {
				source := b.at("source")
				switch b.at("type").text() {
				case "image":
					a.Images = append(a.Images, Picture{MIME: source.at("media_type").text(), Base64: source.at("data").text(), URL: source.at("url").text()})
				case "tool_result":
					a.Results = append(a.Results, Result{ID: b.at("tool_use_id").text(), Text: b.at("content").plain()})
				}
			}
		case "assistant":
			for _, b := range content.elements() {
				switch b.at("type").text() {
				case "tool_use":
					a.Called = append(a.Called, ToolCall{b.at("id").text(), b.at("name").text(), string(b.at("input").raw())})
				case "thinking":
					a.Signatures = append(a.Signatures, b.at("signature").text())
				}
			}
		}
	}
	for _, t := range body.at("tools").elements() {
		a.offer(t.at("name").text(), t.at("input_schema").raw())
	}
	switch body.at("tool_choice", "type").text() {
	case "tool":
		a.Forced = body.at("tool_choice", "name").text()
	case "any":
		a.forceAny()
	}
	a.Schema = body.at("output_config", "format", "schema").raw()
	if a.Schema == nil {
		a.Schema = body.at("output_format", "schema").raw() // of the beta
	}
	thinking := body.at("thinking")
	a.Thinks = thinking.at("type").text() == "enabled" || thinking.at("type").text() == "adaptive"
	a.Shown = thinking.at("display").text() != "omitted"
	return a, strings.HasSuffix(path, "/messages")
}

func (s messagesSpeech) whole(t *turn) any {
	content := list{}
	if t.Thoughts != "" {
		content = append(content, object{"type": "thinking", "thinking": t.Thoughts, "signature": t.Signature})
	}
	if t.Text != "" {
		content = append(content, object{"type": "text", "text": t.Text})
	}
	for _, c := range t.Calls {
		content = append(content, object{"type": "tool_use", "id": c.ID, "name": c.Name, "input": json.RawMessage(c.Arguments)})
	}
	m := s.message(t)
	m["content"], m["stop_reason"], m["usage"] = content, s.stop(t), s.usage(ScriptCompletionTokens)
	return m
}

func (s messagesSpeech) begin(t *turn) [][]byte {
	m := s.message(t)
	m["usage"] = s.usage(1)
	events := [][]byte{event("message_start", object{"type": "message_start", "message": m})}
	if t.Thoughts != "" {
		events = append(events, s.open(0, object{"type": "thinking", "thinking": "", "signature": ""}))
		for _, piece := range pieces(t.Thoughts) {
			events = append(events, s.delta(0, object{"type": "thinking_delta", "thinking": piece}))
		}
		events = append(events, s.delta(0, object{"type": "signature_delta", "signature": t.Signature}), s.shut(0))
	}
	events = append(events, event("ping", object{"type": "ping"}))
	if t.Text != "" {
		events = append(events, s.open(s.index(t), object{"type": "text", "text": ""}))
	}
	return events
}

func (s messagesSpeech) say(t *turn, text string) []byte {
	return s.delta(s.index(t), object{"type": "text_delta", "text": text})
}

func (s messagesSpeech) end(t *turn) [][]byte {
	var events [][]byte
	next := s.index(t)
	if t.Text != "" {
		events = append(events, s.shut(next))
		next++
	}
	for _, c := range t.Calls {
		events = append(events, s.open(next, object{"type": "tool_use", "id": c.ID, "name": c.Name, "input": object{}}))
		for _, piece := range append([]string{""}, pieces(c.Arguments)...) {
			events = append(events, s.delta(next, object{"type": "input_json_delta", "partial_json": piece}))
		}
		events = append(events, s.shut(next))
		next++
	}
	return append(events,
		event("message_delta", object{"type": "message_delta", "delta": object{"stop_reason": s.stop(t), "stop_sequence": nil}, "usage": s.usage(ScriptCompletionTokens)}),
		event("message_stop", object{"type": "message_stop"}))
}

func (messagesSpeech) failure(status int, message string) any {
	kind := map[int]string{
		400: "invalid_request_error", 401: "authentication_error", 402: "billing_error", 403: "permission_error", 404: "not_found_error",
		413: "request_too_large", 429: "rate_limit_error", 503: "overloaded_error", 529: "overloaded_error",
	}[status]
	if kind == "" {
		kind = "api_error"
	}
	return object{"type": "error", "error": object{"type": kind, "message": message}, "request_id": "req_script"}
}

func (s messagesSpeech) broken(*turn) []byte {
	return event("error", s.failure(529, brokenMessage))
}

// index is the text's block: thoughts come first.
func (messagesSpeech) index(t *turn) int {
	if t.Thoughts != "" {
		return 1
	}
	return 0
}

func (messagesSpeech) message(t *turn) object {
	return object{"id": "msg_script", "type": "message", "role": "assistant", "model": t.Model, "content": list{}, "stop_reason": nil, "stop_sequence": nil}
}

func (messagesSpeech) stop(t *turn) string {
	if len(t.Calls) > 0 {
		return "tool_use"
	}
	return "end_turn"
}

func (messagesSpeech) open(index int, block object) []byte {
	return event("content_block_start", object{"type": "content_block_start", "index": index, "content_block": block})
}

func (messagesSpeech) delta(index int, delta object) []byte {
	return event("content_block_delta", object{"type": "content_block_delta", "index": index, "delta": delta})
}

func (messagesSpeech) shut(index int) []byte {
	return event("content_block_stop", object{"type": "content_block_stop", "index": index})
}

func (messagesSpeech) usage(output int) object {
	u := object{
		"input_tokens": ScriptPromptTokens - ScriptCachedTokens, "cache_read_input_tokens": ScriptCachedTokens, "cache_creation_input_tokens": 0,
		"output_tokens": output,
	}
	if output == ScriptCompletionTokens {
		u["output_tokens_details"] = object{"thinking_tokens": ScriptReasoningTokens}
	}
	return u
}
