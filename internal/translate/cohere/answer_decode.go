package cohere

import (
	"errors"
	"fmt"

	"github.com/go-json-experiment/json/jsontext"

	"halley/internal/jsonx"
	"halley/internal/translate"
	"halley/internal/wire/cohere"
)

// DecodeAnswer implements translate.Upstream. An answer that ends in an error is
// none.
func (Codec) DecodeAnswer(body []byte) (*translate.Answer, error) {
	a := &translate.Answer{From: translate.Cohere}
	c := translate.Candidate{}
	seen := false
	r := jsonx.Read(body)
	for r.Object(); r.Next('}'); {
		switch {
		case r.Is("id"):
			a.ID = r.String()
		case r.Is("message") && r.Kind() == '{':
			seen = true
			readAnswer(r, &c)
		case r.Is("finish_reason"):
			c.StopWord = r.String()
			c.Stop = stopOf(c.StopWord)
		case r.Is("usage"):
			a.UsageRaw = r.Raw()
		default:
			a.Extra = append(a.Extra, member(r))
		}
	}
	switch err := r.End(); {
	case err != nil:
		return nil, fmt.Errorf("decode chat answer: %w", err)
	case !seen:
		return nil, errors.New("decode chat answer: it has no message")
	case failed(c.StopWord):
		return nil, errors.New("decode chat answer: the model failed: " + c.StopWord)
	}
	if u, ok := cohere.Usage(a.UsageRaw); ok {
		a.Usage = &u
	}
	a.Candidates = []translate.Candidate{c}
	return a, nil
}

// readAnswer reads the message of an answer: the plan, what is said, the calls.
func readAnswer(r *jsonx.Reader, c *translate.Candidate) {
	var content, calls []translate.Part
	var plan *translate.Thinking
	var citations, others []jsontext.Value
	for r.Object(); r.Next('}'); {
		switch {
		case r.Is("role"):
			r.Skip()
		case r.Is("content"):
			content = readContent(r)
		case r.Is("tool_plan"):
			if text := r.String(); text != "" {
				plan = planned(text)
			}
		case r.Is("tool_calls") && r.Kind() == '[':
			for r.Array(); r.Next(']'); {
				calls = append(calls, readCall(r).part())
			}
		case r.Is("citations") && r.Kind() == '[':
			for r.Array(); r.Next(']'); {
				citations = append(citations, r.Value())
			}
		default:
			c.Extra = append(c.Extra, member(r))
		}
	}
	for _, raw := range citations {
		citation, index, ofContent := decodeCitation(raw)
		if text := citedText(content, index); text != nil && ofContent {
			text.Citations = append(text.Citations, citation)
		} else {
			others = append(others, raw)
		}
	}
	if others != nil {
		c.Extra = append(c.Extra, translate.Member{Name: "citations", Value: list(others)})
	}
	if plan != nil {
		c.Parts = append(c.Parts, plan)
	}
	c.Parts = append(append(c.Parts, content...), calls...)
}

// citedText is the text that a citation is of: the content of that index or, as
// some models do not say it, the first text.
func citedText(content []translate.Part, index int64) *translate.Text {
	if index >= 0 && index < int64(len(content)) {
		if text, ok := content[index].(*translate.Text); ok {
			return text
		}
	}
	for _, p := range content {
		if text, ok := p.(*translate.Text); ok {
			return text
		}
	}
	return nil
}

func list(values []jsontext.Value) jsontext.Value {
	var w jsonx.Writer
	w.Open('[')
	for _, v := range values {
		w.Value(v)
	}
	w.Close(']')
	return w.Out
}
