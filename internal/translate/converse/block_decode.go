package converse

import (
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"halley/internal/jsonx"
	"halley/internal/translate"
	"halley/internal/wire"
)

// readBlocks reads a list of content blocks.
func readBlocks(r *jsonx.Reader) (parts []translate.Part) {
	if r.Null() {
		return nil
	}
	for r.Array(); r.Next(']'); {
		p := readBlock(r)
		if other, ok := p.(*translate.Other); ok && other.Kind == "cachePoint" && len(parts) > 0 && mark(parts[len(parts)-1], markOf(other.Raw)) {
			continue
		}
		parts = append(parts, p)
	}
	return parts
}

// mark puts a cache mark on a part; false when the part can have none or has one.
func mark(p translate.Part, m *translate.CacheMark) bool {
	var at **translate.CacheMark
	switch p := p.(type) {
	case *translate.Text:
		at = &p.Cache
	case *translate.Media:
		at = &p.Cache
	case *translate.ToolCall:
		at = &p.Cache
	case *translate.ToolResult:
		at = &p.Cache
	}
	if at == nil || *at != nil {
		return false
	}
	*at = m
	return true
}

// markOf is the mark of a block {"cachePoint": …}.
func markOf(block jsontext.Value) *translate.CacheMark {
	point := wire.Get(block, "cachePoint")
	return &translate.CacheMark{TTL: wire.Text(wire.Get(point, "ttl")), Raw: block}
}

// readBlock reads a block: an object of one member, which says what it is.
func readBlock(r *jsonx.Reader) (p translate.Part) {
	at, name, members := r.At(), "", 0
	var text string
	for r.Object(); r.Next('}'); members++ {
		if members > 0 {
			r.Skip()
			continue
		}
		switch {
		case r.Is("text"):
			text, p = r.String(), &translate.Text{}
		case r.Is("image"):
			p = readMedia(r, translate.Image)
		case r.Is("document"):
			p = readMedia(r, translate.Document)
		case r.Is("video"):
			p = readMedia(r, translate.Video)
		case r.Is("audio"):
			p = readMedia(r, translate.AudioClip)
		case r.Is("toolUse"):
			p = readCall(r)
		case r.Is("toolResult"):
			p = readResult(r)
		case r.Is("reasoningContent"):
			p = readThinking(r)
		case r.Is("json"):
			value := r.Value()
			p = &translate.Text{Extra: translate.Extra{{Name: "json", Value: value}}}
			text = string(value)
		case r.Is("citationsContent"):
			p, text = readCitations(r)
		default:
			name = strings.Clone(r.Name())
			r.Skip()
		}
	}
	if t, ok := p.(*translate.Text); ok {
		t.Text = text
	}
	if p == nil || members > 1 { // a kind that is yet to come
		return &translate.Other{Kind: name, Raw: whole(r, at)}
	}
	return p
}

// readMedia reads {"format", "source", …}.
func readMedia(r *jsonx.Reader, kind translate.MediaKind) translate.Part {
	at := r.At()
	m := &translate.Media{Kind: kind}
	odd := false
	for r.Object(); r.Next('}'); {
		switch {
		case r.Is("format"):
			format := r.String()
			m.MIME = mimeOf(kind, format)
			odd = odd || formatOf(kind, m.MIME) != format
		case r.Is("name"):
			m.Name = r.String()
		case r.Is("source"):
			odd = readSource(r, m) || odd
		default:
			m.Extra = append(m.Extra, member(r))
		}
	}
	if odd {
		m.Raw = whole(r, at)
	}
	return m
}

// readSource reads where media come from; odd says that they have to be repeated
// as they came.
func readSource(r *jsonx.Reader, m *translate.Media) (odd bool) {
	for r.Object(); r.Next('}'); {
		switch {
		case r.Is("bytes"):
			m.Data = r.String()
		case r.Is("text"):
			m.Text = r.String()
		case r.Is("s3Location"):
			place := r.Value()
			m.URL, odd = wire.Text(wire.Get(place, "uri")), true
		default:
			r.Skip()
			odd = true
		}
	}
	return odd || m.Data == "" && m.Text == ""
}

func readCall(r *jsonx.Reader) translate.Part {
	c := &translate.ToolCall{}
	for r.Object(); r.Next('}'); {
		switch {
		case r.Is("toolUseId"):
			c.ID = r.String()
		case r.Is("name"):
			c.Name = r.String()
		case r.Is("input"):
			c.Args = string(r.Value())
		default:
			c.Extra = append(c.Extra, member(r))
		}
	}
	c.Server = serverKind(c.Name, c.Extra)
	return c
}

// What Nova calls the tools that it runs itself. Its results have a type that is
// the name and an ending.
const (
	grounding   = "nova_grounding"
	interpreter = "nova_code_interpreter"
	ofResult    = "_result"
)

// serverKind says which tool of Amazon's own a call, or a result, is of; "" for the
// client's.
func serverKind(name string, extra translate.Extra) translate.ToolKind {
	kind := wire.Text(extra.Get("type"))
	tool, result := strings.CutSuffix(kind, ofResult)
	switch {
	case result:
		name = tool
	case kind != "server_tool_use":
		return ""
	}
	switch name {
	case grounding:
		return translate.WebSearch
	case interpreter:
		return translate.CodeExecution
	}
	return translate.OtherTool
}

func readResult(r *jsonx.Reader) translate.Part {
	at := r.At()
	result := &translate.ToolResult{}
	for r.Object(); r.Next('}'); {
		switch {
		case r.Is("toolUseId"):
			result.CallID = r.String()
		case r.Is("content"):
			result.Parts = readBlocks(r)
		case r.Is("status"):
			status := member(r)
			if result.Failed = wire.Text(status.Value) == "error"; !result.Failed {
				result.Extra = append(result.Extra, status)
			}
		default:
			result.Extra = append(result.Extra, member(r))
		}
	}
	if result.Server = serverKind("", result.Extra); result.Server != "" {
		result.Raw = whole(r, at)
	}
	return result
}

// readThinking reads thoughts: with a signature, which is Anthropic's or one that
// Carry made, or sealed.
func readThinking(r *jsonx.Reader) translate.Part {
	t := &translate.Thinking{Origin: translate.Messages}
	for r.Object(); r.Next('}'); {
		switch {
		case r.Is("reasoningText"):
			for r.Object(); r.Next('}'); {
				switch {
				case r.Is("text"):
					t.Text = r.String()
				case r.Is("signature"):
					t.Uncarry(translate.Messages, r.String())
				default:
					r.Skip()
				}
			}
		case r.Is("redactedContent"):
			t.Sealed, t.Origin = r.String(), translate.Converse
		default:
			r.Skip()
		}
	}
	return t
}

// readCitations reads text with where it comes from.
func readCitations(r *jsonx.Reader) (p translate.Part, text string) {
	t := &translate.Text{}
	raw := r.Value()
	content := wire.Get(raw, "content")
	var words strings.Builder
	for piece := range wire.Elements(content) {
		words.WriteString(wire.Text(wire.Get(piece, "text")))
	}
	for c := range wire.Elements(wire.Get(raw, "citations")) {
		t.Citations = append(t.Citations, *readCitation(c))
	}
	t.Extra = translate.Extra{{Name: "citationsContent", Value: raw}}
	return t, words.String()
}

// readCitation reads a citation.
func readCitation(value []byte) *translate.Citation {
	c := &translate.Citation{Title: textOf(value, "title"), Raw: jsontext.Value(strings.Clone(string(value)))}
	for source := range wire.Elements(wire.Get(value, "sourceContent")) {
		c.Quote += textOf(source, "text")
	}
	location := wire.Get(value, "location")
	if web := wire.Get(location, "web"); len(web) > 0 {
		c.URL = textOf(web, "url")
	} else if source := textOf(value, "source"); strings.Contains(source, "://") {
		c.URL = source
	}
	return c
}

// textOf is a member that is a string; "" for none.
func textOf(object []byte, name string) string {
	return wire.Text(wire.Find(object, name).Of(object))
}
