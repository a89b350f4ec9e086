package gemini

import (
	"fmt"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"halley/internal/jsonx"
	"halley/internal/translate"
	"halley/internal/wire"
)

// fields are the dialect's names of what the neutral form calls otherwise.
var fields = [...]struct {
	feature translate.Feature
	name    string
}{
	{translate.FeatureServerTool, "tools"},
	{translate.FeatureToolChoice, "toolConfig.functionCallingConfig"},
	{translate.FeatureFormat, "generationConfig.responseMimeType"},
	{translate.FeatureMaxOutput, "generationConfig.maxOutputTokens"},
	{translate.FeatureTemperature, "generationConfig.temperature"},
	{translate.FeatureTopP, "generationConfig.topP"},
	{translate.FeatureTopK, "generationConfig.topK"},
	{translate.FeatureFrequencyPenalty, "generationConfig.frequencyPenalty"},
	{translate.FeaturePresencePenalty, "generationConfig.presencePenalty"},
	{translate.FeatureSeed, "generationConfig.seed"},
	{translate.FeatureStop, "generationConfig.stopSequences"},
	{translate.FeatureCandidates, "generationConfig.candidateCount"},
	{translate.FeatureLogprobs, "generationConfig.responseLogprobs"},
	{translate.FeatureTopLogprobs, "generationConfig.logprobs"},
	{translate.FeatureReasoning, "generationConfig.thinkingConfig"},
	{translate.FeatureModalities, "generationConfig.responseModalities"},
	{translate.FeatureAudio, "contents.parts"},
	{translate.FeatureServiceTier, "serviceTier"},
	{translate.FeatureImage, "contents.parts"},
	{translate.FeatureDocument, "contents.parts"},
	{translate.FeatureVideo, "contents.parts"},
	{translate.FeatureThinking, "contents.parts.thought"},
}

// cachedContent is the kind of the part that stands for a cached prefix.
const cachedContent = "cachedContent"

// DecodeRequest implements translate.Client.
func (codec Codec) DecodeRequest(body []byte) (*translate.Conversation, error) {
	r := jsonx.Read(body)
	c := codec.conversation()
	readRequest(r, c)
	if err := translate.Undecodable(r.End()); err != nil {
		return nil, err
	}
	settleIDs(c.Messages)
	return c, nil
}

func (codec Codec) conversation() *translate.Conversation {
	c := &translate.Conversation{From: translate.Gemini, Model: codec.Model, Stream: codec.Streamed, IncludeUsage: true}
	for _, f := range fields {
		c.Name(f.feature, f.name)
	}
	return c
}

func readRequest(r *jsonx.Reader, c *translate.Conversation) {
	var front []translate.Message // what stands before the contents
	for r.Object(); r.Next('}'); {
		switch name := nameOf(r); name {
		case "contents":
			c.Messages = make([]translate.Message, 0, 16)
			each(r, func() { c.Messages = append(c.Messages, readContent(r)) })
		case "systemInstruction":
			if !r.Null() {
				front = append(front, readSystem(r))
			}
		case cachedContent:
			if name := r.Raw(); name != nil {
				front = append(front, translate.Message{Role: translate.System, Parts: []translate.Part{&translate.Other{Kind: cachedContent, Raw: name}}})
			}
		case "tools":
			each(r, func() { readTool(r, c) })
		case "toolConfig":
			readToolConfig(r, c)
		case "generationConfig":
			if !r.Null() {
				readConfig(r, c)
			}
		case "serviceTier":
			c.ServiceTier = readWord(r)
		case "model": // of a request within another; the path says it
			if text := strings.TrimPrefix(r.String(), "models/"); c.Model == "" {
				c.Model = text
			}
		default:
			c.Extra = append(c.Extra, member(r))
		}
	}
	c.Messages = append(front, c.Messages...)
}

func readContent(r *jsonx.Reader) (m translate.Message) {
	m.Role = translate.User
	for r.Object(); r.Next('}'); {
		switch {
		case r.Is("role"):
			at := r.At()
			switch role := r.String(); role {
			case roleUser, "function", "": // the second is the former role of results
			case roleModel:
				m.Role = translate.Assistant
			default:
				r.Fault(at, fmt.Sprintf("must be user or model, not %q", role))
			}
		case r.Is("parts"):
			each(r, func() { m.Parts = append(m.Parts, readPart(r)) })
		default:
			m.Extra = append(m.Extra, member(r))
		}
	}
	return m
}

// readSystem reads a systemInstruction: contents, whose role says nothing, or a
// text alone.
func readSystem(r *jsonx.Reader) (m translate.Message) {
	m.Role = translate.System
	if r.Kind() == '"' {
		m.Parts = []translate.Part{&translate.Text{Text: r.String()}}
		return m
	}
	for r.Object(); r.Next('}'); {
		if r.Is("parts") {
			each(r, func() { m.Parts = append(m.Parts, readPart(r)) })
		} else {
			m.Extra = append(m.Extra, member(r))
		}
	}
	return m
}

// settleIDs gives ids to calls that have none, and results without one the id of
// the first call of their tool that has no result yet.
func settleIDs(messages []translate.Message) {
	var open []*translate.ToolCall
	for i := range messages {
		for j, p := range messages[i].Parts {
			switch p := p.(type) {
			case *translate.ToolCall:
				if p.Server != "" {
					continue
				}
				if p.ID == "" {
					p.ID = fmt.Sprintf("call_%d_%d", i, j)
					p.Extra = marked(p.Extra)
				}
				open = append(open, p)
			case *translate.ToolResult:
				if p.Server != "" {
					continue
				}
				at := callOf(open, p)
				if p.CallID == "" {
					p.CallID = fmt.Sprintf("call_%d_%d", i, j)
					if at >= 0 {
						p.CallID = open[at].ID
					}
					p.Extra = marked(p.Extra)
				}
				if at >= 0 {
					open = append(open[:at], open[at+1:]...)
				}
			}
		}
	}
}

// callOf is the place of the call that a result answers; -1 when there is none.
func callOf(open []*translate.ToolCall, r *translate.ToolResult) int {
	for i, call := range open {
		if r.CallID != "" && call.ID == r.CallID || r.CallID == "" && call.Name == r.Name {
			return i
		}
	}
	return -1
}

// readTool reads an entry of tools: function declarations, and tools that Google
// runs, each a member.
func readTool(r *jsonx.Reader, c *translate.Conversation) {
	for r.Object(); r.Next('}'); {
		name := nameOf(r)
		if name == "functionDeclarations" {
			each(r, func() { c.Tools = append(c.Tools, readDeclaration(r)) })
			continue
		}
		kind := translate.OtherTool
		switch name {
		case "googleSearch", "googleSearchRetrieval":
			kind = translate.WebSearch
		case "urlContext":
			kind = translate.WebFetch
		case "codeExecution":
			kind = translate.CodeExecution
		}
		if value := r.Raw(); value != nil {
			raw := translate.Extra{{Name: name, Value: value}}.Object()
			c.Tools = append(c.Tools, translate.Tool{Kind: kind, Name: name, Raw: raw})
		}
	}
}

func readDeclaration(r *jsonx.Reader) translate.Tool {
	t := translate.Tool{Kind: translate.Function}
	for r.Object(); r.Next('}'); {
		switch name := nameOf(r); name {
		case "name":
			t.Name = r.String()
		case "description":
			t.Description = r.String()
		case "parametersJsonSchema":
			t.Schema = r.Raw()
		case "parameters":
			if schema := r.Raw(); schema != nil {
				t.Schema = jsonSchema(schema)
				t.Extra = append(t.Extra, translate.Member{Name: name, Value: schema})
			}
		default:
			t.Extra = append(t.Extra, member(r))
		}
	}
	return t
}

// readToolConfig reads which functions may be called. The whole stays with the
// choice, or in Extra when it says nothing of that.
func readToolConfig(r *jsonx.Reader, c *translate.Conversation) {
	name, raw := r.Name(), r.Raw()
	if raw == nil {
		return
	}
	choice := translate.ToolChoice{Raw: raw}
	mode := ""
	inner := jsonx.Read(raw)
	for inner.Object(); inner.Next('}'); {
		if nameOf(inner) != "functionCallingConfig" || inner.Kind() == 'n' {
			inner.Skip()
			continue
		}
		for inner.Object(); inner.Next('}'); {
			switch nameOf(inner) {
			case "mode":
				mode = readWord(inner)
			case "allowedFunctionNames":
				choice.Allowed = readStrings(inner)
			default:
				inner.Skip()
			}
		}
	}
	if inner.End() != nil {
		r.Fault(0, "toolConfig must be an object with a functionCallingConfig")
		return
	}
	switch mode {
	case "AUTO", "1", "VALIDATED": // the last also holds calls to their schema
		choice.Mode = translate.ChooseAuto
	case "ANY", "2":
		choice.Mode = translate.ChooseAny
		if len(choice.Allowed) == 1 {
			choice.Mode, choice.Name, choice.Allowed = translate.ChooseNamed, choice.Allowed[0], nil
		}
	case "NONE", "3":
		choice.Mode = translate.ChooseNone
	default:
		c.Extra = append(c.Extra, translate.Member{Name: name, Value: raw})
		return
	}
	c.ToolChoice = &choice
}

// readConfig reads generationConfig.
func readConfig(r *jsonx.Reader, c *translate.Conversation) {
	var format formatWish
	for r.Object(); r.Next('}'); {
		switch name := nameOf(r); name {
		case "candidateCount":
			c.Candidates = readInt(r)
		case "stopSequences":
			c.Stop = readStrings(r)
		case "maxOutputTokens":
			c.MaxOutput = readInt(r)
		case "temperature":
			c.Temperature = r.FloatOpt()
		case "topP":
			c.TopP = r.FloatOpt()
		case "topK":
			c.TopK = readInt(r)
		case "seed":
			c.Seed = readInt(r)
		case "presencePenalty":
			c.PresencePenalty = r.FloatOpt()
		case "frequencyPenalty":
			c.FrequencyPenalty = r.FloatOpt()
		case "responseLogprobs":
			c.Logprobs = r.BoolOpt()
		case "logprobs":
			c.TopLogprobs = readInt(r)
		case "responseMimeType":
			format.mime = r.String()
		case "responseSchema":
			format.schema = r.Raw()
		case "responseJsonSchema", "_responseJsonSchema":
			format.jsonSchema = r.Raw()
		case "thinkingConfig":
			readThinking(r, c)
		case "responseModalities":
			readModalities(r, c)
		case "speechConfig":
			if c.Audio = r.Raw(); c.Audio != nil {
				c.Name(translate.FeatureAudio, "generationConfig.speechConfig")
			}
		default:
			c.Extra = append(c.Extra, translate.Member{Name: ofConfig + r.Name(), Value: r.Value()})
		}
	}
	c.Format = format.neutral()
}

// formatWish is what generationConfig says of the text's form.
type formatWish struct {
	mime       string
	schema     jsontext.Value // of Google's own form
	jsonSchema jsontext.Value
}

func (f *formatWish) neutral() *translate.Format {
	var raw jsonx.Writer
	raw.Open('{')
	raw.TextIf("responseMimeType", f.mime)
	raw.Raw("responseSchema", f.schema)
	raw.Raw("responseJsonSchema", f.jsonSchema)
	raw.Close('}')
	out := &translate.Format{Raw: raw.Out}
	switch {
	case f.mime == "" && f.schema == nil && f.jsonSchema == nil:
		return nil
	case f.mime == "text/plain" || f.mime == "":
		out.Kind = translate.PlainText
	case f.mime != "application/json": // text/x.enum
		out.Kind = translate.OtherFormat
	case f.jsonSchema != nil:
		out.Kind, out.Name, out.Schema = translate.JSONSchema, schemaName(f.jsonSchema), f.jsonSchema
	case f.schema != nil:
		out.Kind, out.Name, out.Schema = translate.JSONSchema, schemaName(f.schema), jsonSchema(f.schema)
	default:
		out.Kind = translate.JSONObject
	}
	return out
}

// schemaName is what a format is called, which other dialects demand: the
// schema's title, as far as it is a name.
func schemaName(schema jsontext.Value) string {
	var name []byte
	for _, c := range []byte(wire.Text(wire.Get(schema, "title"))) {
		if c == ' ' || c == '-' {
			c = '_'
		}
		if c == '_' || c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' {
			name = append(name, c)
		}
	}
	if len(name) == 0 {
		return "answer"
	}
	return string(name[:min(len(name), 64)])
}

func readThinking(r *jsonx.Reader, c *translate.Conversation) {
	if r.Null() {
		return
	}
	from := r.At()
	var t translate.Reasoning
	for r.Object(); r.Next('}'); {
		switch nameOf(r) {
		case "includeThoughts":
			t.Show = r.BoolOpt()
		case "thinkingBudget":
			t.Budget = readInt(r)
		case "thinkingLevel":
			if level := strings.ToLower(readWord(r)); level != "thinking_level_unspecified" {
				t.Effort = level
			}
		default:
			r.Skip()
		}
	}
	if t.Budget != nil {
		t.Off, t.Adaptive = *t.Budget == 0, *t.Budget < 0
	}
	t.Raw = append(jsontext.Value(nil), r.Since(from)...)
	c.Reasoning = &t
}

// readModalities reads what the answer may be made of. What the neutral form
// cannot tell from it, an answer without text, stays in Extra.
func readModalities(r *jsonx.Reader, c *translate.Conversation) {
	from := r.At()
	text := false
	for _, word := range readStrings(r) {
		if word == "TEXT" {
			text = true
		} else {
			c.Modalities = append(c.Modalities, strings.ToLower(word))
		}
	}
	if len(c.Modalities) > 0 && !text {
		c.Extra = append(c.Extra, translate.Member{Name: ofConfig + "responseModalities", Value: append(jsontext.Value(nil), r.Since(from)...)})
	}
}
