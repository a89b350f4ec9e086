package responses

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"halley/internal/jsonx"
	"halley/internal/translate"
	"halley/internal/wire"
	"halley/internal/wire/openai"
)

// DecodeAnswer implements translate.Upstream. A response that failed is no
// answer.
func (Codec) DecodeAnswer(body []byte) (*translate.Answer, error) {
	var r response
	if err := jsonx.Unmarshal(body, &r); err != nil {
		return nil, fmt.Errorf("read a response: %w", err)
	}
	switch {
	case r.Status == "failed":
		return nil, errors.New("read a response: it failed: " + translate.Clip(member(r.Error, "message")))
	case r.Output == nil:
		return nil, errors.New("read a response: it has no output")
	}
	a := &translate.Answer{
		From: translate.Responses, ID: r.ID, Model: r.Model, Created: seconds(r.CreatedAt), ServiceTier: r.ServiceTier,
		Extra: r.extra(),
	}
	if translate.Given(r.Usage) {
		a.UsageRaw = r.Usage
	}
	if u, ok := openai.ResponsesUsage(r.Usage); ok {
		u.Searches = r.searches()
		a.Usage = &u
	}
	c, err := r.candidate()
	if err != nil {
		return nil, err
	}
	a.Candidates = []translate.Candidate{c}
	return a, nil
}

// searches counts the searches of the web that OpenAI charges for.
func (r *response) searches() (n int64) {
	for _, item := range r.Output {
		n += openai.Searches(item)
	}
	return n
}

// seconds reads a time in Unix seconds; some servers write a fraction.
func seconds(v jsontext.Value) int64 {
	f, err := strconv.ParseFloat(string(v), 64)
	if err != nil || f < 0 || f > 1<<52 {
		return 0
	}
	return int64(f)
}

// candidate is what the response says and why it ended.
func (r *response) candidate() (c translate.Candidate, err error) {
	calls := false
	var logprobs []jsontext.Value
	for i, raw := range r.Output {
		parts, err := outputParts(fmt.Sprintf("output[%d]", i), raw)
		if err != nil {
			return c, err
		}
		for _, p := range parts {
			calls = calls || clientRuns(p)
			if t, ok := p.(*translate.Text); ok {
				logprobs = append(logprobs, list(t.Extra.Get("logprobs"))...)
			}
		}
		c.Parts = append(c.Parts, parts...)
	}
	if len(logprobs) > 0 {
		c.Logprobs = logprobsObject(logprobs)
	}
	c.StopWord, c.Stop = r.Status, r.stop(calls)
	return c, nil
}

// clientRuns says whether the client is to run what the part calls.
func clientRuns(p translate.Part) bool {
	call, ok := p.(*translate.ToolCall)
	return ok && call.Server == ""
}

// logprobsObject has the tokens where Chat has them.
func logprobsObject(tokens []jsontext.Value) jsontext.Value {
	var w jsonx.Writer
	w.Open('{')
	w.Name("content")
	w.Open('[')
	for _, t := range tokens {
		w.Value(t)
	}
	w.Close(']')
	w.Close('}')
	return w.Out
}

// outputParts reads an item of an output. A message's parts all have its head,
// so that they can be told to be one.
func outputParts(at string, raw jsontext.Value) ([]translate.Part, error) {
	it, err := readItem(at, raw)
	if err != nil {
		return nil, err
	}
	if it.Type != messageItem {
		p, err := it.part(at, raw)
		return []translate.Part{p}, err
	}
	parts, err := contents(at+".content", it.Content)
	if err != nil {
		return nil, err
	}
	if len(parts) == 0 {
		return []translate.Part{&translate.Other{Kind: messageItem, Raw: raw}}, nil
	}
	head := it.head()
	for _, p := range parts {
		putHead(p, head)
	}
	return parts, nil
}

// head is what a message of an output says besides its content and role.
func (it *item) head() jsontext.Value {
	head := translate.Extra{{Name: "id", Value: wire.Quote(it.ID)}}
	return append(head, it.Rest...).Object()
}

// putHead gives a part the head of its message.
func putHead(p translate.Part, head jsontext.Value) {
	m := translate.Member{Name: itemHead, Value: head}
	switch p := p.(type) {
	case *translate.Text:
		p.Extra = append(p.Extra, m)
	case *translate.Refusal:
		p.Extra = append(p.Extra, m)
	}
}

// headOf is the head of the message that a part is of; nil for parts of other
// dialects.
func headOf(p translate.Part) jsontext.Value {
	switch p := p.(type) {
	case *translate.Text:
		return p.Extra.Get(itemHead)
	case *translate.Refusal:
		return p.Extra.Get(itemHead)
	}
	return nil
}
