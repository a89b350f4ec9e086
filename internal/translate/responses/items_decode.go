package responses

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"halley/internal/jsonx"
	"halley/internal/translate"
	"halley/internal/wire"
)

// messagesOf reads a list of items, of an input or an output, as the messages that
// they are. An error is a *translate.Malformed.
func messagesOf(items jsontext.Value) ([]translate.Message, error) {
	raws := list(items)
	messages := make([]translate.Message, 0, len(raws))
	for i, raw := range raws {
		m, err := messageOf("input["+fmt.Sprint(i)+"]", raw)
		if err != nil {
			return nil, err
		}
		messages = append(messages, m)
	}
	return pickUp(messages), nil
}

func isInstructions(m *translate.Message) bool { return m.Extra.Get(instructionsMark) != nil }

// pickUp gives tool calls back the signatures that carriers brought, which are
// left out: see carrier.
func pickUp(messages []translate.Message) []translate.Message {
	var calls map[string]*translate.ToolCall
	carried := func(m *translate.Message) *translate.Thinking {
		if len(m.Parts) != 1 {
			return nil
		}
		t, ok := m.Parts[0].(*translate.Thinking)
		if !ok || t.Origin == translate.Responses || t.ID == "" || t.Text != "" || t.Signature == "" {
			return nil
		}
		return t
	}
	return slices.DeleteFunc(messages, func(m translate.Message) bool {
		t := carried(&m)
		if t == nil {
			return false
		}
		if calls == nil {
			calls = map[string]*translate.ToolCall{}
			for i := range messages {
				for _, p := range messages[i].Parts {
					if call, ok := p.(*translate.ToolCall); ok {
						calls[call.ID] = call
					}
				}
			}
		}
		call := calls[t.ID]
		if call != nil {
			call.Signature = t.Signature
		}
		return call != nil
	})
}

// messageOf reads an item; at is its path.
func messageOf(at string, raw jsontext.Value) (m translate.Message, err error) {
	it, err := readItem(at, raw)
	if err != nil {
		return m, err
	}
	if it.Type == messageItem || it.Type == "" {
		return it.message(at)
	}
	p, err := it.part(at, raw)
	m = translate.Message{Role: translate.Assistant, Parts: []translate.Part{p}, Extra: translate.Extra{{Name: rawItem, Value: jsontext.Value("true")}}}
	switch p := p.(type) {
	case *translate.ToolResult:
		m.Role = translate.User
	case *translate.Other:
		if p.Kind != reference && it.Role != "assistant" {
			m.Role = translate.User
		}
	}
	return m, err
}

// message reads an item that is a message.
func (it *item) message(at string) (m translate.Message, err error) {
	m = translate.Message{ID: it.ID, Extra: it.Rest}
	switch it.Role {
	case "system":
		m.Role = translate.System
	case "developer":
		m.Role = translate.Developer
	case "user":
		m.Role = translate.User
	case "assistant":
		m.Role = translate.Assistant
	case "":
		return m, translate.Malform(at+".role", "%s.role is required.", at)
	default:
		return m, translate.Malform(at+".role", "%s.role must be system, developer, user or assistant, not %q.", at, it.Role)
	}
	m.Parts, err = contents(at+".content", it.Content)
	return m, err
}

// part reads an item that is no message.
func (it *item) part(at string, raw jsontext.Value) (translate.Part, error) {
	rest := it.Rest
	switch it.Type {
	case reasoningItem:
		return it.thinking(rest), nil
	case functionCall:
		args := text(it.Arguments)
		if translate.Given(it.Arguments) && it.Arguments[0] != '"' {
			args = string(it.Arguments) // some servers write the object itself
		}
		namespace, rest := takeText(rest, "namespace")
		return &translate.ToolCall{ID: it.CallID, ItemID: it.ID, Name: text(it.Name), Namespace: namespace, Args: args, Extra: rest}, nil
	case customCall:
		namespace, rest := takeText(rest, "namespace")
		return &translate.ToolCall{ID: it.CallID, ItemID: it.ID, Name: text(it.Name), Namespace: namespace, Args: text(it.Input), Custom: true, Extra: rest}, nil
	case toolSearchCall, toolSearchFound:
		return it.search(at, raw)
	case moreTools:
		tools, err := toolsOf(find(raw, "tools"))
		if err != nil {
			return nil, translate.Malform(at+".tools", "%s.tools must be a list of tools.", at)
		}
		return &translate.Other{Kind: it.Type, Raw: raw, Tools: tools}, nil
	case functionOutput, customOutput:
		parts, err := contents(at+".output", it.Output)
		return &translate.ToolResult{CallID: it.CallID, ItemID: it.ID, Parts: parts, Custom: it.Type == customOutput, Extra: rest}, err
	case imageCall:
		if data := text(find(raw, "result")); data != "" {
			return &translate.Media{Kind: translate.Image, MIME: "image/" + cmp.Or(member(raw, "output_format"), "png"), Data: data, Raw: raw}, nil
		}
	}
	if kind, name := providerRuns(it.Type); kind != "" {
		return &translate.ToolCall{
			ID: it.ID, ItemID: it.ID, Name: name, Args: argsOfServer(it.Type, raw), Server: kind,
			Extra: translate.Extra{{Name: rawItem, Value: raw}},
		}, nil
	}
	return &translate.Other{Kind: it.Type, Raw: raw}, nil
}

// search reads a search for tools, or what was found: by the client, which is
// called like any of its tools, or by the provider.
func (it *item) search(at string, raw jsontext.Value) (translate.Part, error) {
	whole := translate.Extra{{Name: rawItem, Value: raw}}
	name := string(translate.ToolSearch)
	switch {
	case member(raw, "execution") != byClient:
		return &translate.ToolCall{ID: it.ID, ItemID: it.ID, Name: name, Args: "{}", Server: translate.ToolSearch, Extra: whole}, nil
	case it.Type == toolSearchCall:
		args := string(it.Arguments)
		if translate.Given(it.Arguments) && it.Arguments[0] == '"' {
			args = text(it.Arguments)
		}
		return &translate.ToolCall{ID: it.CallID, ItemID: it.ID, Name: name, Args: args, Search: true, Extra: whole}, nil
	}
	tools, err := toolsOf(find(raw, "tools"))
	if err != nil {
		return nil, translate.Malform(at+".tools", "%s.tools must be a list of tools.", at)
	}
	return &translate.ToolResult{CallID: it.CallID, ItemID: it.ID, Search: true, Tools: tools, Extra: whole}, nil
}

// takeText takes a member that is a string out of others.
func takeText(e translate.Extra, name string) (said string, rest translate.Extra) {
	i := slices.IndexFunc(e, func(m translate.Member) bool { return m.Name == name && m.Value.Kind() == '"' })
	if i < 0 {
		return "", e
	}
	return text(e[i].Value), slices.Delete(slices.Clone(e), i, i+1)
}

// providerRuns is what tool an item is a call of that the provider has run
// itself, and its name; "" when it is of another kind.
func providerRuns(kind string) (tool translate.ToolKind, name string) {
	switch kind {
	case webSearchCall:
		return translate.WebSearch, "web_search"
	case interpreterCall:
		return translate.CodeExecution, "code_interpreter"
	case mcpCall:
		return translate.MCP, "mcp"
	case fileSearchCall:
		return translate.OtherTool, "file_search"
	case xSearchCall:
		return translate.OtherTool, "x_search"
	}
	return "", ""
}

// argsOfServer is what such a tool was called with, as an object.
func argsOfServer(kind string, raw jsontext.Value) string {
	var w jsonx.Writer
	w.Open('{')
	switch kind {
	case webSearchCall:
		action := find(raw, "action")
		for _, name := range []string{"query", "url", "pattern"} {
			w.TextIf(name, member(action, name))
		}
	case interpreterCall:
		w.TextIf("code", member(raw, "code"))
	default:
		if args := member(raw, "arguments"); jsontext.Value(args).Kind() == '{' && jsontext.Value(args).IsValid() {
			return args
		}
	}
	w.Close('}')
	return string(w.Out)
}

// thinking reads thoughts: a summary of them, or where a server shows them, what
// they are. Those of another provider came through a client of this dialect.
func (it *item) thinking(rest translate.Extra) *translate.Thinking {
	t := &translate.Thinking{ID: it.ID}
	for _, p := range list(it.Summary) {
		t.Summary = append(t.Summary, member(p, "text"))
	}
	t.Text = joinThoughts(t.Summary)
	if len(t.Summary) == 0 {
		var said []string
		for _, p := range list(it.Content) {
			said = append(said, member(p, "text"))
		}
		t.Text = joinThoughts(said)
	}
	t.Uncarry(translate.Responses, it.Encrypted)
	if t.Origin == translate.Responses {
		t.Extra = with(rest, "content", it.Content)
	}
	return t
}

// contents reads the content of a message or the output of a tool.
func contents(at string, v jsontext.Value) ([]translate.Part, error) {
	switch {
	case !translate.Given(v):
		return nil, nil
	case v[0] == '"':
		return []translate.Part{&translate.Text{Text: text(v)}}, nil
	case v[0] != '[':
		return nil, translate.Malform(at, "%s must be a string or a list of content parts.", at)
	}
	raws := list(v)
	parts := make([]translate.Part, 0, len(raws))
	for i, raw := range raws {
		p, err := partOf(fmt.Sprintf("%s[%d]", at, i), raw)
		if err != nil {
			return nil, err
		}
		parts = append(parts, p)
	}
	return parts, nil
}

// partOf reads a content part.
func partOf(at string, raw jsontext.Value) (translate.Part, error) {
	p, err := readPart(at, raw)
	if err != nil {
		return nil, err
	}
	extra := p.Rest
	switch p.Type {
	case "input_text", "output_text", "text", "summary_text":
		extra = with(extra, "logprobs", p.Logprobs)
		return &translate.Text{Text: p.Text, Citations: citations(p.Annotations), Extra: extra}, nil
	case "refusal":
		return &translate.Refusal{Text: p.Refusal, Extra: extra}, nil
	case "input_image", "image_url":
		url := text(p.ImageURL)
		if translate.Given(p.ImageURL) && p.ImageURL[0] == '{' {
			url = member(p.ImageURL, "url")
		}
		if url == "" && p.FileID == "" {
			return nil, translate.Malform(at+".image_url", "%s.image_url or file_id is required.", at)
		}
		m := &translate.Media{Kind: translate.Image, URL: url, FileID: p.FileID, Detail: p.Detail, Extra: extra}
		if !m.Inline() {
			return nil, translate.Malform(at+".image_url", "%s.image_url is a data: URL without data.", at)
		}
		return m, nil
	case "input_file":
		return p.file(at, raw, with(extra, "detail", quoted(p.Detail)))
	case "":
		return nil, translate.Malform(at+".type", "%s.type is required.", at)
	}
	return &translate.Other{Kind: p.Type, Raw: raw}, nil
}

// file reads an input_file, whose data may be bare base64.
func (p *part) file(at string, raw jsontext.Value, extra translate.Extra) (translate.Part, error) {
	m := &translate.Media{Kind: translate.Document, URL: p.FileURL, FileID: p.FileID, Name: p.Filename, Extra: extra}
	switch {
	case strings.HasPrefix(p.FileData, "data:"):
		if m.URL = p.FileData; !m.Inline() {
			return nil, translate.Malform(at+".file_data", "%s.file_data is a data: URL without data.", at)
		}
	case p.FileData != "":
		m.Data, m.Raw = p.FileData, raw
	case m.URL == "" && m.FileID == "":
		return nil, translate.Malform(at+".file_data", "%s.file_data, file_url or file_id is required.", at)
	}
	return m, nil
}

func quoted(s string) jsontext.Value {
	if s == "" {
		return nil
	}
	return wire.Quote(s)
}

// citations reads annotations.
func citations(v jsontext.Value) (cited []translate.Citation) {
	for _, raw := range list(v) {
		cited = append(cited, citation(raw))
	}
	return cited
}

func citation(raw jsontext.Value) translate.Citation {
	c := translate.Citation{Raw: raw}
	var a annotation
	if jsonx.Unmarshal(raw, &a) == nil && a.Type == "url_citation" {
		c.Start, c.End, c.URL, c.Title = a.Start, a.End, a.URL, a.Title
	}
	return c
}
