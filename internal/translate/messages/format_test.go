package messages_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"halley/internal/translate"
	"halley/internal/translate/messages"
)

const closed = `{"type":"object","properties":{"city":{"type":"string"}},"required":["city"],"additionalProperties":false}`

func inFormat(schema string, change func(*translate.Conversation)) *translate.Conversation {
	return ask(func(c *translate.Conversation) {
		c.Format = &translate.Format{Kind: translate.JSONSchema, Name: "place", Description: "A place.", Schema: jsontext.Value(schema), Raw: jsontext.Value(`{"said":"otherwise"}`)}
		if change != nil {
			change(c)
		}
	})
}

func TestAFormatIsAskedForTheWayTheModelKnows(t *testing.T) {
	t.Parallel()
	native := `{"format":{"schema":` + `{"additionalProperties":false,"properties":{"city":{"type":"string"}},"required":["city"],"type":"object"}` + `,"type":"json_schema"}}`
	open := `{"type":"object","properties":{"city":{"type":"string","minLength":2}}}`
	tools := func(c *translate.Conversation) {
		c.Tools = []translate.Tool{{Kind: translate.Function, Name: "w"}}
	}
	thinks := func(c *translate.Conversation) { c.Reasoning = &translate.Reasoning{Effort: "low"} }
	named := func(c *translate.Conversation) {
		tools(c)
		c.ToolChoice = &translate.ToolChoice{Mode: translate.ChooseNamed, Name: "w"}
	}
	for name, row := range map[string]struct {
		codec   messages.Codec
		model   string
		schema  string
		change  func(*translate.Conversation)
		config  string
		tools   int
		choice  string
		dropped []string
	}{
		"native":            {messages.Codec{}, "claude-sonnet-4-5", closed, nil, native, 0, `null`, nil},
		"native, with tool": {messages.Codec{}, "claude-sonnet-4-5", closed, tools, native, 1, `null`, nil},
		"native, thinking":  {messages.Codec{}, "claude-opus-4-6", closed, thinks, `{"effort":"low",` + native[1:], 0, `null`, nil},
		"an older model":    {messages.Codec{}, "claude-sonnet-4-0", closed, nil, `null`, 1, `{"name":"hly_answer_in_format","type":"tool"}`, nil},
		"an open schema":    {messages.Codec{}, "claude-sonnet-4-5", open, nil, `null`, 1, `{"name":"hly_answer_in_format","type":"tool"}`, nil},
		"not an object":     {messages.Codec{}, "claude-sonnet-4-0", `{"type":"array","items":{"type":"string"}}`, nil, `null`, 1, `{"name":"hly_answer_in_format_value","type":"tool"}`, nil},
		"beside tools":      {messages.Codec{}, "claude-sonnet-4-0", closed, tools, `null`, 2, `{"type":"any"}`, nil},
		"instead of a call": {messages.Codec{}, "claude-sonnet-4-0", closed, named, `null`, 1, `{"name":"w","type":"tool"}`, nil},
		"no time to think":  {messages.Codec{}, "claude-sonnet-4-0", closed, thinks, `null`, 1, `{"name":"hly_answer_in_format","type":"tool"}`, []string{"reasoning"}},
		"on Vertex":         {messages.Codec{Platform: messages.Vertex}, "claude-opus-4-6", closed, nil, `null`, 1, `{"name":"hly_answer_in_format","type":"tool"}`, nil},
		"on Vertex, newest": {messages.Codec{Platform: messages.Vertex}, "claude-opus-5-5", closed, nil, native, 0, `null`, nil},
		"on Bedrock":        {messages.Codec{Platform: messages.Bedrock}, "us.anthropic.claude-opus-4-7", closed, nil, `null`, 1, `{"name":"hly_answer_in_format","type":"tool"}`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body, dropped := encoded(t, row.codec, inFormat(row.schema, row.change), claude(row.model))
			offered, _ := body["tools"].([]any)
			if got := compact(t, body["output_config"]); got != row.config || len(offered) != row.tools {
				t.Errorf("output_config %s and %d tools, want %s and %d", got, len(offered), row.config, row.tools)
			}
			if got := compact(t, body["tool_choice"]); got != row.choice || !slices.Equal(dropped, row.dropped) {
				t.Errorf("tool_choice %s, dropped %v; want %s, %v", got, dropped, row.choice, row.dropped)
			}
		})
	}
}

func TestAFormatThatTheModelCannotBeHeldToIsRefused(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct{ model, schema string }{
		"open, and no tool can be forced": {"claude-opus-5-5", `{"type":"object"}`},
		"no schema":                       {"claude-sonnet-4-5", ``},
		"references outside an object":    {"claude-sonnet-4-0", `{"$ref":"#/$defs/a","$defs":{"a":{"type":"string"}}}`},
	} {
		_, err := messages.Codec{}.EncodeRequest(inFormat(row.schema, nil), claude(row.model))
		if refused, ok := errors.AsType[*translate.Unsupported](err); !ok || refused.Field != "response_format" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestStructuredOutputTakesSchemasWithinItsBounds(t *testing.T) {
	t.Parallel()
	for schema, want := range map[string]bool{
		closed: true,
		`{"type":"object","properties":{},"additionalProperties":false,"$schema":"s","title":"t"}`:                                                                                         true,
		`{"type":"object","properties":{"a":{"$ref":"#/$defs/a"}},"required":["a"],"additionalProperties":false,"$defs":{"a":{"$ref":"#/$defs/b"},"b":{"type":"string","format":"date"}}}`: true,
		`{"type":"object","properties":{"a":{"anyOf":[{"type":"null"},{"type":"array","items":{"type":"number"},"minItems":1}]},"b":{"enum":[1,"a",null]}},"additionalProperties":false}`:  true,
		`{"type":"object","properties":{"a":{"type":"string"}}}`:                                                     false, // open
		`{"type":"object","properties":{"a":{"type":"object"}},"additionalProperties":false}`:                        false, // open inside
		`{"type":"object","additionalProperties":{"type":"string"}}`:                                                 false,
		`{"type":"object","properties":{"a":{"type":"string","maxLength":3}},"additionalProperties":false}`:          false,
		`{"type":"object","properties":{"a":{"type":"array","items":{},"minItems":2}},"additionalProperties":false}`: false,
		`{"type":"object","properties":{"a":{"enum":[[1]]}},"additionalProperties":false}`:                           false,
		`{"type":"object","properties":{"a":{"type":"string","format":"phone"}},"additionalProperties":false}`:       false,
		`{"type":"object","properties":{"a":{"$ref":"https://a"}},"additionalProperties":false}`:                     false,
		`{"type":"object","properties":{"a":{"$ref":"#/$defs/a"}},"additionalProperties":false,"$defs":{"a":{"type":"object","properties":{"b":{"$ref":"#/$defs/b"}},"additionalProperties":false},"b":{"anyOf":[{"$ref":"#/$defs/a"}]}}}`:             false, // recursive
		`{"type":"object","properties":{"a":{},"b":{},"c":{},"d":{},"e":{},"f":{},"g":{},"h":{},"i":{},"j":{},"k":{},"l":{},"m":{},"n":{},"o":{},"p":{},"q":{},"r":{},"s":{},"t":{},"u":{},"v":{},"w":{},"x":{},"y":{}},"additionalProperties":false}`: false, // 25 optional
		`{"type":"object","properties":{"a":true},"additionalProperties":false}`: false,
	} {
		body, _ := encoded(t, messages.Codec{}, inFormat(schema, nil), claude("claude-sonnet-4-5"))
		if got := body["output_config"] != nil; got != want {
			t.Errorf("%s: native %v, want %v", schema, got, want)
		}
	}
}

func TestAJSONObjectIsAskedForInWords(t *testing.T) {
	t.Parallel()
	c := ask(func(c *translate.Conversation) { c.Format = &translate.Format{Kind: translate.JSONObject} })
	body, dropped := encoded(t, messages.Codec{}, c, claude("claude-sonnet-4-5"))
	if body["system"] == nil || !slices.Equal(dropped, []string{"response_format"}) {
		t.Errorf("system %v, dropped %v", body["system"], dropped)
	}
}

func TestTheAnswerInAReservedToolIsText(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct{ content, want string }{
		"an object":     {`{"type":"tool_use","id":"t","name":"hly_answer_in_format","input":{"city":"Oslo"}}`, `{"city":"Oslo"}`},
		"another value": {`{"type":"tool_use","id":"t","name":"hly_answer_in_format_value","input":{"value":["a"]}}`, `["a"]`},
		"with preamble": {`{"type":"text","text":"Here:"},{"type":"tool_use","id":"t","name":"hly_answer_in_format","input":{}}`, `{}`},
	} {
		a, err := messages.Codec{}.DecodeAnswer([]byte(`{"type":"message","content":[` + row.content + `],"stop_reason":"tool_use"}`))
		if err != nil {
			t.Fatal(err)
		}
		got := a.Candidates[0]
		if text, ok := got.Parts[0].(*translate.Text); !ok || len(got.Parts) != 1 || text.Text != row.want || got.Stop != translate.EndOfTurn {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestTheStreamedAnswerInAReservedToolIsText(t *testing.T) {
	t.Parallel()
	for tool, row := range map[string]struct {
		pieces []string
		want   string
	}{
		"hly_answer_in_format":       {[]string{`{"ci`, `ty":"Oslo"}`}, `{"city":"Oslo"}`},
		"hly_answer_in_format_value": {[]string{`{"val`, `ue": ["a"`, `]}`}, `["a"]`},
	} {
		s := stream{tool, [][]byte{
			[]byte(`{"type":"message_start","message":{"type":"message","content":[]}}`),
			[]byte(`{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"t","name":"` + tool + `","input":{}}}`),
		}}
		for _, p := range row.pieces {
			s.events = append(s.events, []byte(`{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":`+compact(t, p)+`}}`))
		}
		s.events = append(s.events, []byte(`{"type":"content_block_stop","index":0}`),
			[]byte(`{"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":5}}`), []byte(`{"type":"message_stop"}`))
		list, err := run(s)
		if err != nil {
			t.Fatal(err)
		}
		var a translate.Assembler
		for _, e := range list {
			a.Add(e)
		}
		got, whole, _ := a.Answer()
		if text, ok := got.Candidates[0].Parts[0].(*translate.Text); !ok || !whole || text.Text != row.want || got.Candidates[0].Stop != translate.EndOfTurn {
			t.Errorf("%s: %+v", tool, got.Candidates[0])
		}
	}
}
