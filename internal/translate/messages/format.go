package messages

import (
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"halley/internal/jsonx"
	"halley/internal/translate"
	"halley/internal/wire"
)

// Structured output. Claude models from 4.5 on have output_config.format, for
// schemas within bounds. For other models and other schemas the answer is asked
// for as the input of a tool that the model must call, whose schema may be any;
// the decoders, which meet that tool's reserved name, give the input as text. It
// is no guarantee as the real thing is one, but the same as the strict-less
// schemas of other dialects, and what Anthropic recommends for such models.
//
// A tool's input is an object: a schema of anything else is put into one under
// the member "value", and taken out again.

// The reserved names.
const (
	answerTool = "hly_answer_in_format"       // its input is the answer
	valueTool  = "hly_answer_in_format_value" // its input's member "value" is
)

// formatPlan is how a request shall ask for a format.
type formatPlan struct {
	native jsontext.Value // output_config.format
	tool   string         // a reserved name
	schema jsontext.Value // with tool: the tool's
	about  string         // with tool: what the client says of the format
	others bool           // with tool: the model may call the client's tools instead
	words  string         // said at the end of the system text
}

// planFormat decides it for a request of another dialect.
func (e *encoder) planFormat() (p formatPlan, err error) {
	f := e.c.Format
	if f == nil || f.Kind == translate.PlainText {
		return p, nil
	}
	if choice := e.c.ToolChoice; choice != nil && choice.Mode == translate.ChooseNamed && len(e.c.Tools) > 0 {
		return p, nil // the answer is a call
	}
	switch f.Kind {
	case translate.JSONObject:
		// There is no schema to hold the model to. Clients of this mode say in the
		// prompt what they want; what they cannot bear is a code fence around it.
		p.words = "Answer with one JSON object and nothing else: no code fence and no words around it."
		e.c.Drop(translate.FeatureFormat)
		return p, nil
	case translate.OtherFormat:
		return p, e.c.Refuse(translate.FeatureFormat, "Claude has no counterpart of this format.")
	case translate.JSONSchema, translate.PlainText:
	}
	if f.Schema.Kind() != '{' {
		return p, e.c.Refuse(translate.FeatureFormat, "The format needs a schema that is an object.")
	}
	within := withinBounds(f.Schema)
	if within && e.formats {
		p.native = formatObject(&translate.Format{Kind: f.Kind, Schema: f.Schema}) // its own words are From's
		return p, nil
	}
	if !e.model.forcible() {
		return p, e.c.Refuse(translate.FeatureFormat, "The schema has something that Claude's structured output does not take; objects must be closed with additionalProperties: false, and there are no bounds of lengths and numbers.")
	}
	return e.planAnswerTool(f)
}

func (e *encoder) planAnswerTool(f *translate.Format) (p formatPlan, err error) {
	p = formatPlan{tool: answerTool, schema: f.Schema, about: f.Description}
	choice := e.c.ToolChoice
	p.others = len(e.c.Tools) > 0 && (choice == nil || choice.Mode != translate.ChooseNone)
	if kind := wire.Find(f.Schema, "type"); wire.Text(kind.Of(f.Schema)) == "object" {
		return p, nil
	}
	if strings.Contains(string(f.Schema), `"$ref"`) {
		return p, e.c.Refuse(translate.FeatureFormat, "The schema must be that of an object for this model.")
	}
	p.tool = valueTool
	var w jsonx.Writer
	w.Open('{')
	w.Text("type", "object")
	w.Name("properties")
	w.Open('{')
	w.Raw("value", f.Schema)
	w.Close('}')
	w.Raw("required", jsontext.Value(`["value"]`))
	w.Close('}')
	p.schema = w.Out
	return p, nil
}

// writeTool writes the tool whose input is the answer.
func (p *formatPlan) writeTool(w *jsonx.Writer) {
	w.Open('{')
	w.Text("name", p.tool)
	w.Text("description", p.description())
	w.Raw("input_schema", p.schema)
	w.Close('}')
}

func (p *formatPlan) description() string {
	about := "Gives the answer to the user. The input is the whole answer, which is said in no other way."
	if p.about != "" {
		about += " " + p.about
	}
	return about
}

// choice is the tool_choice with it.
func (p *formatPlan) choice() (kind, name string) {
	if p.others {
		return "any", ""
	}
	return "tool", p.tool
}

// isAnswerTool says whether a tool's name is one of the reserved.
func isAnswerTool(name string) bool { return name == answerTool || name == valueTool }

// answerText is the answer in the input of such a tool.
func answerText(tool string, input []byte) string {
	if tool == valueTool {
		if at := wire.Find(input, "value"); at.Present() {
			return string(at.Of(input))
		}
	}
	return string(input)
}

// formatObject is a format as the dialect says it.
func formatObject(f *translate.Format) jsontext.Value {
	if len(f.Raw) > 0 {
		return f.Raw
	}
	var w jsonx.Writer
	w.Open('{')
	w.Text("type", "json_schema")
	w.Raw("schema", f.Schema)
	w.Close('}')
	return w.Out
}

// bounds of the schemas that structured output takes, from Anthropic's page on
// it: closed objects, no recursion, no bounds of lengths and numbers.
const (
	maxOptional = 24 // members that are not required
	maxUnions   = 16 // anyOf and lists of types
)

// schemaScan looks whether a schema is within the bounds.
type schemaScan struct {
	optional, unions int
	in               string              // the definition that is being read
	refs             map[string][]string // definition → definitions that it names
}

func withinBounds(schema jsontext.Value) bool {
	s := schemaScan{refs: map[string][]string{}}
	if !s.takes(schema, 0) || s.optional > maxOptional || s.unions > maxUnions {
		return false
	}
	for name := range s.refs {
		if name != "" && s.reaches(name, name, nil) {
			return false
		}
	}
	return true
}

// reaches says whether a definition leads to another.
func (s *schemaScan) reaches(from, to string, seen []string) bool {
	for _, next := range s.refs[from] {
		if next == to || !slices.Contains(seen, next) && s.reaches(next, to, append(seen, next)) {
			return true
		}
	}
	return false
}

// takes reads one schema.
func (s *schemaScan) takes(schema jsontext.Value, depth int) bool {
	if schema.Kind() != '{' || depth > 64 {
		return false
	}
	object, closed := false, false
	properties, required := 0, 0
	for name, v := range wire.Members(schema) {
		switch word := wire.Text(name); word {
		case "type":
			if v[0] == '[' {
				s.unions++
			}
			object = object || strings.Contains(string(v), `"object"`)
		case "properties", "$defs", "definitions":
			outer := s.in
			for key, sub := range wire.Members(v) {
				if word == "properties" {
					properties++
				} else {
					s.in = "#/" + word + "/" + wire.Text(key)
				}
				if !s.takes(sub, depth+1) {
					return false
				}
			}
			s.in = outer
		case "required":
			for range wire.Elements(v) {
				required++
			}
		case "additionalProperties":
			closed = string(v) == "false"
			if !closed {
				return false
			}
		case "items":
			if !s.takes(v, depth+1) {
				return false
			}
		case "anyOf", "allOf":
			s.unions++
			for sub := range wire.Elements(v) {
				if !s.takes(slices.Clone(sub), depth+1) {
					return false
				}
			}
		case "enum":
			for choice := range wire.Elements(v) {
				if choice[0] == '{' || choice[0] == '[' {
					return false
				}
			}
		case "const":
			if v[0] == '{' || v[0] == '[' {
				return false
			}
		case "$ref":
			to := wire.Text(v)
			if !strings.HasPrefix(to, "#/$defs/") && !strings.HasPrefix(to, "#/definitions/") {
				return false
			}
			s.refs[s.in] = append(s.refs[s.in], to)
		case "minItems":
			if string(v) != "0" && string(v) != "1" {
				return false
			}
		case "format":
			if !slices.Contains(stringFormats[:], wire.Text(v)) {
				return false
			}
		case "title", "description", "default", "$schema":
		default:
			return false
		}
	}
	s.optional += max(0, properties-required)
	return closed || !object && properties == 0
}

// stringFormats are those that structured output knows.
var stringFormats = [...]string{"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"}
