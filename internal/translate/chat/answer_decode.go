package chat

import (
	"errors"
	"fmt"

	"github.com/go-json-experiment/json/jsontext"

	"halley/internal/jsonx"
	"halley/internal/translate"
	"halley/internal/wire/openai"
)

// DecodeAnswer implements translate.Upstream.
func (Codec) DecodeAnswer(body []byte) (*translate.Answer, error) {
	var in answer
	if err := jsonx.Unmarshal(body, &in); err != nil {
		return nil, fmt.Errorf("read a chat completion: %w", err)
	}
	if in.Choices == nil {
		return nil, errors.New("read a chat completion: it has no choices")
	}
	out := &translate.Answer{
		From: translate.Chat, ID: in.ID, Model: in.Model, Created: int64(in.Created), ServiceTier: in.ServiceTier,
		UsageRaw: given(in.Usage), Extra: translate.ExtraOf(in.Rest),
	}
	if u, ok := openai.ParseUsage(in.Usage); ok {
		u.Searches = openai.SearchesOf(in.Model)
		out.Usage = &u
	}
	for _, c := range in.Choices {
		one := translate.Candidate{Index: c.Index, Logprobs: given(c.Logprobs), Extra: translate.ExtraOf(c.Rest)}
		if c.Message != nil {
			m := translate.Message{Role: translate.Assistant}
			if err := c.Message.parts(place{"message", -1}, &m); err != nil {
				return nil, err
			}
			if f := c.Message.FunctionCall; f.called() {
				m.Parts = append(m.Parts, &translate.ToolCall{ID: madeID(in.ID, 0), Name: f.Name, Args: string(f.Arguments)})
			}
			one.Parts = m.Parts
			for i, p := range one.Parts {
				if call, ok := p.(*translate.ToolCall); ok && call.ID == "" {
					call.ID = madeID(in.ID, i)
				}
			}
			one.Extra = append(one.Extra, messageExtra(c.Message.Rest)...)
		}
		if c.FinishReason != nil {
			one.StopWord = *c.FinishReason
		}
		one.Stop = stopOf(one.StopWord, callsTools(&translate.Message{Parts: one.Parts}))
		out.Candidates = append(out.Candidates, one)
	}
	return out, nil
}

// madeID is an id for a call of a server that gives none.
func madeID(answer string, i int) string { return fmt.Sprintf("call_%s_%d", answer, i) }

// messageExtra keeps members of an answer's message apart from those of its
// choice.
func messageExtra(rest jsontext.Value) (e translate.Extra) {
	for _, m := range translate.ExtraOf(rest) {
		e = append(e, translate.Member{Name: inMessage + m.Name, Value: m.Value})
	}
	return e
}

const inMessage = "message."

// cite gives citations to the last text of parts.
func cite(parts []translate.Part, v jsontext.Value) {
	if !translate.Given(v) || len(v) <= 2 {
		return
	}
	var last *translate.Text
	for _, p := range parts {
		if t, ok := p.(*translate.Text); ok {
			last = t
		}
	}
	if last != nil {
		last.Citations = append(last.Citations, citations(v)...)
	}
}

func citations(v jsontext.Value) (list []translate.Citation) {
	var all []jsontext.Value
	if jsonx.Unmarshal(v, &all) != nil {
		return nil
	}
	for _, raw := range all {
		var a annotation
		c := translate.Citation{Raw: raw}
		if jsonx.Unmarshal(raw, &a) == nil && a.URLCitation != nil {
			u := a.URLCitation
			c.Start, c.End, c.Title, c.URL, c.Quote = u.Start, u.End, u.Title, u.URL, u.Content
		}
		list = append(list, c)
	}
	return list
}

// DecodeFailure implements translate.Upstream.
func (Codec) DecodeFailure(status int, body []byte) translate.Failure {
	f := translate.Failure{Status: status, Kind: translate.KindOf(status), Origin: translate.Chat}
	var in struct {
		Error jsontext.Value `json:"error"`
		// Some servers have no error object.
		Message jsontext.Value `json:"message"`
		Detail  jsontext.Value `json:"detail"`
	}
	if value := jsontext.Value(body); !value.IsValid() || jsonx.Unmarshal(translate.First(value), &in) != nil {
		f.Message = translate.Words(body)
		return f
	}
	failureIn(&f, in.Error)
	for _, v := range []jsontext.Value{in.Message, in.Detail} {
		if f.Message == "" {
			f.Message = text(v)
		}
	}
	if f.Message == "" {
		f.Message = translate.Words(body)
	}
	return f
}

// failureIn reads an error object, or an error that is only a text.
func failureIn(f *translate.Failure, v jsontext.Value) {
	if !translate.Given(v) {
		return
	}
	if v[0] == '"' {
		f.Message = text(v)
		return
	}
	var e struct {
		Message jsontext.Value `json:"message"`
		Type    jsontext.Value `json:"type"`
		Code    jsontext.Value `json:"code"`
		Param   jsontext.Value `json:"param"`
	}
	if jsonx.Unmarshal(v, &e) != nil {
		return
	}
	f.Message, f.Type, f.Code, f.Param = text(e.Message), text(e.Type), text(e.Code), text(e.Param)
	if f.Code == "" && translate.Given(e.Code) {
		f.Code = string(e.Code) // a number
	}
}
