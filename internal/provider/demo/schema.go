package demo

import (
	"maps"
	"slices"

	"halley/internal/jsonx"
)

// schema is what the demo reads of a JSON schema.
type schema struct {
	Type       jsonx.Value            `json:"type"` // a string or a list of them
	Enum       []jsonx.Value          `json:"enum"`
	Const      jsonx.Value            `json:"const"`
	Default    jsonx.Value            `json:"default"`
	Minimum    *float64               `json:"minimum"`
	MinItems   int                    `json:"minItems"`
	Items      jsonx.Value            `json:"items"`
	Properties map[string]jsonx.Value `json:"properties"`
	AnyOf      []jsonx.Value          `json:"anyOf"`
}

// instance is a JSON value that fits the schema, as far as the demo reads it;
// strings without a choice become the text.
func instance(text jsonx.Value, said string) string {
	b, err := jsonx.Marshal(example(text, said, 8))
	if err != nil {
		return "{}" // only a choice in the schema that is not JSON
	}
	if string(b) == "null" {
		return "{}"
	}
	return string(b)
}

func example(text jsonx.Value, said string, depth int) any {
	var s schema
	if depth == 0 || len(text) == 0 || jsonx.Unmarshal(text, &s) != nil {
		return nil
	}
	switch {
	case len(s.Const) > 0:
		return s.Const
	case len(s.Enum) > 0:
		return s.Enum[0]
	case len(s.Default) > 0 && s.Default.Kind() != 'n':
		return s.Default
	case len(s.AnyOf) > 0:
		return example(s.AnyOf[0], said, depth-1)
	}
	switch s.kind() {
	case "object":
		members := map[string]any{}
		for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
			members[name] = example(s.Properties[name], said, depth-1)
		}
		return members
	case "array":
		items := []any{}
		for range max(1, min(s.MinItems, 16)) {
			items = append(items, example(s.Items, said, depth-1))
		}
		return items
	case "string":
		return excerpt(said)
	case "integer", "number":
		if s.Minimum != nil {
			return jsonx.Value(number(*s.Minimum))
		}
		return 1
	case "boolean":
		return true
	}
	return nil
}

// kind is the schema's type: the first that is not null of a list, "object" when
// only properties say so.
func (s *schema) kind() string {
	var one string
	if jsonx.Unmarshal(s.Type, &one) == nil && one != "" {
		return one
	}
	var list []string
	if jsonx.Unmarshal(s.Type, &list) == nil {
		for _, t := range list {
			if t != "null" {
				return t
			}
		}
	}
	if len(s.Properties) > 0 {
		return "object"
	}
	return ""
}
