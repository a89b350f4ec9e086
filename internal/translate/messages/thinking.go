package messages

import (
	"github.com/go-json-experiment/json/jsontext"

	"halley/internal/jsonx"
	"halley/internal/translate"
)

// minBudget is the least that Anthropic takes for thinking.budget_tokens.
const minBudget = 1024

// thinkingPlan is how a request shall say how much the model thinks.
type thinkingPlan struct {
	kind    string // "enabled", "adaptive", "disabled"; "" says nothing
	budget  int64  // with enabled
	display string
	effort  string         // output_config.effort
	raw     jsontext.Value // in place of all but effort
}

// on says whether the model is asked to think.
func (p *thinkingPlan) on() bool { return p.kind == "enabled" || p.kind == "adaptive" }

func (p *thinkingPlan) write(w *jsonx.Writer) {
	if len(p.raw) > 0 {
		w.Raw("thinking", p.raw)
		return
	}
	if p.kind == "" {
		return
	}
	w.Name("thinking")
	w.Open('{')
	w.Text("type", p.kind)
	if p.kind == "enabled" {
		w.Int("budget_tokens", p.budget)
	}
	w.TextIf("display", p.display)
	w.Close('}')
}

// planThinking decides it, and the output bound, which must be above the budget.
func (e *encoder) planThinking() {
	r := e.c.Reasoning
	if r == nil {
		e.max = e.bound(0)
		return
	}
	p := &e.thinking
	if r.Show != nil {
		p.display = "omitted"
		if *r.Show {
			p.display = "summarized"
		}
	}
	if e.same {
		e.keepThinking(r)
		return
	}
	e.max = e.bound(0)
	switch {
	case r.EffortWord() == "none":
		e.planSilence()
	case !e.model.thinks():
		e.c.Drop(translate.FeatureReasoning)
	case e.model.adaptive():
		p.kind = "adaptive"
		if !r.Adaptive {
			p.effort = e.model.effort(r.EffortWord())
		}
	default:
		e.planBudget(r)
	}
	if !p.on() {
		p.display = ""
	}
}

// keepThinking says what a request of this dialect says, so far as the output
// bound allows it.
func (e *encoder) keepThinking(r *translate.Reasoning) {
	p := &e.thinking
	p.effort, p.raw = r.Effort, r.Raw
	switch {
	case r.Off:
		p.kind = "disabled"
	case r.Adaptive:
		p.kind = "adaptive"
	case r.Budget != nil:
		p.kind, p.budget = "enabled", *r.Budget
	}
	e.max = e.bound(p.budget)
	if p.kind == "enabled" && e.hasForeignThoughts() && !e.mayGoOnThinking() {
		e.c.Drop(translate.FeatureReasoning)
		e.thinking = thinkingPlan{effort: p.effort}
		return
	}
	if p.kind == "enabled" && e.to.Cap > 0 && p.budget >= e.max {
		p.raw = nil
		e.fitBudget()
	}
}

// planSilence makes the model not think, or as little as it can.
func (e *encoder) planSilence() {
	switch {
	case e.model.cannotStop():
		e.thinking.effort = "low"
		e.c.Drop(translate.FeatureReasoning)
	case e.model.thinksUnasked():
		e.thinking.kind = "disabled"
	}
}

// planBudget makes the model think within a budget. That cannot be together with
// a tool that must be called, nor behind an assistant's turn that did not begin
// with thoughts which Claude signed; then thinking is left out, because the tool
// and the history are what the request is about.
func (e *encoder) planBudget(r *translate.Reasoning) {
	if e.forced() || !e.mayGoOnThinking() {
		e.c.Drop(translate.FeatureReasoning)
		return
	}
	budget, ok := r.BudgetTokens()
	if !ok {
		medium := translate.Reasoning{Effort: "medium"}
		budget, _ = medium.BudgetTokens()
	}
	e.thinking.kind, e.thinking.budget = "enabled", max(budget, minBudget)
	e.max = e.bound(e.thinking.budget)
	e.fitBudget()
}

// fitBudget makes the budget leave a quarter of the output bound to the answer,
// or gives thinking up where that is too little.
func (e *encoder) fitBudget() {
	p := &e.thinking
	p.budget = max(minBudget, min(p.budget, e.max/4*3))
	if p.budget >= e.max {
		e.c.Drop(translate.FeatureReasoning)
		e.thinking = thinkingPlan{effort: p.effort}
	}
}

// mayGoOnThinking looks at the turn that the request continues: the assistant's
// messages and the results of tools behind the last words of the user. Its first
// message must begin with thoughts that Claude signed. A request that ends with
// words of the assistant, to be continued, cannot think at all.
func (e *encoder) mayGoOnThinking() bool {
	all := e.c.Messages
	first := -1
	for i := len(all) - 1; i >= 0; i-- {
		m := &all[i]
		if m.Role == translate.Assistant {
			if i == len(all)-1 {
				return false
			}
			first = i
		} else if !onlyResults(m) {
			break
		}
	}
	if first < 0 {
		return true
	}
	for _, p := range all[first].Parts {
		t, ok := p.(*translate.Thinking)
		return ok && signed(t)
	}
	return true
}

// hasForeignThoughts says whether a client of this dialect brings thoughts of
// other models, which are left out.
func (e *encoder) hasForeignThoughts() bool {
	for _, m := range e.c.Messages {
		for _, p := range m.Parts {
			if t, ok := p.(*translate.Thinking); ok && t.Origin != translate.Messages {
				return true
			}
		}
	}
	return false
}

func onlyResults(m *translate.Message) bool {
	for _, p := range m.Parts {
		if _, ok := p.(*translate.ToolResult); !ok {
			return false
		}
	}
	return true
}

// signed says whether Claude made the thoughts and would know them again.
func signed(t *translate.Thinking) bool {
	return t.Origin == translate.Messages && (t.Signature != "" || t.Sealed != "")
}
