package messages

import (
	"bytes"
	"errors"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"halley/internal/jsonx"
	"halley/internal/translate"
	"halley/internal/wire"
)

// readContent reads a string or a list of blocks.
func readContent(r *jsonx.Reader) []translate.Part {
	switch r.Kind() {
	case '"':
		return []translate.Part{&translate.Text{Text: r.String()}}
	case '[':
		var parts []translate.Part
		for r.Array(); r.Next(']'); {
			parts = append(parts, readBlock(r))
		}
		return parts
	case 'n':
		r.Skip()
		return nil
	}
	r.Fault(r.At(), "must be a string or a list of content blocks")
	return nil
}

// readBlock reads one content block. Requests and answers share them.
func readBlock(r *jsonx.Reader) translate.Part {
	kind := r.Peek("type")
	switch string(kind) {
	case "":
		if r.Kind() == '{' {
			r.Fault(r.At(), "must have a type")
		}
		r.Object()
		return nil
	case "text":
		return readText(r)
	case "image":
		return readMedia(r, translate.Image, "image")
	case "document":
		return readMedia(r, translate.Document, "document")
	case "search_result":
		return readSearchResult(r)
	case "thinking", "redacted_thinking":
		return readThinking(r)
	case "tool_use", "server_tool_use", "mcp_tool_use":
		return readCall(r, string(kind))
	case "tool_result":
		return readResult(r)
	}
	if bytes.HasSuffix(kind, []byte("_tool_result")) {
		return readServerResult(r, string(kind))
	}
	return &translate.Other{Kind: string(kind), Raw: r.Value()}
}

// member is the member that comes, for an Extra.
func member(r *jsonx.Reader) translate.Member {
	return translate.Member{Name: r.Name(), Value: r.Value()}
}

func readText(r *jsonx.Reader) translate.Part {
	t := &translate.Text{}
	for r.Object(); r.Next('}'); {
		switch {
		case r.Is("type"):
			r.Skip()
		case r.Is("text"):
			t.Text = r.String()
		case r.Is("citations"):
			t.Citations = readCitations(r)
		case r.Is("cache_control"):
			t.Cache = cacheMark(r.Raw())
		default:
			t.Extra = append(t.Extra, member(r))
		}
	}
	return t
}

func readCitations(r *jsonx.Reader) (list []translate.Citation) {
	if r.Null() {
		return nil
	}
	for r.Array(); r.Next(']'); {
		if c := decodeCitation(r.Value()); !made(c) {
			list = append(list, *c)
		}
	}
	return list
}

// decodeCitation reads a citation, whose shape depends on what is cited.
func decodeCitation(raw jsontext.Value) *translate.Citation {
	c := &translate.Citation{Raw: raw}
	for name, v := range wire.Members(raw) {
		switch wire.Text(name) {
		case "url":
			c.URL = wire.Text(v)
		case "source":
			if s := wire.Text(v); strings.HasPrefix(s, "https://") || strings.HasPrefix(s, "http://") {
				c.URL = s
			}
		case "title", "document_title":
			c.Title = wire.Text(v)
		case "cited_text":
			c.Quote = wire.Text(v)
		}
	}
	return c
}

// made tells a citation that writeCitation made of a foreign one, which no
// upstream would know, by its empty encrypted_index.
func made(c *translate.Citation) bool {
	index := wire.Find(c.Raw, "encrypted_index")
	return index.Present() && string(index.Of(c.Raw)) == `""`
}

// readMedia reads an image or a document, whose source is of one of five kinds.
func readMedia(r *jsonx.Reader, kind translate.MediaKind, word string) translate.Part {
	m := &translate.Media{Kind: kind}
	from, given := r.At(), false
	known, keep := false, false
	for r.Object(); r.Next('}'); {
		switch {
		case r.Is("type"):
			r.Skip()
		case r.Is("source"):
			given = true
			known, keep = readSource(r, m)
		case r.Is("title"):
			m.Name = r.String()
		case r.Is("cache_control"):
			m.Cache = cacheMark(r.Raw())
		default:
			m.Extra = append(m.Extra, member(r))
		}
	}
	if !given {
		r.Fault(from, "must have a source")
	}
	raw := r.Since(from)
	if !known {
		return &translate.Other{Kind: word, Raw: bytes.Clone(raw)}
	}
	if keep {
		m.Raw = bytes.Clone(raw)
	}
	return m
}

// readSource reads where an image or a document is. It is known when m can say
// it; keep says that the block says more than m.
func readSource(r *jsonx.Reader, m *translate.Media) (known, keep bool) {
	var data, url, file string
	var content []translate.Part
	kind := string(r.Peek("type"))
	for r.Object(); r.Next('}'); {
		switch {
		case r.Is("type"):
			r.Skip()
		case r.Is("media_type"):
			m.MIME = r.String()
		case r.Is("data"):
			data = r.String()
		case r.Is("url"):
			url = r.String()
		case r.Is("file_id"):
			file = r.String()
		case r.Is("content"):
			content = readContent(r)
		default:
			keep = true
			r.Skip()
		}
	}
	switch kind {
	case "base64":
		m.Data = data
	case "text":
		m.Text = data
	case "url":
		m.URL = url
	case "file":
		m.FileID = file
	case "content":
		m.MIME = "text/plain"
		m.Text, known = joinText(content)
		return known, true
	default:
		return false, true
	}
	return true, keep
}

// readSearchResult takes what the client found for a document with a title.
func readSearchResult(r *jsonx.Reader) translate.Part {
	m := &translate.Media{Kind: translate.Document, MIME: "text/plain"}
	from, where, found := r.At(), "", ""
	for r.Object(); r.Next('}'); {
		switch {
		case r.Is("source"):
			where = r.String()
		case r.Is("title"):
			m.Name = r.String()
		case r.Is("content"):
			found, _ = joinText(readContent(r))
		case r.Is("cache_control"):
			m.Cache = cacheMark(r.Raw())
		default:
			r.Skip()
		}
	}
	m.Text, m.Raw = where+"\n\n"+found, bytes.Clone(r.Since(from))
	return m
}

func readThinking(r *jsonx.Reader) translate.Part {
	t := &translate.Thinking{Origin: translate.Messages}
	signature := ""
	for r.Object(); r.Next('}'); {
		switch {
		case r.Is("type"):
			r.Skip()
		case r.Is("thinking"):
			t.Text = r.String()
		case r.Is("signature"):
			signature = r.String()
		case r.Is("data"):
			t.Sealed = r.String()
		default:
			t.Extra = append(t.Extra, member(r))
		}
	}
	if signature != "" {
		t.Uncarry(translate.Messages, signature)
	}
	return t
}

func readCall(r *jsonx.Reader, kind string) translate.Part {
	c := &translate.ToolCall{}
	for r.Object(); r.Next('}'); {
		switch {
		case r.Is("type"):
			r.Skip()
		case r.Is("id"):
			c.ID = r.String()
		case r.Is("name"):
			c.Name = r.String()
		case r.Is("input"):
			from := r.At()
			r.Skip()
			c.Args = string(r.Since(from))
		case r.Is("cache_control"):
			c.Cache = cacheMark(r.Raw())
		default:
			c.Extra = append(c.Extra, member(r))
		}
	}
	switch kind {
	case "server_tool_use":
		c.Server = serverKind(c.Name)
	case "mcp_tool_use":
		c.Server = translate.MCP
		c.Extra = append(c.Extra, translate.Member{Name: "type", Value: jsontext.Value(`"mcp_tool_use"`)})
	}
	return c
}

// serverKind is what the provider runs under a name of a tool or the beginning
// of a result's type.
func serverKind(name string) translate.ToolKind {
	switch {
	case strings.HasPrefix(name, "web_search"):
		return translate.WebSearch
	case strings.HasPrefix(name, "web_fetch"):
		return translate.WebFetch
	case strings.HasPrefix(name, "code_execution"), strings.HasPrefix(name, "bash_code_execution"), strings.HasPrefix(name, "text_editor_code_execution"):
		return translate.CodeExecution
	case strings.HasPrefix(name, "mcp_"):
		return translate.MCP
	}
	return translate.OtherTool
}

func readResult(r *jsonx.Reader) translate.Part {
	t := &translate.ToolResult{}
	for r.Object(); r.Next('}'); {
		switch {
		case r.Is("type"):
			r.Skip()
		case r.Is("tool_use_id"):
			t.CallID = r.String()
		case r.Is("content"):
			t.Parts = readContent(r)
		case r.Is("is_error"):
			t.Failed = r.Bool()
		case r.Is("cache_control"):
			t.Cache = cacheMark(r.Raw())
		default:
			t.Extra = append(t.Extra, member(r))
		}
	}
	return t
}

// readServerResult reads what a tool said that the provider ran: mostly shapes of
// that tool's own.
func readServerResult(r *jsonx.Reader, kind string) translate.Part {
	t := &translate.ToolResult{Server: serverKind(kind)}
	from := r.At()
	for r.Object(); r.Next('}'); {
		switch {
		case r.Is("tool_use_id"):
			t.CallID = r.String()
		case r.Is("is_error"):
			t.Failed = r.Bool()
		case r.Is("cache_control"):
			t.Cache = cacheMark(r.Raw())
		default:
			r.Skip()
		}
	}
	t.Raw = bytes.Clone(r.Since(from))
	return t
}

// cacheMark is a cache_control; nil when there is none.
func cacheMark(v jsontext.Value) *translate.CacheMark {
	if v.Kind() != '{' {
		return nil
	}
	return &translate.CacheMark{TTL: memberOf(v, "ttl"), Raw: v}
}

// joinText is the text of the parts, a line each; whole is false when there is
// something else among them.
func joinText(parts []translate.Part) (joined string, whole bool) {
	lines := make([]string, 0, len(parts))
	whole = true
	for _, p := range parts {
		switch p := p.(type) {
		case *translate.Text:
			lines = append(lines, p.Text)
		case *translate.Refusal:
			lines = append(lines, p.Text)
		default:
			whole = false
		}
	}
	return strings.Join(lines, "\n"), whole
}

// malformed is a reader's fault as a *Malformed, with Anthropic's way of naming
// members, messages.0.content.
func malformed(err error) error {
	bad, ok := errors.AsType[*jsonx.DecodeError](err)
	switch {
	case err == nil:
		return nil
	case !ok || bad.Field == "":
		why := err.Error()
		return translate.Malform("", "%s%s.", strings.ToUpper(why[:1]), why[1:])
	}
	return translate.Malform(bad.Field, "%s: %s.", bad.Field, bad.Reason)
}
