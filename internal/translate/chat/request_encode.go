package chat

import (
	"iter"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"halley/internal/jsonx"
	"halley/internal/translate"
	"halley/internal/wire/openai"
)

// encoder writes one request. same says that it was made in this dialect, whose
// own words are then used again.
type encoder struct {
	c    *translate.Conversation
	r    request
	same bool
	// legacy says that the client speaks of functions, as before tools.
	legacy bool
}

// EncodeRequest implements translate.Upstream.
func (Codec) EncodeRequest(c *translate.Conversation, to translate.Target) ([]byte, error) {
	e := &encoder{c: c, same: c.From == translate.Chat}
	e.legacy = e.same && c.Fields[translate.FeatureTools] == legacyTools
	r := &e.r
	r.Model = to.Model
	if c.Stream {
		r.Stream = new(true)
		r.StreamOptions = jsontext.Value(`{"include_usage":true}`)
	}
	e.bounds(to)
	r.Temperature, r.TopP, r.FrequencyPenalty, r.PresencePenalty = c.Temperature, c.TopP, c.FrequencyPenalty, c.PresencePenalty
	r.Seed, r.N, r.Logprobs, r.TopLogprobs, r.LogitBias = c.Seed, c.Candidates, c.Logprobs, c.TopLogprobs, c.LogitBias
	r.Verbosity, r.PromptCacheKey, r.Store, r.ParallelToolCalls = c.Verbosity, c.CacheKey, c.Store, c.ParallelTools
	if len(c.Stop) > 0 {
		r.Stop = marshal(c.Stop)
	}
	if c.TopK != nil {
		if e.same {
			r.TopK = c.TopK
		} else {
			c.Drop(translate.FeatureTopK)
		}
	}
	e.tags()
	if err := e.modalities(); err != nil {
		return nil, err
	}
	e.reasoning()
	if err := e.format(); err != nil {
		return nil, err
	}
	if err := e.tools(); err != nil {
		return nil, err
	}
	if e.same {
		r.Extra = c.Extra
	} else {
		c.DropExtra()
	}
	for m := range e.turns() {
		if err := e.message(&m); err != nil {
			return nil, err
		}
	}
	return r.append(make([]byte, 0, r.size())), nil
}

// turns are the messages, where another dialect has each thing that the
// assistant does as one of its own joined to what the assistant does in a turn:
// the answers to calls must stand behind all of them.
func (e *encoder) turns() iter.Seq[translate.Message] {
	return func(yield func(translate.Message) bool) {
		all := e.c.Messages
		for i := 0; i < len(all); i++ {
			m := all[i]
			for !e.same && m.Role == translate.Assistant && i+1 < len(all) && all[i+1].Role == translate.Assistant {
				i++
				m.Parts = slices.Concat(m.Parts, all[i].Parts)
			}
			if !yield(m) {
				return
			}
		}
	}
}

// bounds writes the output bound by the name that the model wants.
func (e *encoder) bounds(to translate.Target) {
	bound := e.c.MaxOutput
	if to.Cap > 0 {
		bound = &to.Cap
	}
	switch {
	case bound == nil:
	case openai.WantsCompletionTokens(to.Model), e.same && e.c.Fields[translate.FeatureMaxOutput] == "max_completion_tokens":
		e.r.MaxCompletionTokens = bound
	default:
		e.r.MaxTokens = bound
	}
}

// maxUser is the longest user that OpenAI takes, in characters.
const maxUser = 64

// tags are what names the request, its user and its price.
func (e *encoder) tags() {
	c := e.c
	if e.same && c.Fields[translate.FeatureEndUser] == "safety_identifier" {
		e.r.SafetyIdentifier = c.EndUser
	} else {
		e.r.User = c.EndUser
		if !e.same {
			e.r.User = translate.Short(c.EndUser, maxUser)
		}
	}
	e.r.Metadata = c.Metadata
	switch {
	case c.ServiceTier == "":
	case e.same || c.From == translate.Responses:
		e.r.ServiceTier = c.ServiceTier
	default:
		c.Drop(translate.FeatureServiceTier)
	}
}

func (e *encoder) modalities() error {
	c := e.c
	if len(c.Modalities) > 0 {
		e.r.Modalities = append([]string{"text"}, c.Modalities...)
	}
	if c.Audio != nil && !e.same {
		return c.Refuse(translate.FeatureAudio, "This model's upstream cannot be told how speech shall sound in the words of another dialect.")
	}
	e.r.Audio = c.Audio
	return nil
}

func (e *encoder) reasoning() {
	t := e.c.Reasoning
	if t == nil || (e.same && e.c.Fields[translate.FeatureReasoning] != "reasoning_effort") {
		return // OpenRouter's own member is in Extra
	}
	e.r.ReasoningEffort = t.EffortWord()
	if !e.same && (t.Show != nil || t.Summary != "") && e.r.ReasoningEffort == "" {
		e.c.Drop(translate.FeatureReasoning)
	}
}

func (e *encoder) format() error {
	f := e.c.Format
	if f == nil {
		return nil
	}
	if e.same && f.Raw != nil {
		e.r.ResponseFormat = f.Raw
		return nil
	}
	switch f.Kind {
	case translate.PlainText:
		if e.same {
			e.r.ResponseFormat = jsontext.Value(`{"type":"text"}`)
		}
	case translate.JSONObject:
		e.r.ResponseFormat = jsontext.Value(`{"type":"json_object"}`)
	case translate.JSONSchema:
		type schema struct {
			Name        string         `json:"name"`
			Description string         `json:"description,omitzero"`
			Schema      jsontext.Value `json:"schema,omitzero"`
			Strict      *bool          `json:"strict,omitzero"`
		}
		name := f.Name
		if name == "" {
			name = "answer"
		}
		e.r.ResponseFormat = marshal(struct {
			Type   string `json:"type"`
			Schema schema `json:"json_schema"`
		}{"json_schema", schema{name, f.Description, f.Schema, f.Strict}})
	case translate.OtherFormat:
		return e.c.Refuse(translate.FeatureFormat, "The model's upstream does not know this kind of output format.")
	}
	return nil
}

func (e *encoder) tools() error {
	c, r := e.c, &e.r
	for i := range c.Tools {
		t := &c.Tools[i]
		switch {
		case e.legacy:
			r.Functions = append(r.Functions, *e.function(t))
		case e.same && t.Name == webSearchOptions && t.Kind == translate.WebSearch:
			r.WebSearchOptions = t.Raw
		case e.same && t.Raw != nil:
			var own tool
			if err := jsonx.Unmarshal(t.Raw, &own); err != nil {
				return err
			}
			r.Tools = append(r.Tools, own)
		case t.Kind == translate.Function:
			if t.Cache != nil && !e.same {
				c.Drop(translate.FeatureCacheControl)
			}
			own := tool{Type: "function", Function: e.function(t)}
			if e.same && t.Cache != nil {
				own.Rest = translate.Extra{{Name: "cache_control", Value: t.Cache.Raw}}.Object()
			}
			r.Tools = append(r.Tools, own)
		case t.Kind == translate.Custom && c.From == translate.Responses:
			own, err := customOf(t)
			if err != nil {
				return err
			}
			r.Tools = append(r.Tools, own)
		default:
			if why := lacks(r.Model, t); why != "" {
				return c.Refuse(translate.FeatureServerTool, "%s", why)
			}
			r.WebSearchOptions = e.webSearch(t)
		}
	}
	return e.choice()
}

// webSearch is OpenAI's web search, with the place one level deeper than others
// have it.
func (e *encoder) webSearch(t *translate.Tool) jsontext.Value {
	b := t.Web()
	if b.MaxUses > 0 {
		e.c.DropWish("max_uses")
	}
	var w jsonx.Writer
	w.Open('{')
	w.TextIf("search_context_size", b.Size)
	if p := b.Place; p != nil {
		w.Name("user_location")
		w.Open('{')
		w.Text("type", "approximate")
		w.Name("approximate")
		w.Open('{')
		w.TextIf("city", p.City)
		w.TextIf("region", p.Region)
		w.TextIf("country", p.Country)
		w.TextIf("timezone", p.Timezone)
		w.Close('}')
		w.Close('}')
	}
	w.Close('}')
	return w.Out
}

// customOf puts a custom tool of the Responses dialect, which is flat, into this
// one's shape.
func customOf(t *translate.Tool) (own tool, err error) {
	var flat struct {
		Type        string         `json:"type"`
		Name        string         `json:"name"`
		Description string         `json:"description,omitzero"`
		Format      jsontext.Value `json:"format,omitzero"`
	}
	if err := jsonx.Unmarshal(t.Raw, &flat); err != nil {
		return own, err
	}
	type inner struct {
		Name        string         `json:"name"`
		Description string         `json:"description,omitzero"`
		Format      jsontext.Value `json:"format,omitzero"`
	}
	format := flat.Format
	if kind, rest := splitType(format); kind == "grammar" {
		format = marshal(struct {
			Type    string         `json:"type"`
			Grammar jsontext.Value `json:"grammar"`
		}{kind, rest})
	}
	body := marshal(struct {
		Custom inner `json:"custom"`
	}{inner{flat.Name, flat.Description, format}})
	return tool{Type: "custom", Rest: body}, nil
}

// splitType takes the type out of an object.
func splitType(object jsontext.Value) (kind string, rest jsontext.Value) {
	members := slices.DeleteFunc(translate.ExtraOf(object), func(m translate.Member) bool {
		if m.Name == "type" {
			kind = text(m.Value)
		}
		return m.Name == "type"
	})
	return kind, members.Object()
}

func (e *encoder) function(t *translate.Tool) *function {
	f := &function{Name: t.Name, Description: t.Description, Parameters: t.Schema, Strict: t.Strict}
	if e.same {
		f.Rest = t.Extra.Object()
	}
	return f
}

func (e *encoder) choice() error {
	choice := e.c.ToolChoice
	if choice == nil {
		return nil
	}
	var v jsontext.Value
	type named struct {
		Name string `json:"name"`
	}
	switch {
	case e.same && choice.Raw != nil:
		v = choice.Raw
	case len(choice.Allowed) > 0:
		type one struct {
			Type     string `json:"type"`
			Function named  `json:"function"`
		}
		type allowed struct {
			Mode  string `json:"mode"`
			Tools []one  `json:"tools"`
		}
		a := allowed{Mode: "auto"}
		if choice.Mode == translate.ChooseAny {
			a.Mode = "required"
		}
		for _, name := range choice.Allowed {
			a.Tools = append(a.Tools, one{"function", named{name}})
		}
		v = marshal(struct {
			Type    string  `json:"type"`
			Allowed allowed `json:"allowed_tools"`
		}{"allowed_tools", a})
	case choice.Mode == translate.ChooseNamed:
		kind := "function"
		if slices.ContainsFunc(e.c.Tools, func(t translate.Tool) bool { return t.Kind == translate.Custom && t.Name == choice.Name }) {
			kind = "custom"
		}
		v = marshal(map[string]any{"type": kind, kind: named{choice.Name}})
	case choice.Mode == translate.ChooseNone:
		v = jsontext.Value(`"none"`)
	case choice.Mode == translate.ChooseAny:
		v = jsontext.Value(`"required"`)
	default:
		v = jsontext.Value(`"auto"`)
	}
	if e.legacy {
		e.r.FunctionCall = v
	} else {
		e.r.ToolChoice = v
	}
	return nil
}

// message writes a message: tool results are messages of their own here.
func (e *encoder) message(m *translate.Message) error {
	out := message{Role: roleOf(m.Role), Name: m.Name}
	if e.same {
		out.Rest = m.Extra.Object()
	}
	var said []part
	results := false
	for _, p := range m.Parts {
		switch p := p.(type) {
		case *translate.ToolResult:
			results = true
			if p.Server != "" {
				e.c.DropField("server tool calls")
				continue
			}
			if err := e.result(p); err != nil {
				return err
			}
		case *translate.ToolCall:
			if p.Server != "" {
				e.c.DropField("server tool calls")
				continue
			}
			e.call(&out, p)
		case *translate.Thinking:
			e.thinking(&out, &said, p, callsTools(m))
		case *translate.Refusal:
			if e.same && p.Extra.Get("content") != nil {
				said = append(said, part{Type: "refusal", Refusal: p.Text})
				continue
			}
			out.Refusal += p.Text
		case *translate.Other:
			if err := e.other(&out, &said, p); err != nil {
				return err
			}
		case *translate.Text:
			t := part{Type: "text", Text: &p.Text}
			e.cache(&t, p.Cache, p.Extra)
			said = append(said, t)
			if e.same {
				out.Annotations = annotations(p.Citations, out.Annotations, true)
			}
		case *translate.Media:
			if e.same && p.Extra.Get(inImages) != nil { // which the model made
				out.Images = joinLists(out.Images, ownImageList(p))
				continue
			}
			media, err := e.media(p)
			if err != nil {
				return err
			}
			said = append(said, media)
		}
	}
	if results && len(said) == 0 && out.ToolCalls == nil && out.Refusal == "" {
		return nil
	}
	out.say(said, m.Role == translate.Assistant, e.same)
	e.r.Messages = append(e.r.Messages, out)
	return nil
}

func roleOf(r translate.Role) string {
	switch r {
	case translate.System:
		return "system"
	case translate.Developer:
		return "developer"
	case translate.Assistant:
		return "assistant"
	case translate.User:
	}
	return "user"
}

func callsTools(m *translate.Message) bool {
	return slices.ContainsFunc(m.Parts, func(p translate.Part) bool { _, ok := p.(*translate.ToolCall); return ok })
}

// say makes the parts the message's content. joined says that many servers want
// such a message as a string; what the client has as a list stays one.
func (m *message) say(parts []part, joined, same bool) {
	m.said, m.joined = parts, joined && !same
	switch {
	case len(parts) > 0:
	case joined:
		m.Content = jsontext.Value("null")
	default:
		m.Content = jsontext.Value(`""`)
	}
}

func (p *part) plain() bool {
	return p.Type == "text" && p.Text != nil && p.CacheControl == nil && p.Rest == nil
}

func allPlain(parts []part) bool {
	return !slices.ContainsFunc(parts, func(p part) bool { return !p.plain() })
}

func joinedText(parts []part) string {
	var all strings.Builder
	for _, p := range parts {
		all.WriteString(*p.Text)
	}
	return all.String()
}

func (e *encoder) cache(p *part, mark *translate.CacheMark, extra translate.Extra) {
	if e.same {
		if mark != nil {
			p.CacheControl = mark.Raw
		}
		p.Rest = extra.Object()
		return
	}
	if mark != nil {
		e.c.Drop(translate.FeatureCacheControl)
	}
}

func (e *encoder) call(out *message, p *translate.ToolCall) {
	if e.legacy {
		out.FunctionCall = &called{p.Name, argumentText(p.Args)}
		return
	}
	t := toolCall{ID: p.ID}
	if e.same {
		t.Rest = p.Extra.Object()
	}
	if p.Custom {
		t.Type, t.Custom = "custom", &custom{p.Name, p.Args}
	} else {
		args := p.Args
		if args == "" && !e.same {
			args = "{}"
		}
		t.Type, t.Function = "function", &called{p.Name, argumentText(args)}
	}
	t.sign(p)
	out.ToolCalls = append(out.ToolCalls, t)
}

// sign puts a Gemini thought signature where Google's OpenAI endpoint has it.
func (t *toolCall) sign(p *translate.ToolCall) {
	if p.Signature != "" {
		t.Extra = &extraContent{}
		t.Extra.Google.ThoughtSignature = p.Signature
	}
}

// thinking brings thoughts back to the server that had them: in the members that
// they came in, and only within a turn that calls tools where they came through a
// client of another dialect. Others could not read them.
func (e *encoder) thinking(out *message, said *[]part, t *translate.Thinking, calls bool) {
	switch {
	case t.Origin != translate.Chat:
		e.c.Drop(translate.FeatureThinking)
	case len(t.Extra) > 0 && e.same:
		for _, m := range t.Extra {
			switch m.Name {
			case "reasoning_content":
				out.ReasoningContent = m.Value
			case "reasoning":
				out.Reasoning = m.Value
			case "reasoning_details":
				out.ReasoningDetails = m.Value
			case "content": // Mistral's part
				var p part
				if jsonx.Unmarshal(m.Value, &p) == nil {
					*said = append(*said, p)
				}
			}
		}
	case !calls:
	default:
		out.ReasoningContent = marshal(t.Text)
		if strings.HasPrefix(t.Signature, "[") {
			out.ReasoningDetails = jsontext.Value(t.Signature)
		}
	}
}

func (e *encoder) other(out *message, said *[]part, p *translate.Other) error {
	if !e.same {
		return translate.Unsupport(p.Kind, "A %q part has no counterpart at the model's upstream.", p.Kind)
	}
	if p.Kind == audioPart {
		out.Audio = p.Raw
		return nil
	}
	var own part
	if err := jsonx.Unmarshal(p.Raw, &own); err != nil {
		return err
	}
	*said = append(*said, own)
	return nil
}

func (e *encoder) media(m *translate.Media) (p part, err error) {
	if e.same && m.Raw != nil {
		return p, jsonx.Unmarshal(m.Raw, &p)
	}
	switch m.Kind {
	case translate.Image:
		if m.FileID != "" {
			return p, e.c.Refuse(translate.FeatureImage, "The model's upstream knows no uploaded files of another provider.")
		}
		p = part{Type: "image_url", ImageURL: marshal(imageURL{URL: m.Address("image/png"), Detail: m.Detail})}
	case translate.AudioClip:
		if m.Data == "" {
			return p, e.c.Refuse(translate.FeatureAudio, "The model's upstream takes sounds only as data.")
		}
		p = part{Type: "input_audio", InputAudio: &inputAudio{m.Data, soundFormat(m.MIME)}}
	case translate.Document:
		switch {
		case m.Text != "":
			p = part{Type: "text", Text: &m.Text}
		case m.FileID != "" && !e.same && e.c.From != translate.Responses:
			return p, e.c.Refuse(translate.FeatureDocument, "The model's upstream knows no uploaded files of another provider.")
		case m.URL != "" && !e.same:
			return p, e.c.Refuse(translate.FeatureDocument, "The model's upstream takes documents only as data, not by URL.")
		default:
			f := &file{FileID: m.FileID, Filename: m.Name}
			if m.Data != "" || m.URL != "" {
				f.FileData = m.Address("application/pdf")
			}
			if f.Filename == "" && f.FileData != "" && !e.same {
				f.Filename = "document.pdf" // which OpenAI wants beside file_data
			}
			p = part{Type: "file", File: f}
		}
	case translate.Video:
		return p, e.c.Refuse(translate.FeatureVideo, "The model's upstream does not take videos.")
	}
	e.cache(&p, m.Cache, m.Extra)
	return p, nil
}

func soundFormat(mime string) string {
	switch format := strings.TrimPrefix(mime, "audio/"); format {
	case "mpeg":
		return "mp3"
	case "x-wav", "wave":
		return "wav"
	default:
		return format
	}
}

// result writes what a tool answered as a message of its own. A picture in it
// follows as a message of the user, as the dialect has only text there.
func (e *encoder) result(p *translate.ToolResult) error {
	out := message{Role: "tool", ToolCallID: p.CallID}
	if e.legacy {
		out = message{Role: "function", Name: p.Name}
	} else if e.same {
		out.Name = p.Name
		extra := p.Extra
		if p.Cache != nil {
			extra = append(slices.Clone(extra), translate.Member{Name: "cache_control", Value: p.Cache.Raw})
		}
		out.Rest = extra.Object()
	}
	var said, shown []part
	for _, part := range p.Parts {
		switch part := part.(type) {
		case *translate.Text:
			t := textPart(part.Text)
			e.cache(&t, part.Cache, part.Extra)
			said = append(said, t)
		case *translate.Media:
			media, err := e.media(part)
			if err != nil {
				return err
			}
			if e.same || part.Text != "" { // which the dialect has as text
				said = append(said, media)
			} else {
				shown = append(shown, media)
			}
		case *translate.Other:
			if err := e.other(&out, &said, part); err != nil {
				return err
			}
		}
	}
	if p.Failed && !e.same {
		said = slices.Insert(said, 0, textPart("Error: "))
	}
	if len(p.Parts) == 0 && len(p.Raw) > 0 && !e.same {
		said = append(said, textPart(string(p.Raw)))
	}
	out.say(said, true, e.same)
	if len(said) == 0 {
		out.Content = jsontext.Value(`""`)
	}
	e.r.Messages = append(e.r.Messages, out)
	if len(shown) > 0 {
		shown = slices.Insert(shown, 0, textPart("What the tool call "+p.CallID+" shows:"))
		e.r.Messages = append(e.r.Messages, message{Role: "user", said: shown})
	}
	return nil
}

func textPart(text string) part { return part{Type: "text", Text: &text} }
