package messages

import (
	"errors"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"halley/internal/jsonx"
	"halley/internal/translate"
	"halley/internal/wire"
)

// The content blocks, each with what has no name here. Requests and answers
// share them.
type (
	textBlock struct {
		Type      string         `json:"type"`
		Text      string         `json:"text"`
		Citations jsontext.Value `json:"citations"`
		Cache     jsontext.Value `json:"cache_control"`
		Extra     jsontext.Value `json:",embed"`
	}
	mediaBlock struct { // image, document
		Type   string         `json:"type"`
		Source jsontext.Value `json:"source"`
		Title  string         `json:"title"`
		Cache  jsontext.Value `json:"cache_control"`
		Extra  jsontext.Value `json:",embed"`
	}
	searchResultBlock struct {
		Title   string           `json:"title"`
		Source  string           `json:"source"`
		Content []jsontext.Value `json:"content"`
		Cache   jsontext.Value   `json:"cache_control"`
	}
	thinkingBlock struct { // thinking, redacted_thinking
		Type      string         `json:"type"`
		Thinking  string         `json:"thinking"`
		Signature string         `json:"signature"`
		Data      string         `json:"data"`
		Extra     jsontext.Value `json:",embed"`
	}
	callBlock struct { // tool_use, server_tool_use, mcp_tool_use
		Type  string         `json:"type"`
		ID    string         `json:"id"`
		Name  string         `json:"name"`
		Input jsontext.Value `json:"input"`
		Cache jsontext.Value `json:"cache_control"`
		Extra jsontext.Value `json:",embed"`
	}
	resultBlock struct { // tool_result, and *_tool_result of what the provider runs
		Type    string         `json:"type"`
		CallID  string         `json:"tool_use_id"`
		Content jsontext.Value `json:"content"`
		Failed  bool           `json:"is_error"`
		Cache   jsontext.Value `json:"cache_control"`
		Extra   jsontext.Value `json:",embed"`
	}
	// source is where an image or a document is: a base64, text, url, file or
	// content source.
	source struct {
		Type      string         `json:"type"`
		MediaType string         `json:"media_type"`
		Data      string         `json:"data"`
		URL       string         `json:"url"`
		FileID    string         `json:"file_id"`
		Extra     jsontext.Value `json:",embed"`
	}
)

// decodeContent reads a string or a list of blocks; field is its path. Errors
// are *Malformed.
func decodeContent(field string, content jsontext.Value) ([]translate.Part, error) {
	switch content.Kind() {
	case '"':
		return []translate.Part{&translate.Text{Text: wire.Text(content)}}, nil
	case '[':
		var blocks []jsontext.Value
		if err := decode(field, content, &blocks); err != nil {
			return nil, err
		}
		parts := make([]translate.Part, 0, len(blocks))
		for i, b := range blocks {
			part, err := decodeBlock(field+"."+strconv.Itoa(i), b)
			if err != nil {
				return nil, err
			}
			parts = append(parts, part)
		}
		return parts, nil
	case 0, 'n':
		return nil, nil
	}
	return nil, translate.Malform(field, "%s: must be a string or a list of content blocks.", field)
}

// decodeBlock reads one content block. It keeps b.
func decodeBlock(field string, b jsontext.Value) (translate.Part, error) {
	kind := wire.Text(wire.Find(b, "type").Of(b))
	switch kind {
	case "":
		return nil, translate.Malform(field+".type", "%s.type: is required.", field)
	case "text":
		return decodeText(field, b)
	case "image", "document":
		return decodeMedia(field, b)
	case "search_result":
		return decodeSearchResult(field, b)
	case "thinking", "redacted_thinking":
		return decodeThinking(field, b)
	case "tool_use", "server_tool_use", "mcp_tool_use":
		return decodeCall(field, b)
	case "tool_result":
		return decodeResult(field, b)
	}
	if strings.HasSuffix(kind, "_tool_result") {
		return decodeServerResult(field, b)
	}
	return &translate.Other{Kind: kind, Raw: b}, nil
}

func decodeText(field string, b jsontext.Value) (translate.Part, error) {
	var text textBlock
	if err := decode(field, b, &text); err != nil {
		return nil, err
	}
	t := &translate.Text{Text: text.Text, Cache: cacheMark(text.Cache), Extra: extra(text.Extra)}
	if text.Citations.Kind() == '[' {
		var citations []jsontext.Value
		if err := decode(field+".citations", text.Citations, &citations); err != nil {
			return nil, err
		}
		for _, raw := range citations {
			if c := decodeCitation(raw); !made(c) {
				t.Citations = append(t.Citations, *c)
			}
		}
	}
	return t, nil
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

func decodeMedia(field string, b jsontext.Value) (translate.Part, error) {
	var block mediaBlock
	if err := decode(field, b, &block); err != nil {
		return nil, err
	}
	m := &translate.Media{Kind: translate.Image, Name: block.Title, Cache: cacheMark(block.Cache), Extra: extra(block.Extra)}
	if block.Type == "document" {
		m.Kind = translate.Document
	}
	var s source
	if err := decode(field+".source", block.Source, &s); err != nil {
		return nil, err
	}
	m.MIME = s.MediaType
	switch s.Type {
	case "base64":
		m.Data = s.Data
	case "text":
		m.Text = s.Data
	case "url":
		m.URL = s.URL
	case "file":
		m.FileID = s.FileID
	case "content":
		m.MIME, m.Raw = "text/plain", b
		content := wire.Find(block.Source, "content").Of(block.Source)
		parts, err := decodeContent(field+".source.content", content)
		if err != nil {
			return nil, err
		}
		var whole bool
		if m.Text, whole = joinText(parts); !whole {
			return &translate.Other{Kind: block.Type, Raw: b}, nil
		}
		return m, nil
	default:
		return &translate.Other{Kind: block.Type, Raw: b}, nil
	}
	if len(s.Extra) > 2 {
		m.Raw = b
	}
	return m, nil
}

// decodeSearchResult takes what the client found for a document with a title.
func decodeSearchResult(field string, b jsontext.Value) (translate.Part, error) {
	var block searchResultBlock
	if err := decode(field, b, &block); err != nil {
		return nil, err
	}
	var text strings.Builder
	text.WriteString(block.Source)
	for _, c := range block.Content {
		text.WriteString("\n\n")
		text.WriteString(wire.Text(wire.Find(c, "text").Of(c)))
	}
	return &translate.Media{
		Kind: translate.Document, MIME: "text/plain", Text: text.String(), Name: block.Title,
		Cache: cacheMark(block.Cache), Raw: b,
	}, nil
}

func decodeThinking(field string, b jsontext.Value) (translate.Part, error) {
	var block thinkingBlock
	if err := decode(field, b, &block); err != nil {
		return nil, err
	}
	t := &translate.Thinking{Text: block.Thinking, Sealed: block.Data, Origin: translate.Messages, Extra: extra(block.Extra)}
	if block.Type == "thinking" {
		t.Uncarry(translate.Messages, block.Signature)
	}
	return t, nil
}

func decodeCall(field string, b jsontext.Value) (translate.Part, error) {
	var block callBlock
	if err := decode(field, b, &block); err != nil {
		return nil, err
	}
	c := &translate.ToolCall{ID: block.ID, Name: block.Name, Args: string(block.Input), Cache: cacheMark(block.Cache), Extra: extra(block.Extra)}
	switch block.Type {
	case "server_tool_use":
		c.Server = serverKind(block.Name)
	case "mcp_tool_use":
		c.Server = translate.MCP
		c.Extra = append(c.Extra, translate.Member{Name: "type", Value: jsontext.Value(`"mcp_tool_use"`)})
	}
	return c, nil
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

func decodeResult(field string, b jsontext.Value) (translate.Part, error) {
	var block resultBlock
	if err := decode(field, b, &block); err != nil {
		return nil, err
	}
	parts, err := decodeContent(field+".content", block.Content)
	if err != nil {
		return nil, err
	}
	return &translate.ToolResult{
		CallID: block.CallID, Parts: parts, Failed: block.Failed,
		Cache: cacheMark(block.Cache), Extra: extra(block.Extra),
	}, nil
}

// decodeServerResult reads what a tool said that the provider ran: mostly shapes
// of that tool's own.
func decodeServerResult(field string, b jsontext.Value) (translate.Part, error) {
	var block resultBlock
	if err := decode(field, b, &block); err != nil {
		return nil, err
	}
	return &translate.ToolResult{CallID: block.CallID, Failed: block.Failed, Server: serverKind(block.Type), Cache: cacheMark(block.Cache), Raw: b}, nil
}

// cacheMark reads a cache_control; nil when there is none.
func cacheMark(v jsontext.Value) *translate.CacheMark {
	if v.Kind() != '{' {
		return nil
	}
	return &translate.CacheMark{TTL: wire.Text(wire.Find(v, "ttl").Of(v)), Raw: v}
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

// decode reads a value that stands at a path; an error is a *Malformed in
// Anthropic's way of naming members, messages.0.content.
func decode(field string, value jsontext.Value, to any) error {
	err := jsonx.Decode(value, to)
	if err == nil {
		return nil
	}
	bad, ok := errors.AsType[*jsonx.DecodeError](err)
	if !ok {
		return translate.Malform(field, "%s: is malformed.", field)
	}
	switch {
	case field == "":
		field = bad.Field
	case bad.Field != "":
		field += "." + bad.Field
	}
	if field == "" {
		return translate.Malform("", "%s.", capital(bad.Reason))
	}
	return translate.Malform(field, "%s: %s.", field, bad.Reason)
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
