package translate

import "slices"

// Assembler puts a streamed answer together, as if it had come whole.
type Assembler struct {
	answer Answer
	fault  *Failure
	done   bool
}

// Add takes the next event. It does not keep the event's Part: parts that deltas
// add to are copied.
func (a *Assembler) Add(e Event) {
	switch e.Kind {
	case Begin:
		a.answer.ID, a.answer.Model, a.answer.Created, a.answer.From = e.ID, e.Model, e.Created, e.From
		a.answer.Extra = append(a.answer.Extra, e.Extra...)
	case PartBegin, Whole:
		c := a.candidate(e.Candidate)
		c.Parts = append(c.Parts, clone(e.Part))
	case TextDelta:
		a.extend(e)
	case SignDelta:
		switch p := a.last(e.Candidate).(type) {
		case *Thinking:
			p.Signature = e.Text
		case *ToolCall:
			p.Signature = e.Text
		case *Text:
			p.Signature = e.Text
		}
	case CiteDelta:
		if p, ok := a.last(e.Candidate).(*Text); ok && e.Citation != nil {
			p.Citations = append(p.Citations, *e.Citation)
		}
	case LogprobsDelta:
		c := a.candidate(e.Candidate)
		c.Logprobs = joinLogprobs(c.Logprobs, e.Raw)
	case Finish:
		c := a.candidate(e.Candidate)
		c.Stop, c.StopWord, c.StopText = e.Stop, e.StopWord, e.StopText
		c.Extra = append(c.Extra, e.Extra...)
	case Use:
		a.answer.Usage, a.answer.UsageRaw = e.Usage, e.UsageRaw
	case Done:
		a.done = true
	case Fault:
		a.fault = e.Failure
	case Ping, PartEnd:
	}
	if e.Tier != "" {
		a.answer.ServiceTier = e.Tier
	}
}

// Answer is what has come so far; whole says whether the stream came to its end.
// The Failure is the one the upstream ended it with, if it did.
func (a *Assembler) Answer() (answer *Answer, whole bool, fault *Failure) {
	slices.SortStableFunc(a.answer.Candidates, func(x, y Candidate) int { return x.Index - y.Index })
	return &a.answer, a.done, a.fault
}

func (a *Assembler) candidate(index int) *Candidate {
	i := slices.IndexFunc(a.answer.Candidates, func(c Candidate) bool { return c.Index == index })
	if i < 0 {
		i = len(a.answer.Candidates)
		a.answer.Candidates = append(a.answer.Candidates, Candidate{Index: index})
	}
	return &a.answer.Candidates[i]
}

func (a *Assembler) last(index int) Part {
	c := a.candidate(index)
	if len(c.Parts) == 0 {
		return nil
	}
	return c.Parts[len(c.Parts)-1]
}

func (a *Assembler) extend(e Event) {
	switch p := a.last(e.Candidate).(type) {
	case *Text:
		p.Text += e.Text
	case *Thinking:
		p.Text += e.Text
	case *ToolCall:
		p.Args += e.Text
	case *Refusal:
		p.Text += e.Text
	}
}

// clone copies a part so far as deltas change it.
func clone(p Part) Part {
	switch p := p.(type) {
	case *Text:
		return new(*p)
	case *Thinking:
		return new(*p)
	case *ToolCall:
		return new(*p)
	case *Refusal:
		return new(*p)
	}
	return p
}

// joinLogprobs adds the tokens of a list to what has come: {"content": [...]}.
func joinLogprobs(object, tokens []byte) []byte {
	const begin, end = `{"content":`, "]}"
	switch {
	case len(tokens) <= 2:
		return object
	case len(object) == 0:
		return slices.Concat([]byte(begin), tokens, []byte("}"))
	}
	return slices.Concat(object[:len(object)-len(end)], []byte(","), tokens[1:], []byte("}"))
}
