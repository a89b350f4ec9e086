package responses

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

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

// tools reads tools and tool_choice.
func tools(c *translate.Conversation, r *request) error {
	for i, raw := range r.Tools {
		t, err := toolOf(raw)
		if err != nil {
			at := fmt.Sprintf("tools[%d]", i)
			return translate.Malform(at, "%s must be an object with a type.", at)
		}
		c.Tools = append(c.Tools, t)
	}
	if !translate.Given(r.ToolChoice) {
		return nil
	}
	if c.ToolChoice = choiceOf(r.ToolChoice); c.ToolChoice == nil {
		return translate.Malform("tool_choice", "tool_choice must be none, auto, required or an object that names a tool.")
	}
	return nil
}

func toolOf(raw jsontext.Value) (translate.Tool, error) {
	var f struct {
		Type        string         `json:"type"`
		Name        string         `json:"name"`
		Description string         `json:"description"`
		Parameters  jsontext.Value `json:"parameters"`
		Strict      *bool          `json:"strict"`
		Format      jsontext.Value `json:"format"`
		Tools       jsontext.Value `json:"tools"`
		Execution   string         `json:"execution"`
		Rest        jsontext.Value `json:",embed"`
	}
	if err := jsonx.Unmarshal(raw, &f); err != nil {
		return translate.Tool{}, err
	}
	switch kind := serverTool(f.Type); {
	case f.Type == "function":
		t := translate.Tool{Kind: translate.Function, Name: f.Name, Description: f.Description, Strict: f.Strict, Extra: translate.ExtraOf(f.Rest)}
		for _, m := range []translate.Member{{Name: "format", Value: f.Format}, {Name: "tools", Value: f.Tools}, {Name: "execution", Value: quoted(f.Execution)}} {
			t.Extra = with(t.Extra, m.Name, m.Value) // which mean nothing here
		}
		if translate.Given(f.Parameters) {
			t.Schema = f.Parameters
		}
		return t, nil
	case f.Type == "custom":
		return translate.Tool{Kind: translate.Custom, Name: f.Name, Description: f.Description, Grammar: grammarOf(f.Format), Raw: raw}, nil
	case f.Type == "namespace":
		inner, err := toolsOf(f.Tools)
		return translate.Tool{Kind: translate.Namespace, Name: f.Name, Description: f.Description, Tools: inner, Raw: raw}, err
	case kind == translate.ToolSearch:
		t := translate.Tool{Kind: kind, Name: string(kind), Description: f.Description, Raw: raw}
		if f.Execution == byClient && translate.Given(f.Parameters) {
			t.Schema = f.Parameters
		}
		return t, nil
	case kind == translate.WebSearch:
		return translate.Tool{Kind: kind, Name: string(translate.WebSearch), Raw: raw}, nil
	default:
		return translate.Tool{Kind: kind, Name: f.Type, Raw: raw}, nil
	}
}

// byClient is the execution of a search for tools that the client runs.
const byClient = "client"

// toolsOf reads the tools of a bundle, or of an item that offers some.
func toolsOf(v jsontext.Value) ([]translate.Tool, error) {
	raws := list(v)
	tools := make([]translate.Tool, 0, len(raws))
	for _, raw := range raws {
		t, err := toolOf(raw)
		if err != nil {
			return nil, err
		}
		tools = append(tools, t)
	}
	return tools, nil
}

// grammarOf reads the format of a custom tool; nil when it is free.
func grammarOf(format jsontext.Value) *translate.Grammar {
	if member(format, "type") != "grammar" {
		return nil
	}
	return &translate.Grammar{Syntax: member(format, "syntax"), Definition: member(format, "definition")}
}

// serverTool is what kind of tool a type that no client runs is.
func serverTool(kind string) translate.ToolKind {
	switch kind {
	case "web_search", "web_search_2025_08_26", "web_search_preview", "web_search_preview_2025_03_11":
		return translate.WebSearch
	case "code_interpreter":
		return translate.CodeExecution
	case "mcp":
		return translate.MCP
	case "tool_search":
		return translate.ToolSearch
	}
	return translate.OtherTool
}

// choiceOf reads tool_choice; nil when it is none of the kinds.
func choiceOf(v jsontext.Value) *translate.ToolChoice {
	switch text(v) {
	case "none":
		return &translate.ToolChoice{Mode: translate.ChooseNone}
	case "auto":
		return &translate.ToolChoice{Mode: translate.ChooseAuto}
	case "required":
		return &translate.ToolChoice{Mode: translate.ChooseAny}
	}
	type named struct {
		Type      string `json:"type"`
		Name      string `json:"name"`
		Namespace string `json:"namespace"`
		Server    string `json:"server_label"`
	}
	var o struct {
		named
		Mode  string  `json:"mode"`
		Tools []named `json:"tools"`
	}
	if v.Kind() != '{' || jsonx.Unmarshal(v, &o) != nil || o.Type == "" {
		return nil
	}
	nameOf := func(n named) string {
		if kind := serverTool(n.Type); kind == translate.WebSearch {
			return string(kind)
		}
		return cmp.Or(n.Name, n.Server, n.Type)
	}
	if o.Type != "allowed_tools" {
		return &translate.ToolChoice{Mode: translate.ChooseNamed, Name: nameOf(o.named), Namespace: o.Namespace, Raw: v}
	}
	choice := &translate.ToolChoice{Mode: translate.ChooseAuto, Raw: v}
	if o.Mode == "required" {
		choice.Mode = translate.ChooseAny
	}
	for _, t := range o.Tools {
		choice.Allowed = append(choice.Allowed, nameOf(t))
	}
	return choice
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

// messagesOf reads a list of items, of an input or an output, as the messages that
// they are. An error is a *translate.Malformed.
func messagesOf(items jsontext.Value) ([]translate.Message, error) {
	raws := list(items)
	messages := make([]translate.Message, 0, len(raws))
	for i, raw := range raws {
		m, err := messageOf("input["+fmt.Sprint(i)+"]", raw)
		if err != nil {
			return nil, err
		}
		messages = append(messages, m)
	}
	return pickUp(messages), nil
}

func isInstructions(m *translate.Message) bool { return m.Extra.Get(instructionsMark) != nil }

// pickUp gives tool calls back the signatures that carriers brought, which are
// left out: see carrier.
func pickUp(messages []translate.Message) []translate.Message {
	var calls map[string]*translate.ToolCall
	carried := func(m *translate.Message) *translate.Thinking {
		if len(m.Parts) != 1 {
			return nil
		}
		t, ok := m.Parts[0].(*translate.Thinking)
		if !ok || t.Origin == translate.Responses || t.ID == "" || t.Text != "" || t.Signature == "" {
			return nil
		}
		return t
	}
	return slices.DeleteFunc(messages, func(m translate.Message) bool {
		t := carried(&m)
		if t == nil {
			return false
		}
		if calls == nil {
			calls = map[string]*translate.ToolCall{}
			for i := range messages {
				for _, p := range messages[i].Parts {
					if call, ok := p.(*translate.ToolCall); ok {
						calls[call.ID] = call
					}
				}
			}
		}
		call := calls[t.ID]
		if call != nil {
			call.Signature = t.Signature
		}
		return call != nil
	})
}

// messageOf reads an item; at is its path.
func messageOf(at string, raw jsontext.Value) (m translate.Message, err error) {
	it, err := readItem(at, raw)
	if err != nil {
		return m, err
	}
	if it.Type == messageItem || it.Type == "" {
		return it.message(at)
	}
	p, err := it.part(at, raw)
	m = translate.Message{Role: translate.Assistant, Parts: []translate.Part{p}, Extra: translate.Extra{{Name: rawItem, Value: jsontext.Value("true")}}}
	switch p := p.(type) {
	case *translate.ToolResult:
		m.Role = translate.User
	case *translate.Other:
		if p.Kind != reference && it.Role != "assistant" {
			m.Role = translate.User
		}
	}
	return m, err
}

// message reads an item that is a message.
func (it *item) message(at string) (m translate.Message, err error) {
	m = translate.Message{ID: it.ID, Extra: it.Rest}
	switch it.Role {
	case "system":
		m.Role = translate.System
	case "developer":
		m.Role = translate.Developer
	case "user":
		m.Role = translate.User
	case "assistant":
		m.Role = translate.Assistant
	case "":
		return m, translate.Malform(at+".role", "%s.role is required.", at)
	default:
		return m, translate.Malform(at+".role", "%s.role must be system, developer, user or assistant, not %q.", at, it.Role)
	}
	m.Parts, err = contents(at+".content", it.Content)
	return m, err
}

// part reads an item that is no message.
func (it *item) part(at string, raw jsontext.Value) (translate.Part, error) {
	rest := it.Rest
	switch it.Type {
	case reasoningItem:
		return it.thinking(rest), nil
	case functionCall:
		args := text(it.Arguments)
		if translate.Given(it.Arguments) && it.Arguments[0] != '"' {
			args = string(it.Arguments) // some servers write the object itself
		}
		namespace, rest := takeText(rest, "namespace")
		return &translate.ToolCall{ID: it.CallID, ItemID: it.ID, Name: text(it.Name), Namespace: namespace, Args: args, Extra: rest}, nil
	case customCall:
		namespace, rest := takeText(rest, "namespace")
		return &translate.ToolCall{ID: it.CallID, ItemID: it.ID, Name: text(it.Name), Namespace: namespace, Args: text(it.Input), Custom: true, Extra: rest}, nil
	case toolSearchCall, toolSearchFound:
		return it.search(at, raw)
	case moreTools:
		tools, err := toolsOf(find(raw, "tools"))
		if err != nil {
			return nil, translate.Malform(at+".tools", "%s.tools must be a list of tools.", at)
		}
		return &translate.Other{Kind: it.Type, Raw: raw, Tools: tools}, nil
	case functionOutput, customOutput:
		parts, err := contents(at+".output", it.Output)
		return &translate.ToolResult{CallID: it.CallID, ItemID: it.ID, Parts: parts, Custom: it.Type == customOutput, Extra: rest}, err
	case imageCall:
		if data := text(find(raw, "result")); data != "" {
			return &translate.Media{Kind: translate.Image, MIME: "image/" + cmp.Or(member(raw, "output_format"), "png"), Data: data, Raw: raw}, nil
		}
	}
	if kind, name := providerRuns(it.Type); kind != "" {
		return &translate.ToolCall{
			ID: it.ID, ItemID: it.ID, Name: name, Args: argsOfServer(it.Type, raw), Server: kind,
			Extra: translate.Extra{{Name: rawItem, Value: raw}},
		}, nil
	}
	return &translate.Other{Kind: it.Type, Raw: raw}, nil
}

// search reads a search for tools, or what was found: by the client, which is
// called like any of its tools, or by the provider.
func (it *item) search(at string, raw jsontext.Value) (translate.Part, error) {
	whole := translate.Extra{{Name: rawItem, Value: raw}}
	name := string(translate.ToolSearch)
	switch {
	case member(raw, "execution") != byClient:
		return &translate.ToolCall{ID: it.ID, ItemID: it.ID, Name: name, Args: "{}", Server: translate.ToolSearch, Extra: whole}, nil
	case it.Type == toolSearchCall:
		args := string(it.Arguments)
		if translate.Given(it.Arguments) && it.Arguments[0] == '"' {
			args = text(it.Arguments)
		}
		return &translate.ToolCall{ID: it.CallID, ItemID: it.ID, Name: name, Args: args, Search: true, Extra: whole}, nil
	}
	tools, err := toolsOf(find(raw, "tools"))
	if err != nil {
		return nil, translate.Malform(at+".tools", "%s.tools must be a list of tools.", at)
	}
	return &translate.ToolResult{CallID: it.CallID, ItemID: it.ID, Search: true, Tools: tools, Extra: whole}, nil
}

// takeText takes a member that is a string out of others.
func takeText(e translate.Extra, name string) (said string, rest translate.Extra) {
	i := slices.IndexFunc(e, func(m translate.Member) bool { return m.Name == name && m.Value.Kind() == '"' })
	if i < 0 {
		return "", e
	}
	return text(e[i].Value), slices.Delete(slices.Clone(e), i, i+1)
}

// providerRuns is what tool an item is a call of that the provider has run
// itself, and its name; "" when it is of another kind.
func providerRuns(kind string) (tool translate.ToolKind, name string) {
	switch kind {
	case webSearchCall:
		return translate.WebSearch, "web_search"
	case interpreterCall:
		return translate.CodeExecution, "code_interpreter"
	case mcpCall:
		return translate.MCP, "mcp"
	case fileSearchCall:
		return translate.OtherTool, "file_search"
	case xSearchCall:
		return translate.OtherTool, "x_search"
	}
	return "", ""
}

// argsOfServer is what such a tool was called with, as an object.
func argsOfServer(kind string, raw jsontext.Value) string {
	var w jsonx.Writer
	w.Open('{')
	switch kind {
	case webSearchCall:
		action := find(raw, "action")
		for _, name := range []string{"query", "url", "pattern"} {
			w.TextIf(name, member(action, name))
		}
	case interpreterCall:
		w.TextIf("code", member(raw, "code"))
	default:
		if args := member(raw, "arguments"); jsontext.Value(args).Kind() == '{' && jsontext.Value(args).IsValid() {
			return args
		}
	}
	w.Close('}')
	return string(w.Out)
}

// thinking reads thoughts: a summary of them, or where a server shows them, what
// they are. Those of another provider came through a client of this dialect.
func (it *item) thinking(rest translate.Extra) *translate.Thinking {
	t := &translate.Thinking{ID: it.ID}
	for _, p := range list(it.Summary) {
		t.Summary = append(t.Summary, member(p, "text"))
	}
	t.Text = joinThoughts(t.Summary)
	if len(t.Summary) == 0 {
		var said []string
		for _, p := range list(it.Content) {
			said = append(said, member(p, "text"))
		}
		t.Text = joinThoughts(said)
	}
	t.Uncarry(translate.Responses, it.Encrypted)
	if t.Origin == translate.Responses {
		t.Extra = with(rest, "content", it.Content)
	}
	return t
}

// contents reads the content of a message or the output of a tool.
func contents(at string, v jsontext.Value) ([]translate.Part, error) {
	switch {
	case !translate.Given(v):
		return nil, nil
	case v[0] == '"':
		return []translate.Part{&translate.Text{Text: text(v)}}, nil
	case v[0] != '[':
		return nil, translate.Malform(at, "%s must be a string or a list of content parts.", at)
	}
	raws := list(v)
	parts := make([]translate.Part, 0, len(raws))
	for i, raw := range raws {
		p, err := partOf(fmt.Sprintf("%s[%d]", at, i), raw)
		if err != nil {
			return nil, err
		}
		parts = append(parts, p)
	}
	return parts, nil
}

// partOf reads a content part.
func partOf(at string, raw jsontext.Value) (translate.Part, error) {
	p, err := readPart(at, raw)
	if err != nil {
		return nil, err
	}
	extra := p.Rest
	switch p.Type {
	case "input_text", "output_text", "text", "summary_text":
		extra = with(extra, "logprobs", p.Logprobs)
		return &translate.Text{Text: p.Text, Citations: citations(p.Annotations), Extra: extra}, nil
	case "refusal":
		return &translate.Refusal{Text: p.Refusal, Extra: extra}, nil
	case "input_image", "image_url":
		url := text(p.ImageURL)
		if translate.Given(p.ImageURL) && p.ImageURL[0] == '{' {
			url = member(p.ImageURL, "url")
		}
		if url == "" && p.FileID == "" {
			return nil, translate.Malform(at+".image_url", "%s.image_url or file_id is required.", at)
		}
		m := &translate.Media{Kind: translate.Image, URL: url, FileID: p.FileID, Detail: p.Detail, Extra: extra}
		if !m.Inline() {
			return nil, translate.Malform(at+".image_url", "%s.image_url is a data: URL without data.", at)
		}
		return m, nil
	case "input_file":
		return p.file(at, raw, with(extra, "detail", quoted(p.Detail)))
	case "":
		return nil, translate.Malform(at+".type", "%s.type is required.", at)
	}
	return &translate.Other{Kind: p.Type, Raw: raw}, nil
}

// file reads an input_file, whose data may be bare base64.
func (p *part) file(at string, raw jsontext.Value, extra translate.Extra) (translate.Part, error) {
	m := &translate.Media{Kind: translate.Document, URL: p.FileURL, FileID: p.FileID, Name: p.Filename, Extra: extra}
	switch {
	case strings.HasPrefix(p.FileData, "data:"):
		if m.URL = p.FileData; !m.Inline() {
			return nil, translate.Malform(at+".file_data", "%s.file_data is a data: URL without data.", at)
		}
	case p.FileData != "":
		m.Data, m.Raw = p.FileData, raw
	case m.URL == "" && m.FileID == "":
		return nil, translate.Malform(at+".file_data", "%s.file_data, file_url or file_id is required.", at)
	}
	return m, nil
}

func quoted(s string) jsontext.Value {
	if s == "" {
		return nil
	}
	return wire.Quote(s)
}

// citations reads annotations.
func citations(v jsontext.Value) (cited []translate.Citation) {
	for _, raw := range list(v) {
		cited = append(cited, citation(raw))
	}
	return cited
}

func citation(raw jsontext.Value) translate.Citation {
	c := translate.Citation{Raw: raw}
	var a annotation
	if jsonx.Unmarshal(raw, &a) == nil && a.Type == "url_citation" {
		c.Start, c.End, c.URL, c.Title = a.Start, a.End, a.URL, a.Title
	}
	return c
}
