package converse

import (
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"halley/internal/jsonx"
	"halley/internal/translate"
	"halley/internal/wire"
)

// fields are Amazon's names of what the neutral form calls otherwise.
var fields = [...]struct {
	feature translate.Feature
	name    string
}{
	{translate.FeatureTools, "toolConfig.tools"},
	{translate.FeatureServerTool, "toolConfig.tools"},
	{translate.FeatureCustomTool, "toolConfig.tools"},
	{translate.FeatureToolChoice, "toolConfig.toolChoice"},
	{translate.FeatureFormat, "outputConfig.textFormat"},
	{translate.FeatureMaxOutput, "inferenceConfig.maxTokens"},
	{translate.FeatureTemperature, "inferenceConfig.temperature"},
	{translate.FeatureTopP, "inferenceConfig.topP"},
	{translate.FeatureTopK, "additionalModelRequestFields.top_k"},
	{translate.FeatureStop, "inferenceConfig.stopSequences"},
	{translate.FeatureReasoning, "additionalModelRequestFields.thinking"},
	{translate.FeatureMetadata, "requestMetadata"},
	{translate.FeatureCacheControl, "cachePoint"},
	{translate.FeatureServiceTier, "serviceTier"},
	{translate.FeatureImage, "messages.content.image"},
	{translate.FeatureDocument, "messages.content.document"},
	{translate.FeatureVideo, "messages.content.video"},
	{translate.FeatureAudio, "messages.content.audio"},
	{translate.FeatureThinking, "messages.content.reasoningContent"},
	{translate.FeatureCitations, "messages.content.citationsContent"},
}

// DecodeRequest implements translate.Client. The model and whether the answer is
// streamed stand in the path.
func (Codec) DecodeRequest(body []byte) (*translate.Conversation, error) {
	c := &translate.Conversation{From: translate.Converse, IncludeUsage: true}
	for _, f := range fields {
		c.Name(f.feature, f.name)
	}
	r := jsonx.Read(body)
	var system []translate.Part
	for r.Object(); r.Next('}'); {
		switch {
		case r.Is("modelId"):
			c.Model = r.String()
		case r.Is("system"):
			system = readBlocks(r)
		case r.Is("messages"):
			readMessages(r, c)
		case r.Is("inferenceConfig"):
			readInference(r, c)
		case r.Is("toolConfig"):
			readToolConfig(r, c)
		case r.Is("outputConfig"):
			readOutputConfig(r, c)
		case r.Is("requestMetadata"):
			readMetadata(r, c)
		case r.Is("serviceTier"):
			readTier(r, c)
		default:
			c.Extra = append(c.Extra, member(r))
		}
	}
	if err := translate.Undecodable(r.End()); err != nil {
		return nil, err
	}
	if len(system) > 0 {
		c.Messages = append([]translate.Message{{Role: translate.System, Parts: system}}, c.Messages...)
	}
	readModelFields(c)
	return c, nil
}

func readMessages(r *jsonx.Reader, c *translate.Conversation) {
	for r.Array(); r.Next(']'); {
		m := translate.Message{Role: translate.User}
		for r.Object(); r.Next('}'); {
			switch {
			case r.Is("role"):
				at := r.At()
				switch role := r.String(); role {
				case "user":
				case "assistant":
					m.Role = translate.Assistant
				default:
					r.Fault(at, `must be "user" or "assistant"`)
				}
			case r.Is("content"):
				m.Parts = readBlocks(r)
			default:
				m.Extra = append(m.Extra, member(r))
			}
		}
		c.Messages = append(c.Messages, m)
	}
}

func readInference(r *jsonx.Reader, c *translate.Conversation) {
	if r.Null() {
		return
	}
	var rest translate.Extra
	for r.Object(); r.Next('}'); {
		switch {
		case r.Is("maxTokens"):
			c.MaxOutput = r.IntOpt()
		case r.Is("temperature"):
			c.Temperature = r.FloatOpt()
		case r.Is("topP"):
			c.TopP = r.FloatOpt()
		case r.Is("stopSequences"):
			if r.Null() {
				continue
			}
			for r.Array(); r.Next(']'); {
				c.Stop = append(c.Stop, r.String())
			}
		default:
			rest = append(rest, member(r))
		}
	}
	keep(c, "inferenceConfig", rest)
}

// keep puts what an object has besides what the neutral form knows into Extra.
func keep(c *translate.Conversation, name string, rest translate.Extra) {
	if len(rest) > 0 {
		c.Extra = append(c.Extra, translate.Member{Name: name, Value: rest.Object()})
	}
}

func readToolConfig(r *jsonx.Reader, c *translate.Conversation) {
	if r.Null() {
		return
	}
	var rest translate.Extra
	for r.Object(); r.Next('}'); {
		switch {
		case r.Is("tools"):
			for r.Array(); r.Next(']'); {
				readTool(r, c)
			}
		case r.Is("toolChoice"):
			readToolChoice(r, c)
		default:
			rest = append(rest, member(r))
		}
	}
	keep(c, "toolConfig", rest)
}

func readTool(r *jsonx.Reader, c *translate.Conversation) {
	at := r.At()
	t := translate.Tool{Kind: translate.OtherTool}
	point := false
	for r.Object(); r.Next('}'); {
		switch {
		case r.Is("toolSpec"):
			t.Kind = translate.Function
			readToolSpec(r, &t)
		case r.Is("systemTool"):
			if v := r.Value(); textOf(v, "name") == grounding {
				t.Kind = translate.WebSearch
			}
		default:
			point = point || r.Is("cachePoint")
			r.Skip()
		}
	}
	if last := len(c.Tools) - 1; point && last >= 0 && c.Tools[last].Cache == nil {
		c.Tools[last].Cache = markOf(whole(r, at))
		return
	}
	if t.Kind != translate.Function {
		t.Raw = whole(r, at)
	}
	c.Tools = append(c.Tools, t)
}

func readToolSpec(r *jsonx.Reader, t *translate.Tool) {
	for r.Object(); r.Next('}'); {
		switch {
		case r.Is("name"):
			t.Name = r.String()
		case r.Is("description"):
			t.Description = r.String()
		case r.Is("inputSchema"):
			schema := r.Value()
			t.Schema = jsontext.Value(wire.Get(schema, "json"))
		case r.Is("strict"):
			t.Strict = r.BoolOpt()
		default:
			t.Extra = append(t.Extra, member(r))
		}
	}
}

func readToolChoice(r *jsonx.Reader, c *translate.Conversation) {
	if r.Null() {
		return
	}
	choice := &translate.ToolChoice{Raw: r.Value()}
	for name, v := range wire.Members(choice.Raw) {
		switch string(name) {
		case `"any"`:
			choice.Mode = translate.ChooseAny
		case `"tool"`:
			choice.Mode, choice.Name = translate.ChooseNamed, textOf(v, "name")
		}
	}
	c.ToolChoice = choice
}

// readOutputConfig reads the format, whose schema is a text here.
func readOutputConfig(r *jsonx.Reader, c *translate.Conversation) {
	if r.Null() {
		return
	}
	var rest translate.Extra
	for r.Object(); r.Next('}'); {
		if !r.Is("textFormat") {
			rest = append(rest, member(r))
			continue
		}
		at := r.At()
		f := &translate.Format{Kind: translate.OtherFormat, Raw: r.Value()}
		structure := wire.Find(f.Raw, "structure").Of(f.Raw)
		if schema := wire.Get(structure, "jsonSchema"); len(schema) > 0 {
			f.Kind, f.Name, f.Description = translate.JSONSchema, textOf(schema, "name"), textOf(schema, "description")
			if f.Schema = jsontext.Value(textOf(schema, "schema")); !f.Schema.IsValid() {
				r.Fault(at, "must have a jsonSchema.schema that is a text of JSON")
			}
		}
		c.Format = f
	}
	keep(c, "outputConfig", rest)
}

func readMetadata(r *jsonx.Reader, c *translate.Conversation) {
	if r.Null() {
		return
	}
	c.Metadata = map[string]string{}
	for r.Object(); r.Next('}'); {
		c.Metadata[strings.Clone(r.Name())] = r.String()
	}
}

func readTier(r *jsonx.Reader, c *translate.Conversation) {
	if r.Null() {
		return
	}
	for r.Object(); r.Next('}'); {
		if r.Is("type") {
			c.ServiceTier = r.String()
		} else {
			r.Skip()
		}
	}
}

// readModelFields finds what members for single models say that the neutral form
// has words for. They stay in Extra as well, for the same dialect.
func readModelFields(c *translate.Conversation) {
	more := c.Extra.Get("additionalModelRequestFields")
	var v struct {
		TopK      *int64 `json:"top_k"`
		Inference struct {
			TopK *int64 `json:"topK"`
		} `json:"inferenceConfig"`
		Thinking *struct {
			Type   string `json:"type"`
			Budget *int64 `json:"budget_tokens"`
		} `json:"thinking"`
		OutputConfig struct {
			Effort string `json:"effort"`
		} `json:"output_config"`
		Nova *struct {
			Type   string `json:"type"`
			Effort string `json:"maxReasoningEffort"`
		} `json:"reasoningConfig"`
		Effort string `json:"reasoning_effort"`
	}
	if len(more) == 0 || jsonx.Decode(more, &v) != nil { // the model's business
		return
	}
	if c.TopK = v.TopK; c.TopK == nil {
		c.TopK = v.Inference.TopK
	}
	reasoning := &translate.Reasoning{Effort: v.OutputConfig.Effort}
	if v.Effort != "" {
		reasoning.Effort = v.Effort
	}
	if t := v.Thinking; t != nil {
		reasoning.Budget, reasoning.Adaptive, reasoning.Off = t.Budget, t.Type == "adaptive", t.Type == "disabled"
	}
	if n := v.Nova; n != nil {
		reasoning.Effort, reasoning.Off = n.Effort, n.Type == "disabled"
	}
	if reasoning.Effort != "" || reasoning.Budget != nil || reasoning.Adaptive || reasoning.Off {
		c.Reasoning = reasoning
	}
}
