package translatetest

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// PlainChat takes out of a body what makes no difference in the dialect: the
// allowed differences are
//
//   - members that are null or empty are absent;
//   - a text that is a list of one plain part is a string, a single stop a list;
//   - functions say that they are, and calls do not say which of the list they
//     are; a call of nothing is none;
//   - the order of modalities makes no difference;
//   - usage is always asked for, a stream that is not wanted need not be said, and
//     newer models get the newer name of the bound.
func PlainChat(body any) any {
	m, ok := plainChat("", body).(map[string]any)
	if !ok {
		return body
	}
	delete(m, "stream_options")
	if m["stream"] == false {
		delete(m, "stream")
	}
	if kinds, ok := m["modalities"].([]any); ok {
		slices.SortFunc(kinds, func(a, b any) int { return strings.Compare(a.(string), b.(string)) })
	}
	if bound, ok := m["max_tokens"]; ok {
		m["max_completion_tokens"] = bound
		delete(m, "max_tokens")
	}
	return m
}

func plainChat(name string, v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		if call, ok := v["function_call"].(map[string]any); ok && call["arguments"] == "" && call["name"] == "" {
			delete(v, "function_call")
		}
		if _, ok := v["function"]; ok { // a tool or a call: the type is its default, and the index its place
			delete(v, "index")
			delete(v, "custom")
			delete(v, "type")
		}
		for k, member := range v {
			if n := plainChat(k, member); n != nil {
				out[k] = n
			}
		}
		return out
	case []any:
		out := []any{}
		for _, element := range v {
			out = append(out, plainChat("", element))
		}
		if len(out) == 0 && name != "choices" && name != "messages" {
			return nil
		}
		if len(out) != 1 {
			return out
		}
		if one, ok := out[0].(map[string]any); name == "content" && ok && len(one) == 2 && one["type"] == "text" {
			return one["text"]
		}
		return out
	case string:
		if name == "stop" {
			return []any{v}
		}
		if v == "" && name != "arguments" && name != "text" {
			return nil
		}
	}
	return v
}

// WholeChat puts a stream together the way OpenAI's own SDKs do: texts and lists
// grow, calls by their index, and of everything else the last word counts.
func WholeChat(list []Happening) ([]byte, error) {
	whole := map[string]any{}
	choices := map[int]map[string]any{}
	for _, h := range list {
		if string(h.Data) == "[DONE]" {
			break
		}
		chunk, err := object(h.Data)
		if err != nil {
			return nil, err
		}
		if groq, ok := chunk["x_groq"].(map[string]any); ok && chunk["usage"] == nil {
			chunk["usage"] = groq["usage"]
		}
		for name, v := range chunk {
			first := name == "id" || name == "model" || name == "created"
			if v != nil && v != "" && name != "choices" && (!first || whole[name] == nil || whole[name] == 0.0) {
				whole[name] = v
			}
		}
		for _, c := range listOf(chunk["choices"]) {
			choice := c.(map[string]any)
			index := 0
			if n, ok := choice["index"].(float64); ok {
				index = int(n)
			}
			if choices[index] == nil {
				choices[index] = map[string]any{"index": index, "message": map[string]any{}}
			}
			growChoice(choices[index], choice)
		}
	}
	whole["object"] = "chat.completion"
	all := []any{}
	for _, index := range slices.Sorted(maps.Keys(choices)) {
		all = append(all, choices[index])
	}
	whole["choices"] = all
	return json.Marshal(whole)
}

func growChoice(to, choice map[string]any) {
	message := to["message"].(map[string]any)
	if delta, ok := choice["delta"].(map[string]any); ok {
		for name, v := range delta {
			switch name {
			case "tool_calls":
				growCalls(message, listOf(v))
			default:
				grow(message, name, v)
			}
		}
	}
	for name, v := range choice {
		switch name {
		case "delta", "index":
		case "logprobs":
			grow(to, name, v)
		default:
			if v != nil {
				to[name] = v
			}
		}
	}
}

func growCalls(message map[string]any, pieces []any) {
	calls := listOf(message["tool_calls"])
	for _, p := range pieces {
		piece := p.(map[string]any)
		i := -1
		for j := range calls { // the last of that index
			if calls[j].(map[string]any)["index"] == piece["index"] {
				i = j
			}
		}
		if i >= 0 && another(calls[i].(map[string]any), piece) {
			i = -1
		}
		if i < 0 {
			calls = append(calls, piece)
			continue
		}
		call := calls[i].(map[string]any)
		if f, ok := piece["function"].(map[string]any); ok {
			had, _ := call["function"].(map[string]any)
			if had == nil {
				call["function"] = f
				continue
			}
			if had["name"] == nil || had["name"] == "" {
				had["name"] = f["name"]
			}
			grow(had, "arguments", f["arguments"])
		}
		if own, ok := piece["custom"].(map[string]any); ok {
			grow(call, "custom", map[string]any{"input": own["input"]})
		}
	}
	message["tool_calls"] = calls
}

// another says whether a piece begins another call than the one of its index, as
// with servers that give all calls the same.
func another(call, piece map[string]any) bool {
	f, _ := piece["function"].(map[string]any)
	id, _ := piece["id"].(string)
	return id != "" && call["id"] != id && f["name"] != nil && f["name"] != ""
}

// grow adds a piece to a member: texts and lists become longer, objects member by
// member.
func grow(to map[string]any, name string, v any) {
	switch v := v.(type) {
	case nil:
	case string:
		old, _ := to[name].(string)
		if name == "role" || name == "id" || name == "type" || name == "format" {
			old = ""
		}
		if parts, ok := to[name].([]any); ok {
			to[name] = append(parts, map[string]any{"type": "text", "text": v})
			return
		}
		to[name] = old + v
	case []any:
		if text, ok := to[name].(string); ok && text != "" {
			v = append([]any{map[string]any{"type": "text", "text": text}}, v...)
			to[name] = nil
		}
		to[name] = append(listOf(to[name]), v...)
	case map[string]any:
		if to[name] == nil {
			to[name] = map[string]any{}
		}
		for inner, piece := range v {
			grow(to[name].(map[string]any), inner, piece)
		}
	default:
		to[name] = v
	}
}
