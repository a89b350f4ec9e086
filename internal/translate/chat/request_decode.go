package chat

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"halley/internal/jsonx"
	"halley/internal/translate"
	"halley/internal/wire"
)

// DecodeRequest implements translate.Client.
func (Codec) DecodeRequest(body []byte) (*translate.Conversation, error) {
	r, err := readRequest(body)
	if err != nil {
		return nil, translate.Undecodable(err)
	}
	c := &translate.Conversation{
		From: translate.Chat, Model: r.Model, ParallelTools: r.ParallelToolCalls, Stream: r.Stream != nil && *r.Stream,
		Temperature: r.Temperature, TopP: r.TopP, TopK: r.TopK, FrequencyPenalty: r.FrequencyPenalty, PresencePenalty: r.PresencePenalty,
		Seed: r.Seed, Candidates: r.N, Logprobs: r.Logprobs, TopLogprobs: r.TopLogprobs, LogitBias: given(r.LogitBias), Verbosity: r.Verbosity,
		EndUser: cmp.Or(r.SafetyIdentifier, r.User), Metadata: r.Metadata, CacheKey: r.PromptCacheKey, ServiceTier: r.ServiceTier,
		Audio: given(r.Audio), Store: r.Store, Extra: r.Extra,
	}
	if r.SafetyIdentifier != "" {
		if r.User != "" { // which then is the same user by the former name
			c.Extra = append(c.Extra, translate.Member{Name: "user", Value: wire.Quote(r.User)})
		}
		c.Name(translate.FeatureEndUser, "safety_identifier")
	}
	if c.MaxOutput = r.MaxCompletionTokens; c.MaxOutput != nil {
		c.Name(translate.FeatureMaxOutput, "max_completion_tokens")
	} else {
		c.MaxOutput = r.MaxTokens
	}
	c.IncludeUsage = string(wire.Find(r.StreamOptions, "include_usage").Of(r.StreamOptions)) == "true"
	for _, m := range r.Modalities {
		if m != "text" {
			c.Modalities = append(c.Modalities, m)
		}
	}
	if c.Stop, err = stops(r.Stop); err != nil {
		return nil, err
	}
	if c.Format, err = formatOf(r.ResponseFormat); err != nil {
		return nil, err
	}
	if err := tools(c, r); err != nil {
		return nil, err
	}
	c.Reasoning = reasoning(c, r)
	return c, messages(c, r.Messages)
}

func given(v jsontext.Value) jsontext.Value {
	if translate.Given(v) {
		return v
	}
	return nil
}

func stops(v jsontext.Value) ([]string, error) {
	switch {
	case !translate.Given(v):
		return nil, nil
	case v[0] == '"':
		return []string{text(v)}, nil
	}
	var list []string
	if err := jsonx.Unmarshal(v, &list); err != nil {
		return nil, translate.Malform("stop", "stop must be a string or a list of strings.")
	}
	return list, nil
}

// responseFormat is response_format.
type responseFormat struct {
	Type   string `json:"type"`
	Schema *struct {
		Name        string         `json:"name"`
		Description string         `json:"description,omitzero"`
		Schema      jsontext.Value `json:"schema,omitzero"`
		Strict      *bool          `json:"strict,omitzero"`
	} `json:"json_schema,omitzero"`
	Rest jsontext.Value `json:",embed"`
}

func formatOf(v jsontext.Value) (*translate.Format, error) {
	if !translate.Given(v) {
		return nil, nil
	}
	var f responseFormat
	if err := jsonx.Unmarshal(v, &f); err != nil {
		return nil, translate.Malform("response_format", "response_format must be an object with a type.")
	}
	switch {
	case f.Type == "text":
		return &translate.Format{Kind: translate.PlainText}, nil
	case f.Type == "json_object" && !translate.Given(wire.Get(v, "schema")):
		return &translate.Format{Kind: translate.JSONObject}, nil
	case f.Type == "json_schema" && f.Schema != nil:
		return &translate.Format{
			Kind: translate.JSONSchema, Name: f.Schema.Name, Description: f.Schema.Description, Schema: given(f.Schema.Schema), Strict: f.Schema.Strict,
		}, nil
	case f.Type == "json_object": // Together: with a schema beside the type
		return &translate.Format{Kind: translate.JSONSchema, Name: "answer", Schema: jsontext.Value(wire.Get(v, "schema")), Raw: v}, nil
	}
	return &translate.Format{Kind: translate.OtherFormat, Raw: v}, nil
}

func tools(c *translate.Conversation, r *request) error {
	c.Name(translate.FeatureServerTool, "tools")
	c.Name(translate.FeatureCustomTool, "tools")
	for _, f := range r.Functions {
		c.Tools = append(c.Tools, functionTool(&f))
		c.Name(translate.FeatureTools, legacyTools)
	}
	for _, t := range r.Tools {
		switch {
		case t.Type == "custom":
			raw := marshal(t)
			def := wire.Get(raw, "custom")
			c.Tools = append(c.Tools, translate.Tool{
				Kind: translate.Custom, Name: text(wire.Get(def, "name")), Description: text(wire.Get(def, "description")),
				Grammar: grammarOf(wire.Get(def, "format")), Raw: raw,
			})
		case t.Function == nil:
			c.Tools = append(c.Tools, translate.Tool{Kind: serverTool(t.Type), Name: t.Type, Raw: marshal(t)})
		default:
			def := functionTool(t.Function)
			if mark := translate.ExtraOf(t.Rest).Get("cache_control"); mark != nil {
				def.Cache = &translate.CacheMark{Raw: mark, TTL: text(wire.Get(mark, "ttl"))}
			}
			c.Tools = append(c.Tools, def)
		}
	}
	if translate.Given(r.WebSearchOptions) {
		c.Tools = append(c.Tools, translate.Tool{Kind: translate.WebSearch, Name: webSearchOptions, Raw: r.WebSearchOptions})
		c.Name(translate.FeatureServerTool, webSearchOptions)
	}
	choice := r.ToolChoice
	if !translate.Given(choice) {
		choice = r.FunctionCall
	}
	if !translate.Given(choice) {
		return nil
	}
	c.ToolChoice = choiceOf(choice)
	if c.ToolChoice == nil {
		return translate.Malform("tool_choice", "tool_choice must be none, auto, required or an object that names a tool.")
	}
	return nil
}

// grammarOf reads the format of a custom tool; nil when it is free.
func grammarOf(format []byte) *translate.Grammar {
	grammar := wire.Get(format, "grammar")
	if len(grammar) == 0 {
		return nil
	}
	return &translate.Grammar{Syntax: text(wire.Get(grammar, "syntax")), Definition: text(wire.Get(grammar, "definition"))}
}

// legacyTools is what tools were called before.
const legacyTools = "functions"

// webSearchOptions is OpenAI's web search, which is no tool in this dialect.
const webSearchOptions = "web_search_options"

func serverTool(kind string) translate.ToolKind {
	switch kind {
	case "web_search", "web_search_preview", "openrouter:web_search":
		return translate.WebSearch
	case "code_interpreter":
		return translate.CodeExecution
	}
	return translate.OtherTool
}

func functionTool(f *function) translate.Tool {
	return translate.Tool{
		Kind: translate.Function, Name: f.Name, Description: f.Description, Schema: given(f.Parameters), Strict: f.Strict, Extra: translate.ExtraOf(f.Rest),
	}
}

func choiceOf(v jsontext.Value) *translate.ToolChoice {
	if v[0] == '"' {
		switch text(v) {
		case "none":
			return &translate.ToolChoice{Mode: translate.ChooseNone}
		case "auto":
			return &translate.ToolChoice{Mode: translate.ChooseAuto}
		case "required":
			return &translate.ToolChoice{Mode: translate.ChooseAny}
		case "any": // Mistral
			return &translate.ToolChoice{Mode: translate.ChooseAny, Raw: v}
		}
		return nil
	}
	var o struct {
		Type     string `json:"type"`
		Name     string `json:"name"` // before tools
		Function struct {
			Name string `json:"name"`
		} `json:"function"`
		Custom struct {
			Name string `json:"name"`
		} `json:"custom"`
		Allowed struct {
			Mode  string `json:"mode"`
			Tools []struct {
				Function struct {
					Name string `json:"name"`
				} `json:"function"`
			} `json:"tools"`
		} `json:"allowed_tools"`
	}
	if jsonx.Unmarshal(v, &o) != nil {
		return nil
	}
	if o.Type == "allowed_tools" {
		c := &translate.ToolChoice{Mode: translate.ChooseAuto, Raw: v}
		if o.Allowed.Mode == "required" {
			c.Mode = translate.ChooseAny
		}
		for _, t := range o.Allowed.Tools {
			c.Allowed = append(c.Allowed, t.Function.Name)
		}
		return c
	}
	name := cmp.Or(o.Function.Name, o.Custom.Name, o.Name)
	if name == "" {
		return nil
	}
	return &translate.ToolChoice{Mode: translate.ChooseNamed, Name: name, Raw: v}
}

// reasoning reads how much the model shall think: OpenAI's reasoning_effort, or
// OpenRouter's reasoning object, which stays in Extra too.
func reasoning(c *translate.Conversation, r *request) *translate.Reasoning {
	if r.ReasoningEffort != "" {
		c.Name(translate.FeatureReasoning, "reasoning_effort")
		return &translate.Reasoning{Effort: r.ReasoningEffort, Off: r.ReasoningEffort == "none"}
	}
	v := c.Extra.Get("reasoning")
	if !translate.Given(v) || v[0] != '{' {
		return nil
	}
	var o struct {
		Effort    string `json:"effort"`
		MaxTokens *int64 `json:"max_tokens"`
		Exclude   *bool  `json:"exclude"`
		Enabled   *bool  `json:"enabled"`
	}
	if jsonx.Unmarshal(v, &o) != nil {
		return nil
	}
	out := &translate.Reasoning{Effort: o.Effort, Budget: o.MaxTokens, Off: o.Effort == "none" || (o.Enabled != nil && !*o.Enabled)}
	out.Adaptive = !out.Off && o.Effort == "" && o.MaxTokens == nil
	if o.Exclude != nil {
		out.Show = new(!*o.Exclude)
	}
	return out
}

func messages(c *translate.Conversation, list []message) error {
	lastCall := "" // of the calls before tools, which have no ids
	c.Messages = slices.Grow(c.Messages, len(list))
	for i := range list {
		m, at := &list[i], place{"messages", i}
		out := translate.Message{Name: m.Name}
		switch m.Role {
		case "system":
			out.Role = translate.System
		case "developer":
			out.Role = translate.Developer
		case "user":
			out.Role = translate.User
		case "assistant", "model":
			out.Role = translate.Assistant
		case "tool", "function":
			out.Role, out.Name = translate.User, ""
			result := &translate.ToolResult{CallID: m.ToolCallID, Name: m.Name, Extra: m.extra}
			if m.Role == "function" {
				result.CallID = lastCall
			}
			var err error
			if result.Parts, err = m.contents(at); err != nil {
				return err
			}
			result.Cache, result.Extra = cacheIn(result.Extra)
			out.Parts = []translate.Part{result}
			c.Messages = append(c.Messages, out)
			continue
		case "":
			return translate.Malform(at.String()+".role", "%s.role is required.", at)
		default:
			return translate.Malform(at.String()+".role", "%s.role must be system, developer, user, assistant or tool, not %q.", at, m.Role)
		}
		out.Extra = m.extra
		if err := m.parts(at, &out); err != nil {
			return err
		}
		if m.FunctionCall.called() {
			lastCall = fmt.Sprintf("call_%d", i)
			out.Parts = append(out.Parts, &translate.ToolCall{ID: lastCall, Name: m.FunctionCall.Name, Args: string(m.FunctionCall.Arguments)})
		}
		c.Messages = append(c.Messages, out)
	}
	return nil
}

// place is where something stands, told when it is wrong.
type place struct {
	name  string
	index int // -1 for what is no list
}

// String is the place as a path.
func (p place) String() string {
	if p.index < 0 {
		return p.name
	}
	return p.name + "[" + strconv.Itoa(p.index) + "]"
}

// audioPart is the kind of the part that is what the model has said aloud.
const audioPart = "audio"

// parts are what is said in a message, thoughts first.
func (m *message) parts(at place, out *translate.Message) error {
	if t := m.thinking(); t != nil {
		out.Parts = append(out.Parts, t)
	}
	said, err := m.contents(at)
	if err != nil {
		return err
	}
	if out.Parts == nil {
		out.Parts = said
	} else {
		out.Parts = append(out.Parts, said...)
	}
	if m.Refusal != "" {
		out.Parts = append(out.Parts, &translate.Refusal{Text: m.Refusal})
	}
	if translate.Given(m.Audio) {
		out.Parts = append(out.Parts, &translate.Other{Kind: audioPart, Raw: m.Audio})
	}
	out.Parts = append(out.Parts, made(m.Images)...)
	cite(out.Parts, m.Annotations)
	for i := range m.ToolCalls {
		out.Parts = append(out.Parts, m.ToolCalls[i].part())
	}
	return nil
}

// inImages marks an image that stood among a message's images.
const inImages = "images"

// made are the images of an answer, in OpenRouter's place for them. What is none
// is left out.
func made(images jsontext.Value) (parts []translate.Part) {
	for raw := range wire.Elements(images) {
		var p part
		if jsonx.Unmarshal(raw, &p) != nil {
			continue
		}
		image, err := p.neutral("images", nil)
		if m, ok := image.(*translate.Media); ok && err == nil {
			m.Raw = jsontext.Value(raw).Clone()
			m.Extra = translate.Extra{{Name: inImages, Value: jsontext.Value("true")}}
			parts = append(parts, m)
		}
	}
	return parts
}

func (t *toolCall) part() *translate.ToolCall {
	c := &translate.ToolCall{ID: t.ID, Extra: t.extra}
	if t.Rest != nil {
		c.Extra = translate.ExtraOf(t.Rest)
	}
	switch {
	case t.Custom != nil && t.Custom.Name != "": // some servers have an empty one beside the function
		c.Name, c.Args, c.Custom = t.Custom.Name, t.Custom.Input, true
	case t.Function != nil:
		c.Name, c.Args = t.Function.Name, string(t.Function.Arguments)
	}
	if t.Extra != nil {
		c.Signature = t.Extra.Google.ThoughtSignature
	}
	return c
}

// contents reads a message's content.
func (m *message) contents(at place) ([]translate.Part, error) {
	if m.plain { // as most are
		one := &struct {
			text  translate.Text
			parts [1]translate.Part
		}{text: translate.Text{Text: m.text}}
		one.parts[0] = &one.text
		return one.parts[:], nil
	}
	return contents(at, m.Content)
}

func contents(at place, v jsontext.Value) ([]translate.Part, error) {
	switch {
	case !translate.Given(v):
		return nil, nil
	case v[0] == '"':
		return []translate.Part{&translate.Text{Text: text(v)}}, nil
	}
	var list []part
	if err := jsonx.Unmarshal(v, &list); err != nil {
		return nil, translate.Malform(at.String()+".content", "%s.content must be a string or a list of content parts.", at)
	}
	var parts []translate.Part
	i := 0
	for raw := range wire.Elements(v) {
		p, err := list[i].neutral(fmt.Sprintf("%s.content[%d]", at, i), jsontext.Value(raw).Clone())
		if err != nil {
			return nil, err
		}
		parts = append(parts, p)
		i++
	}
	return parts, nil
}

func (p *part) neutral(at string, raw jsontext.Value) (translate.Part, error) {
	mark, extra := cacheIn(translate.ExtraOf(p.Rest))
	if translate.Given(p.CacheControl) {
		mark = &translate.CacheMark{Raw: p.CacheControl, TTL: text(wire.Find(p.CacheControl, "ttl").Of(p.CacheControl))}
	}
	switch p.Type {
	case "text":
		if p.Text == nil {
			return nil, translate.Malform(at+".text", "%s.text is required.", at)
		}
		return &translate.Text{Text: *p.Text, Cache: mark, Extra: extra}, nil
	case "refusal":
		return &translate.Refusal{Text: p.Refusal, Extra: translate.Extra{{Name: "content", Value: raw}}}, nil
	case "image_url":
		m := &translate.Media{Kind: translate.Image, Cache: mark, Extra: extra}
		if translate.Given(p.ImageURL) && p.ImageURL[0] == '"' {
			m.URL, m.Raw = text(p.ImageURL), raw
		} else {
			var u imageURL
			if err := jsonx.Unmarshal(p.ImageURL, &u); err != nil || u.URL == "" {
				return nil, translate.Malform(at+".image_url", "%s.image_url must be an object with a url.", at)
			}
			m.URL, m.Detail = u.URL, u.Detail
		}
		return inlined(at+".image_url.url", m)
	case "input_audio":
		if p.InputAudio == nil {
			return nil, translate.Malform(at+".input_audio", "%s.input_audio is required.", at)
		}
		return &translate.Media{Kind: translate.AudioClip, MIME: "audio/" + p.InputAudio.Format, Data: p.InputAudio.Data, Cache: mark, Extra: extra}, nil
	case "file":
		if p.File == nil {
			return nil, translate.Malform(at+".file", "%s.file is required.", at)
		}
		m := &translate.Media{Kind: translate.Document, FileID: p.File.FileID, URL: p.File.FileData, Name: p.File.Filename, Cache: mark, Extra: extra}
		return inlined(at+".file.file_data", m)
	case "document_url", "video_url": // Mistral; OpenRouter
		m := &translate.Media{Kind: translate.Document, Name: text(find(raw, "document_name")), Cache: mark, Raw: raw}
		if p.Type == "video_url" {
			m.Kind = translate.Video
		}
		if m.URL = text(find(raw, p.Type)); m.URL == "" { // either way of both
			m.URL = text(find(find(raw, p.Type), "url"))
		}
		if m.URL == "" {
			return nil, translate.Malform(at+"."+p.Type, "%s.%s must be a URL.", at, p.Type)
		}
		return inlined(at+"."+p.Type, m)
	case "thinking": // Mistral
		return &translate.Thinking{Text: joined(p.Thinking), Origin: translate.Chat, Extra: translate.Extra{{Name: "content", Value: raw}}}, nil
	}
	return &translate.Other{Kind: p.Type, Raw: raw}, nil
}

func find(object jsontext.Value, name string) jsontext.Value {
	return wire.Find(object, name).Of(object)
}

// inlined takes the data out of a data: URL.
func inlined(at string, m *translate.Media) (translate.Part, error) {
	if !m.Inline() {
		return nil, translate.Malform(at, "%s is a data: URL without data.", at)
	}
	return m, nil
}

// cacheIn takes a cache_control, which some servers know, out of what a part has
// besides.
func cacheIn(e translate.Extra) (*translate.CacheMark, translate.Extra) {
	for i, m := range e {
		if m.Name == "cache_control" {
			return &translate.CacheMark{Raw: m.Value, TTL: text(wire.Find(m.Value, "ttl").Of(m.Value))}, append(e[:i:i], e[i+1:]...)
		}
	}
	return nil, e
}

// joined is the text of a list of text parts.
func joined(v jsontext.Value) string {
	if text := text(v); text != "" {
		return text
	}
	var b strings.Builder
	for p := range wire.Elements(v) {
		b.WriteString(text(jsontext.Value(wire.Get(p, "text"))))
	}
	return b.String()
}

// thinking are the thoughts of an assistant's message, which servers put into
// different members; nil when there are none.
func (m *message) thinking() *translate.Thinking {
	t := &translate.Thinking{Origin: translate.Chat}
	for _, field := range []translate.Member{{Name: "reasoning_content", Value: m.ReasoningContent}, {Name: "reasoning", Value: m.Reasoning}, {Name: "reasoning_details", Value: m.ReasoningDetails}} {
		if !translate.Given(field.Value) || len(field.Value) <= 2 {
			continue
		}
		t.Extra = append(t.Extra, field)
		if said := text(field.Value); t.Text == "" {
			t.Text = said
		}
	}
	if t.Extra == nil {
		return nil
	}
	details := t.Extra.Get("reasoning_details")
	alone := t.Text == "" // else they repeat it
	for d := range wire.Elements(details) {
		if alone {
			t.Text += text(jsontext.Value(wire.Get(d, "text")))
		}
		if signature := wire.Text(wire.Get(d, "signature")); strings.HasPrefix(signature, translate.CarryMark) {
			t.Uncarry(translate.Chat, signature)
			t.Extra = nil // they are ours
			return t
		}
	}
	t.Signature = string(details)
	return t
}
