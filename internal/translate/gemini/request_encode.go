package gemini

import (
	"slices"
	"strings"

	"halley/internal/jsonx"
	"halley/internal/translate"
)

// encoder writes one request.
type encoder struct {
	codec Codec
	c     *translate.Conversation
	to    translate.Target
	model model
	same  bool // the request was made in this dialect
	w     jsonx.Writer
	names map[string]string // of the tool that a call is to, by the call's id
}

// EncodeRequest implements translate.Upstream. A request that was made in this
// dialect is written as it was, but for the output bound; one of another is
// fitted to what the model takes. Which model it is stands in the path.
func (codec Codec) EncodeRequest(c *translate.Conversation, to translate.Target) ([]byte, error) {
	e := codec.encoder(c, to)
	e.w.Open('{')
	if err := e.writePrompt(); err != nil {
		return nil, err
	}
	if err := e.writeConfig(); err != nil {
		return nil, err
	}
	e.writeServiceTier()
	if e.same {
		writeExtra(&e.w, c.Extra)
	} else {
		c.DropExtra()
	}
	e.w.Close('}')
	return e.w.Out, nil
}

func (codec Codec) encoder(c *translate.Conversation, to translate.Target) *encoder {
	e := &encoder{codec: codec, c: c, to: to, model: modelOf(to.Model), same: c.From == translate.Gemini, names: map[string]string{}}
	e.w.Out = make([]byte, 0, sizeOf(c))
	return e
}

// sizeOf is about how many bytes a request will have, so that it is not copied as
// it grows.
func sizeOf(c *translate.Conversation) int {
	size := 1024
	for i := range c.Messages {
		size += 64 + sizeOfParts(c.Messages[i].Parts)
	}
	for i := range c.Tools {
		size += 128 + len(c.Tools[i].Description) + len(c.Tools[i].Schema)
	}
	return size
}

func sizeOfParts(parts []translate.Part) (size int) {
	for _, p := range parts {
		size += 64
		switch p := p.(type) {
		case *translate.Text:
			size += len(p.Text) + len(p.Text)/16
		case *translate.ToolCall:
			size += 64 + len(p.Args) + len(p.Signature)
		case *translate.ToolResult:
			size += 64 + sizeOfParts(p.Parts)
		case *translate.Media:
			size += len(p.Data)
		case *translate.Thinking, *translate.Refusal, *translate.Other:
		}
	}
	return size
}

// writePrompt writes all that the model reads.
func (e *encoder) writePrompt() error {
	if err := e.writeMessages(); err != nil {
		return err
	}
	if err := e.writeTools(); err != nil {
		return err
	}
	return e.writeToolConfig()
}

// writeMessages writes systemInstruction and contents. There is one place for
// system text, at the front; what stands further back joins it there. Contents of
// the same role are joined: what was called and what came of it must lie side by
// side.
func (e *encoder) writeMessages() error {
	system, turns := e.turns()
	if len(system.parts) > 0 {
		e.w.Name("systemInstruction")
		if err := e.writeContent(&system, ""); err != nil {
			return err
		}
	}
	e.w.Name("contents")
	e.w.Open('[')
	for i := range turns {
		role := roleUser
		if turns[i].role == translate.Assistant {
			role = roleModel
		}
		if err := e.writeContent(&turns[i], role); err != nil {
			return err
		}
	}
	e.w.Close(']')
	return nil
}

// turn is a content as it will be written.
type turn struct {
	role  translate.Role
	parts []translate.Part
	extra translate.Extra
}

func (e *encoder) turns() (system turn, turns []turn) {
	turns = make([]turn, 0, len(e.c.Messages))
	for i := range e.c.Messages {
		m := &e.c.Messages[i]
		if m.Role == translate.System || m.Role == translate.Developer {
			system.parts = append(system.parts, e.takeCached(m.Parts)...)
			if e.same {
				system.extra = append(system.extra, m.Extra...)
			}
			continue
		}
		for _, p := range m.Parts {
			if call, ok := p.(*translate.ToolCall); ok {
				e.names[call.ID] = call.Name
			}
		}
		if e.same {
			turns = append(turns, turn{m.Role, m.Parts, m.Extra})
			continue
		}
		if m.Name != "" {
			e.c.DropField("messages.name")
		}
		parts := e.sayable(m.Parts)
		if last := len(turns) - 1; last >= 0 && turns[last].role == m.Role {
			turns[last].parts = append(turns[last].parts, parts...)
		} else if len(parts) > 0 {
			turns = append(turns, turn{role: m.Role, parts: parts})
		}
	}
	if !e.same {
		system.parts = e.sayable(system.parts)
		if len(turns) == 0 { // there must be contents
			turns, system.parts = []turn{{role: translate.User, parts: system.parts}}, nil
		}
		e.sign(turns)
	}
	return system, turns
}

// takeCached writes the cached prefix, and gives the other parts.
func (e *encoder) takeCached(parts []translate.Part) []translate.Part {
	if len(parts) == 1 && e.same {
		if own, ok := parts[0].(*translate.Other); ok && own.Kind == cachedContent {
			e.w.Raw(cachedContent, own.Raw)
			return nil
		}
	}
	return parts
}

// sayable is what can be said of the parts of another dialect: without empty
// texts, which the API refuses, thoughts that Gemini did not have, and what other
// providers ran.
func (e *encoder) sayable(parts []translate.Part) []translate.Part {
	kept := make([]translate.Part, 0, len(parts))
	for _, p := range parts {
		switch p := p.(type) {
		case *translate.Text:
			e.dropMark(p.Cache)
			if p.Text == "" && p.Signature == "" {
				continue
			}
		case *translate.Refusal:
			if p.Text == "" {
				continue
			}
		case *translate.Media:
			e.dropMark(p.Cache)
		case *translate.Thinking:
			if p.Origin != translate.Gemini {
				e.c.Drop(translate.FeatureThinking)
				continue
			}
			if p.Signature == "" { // without one it tells the model nothing
				continue
			}
		case *translate.ToolCall:
			e.dropMark(p.Cache)
			if p.Server != "" {
				e.c.Drop(translate.FeatureServerTool)
				continue
			}
		case *translate.ToolResult:
			e.dropMark(p.Cache)
			if p.Server != "" {
				e.c.Drop(translate.FeatureServerTool)
				continue
			}
		}
		kept = append(kept, p)
	}
	return kept
}

func (e *encoder) dropMark(m *translate.CacheMark) {
	if m != nil {
		e.c.Drop(translate.FeatureCacheControl)
	}
}

// unsigned is what stands for a thought signature that was lost, in base64: the
// value that Google documents for calls that came from elsewhere.
const unsigned = "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I=" // skip_thought_signature_validator

// sign gives the first call of each turn of the model a signature, where the
// model wants one: those of parallel calls behind it have none.
func (e *encoder) sign(turns []turn) {
	if !e.model.checksSignatures() {
		return
	}
	for i := range turns {
		parts := turns[i].parts
		for j, p := range parts {
			call, ok := p.(*translate.ToolCall)
			if !ok {
				continue
			}
			if call.Signature == "" {
				signed := *call
				signed.Signature = unsigned
				parts[j] = &signed
			}
			break
		}
	}
}

func (e *encoder) writeContent(t *turn, role string) error {
	e.w.Open('{')
	e.w.TextIf("role", role)
	e.w.Name("parts")
	e.w.Open('[')
	for _, p := range t.parts {
		if err := e.writePart(p); err != nil {
			return err
		}
	}
	e.w.Close(']')
	writeExtra(&e.w, t.extra)
	e.w.Close('}')
	return nil
}

func (e *encoder) writePart(p translate.Part) error {
	switch p := p.(type) {
	case *translate.Text:
		e.writeText(p)
	case *translate.Refusal:
		writeText(&e.w, p.Text)
	case *translate.Thinking:
		writeThinking(&e.w, p, e.same)
	case *translate.Media:
		return e.writeMedia(p)
	case *translate.ToolCall:
		if p.Custom {
			return e.c.Refuse(translate.FeatureCustomTool, "The tool %q takes free text, which Gemini's tools do not.", p.Name)
		}
		writeCall(&e.w, p, e.same)
	case *translate.ToolResult:
		return e.writeResult(p)
	case *translate.Other:
		if !e.same {
			return translate.Unsupport(p.Kind, "A %q part has no counterpart at the model's upstream.", p.Kind)
		}
		e.w.Value(p.Raw)
	}
	return nil
}

func (e *encoder) writeText(t *translate.Text) {
	e.w.Open('{')
	e.w.Text("text", t.Text)
	e.w.TextIf("thoughtSignature", t.Signature)
	if e.same {
		writeExtra(&e.w, t.Extra)
	}
	e.w.Close('}')
}

// writeMedia writes data, or the address of a file, which Google fetches.
func (e *encoder) writeMedia(m *translate.Media) error {
	switch {
	case m.Text != "":
		writeText(&e.w, m.Text)
		return nil
	case m.FileID != "" && !e.same && !isGoogleFile(m.FileID):
		return e.c.Refuse(feature(m.Kind), "The file %q is not at the upstream; send its content instead.", m.FileID)
	}
	if m.Detail != "" && m.Detail != "auto" {
		e.c.DropField("detail")
	}
	writeMedia(&e.w, m, e.same)
	return nil
}

func feature(k translate.MediaKind) translate.Feature {
	switch k {
	case translate.Document:
		return translate.FeatureDocument
	case translate.AudioClip:
		return translate.FeatureAudio
	case translate.Video:
		return translate.FeatureVideo
	case translate.Image:
	}
	return translate.FeatureImage
}

// writeResult writes a functionResponse. Models from Gemini 3 on take media in
// it; for others they follow as parts of the message.
func (e *encoder) writeResult(r *translate.ToolResult) error {
	if e.same && r.Server != "" {
		e.w.Value(r.Raw)
		return nil
	}
	var media []*translate.Media
	for _, p := range r.Parts {
		if m, ok := p.(*translate.Media); ok && (m.Text == "" || e.same) { // else it is part of the words
			media = append(media, m)
		}
	}
	inside := len(media) > 0 && (e.same || e.model.checksSignatures())
	e.w.Open('{')
	e.w.Name("functionResponse")
	e.w.Open('{')
	if !isMarked(r.Extra) || !e.same {
		e.w.TextIf("id", r.CallID)
	}
	name := r.Name
	if name == "" {
		name = e.names[r.CallID]
	}
	e.w.Text("name", name)
	if e.same {
		e.w.Raw("response", r.Raw)
		writeExtraOf(&e.w, r.Extra, ofResult)
	} else {
		e.w.Name("response")
		e.writeAnswer(r)
	}
	if inside {
		e.w.Name("parts")
		e.w.Open('[')
		for _, m := range media {
			if err := e.writeMedia(m); err != nil {
				return err
			}
		}
		e.w.Close(']')
	}
	e.w.Close('}')
	if e.same {
		writeExtra(&e.w, r.Extra)
	}
	e.w.Close('}')
	if inside {
		return nil
	}
	for _, m := range media {
		if err := e.writeMedia(m); err != nil {
			return err
		}
	}
	return nil
}

// writeAnswer writes what a function answered in the members that Google
// documents, output or error.
func (e *encoder) writeAnswer(r *translate.ToolResult) {
	var text strings.Builder
	for _, p := range r.Parts {
		switch p := p.(type) {
		case *translate.Text:
			e.dropMark(p.Cache)
			text.WriteString(p.Text)
		case *translate.Media:
			e.dropMark(p.Cache)
			text.WriteString(p.Text)
		}
	}
	if len(r.Parts) == 0 {
		text.Write(r.Raw)
	}
	e.w.Open('{')
	if r.Failed {
		e.w.Text("error", text.String())
	} else {
		e.w.Text("output", text.String())
	}
	e.w.Close('}')
}

// writeTools writes function declarations as one entry, and each tool that Google
// runs as one.
func (e *encoder) writeTools() error {
	if len(e.c.Tools) == 0 {
		return nil
	}
	e.w.Name("tools")
	e.w.Open('[')
	if e.functions() > 0 {
		e.w.Open('{')
		e.w.Name("functionDeclarations")
		e.w.Open('[')
		for i := range e.c.Tools {
			if t := &e.c.Tools[i]; t.Kind == translate.Function {
				e.writeDeclaration(t)
			}
		}
		e.w.Close(']')
		e.w.Close('}')
	}
	for i := range e.c.Tools {
		t := &e.c.Tools[i]
		switch {
		case t.Kind == translate.Function:
		case e.same:
			e.w.Value(t.Raw)
		default:
			if err := e.writeServerTool(t); err != nil {
				return err
			}
		}
	}
	e.w.Close(']')
	return nil
}

// functions is how many of the tools are functions.
func (e *encoder) functions() (n int) {
	for i := range e.c.Tools {
		if e.c.Tools[i].Kind == translate.Function {
			n++
		}
	}
	return n
}

func (e *encoder) writeDeclaration(t *translate.Tool) {
	e.w.Open('{')
	e.w.Text("name", t.Name)
	e.w.TextIf("description", t.Description)
	switch {
	case e.same && t.Extra.Get("parameters") != nil: // as it came, in Google's own form
	case e.same:
		e.w.Raw("parametersJsonSchema", t.Schema)
	default:
		e.w.Raw("parametersJsonSchema", clean(t.Schema))
	}
	if e.same {
		writeExtra(&e.w, t.Extra)
	} else {
		e.dropMark(t.Cache)
	}
	e.w.Close('}')
}

// writeServerTool writes Google's counterpart of a tool that another provider
// runs. It takes few of the settings that these have.
func (e *encoder) writeServerTool(t *translate.Tool) error {
	if t.Kind == translate.Custom { // others are functions by now, see Conversation.Fit
		return e.c.Refuse(translate.FeatureCustomTool, "The tool %q takes free text, which Gemini's tools do not.", t.Name)
	}
	if why := e.codec.lacks(e.model, t, e.functions() > 0); why != "" {
		return e.c.Refuse(translate.FeatureServerTool, "%s", why)
	}
	b := t.Web()
	for _, wish := range []struct {
		name  string
		given bool
	}{{"max_uses", b.MaxUses > 0}, {"user_location", b.Place != nil}, {"search_context_size", b.Size != ""}} {
		if wish.given {
			e.c.DropWish(wish.name)
		}
	}
	e.w.Open('{')
	e.w.Name(serverToolName(t.Kind))
	e.w.Open('{')
	if t.Kind == translate.WebSearch {
		e.w.Raw("excludeDomains", b.Blocked)
	}
	e.w.Close('}')
	e.w.Close('}')
	return nil
}

// writeToolConfig writes which functions may be called. Only VALIDATED leaves the
// model free whether to call one and still bounds which; it also holds calls to
// their schema, which is what strict asks for. AI Studio wants to be told when
// functions and its own tools come together.
func (e *encoder) writeToolConfig() error {
	choice := e.c.ToolChoice
	if e.same {
		if choice != nil {
			e.w.Raw("toolConfig", choice.Raw)
		}
		return nil
	}
	if e.c.ParallelTools != nil && !*e.c.ParallelTools && len(e.c.Tools) > 0 {
		e.c.Drop(translate.FeatureParallelTools)
	}
	functions := e.functions()
	mode, allowed := "", []string(nil)
	if choice != nil && functions > 0 {
		mode, allowed = "AUTO", choice.Allowed
		switch choice.Mode {
		case translate.ChooseNone:
			mode = "NONE"
		case translate.ChooseAny:
			mode = "ANY"
		case translate.ChooseNamed:
			mode, allowed = "ANY", []string{choice.Name}
		case translate.ChooseAuto:
			if len(allowed) > 0 {
				mode = "VALIDATED"
			}
		}
	}
	if (mode == "" || mode == "AUTO") && e.strict() {
		mode = "VALIDATED"
	}
	both := functions > 0 && functions < len(e.c.Tools) && !e.codec.Vertex
	if mode == "" && !both {
		return nil
	}
	e.w.Name("toolConfig")
	e.w.Open('{')
	if mode != "" {
		e.w.Name("functionCallingConfig")
		e.w.Open('{')
		e.w.Text("mode", mode)
		e.writeStrings("allowedFunctionNames", allowed)
		e.w.Close('}')
	}
	if both {
		e.w.Flag("includeServerSideToolInvocations", true)
	}
	e.w.Close('}')
	return nil
}

// strict reports whether all functions are to be called by their schema only, and
// the model can be held to it.
func (e *encoder) strict() bool {
	return e.functions() > 0 && e.model.version >= 2.5 && !slices.ContainsFunc(e.c.Tools, func(t translate.Tool) bool {
		return t.Kind == translate.Function && (t.Strict == nil || !*t.Strict)
	})
}

func (e *encoder) writeStrings(name string, list []string) {
	if len(list) == 0 {
		return
	}
	e.w.Name(name)
	e.w.Open('[')
	for _, s := range list {
		e.w.String(s)
	}
	e.w.Close(']')
}

// writeServiceTier translates the words. Vertex AI is asked for a tier in
// headers.
func (e *encoder) writeServiceTier() {
	switch tier := e.c.ServiceTier; {
	case tier == "":
	case e.same:
		e.w.Text("serviceTier", tier)
	case e.codec.Vertex:
		e.c.Drop(translate.FeatureServiceTier)
	case tier == "flex", tier == "priority":
		e.w.Text("serviceTier", tier)
	case tier == "default", tier == "standard", tier == "standard_only":
		e.w.Text("serviceTier", "standard")
	case tier != "auto":
		e.c.Drop(translate.FeatureServiceTier)
	}
}
