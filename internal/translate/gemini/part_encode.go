package gemini

import (
	"encoding/base64"
	"path"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"halley/internal/jsonx"
	"halley/internal/translate"
)

func writeText(w *jsonx.Writer, text string) {
	w.Open('{')
	w.Text("text", text)
	w.Close('}')
}

// writeThinking writes a thought that can be brought back, whoever had it.
func writeThinking(w *jsonx.Writer, t *translate.Thinking, same bool) {
	w.Open('{')
	w.Text("text", t.Text)
	w.Flag("thought", true)
	w.TextIf("thoughtSignature", signature(t))
	if same {
		writeExtra(w, t.Extra)
	}
	w.Close('}')
}

// signature is what proves a thought, as base64, which clients decode.
func signature(t *translate.Thinking) string {
	carried := t.Carry(translate.Gemini)
	if strings.HasPrefix(carried, translate.CarryMark) {
		return base64.StdEncoding.EncodeToString([]byte(carried))
	}
	return carried
}

// writeCall writes a functionCall, or the part that a call of Google's own tools
// is.
func writeCall(w *jsonx.Writer, c *translate.ToolCall, same bool) {
	if raw := c.Extra.Get(wholePart); raw != nil && same {
		w.Value(raw)
		return
	}
	w.Open('{')
	w.Name("functionCall")
	w.Open('{')
	if !same || !isMarked(c.Extra) {
		w.TextIf("id", c.ID)
	}
	w.Text("name", c.Name)
	if c.Args != "" || !same {
		w.Raw("args", arguments(c))
	}
	if same {
		writeExtraOf(w, c.Extra, ofCall)
	}
	w.Close('}')
	w.TextIf("thoughtSignature", c.Signature)
	if same {
		writeExtra(w, c.Extra)
	}
	w.Close('}')
}

// arguments are those of a call as the object that the dialect demands. Other
// dialects may hold what a model wrote that is none; it goes on as a member, so
// that one bad call does not end a conversation.
func arguments(c *translate.ToolCall) jsontext.Value {
	args := jsontext.Value(c.Args)
	if args.Kind() == '{' && args.IsValid() {
		return args
	}
	if strings.TrimSpace(c.Args) == "" {
		return jsontext.Value("{}")
	}
	var w jsonx.Writer
	w.Open('{')
	if c.Custom {
		w.Text("input", c.Args)
	} else {
		w.Text("arguments", c.Args)
	}
	w.Close('}')
	return w.Out
}

// writeMedia writes inlineData or fileData.
func writeMedia(w *jsonx.Writer, m *translate.Media, same bool) {
	w.Open('{')
	object := ofInline
	if m.Data != "" || m.URL == "" && m.FileID == "" {
		w.Name("inlineData")
		w.Open('{')
		w.Text("mimeType", mimeOf(m, same))
		w.Text("data", m.Data)
	} else {
		object = ofFile
		w.Name("fileData")
		w.Open('{')
		w.TextIf("mimeType", mimeOf(m, same))
		w.Text("fileUri", m.FileID+m.URL) // it is one of them
	}
	if same {
		writeExtraOf(w, m.Extra, object)
	}
	w.Close('}')
	if same {
		writeExtra(w, m.Extra)
	}
	w.Close('}')
}

// extensions are media types by the ends of names in addresses, for dialects that
// give an address without a type; Vertex AI demands one.
var extensions = [...]struct{ end, mime string }{
	{".png", "image/png"}, {".jpg", "image/jpeg"}, {".jpeg", "image/jpeg"}, {".gif", "image/gif"}, {".webp", "image/webp"},
	{".heic", "image/heic"}, {".heif", "image/heif"}, {".pdf", "application/pdf"}, {".txt", "text/plain"}, {".md", "text/markdown"},
	{".html", "text/html"}, {".csv", "text/csv"}, {".json", "application/json"}, {".mp3", "audio/mp3"}, {".wav", "audio/wav"}, {".mp4", "video/mp4"},
}

// mimeOf is the media's type: as given, as its address tells, or what is usual.
func mimeOf(m *translate.Media, same bool) string {
	if m.MIME != "" || same {
		return m.MIME
	}
	address, _, _ := strings.Cut(m.URL+m.FileID, "?")
	for _, name := range []string{address, m.Name} {
		end := strings.ToLower(path.Ext(name))
		for _, e := range extensions {
			if e.end == end {
				return e.mime
			}
		}
	}
	switch m.Kind {
	case translate.Document:
		return "application/pdf"
	case translate.AudioClip:
		return "audio/wav"
	case translate.Video:
		return "video/mp4"
	case translate.Image:
	}
	return "image/jpeg"
}
