package cohere

import (
	"cmp"
	"encoding/base64"
	"slices"
	"strings"

	"halley/internal/jsonx"
	"halley/internal/translate"
)

// The bounds that Cohere's reference gives.
const (
	maxStops = 5
	maxK     = 500
	minP     = 0.01
	maxP     = 0.99
)

// encoder writes one request. same says that it was made in this dialect, whose
// own words are then used again.
type encoder struct {
	c    *translate.Conversation
	to   translate.Target
	w    jsonx.Writer
	same bool
}

// EncodeRequest implements translate.Upstream.
func (Codec) EncodeRequest(c *translate.Conversation, to translate.Target) ([]byte, error) {
	e := &encoder{c: c, to: to, same: c.From == translate.Cohere}
	e.w.Out = make([]byte, 0, c.Size())
	e.w.Open('{')
	e.w.Text("model", to.Model)
	if c.Stream {
		e.w.Flag("stream", true)
	}
	for _, write := range []func() error{e.messages, e.tools, e.format, e.settings} {
		if err := write(); err != nil {
			return nil, err
		}
	}
	e.w.Close('}')
	return e.w.Out, nil
}

func (e *encoder) messages() error {
	e.w.Name("messages")
	e.w.Open('[')
	for i := range e.c.Messages {
		if err := e.message(&e.c.Messages[i]); err != nil {
			return err
		}
	}
	e.w.Close(']')
	return nil
}

// message writes a message; tool results are messages of their own here, before
// what else the user says.
func (e *encoder) message(m *translate.Message) error {
	var content []translate.Part
	var calls []*translate.ToolCall
	var plan []string
	for _, p := range m.Parts {
		switch p := p.(type) {
		case *translate.ToolResult:
			shown, err := e.result(p)
			if err != nil {
				return err
			}
			content = append(content, shown...)
		case *translate.ToolCall:
			if p.Server != "" {
				e.c.DropField("server tool calls")
				continue
			}
			calls = append(calls, p)
		case *translate.Thinking:
			switch {
			case p.Origin != translate.Cohere:
				e.c.Drop(translate.FeatureThinking)
			case p.Signature == planMark:
				plan = append(plan, p.Text)
			default:
				content = append(content, p)
			}
		case *translate.Refusal:
			content = append(content, &translate.Text{Text: p.Text})
		default:
			content = append(content, p)
		}
	}
	if len(content)+len(calls)+len(plan) == 0 && len(m.Parts) > 0 {
		return nil
	}
	e.w.Open('{')
	e.w.Text("role", roleOf(m.Role))
	if len(content) > 0 || len(calls)+len(plan) == 0 {
		if err := e.content(content); err != nil {
			return err
		}
	}
	if plan != nil {
		e.w.Text("tool_plan", strings.Join(plan, "\n"))
	}
	e.calls(calls)
	if e.same {
		writeExtra(&e.w, m.Extra)
	}
	e.w.Close('}')
	return nil
}

func roleOf(r translate.Role) string {
	switch r {
	case translate.System, translate.Developer:
		return "system"
	case translate.Assistant:
		return "assistant"
	case translate.User:
	}
	return "user"
}

func (e *encoder) calls(calls []*translate.ToolCall) {
	if len(calls) == 0 {
		return
	}
	e.w.Name("tool_calls")
	e.w.Open('[')
	for _, call := range calls {
		args := object(call.Args)
		if call.Custom { // see tools
			var w jsonx.Writer
			w.Open('{')
			w.Text("input", call.Args)
			w.Close('}')
			args = string(w.Out)
		}
		writeCall(&e.w, call, args, e.same)
	}
	e.w.Close(']')
}

// content writes parts, as a string where they are one text.
func (e *encoder) content(parts []translate.Part) error {
	e.w.Name("content")
	if text, ok := onlyText(parts); ok {
		e.w.String(text.Text)
		e.cache(text.Cache)
		return nil
	}
	if len(parts) == 0 {
		e.w.String("")
		return nil
	}
	e.w.Open('[')
	for _, p := range parts {
		if err := e.part(p); err != nil {
			return err
		}
	}
	e.w.Close(']')
	return nil
}

func onlyText(parts []translate.Part) (*translate.Text, bool) {
	if len(parts) != 1 {
		return nil, false
	}
	text, ok := parts[0].(*translate.Text)
	return text, ok && len(text.Extra) == 0
}

func (e *encoder) part(p translate.Part) error {
	switch p := p.(type) {
	case *translate.Text:
		e.cache(p.Cache)
		e.textPart("text", p.Text, p.Extra)
	case *translate.Thinking:
		e.textPart("thinking", p.Text, p.Extra)
	case *translate.Media:
		return e.media(p)
	case *translate.Other:
		if !e.same {
			return translate.Unsupport("messages", "A %q part has no counterpart at the model's upstream.", p.Kind)
		}
		e.w.Value(p.Raw)
	}
	return nil
}

func (e *encoder) textPart(kind, text string, extra translate.Extra) {
	e.w.Open('{')
	e.w.Text("type", kind)
	e.w.Text(kind, text)
	if e.same {
		writeExtra(&e.w, extra)
	}
	e.w.Close('}')
}

func (e *encoder) cache(mark *translate.CacheMark) {
	if mark != nil {
		e.c.Drop(translate.FeatureCacheControl)
	}
}

func (e *encoder) media(p *translate.Media) error {
	e.cache(p.Cache)
	switch p.Kind {
	case translate.Image:
		if p.FileID != "" {
			return e.c.Refuse(translate.FeatureImage, "The model's upstream knows no uploaded files of another provider.")
		}
		address := p.URL
		if p.Data != "" {
			address = "data:" + cmp.Or(p.MIME, "image/png") + ";base64," + p.Data
		}
		e.w.Open('{')
		e.w.Text("type", "image_url")
		e.w.Name("image_url")
		e.w.Open('{')
		e.w.Text("url", address)
		e.w.TextIf("detail", p.Detail)
		e.w.Close('}')
		if e.same {
			writeExtra(&e.w, p.Extra)
		}
		e.w.Close('}')
	case translate.Document:
		text, ok := documentText(p)
		if !ok {
			return e.c.Refuse(translate.FeatureDocument, "The model's upstream takes documents only as text.")
		}
		e.textPart("text", text, nil)
	case translate.AudioClip:
		return e.c.Refuse(translate.FeatureAudio, "The model's upstream does not take sounds.")
	case translate.Video:
		return e.c.Refuse(translate.FeatureVideo, "The model's upstream does not take videos.")
	}
	return nil
}

// documentText is what a document says, if it is text.
func documentText(p *translate.Media) (string, bool) {
	text := p.Text
	if text == "" {
		if !strings.HasPrefix(p.MIME, "text/") || p.Data == "" {
			return "", false
		}
		data, err := base64.StdEncoding.DecodeString(p.Data)
		if err != nil {
			return "", false
		}
		text = string(data)
	}
	if p.Name != "" {
		text = p.Name + ":\n" + text
	}
	return text, true
}

// result writes what a tool answered. Pictures in it are for a message of the
// user, as the dialect has only text there.
func (e *encoder) result(p *translate.ToolResult) (shown []translate.Part, err error) {
	e.cache(p.Cache)
	var parts []translate.Part
	for _, part := range p.Parts {
		if m, ok := part.(*translate.Media); ok && m.Kind == translate.Image && !e.same {
			shown = append(shown, m)
		} else {
			parts = append(parts, part)
		}
	}
	if shown != nil {
		shown = slices.Insert(shown, 0, translate.Part(&translate.Text{Text: "What the tool call " + p.CallID + " shows:"}))
	}
	if p.Failed && !e.same {
		parts = slices.Insert(parts, 0, translate.Part(&translate.Text{Text: "Error:"}))
	}
	if len(p.Parts) == 0 && len(p.Raw) > 0 {
		parts = append(parts, &translate.Text{Text: string(p.Raw)})
	}
	e.w.Open('{')
	e.w.Text("role", "tool")
	e.w.Text("tool_call_id", p.CallID)
	if err := e.content(parts); err != nil {
		return nil, err
	}
	if e.same {
		writeExtra(&e.w, p.Extra)
	}
	e.w.Close('}')
	return shown, nil
}

// tools writes the tools that may be called. The dialect cannot name the one that
// must be: that it is the only one there says the same.
func (e *encoder) tools() error {
	c := e.c
	if len(c.Tools) == 0 {
		return nil
	}
	choice, allowed := c.ToolChoice, []string(nil)
	if choice != nil {
		allowed = choice.Allowed
		if choice.Mode == translate.ChooseNamed {
			allowed = []string{choice.Name}
		}
	}
	strict, written := 0, 0
	e.w.Name("tools")
	e.w.Open('[')
	for i := range c.Tools {
		t := &c.Tools[i]
		if allowed != nil && !slices.Contains(allowed, t.Name) {
			continue
		}
		switch {
		case t.Kind == translate.Function:
			e.tool(t, t.Schema)
		case t.Kind == translate.Custom:
			e.tool(t, jsonx.Value(`{"type":"object","properties":{"input":{"type":"string"}},"required":["input"]}`))
		default:
			return c.Refuse(translate.FeatureServerTool, "%s", lacks(t))
		}
		written++
		if t.Strict != nil && *t.Strict {
			strict++
		}
	}
	e.w.Close(']')
	if allowed != nil && written == 0 {
		return c.Refuse(translate.FeatureToolChoice, "The tool that must be called is not among the tools.")
	}
	if choice != nil {
		switch choice.Mode {
		case translate.ChooseAny, translate.ChooseNamed:
			e.w.Text("tool_choice", "REQUIRED")
		case translate.ChooseNone:
			e.w.Text("tool_choice", "NONE")
		case translate.ChooseAuto:
		}
	}
	if !e.same && strict > 0 {
		if strict == written { // it holds for all of them or none
			e.w.Flag("strict_tools", true)
		} else {
			c.DropField("tools.strict")
		}
	}
	if c.ParallelTools != nil && !*c.ParallelTools {
		c.Drop(translate.FeatureParallelTools)
	}
	return nil
}

func (e *encoder) tool(t *translate.Tool, schema jsonx.Value) {
	e.cache(t.Cache)
	e.w.Open('{')
	e.w.Text("type", "function")
	e.w.Name("function")
	e.w.Open('{')
	e.w.Text("name", t.Name)
	e.w.TextIf("description", t.Description)
	if schema == nil && !e.same {
		schema = jsonx.Value(`{"type":"object","properties":{}}`) // it must be there
	}
	e.w.Raw("parameters", schema)
	if e.same {
		writeExtra(&e.w, t.Extra)
	}
	e.w.Close('}')
	e.w.Close('}')
}

func (e *encoder) format() error {
	f := e.c.Format
	switch {
	case f == nil:
	case e.same:
		e.w.Raw("response_format", f.Raw)
	case f.Kind == translate.JSONObject, f.Kind == translate.JSONSchema:
		e.w.Name("response_format")
		e.w.Open('{')
		e.w.Text("type", "json_object")
		e.w.Raw("schema", f.Schema)
		e.w.Close('}')
	case f.Kind == translate.OtherFormat:
		return e.c.Refuse(translate.FeatureFormat, "The model's upstream does not know this kind of output format.")
	}
	return nil
}

func (e *encoder) settings() error {
	c := e.c
	bound := c.MaxOutput
	if e.to.Cap > 0 {
		bound = &e.to.Cap
	}
	if bound != nil {
		e.w.Int("max_tokens", *bound)
	}
	if len(c.Stop) > maxStops && !e.same {
		return c.Refuse(translate.FeatureStop, "The model's upstream takes at most %d stop sequences.", maxStops)
	}
	if len(c.Stop) > 0 {
		e.w.Name("stop_sequences")
		e.w.Open('[')
		for _, s := range c.Stop {
			e.w.String(s)
		}
		e.w.Close(']')
	}
	e.w.Number("temperature", c.Temperature)
	if c.Seed != nil {
		e.w.Int("seed", *c.Seed)
	}
	e.w.Number("p", e.within(c.TopP, minP, maxP, translate.FeatureTopP))
	e.w.Number("frequency_penalty", e.within(c.FrequencyPenalty, 0, 1, translate.FeatureFrequencyPenalty))
	e.w.Number("presence_penalty", e.within(c.PresencePenalty, 0, 1, translate.FeaturePresencePenalty))
	if c.TopK != nil {
		k := *c.TopK
		if k > maxK && !e.same {
			k = maxK
			c.Drop(translate.FeatureTopK)
		}
		e.w.Int("k", k)
	}
	if e.same {
		if c.Logprobs != nil {
			e.w.Flag("logprobs", *c.Logprobs)
		}
		if c.Reasoning != nil {
			e.w.Raw("thinking", c.Reasoning.Raw)
		}
		writeExtra(&e.w, c.Extra)
		return nil
	}
	e.thinking()
	return e.others()
}

// within brings a value into the range that the upstream takes. What lies a
// hundredth beyond says the same; else it is noted.
func (e *encoder) within(v *float64, least, most float64, f translate.Feature) *float64 {
	if v == nil || e.same || (*v >= least && *v <= most) {
		return v
	}
	kept := max(least, min(*v, most))
	if d := kept - *v; d < -0.011 || d > 0.011 {
		e.c.Drop(f)
	}
	return &kept
}

// thinking says how much to think, to models that do.
func (e *encoder) thinking() {
	t := e.c.Reasoning
	switch {
	case t == nil:
	case !thinks(e.to.Model):
		if !t.Off && t.Effort != "none" {
			e.c.Drop(translate.FeatureReasoning)
		}
	default:
		e.w.Name("thinking")
		e.w.Open('{')
		budget, ok := t.BudgetTokens()
		if ok && budget == 0 {
			e.w.Text("type", "disabled")
		} else {
			e.w.Text("type", "enabled")
			if ok {
				e.w.Int("token_budget", budget)
			}
		}
		e.w.Close('}')
	}
}

// thinks reports whether a model may be told how much to think. Those from before
// the first reasoning model, and its contemporaries without, refuse that.
func thinks(model string) bool {
	for _, before := range []string{"command-r", "command-light", "command-nightly", "command-a-03-2025", "command-a-vision", "command-a-translate", "c4ai-"} {
		if strings.HasPrefix(model, before) {
			return false
		}
	}
	return model != "command"
}

// others refuses or drops what the dialect has no words for.
func (e *encoder) others() error {
	err := e.c.Without(
		translate.Lack{Feature: translate.FeatureCandidates, Why: "The model's upstream gives one answer to a request."},
		translate.Lack{Feature: translate.FeatureLogitBias, Why: "The model's upstream has no logit bias."},
		translate.Lack{Feature: translate.FeatureLogprobs, Why: "The model's upstream gives log probabilities only in a form of its own."},
		translate.Lack{Feature: translate.FeatureModalities, Only: "audio", Why: "The model's upstream does not speak."},
		translate.Lack{Feature: translate.FeatureModalities, Only: "image", Why: "The model's upstream does not make images."},
		translate.Lack{Feature: translate.FeatureVerbosity},
		translate.Lack{Feature: translate.FeatureEndUser},
		translate.Lack{Feature: translate.FeatureMetadata},
		translate.Lack{Feature: translate.FeatureCacheKey},
		translate.Lack{Feature: translate.FeatureServiceTier},
		translate.Lack{Feature: translate.FeatureStore},
	)
	e.c.DropExtra()
	return err
}
