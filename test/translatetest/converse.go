package translatetest

import (
	"encoding/json"
	"slices"
)

// PlainConverse takes out of a body what makes no difference in the dialect. These are
// the allowed differences:
//
//   - an inferenceConfig or a system that is empty is absent.
func PlainConverse(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for name, member := range v {
			member = PlainConverse(member)
			if object, ok := member.(map[string]any); name == "inferenceConfig" && ok && len(object) == 0 {
				continue
			}
			if list, ok := member.([]any); name == "system" && ok && len(list) == 0 {
				continue
			}
			out[name] = member
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = PlainConverse(v[i])
		}
		return out
	}
	return v
}

// WholeConverse puts a stream together the way Amazon's own examples do: as the answer
// that would have come at once.
func WholeConverse(list []Happening) ([]byte, error) {
	var content, cited []any
	out := map[string]any{"output": map[string]any{"message": map[string]any{"role": "assistant"}}}
	add := func(object map[string]any, name string, v any) {
		old, _ := object[name].(string)
		object[name] = old + v.(string)
	}
	block := func(e map[string]any) map[string]any {
		i := int(e["contentBlockIndex"].(float64))
		for len(content) <= i {
			content = append(content, map[string]any{})
		}
		return content[i].(map[string]any)
	}
	sub := func(object map[string]any, name string) map[string]any {
		if object[name] == nil {
			object[name] = map[string]any{}
		}
		return object[name].(map[string]any)
	}
	for _, h := range list {
		e, err := object(h.Data)
		if err != nil {
			return nil, err
		}
		switch h.Name {
		case "contentBlockStart":
			for kind, start := range e["start"].(map[string]any) {
				for name, v := range start.(map[string]any) {
					sub(block(e), kind)[name] = v
				}
			}
		case "contentBlockDelta":
			for kind, v := range e["delta"].(map[string]any) {
				switch kind {
				case "text":
					add(block(e), "text", v)
				case "toolUse":
					add(sub(block(e), "toolUse"), "input", v.(map[string]any)["input"])
				case "reasoningContent":
					for name, piece := range v.(map[string]any) {
						to := sub(block(e), "reasoningContent")
						if name != "redactedContent" {
							to = sub(to, "reasoningText")
						}
						add(to, name, piece)
					}
				case "citation":
					cited = append(cited, v)
				}
			}
		case "contentBlockStop":
			b := block(e)
			if call, ok := b["toolUse"].(map[string]any); ok {
				switch text, _ := call["input"].(string); {
				case text == "":
					call["input"] = map[string]any{}
				case json.Valid([]byte(text)):
					call["input"] = json.RawMessage(text)
				default: // the answer came to its bound
					call["input"] = map[string]any{"arguments": text}
				}
			}
			if len(cited) > 0 {
				b["citationsContent"] = map[string]any{"content": []any{map[string]any{"text": b["text"]}}, "citations": cited}
				delete(b, "text")
				cited = nil
			}
		case "messageStop":
			out["stopReason"] = e["stopReason"]
		case "metadata":
			for name, v := range e {
				if name != "p" {
					out[name] = v
				}
			}
		}
	}
	content = slices.DeleteFunc(content, func(b any) bool { return b.(map[string]any)["toolResult"] != nil }) // of Amazon's tools
	out["output"].(map[string]any)["message"].(map[string]any)["content"] = content
	return json.Marshal(out)
}
