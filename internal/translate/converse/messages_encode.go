package converse

import (
	"encoding/base64"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"halley/internal/translate"
	"halley/internal/translate/messages"
)

// turn is a message as it will be written: the roles of two must not be the same
// in a row.
type turn struct {
	role  translate.Role
	parts []translate.Part
	extra translate.Extra
}

// writeMessages writes messages and system. What the system says in the middle
// joins the rest at the front; a conversation of nothing but that becomes the
// user's, as the dialect demands a message.
func (e *encoder) writeMessages() error {
	var system []translate.Part
	var turns []turn
	for i := range e.c.Messages {
		m := &e.c.Messages[i]
		switch m.Role {
		case translate.System, translate.Developer:
			system = append(system, e.sayable(m.Parts, false)...)
			continue
		case translate.User, translate.Assistant:
		}
		if e.same {
			turns = append(turns, turn{m.Role, m.Parts, m.Extra})
			continue
		}
		if m.Name != "" {
			e.c.DropField("messages.name")
		}
		parts := e.sayable(m.Parts, m.Role == translate.Assistant && i == len(e.c.Messages)-1)
		if len(parts) == 0 {
			continue
		}
		if last := len(turns) - 1; last >= 0 && turns[last].role == m.Role {
			turns[last].parts = append(turns[last].parts, parts...)
			continue
		}
		turns = append(turns, turn{role: m.Role, parts: parts})
	}
	if !e.same && len(turns) == 0 {
		turns, system = []turn{{role: translate.User, parts: system}}, nil
	}
	if e.fit.Words != "" {
		system = append(system, &translate.Text{Text: e.fit.Words})
	}
	if len(system) > 0 {
		e.w.Name("system")
		if err := e.writeParts(system); err != nil {
			return err
		}
	}
	e.w.Name("messages")
	e.w.Open('[')
	for i := range turns {
		if err := e.writeTurn(&turns[i]); err != nil {
			return err
		}
	}
	e.w.Close(']')
	return nil
}

func (e *encoder) writeTurn(t *turn) error {
	parts := t.parts
	if !e.same {
		parts = withWords(messages.ResultsFirst(parts))
	}
	e.w.Open('{')
	if t.role == translate.Assistant {
		e.w.Text("role", "assistant")
	} else {
		e.w.Text("role", "user")
	}
	e.w.Name("content")
	if err := e.writeParts(parts); err != nil {
		return err
	}
	if e.same {
		writeExtra(&e.w, t.extra)
	}
	e.w.Close('}')
	return nil
}

// withWords puts words beside documents, which the dialect demands.
func withWords(parts []translate.Part) []translate.Part {
	document := false
	for _, p := range parts {
		switch p := p.(type) {
		case *translate.Media:
			document = document || p.Kind == translate.Document
		case *translate.Text, *translate.Refusal:
			return parts
		}
	}
	if !document {
		return parts
	}
	return append(parts[:len(parts):len(parts)], &translate.Text{Text: "See the document."})
}

// sayable is what can be said of the parts; see messages.Sayable.
func (e *encoder) sayable(parts []translate.Part, last bool) []translate.Part {
	if e.same {
		return parts
	}
	return messages.Sayable(e.c, parts, last, e.knows)
}

// knows says whether the model would know the thoughts again: those that Claude
// has signed, wherever, or sealed here.
func (e *encoder) knows(t *translate.Thinking) bool {
	return e.fit.Signed && (t.Origin == translate.Messages && t.Signature != "" || t.Origin == translate.Converse && t.Sealed != "")
}

func (e *encoder) writeParts(parts []translate.Part) error {
	e.w.Open('[')
	for _, p := range parts {
		if err := e.writePart(p); err != nil {
			return err
		}
	}
	e.w.Close(']')
	return nil
}

func (e *encoder) writePart(p translate.Part) error {
	w := &e.w
	var cache *translate.CacheMark
	switch p := p.(type) {
	case *translate.Text:
		writeText(w, p, e.same)
		cache = p.Cache
	case *translate.Refusal:
		writeText(w, &translate.Text{Text: p.Text}, false)
	case *translate.Thinking:
		writeThinking(w, p)
	case *translate.Media:
		if err := e.writeMedia(p); err != nil {
			return err
		}
		cache = p.Cache
	case *translate.ToolCall:
		call := *p
		if !e.same {
			call.ID = callID(p.ID)
		}
		writeCall(w, &call, e.same)
		cache = p.Cache
	case *translate.ToolResult:
		if err := e.writeResult(p); err != nil {
			return err
		}
		cache = p.Cache
	case *translate.Other:
		if !e.same {
			return translate.Unsupport(p.Kind, "Amazon Bedrock has no counterpart of a part of the type %q.", p.Kind)
		}
		w.Value(p.Raw)
	}
	e.writeMark(cache, e.model.caches())
	return nil
}

// writeMark writes a cachePoint, where there is a mark and the model takes it.
func (e *encoder) writeMark(m *translate.CacheMark, taken bool) {
	switch {
	case m == nil:
	case e.same:
		e.w.Value(m.Raw)
	case !taken:
		e.c.Drop(translate.FeatureCacheControl)
	case m.TTL == "1h" && e.fit.LongerCache:
		e.w.Value(jsontext.Value(`{"cachePoint":{"type":"default","ttl":"1h"}}`))
	default:
		if m.TTL == "1h" {
			e.c.Drop(translate.FeatureCacheControl)
		}
		e.w.Value(jsontext.Value(`{"cachePoint":{"type":"default"}}`))
	}
}

func (e *encoder) writeResult(r *translate.ToolResult) error {
	w := &e.w
	w.Open('{')
	w.Name("toolResult")
	if e.same && len(r.Raw) > 0 {
		w.Value(r.Raw)
		w.Close('}')
		return nil
	}
	w.Open('{')
	id, parts := r.CallID, e.sayable(r.Parts, false)
	if !e.same {
		id = callID(id)
		if len(parts) == 0 {
			parts = []translate.Part{&translate.Text{Text: "(nothing)"}} // not every model takes an empty list
		}
	}
	w.Text("toolUseId", id)
	w.Name("content")
	if err := e.writeParts(parts); err != nil {
		return err
	}
	if r.Failed {
		w.Text("status", "error")
	}
	if e.same {
		writeExtra(w, r.Extra)
	}
	w.Close('}')
	w.Close('}')
	return nil
}

// writeMedia writes an image, a document, a video or a sound.
func (e *encoder) writeMedia(m *translate.Media) error {
	w, name := &e.w, mediaName(m.Kind)
	w.Open('{')
	w.Name(name)
	if e.same && len(m.Raw) > 0 {
		w.Value(m.Raw)
		w.Close('}')
		return nil
	}
	data, mime, err := e.content(m)
	if err != nil {
		return err
	}
	format := formatOf(m.Kind, mime)
	if format == "" && m.Kind == translate.Document && strings.HasPrefix(mime, "text/") {
		format = "txt"
	}
	if format == "" && !e.same {
		return e.c.Refuse(feature(m.Kind), "Amazon Bedrock does not read the media type %q.", mime)
	}
	w.Open('{')
	w.TextIf("format", format)
	if m.Kind == translate.Document {
		if e.same {
			w.TextIf("name", m.Name)
		} else {
			w.Text("name", e.documentName(m.Name))
		}
	}
	w.Name("source")
	w.Open('{')
	switch {
	case data != "":
		w.Text("bytes", data)
	case e.same:
		w.Text("text", m.Text)
	default:
		w.Text("bytes", base64.StdEncoding.EncodeToString([]byte(m.Text)))
	}
	w.Close('}')
	if e.same {
		writeExtra(w, m.Extra)
	}
	w.Close('}')
	w.Close('}')
	return nil
}

// content is the base64 text of media and their type. Both are empty when the
// media are text.
func (e *encoder) content(m *translate.Media) (data, mime string, err error) {
	what := feature(m.Kind)
	switch {
	case m.Kind == translate.AudioClip && e.model.claude() && !e.same:
		return "", "", e.c.Refuse(what, "Claude does not hear audio.")
	case m.Kind == translate.Video && e.model.claude() && !e.same:
		return "", "", e.c.Refuse(what, "Claude does not see video.")
	case m.FileID != "":
		return "", "", e.c.Refuse(what, "The file %q is not at the upstream; send its content instead.", m.FileID)
	case strings.HasPrefix(m.URL, "data:"):
		mime, data, ok := strings.Cut(strings.TrimPrefix(m.URL, "data:"), ";base64,")
		if !ok {
			return "", "", e.c.Refuse(what, "The data URL must be in base64.")
		}
		return data, guess(data, mime), nil
	case m.URL != "":
		return "", "", e.c.Refuse(what, "The upstream does not fetch URLs; send the content in base64 instead.")
	case m.Data == "":
		if m.MIME == "" && m.Kind == translate.Document && !e.same {
			return "", "text/plain", nil
		}
		return "", m.MIME, nil
	case e.same:
		return m.Data, m.MIME, nil
	}
	return m.Data, guess(m.Data, m.MIME), nil
}

// guess is the media type, or what the first bytes tell where it is not said.
func guess(data, mime string) string {
	if mime == "" || mime == "application/octet-stream" {
		return messages.Sniff(data, mime)
	}
	return mime
}

func feature(kind translate.MediaKind) translate.Feature {
	switch kind {
	case translate.Document:
		return translate.FeatureDocument
	case translate.Video:
		return translate.FeatureVideo
	case translate.AudioClip:
		return translate.FeatureAudio
	case translate.Image:
	}
	return translate.FeatureImage
}

// documentName is a name of letters, digits, blanks, hyphens, brackets and
// parentheses, which is all that the API takes, and that no other document of the
// request has.
func (e *encoder) documentName(name string) string {
	e.documents++
	var fitted strings.Builder
	blank := true // no two in a row, and none at the front
	for _, r := range name {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', strings.ContainsRune("-()[]", r):
			fitted.WriteRune(r)
			blank = false
		case !blank:
			fitted.WriteByte(' ')
			blank = true
		}
	}
	base := strings.TrimSpace(fitted.String())
	if base == "" {
		base = "document"
	}
	if len(base) > 180 {
		base = base[:180]
	}
	if e.documents == 1 {
		return base
	}
	return base + " " + strconv.Itoa(e.documents)
}
