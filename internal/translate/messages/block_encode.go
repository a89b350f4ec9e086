package messages

import (
	"encoding/base64"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"halley/internal/jsonx"
	"halley/internal/translate"
)

// writeText writes a text block. Citations are written when they are the
// dialect's own.
func writeText(w *jsonx.Writer, t *translate.Text, citations bool) {
	w.Open('{')
	w.Text("type", "text")
	w.Text("text", t.Text)
	if citations && len(t.Citations) > 0 {
		w.Name("citations")
		w.Open('[')
		for i := range t.Citations {
			writeCitation(w, &t.Citations[i])
		}
		w.Close(']')
	}
	writeCacheMark(w, t.Cache)
	writeExtra(w, t.Extra, "type")
	w.Close('}')
}

// writeCitation writes a citation: its own words, or, for one of another
// dialect, that of a web search whose encrypted_index, which only Anthropic's
// API can make, is empty.
func writeCitation(w *jsonx.Writer, c *translate.Citation) {
	if own(c) {
		w.Value(c.Raw)
		return
	}
	w.Open('{')
	w.Text("type", "web_search_result_location")
	w.Text("url", c.URL)
	w.Text("title", c.Title)
	w.Text("cited_text", c.Quote)
	w.Text("encrypted_index", "")
	w.Close('}')
}

// own tells the dialect's citations by their types.
func own(c *translate.Citation) bool {
	return strings.HasSuffix(memberOf(c.Raw, "type"), "_location")
}

// writeCacheMark writes a member, when there is a mark.
func writeCacheMark(w *jsonx.Writer, m *translate.CacheMark) {
	switch {
	case m == nil:
	case len(m.Raw) > 0 && memberOf(m.Raw, "type") == "ephemeral": // the dialect's own, or of those that took it over
		w.Raw("cache_control", m.Raw)
	default:
		w.Name("cache_control")
		w.Open('{')
		w.Text("type", "ephemeral")
		w.TextIf("ttl", m.TTL)
		w.Close('}')
	}
}

// writeThinking writes a block that the client can bring back, whoever thought.
func writeThinking(w *jsonx.Writer, t *translate.Thinking) {
	w.Open('{')
	if t.Origin == translate.Messages && t.Sealed != "" {
		w.Text("type", "redacted_thinking")
		w.Text("data", t.Sealed)
	} else {
		w.Text("type", "thinking")
		w.Text("thinking", t.Text)
		w.Text("signature", t.Carry(translate.Messages))
	}
	writeExtra(w, t.Extra, "type")
	w.Close('}')
}

// writeCall writes a call of a tool.
func writeCall(w *jsonx.Writer, c *translate.ToolCall) {
	w.Open('{')
	usual := "tool_use"
	if c.Server != "" {
		usual = "server_tool_use"
	}
	w.Text("type", typeOf(c.Extra, usual))
	w.Text("id", c.ID)
	w.Text("name", c.Name)
	w.Raw("input", Arguments(c))
	writeCacheMark(w, c.Cache)
	writeExtra(w, c.Extra, "type")
	w.Close('}')
}

// Arguments is the arguments of a call as the object that the dialect demands. Other
// dialects may hold what a model wrote that is none; it goes on as a member, so
// that one bad call does not end a conversation.
func Arguments(c *translate.ToolCall) jsontext.Value {
	args := jsontext.Value(c.Args)
	switch {
	case c.Custom:
		return wrapped("input", c.Args)
	case strings.TrimSpace(c.Args) == "":
		return jsontext.Value("{}")
	case args.Kind() != '{' || !args.IsValid():
		return wrapped("arguments", c.Args)
	}
	return args
}

func wrapped(name, text string) jsontext.Value {
	var w jsonx.Writer
	w.Open('{')
	w.Text(name, text)
	w.Close('}')
	return w.Out
}

// carrier is the thinking block that takes a foreign signature of a tool call
// through Messages clients; nil when there is none. See pickUp.
func carrier(c *translate.ToolCall, from translate.Dialect) *translate.Thinking {
	if c.Signature == "" || from == translate.Messages {
		return nil
	}
	return &translate.Thinking{Signature: c.Signature, Origin: from, ID: c.ID}
}

// pickUp gives tool calls back the signatures that carriers brought.
func pickUp(parts []translate.Part) []translate.Part {
	kept := parts[:0]
	for _, p := range parts {
		t, ok := p.(*translate.Thinking)
		if ok && t.Origin != translate.Messages && t.ID != "" && t.Text == "" {
			if call := callOf(parts, t.ID); call != nil {
				call.Signature = t.Signature
				continue
			}
		}
		kept = append(kept, p)
	}
	clear(parts[len(kept):])
	return kept
}

func callOf(parts []translate.Part, id string) *translate.ToolCall {
	for _, p := range parts {
		if call, ok := p.(*translate.ToolCall); ok && call.ID == id {
			return call
		}
	}
	return nil
}

// writeMedia writes an image or a document.
func (e *encoder) writeMedia(m *translate.Media) error {
	w := &e.w
	if e.same && len(m.Raw) > 0 {
		w.Value(m.Raw)
		return nil
	}
	kind, feature := "image", translate.FeatureImage
	switch m.Kind {
	case translate.Document:
		kind, feature = "document", translate.FeatureDocument
	case translate.AudioClip:
		return e.c.Refuse(translate.FeatureAudio, "Claude does not hear audio.")
	case translate.Video:
		return e.c.Refuse(translate.FeatureVideo, "Claude does not see video.")
	case translate.Image:
	}
	w.Open('{')
	w.Text("type", kind)
	w.Name("source")
	w.Open('{')
	if err := e.writeSource(m, feature); err != nil {
		return err
	}
	w.Close('}')
	if kind == "document" {
		w.TextIf("title", m.Name)
	}
	writeCacheMark(w, m.Cache)
	if e.same {
		writeExtra(w, m.Extra, "type")
	}
	w.Close('}')
	return nil
}

// writeSource writes the members of a source. Anthropic's own API fetches URLs;
// the clouds do not.
func (e *encoder) writeSource(m *translate.Media, feature translate.Feature) error {
	w := &e.w
	switch {
	case m.FileID != "":
		if !e.same {
			return e.c.Refuse(feature, "The file %q is not at the upstream; send its content instead.", m.FileID)
		}
		w.Text("type", "file")
		w.Text("file_id", m.FileID)
	case m.URL != "" && strings.HasPrefix(m.URL, "data:"):
		mime, data, ok := strings.Cut(strings.TrimPrefix(m.URL, "data:"), ";base64,")
		if !ok {
			return e.c.Refuse(feature, "The data URL must be in base64.")
		}
		return e.writeData(mime, data, m.Kind, feature)
	case m.URL != "":
		if e.codec.Platform != Direct && !e.same {
			return e.c.Refuse(feature, "The upstream does not fetch URLs; send the content in base64 instead.")
		}
		w.Text("type", "url")
		w.Text("url", m.URL)
	case m.Text != "":
		w.Text("type", "text")
		w.Text("media_type", "text/plain")
		w.Text("data", m.Text)
	default:
		return e.writeData(m.MIME, m.Data, m.Kind, feature)
	}
	return nil
}

// writeData writes a base64 source, or a text source for documents that are
// text. The media types are those of Anthropic's reference.
func (e *encoder) writeData(mime, data string, kind translate.MediaKind, feature translate.Feature) error {
	if mime == "" || mime == "image/jpg" {
		mime = Sniff(data, mime)
	}
	known := mime == "application/pdf"
	if kind == translate.Image {
		known = mime == "image/png" || mime == "image/jpeg" || mime == "image/gif" || mime == "image/webp"
	}
	switch {
	case e.same, known:
		e.w.Text("type", "base64")
		e.w.Text("media_type", mime)
		e.w.Text("data", data)
		return nil
	case kind == translate.Document && isText(mime):
		text, err := base64.StdEncoding.DecodeString(data)
		if err != nil {
			return e.c.Refuse(feature, "The document is not valid base64.")
		}
		e.w.Text("type", "text")
		e.w.Text("media_type", "text/plain")
		e.w.Text("data", string(text))
		return nil
	}
	return e.c.Refuse(feature, "Claude does not read the media type %q.", mime)
}

func isText(mime string) bool {
	return strings.HasPrefix(mime, "text/") || mime == "application/json" || mime == "application/xml"
}

// Sniff is the media type that the first bytes tell, as base64 shows them.
func Sniff(data, otherwise string) string {
	for _, magic := range []struct{ start, mime string }{
		{"iVBORw0KGgo", "image/png"}, {"/9j/", "image/jpeg"}, {"R0lGOD", "image/gif"}, {"UklGR", "image/webp"}, {"JVBERi", "application/pdf"},
	} {
		if strings.HasPrefix(data, magic.start) {
			return magic.mime
		}
	}
	return otherwise
}
