package responses

import (
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"halley/internal/jsonx"
	"halley/internal/translate"
	"halley/internal/wire"
)

// messages writes input, and beside it what a client of this dialect says in
// members of their own.
func (e *encoder) messages() error {
	all := e.c.Messages
	if e.same {
		all = slices.DeleteFunc(slices.Clone(all), func(m translate.Message) bool {
			name, value := aside(&m)
			e.w.Raw(name, value)
			return name != ""
		})
		if len(all) == 0 && len(e.c.Messages) > 0 {
			return nil // a template or a conversation says it all
		}
	}
	e.w.Name("input")
	e.w.Open('[')
	for i := range all {
		if err := e.message(&all[i]); err != nil {
			return err
		}
	}
	e.w.Close(']')
	return nil
}

// instructions is the member for a system's words that count for one request.
const instructions = "instructions"

// aside is the member that says a message of this dialect's client; "" when it
// stands in input.
func aside(m *translate.Message) (name string, value jsontext.Value) {
	if len(m.Parts) != 1 || m.Role != translate.System {
		return "", nil
	}
	switch p := m.Parts[0].(type) {
	case *translate.Text:
		if isInstructions(m) {
			return instructions, wire.Quote(p.Text)
		}
	case *translate.Other:
		switch p.Kind {
		case keptPrompt, keptConversation, keptResponse:
			return p.Kind, p.Raw
		}
	}
	return "", nil
}

// message writes a message as the items that it is made of here: what is said
// is one, and every thought, call and result is.
func (e *encoder) message(m *translate.Message) error {
	if m.Name != "" {
		e.c.DropField("messages.name")
	}
	var said []translate.Part
	for _, p := range m.Parts {
		item, err := e.item(p, m)
		if err != nil {
			return err
		}
		if !item {
			said = append(said, p)
			continue
		}
		if err := e.said(m, said); err != nil {
			return err
		}
		said = nil
		if err := e.writeItem(p); err != nil {
			return err
		}
	}
	if len(m.Parts) == 0 && e.same {
		return e.write(m, nil)
	}
	return e.said(m, said)
}

// item says whether a part is an item of its own. An error means that it is
// none and cannot be said in a message either.
func (e *encoder) item(p translate.Part, m *translate.Message) (bool, error) {
	switch p := p.(type) {
	case *translate.ToolCall, *translate.ToolResult, *translate.Thinking:
		return true, nil
	case *translate.Other:
		if !e.same {
			return false, foreign(p)
		}
		return isItem(m), nil
	case *translate.Media:
		if e.same && isItem(m) {
			return true, nil
		}
		if m.Role == translate.Assistant {
			return false, e.c.Refuse(translate.FeatureImage, "The model's upstream takes no images that an assistant made.")
		}
	}
	return false, nil
}

// isItem says whether the message was read from an item that is no message.
func isItem(m *translate.Message) bool { return m.Extra.Get(rawItem) != nil }

func (e *encoder) said(m *translate.Message, parts []translate.Part) error {
	if len(parts) == 0 {
		return nil
	}
	return e.write(m, parts)
}

// write writes a message item.
func (e *encoder) write(m *translate.Message, parts []translate.Part) error {
	w := &e.w
	w.Open('{')
	w.Text("type", messageItem)
	w.Text("role", roleOf(m.Role))
	if e.same {
		w.TextIf("id", m.ID)
		writeExtra(w, m.Extra)
	}
	w.Name("content")
	if err := e.contents(parts, m.Role == translate.Assistant); err != nil {
		return err
	}
	w.Close('}')
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

// writeExtra writes members, but for the marks that are no members.
func writeExtra(w *jsonx.Writer, e translate.Extra) {
	for _, m := range e {
		if !strings.HasPrefix(m.Name, mark) {
			w.Raw(m.Name, m.Value)
		}
	}
}

// contents writes what is said: as a string where it is one plain text, which
// every server takes, else as a list.
func (e *encoder) contents(parts []translate.Part, assistant bool) error {
	w := &e.w
	if len(parts) == 0 {
		w.Value(jsontext.Value("[]"))
		return nil
	}
	if t, ok := parts[0].(*translate.Text); ok && len(parts) == 1 && (!e.same || len(t.Citations) == 0 && len(t.Extra) == 0) {
		e.uncached(t.Cache)
		w.String(t.Text)
		return nil
	}
	w.Open('[')
	for _, p := range parts {
		if err := e.content(p, assistant); err != nil {
			return err
		}
	}
	w.Close(']')
	return nil
}

func (e *encoder) uncached(mark *translate.CacheMark) {
	if mark != nil {
		e.c.Drop(translate.FeatureCacheControl)
	}
}

// content writes a content part.
func (e *encoder) content(p translate.Part, assistant bool) error {
	w := &e.w
	switch p := p.(type) {
	case *translate.Text:
		e.uncached(p.Cache)
		w.Open('{')
		if assistant {
			w.Text("type", "output_text")
		} else {
			w.Text("type", "input_text")
		}
		w.Text("text", p.Text)
		if e.same {
			if len(p.Citations) > 0 {
				w.Name("annotations")
				writeAnnotations(w, p.Citations, true)
			}
			writeExtra(w, p.Extra)
		}
		w.Close('}')
	case *translate.Refusal:
		w.Open('{')
		w.Text("type", "refusal")
		w.Text("refusal", p.Text)
		if e.same {
			writeExtra(w, p.Extra)
		}
		w.Close('}')
	case *translate.Media:
		return e.media(p)
	case *translate.Other:
		if !e.same {
			return foreign(p)
		}
		w.Value(p.Raw)
	}
	return nil
}

// foreign is the refusal of a part that only another dialect has words for.
func foreign(p *translate.Other) error {
	return translate.Unsupport(p.Kind, "A %q part has no counterpart at the model's upstream.", p.Kind)
}

// media writes an image or a document.
func (e *encoder) media(m *translate.Media) error {
	w := &e.w
	e.uncached(m.Cache)
	if e.same && m.Raw != nil {
		w.Value(m.Raw)
		return nil
	}
	kept := m.FileID != "" && e.c.From != translate.Responses && e.c.From != translate.Chat
	switch {
	case m.Kind == translate.AudioClip:
		return e.c.Refuse(translate.FeatureAudio, "The model's upstream does not hear audio.")
	case m.Kind == translate.Video:
		return e.c.Refuse(translate.FeatureVideo, "The model's upstream does not take videos.")
	case kept && m.Kind == translate.Image:
		return e.c.Refuse(translate.FeatureImage, "The model's upstream knows no uploaded files of another provider.")
	case kept:
		return e.c.Refuse(translate.FeatureDocument, "The model's upstream knows no uploaded files of another provider.")
	}
	w.Open('{')
	switch {
	case m.Kind == translate.Image:
		w.Text("type", "input_image")
		w.TextIf("image_url", m.Address("image/png"))
		w.TextIf("file_id", m.FileID)
		w.TextIf("detail", m.Detail)
	case m.Text != "":
		w.Text("type", "input_text")
		w.Text("text", m.Text)
	default:
		w.Text("type", "input_file")
		w.TextIf("file_id", m.FileID)
		w.TextIf("file_url", m.URL)
		name := m.Name
		if m.Data != "" {
			w.Text("file_data", m.Address("application/pdf"))
			if name == "" && !e.same {
				name = "document.pdf" // which OpenAI wants beside file_data
			}
		}
		w.TextIf("filename", name)
	}
	if e.same {
		writeExtra(w, m.Extra)
	}
	w.Close('}')
	return nil
}

// writeItem writes an item that is no message.
func (e *encoder) writeItem(p translate.Part) error {
	switch p := p.(type) {
	case *translate.Thinking:
		e.thinking(p)
	case *translate.ToolCall:
		e.call(p)
	case *translate.ToolResult:
		return e.result(p)
	case *translate.Media:
		e.w.Value(p.Raw)
	case *translate.Other:
		e.w.Value(p.Raw)
	}
	return nil
}

// thinking brings thoughts back to where they were sealed. Those of others mean
// nothing here, and those that are not sealed nothing to a server that keeps
// none.
func (e *encoder) thinking(t *translate.Thinking) {
	if t.Origin != translate.Responses || !e.same && t.Signature == "" {
		e.c.Drop(translate.FeatureThinking)
		return
	}
	w := &e.w
	w.Open('{')
	w.Text("type", reasoningItem)
	w.TextIf("id", t.ID)
	summary := t.Summary
	if summary == nil && t.Text != "" && t.Extra.Get("content") == nil {
		summary = []string{t.Text}
	}
	writeSummary(w, summary)
	w.TextIf("encrypted_content", t.Signature)
	writeExtra(w, t.Extra)
	w.Close('}')
}

func writeSummary(w *jsonx.Writer, summary []string) {
	w.Name("summary")
	w.Open('[')
	for _, s := range summary {
		w.Open('{')
		w.Text("type", "summary_text")
		w.Text("text", s)
		w.Close('}')
	}
	w.Close(']')
}

// joinThoughts makes one text of the parts of a summary.
func joinThoughts(parts []string) string { return strings.Join(parts, thoughtBreak) }

// thoughtBreak stands between the parts of a summary in one text.
const thoughtBreak = "\n\n"

func (e *encoder) callID(id string) string {
	if e.same {
		return id
	}
	return translate.Short(id, maxID)
}

func (e *encoder) call(p *translate.ToolCall) {
	e.uncached(p.Cache)
	if raw := p.Extra.Get(rawItem); e.same && raw != nil {
		e.w.Value(raw)
		return
	}
	if p.Server != "" {
		e.c.Drop(translate.FeatureServerTool)
		return
	}
	w := &e.w
	w.Open('{')
	kind, member, args := functionCall, "arguments", p.Args
	switch {
	case p.Custom:
		kind, member = customCall, "input"
	case args == "" && !e.same:
		args = "{}"
	}
	w.Text("type", kind)
	if e.same {
		w.TextIf("id", p.ItemID)
	}
	w.Text("call_id", e.callID(p.ID))
	w.Text("name", p.Name)
	w.TextIf("namespace", p.Namespace)
	w.Text(member, args)
	if e.same {
		writeExtra(w, p.Extra)
	}
	w.Close('}')
}

// result writes what a tool answered, images included.
func (e *encoder) result(p *translate.ToolResult) error {
	e.uncached(p.Cache)
	if raw := p.Extra.Get(rawItem); e.same && raw != nil {
		e.w.Value(raw)
		return nil
	}
	if p.Server != "" {
		e.c.Drop(translate.FeatureServerTool)
		return nil
	}
	w := &e.w
	w.Open('{')
	kind := functionOutput
	if p.Custom || !e.same && e.customCall(p.CallID) {
		kind = customOutput
	}
	w.Text("type", kind)
	if e.same {
		w.TextIf("id", p.ItemID)
	}
	w.Text("call_id", e.callID(p.CallID))
	w.Name("output")
	parts := p.Parts
	if !e.same {
		parts = plainResult(p)
	}
	if err := e.contents(parts, false); err != nil {
		return err
	}
	if e.same {
		writeExtra(w, p.Extra)
	}
	w.Close('}')
	return nil
}

// plainResult is a result of another dialect: a failed one says so, and texts
// alone become one, which every server takes.
func plainResult(p *translate.ToolResult) []translate.Part {
	var words strings.Builder
	if p.Failed {
		words.WriteString("Error: ")
	}
	if len(p.Parts) == 0 {
		words.Write(p.Raw)
	}
	for _, part := range p.Parts {
		t, ok := part.(*translate.Text)
		if !ok {
			if p.Failed {
				return append([]translate.Part{&translate.Text{Text: "Error: "}}, p.Parts...)
			}
			return p.Parts
		}
		words.WriteString(t.Text)
	}
	return []translate.Part{&translate.Text{Text: words.String()}}
}

// customCall says whether the call of that id is one of a custom tool, which
// results of Chat do not say.
func (e *encoder) customCall(id string) bool {
	if !slices.ContainsFunc(e.c.Tools, func(t translate.Tool) bool { return t.Kind == translate.Custom }) {
		return false
	}
	for i := range e.c.Messages {
		for _, p := range e.c.Messages[i].Parts {
			if call, ok := p.(*translate.ToolCall); ok && call.ID == id {
				return call.Custom
			}
		}
	}
	return false
}

// writeAnnotations writes citations: in the dialect's own words, or as what has
// a URL; of others there are no words here.
func writeAnnotations(w *jsonx.Writer, cited []translate.Citation, same bool) {
	w.Open('[')
	for i := range cited {
		writeAnnotation(w, &cited[i], same)
	}
	w.Close(']')
}

// writeAnnotation reports whether it has written anything.
func writeAnnotation(w *jsonx.Writer, c *translate.Citation, same bool) bool {
	if same && len(c.Raw) > 0 || ownAnnotation(c.Raw) {
		w.Value(c.Raw)
		return true
	}
	if c.URL == "" {
		return false
	}
	w.Open('{')
	w.Text("type", "url_citation")
	w.Int("start_index", int64(c.Start))
	w.Int("end_index", int64(c.End))
	w.Text("url", c.URL)
	w.Text("title", c.Title)
	w.Close('}')
	return true
}

// ownAnnotation tells the dialect's annotations by their types; Chat's are
// nested.
func ownAnnotation(raw jsontext.Value) bool {
	switch member(raw, "type") {
	case "url_citation":
		return find(raw, "url_citation") == nil
	case "file_citation", "container_file_citation", "file_path":
		return find(raw, "file_citation") == nil
	}
	return false
}
