package fakeprovider

import "strings"

// chatSpeech is OpenAI's chat completions, with the members that DeepSeek, xAI
// and others add for reasoning.
//
// https://platform.openai.com/docs/api-reference/chat
type chatSpeech struct{}

func (chatSpeech) read(path string, body node) (a Asked, known bool) {
	a.Model, a.Stream = body.at("model").text(), body.at("stream").yes()
	a.Usage = body.at("stream_options", "include_usage").yes()
	for _, m := range body.at("messages").elements() {
		switch m.at("role").text() {
		case "user":
			a.hear(m.at("content").plain())
			for _, part := range m.at("content").elements() {
				if part.at("type").text() == "image_url" {
					a.Images = append(a.Images, dataURL(part.at("image_url", "url").text()))
				}
			}
		case "assistant":
			for _, c := range m.at("tool_calls").elements() {
				a.Called = append(a.Called, ToolCall{c.at("id").text(), c.at("function", "name").text(), c.at("function", "arguments").text()})
			}
		case "tool":
			a.Results = append(a.Results, Result{ID: m.at("tool_call_id").text(), Text: m.at("content").plain()})
		}
	}
	for _, t := range body.at("tools").elements() {
		a.offer(t.at("function", "name").text(), t.at("function", "parameters").raw())
	}
	a.Forced = body.at("tool_choice", "function", "name").text()
	if body.at("tool_choice").text() == "required" {
		a.forceAny()
	}
	a.Schema = body.at("response_format", "json_schema", "schema").raw()
	effort := body.at("reasoning_effort").text()
	a.Thinks, a.Shown = effort != "" && effort != "none", true
	return a, strings.HasSuffix(path, "/chat/completions")
}

func (s chatSpeech) whole(t *turn) any {
	message := object{"role": "assistant", "content": nil, "refusal": nil}
	if t.Text != "" {
		message["content"] = t.Text
	}
	if t.Thoughts != "" {
		message["reasoning_content"] = t.Thoughts
	}
	calls := list{}
	for _, c := range t.Calls {
		calls = append(calls, object{"id": c.ID, "type": "function", "function": object{"name": c.Name, "arguments": c.Arguments}})
	}
	if len(calls) > 0 {
		message["tool_calls"] = calls
	}
	return object{
		"id": scriptID, "object": "chat.completion", "created": scriptCreated, "model": t.Model,
		"choices": list{object{"index": 0, "message": message, "logprobs": nil, "finish_reason": s.finish(t)}},
		"usage":   s.usage(),
	}
}

func (s chatSpeech) begin(t *turn) [][]byte {
	events := [][]byte{s.delta(t, object{"role": "assistant", "content": ""}, nil)}
	for _, piece := range pieces(t.Thoughts) {
		events = append(events, s.delta(t, object{"reasoning_content": piece}, nil))
	}
	return events
}

func (s chatSpeech) say(t *turn, text string) []byte {
	return s.delta(t, object{"content": text}, nil)
}

func (s chatSpeech) end(t *turn) [][]byte {
	var events [][]byte
	for i, c := range t.Calls {
		events = append(events, s.delta(t, object{"tool_calls": list{object{
			"index": i, "id": c.ID, "type": "function", "function": object{"name": c.Name, "arguments": ""},
		}}}, nil))
		for _, piece := range pieces(c.Arguments) {
			events = append(events, s.delta(t, object{"tool_calls": list{object{"index": i, "function": object{"arguments": piece}}}}, nil))
		}
	}
	events = append(events, s.delta(t, object{}, s.finish(t)))
	if t.Usage {
		events = append(events, event("", s.chunk(t, list{}, s.usage())))
	}
	return append(events, []byte("data: [DONE]\n\n"))
}

func (chatSpeech) failure(status int, message string) any {
	kind := "invalid_request_error"
	if status >= 500 {
		kind = "server_error"
	}
	return object{"error": object{"message": message, "type": kind, "param": nil, "code": statusCode(status)}}
}

func (s chatSpeech) broken(*turn) []byte { return event("", s.failure(503, brokenMessage)) }

func (chatSpeech) finish(t *turn) string {
	if len(t.Calls) > 0 {
		return "tool_calls"
	}
	return "stop"
}

func (s chatSpeech) delta(t *turn, delta object, finish any) []byte {
	return event("", s.chunk(t, list{object{"index": 0, "delta": delta, "logprobs": nil, "finish_reason": finish}}, nil))
}

func (chatSpeech) chunk(t *turn, choices list, usage any) object {
	chunk := object{"id": scriptID, "object": "chat.completion.chunk", "created": scriptCreated, "model": t.Model, "choices": choices}
	if t.Usage {
		chunk["usage"] = usage
	}
	return chunk
}

func (chatSpeech) usage() object {
	return object{
		"prompt_tokens": ScriptPromptTokens, "completion_tokens": ScriptCompletionTokens, "total_tokens": ScriptPromptTokens + ScriptCompletionTokens,
		"prompt_tokens_details":     object{"cached_tokens": ScriptCachedTokens},
		"completion_tokens_details": object{"reasoning_tokens": ScriptReasoningTokens},
	}
}
