package fakeprovider

import (
	"encoding/json"
	"strconv"
	"strings"
)

// responsesSpeech is OpenAI's Responses.
//
// https://platform.openai.com/docs/api-reference/responses
//
// A tool in a namespace has both names with a slash between them, in what is
// asked and in what is answered. A call whose arguments are no object is one of a
// custom tool, and one of tool_search the client's search for more tools.
type responsesSpeech struct{}

func (responsesSpeech) read(path string, body node) (a Asked, known bool) {
	a.Model, a.Stream, a.Usage = body.at("model").text(), body.at("stream").yes(), true
	if words := body.at("input").text(); words != "" {
		a.hear(words)
	}
	for _, item := range body.at("input").elements() {
		switch kind := item.at("type").text(); {
		case item.at("role").text() == "user":
			a.hear(item.at("content").plain())
			for _, part := range item.at("content").elements() {
				if part.at("type").text() == "input_image" {
					a.Images = append(a.Images, dataURL(part.at("image_url").text()))
				}
			}
		case kind == "function_call":
			a.Called = append(a.Called, ToolCall{item.at("call_id").text(), spacedName(item), item.at("arguments").text()})
		case kind == "custom_tool_call":
			a.Called = append(a.Called, ToolCall{item.at("call_id").text(), spacedName(item), item.at("input").text()})
		case kind == "tool_search_call":
			a.Called = append(a.Called, ToolCall{item.at("call_id").text(), toolSearch, string(item.at("arguments").raw())})
		case kind == "function_call_output" || kind == "custom_tool_call_output":
			a.Results = append(a.Results, Result{ID: item.at("call_id").text(), Text: item.at("output").plain()})
		case kind == "tool_search_output":
			a.Results = append(a.Results, Result{ID: item.at("call_id").text(), Text: string(item.at("tools").raw())})
			offerAll(&a, item.at("tools"), "")
		case kind == "additional_tools":
			offerAll(&a, item.at("tools"), "")
		case kind == "reasoning":
			a.Signatures = append(a.Signatures, item.at("encrypted_content").text())
		}
	}
	offerAll(&a, body.at("tools"), "")
	if body.at("tool_choice", "type").text() == "function" {
		a.Forced = body.at("tool_choice", "name").text()
	} else if body.at("tool_choice").text() == "required" {
		a.forceAny()
	}
	a.Schema = body.at("text", "format", "schema").raw()
	effort := body.at("reasoning", "effort").text()
	a.Thinks, a.Shown = effort != "" && effort != "none", body.at("reasoning", "summary").exists()
	return a, strings.HasSuffix(path, "/responses")
}

// toolSearch is the tool with which a client lets the model look for more.
const toolSearch = "tool_search"

func spacedName(item node) string {
	if space := item.at("namespace").text(); space != "" {
		return space + "/" + item.at("name").text()
	}
	return item.at("name").text()
}

func offerAll(a *Asked, tools node, space string) {
	for _, t := range tools.elements() {
		name := t.at("name").text()
		switch {
		case t.at("type").text() == "namespace":
			offerAll(a, t.at("tools"), name+"/")
		case t.at("type").text() == toolSearch:
			a.offer(toolSearch, t.at("parameters").raw())
		case name != "":
			a.offer(space+name, t.at("parameters").raw())
		}
	}
}

func (s responsesSpeech) whole(t *turn) any {
	return s.response(t, "completed", s.items(t))
}

func (s responsesSpeech) begin(t *turn) [][]byte {
	start := s.response(t, "in_progress", list{})
	events := [][]byte{
		s.event(t, "response.created", object{"response": start}),
		s.event(t, "response.in_progress", object{"response": start}),
	}
	if s.thought(t) {
		empty := object{"id": "rs_script", "type": "reasoning", "summary": list{}}
		events = append(events, s.event(t, "response.output_item.added", object{"output_index": 0, "item": empty}))
		if t.Thoughts != "" {
			events = append(events, s.summary(t)...)
		}
		events = append(events, s.event(t, "response.output_item.done", object{"output_index": 0, "item": s.reasoning(t)}))
	}
	if t.Text != "" {
		item := object{"id": "msg_script", "type": "message", "status": "in_progress", "role": "assistant", "content": list{}}
		events = append(events, s.event(t, "response.output_item.added", object{"output_index": s.index(t), "item": item}),
			s.event(t, "response.content_part.added", s.place(t), object{"part": s.part("")}))
	}
	return events
}

// summary are the events of the one part that thoughts are told in.
func (s responsesSpeech) summary(t *turn) [][]byte {
	place := object{"item_id": "rs_script", "output_index": 0, "summary_index": 0}
	events := [][]byte{s.event(t, "response.reasoning_summary_part.added", place, object{"part": object{"type": "summary_text", "text": ""}})}
	for _, piece := range pieces(t.Thoughts) {
		events = append(events, s.event(t, "response.reasoning_summary_text.delta", place, object{"delta": piece}))
	}
	return append(events,
		s.event(t, "response.reasoning_summary_text.done", place, object{"text": t.Thoughts}),
		s.event(t, "response.reasoning_summary_part.done", place, object{"part": object{"type": "summary_text", "text": t.Thoughts}}))
}

func (s responsesSpeech) say(t *turn, text string) []byte {
	return s.event(t, "response.output_text.delta", s.place(t), object{"delta": text, "logprobs": list{}})
}

func (s responsesSpeech) end(t *turn) [][]byte {
	var events [][]byte
	next := s.index(t)
	if t.Text != "" {
		events = append(events,
			s.event(t, "response.output_text.done", s.place(t), object{"text": t.Text, "logprobs": list{}}),
			s.event(t, "response.content_part.done", s.place(t), object{"part": s.part(t.Text)}),
			s.event(t, "response.output_item.done", object{"output_index": next, "item": s.message(t)}))
		next++
	}
	for i, c := range t.Calls {
		item := s.call(i, c)
		if item["type"] != "function_call" { // which come whole here
			events = append(events, s.event(t, "response.output_item.added", object{"output_index": next, "item": item}),
				s.event(t, "response.output_item.done", object{"output_index": next, "item": item}))
			next++
			continue
		}
		item["arguments"], item["status"] = "", "in_progress"
		place := object{"item_id": item["id"], "output_index": next}
		events = append(events, s.event(t, "response.output_item.added", object{"output_index": next, "item": item}))
		for _, piece := range pieces(c.Arguments) {
			events = append(events, s.event(t, "response.function_call_arguments.delta", place, object{"delta": piece}))
		}
		events = append(events, s.event(t, "response.function_call_arguments.done", place, object{"name": c.Name, "arguments": c.Arguments}),
			s.event(t, "response.output_item.done", object{"output_index": next, "item": s.call(i, c)}))
		next++
	}
	return append(events, s.event(t, "response.completed", object{"response": s.response(t, "completed", s.items(t))}))
}

func (responsesSpeech) failure(status int, message string) any {
	return chatSpeech{}.failure(status, message)
}

func (s responsesSpeech) broken(t *turn) []byte {
	failed := s.response(t, "failed", list{})
	failed["error"] = object{"code": "server_error", "message": brokenMessage}
	return s.event(t, "response.failed", object{"response": failed})
}

// event is an event with its number; its members are those of all the objects.
func (responsesSpeech) event(t *turn, name string, members ...object) []byte {
	data := object{"type": name, "sequence_number": t.events}
	t.events++
	for _, m := range members {
		for k, v := range m {
			data[k] = v
		}
	}
	return event(name, data)
}

func (s responsesSpeech) items(t *turn) list {
	items := list{}
	if s.thought(t) {
		items = append(items, s.reasoning(t))
	}
	if t.Text != "" {
		items = append(items, s.message(t))
	}
	for i, c := range t.Calls {
		items = append(items, s.call(i, c))
	}
	return items
}

// thought is whether there is an item of reasoning, be it without a summary.
func (responsesSpeech) thought(t *turn) bool { return t.Thoughts != "" || t.Signature != "" }

func (responsesSpeech) reasoning(t *turn) object {
	summary := list{}
	if t.Thoughts != "" {
		summary = list{object{"type": "summary_text", "text": t.Thoughts}}
	}
	return object{"id": "rs_script", "type": "reasoning", "summary": summary, "encrypted_content": t.Signature}
}

func (s responsesSpeech) message(t *turn) object {
	return object{"id": "msg_script", "type": "message", "status": "completed", "role": "assistant", "content": list{s.part(t.Text)}}
}

func (responsesSpeech) part(text string) object {
	return object{"type": "output_text", "text": text, "annotations": list{}, "logprobs": list{}}
}

func (responsesSpeech) call(i int, c ToolCall) object {
	item := object{"id": "fc_script_" + strconv.Itoa(i), "status": "completed", "call_id": c.ID}
	if c.Name == toolSearch {
		item["type"], item["execution"], item["arguments"] = "tool_search_call", "client", json.RawMessage(c.Arguments)
		return item
	}
	item["name"] = c.Name
	if space, name, ok := strings.Cut(c.Name, "/"); ok {
		item["namespace"], item["name"] = space, name
	}
	if strings.HasPrefix(strings.TrimSpace(c.Arguments), "{") || c.Arguments == "" {
		item["type"], item["arguments"] = "function_call", c.Arguments
	} else {
		item["type"], item["input"] = "custom_tool_call", c.Arguments
	}
	return item
}

// index is the text's place among the items: reasoning comes first.
func (s responsesSpeech) index(t *turn) int {
	if s.thought(t) {
		return 1
	}
	return 0
}

func (s responsesSpeech) place(t *turn) object {
	return object{"item_id": "msg_script", "output_index": s.index(t), "content_index": 0}
}

func (responsesSpeech) response(t *turn, status string, items list) object {
	r := object{
		"id": "resp_script", "object": "response", "created_at": scriptCreated, "status": status, "model": t.Model, "output": items,
		"error": nil, "incomplete_details": nil, "instructions": nil, "metadata": object{}, "parallel_tool_calls": true,
		"temperature": 1, "top_p": 1, "tool_choice": "auto", "tools": list{}, "usage": nil,
	}
	if status == "completed" {
		r["usage"] = object{
			"input_tokens": ScriptPromptTokens, "input_tokens_details": object{"cached_tokens": ScriptCachedTokens},
			"output_tokens": ScriptCompletionTokens, "output_tokens_details": object{"reasoning_tokens": ScriptReasoningTokens},
			"total_tokens": ScriptPromptTokens + ScriptCompletionTokens,
		}
	}
	return r
}
