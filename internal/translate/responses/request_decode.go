package responses

import (
	"cmp"
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"halley/internal/jsonx"
	"halley/internal/translate"
	"halley/internal/wire"
)

// request is the body of POST /responses.
type request struct {
	Model             string            `json:"model"`
	Input             jsontext.Value    `json:"input"` // a string or a list of items
	Instructions      jsontext.Value    `json:"instructions"`
	Tools             []jsontext.Value  `json:"tools"`
	ToolChoice        jsontext.Value    `json:"tool_choice"`
	ParallelToolCalls *bool             `json:"parallel_tool_calls"`
	MaxToolCalls      *int64            `json:"max_tool_calls"`
	Text              *textConfig       `json:"text"`
	Reasoning         jsontext.Value    `json:"reasoning"`
	Include           jsontext.Value    `json:"include"`
	Stream            bool              `json:"stream"`
	MaxOutputTokens   *int64            `json:"max_output_tokens"`
	Temperature       *float64          `json:"temperature"`
	TopP              *float64          `json:"top_p"`
	FrequencyPenalty  *float64          `json:"frequency_penalty"`
	PresencePenalty   *float64          `json:"presence_penalty"`
	TopLogprobs       *int64            `json:"top_logprobs"`
	User              string            `json:"user"`
	SafetyIdentifier  string            `json:"safety_identifier"`
	Metadata          map[string]string `json:"metadata"`
	PromptCacheKey    string            `json:"prompt_cache_key"`
	ServiceTier       string            `json:"service_tier"`
	Store             *bool             `json:"store"`
	Previous          string            `json:"previous_response_id"`
	Prompt            jsontext.Value    `json:"prompt"`       // a template that is kept at OpenAI
	Conversation      jsontext.Value    `json:"conversation"` // one that is kept at OpenAI
	Rest              jsontext.Value    `json:",embed"`
}

type textConfig struct {
	Format    jsontext.Value `json:"format"`
	Verbosity string         `json:"verbosity"`
	Rest      jsontext.Value `json:",embed"`
}

// fields are the dialect's names of what the neutral form calls otherwise.
var fields = [...]struct {
	feature translate.Feature
	name    string
}{
	{translate.FeatureServerTool, "tools"},
	{translate.FeatureCustomTool, "tools"},
	{translate.FeatureFormat, "text.format"},
	{translate.FeatureVerbosity, "text.verbosity"},
	{translate.FeatureMaxOutput, "max_output_tokens"},
	{translate.FeatureLogprobs, "include"},
	{translate.FeatureImage, "input.content.input_image"},
	{translate.FeatureDocument, "input.content.input_file"},
	{translate.FeatureAudio, "input.content.input_audio"},
	{translate.FeatureThinking, "input.reasoning"},
	{translate.FeatureCitations, "input.content.annotations"},
}

// DecodeRequest implements translate.Client. What came before in a stored
// conversation is not there.
func (Codec) DecodeRequest(body []byte) (*translate.Conversation, error) {
	var r request
	if err := jsonx.Decode(body, &r); err != nil {
		return nil, translate.Undecodable(err)
	}
	c := &translate.Conversation{
		From: translate.Responses, Model: r.Model, ParallelTools: r.ParallelToolCalls, MaxServerCalls: r.MaxToolCalls, Stream: r.Stream, IncludeUsage: true,
		MaxOutput: r.MaxOutputTokens, Temperature: r.Temperature, TopP: r.TopP, FrequencyPenalty: r.FrequencyPenalty, PresencePenalty: r.PresencePenalty,
		TopLogprobs: r.TopLogprobs, EndUser: cmp.Or(r.SafetyIdentifier, r.User), Metadata: r.Metadata, CacheKey: r.PromptCacheKey,
		ServiceTier: r.ServiceTier, Store: r.Store, PreviousResponse: r.Previous, Extra: translate.ExtraOf(r.Rest),
	}
	for _, f := range fields {
		c.Name(f.feature, f.name)
	}
	if r.SafetyIdentifier != "" {
		c.Name(translate.FeatureEndUser, "safety_identifier")
		if r.User != "" {
			c.Extra = with(c.Extra, "user", wire.Quote(r.User))
		}
	}
	if err := textFormat(c, r.Text); err != nil {
		return nil, err
	}
	if err := tools(c, &r); err != nil {
		return nil, err
	}
	if err := reasoningWish(c, r.Reasoning); err != nil {
		return nil, err
	}
	if err := included(c, r.Include); err != nil {
		return nil, err
	}
	return c, input(c, &r)
}

// textFormat reads text.
func textFormat(c *translate.Conversation, t *textConfig) error {
	if t == nil {
		return nil
	}
	c.Verbosity = t.Verbosity
	if len(t.Rest) > 2 {
		c.Extra = append(c.Extra, translate.Member{Name: "text", Value: t.Rest})
	}
	if !translate.Given(t.Format) {
		return nil
	}
	var f struct {
		Type        string         `json:"type"`
		Name        string         `json:"name"`
		Description string         `json:"description"`
		Schema      jsontext.Value `json:"schema"`
		Strict      *bool          `json:"strict"`
	}
	if err := jsonx.Unmarshal(t.Format, &f); err != nil {
		return translate.Malform("text.format", "text.format must be an object with a type.")
	}
	c.Format = &translate.Format{Kind: translate.OtherFormat, Raw: t.Format}
	switch f.Type {
	case "text":
		c.Format.Kind = translate.PlainText
	case "json_object":
		c.Format.Kind = translate.JSONObject
	case "json_schema":
		if f.Schema.Kind() != '{' {
			return translate.Malform("text.format.schema", "text.format.schema is required and must be an object.")
		}
		c.Format = &translate.Format{
			Kind: translate.JSONSchema, Name: f.Name, Description: f.Description, Schema: f.Schema, Strict: f.Strict, Raw: t.Format,
		}
	}
	return nil
}

// reasoningWish reads reasoning. One that only says how thoughts of earlier
// turns count is no wish for thoughts: it is left in Extra.
func reasoningWish(c *translate.Conversation, v jsontext.Value) error {
	if !translate.Given(v) {
		return nil
	}
	var o struct {
		Effort          string `json:"effort"`
		Summary         string `json:"summary"`
		GenerateSummary string `json:"generate_summary"` // the name before
	}
	if err := jsonx.Unmarshal(v, &o); err != nil {
		return translate.Malform("reasoning", "reasoning must be an object of effort and summary.")
	}
	summary := cmp.Or(o.Summary, o.GenerateSummary)
	if o.Effort == "" && summary == "" {
		c.Extra = append(c.Extra, translate.Member{Name: "reasoning", Value: v})
		return nil
	}
	c.Reasoning = &translate.Reasoning{Effort: o.Effort, Off: o.Effort == "none", Summary: summary, Raw: v}
	if summary != "" {
		c.Reasoning.Show = new(true)
	}
	return nil
}

// What include may ask for that others know too.
const (
	includeReasoning = "reasoning.encrypted_content"
	includeLogprobs  = "message.output_text.logprobs"
)

// included reads include, which stays in Extra as it is: the rest of it asks for
// more of what only this dialect has.
func included(c *translate.Conversation, v jsontext.Value) error {
	if !translate.Given(v) {
		return nil
	}
	var wanted []string
	if err := jsonx.Unmarshal(v, &wanted); err != nil {
		return translate.Malform("include", "include must be a list of strings.")
	}
	if slices.Contains(wanted, includeLogprobs) {
		c.Logprobs = new(true)
	}
	if c.Reasoning != nil {
		c.Reasoning.Encrypted = slices.Contains(wanted, includeReasoning)
	}
	c.Extra = append(c.Extra, translate.Member{Name: "include", Value: v})
	return nil
}

// input reads what the model is to go on from: the instructions, which stand
// before everything else, what is kept at OpenAI, and the items.
func input(c *translate.Conversation, r *request) error {
	switch {
	case !translate.Given(r.Instructions):
	case r.Instructions[0] != '"':
		return translate.Malform("instructions", "instructions must be a string.")
	default:
		c.Messages = append(c.Messages, translate.Message{
			Role: translate.System, Parts: []translate.Part{&translate.Text{Text: text(r.Instructions)}},
			Extra: translate.Extra{{Name: instructionsMark, Value: jsontext.Value("true")}},
		})
	}
	for _, kept := range []translate.Member{
		{Name: keptPrompt, Value: r.Prompt}, {Name: keptConversation, Value: r.Conversation}, {Name: keptResponse, Value: quoted(r.Previous)},
	} {
		if translate.Given(kept.Value) {
			c.Messages = append(c.Messages, translate.Message{Role: translate.System, Parts: []translate.Part{&translate.Other{Kind: kept.Name, Raw: kept.Value}}})
		}
	}
	switch {
	case !translate.Given(r.Input):
		return nil
	case r.Input[0] == '"':
		c.Messages = append(c.Messages, translate.Message{Role: translate.User, Parts: []translate.Part{&translate.Text{Text: text(r.Input)}}})
		return nil
	case r.Input[0] != '[':
		return translate.Malform("input", "input must be a string or a list of items.")
	}
	said, err := messagesOf(r.Input)
	c.Messages = append(c.Messages, said...)
	return err
}
