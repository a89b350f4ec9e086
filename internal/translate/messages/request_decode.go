package messages

import (
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"halley/internal/translate"
	"halley/internal/wire"
)

// requestBody is a request, of which the members that are not named here go to
// Extra.
type requestBody struct {
	Model         string           `json:"model"`
	Messages      []messageBody    `json:"messages"`
	System        jsontext.Value   `json:"system"`
	MaxTokens     *int64           `json:"max_tokens"`
	Tools         []jsontext.Value `json:"tools"`
	ToolChoice    jsontext.Value   `json:"tool_choice"`
	Thinking      jsontext.Value   `json:"thinking"`
	OutputConfig  *outputConfig    `json:"output_config"`
	OutputFormat  jsontext.Value   `json:"output_format"` // the name of output_config.format during its beta
	Temperature   *float64         `json:"temperature"`
	TopP          *float64         `json:"top_p"`
	TopK          *int64           `json:"top_k"`
	StopSequences []string         `json:"stop_sequences"`
	Metadata      *metadata        `json:"metadata"`
	ServiceTier   string           `json:"service_tier"`
	MCPServers    []jsontext.Value `json:"mcp_servers"`
	Stream        bool             `json:"stream"`
	// Version and Betas are what the clouds want in the body. They are for the
	// platform that they are sent to.
	Version string         `json:"anthropic_version"`
	Betas   []string       `json:"anthropic_beta"`
	Extra   jsontext.Value `json:",embed"`
}

type messageBody struct {
	Role    string         `json:"role"`
	Content jsontext.Value `json:"content"`
	Extra   jsontext.Value `json:",embed"`
}

type outputConfig struct {
	Effort string         `json:"effort"`
	Format jsontext.Value `json:"format"`
	Extra  jsontext.Value `json:",embed"`
}

type metadata struct {
	UserID string         `json:"user_id"`
	Extra  jsontext.Value `json:",embed"`
}

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
	var b requestBody
	if err := decode("", body, &b); err != nil {
		return nil, err
	}
	c := &translate.Conversation{
		From: translate.Messages, Model: b.Model, Stream: b.Stream, IncludeUsage: true,
		MaxOutput: b.MaxTokens, Temperature: b.Temperature, TopP: b.TopP, TopK: b.TopK,
		Stop: b.StopSequences, ServiceTier: b.ServiceTier, Extra: extra(b.Extra),
	}
	for _, f := range fields {
		c.Name(f.feature, f.name)
	}
	if err := decodeMessages(c, &b); err != nil {
		return nil, err
	}
	if err := decodeTools(c, &b); err != nil {
		return nil, err
	}
	if err := decodeThinkingWish(c, &b); err != nil {
		return nil, err
	}
	if err := decodeFormat(c, &b); err != nil {
		return nil, err
	}
	if b.Metadata != nil {
		c.EndUser = b.Metadata.UserID
		if len(b.Metadata.Extra) > 2 {
			c.Extra = append(c.Extra, translate.Member{Name: "metadata", Value: b.Metadata.Extra})
		}
	}
	return c, nil
}

func decodeMessages(c *translate.Conversation, b *requestBody) error {
	system, err := decodeContent("system", b.System)
	if err != nil {
		return err
	}
	c.Messages = make([]translate.Message, 0, len(b.Messages)+1)
	if len(system) > 0 {
		c.Messages = append(c.Messages, translate.Message{Role: translate.System, Parts: system})
	}
	for i, m := range b.Messages {
		field := "messages." + strconv.Itoa(i)
		parts, err := decodeContent(field+".content", m.Content)
		if err != nil {
			return err
		}
		message := translate.Message{Parts: parts, Extra: extra(m.Extra)}
		switch m.Role {
		case "user":
			message.Role = translate.User
		case "assistant":
			message.Role = translate.Assistant
			message.Parts = pickUp(parts)
		case "system":
			message.Role = translate.System
		default:
			return translate.Malform(field+".role", "%s.role: must be user, assistant or system.", field)
		}
		c.Messages = append(c.Messages, message)
	}
	return nil
}

// toolBody is a tool: the client's own when Type is "" or "custom", else one of
// Anthropic's, whose type has a date.
type toolBody struct {
	Type        string         `json:"type"`
	Name        string         `json:"name"`
	Description string         `json:"description"`
	InputSchema jsontext.Value `json:"input_schema"`
	Strict      *bool          `json:"strict"`
	Cache       jsontext.Value `json:"cache_control"`
	Extra       jsontext.Value `json:",embed"`
}

func decodeTools(c *translate.Conversation, b *requestBody) error {
	for i, raw := range b.Tools {
		var t toolBody
		if err := decode("tools."+strconv.Itoa(i), raw, &t); err != nil {
			return err
		}
		tool := translate.Tool{
			Kind: translate.Function, Name: t.Name, Description: t.Description, Schema: given(t.InputSchema), Strict: t.Strict,
			Cache: cacheMark(t.Cache), Extra: extra(t.Extra),
		}
		switch t.Type {
		case "":
		case "custom":
			tool.Extra = append(tool.Extra, translate.Member{Name: "type", Value: jsontext.Value(`"custom"`)})
		default:
			tool = translate.Tool{Kind: providerTool(t.Type), Name: t.Name, Raw: raw, Cache: tool.Cache}
		}
		c.Tools = append(c.Tools, tool)
	}
	for _, raw := range b.MCPServers {
		c.Tools = append(c.Tools, translate.Tool{Kind: translate.MCP, Name: wire.Text(wire.Find(raw, "name").Of(raw)), Raw: raw})
	}
	return decodeToolChoice(c, given(b.ToolChoice))
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

func decodeToolChoice(c *translate.Conversation, raw jsontext.Value) error {
	if raw == nil {
		return nil
	}
	var choice struct {
		Type    string         `json:"type"`
		Name    string         `json:"name"`
		Disable *bool          `json:"disable_parallel_tool_use"`
		Extra   jsontext.Value `json:",embed"`
	}
	if err := decode("tool_choice", raw, &choice); err != nil {
		return err
	}
	c.ToolChoice = &translate.ToolChoice{Name: choice.Name}
	if len(choice.Extra) > 2 {
		c.ToolChoice.Raw = raw
	}
	switch choice.Type {
	case "auto":
	case "none":
		c.ToolChoice.Mode = translate.ChooseNone
	case "any":
		c.ToolChoice.Mode = translate.ChooseAny
	case "tool":
		c.ToolChoice.Mode = translate.ChooseNamed
	default:
		return translate.Malform("tool_choice.type", "tool_choice.type: must be auto, any, tool or none.")
	}
	if choice.Disable != nil {
		c.ParallelTools = new(!*choice.Disable)
	}
	return nil
}

// decodeThinkingWish reads thinking and output_config.effort.
func decodeThinkingWish(c *translate.Conversation, b *requestBody) error {
	effort := ""
	if b.OutputConfig != nil {
		effort = b.OutputConfig.Effort
	}
	raw := given(b.Thinking)
	if raw == nil {
		if effort != "" {
			c.Reasoning = &translate.Reasoning{Effort: effort}
			c.Name(translate.FeatureReasoning, "output_config.effort")
		}
		return nil
	}
	var t struct {
		Type    string         `json:"type"`
		Budget  *int64         `json:"budget_tokens"`
		Display string         `json:"display"`
		Extra   jsontext.Value `json:",embed"`
	}
	if err := decode("thinking", raw, &t); err != nil {
		return err
	}
	r := &translate.Reasoning{Effort: effort}
	switch t.Type {
	case "enabled":
		if t.Budget == nil {
			return translate.Malform("thinking.budget_tokens", "thinking.budget_tokens: is required.")
		}
		r.Budget = t.Budget
	case "disabled":
		r.Off = true
	case "adaptive":
		r.Adaptive = true
	default: // between_tools, and what is yet to come
		r.Adaptive, r.Raw = true, raw
	}
	switch t.Display {
	case "":
	case "summarized":
		r.Show, r.Summary = new(true), "auto"
	case "omitted":
		r.Show = new(false)
	default:
		r.Raw = raw
	}
	if len(t.Extra) > 2 {
		r.Raw = raw
	}
	c.Reasoning = r
	return nil
}

// decodeFormat reads how the text must be formed, and keeps the rest of
// output_config.
func decodeFormat(c *translate.Conversation, b *requestBody) error {
	raw := given(b.OutputFormat)
	if raw != nil {
		c.Name(translate.FeatureFormat, "output_format")
	}
	if b.OutputConfig != nil {
		if f := given(b.OutputConfig.Format); f != nil {
			raw = f
			c.Name(translate.FeatureFormat, "output_config.format")
		}
		if len(b.OutputConfig.Extra) > 2 {
			c.Extra = append(c.Extra, translate.Member{Name: "output_config", Value: b.OutputConfig.Extra})
		}
	}
	if raw == nil {
		return nil
	}
	var f struct {
		Type   string         `json:"type"`
		Schema jsontext.Value `json:"schema"`
		Extra  jsontext.Value `json:",embed"`
	}
	if err := decode(c.Field(translate.FeatureFormat), raw, &f); err != nil {
		return err
	}
	c.Format = &translate.Format{Kind: translate.JSONSchema, Schema: given(f.Schema)}
	if f.Type != "json_schema" || c.Format.Schema == nil {
		c.Format = &translate.Format{Kind: translate.OtherFormat}
	}
	if c.Format.Kind == translate.OtherFormat || len(f.Extra) > 2 {
		c.Format.Raw = raw
	}
	return nil
}
