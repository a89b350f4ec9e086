package gemini

import (
	"cmp"
	"encoding/base64"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"halley/internal/jsonx"
	"halley/internal/translate"
	"halley/internal/wire"
)

// wirePart is a part before it is known what it is.
type wirePart struct {
	text      string
	hasText   bool
	thought   bool
	signature string
	media     *translate.Media
	call      *wireCall
	result    *translate.ToolResult
	rest      translate.Extra // other members, of which one may say what the part is
}

// wireCall is a functionCall. On Vertex AI its arguments may come in pieces.
type wireCall struct {
	id, name string
	args     jsontext.Value
	partial  jsontext.Value
	goesOn   bool
	rest     translate.Extra
}

// readPart reads a part of a message.
func readPart(r *jsonx.Reader) translate.Part {
	var p wirePart
	p.read(r)
	return p.neutral()
}

func (p *wirePart) read(r *jsonx.Reader) {
	if r.Kind() == '"' { // a text alone
		p.text, p.hasText = r.String(), true
		return
	}
	for r.Object(); r.Next('}'); {
		switch {
		case r.Is("text"):
			if !r.Null() {
				p.text, p.hasText = r.String(), true
			}
		case r.Is("thought"):
			p.thought = r.Bool()
		case r.Is("thoughtSignature"), r.Is("thought_signature"):
			p.signature = r.String()
		case r.Is("functionCall"), r.Is("function_call"):
			if !r.Null() {
				p.call = readCall(r)
			}
		case r.Is("functionResponse"), r.Is("function_response"):
			if !r.Null() {
				p.result = readResult(r)
			}
		case r.Is("inlineData"), r.Is("inline_data"):
			if !r.Null() {
				p.media = readInline(r)
			}
		case r.Is("fileData"), r.Is("file_data"):
			if !r.Null() {
				p.media = readFile(r)
			}
		default:
			p.rest = append(p.rest, translate.Member{Name: nameOf(r), Value: r.Value()})
		}
	}
}

// neutral is the part in neutral terms.
func (p *wirePart) neutral() translate.Part {
	switch {
	case p.call != nil:
		return p.toolCall()
	case p.result != nil:
		p.result.Extra = append(p.result.Extra, p.extra()...)
		return p.result
	case p.media != nil:
		p.media.Extra, p.media.Thought = append(p.media.Extra, p.extra()...), p.thought
		return p.media
	case p.hasText && p.thought:
		return p.thinking()
	case p.hasText:
		return &translate.Text{Text: p.text, Signature: p.signature, Extra: p.rest}
	case len(p.rest) == 0: // a signature alone
		if p.thought {
			return p.thinking()
		}
		return &translate.Text{Signature: p.signature}
	}
	return p.own()
}

// extra is what a part has that its neutral form has no place for.
func (p *wirePart) extra() translate.Extra {
	extra := p.rest
	if p.signature != "" {
		extra = append(extra, translate.Member{Name: "thoughtSignature", Value: wire.Quote(p.signature)})
	}
	if p.thought {
		extra = append(extra, translate.Member{Name: "thought", Value: jsontext.Value("true")})
	}
	return extra
}

func (p *wirePart) toolCall() *translate.ToolCall {
	call := &translate.ToolCall{ID: p.call.id, Name: p.call.name, Args: string(p.call.args), Signature: p.signature}
	for _, m := range p.call.rest {
		call.Extra = append(call.Extra, translate.Member{Name: ofCall + m.Name, Value: m.Value})
	}
	call.Extra = append(call.Extra, p.rest...)
	return call
}

// carryMark is how base64 of what translate.Carry makes begins: as far as its
// mark alone decides.
const carryMark = "aGx5L"

func (p *wirePart) thinking() *translate.Thinking {
	t := &translate.Thinking{Text: p.text, Extra: p.rest}
	signature := p.signature
	if strings.HasPrefix(signature, carryMark) {
		if text, err := base64.StdEncoding.DecodeString(standard(signature)); err == nil {
			signature = string(text)
		}
	}
	t.Uncarry(translate.Gemini, signature)
	return t
}

// own is a part of what Google runs itself, or one that nobody here knows.
func (p *wirePart) own() translate.Part {
	raw := append(p.rest[:len(p.rest):len(p.rest)], (&wirePart{signature: p.signature, thought: p.thought}).extra()...).Object()
	kind, value := p.rest[0].Name, p.rest[0].Value
	for _, m := range p.rest {
		switch m.Name {
		case "executableCode", "codeExecutionResult", "toolCall", "toolResponse":
			kind, value = m.Name, m.Value
		}
	}
	member := func(names ...string) jsontext.Value {
		for _, name := range names {
			if at := wire.Find(value, name); at.Present() {
				return at.Of(value)
			}
		}
		return nil
	}
	id := wire.Text(member("id"))
	switch kind {
	case "executableCode":
		return &translate.ToolCall{ID: id, Name: "code_execution", Args: string(value), Server: translate.CodeExecution, Extra: translate.Extra{{Name: wholePart, Value: raw}}}
	case "codeExecutionResult":
		failed := wire.Text(member("outcome")) != "OUTCOME_OK"
		return &translate.ToolResult{CallID: id, Name: "code_execution", Failed: failed, Server: translate.CodeExecution, Raw: raw}
	case "toolCall":
		name := wire.Text(member("toolType", "tool_type"))
		return &translate.ToolCall{ID: id, Name: strings.ToLower(name), Args: string(member("args")), Server: serverKind(name), Extra: translate.Extra{{Name: wholePart, Value: raw}}}
	case "toolResponse":
		name := wire.Text(member("toolType", "tool_type"))
		return &translate.ToolResult{CallID: id, Name: strings.ToLower(name), Server: serverKind(name), Raw: raw}
	}
	return &translate.Other{Kind: kind, Raw: raw}
}

// wholePart names the whole of a part in an Extra.
const wholePart = "part"

func serverKind(toolType string) translate.ToolKind {
	switch {
	case strings.HasPrefix(toolType, "GOOGLE_SEARCH"):
		return translate.WebSearch
	case toolType == "URL_CONTEXT":
		return translate.WebFetch
	}
	return translate.OtherTool
}

func readCall(r *jsonx.Reader) *wireCall {
	c := &wireCall{}
	for r.Object(); r.Next('}'); {
		switch {
		case r.Is("id"):
			c.id = r.String()
		case r.Is("name"):
			c.name = r.String()
		case r.Is("args"):
			c.args = r.Raw()
		case r.Is("partialArgs"), r.Is("partial_args"):
			c.partial = r.Raw()
		case r.Is("willContinue"), r.Is("will_continue"):
			c.goesOn = r.Bool()
		default:
			c.rest = append(c.rest, member(r))
		}
	}
	return c
}

func readResult(r *jsonx.Reader) *translate.ToolResult {
	out := &translate.ToolResult{}
	for r.Object(); r.Next('}'); {
		switch {
		case r.Is("id"):
			out.CallID = r.String()
		case r.Is("name"):
			out.Name = r.String()
		case r.Is("response"):
			out.Raw = r.Raw()
		case r.Is("parts"):
			each(r, func() { out.Parts = append(out.Parts, readPart(r)) })
		default:
			out.Extra = append(out.Extra, translate.Member{Name: ofResult + r.Name(), Value: r.Value()})
		}
	}
	text, failed := said(out.Raw)
	out.Failed = failed
	if text != "" || len(out.Parts) == 0 {
		out.Parts = append([]translate.Part{&translate.Text{Text: text}}, out.Parts...)
	}
	return out
}

// said is what a function answered, in words. Google documents output and error
// as the members that hold it; other objects are the answer as a whole.
func said(response jsontext.Value) (text string, failed bool) {
	members := 0
	for name, v := range wire.Members(response) {
		members++
		switch wire.Text(name) {
		case "output", "result":
			text, failed = words(v), false
		case "error":
			text, failed = words(v), true
		default:
			members++ // no wrapping
		}
	}
	switch {
	case members == 0:
		return "", false
	case members > 1:
		return string(response), false
	}
	return text, failed
}

func words(v jsontext.Value) string {
	if v.Kind() == '"' {
		return wire.Text(v)
	}
	return string(v)
}

func readInline(r *jsonx.Reader) *translate.Media {
	m := &translate.Media{}
	for r.Object(); r.Next('}'); {
		switch {
		case r.Is("mimeType"), r.Is("mime_type"):
			m.MIME = r.String()
		case r.Is("data"):
			m.Data = standard(r.String())
		default:
			name := nameOf(r)
			value := r.Value()
			if name == "displayName" {
				m.Name = wire.Text(value)
			}
			m.Extra = append(m.Extra, translate.Member{Name: ofInline + name, Value: value})
		}
	}
	m.Kind = kindOf(m.MIME)
	return m
}

func readFile(r *jsonx.Reader) *translate.Media {
	m := &translate.Media{}
	for r.Object(); r.Next('}'); {
		switch {
		case r.Is("mimeType"), r.Is("mime_type"):
			m.MIME = r.String()
		case r.Is("fileUri"), r.Is("file_uri"):
			m.URL = r.String()
		default:
			name := nameOf(r)
			value := r.Value()
			if name == "displayName" {
				m.Name = wire.Text(value)
			}
			m.Extra = append(m.Extra, translate.Member{Name: ofFile + name, Value: value})
		}
	}
	if isGoogleFile(m.URL) {
		m.URL, m.FileID = "", m.URL
	}
	m.Kind = kindOf(m.MIME)
	if isVideoSite(m.URL) {
		m.Kind = translate.Video
	}
	return m
}

// isGoogleFile tells addresses that only Google can read: uploaded files, and
// those of Cloud Storage.
func isGoogleFile(uri string) bool {
	return strings.HasPrefix(uri, "gs://") || strings.HasPrefix(uri, "files/") ||
		strings.HasPrefix(uri, "https://generativelanguage.googleapis.com/")
}

func isVideoSite(uri string) bool {
	for _, site := range []string{"https://www.youtube.com/", "https://youtube.com/", "https://youtu.be/"} {
		if strings.HasPrefix(uri, site) {
			return true
		}
	}
	return false
}

func kindOf(mime string) translate.MediaKind {
	family, _, _ := strings.Cut(cmp.Or(mime, "application"), "/")
	switch family {
	case "image":
		return translate.Image
	case "audio":
		return translate.AudioClip
	case "video":
		return translate.Video
	}
	return translate.Document
}
