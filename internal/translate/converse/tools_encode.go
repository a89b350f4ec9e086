package converse

import (
	"crypto/sha256"
	"encoding/base64"
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"halley/internal/translate"
	"halley/internal/translate/messages"
)

// writeToolConfig writes tools and which of them must be called. A history in
// which tools were called needs a list of tools, which must not be empty: where
// the request has none, or wants none to be called, it gets one that is of no use.
func (e *encoder) writeToolConfig() error {
	w, rest := &e.w, e.restOf("toolConfig")
	tools := e.offered()
	switch {
	case len(tools) > 0 || e.fit.Tool != "":
	case e.same:
		if rest == nil && e.c.ToolChoice == nil {
			return nil
		}
	case !e.callsTools():
		return nil
	}
	w.Name("toolConfig")
	w.Open('{')
	if len(tools) > 0 || e.fit.Tool != "" || !e.same {
		w.Name("tools")
		w.Open('[')
		for _, t := range tools {
			if err := e.writeTool(t); err != nil {
				return err
			}
		}
		switch {
		case e.fit.Tool != "":
			e.writeSpec(&translate.Tool{Name: e.fit.Tool, Description: e.fit.About, Schema: e.fit.ToolSchema})
		case len(tools) == 0:
			e.writeSpec(&translate.Tool{Name: "hly_no_tool", Description: "This tool does nothing and must not be called."})
		}
		w.Close(']')
	}
	e.writeToolChoice(len(tools))
	writeExtra(w, rest)
	w.Close('}')
	return nil
}

// offered are the tools that the model may call: this dialect can only narrow the
// choice, and say that none shall be called, by leaving tools out.
func (e *encoder) offered() (tools []*translate.Tool) {
	choice := e.c.ToolChoice
	for i := range e.c.Tools {
		t := &e.c.Tools[i]
		if !e.same && choice != nil && (choice.Mode == translate.ChooseNone || len(choice.Allowed) > 0 && !slices.Contains(choice.Allowed, t.Name)) {
			continue
		}
		tools = append(tools, t)
	}
	return tools
}

// callsTools says whether tools were called in the conversation.
func (e *encoder) callsTools() bool {
	for i := range e.c.Messages {
		for _, p := range e.c.Messages[i].Parts {
			switch p := p.(type) {
			case *translate.ToolCall:
				if p.Server == "" {
					return true
				}
			case *translate.ToolResult:
				if p.Server == "" {
					return true
				}
			}
		}
	}
	return false
}

func (e *encoder) writeTool(t *translate.Tool) error {
	switch {
	case t.Kind == translate.Function:
		e.writeSpec(t)
	case e.same:
		e.w.Value(t.Raw)
	case t.Kind == translate.Custom: // others are functions by now, see Conversation.Fit
		return e.c.Refuse(translate.FeatureCustomTool, "The tool %q takes free text, which tools on Amazon Bedrock do not.", t.Name)
	default:
		if why := e.model.lacks(t); why != "" {
			return e.c.Refuse(translate.FeatureServerTool, "%s", why)
		}
		b := t.Web()
		for _, wish := range []struct {
			name  string
			given bool
		}{{"max_uses", b.MaxUses > 0}, {"user_location", b.Place != nil}, {"search_context_size", b.Size != ""}} {
			if wish.given {
				e.c.DropWish(wish.name)
			}
		}
		e.w.Value(jsontext.Value(`{"systemTool":{"name":"` + grounding + `"}}`))
	}
	e.writeMark(t.Cache, e.model.cachesTools())
	return nil
}

func (e *encoder) writeSpec(t *translate.Tool) {
	w := &e.w
	w.Open('{')
	w.Name("toolSpec")
	w.Open('{')
	w.Text("name", t.Name)
	w.TextIf("description", t.Description)
	schema := t.Schema
	if !e.same {
		schema = messages.InputSchema(schema)
	}
	if len(schema) > 0 {
		w.Name("inputSchema")
		w.Open('{')
		w.Raw("json", schema)
		w.Close('}')
	}
	switch {
	case t.Strict == nil:
	case e.same:
		w.Flag("strict", *t.Strict)
	case *t.Strict:
		e.c.DropField("tools.strict") // it would refuse schemas that other dialects' strict takes
	}
	if e.same {
		writeExtra(w, t.Extra)
	}
	w.Close('}')
	w.Close('}')
}

// writeToolChoice writes toolChoice. Where there is one tool only, that any must
// be called says the same as that this one must, and more models take it.
func (e *encoder) writeToolChoice(tools int) {
	w, choice := &e.w, e.c.ToolChoice
	if e.same {
		if choice != nil {
			w.Raw("toolChoice", choice.Raw)
		}
		return
	}
	var mode translate.ChoiceMode
	var name string
	switch {
	case e.fit.Tool != "":
		mode = translate.ChooseAny
		if !e.fit.Others && tools > 0 {
			mode, name = translate.ChooseNamed, e.fit.Tool
		}
	case tools == 0 || choice == nil:
		return
	default:
		mode, name = choice.Mode, choice.Name
		if mode == translate.ChooseNamed && tools == 1 {
			mode = translate.ChooseAny
		}
	}
	switch mode {
	case translate.ChooseAny:
		w.Raw("toolChoice", jsontext.Value(`{"any":{}}`))
	case translate.ChooseNamed:
		w.Name("toolChoice")
		w.Open('{')
		w.Name("tool")
		w.Open('{')
		w.Text("name", name)
		w.Close('}')
		w.Close('}')
	case translate.ChooseAuto, translate.ChooseNone:
	}
}

// maxCallID is how long a toolUseId may be.
const maxCallID = 64

// callID fits a call's id to what the dialect allows: an alphabet, as Anthropic
// has it, and a length, beyond which the id's hash stands for it. The upstream
// never says it again, so nothing has to turn it back.
func callID(id string) string {
	fitted := messages.CallID(id)
	if len(fitted) > maxCallID {
		sum := sha256.Sum256([]byte(id))
		return "hly_" + base64.RawURLEncoding.EncodeToString(sum[:])
	}
	return fitted
}
