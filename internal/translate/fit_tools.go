package translate

import (
	"cmp"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"halley/internal/jsonx"
)

// ToolRules says which tools an upstream takes, besides functions.
type ToolRules struct {
	// FreeText says that tools of free text are taken as they were defined.
	FreeText bool
	// Lacks is why the upstream cannot run a tool that providers run, as a
	// sentence; "" when it can. Functions says whether the client has tools of its
	// own, which some models do not take beside it.
	Lacks func(t *Tool, functions bool) string
	// BoundsCalls says that each tool that the provider runs can be bounded in how
	// often it is called.
	BoundsCalls bool
}

// Fitted is a conversation with the tools that an upstream takes, and the way
// back from its answers. A nil one changes nothing.
type Fitted struct {
	Conversation *Conversation
	tools        map[string]*fittedTool // by the name that the upstream knows
}

// fittedTool is what a function of the upstream stands for.
type fittedTool struct {
	toolKey
	custom, search bool
}

// Fit is the conversation as an upstream with such rules takes it: tools in
// namespaces become functions with names of their own, those of free text
// functions of one string, a search for tools that the client runs a function,
// and what was found by it more tools. A tool that the upstream cannot run is
// left out, but where the answer depends on it: where it must be called, or is
// all that is there. Then the error is an *Unsupported. The conversation itself
// is only read.
func (c *Conversation) Fit(rules *ToolRules) (*Fitted, error) {
	if rules == nil || !c.mustFit() {
		return &Fitted{Conversation: c}, nil
	}
	own := *c
	own.dropped = nil
	f := &fitter{rules: rules, c: &own, fitted: &Fitted{Conversation: &own, tools: map[string]*fittedTool{}}}
	f.offer(c.Tools, "")
	f.history()
	f.names.settle()
	if err := f.tools(); err != nil {
		return nil, err
	}
	f.choice()
	f.messages()
	return f.fitted, nil
}

// mustFit says whether there is something that not every upstream takes.
func (c *Conversation) mustFit() bool {
	for i := range c.Tools {
		if t := &c.Tools[i]; t.Kind != Function || !fitsName(t.Name) {
			return true
		}
	}
	for i := range c.Messages {
		for _, p := range c.Messages[i].Parts {
			switch p := p.(type) {
			case *ToolCall:
				if p.Custom || p.Search || p.Namespace != "" || p.Server == "" && !fitsName(p.Name) {
					return true
				}
			case *ToolResult:
				if p.Custom || p.Search {
					return true
				}
			case *Other:
				if p.Tools != nil {
					return true
				}
			}
		}
	}
	return false
}

// fitter makes a Fitted.
type fitter struct {
	rules   *ToolRules
	c       *Conversation
	fitted  *Fitted
	names   toolNames
	offered []offered
}

// offered is a tool that the model is told of.
type offered struct {
	toolKey
	tool *Tool
}

// clientRuns says whether it is for the client to run.
func (t *Tool) clientRuns() bool {
	return t.Kind == Function || t.Kind == Custom || t.Kind == ToolSearch && t.Schema != nil
}

// offer adds tools. One that is defined again takes the place of the first.
func (f *fitter) offer(tools []Tool, namespace string) {
	for i := range tools {
		t := &tools[i]
		if t.Kind == Namespace {
			f.offer(t.Tools, t.Name)
			continue
		}
		k := toolKey{namespace, t.Name}
		if at := slices.IndexFunc(f.offered, func(o offered) bool { return o.toolKey == k && o.tool.clientRuns() }); at >= 0 && t.clientRuns() {
			f.offered[at].tool = t
			continue
		}
		f.offered = append(f.offered, offered{k, t})
		if t.clientRuns() {
			f.names.add(k)
		}
	}
}

// history adds what earlier turns offer, and the names that they call tools by.
func (f *fitter) history() {
	for _, m := range f.c.Messages {
		for _, p := range m.Parts {
			switch p := p.(type) {
			case *Other:
				f.offer(p.Tools, "")
			case *ToolResult:
				f.offer(p.Tools, "")
			}
		}
	}
	for _, m := range f.c.Messages {
		for _, p := range m.Parts {
			if call, ok := p.(*ToolCall); ok && call.Server == "" {
				f.names.add(f.key(call.Namespace, call.Name))
			}
		}
	}
}

// key is the key of a tool that is called so. A function that was found by a
// search has its own name as its namespace.
func (f *fitter) key(namespace, name string) toolKey {
	k := toolKey{namespace, name}
	if _, known := f.names.flat[k]; !known && namespace == name {
		return toolKey{name: name}
	}
	return k
}

// name is what the upstream knows a tool by.
func (f *fitter) name(namespace, name string) string {
	return cmp.Or(f.names.flat[f.key(namespace, name)], name)
}

// tools makes the tools.
func (f *fitter) tools() error {
	functions := len(f.names.keys) > 0 && slices.ContainsFunc(f.offered, func(o offered) bool { return o.tool.clientRuns() })
	tools := make([]Tool, 0, len(f.offered))
	why := ""
	var lacking []*Tool
	for _, o := range f.offered {
		switch {
		case o.tool.clientRuns():
			tools = append(tools, f.function(o))
		case o.tool.Kind == ToolSearch: // all that it could find is offered at once
			f.drop(o.tool)
		default:
			reason := f.rules.Lacks(o.tool, functions)
			if reason == "" {
				tools = append(tools, *o.tool)
				continue
			}
			lacking = append(lacking, o.tool)
			if why == "" || f.chosen(o.tool) {
				why = reason
			}
			if f.chosen(o.tool) {
				return f.c.Refuse(FeatureServerTool, "%s", why)
			}
		}
	}
	if len(lacking) > 0 && len(tools) == 0 && (f.c.ToolChoice == nil || f.c.ToolChoice.Mode != ChooseNone) {
		return f.c.Refuse(FeatureServerTool, "%s", why)
	}
	for _, t := range lacking {
		f.drop(t)
	}
	f.c.Tools = tools
	if servers := f.c.servers(); f.c.MaxServerCalls != nil && servers > 0 && (servers > 1 || !f.rules.BoundsCalls) {
		f.c.MaxServerCalls = nil
		f.c.DropField("max_tool_calls")
	}
	return nil
}

// chosen says whether the tool must be called.
func (f *fitter) chosen(t *Tool) bool {
	choice := f.c.ToolChoice
	return choice != nil && choice.Mode == ChooseNamed && choice.Namespace == "" && choice.Name == t.Name
}

// drop notes that a tool is left out.
func (f *fitter) drop(t *Tool) {
	field := f.c.Field(FeatureServerTool)
	if name := cmp.Or(t.Name, string(t.Kind)); name != field {
		field += "." + name
	}
	f.c.DropField(field)
}

// function makes the function that stands for a tool of the client.
func (f *fitter) function(o offered) Tool {
	t := *o.tool
	t.Name = f.names.flat[o.toolKey]
	kept := t.Kind == Function || t.Kind == Custom && f.rules.FreeText && o.namespace == ""
	if !kept || t.Name != o.name {
		f.fitted.tools[t.Name] = &fittedTool{toolKey: o.toolKey, custom: t.Kind == Custom, search: t.Kind == ToolSearch}
	}
	if kept {
		return t
	}
	if t.Kind == Custom {
		t.Description, t.Schema = freeTextDescription(&t), jsontext.Value(freeTextSchema)
		if t.Grammar != nil {
			f.c.DropField(f.c.Field(FeatureCustomTool) + ".format")
		}
	}
	t.Kind, t.Raw, t.Grammar = Function, nil, nil
	return t
}

// freeTextDescription tells the model what it cannot be held to.
func freeTextDescription(t *Tool) string {
	var b strings.Builder
	b.WriteString(t.Description)
	if b.Len() > 0 {
		b.WriteString("\n\n")
	}
	b.WriteString("The whole text goes unchanged into the argument " + freeTextInput + ".")
	if t.Grammar == nil {
		return b.String()
	}
	switch t.Grammar.Syntax {
	case "lark":
		b.WriteString(" It must match this Lark grammar:\n\n")
	case "regex":
		b.WriteString(" It must match this regular expression:\n\n")
	default:
		b.WriteString(" It must match this grammar:\n\n")
	}
	b.WriteString(t.Grammar.Definition)
	return b.String()
}

// freeTextSchema is the schema of a function that stands for a tool of free text.
const freeTextSchema = `{"type":"object","properties":{"` + freeTextInput + `":{"type":"string"}},"required":["` + freeTextInput + `"],"additionalProperties":false}`

// choice fits the choice of tools: one that only leaves tools that are not there
// any more leaves all.
func (f *fitter) choice() {
	was := f.c.ToolChoice
	if was == nil {
		return
	}
	choice := *was
	choice.Raw = nil
	if choice.Mode == ChooseNamed {
		choice.Name, choice.Namespace = f.chosenName(was), ""
	}
	if len(was.Allowed) > 0 {
		choice.Allowed = nil
		for _, o := range f.offered {
			if !slices.Contains(was.Allowed, o.name) && (o.namespace == "" || !slices.Contains(was.Allowed, o.namespace)) {
				continue
			}
			name := o.name
			if o.tool.clientRuns() {
				name = f.names.flat[o.toolKey]
			}
			if slices.ContainsFunc(f.c.Tools, func(t Tool) bool { return t.Name == name }) {
				choice.Allowed = append(choice.Allowed, name)
			}
		}
	}
	f.c.ToolChoice = &choice
}

// chosenName is the name of the tool that must be called; the choice may leave
// out its namespace.
func (f *fitter) chosenName(choice *ToolChoice) string {
	k := f.key(choice.Namespace, choice.Name)
	if name := f.names.flat[k]; name != "" {
		return name
	}
	for _, o := range f.offered {
		if o.name == choice.Name && o.tool.clientRuns() {
			return f.names.flat[o.toolKey]
		}
	}
	return choice.Name
}

// messages fits what earlier turns called, and what came of it.
func (f *fitter) messages() {
	messages := make([]Message, 0, len(f.c.Messages))
	for _, m := range f.c.Messages {
		parts := m.Parts
		for i, p := range m.Parts {
			if fitted := f.part(p); fitted != p {
				if &parts[0] == &m.Parts[0] {
					parts = slices.Clone(m.Parts)
				}
				parts[i] = fitted
			}
		}
		if len(m.Parts) > 0 {
			parts = slices.DeleteFunc(parts, func(p Part) bool { return p == nil })
			if len(parts) == 0 {
				continue
			}
		}
		m.Parts = parts
		messages = append(messages, m)
	}
	f.c.Messages = messages
}

// part is a part as the upstream takes it; nil for one that only offers tools.
func (f *fitter) part(p Part) Part {
	switch p := p.(type) {
	case *Other:
		if p.Tools != nil {
			return nil
		}
	case *ToolCall:
		if p.Server != "" {
			return p
		}
		name, wrap := f.name(p.Namespace, p.Name), p.Custom && !(f.rules.FreeText && p.Namespace == "")
		if name == p.Name && !wrap && p.Namespace == "" && !p.Search {
			return p
		}
		call := *p
		call.Name, call.Namespace, call.Search = name, "", false
		if wrap {
			call.Custom, call.Args = false, freeTextArguments(p.Args)
		}
		return &call
	case *ToolResult:
		if p.Server != "" || !p.Custom && !p.Search && p.Name == "" {
			return p
		}
		result := *p
		if p.Name != "" {
			result.Name = f.name("", p.Name)
		}
		if p.Search {
			result.Search, result.Tools, result.Raw = false, nil, nil
			result.Parts = []Part{&Text{Text: f.found(p.Tools)}}
		}
		result.Custom = p.Custom && f.rules.FreeText
		return &result
	}
	return p
}

// freeTextArguments is a text as the arguments of the function that stands for a
// tool of free text.
func freeTextArguments(text string) string {
	var w jsonx.Writer
	w.Open('{')
	w.Text(freeTextInput, text)
	w.Close('}')
	return string(w.Out)
}

// found tells the model what a search for tools has found.
func (f *fitter) found(tools []Tool) string {
	var names []string
	var add func(tools []Tool, namespace string)
	add = func(tools []Tool, namespace string) {
		for i := range tools {
			if t := &tools[i]; t.Kind == Namespace {
				add(t.Tools, t.Name)
			} else {
				names = append(names, f.name(namespace, t.Name))
			}
		}
	}
	add(tools, "")
	if len(names) == 0 {
		return "No tools were found."
	}
	return "These tools can be called now: " + strings.Join(names, ", ") + "."
}

// Answer gives the calls of an answer the names and the form that the client
// knows its tools by.
func (f *Fitted) Answer(a *Answer) {
	if f == nil || len(f.tools) == 0 {
		return
	}
	for i := range a.Candidates {
		parts := a.Candidates[i].Parts
		for j, p := range parts {
			if call, custom := f.call(p); call != nil {
				if custom {
					call.Args = freeTextOf(call.Args)
				}
				parts[j] = call
			}
		}
	}
}

// call is a call as the client knows it, but for its arguments; nil when nothing
// is to be changed. Custom says that the arguments are to become free text.
func (f *Fitted) call(p Part) (call *ToolCall, custom bool) {
	was, ok := p.(*ToolCall)
	if !ok || was.Server != "" {
		return nil, false
	}
	t := f.tools[was.Name]
	if t == nil {
		return nil, false
	}
	call = new(*was)
	call.Name, call.Namespace, call.Search = t.name, t.namespace, t.search
	custom = t.custom && !was.Custom
	call.Custom = t.custom
	return call, custom
}

// Stream does for the events of a stream what Answer does for an answer.
func (f *Fitted) Stream(emit func(Event)) func(Event) {
	if f == nil || len(f.tools) == 0 {
		return emit
	}
	s := &fittedStream{f: f, emit: emit}
	return s.event
}

// fittedStream is a stream on its way back. The texts that are open are kept by
// candidate.
type fittedStream struct {
	f    *Fitted
	emit func(Event)
	open map[int]*freeText
}

func (s *fittedStream) event(e Event) {
	switch e.Kind {
	case PartBegin:
		call, custom := s.f.call(e.Part)
		if call == nil {
			break
		}
		if custom {
			if s.open == nil {
				s.open = map[int]*freeText{}
			}
			text := &freeText{}
			s.open[e.Candidate] = text
			call.Args = text.feed(call.Args)
		}
		e.Part = call
	case Whole:
		if call, custom := s.f.call(e.Part); call != nil {
			if custom {
				call.Args = freeTextOf(call.Args)
			}
			e.Part = call
		}
	case TextDelta:
		if text := s.open[e.Candidate]; text != nil {
			if e.Text = text.feed(e.Text); e.Text == "" {
				return
			}
		}
	case PartEnd:
		if text := s.open[e.Candidate]; text != nil {
			delete(s.open, e.Candidate)
			if rest := text.end(); rest != "" {
				s.emit(Event{Kind: TextDelta, Candidate: e.Candidate, Text: rest})
			}
		}
	default: // says nothing of calls
	}
	s.emit(e)
}
