package cohere

import (
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"halley/internal/jsonx"
	"halley/internal/translate"
)

// DecodeRequest implements translate.Client.
func (Codec) DecodeRequest(body []byte) (*translate.Conversation, error) {
	c := &translate.Conversation{From: translate.Cohere}
	names(c)
	r := jsonx.Read(body)
	for r.Object(); r.Next('}'); {
		readSetting(r, c)
	}
	if err := r.End(); err != nil {
		return nil, translate.Undecodable(err)
	}
	switch {
	case c.Model == "":
		return nil, translate.Malform("model", "model is required.")
	case len(c.Messages) == 0:
		return nil, translate.Malform("messages", "messages must have at least one message.")
	}
	return c, nil
}

// names notes what the dialect calls what others call otherwise.
func names(c *translate.Conversation) {
	c.Name(translate.FeatureTopP, "p")
	c.Name(translate.FeatureTopK, "k")
	c.Name(translate.FeatureStop, "stop_sequences")
	c.Name(translate.FeatureReasoning, "thinking")
}

func readSetting(r *jsonx.Reader, c *translate.Conversation) {
	switch {
	case r.Is("model"):
		c.Model = r.String()
	case r.Is("messages"):
		for r.Array(); r.Next(']'); {
			c.Messages = append(c.Messages, readMessage(r))
		}
	case r.Is("tools"):
		if r.Null() {
			return
		}
		for r.Array(); r.Next(']'); {
			c.Tools = append(c.Tools, readTool(r))
		}
	case r.Is("tool_choice"):
		at := r.At()
		switch word := r.String(); word {
		case "":
		case "REQUIRED":
			c.ToolChoice = &translate.ToolChoice{Mode: translate.ChooseAny}
		case "NONE":
			c.ToolChoice = &translate.ToolChoice{Mode: translate.ChooseNone}
		default:
			r.Fault(at, `must be "REQUIRED" or "NONE"`)
		}
	case r.Is("response_format"):
		c.Format = readFormat(r)
	case r.Is("stream"):
		c.Stream = r.Bool()
		c.IncludeUsage = true
	case r.Is("max_tokens"):
		c.MaxOutput = r.IntOpt()
	case r.Is("stop_sequences"):
		c.Stop = readStrings(r)
	case r.Is("temperature"):
		c.Temperature = r.FloatOpt()
	case r.Is("seed"):
		c.Seed = r.IntOpt()
	case r.Is("frequency_penalty"):
		c.FrequencyPenalty = r.FloatOpt()
	case r.Is("presence_penalty"):
		c.PresencePenalty = r.FloatOpt()
	case r.Is("k"):
		c.TopK = r.IntOpt()
	case r.Is("p"):
		c.TopP = r.FloatOpt()
	case r.Is("logprobs"):
		c.Logprobs = r.BoolOpt()
	case r.Is("thinking"):
		c.Reasoning = readThinking(r)
	default:
		c.Extra = append(c.Extra, member(r))
	}
}

func readMessage(r *jsonx.Reader) (m translate.Message) {
	role := string(r.Peek("role"))
	var content []translate.Part
	var plan *translate.Thinking
	var calls []translate.Part
	var result translate.ToolResult
	at := r.At()
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
		case r.Is("tool_calls"):
			if r.Null() {
				continue
			}
			for r.Array(); r.Next(']'); {
				calls = append(calls, readCall(r).part())
			}
		case r.Is("tool_call_id"):
			result.CallID = r.String()
		default:
			m.Extra = append(m.Extra, member(r))
		}
	}
	switch role {
	case "system":
		m.Role = translate.System
	case "user":
		m.Role = translate.User
	case "assistant":
		m.Role = translate.Assistant
	case "tool":
		m.Role = translate.User
		result.Parts, result.Extra = content, m.Extra
		m.Parts, m.Extra = []translate.Part{&result}, nil
		return m
	default:
		r.Fault(at, `must have the role "system", "user", "assistant" or "tool"`)
	}
	if plan != nil {
		m.Parts = append(m.Parts, plan)
	}
	m.Parts = append(append(m.Parts, content...), calls...)
	return m
}

// planned is a tool_plan.
func planned(text string) *translate.Thinking {
	return &translate.Thinking{Text: text, Signature: planMark, Origin: translate.Cohere}
}

// readContent reads a string, or a list of parts; null is none.
func readContent(r *jsonx.Reader) (parts []translate.Part) {
	switch r.Kind() {
	case 'n':
		r.Skip()
		return nil
	case '"':
		return []translate.Part{&translate.Text{Text: r.String()}}
	}
	for r.Array(); r.Next(']'); {
		parts = append(parts, readPart(r))
	}
	return parts
}

func readPart(r *jsonx.Reader) translate.Part {
	switch kind := string(r.Peek("type")); kind {
	case "text":
		p := &translate.Text{}
		readMembers(r, "text", &p.Text, &p.Extra)
		return p
	case "thinking":
		p := &translate.Thinking{Origin: translate.Cohere}
		readMembers(r, "thinking", &p.Text, &p.Extra)
		return p
	case "image_url":
		p := &translate.Media{Kind: translate.Image}
		for r.Object(); r.Next('}'); {
			switch {
			case r.Is("type"):
				r.Skip()
			case r.Is("image_url"):
				readImage(r, p)
			default:
				p.Extra = append(p.Extra, member(r))
			}
		}
		return p
	default:
		return &translate.Other{Kind: kind, Raw: r.Value()}
	}
}

// readMembers reads a part whose one member is a text.
func readMembers(r *jsonx.Reader, name string, text *string, extra *translate.Extra) {
	for r.Object(); r.Next('}'); {
		switch {
		case r.Is("type"):
			r.Skip()
		case r.Is(name):
			*text = r.String()
		default:
			*extra = append(*extra, member(r))
		}
	}
}

// readImage reads an address, which may hold the image.
func readImage(r *jsonx.Reader, p *translate.Media) {
	for r.Object(); r.Next('}'); {
		switch {
		case r.Is("url"):
			p.URL = r.String()
			if mime, data, ok := strings.Cut(strings.TrimPrefix(p.URL, "data:"), ";base64,"); ok && strings.HasPrefix(p.URL, "data:") {
				p.URL, p.MIME, p.Data = "", mime, data
			}
		case r.Is("detail"):
			p.Detail = r.String()
		default:
			r.Skip()
		}
	}
}

func readTool(r *jsonx.Reader) (t translate.Tool) {
	t.Kind = translate.Function
	for r.Object(); r.Next('}'); {
		switch {
		case r.Is("type"):
			r.Skip() // there are only functions
		case r.Is("function"):
			for r.Object(); r.Next('}'); {
				switch {
				case r.Is("name"):
					t.Name = r.String()
				case r.Is("description"):
					t.Description = r.String()
				case r.Is("parameters"):
					t.Schema = r.Raw()
				default:
					t.Extra = append(t.Extra, member(r))
				}
			}
		default:
			r.Skip()
		}
	}
	return t
}

// readFormat reads how the answer is formed. The schema goes by two names: one in
// Cohere's reference, one in its guides.
func readFormat(r *jsonx.Reader) *translate.Format {
	if r.Null() {
		return nil
	}
	f := &translate.Format{}
	from := r.At()
	for r.Object(); r.Next('}'); {
		switch {
		case r.Is("type"):
			if r.String() == "json_object" && f.Kind == translate.PlainText {
				f.Kind = translate.JSONObject
			}
		case r.Is("json_schema"), r.Is("schema"):
			if f.Schema = r.Raw(); f.Schema != nil {
				f.Kind = translate.JSONSchema
			}
		default:
			r.Skip()
		}
	}
	f.Raw = append(jsontext.Value(nil), r.Since(from)...)
	return f
}

func readThinking(r *jsonx.Reader) *translate.Reasoning {
	if r.Null() {
		return nil
	}
	t := &translate.Reasoning{}
	from := r.At()
	for r.Object(); r.Next('}'); {
		switch {
		case r.Is("type"):
			t.Off = r.String() == "disabled"
		case r.Is("token_budget"):
			t.Budget = r.IntOpt()
		default:
			r.Skip()
		}
	}
	t.Adaptive = !t.Off && t.Budget == nil
	t.Raw = append(jsontext.Value(nil), r.Since(from)...)
	return t
}
