package responses

import (
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"halley/internal/jsonx"
	"halley/internal/translate"
	"halley/internal/wire"
	"halley/internal/wire/openai"
)

// The longest call ids and end users that OpenAI takes, in characters.
const maxID = 64

// encoder writes one request. same says that it was made in this dialect.
type encoder struct {
	c    *translate.Conversation
	to   translate.Target
	same bool
	w    jsonx.Writer
}

// EncodeRequest implements translate.Upstream.
func (Codec) EncodeRequest(c *translate.Conversation, to translate.Target) ([]byte, error) {
	e := &encoder{c: c, to: to, same: c.From == translate.Responses}
	e.w.Out = make([]byte, 0, sizeOf(c))
	e.w.Open('{')
	e.w.Text("model", to.Model)
	if err := e.messages(); err != nil {
		return nil, err
	}
	if err := e.tools(); err != nil {
		return nil, err
	}
	if err := e.text(); err != nil {
		return nil, err
	}
	e.bounds()
	e.reasoning()
	e.tags()
	if e.same {
		for _, m := range c.Extra {
			if m.Name != "text" {
				e.w.Raw(m.Name, m.Value)
			}
		}
	} else {
		if err := e.refuse(); err != nil {
			return nil, err
		}
		e.include()
		c.DropExtra()
	}
	if c.Stream {
		e.w.Flag("stream", true)
	}
	e.w.Close('}')
	return e.w.Out, nil
}

// sizeOf is about how large the request will be, in bytes, if it is text.
func sizeOf(c *translate.Conversation) int {
	size := 4096
	for i := range c.Messages {
		for _, p := range c.Messages[i].Parts {
			switch p := p.(type) {
			case *translate.Text:
				size += len(p.Text) + len(p.Text)/16 + 96
			case *translate.Media:
				size += len(p.Data) + len(p.Raw) + 96
			case *translate.ToolCall:
				size += len(p.Args) + 192
			case *translate.Thinking:
				size += len(p.Text) + len(p.Signature) + 192
			}
		}
	}
	return size
}

// bounds writes the output bound and the sampling.
func (e *encoder) bounds() {
	c, w := e.c, &e.w
	switch {
	case e.to.Cap > 0:
		w.Int("max_output_tokens", e.to.Cap)
	case c.MaxOutput != nil:
		w.Int("max_output_tokens", *c.MaxOutput)
	}
	w.Number("temperature", c.Temperature)
	w.Number("top_p", c.TopP)
	if c.TopLogprobs != nil {
		w.Int("top_logprobs", *c.TopLogprobs)
	}
	if e.same {
		w.Number("frequency_penalty", c.FrequencyPenalty)
		w.Number("presence_penalty", c.PresencePenalty)
	}
}

// tags writes what names the request, its user and its price.
func (e *encoder) tags() {
	c, w := e.c, &e.w
	switch {
	case c.EndUser == "":
	case c.Fields[translate.FeatureEndUser] == "safety_identifier":
		w.Text("safety_identifier", c.EndUser)
	case e.same:
		w.Text("user", c.EndUser)
	default:
		w.Text("user", translate.Short(c.EndUser, maxID))
	}
	if c.Metadata != nil {
		w.Raw("metadata", marshal(c.Metadata))
	}
	w.TextIf("prompt_cache_key", c.CacheKey)
	switch {
	case e.same, c.From == translate.Chat, c.ServiceTier == "auto":
		w.TextIf("service_tier", c.ServiceTier)
	case c.ServiceTier == "standard_only": // Anthropic
		w.Text("service_tier", "default")
	case c.ServiceTier != "":
		c.Drop(translate.FeatureServiceTier)
	}
	switch {
	case c.Store != nil:
		w.Flag("store", *c.Store)
	case !e.same: // which is the default of this dialect alone
		w.Flag("store", false)
	}
}

// reasoning writes how much the model shall think, and asks for a summary where
// the client wants to see thoughts.
func (e *encoder) reasoning() {
	r := e.c.Reasoning
	if r == nil {
		return
	}
	if e.same {
		e.w.Raw("reasoning", r.Raw)
		return
	}
	effort, summary := r.EffortWord(), r.Summary
	shown := r.Show != nil && *r.Show
	if r.Show == nil && e.c.From == translate.Messages && r.Budget != nil {
		shown = true // what Anthropic shows unless it is told not to
	}
	switch {
	case r.Show != nil && !*r.Show:
		summary = ""
	case shown && summary == "":
		summary = "auto"
	}
	if !reasons(e.to.Model) {
		if effort != "" && effort != "none" || shown {
			e.c.Drop(translate.FeatureReasoning)
		}
		return
	}
	if effort == "" && summary == "" {
		return
	}
	e.w.Name("reasoning")
	e.w.Open('{')
	e.w.TextIf("effort", effort)
	e.w.TextIf("summary", summary)
	e.w.Close('}')
}

// reasons says whether a model takes reasoning: OpenAI refuses it for others of
// its own. Models of other providers are taken to.
func reasons(model string) bool {
	if openai.WantsCompletionTokens(model) {
		return true
	}
	if _, name, ok := strings.Cut(model, "/"); ok {
		model = name
	}
	return !strings.HasPrefix(model, "gpt-") && !strings.HasPrefix(model, "chatgpt-")
}

// include asks for what a request of another dialect gets otherwise: the
// reasoning as a text that comes back with the next request, since nothing is
// kept, and log probabilities.
func (e *encoder) include() {
	var wanted []string
	if openai.WantsCompletionTokens(e.to.Model) {
		wanted = append(wanted, includeReasoning)
	}
	if e.c.Logprobs != nil && *e.c.Logprobs {
		wanted = append(wanted, includeLogprobs)
	}
	if len(wanted) > 0 {
		e.w.Raw("include", marshal(wanted))
	}
}

// refuse refuses what would change the answer if it were left out, and drops the
// rest that the dialect has no words for.
func (e *encoder) refuse() error {
	return e.c.Without(
		translate.Lack{Feature: translate.FeatureCandidates, Why: "The model's upstream gives one answer to a request."},
		translate.Lack{Feature: translate.FeatureStop, Why: "The model's upstream does not know stop sequences."},
		translate.Lack{Feature: translate.FeatureLogitBias, Why: "The model's upstream does not take a bias for tokens."},
		translate.Lack{Feature: translate.FeatureModalities, Only: "audio", Why: "The model's upstream does not speak."},
		translate.Lack{Feature: translate.FeatureModalities, Only: "image", Why: "The model's upstream makes images only with a tool of its own."},
		translate.Lack{Feature: translate.FeatureFrequencyPenalty},
		translate.Lack{Feature: translate.FeaturePresencePenalty},
		translate.Lack{Feature: translate.FeatureSeed},
		translate.Lack{Feature: translate.FeatureTopK},
	)
}

// text writes how the text must be formed.
func (e *encoder) text() error {
	c := e.c
	format, err := formatOf(c, e.same)
	if err != nil {
		return err
	}
	rest := c.Extra.Get("text")
	if !e.same {
		rest = nil
	}
	if format == nil && c.Verbosity == "" && rest == nil {
		return nil
	}
	e.w.Name("text")
	e.w.Open('{')
	e.w.Raw("format", format)
	e.w.TextIf("verbosity", c.Verbosity)
	for _, m := range translate.ExtraOf(rest) {
		e.w.Raw(m.Name, m.Value)
	}
	e.w.Close('}')
	return nil
}

// formatOf is text.format; nil for none.
func formatOf(c *translate.Conversation, same bool) (jsontext.Value, error) {
	f := c.Format
	switch {
	case f == nil:
		return nil, nil
	case same && f.Raw != nil:
		return f.Raw, nil
	}
	var w jsonx.Writer
	w.Open('{')
	switch f.Kind {
	case translate.PlainText:
		w.Text("type", "text")
	case translate.JSONObject:
		w.Text("type", "json_object")
	case translate.JSONSchema:
		w.Text("type", "json_schema")
		name := f.Name
		if name == "" {
			name = "answer" // which the dialect demands
		}
		w.Text("name", name)
		w.TextIf("description", f.Description)
		schema := f.Schema
		if schema == nil {
			schema = jsontext.Value("{}")
		}
		w.Raw("schema", schema)
		// Strict is what this dialect takes for said when nothing is.
		w.Flag("strict", f.Strict != nil && *f.Strict)
	case translate.OtherFormat:
		return nil, c.Refuse(translate.FeatureFormat, "The model's upstream does not know this kind of output format.")
	}
	w.Close('}')
	return w.Out, nil
}

// tools writes tools and how they are chosen.
func (e *encoder) tools() error {
	c, w := e.c, &e.w
	if len(c.Tools) > 0 {
		w.Name("tools")
		w.Open('[')
		for i := range c.Tools {
			if err := e.tool(&c.Tools[i]); err != nil {
				return err
			}
		}
		w.Close(']')
	}
	switch {
	case !e.same:
		if calls := c.ServerCalls(); calls > 0 {
			w.Int("max_tool_calls", calls)
		}
	case c.MaxServerCalls != nil:
		w.Int("max_tool_calls", *c.MaxServerCalls)
	}
	if c.ToolChoice != nil {
		w.Raw("tool_choice", choiceValue(c, e.same))
	}
	if c.ParallelTools != nil {
		w.Flag("parallel_tool_calls", *c.ParallelTools)
	}
	return nil
}

func (e *encoder) tool(t *translate.Tool) error {
	if e.same {
		writeOwnTool(&e.w, t)
		return nil
	}
	w := &e.w
	if t.Cache != nil {
		e.c.Drop(translate.FeatureCacheControl)
	}
	switch {
	case t.Kind == translate.Function:
		strict := t.Strict != nil && *t.Strict
		own := *t
		own.Extra = nil                 // of another dialect
		writeFunction(w, &own, &strict) // said, because this dialect takes strict for granted
		return nil
	case t.Kind == translate.Custom && e.c.From == translate.Chat:
		writeCustom(w, t)
		return nil
	}
	if why := lacks(t); why != "" {
		return e.c.Refuse(translate.FeatureServerTool, "%s", why)
	}
	if t.Kind == translate.WebSearch {
		e.writeWebSearch(t)
		return nil
	}
	w.Open('{')
	w.Text("type", "code_interpreter")
	w.Raw("container", jsontext.Value(`{"type":"auto"}`))
	w.Close('}')
	return nil
}

// writeOwnTool writes a tool as the client defined it.
func writeOwnTool(w *jsonx.Writer, t *translate.Tool) {
	if t.Raw != nil {
		w.Value(t.Raw)
		return
	}
	writeFunction(w, t, t.Strict)
}

func writeFunction(w *jsonx.Writer, t *translate.Tool, strict *bool) {
	w.Open('{')
	w.Text("type", "function")
	w.Text("name", t.Name)
	w.TextIf("description", t.Description)
	schema := t.Schema
	if schema == nil {
		schema = jsontext.Value(`{"type":"object","properties":{}}`)
	}
	w.Raw("parameters", schema)
	if strict != nil {
		w.Flag("strict", *strict)
	}
	for _, m := range t.Extra {
		w.Raw(m.Name, m.Value)
	}
	w.Close('}')
}

// writeCustom flattens a custom tool of Chat, whose definition and grammar are
// objects of their own there.
func writeCustom(w *jsonx.Writer, t *translate.Tool) {
	w.Open('{')
	w.Text("type", "custom")
	w.Text("name", t.Name)
	w.TextIf("description", t.Description)
	format := find(find(t.Raw, "custom"), "format")
	if grammar := find(format, "grammar"); grammar != nil {
		w.Name("format")
		w.Open('{')
		w.Text("type", "grammar")
		w.TextIf("syntax", member(grammar, "syntax"))
		w.TextIf("definition", member(grammar, "definition"))
		w.Close('}')
	} else {
		w.Raw("format", format)
	}
	w.Close('}')
}

// writeWebSearch asks for OpenAI's web search with the bounds of another's. How
// often tools may be used is a member of the request here, see tools.
func (e *encoder) writeWebSearch(t *translate.Tool) {
	w, b := &e.w, t.Web()
	if b.MaxUses > 0 && e.c.ServerCalls() == 0 {
		e.c.DropWish("max_uses")
	}
	w.Open('{')
	w.Text("type", "web_search")
	w.TextIf("search_context_size", b.Size)
	if b.Allowed != nil || b.Blocked != nil {
		w.Name("filters")
		w.Open('{')
		w.Raw("allowed_domains", b.Allowed)
		w.Raw("blocked_domains", b.Blocked)
		w.Close('}')
	}
	if p := b.Place; p != nil {
		w.Name("user_location")
		w.Open('{')
		w.Text("type", "approximate")
		w.TextIf("city", p.City)
		w.TextIf("region", p.Region)
		w.TextIf("country", p.Country)
		w.TextIf("timezone", p.Timezone)
		w.Close('}')
	}
	w.Close('}')
}

// choiceValue is tool_choice.
func choiceValue(c *translate.Conversation, same bool) jsontext.Value {
	choice := c.ToolChoice
	if same && choice.Raw != nil {
		return choice.Raw
	}
	named := func(w *jsonx.Writer, name string) {
		kind := "function"
		for i := range c.Tools {
			t := &c.Tools[i]
			if t.Name != name {
				continue
			}
			switch t.Kind {
			case translate.Custom:
				kind = "custom"
			case translate.WebSearch:
				kind, name = "web_search", ""
			case translate.CodeExecution:
				kind, name = "code_interpreter", ""
			case translate.Function, translate.WebFetch, translate.MCP, translate.Namespace, translate.ToolSearch, translate.OtherTool:
			}
		}
		w.Open('{')
		w.Text("type", kind)
		w.TextIf("name", name)
		w.Close('}')
	}
	mode := "auto"
	switch choice.Mode {
	case translate.ChooseNone:
		mode = "none"
	case translate.ChooseAny:
		mode = "required"
	case translate.ChooseNamed:
		var w jsonx.Writer
		named(&w, choice.Name)
		return w.Out
	case translate.ChooseAuto:
	}
	if len(choice.Allowed) == 0 {
		return wire.Quote(mode)
	}
	var w jsonx.Writer
	w.Open('{')
	w.Text("type", "allowed_tools")
	w.Text("mode", mode)
	w.Name("tools")
	w.Open('[')
	for _, name := range choice.Allowed {
		named(&w, name)
	}
	w.Close(']')
	w.Close('}')
	return w.Out
}

// marshal writes texts and lists of them.
func marshal(v any) jsontext.Value {
	out, err := jsonx.Marshal(v)
	if err != nil {
		return nil // a text that is not UTF-8; decoders give none
	}
	return out
}
