package translatetest

import (
	"encoding/json"
)

// PlainResponses takes out of a body what makes no difference in the dialect: the
// allowed differences are
//
//   - members that are null or empty are absent;
//   - a content that is one plain text is a string, and an input that is a string
//     the user's message;
//   - an item without a type is a message, and a stream that is false is not said;
//   - times are whole, and log probabilities rounded: deltas say more digits than
//     what they end with.
func PlainResponses(body any) any {
	m, ok := plainResponses("", body).(map[string]any)
	if !ok {
		return body
	}
	if m["stream"] == false {
		delete(m, "stream")
	}
	if text, ok := m["input"].(string); ok {
		m["input"] = []any{map[string]any{"type": "message", "role": "user", "content": text}}
	}
	return m
}

func plainResponses(name string, v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		if _, ok := v["role"]; ok && v["type"] == nil {
			v["type"] = "message"
		}
		for k, member := range v {
			if n := plainResponses(k, member); n != nil {
				out[k] = n
			}
		}
		if len(out) == 0 && name != "schema" && name != "parameters" && name != "properties" {
			return nil
		}
		return out
	case []any:
		out := []any{}
		for _, element := range v {
			out = append(out, plainResponses("", element))
		}
		if len(out) == 0 && name != "output" && name != "content" && name != "input" {
			return nil
		}
		if (name == "content" || name == "output") && len(out) == 1 {
			if one, ok := out[0].(map[string]any); ok && len(one) == 2 && (one["type"] == "input_text" || one["type"] == "output_text") {
				return one["text"]
			}
		}
		return out
	case float64:
		if name == "created_at" || name == "logprob" { // deltas say more digits than what they end with
			return float64(int64(v))
		}
	case string:
		if v == "" && name != "arguments" && name != "text" && name != "instructions" && name != "output" && name != "content" {
			return nil
		}
	}
	return v
}

// WholeResponses is the response that a stream ends with, with the items that its
// events have brought: the last event may repeat none, and seals reasoning again.
func WholeResponses(list []Happening) (response []byte, err error) {
	var items []json.RawMessage
	for _, h := range list {
		var e struct {
			Type     string
			Item     json.RawMessage
			Response json.RawMessage
		}
		if json.Unmarshal(h.Data, &e) != nil {
			continue
		}
		if e.Type == "response.output_item.done" {
			items = append(items, e.Item)
		}
		if e.Type == "response.completed" || e.Type == "response.incomplete" {
			response = e.Response
			break // some recordings have several responses behind each other
		}
	}
	if response == nil || len(items) == 0 {
		return response, nil
	}
	var whole map[string]any
	if err := json.Unmarshal(response, &whole); err != nil {
		return nil, err
	}
	whole["output"] = items
	return json.Marshal(whole)
}

// AtLast takes out what of thoughts a stream tells only when they are done: that
// they are, and that there is nothing besides the summary.
func AtLast(response any) any {
	object, _ := response.(map[string]any)
	items, _ := object["output"].([]any)
	for _, item := range items {
		it, _ := item.(map[string]any)
		if content, _ := it["content"].([]any); it["type"] == "reasoning" {
			delete(it, "status")
			if len(content) == 0 {
				delete(it, "content")
			}
		}
	}
	return response
}
