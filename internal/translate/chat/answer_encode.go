package chat

import (
	"errors"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"halley/internal/jsonx"
	"halley/internal/translate"
	"halley/internal/wire"
)

// errBroken is output that its model spoiled: the dialect has no finish_reason for
// that, and any would make it look whole.
var errBroken = errors.New("the model's output was not usable")

// EncodeAnswer implements translate.Client. The error is for output that its model
// spoiled.
func (Codec) EncodeAnswer(c *translate.Conversation, a *translate.Answer) ([]byte, error) {
	same := a.From == translate.Chat
	if !same && spoilt(a.Candidates) {
		return nil, errBroken
	}
	out := answer{ID: answerID(a.ID), Object: "chat.completion", Created: seconds(a.Created), Model: a.Model, Choices: []choice{}, ServiceTier: a.ServiceTier}
	if same {
		out.ID, out.Usage, out.Rest = a.ID, a.UsageRaw, a.Extra.Object()
	} else if a.Usage != nil {
		out.Usage = usageObject(*a.Usage)
	}
	if out.Created == 0 {
		out.Created = seconds(c.Received)
	}
	for i := range a.Candidates {
		one := &a.Candidates[i]
		word := one.StopWord
		if !same {
			word = finishReason(one.Stop)
		}
		extra, inner := splitExtra(one.Extra, same)
		m := answerMessage(c, one.Parts, same)
		m.Rest = inner.Object()
		out.Choices = append(out.Choices, choice{Index: one.Index, Message: m, Logprobs: one.Logprobs, FinishReason: wordOrNull(word), Rest: extra.Object()})
	}
	return jsonx.Marshal(out)
}

// spoilt reports whether there is no candidate but such.
func spoilt(list []translate.Candidate) bool {
	return len(list) > 0 && !slices.ContainsFunc(list, func(c translate.Candidate) bool { return c.Stop != translate.Broken })
}

// answerID makes an id of this dialect's look of another's.
func answerID(id string) string {
	if strings.HasPrefix(id, "chatcmpl-") {
		return id
	}
	return "chatcmpl-" + id
}

func wordOrNull(word string) *string {
	if word == "" {
		return nil
	}
	return &word
}

// splitExtra gives a choice's own members and those of its message.
func splitExtra(e translate.Extra, same bool) (own, inner translate.Extra) {
	if !same {
		return nil, nil
	}
	for _, m := range e {
		if name, ok := strings.CutPrefix(m.Name, inMessage); ok {
			inner = append(inner, translate.Member{Name: name, Value: m.Value})
		} else {
			own = append(own, m)
		}
	}
	return own, inner
}

// answerMessage is the message of a choice.
func answerMessage(c *translate.Conversation, parts []translate.Part, same bool) *message {
	out := &message{Role: "assistant", Content: jsontext.Value("null")}
	legacy := c.From == translate.Chat && c.Fields[translate.FeatureTools] == legacyTools
	var said []part
	for _, p := range parts {
		switch p := p.(type) {
		case *translate.Text:
			said = append(said, textPart(p.Text))
			out.Annotations = annotations(p.Citations, out.Annotations, same)
		case *translate.Thinking:
			out.think(p, &said, same)
		case *translate.Refusal:
			out.Refusal = p.Text
		case *translate.ToolCall:
			if p.Server != "" {
				continue // the provider ran it; this dialect does not show it
			}
			if legacy {
				out.FunctionCall = &called{p.Name, argumentText(p.Args)}
				continue
			}
			t := toolCall{ID: p.ID, Type: "function"}
			if same {
				t.Rest = p.Extra.Object()
			}
			if p.Custom {
				t.Type, t.Custom = "custom", &custom{p.Name, p.Args}
			} else {
				t.Function = &called{p.Name, argumentText(arguments(p.Args, same))}
			}
			t.sign(p)
			out.ToolCalls = append(out.ToolCalls, t)
		case *translate.Media:
			if p.Kind == translate.Image && !p.Thought {
				list := imageList(p)
				if same && p.Raw != nil {
					list = ownImageList(p)
				}
				out.Images = joinLists(out.Images, list)
			}
		case *translate.Other:
			var own part
			switch {
			case !same:
			case p.Kind == audioPart:
				out.Audio = p.Raw
			case jsonx.Unmarshal(p.Raw, &own) == nil: // Mistral's references
				said = append(said, own)
			}
		}
	}
	if len(said) > 0 {
		var w jsonx.Writer
		writeContent(&w, said, true)
		out.Content = w.Out
	}
	return out
}

// imageList is a list of one image that a model made.
func imageList(m *translate.Media) jsontext.Value {
	one := part{Type: "image_url", ImageURL: marshal(imageURL{URL: m.Address("image/png")})}
	return marshal([]part{one})
}

// ownImageList is imageList for one that came in this dialect, as it came.
func ownImageList(m *translate.Media) jsontext.Value {
	return slices.Concat(jsontext.Value{'['}, m.Raw, jsontext.Value{']'})
}

// arguments are never empty for clients, which parse them.
func arguments(args string, same bool) string {
	if args == "" && !same {
		return "{}"
	}
	return args
}

// think shows thoughts, and carries what proves them so that the conversation
// can go on.
func (m *message) think(t *translate.Thinking, said *[]part, same bool) {
	if same && t.Origin == translate.Chat && len(t.Extra) > 0 {
		for _, field := range t.Extra {
			switch field.Name {
			case "reasoning_content":
				m.ReasoningContent = field.Value
			case "reasoning":
				m.Reasoning = field.Value
			case "reasoning_details":
				m.ReasoningDetails = field.Value
			case "content":
				var p part
				if jsonx.Unmarshal(field.Value, &p) == nil {
					*said = append(*said, p)
				}
			}
		}
		return
	}
	if t.Text != "" {
		m.ReasoningContent = marshal(text(m.ReasoningContent) + t.Text)
	}
	m.ReasoningDetails = joinLists(m.ReasoningDetails, details(t))
}

// detail is an element of OpenRouter's reasoning_details.
type detail struct {
	Type      string `json:"type"`
	Text      string `json:"text,omitzero"`
	Signature string `json:"signature,omitzero"`
	Data      string `json:"data,omitzero"`
	Format    string `json:"format,omitzero"`
	Index     int    `json:"index"`
}

// details are the thoughts' proof as reasoning_details; nil when there is none.
func details(t *translate.Thinking) jsontext.Value {
	if t.Origin == translate.Chat {
		if strings.HasPrefix(t.Signature, "[") {
			return jsontext.Value(t.Signature)
		}
		return nil
	}
	carried := t.Carry(translate.Chat)
	if carried == "" {
		return nil
	}
	return marshal([]detail{{Type: "reasoning.text", Text: t.Text, Signature: carried}})
}

func joinLists(a, b jsontext.Value) jsontext.Value {
	if len(a) <= 2 || len(b) <= 2 {
		return slices.Concat(a, b)
	}
	return slices.Concat(a[:len(a)-1], jsontext.Value{','}, b[1:])
}

// annotations adds citations to a list of annotations.
func annotations(list []translate.Citation, to jsontext.Value, same bool) jsontext.Value {
	for _, c := range list {
		v := c.Raw
		if !same && !wire.Find(v, "url_citation").Present() { // of another dialect
			if c.URL == "" {
				continue // of a document: this dialect has no words for it
			}
			v = marshal(annotation{"url_citation", &urlCitation{c.Start, c.End, c.Title, c.URL, c.Quote}})
		}
		to = joinLists(to, slices.Concat(jsontext.Value{'['}, v, jsontext.Value{']'}))
	}
	return to
}

// usageObject writes usage in the dialect's words.
func usageObject(u translate.Usage) jsontext.Value {
	type promptDetails struct {
		Cached int64 `json:"cached_tokens"`
		Audio  int64 `json:"audio_tokens"`
		Write  int64 `json:"cache_write_tokens,omitzero"`
	}
	type completionDetails struct {
		Reasoning int64 `json:"reasoning_tokens"`
		Audio     int64 `json:"audio_tokens"`
	}
	return marshal(struct {
		Prompt            int64             `json:"prompt_tokens"`
		Completion        int64             `json:"completion_tokens"`
		Total             int64             `json:"total_tokens"`
		PromptDetails     promptDetails     `json:"prompt_tokens_details"`
		CompletionDetails completionDetails `json:"completion_tokens_details"`
	}{
		u.Prompt, u.Completion, u.Prompt + u.Completion,
		promptDetails{u.CachedRead, u.AudioIn, u.CacheWrite5m + u.CacheWrite1h}, completionDetails{u.Reasoning, u.AudioOut},
	})
}

// EncodeFailure implements translate.Client.
func (Codec) EncodeFailure(f translate.Failure, requestID string) []byte {
	type inner struct {
		Message string  `json:"message"`
		Type    string  `json:"type"`
		Param   *string `json:"param"`
		Code    *string `json:"code"`
	}
	message := f.Message
	if requestID != "" && f.Origin == "" {
		message += " (request id: " + requestID + ")"
	}
	e := inner{Message: message, Type: f.Type}
	if f.Type == "" || (f.Origin != translate.Chat && f.Origin != translate.Responses) {
		e.Type = errorType(f.Kind)
	}
	if f.Param != "" {
		e.Param = &f.Param
	}
	if f.Code != "" {
		e.Code = &f.Code
	}
	return marshal(struct {
		Error inner `json:"error"`
	}{e})
}

// errorType is the type that OpenAI's own API uses.
func errorType(k translate.FailureKind) string {
	switch k {
	case translate.Unauthorized:
		return "authentication_error"
	case translate.Payment:
		return "insufficient_quota"
	case translate.Forbidden:
		return "permission_error"
	case translate.RateLimited:
		return "rate_limit_error"
	case translate.Internal, translate.Unavailable, translate.Timeout, translate.Overloaded:
		return "server_error"
	case translate.BadRequest, translate.NotFound, translate.Conflict, translate.TooLarge:
	}
	return "invalid_request_error"
}
