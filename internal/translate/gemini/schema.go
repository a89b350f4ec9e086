package gemini

import (
	"bytes"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"halley/internal/jsonx"
	"halley/internal/wire"
)

// JSON schema goes to the members that take it as it is (parametersJsonSchema,
// responseJsonSchema), of which Google documents that they may be sent whole.
// Clients may also use Google's own form, a subset of OpenAPI's, in which types
// are in capitals and null is a flag; other upstreams get that as JSON schema.

// maxDepth is how deep schemas are looked into: each level is read anew.
const maxDepth = 64

// jsonSchema is a schema of Google's own form as JSON schema.
func jsonSchema(schema jsontext.Value) jsontext.Value {
	if schema.Kind() != '{' {
		return schema
	}
	var w jsonx.Writer
	writeSchema(&w, schema, 0)
	return w.Out
}

func writeSchema(w *jsonx.Writer, schema jsontext.Value, depth int) {
	if schema.Kind() != '{' || depth > maxDepth {
		w.Value(schema)
		return
	}
	nullable := string(wire.Get(schema, "nullable")) == "true"
	w.Open('{')
	for name, v := range wire.Members(schema) {
		value := jsontext.Value(v)
		switch name := camel(wire.Text(name)); name {
		case "type":
			writeType(w, value, nullable)
		case "nullable", "propertyOrdering":
		case "properties", "defs", "$defs":
			if name == "defs" {
				name = "$defs"
			}
			w.Name(name)
			w.Open('{')
			for property, v := range wire.Members(value) {
				w.Name(wire.Text(property))
				writeSchema(w, v, depth+1)
			}
			w.Close('}')
		case "items", "additionalProperties":
			w.Name(name)
			writeSchema(w, value, depth+1)
		case "anyOf", "oneOf", "allOf", "prefixItems":
			w.Name(name)
			w.Open('[')
			for v := range wire.Elements(value) {
				writeSchema(w, v, depth+1)
			}
			if nullable && name == "anyOf" {
				w.Value(jsontext.Value(`{"type":"null"}`))
			}
			w.Close(']')
		case "format":
			if wire.Text(value) != "enum" { // says that there is an enum
				w.Raw(name, value)
			}
		case "ref":
			w.Raw("$ref", value)
		case "example":
			w.Name("examples")
			w.Open('[')
			w.Value(value)
			w.Close(']')
		case "minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties":
			if text := wire.Text(value); text != "" { // 64 bits are strings in JSON protocol buffers
				value = jsontext.Value(text)
			}
			if value.IsValid() {
				w.Raw(name, value)
			}
		default:
			w.Raw(name, value)
		}
	}
	w.Close('}')
}

func writeType(w *jsonx.Writer, value jsontext.Value, nullable bool) {
	kind := strings.ToLower(wire.Text(value))
	switch {
	case kind == "type_unspecified":
	case kind == "": // a list, or no text
		w.Raw("type", value)
	case nullable:
		w.Name("type")
		w.Open('[')
		w.String(kind)
		w.String("null")
		w.Close(']')
	default:
		w.Text("type", kind)
	}
}

// clean is a JSON schema without what Google refuses: beside a $ref only names
// that begin with $ may stand.
func clean(schema jsontext.Value) jsontext.Value {
	if !bytes.Contains(schema, []byte(`"$ref"`)) {
		return schema
	}
	var w jsonx.Writer
	writeClean(&w, schema, false, 0)
	return w.Out
}

// writeClean writes a value of a schema. Named says that its members are names
// that the schema gives, and not JSON schema's own.
func writeClean(w *jsonx.Writer, value jsontext.Value, named bool, depth int) {
	kind := value.Kind()
	if depth > maxDepth {
		kind = 0
	}
	switch kind {
	case '[':
		w.Open('[')
		for v := range wire.Elements(value) {
			writeClean(w, v, false, depth+1)
		}
		w.Close(']')
	case '{':
		refers := !named && wire.Find(value, "$ref").Present()
		w.Open('{')
		for n, v := range wire.Members(value) {
			name := wire.Text(n)
			if refers && !strings.HasPrefix(name, "$") {
				continue
			}
			w.Name(name)
			switch {
			case named:
				writeClean(w, v, false, depth+1)
			case name == "enum" || name == "const" || name == "default" || name == "examples":
				w.Value(v)
			default:
				writeClean(w, v, name == "properties" || name == "$defs" || name == "definitions" || name == "patternProperties", depth+1)
			}
		}
		w.Close('}')
	default:
		w.Value(value)
	}
}
