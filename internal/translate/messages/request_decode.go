package messages

import (
	"bytes"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"halley/internal/jsonx"
	"halley/internal/translate"
)

// fields are Anthropic's names of what the neutral form calls otherwise.
var fields = [...]struct {
	feature translate.Feature
	name    string
}{
	{translate.FeatureServerTool, "tools"},
	{translate.FeatureCustomTool, "tools"},
	{translate.FeatureParallelTools, "tool_choice.disable_parallel_tool_use"},
	{translate.FeatureFormat, "output_config.format"},
	{translate.FeatureStop, "stop_sequences"},
	{translate.FeatureReasoning, "thinking"},
	{translate.FeatureEndUser, "metadata.user_id"},
	{translate.FeatureImage, "messages.content.image"},
	{translate.FeatureDocument, "messages.content.document"},
	{translate.FeatureThinking, "messages.content.thinking"},
	{translate.FeatureCitations, "messages.content.citations"},
}

// DecodeRequest implements translate.Client. A token count's request is read the
// same way.
func (Codec) DecodeRequest(body []byte) (*translate.Conversation, error) {
	c := &translate.Conversation{From: translate.Messages, IncludeUsage: true}
	for _, f := range fields {
		c.Name(f.feature, f.name)
	}
	r := jsonx.Read(body)
	var system []translate.Part
	for r.Object(); r.Next('}'); {
		switch name := r.Name(); name {
		case "model":
			c.Model = r.String()
		case "stream":
			c.Stream = r.Bool()
		case "max_tokens":
			c.MaxOutput = r.IntOpt()
		case "temperature":
			c.Temperature = r.FloatOpt()
		case "top_p":
			c.TopP = r.FloatOpt()
		case "top_k":
			c.TopK = r.IntOpt()
		case "stop_sequences":
			c.Stop = readStrings(r)
		case "service_tier":
			c.ServiceTier = r.String()
		case "metadata":
			readMetadata(r, c)
		case "system":
			system = readContent(r)
		case "messages":
			readMessages(r, c)
		case "tools":
			readTools(r, c)
		case "mcp_servers":
			readServers(r, c)
		case "tool_choice":
			readToolChoice(r, c)
		case "thinking":
			readThinkingWish(r, c)
		case "output_config":
			readOutputConfig(r, c)
		case "output_format": // the name of output_config.format during its beta
			readFormat(r, c, name)
		case "anthropic_version", "anthropic_beta": // for the cloud that it was sent to; another has its own
			r.Skip()
		default:
			c.Extra = append(c.Extra, member(r))
		}
	}
	if err := malformed(r.End()); err != nil {
		return nil, err
	}
	if len(system) > 0 {
		c.Messages = append([]translate.Message{{Role: translate.System, Parts: system}}, c.Messages...)
	}
	if c.Reasoning != nil && c.Reasoning.Budget == nil && !c.Reasoning.Adaptive && !c.Reasoning.Off {
		c.Name(translate.FeatureReasoning, "output_config.effort")
	}
	return c, nil
}

func readStrings(r *jsonx.Reader) (list []string) {
	if r.Null() {
		return nil
	}
	for r.Array(); r.Next(']'); {
		list = append(list, r.String())
	}
	return list
}

// readMetadata takes user_id, and keeps the rest.
func readMetadata(r *jsonx.Reader, c *translate.Conversation) {
	if r.Null() {
		return
	}
	var rest translate.Extra
	for r.Object(); r.Next('}'); {
		if r.Is("user_id") {
			c.EndUser = r.String()
		} else {
			rest = append(rest, member(r))
		}
	}
	keep(c, "metadata", rest)
}

// keep puts what an object has besides what the neutral form knows into Extra.
func keep(c *translate.Conversation, name string, rest translate.Extra) {
	if len(rest) > 0 {
		c.Extra = append(c.Extra, translate.Member{Name: name, Value: rest.Object()})
	}
}

func readMessages(r *jsonx.Reader, c *translate.Conversation) {
	if r.Null() {
		return
	}
	c.Messages = make([]translate.Message, 0, 16)
	for r.Array(); r.Next(']'); {
		c.Messages = append(c.Messages, readMessage(r))
	}
}

func readMessage(r *jsonx.Reader) (m translate.Message) {
	from, given := r.At(), false
	for r.Object(); r.Next('}'); {
		switch {
		case r.Is("role"):
			given = true
			m.Role = readRole(r)
		case r.Is("content"):
			m.Parts = readContent(r)
		default:
			m.Extra = append(m.Extra, member(r))
		}
	}
	if !given {
		r.Fault(from, "must have a role")
	}
	if m.Role == translate.Assistant {
		m.Parts = pickUp(m.Parts)
	}
	return m
}

func readRole(r *jsonx.Reader) translate.Role {
	at := r.At()
	switch r.String() {
	case "user":
		return translate.User
	case "assistant":
		return translate.Assistant
	case "system":
		return translate.System
	}
	r.Fault(at, "must be user, assistant or system")
	return translate.User
}

func readTools(r *jsonx.Reader, c *translate.Conversation) {
	if r.Null() {
		return
	}
	for r.Array(); r.Next(']'); {
		c.Tools = append(c.Tools, readTool(r))
	}
}

// readTool reads a tool: the client's own when it has no type or "custom", else
// one of Anthropic's, whose type has a date.
func readTool(r *jsonx.Reader) translate.Tool {
	if kind := string(r.Peek("type")); kind != "" && kind != "custom" {
		return translate.Tool{Kind: providerTool(kind), Name: string(r.Peek("name")), Raw: r.Value()}
	}
	t := translate.Tool{Kind: translate.Function}
	for r.Object(); r.Next('}'); {
		switch {
		case r.Is("name"):
			t.Name = r.String()
		case r.Is("description"):
			t.Description = r.String()
		case r.Is("input_schema"):
			t.Schema = r.Raw()
		case r.Is("strict"):
			t.Strict = r.BoolOpt()
		case r.Is("cache_control"):
			t.Cache = cacheMark(r.Raw())
		default: // type, too, when it is given
			t.Extra = append(t.Extra, member(r))
		}
	}
	return t
}

// providerTool is the kind of one of Anthropic's own tools by its dated type.
// Those that the client runs (bash, text_editor, computer, memory) have no
// counterpart either.
func providerTool(kind string) translate.ToolKind {
	for _, k := range []translate.ToolKind{translate.WebSearch, translate.WebFetch, translate.CodeExecution} {
		if strings.HasPrefix(kind, string(k)+"_2") {
			return k
		}
	}
	return translate.OtherTool
}

func readServers(r *jsonx.Reader, c *translate.Conversation) {
	if r.Null() {
		return
	}
	for r.Array(); r.Next(']'); {
		c.Tools = append(c.Tools, translate.Tool{Kind: translate.MCP, Name: string(r.Peek("name")), Raw: r.Value()})
	}
}

func readToolChoice(r *jsonx.Reader, c *translate.Conversation) {
	if r.Null() {
		return
	}
	choice := &translate.ToolChoice{}
	from, more := r.At(), false
	for r.Object(); r.Next('}'); {
		switch {
		case r.Is("type"):
			choice.Mode = readChoiceMode(r)
		case r.Is("name"):
			choice.Name = r.String()
		case r.Is("disable_parallel_tool_use"):
			if alone := r.BoolOpt(); alone != nil {
				c.ParallelTools = new(!*alone)
			}
		default:
			more = true
			r.Skip()
		}
	}
	if more {
		choice.Raw = bytes.Clone(r.Since(from))
	}
	c.ToolChoice = choice
}

func readChoiceMode(r *jsonx.Reader) translate.ChoiceMode {
	at := r.At()
	switch r.String() {
	case "auto":
		return translate.ChooseAuto
	case "none":
		return translate.ChooseNone
	case "any":
		return translate.ChooseAny
	case "tool":
		return translate.ChooseNamed
	}
	r.Fault(at, "must be auto, any, tool or none")
	return translate.ChooseAuto
}

// reasoning is where the wish to think is noted, which stands in two places.
func reasoning(c *translate.Conversation) *translate.Reasoning {
	if c.Reasoning == nil {
		c.Reasoning = &translate.Reasoning{}
	}
	return c.Reasoning
}

func readThinkingWish(r *jsonx.Reader, c *translate.Conversation) {
	if r.Null() {
		return
	}
	wish := reasoning(c)
	from, kind, more := r.At(), string(r.Peek("type")), false
	for r.Object(); r.Next('}'); {
		switch {
		case r.Is("type"):
			r.Skip()
		case r.Is("budget_tokens"):
			wish.Budget = r.IntOpt()
		case r.Is("display"):
			switch r.String() {
			case "":
			case "summarized":
				wish.Show, wish.Summary = new(true), "auto"
			case "omitted":
				wish.Show = new(false)
			default:
				more = true
			}
		default:
			more = true
			r.Skip()
		}
	}
	switch kind {
	case "enabled":
		if wish.Budget == nil {
			r.Fault(from, "must have budget_tokens")
		}
	case "disabled":
		wish.Off = true
	case "adaptive":
		wish.Adaptive = true
	default: // between_tools, and what is yet to come
		wish.Adaptive, more = true, true
	}
	if more {
		wish.Raw = bytes.Clone(r.Since(from))
	}
}

// readOutputConfig reads the effort and the format, and keeps the rest.
func readOutputConfig(r *jsonx.Reader, c *translate.Conversation) {
	if r.Null() {
		return
	}
	var rest translate.Extra
	for r.Object(); r.Next('}'); {
		switch {
		case r.Is("effort"):
			if effort := r.String(); effort != "" {
				reasoning(c).Effort = effort
			}
		case r.Is("format"):
			readFormat(r, c, "output_config.format")
		default:
			rest = append(rest, member(r))
		}
	}
	keep(c, "output_config", rest)
}

// readFormat reads how the text must be formed; name is what that is called.
func readFormat(r *jsonx.Reader, c *translate.Conversation, name string) {
	if r.Null() {
		return
	}
	f := &translate.Format{Kind: translate.JSONSchema}
	from, kind, more := r.At(), string(r.Peek("type")), false
	for r.Object(); r.Next('}'); {
		switch {
		case r.Is("type"):
			r.Skip()
		case r.Is("schema"):
			f.Schema = r.Raw()
		default:
			more = true
			r.Skip()
		}
	}
	if kind != "json_schema" || f.Schema == nil {
		f.Kind, f.Schema = translate.OtherFormat, nil
	}
	if more || f.Kind == translate.OtherFormat {
		f.Raw = jsontext.Value(bytes.Clone(r.Since(from)))
	}
	c.Format = f
	c.Name(translate.FeatureFormat, name)
}
