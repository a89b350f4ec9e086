package translatetest

import (
	"encoding/json"
)

// PlainMessages takes out of a body what makes no difference in the dialect, so that two
// bodies can be compared. These are the allowed differences:
//
//   - content and system that are a string are one text block;
//   - a member that is null is absent;
//   - is_error, stream and disable_parallel_tool_use that are false are absent;
//   - a description that is empty is absent;
//   - an empty list of citations or of blocks is absent.
func PlainMessages(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for name, member := range v {
			member = PlainMessages(member)
			switch name {
			case "content", "system":
				if text, ok := member.(string); ok && v["type"] != "compaction" {
					member = []any{map[string]any{"type": "text", "text": text}}
				}
				if list, ok := member.([]any); ok && len(list) == 0 {
					continue
				}
			case "is_error", "stream", "disable_parallel_tool_use":
				if member == false {
					continue
				}
			case "description":
				if member == "" {
					continue
				}
			case "citations":
				if list, ok := member.([]any); ok && len(list) == 0 {
					continue
				}
			}
			if member != nil {
				out[name] = member
			}
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = PlainMessages(v[i])
		}
		return out
	}
	return v
}

// WholeMessages puts a stream together the way Anthropic's own SDKs do.
func WholeMessages(list []Happening) ([]byte, error) {
	var m map[string]any
	input := map[int]string{}
	for _, h := range list {
		e, err := object(h.Data)
		if err != nil {
			return nil, err
		}
		content := func() map[string]any { return m["content"].([]any)[int(e["index"].(float64))].(map[string]any) }
		switch e["type"] {
		case "message_start":
			m = e["message"].(map[string]any)
		case "content_block_start":
			m["content"] = append(m["content"].([]any), e["content_block"])
		case "content_block_delta":
			block, delta := content(), e["delta"].(map[string]any)
			add := func(name string) {
				old, _ := block[name].(string)
				block[name] = old + delta[name].(string)
			}
			switch delta["type"] {
			case "text_delta":
				add("text")
			case "thinking_delta":
				add("thinking")
			case "signature_delta":
				block["signature"] = delta["signature"]
			case "input_json_delta":
				input[int(e["index"].(float64))] += delta["partial_json"].(string)
			case "citations_delta":
				list, _ := block["citations"].([]any)
				block["citations"] = append(list, delta["citation"])
			case "compaction_delta":
				block["content"] = delta["content"]
			}
		case "content_block_stop":
			switch text := input[int(e["index"].(float64))]; {
			case text == "":
			case json.Valid([]byte(text)):
				content()["input"] = json.RawMessage(text)
			default: // the answer came to its bound
				content()["input"] = map[string]any{"arguments": text}
			}
		case "message_delta":
			for name, v := range e["delta"].(map[string]any) {
				m[name] = v
			}
			for name, v := range e["usage"].(map[string]any) {
				m["usage"].(map[string]any)[name] = v
			}
			if v, ok := e["context_management"]; ok {
				m["context_management"] = v
			}
		}
	}
	return json.Marshal(m)
}
