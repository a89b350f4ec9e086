package translatetest

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/google/go-cmp/cmp"
)

// PlainGemini takes out of a body what makes no difference in the dialect, so that two
// bodies can be compared. These are the allowed differences:
//
//   - names in snake case are those in camel case;
//   - base64 has one of two alphabets, and thoughtSignature is base64 as well;
//   - one value stands for a list of one: tools, content, parts;
//   - functions may be declared in one entry of tools or in several;
//   - whole numbers may be written as 40.0, and enums as numbers;
//   - what is empty or the default is absent: null, a role of user, index 0,
//     responseModalities of TEXT alone, an empty description, an empty
//     generationConfig, content without parts;
//   - a text that is empty and not signed is no part.
func PlainGemini(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for name, value := range v {
			name = camel(name)
			value = PlainGemini(value)
			switch name {
			case "tools", "contents", "parts", "functionDeclarations":
				if _, one := value.(map[string]any); one {
					value = []any{value}
				}
			}
			switch name {
			case "tools":
				value = merged(value.([]any))
			case "data", "thoughtSignature":
				if text, ok := value.(string); ok {
					value = strings.TrimRight(strings.NewReplacer("-", "+", "_", "/").Replace(text), "=")
				}
			case "role":
				if value == "user" {
					continue
				}
			case "index":
				if value == 0.0 {
					continue
				}
			case "finishReason":
				if value == 1.0 {
					value = "STOP"
				}
			case "responseModalities":
				if cmp.Equal(value, []any{"TEXT"}) {
					continue
				}
			case "description":
				if value == "" {
					continue
				}
			case "generationConfig", "content":
				if object, ok := value.(map[string]any); ok && (len(object) == 0 || len(object) == 1 && object["role"] != nil) {
					continue
				}
			case "parts":
				value = slices.DeleteFunc(value.([]any), func(p any) bool {
					part, ok := p.(map[string]any)
					return ok && len(part) == 1 && part["text"] == ""
				})
				if len(value.([]any)) == 0 {
					continue
				}
			}
			if value != nil {
				out[name] = value
			}
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = PlainGemini(v[i])
		}
		return out
	}
	return v
}

func camel(name string) string {
	words := strings.Split(strings.TrimLeft(name, "_"), "_")
	for i := 1; i < len(words); i++ {
		if words[i] != "" {
			words[i] = strings.ToUpper(words[i][:1]) + words[i][1:]
		}
	}
	return strings.Join(words, "")
}

// merged is a list of tools with all functions in the first entry and one entry
// for every other tool.
func merged(tools []any) []any {
	var functions []any
	var others []any
	for _, t := range tools {
		for _, name := range slices.Sorted(maps.Keys(t.(map[string]any))) {
			value := t.(map[string]any)[name]
			if name == "functionDeclarations" {
				functions = append(functions, value.([]any)...)
			} else {
				others = append(others, map[string]any{name: value})
			}
		}
	}
	return append([]any{map[string]any{"functionDeclarations": functions}}, others...)
}

// WholeGemini puts a stream together the way Google's documentation has it: texts of
// a kind are joined, other parts follow each other, and of everything else the
// last chunk's word counts.
func WholeGemini(happenings []Happening) ([]byte, error) {
	whole := map[string]any{}
	var all []any
	by := map[float64]*wholeCandidate{}
	for _, h := range happenings {
		chunk, err := object(h.Data)
		if err != nil {
			return nil, err
		}
		candidates := listOf(chunk["candidates"])
		delete(chunk, "candidates")
		maps.Copy(whole, chunk)
		for _, c := range candidates {
			candidate := c.(map[string]any)
			index, _ := candidate["index"].(float64)
			if by[index] == nil {
				by[index] = &wholeCandidate{one: map[string]any{}}
				all = append(all, by[index].one)
			}
			by[index].grow(candidate)
		}
	}
	for _, w := range by {
		for _, p := range w.parts {
			if call, ok := p.(map[string]any)["functionCall"].(map[string]any); ok {
				call["args"] = listed(call["args"])
			}
		}
		w.one["content"] = map[string]any{"role": "model", "parts": w.parts}
	}
	if all != nil {
		whole["candidates"] = all
	}
	return json.Marshal(whole)
}

// wholeCandidate is what has come of a candidate.
type wholeCandidate struct {
	one   map[string]any
	parts []any
	args  map[string]any // of the open call
}

func (w *wholeCandidate) grow(candidate map[string]any) {
	content, _ := candidate["content"].(map[string]any)
	delete(candidate, "content")
	maps.Copy(w.one, candidate)
	for _, p := range listOf(content["parts"]) {
		part := p.(map[string]any)
		if call, ok := part["functionCall"].(map[string]any); ok {
			if call["name"] != nil {
				w.args = map[string]any{}
				if call["willContinue"] == nil {
					w.args, _ = call["args"].(map[string]any)
				} else {
					call["args"] = w.args
				}
				delete(call, "willContinue")
				w.parts = append(w.parts, part)
			}
			for _, p := range listOf(call["partialArgs"]) {
				piece := p.(map[string]any)
				put(w.args, strings.Split(strings.NewReplacer("[", ".", "]", "").Replace(piece["jsonPath"].(string)), ".")[1:], piece)
			}
			continue
		}
		if last, ok := lastOf(w.parts); ok && last["text"] != nil && part["text"] != nil && last["thought"] == part["thought"] {
			last["text"] = last["text"].(string) + part["text"].(string)
			if part["thoughtSignature"] != nil {
				last["thoughtSignature"] = part["thoughtSignature"]
			}
			continue
		}
		if part["text"] != "" || part["thoughtSignature"] != nil {
			w.parts = append(w.parts, part)
		}
	}
}

// put puts a piece of an argument where its path says. A list is an object of
// numbers here, which is what listed mends.
func put(at map[string]any, path []string, piece map[string]any) {
	name := path[0]
	if len(path) > 1 {
		inner, ok := at[name].(map[string]any)
		if !ok {
			inner = map[string]any{}
			at[name] = inner
		}
		put(inner, path[1:], piece)
		return
	}
	if text, ok := piece["stringValue"].(string); ok {
		old, _ := at[name].(string)
		at[name] = old + text
		return
	}
	at[name] = piece["numberValue"]
}

// listed makes lists of objects whose names are numbers.
func listed(v any) any {
	object, ok := v.(map[string]any)
	if !ok {
		return v
	}
	for name := range object {
		object[name] = listed(object[name])
	}
	if object["0"] == nil {
		return object
	}
	var list []any
	for i := range len(object) {
		list = append(list, object[strconv.Itoa(i)])
	}
	return list
}

func lastOf(parts []any) (map[string]any, bool) {
	if len(parts) == 0 {
		return nil, false
	}
	return parts[len(parts)-1].(map[string]any), true
}

func listOf(v any) []any { list, _ := v.([]any); return list }
