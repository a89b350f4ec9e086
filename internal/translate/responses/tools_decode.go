package responses

import (
	"cmp"
	"fmt"

	"github.com/go-json-experiment/json/jsontext"

	"halley/internal/jsonx"
	"halley/internal/translate"
)

// tools reads tools and tool_choice.
func tools(c *translate.Conversation, r *request) error {
	for i, raw := range r.Tools {
		t, err := toolOf(raw)
		if err != nil {
			at := fmt.Sprintf("tools[%d]", i)
			return translate.Malform(at, "%s must be an object with a type.", at)
		}
		c.Tools = append(c.Tools, t)
	}
	if !translate.Given(r.ToolChoice) {
		return nil
	}
	if c.ToolChoice = choiceOf(r.ToolChoice); c.ToolChoice == nil {
		return translate.Malform("tool_choice", "tool_choice must be none, auto, required or an object that names a tool.")
	}
	return nil
}

func toolOf(raw jsontext.Value) (translate.Tool, error) {
	var f struct {
		Type        string         `json:"type"`
		Name        string         `json:"name"`
		Description string         `json:"description"`
		Parameters  jsontext.Value `json:"parameters"`
		Strict      *bool          `json:"strict"`
		Format      jsontext.Value `json:"format"`
		Tools       jsontext.Value `json:"tools"`
		Execution   string         `json:"execution"`
		Rest        jsontext.Value `json:",embed"`
	}
	if err := jsonx.Unmarshal(raw, &f); err != nil {
		return translate.Tool{}, err
	}
	switch kind := serverTool(f.Type); {
	case f.Type == "function":
		t := translate.Tool{Kind: translate.Function, Name: f.Name, Description: f.Description, Strict: f.Strict, Extra: translate.ExtraOf(f.Rest)}
		for _, m := range []translate.Member{{Name: "format", Value: f.Format}, {Name: "tools", Value: f.Tools}, {Name: "execution", Value: quoted(f.Execution)}} {
			t.Extra = with(t.Extra, m.Name, m.Value) // which mean nothing here
		}
		if translate.Given(f.Parameters) {
			t.Schema = f.Parameters
		}
		return t, nil
	case f.Type == "custom":
		return translate.Tool{Kind: translate.Custom, Name: f.Name, Description: f.Description, Grammar: grammarOf(f.Format), Raw: raw}, nil
	case f.Type == "namespace":
		inner, err := toolsOf(f.Tools)
		return translate.Tool{Kind: translate.Namespace, Name: f.Name, Description: f.Description, Tools: inner, Raw: raw}, err
	case kind == translate.ToolSearch:
		t := translate.Tool{Kind: kind, Name: string(kind), Description: f.Description, Raw: raw}
		if f.Execution == byClient && translate.Given(f.Parameters) {
			t.Schema = f.Parameters
		}
		return t, nil
	case kind == translate.WebSearch:
		return translate.Tool{Kind: kind, Name: string(translate.WebSearch), Raw: raw}, nil
	default:
		return translate.Tool{Kind: kind, Name: f.Type, Raw: raw}, nil
	}
}

// byClient is the execution of a search for tools that the client runs.
const byClient = "client"

// toolsOf reads the tools of a bundle, or of an item that offers some.
func toolsOf(v jsontext.Value) ([]translate.Tool, error) {
	raws := list(v)
	tools := make([]translate.Tool, 0, len(raws))
	for _, raw := range raws {
		t, err := toolOf(raw)
		if err != nil {
			return nil, err
		}
		tools = append(tools, t)
	}
	return tools, nil
}

// grammarOf reads the format of a custom tool; nil when it is free.
func grammarOf(format jsontext.Value) *translate.Grammar {
	if member(format, "type") != "grammar" {
		return nil
	}
	return &translate.Grammar{Syntax: member(format, "syntax"), Definition: member(format, "definition")}
}

// serverTool is what kind of tool a type that no client runs is.
func serverTool(kind string) translate.ToolKind {
	switch kind {
	case "web_search", "web_search_2025_08_26", "web_search_preview", "web_search_preview_2025_03_11":
		return translate.WebSearch
	case "code_interpreter":
		return translate.CodeExecution
	case "mcp":
		return translate.MCP
	case "tool_search":
		return translate.ToolSearch
	}
	return translate.OtherTool
}

// choiceOf reads tool_choice; nil when it is none of the kinds.
func choiceOf(v jsontext.Value) *translate.ToolChoice {
	switch text(v) {
	case "none":
		return &translate.ToolChoice{Mode: translate.ChooseNone}
	case "auto":
		return &translate.ToolChoice{Mode: translate.ChooseAuto}
	case "required":
		return &translate.ToolChoice{Mode: translate.ChooseAny}
	}
	type named struct {
		Type      string `json:"type"`
		Name      string `json:"name"`
		Namespace string `json:"namespace"`
		Server    string `json:"server_label"`
	}
	var o struct {
		named
		Mode  string  `json:"mode"`
		Tools []named `json:"tools"`
	}
	if v.Kind() != '{' || jsonx.Unmarshal(v, &o) != nil || o.Type == "" {
		return nil
	}
	nameOf := func(n named) string {
		if kind := serverTool(n.Type); kind == translate.WebSearch {
			return string(kind)
		}
		return cmp.Or(n.Name, n.Server, n.Type)
	}
	if o.Type != "allowed_tools" {
		return &translate.ToolChoice{Mode: translate.ChooseNamed, Name: nameOf(o.named), Namespace: o.Namespace, Raw: v}
	}
	choice := &translate.ToolChoice{Mode: translate.ChooseAuto, Raw: v}
	if o.Mode == "required" {
		choice.Mode = translate.ChooseAny
	}
	for _, t := range o.Tools {
		choice.Allowed = append(choice.Allowed, nameOf(t))
	}
	return choice
}
