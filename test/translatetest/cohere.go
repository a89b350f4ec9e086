package translatetest

import (
	"encoding/json"
)

// PlainCohere takes out of a body what makes no difference in the dialect, so that two
// bodies can be compared. These are the allowed differences:
//
//   - content that is a string is one text part;
//   - stream that is false, and a member that is null, is absent;
//   - arguments that are "null" are "{}".
func PlainCohere(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for name, member := range v {
			member = PlainCohere(member)
			switch {
			case name == "content":
				if text, ok := member.(string); ok && v["role"] != nil {
					member = []any{map[string]any{"type": "text", "text": text}}
				}
			case name == "stream" && member == false:
				continue
			case name == "arguments" && member == "null":
				member = "{}"
			}
			if member != nil {
				out[name] = member
			}
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = PlainCohere(v[i])
		}
		return out
	}
	return v
}

// WholeCohere puts a stream together the way Cohere's reference says.
func WholeCohere(list []Happening) ([]byte, error) {
	message := map[string]any{"role": "assistant"}
	answer := map[string]any{"message": message}
	for _, h := range list {
		if string(h.Data) == "[DONE]" {
			continue
		}
		e, err := object(h.Data)
		if err != nil {
			return nil, err
		}
		delta, _ := e["delta"].(map[string]any)
		piece, _ := delta["message"].(map[string]any)
		last := func(list string) map[string]any {
			all := message[list].([]any)
			return all[len(all)-1].(map[string]any)
		}
		add := func(to map[string]any, name string, v any) {
			old, _ := to[name].(string)
			to[name] = old + v.(string)
		}
		grow := func(list string, v any) {
			all, _ := message[list].([]any)
			message[list] = append(all, v)
		}
		switch e["type"] {
		case "message-start":
			answer["id"] = e["id"]
		case "content-start":
			grow("content", piece["content"])
		case "content-delta":
			for name, v := range piece["content"].(map[string]any) {
				add(last("content"), name, v)
			}
		case "tool-plan-delta":
			add(message, "tool_plan", piece["tool_plan"])
		case "tool-call-start":
			grow("tool_calls", piece["tool_calls"])
		case "tool-call-delta":
			add(last("tool_calls")["function"].(map[string]any), "arguments", piece["tool_calls"].(map[string]any)["function"].(map[string]any)["arguments"])
		case "tool-call-end":
			if f := last("tool_calls")["function"].(map[string]any); f["arguments"] == "" {
				f["arguments"] = "{}"
			}
		case "citation-start":
			grow("citations", piece["citations"])
		case "message-end":
			answer["finish_reason"], answer["usage"] = delta["finish_reason"], delta["usage"]
		}
	}
	return json.Marshal(answer)
}
