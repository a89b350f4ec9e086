package chat

import (
	"halley/internal/jsonx"
	"halley/internal/translate"
)

// readRequest reads a body in one pass. The error is a *jsonx.DecodeError.
func readRequest(body []byte) (*request, error) {
	in := &request{}
	r := jsonx.Read(body)
	for r.Object(); r.Next('}'); {
		switch r.Name() {
		case "model":
			in.Model = r.String()
		case "messages":
			in.Messages = readList(r, 16, readMessage)
		case "tools":
			in.Tools = readList(r, 8, readTool)
		case "tool_choice":
			in.ToolChoice = r.Value()
		case "parallel_tool_calls":
			in.ParallelToolCalls = r.BoolOpt()
		case "functions":
			in.Functions = readList(r, 8, readFunction)
		case "function_call":
			in.FunctionCall = r.Value()
		case "response_format":
			in.ResponseFormat = r.Value()
		case "stream":
			in.Stream = r.BoolOpt()
		case "stream_options":
			in.StreamOptions = r.Value()
		case "max_tokens":
			in.MaxTokens = r.IntOpt()
		case "max_completion_tokens":
			in.MaxCompletionTokens = r.IntOpt()
		case "temperature":
			in.Temperature = r.FloatOpt()
		case "top_p":
			in.TopP = r.FloatOpt()
		case "top_k":
			in.TopK = r.IntOpt()
		case "frequency_penalty":
			in.FrequencyPenalty = r.FloatOpt()
		case "presence_penalty":
			in.PresencePenalty = r.FloatOpt()
		case "seed":
			in.Seed = r.IntOpt()
		case "stop":
			in.Stop = r.Value()
		case "n":
			in.N = r.IntOpt()
		case "logprobs":
			in.Logprobs = r.BoolOpt()
		case "top_logprobs":
			in.TopLogprobs = r.IntOpt()
		case "logit_bias":
			in.LogitBias = r.Value()
		case "verbosity":
			in.Verbosity = r.String()
		case "reasoning_effort":
			in.ReasoningEffort = r.String()
		case "user":
			in.User = r.String()
		case "safety_identifier":
			in.SafetyIdentifier = r.String()
		case "metadata":
			in.Metadata = readMetadata(r)
		case "prompt_cache_key":
			in.PromptCacheKey = r.String()
		case "service_tier":
			in.ServiceTier = r.String()
		case "modalities":
			in.Modalities = readList(r, 2, func(r *jsonx.Reader, s *string) { *s = r.String() })
		case "audio":
			in.Audio = r.Value()
		case "store":
			in.Store = r.BoolOpt()
		case "web_search_options":
			in.WebSearchOptions = r.Value()
		default:
			in.Extra = append(in.Extra, member(r))
		}
	}
	return in, r.End()
}

// readList is a list; null is none. n is how many elements are usual.
func readList[T any](r *jsonx.Reader, n int, read func(*jsonx.Reader, *T)) (list []T) {
	if r.Null() {
		return nil
	}
	for r.Array(); r.Next(']'); {
		if list == nil {
			list = make([]T, 0, n)
		}
		list = append(list, *new(T))
		read(r, &list[len(list)-1])
	}
	return list
}

func readMetadata(r *jsonx.Reader) map[string]string {
	if r.Null() {
		return nil
	}
	m := map[string]string{}
	for r.Object(); r.Next('}'); {
		name := r.Name()
		m[name] = r.String()
	}
	return m
}

func readMessage(r *jsonx.Reader, m *message) {
	if r.Null() {
		return
	}
	for r.Object(); r.Next('}'); {
		switch {
		case r.Is("role"):
			m.Role = r.String()
		case r.Is("content"):
			if r.Kind() == '"' {
				m.text, m.plain = r.String(), true
			} else {
				m.Content = r.Value()
			}
		case r.Is("name"):
			m.Name = r.String()
		case r.Is("tool_call_id"):
			m.ToolCallID = r.String()
		case r.Is("tool_calls"):
			m.ToolCalls = readList(r, 1, readToolCall)
		case r.Is("function_call"):
			m.FunctionCall = readCalled(r)
		case r.Is("refusal"):
			m.Refusal = r.String()
		case r.Is("annotations"):
			m.Annotations = r.Value()
		case r.Is("audio"):
			m.Audio = r.Value()
		case r.Is("images"):
			m.Images = r.Value()
		case r.Is("reasoning_content"):
			m.ReasoningContent = r.Value()
		case r.Is("reasoning"):
			m.Reasoning = r.Value()
		case r.Is("reasoning_details"):
			m.ReasoningDetails = r.Value()
		default:
			m.extra = append(m.extra, member(r))
		}
	}
}

func readToolCall(r *jsonx.Reader, t *toolCall) {
	if r.Null() {
		return
	}
	for r.Object(); r.Next('}'); {
		switch {
		case r.Is("index"):
			if n := r.IntOpt(); n != nil {
				t.Index = new(int(*n))
			}
		case r.Is("id"):
			t.ID = r.String()
		case r.Is("type"):
			t.Type = r.String()
		case r.Is("function"):
			t.Function = readCalled(r)
		case r.Is("custom"):
			t.Custom = readCustom(r)
		case r.Is("extra_content"):
			readSignature(r, t)
		default:
			t.extra = append(t.extra, member(r))
		}
	}
}

// readCalled is the call of a function; some servers write the arguments as the
// object that they are.
func readCalled(r *jsonx.Reader) *called {
	if r.Null() {
		return nil
	}
	c := &called{}
	for r.Object(); r.Next('}'); {
		switch {
		case r.Is("name"):
			c.Name = r.String()
		case !r.Is("arguments"):
			r.Skip()
		case r.Kind() == '"' || r.Kind() == 'n':
			c.Arguments = argumentText(r.String())
		default:
			c.Arguments = argumentText(r.Value())
		}
	}
	return c
}

func readCustom(r *jsonx.Reader) *custom {
	if r.Null() {
		return nil
	}
	c := &custom{}
	for r.Object(); r.Next('}'); {
		switch {
		case r.Is("name"):
			c.Name = r.String()
		case r.Is("input"):
			c.Input = r.String()
		default:
			r.Skip()
		}
	}
	return c
}

func readSignature(r *jsonx.Reader, t *toolCall) {
	if r.Null() {
		return
	}
	t.Extra = &extraContent{}
	for r.Object(); r.Next('}'); {
		if !r.Is("google") || r.Kind() == 'n' {
			r.Skip()
			continue
		}
		for r.Object(); r.Next('}'); {
			if r.Is("thought_signature") {
				t.Extra.Google.ThoughtSignature = r.String()
			} else {
				r.Skip()
			}
		}
	}
}

func readTool(r *jsonx.Reader, t *tool) {
	if r.Null() {
		return
	}
	var extra translate.Extra
	for r.Object(); r.Next('}'); {
		switch {
		case r.Is("type"):
			t.Type = r.String()
		case r.Is("function"):
			if !r.Null() {
				t.Function = &function{}
				readFunction(r, t.Function)
			}
		default:
			extra = append(extra, member(r))
		}
	}
	t.Rest = extra.Object()
}

func readFunction(r *jsonx.Reader, f *function) {
	if r.Null() {
		return
	}
	var extra translate.Extra
	for r.Object(); r.Next('}'); {
		switch {
		case r.Is("name"):
			f.Name = r.String()
		case r.Is("description"):
			f.Description = r.String()
		case r.Is("parameters"):
			f.Parameters = r.Value()
		case r.Is("strict"):
			f.Strict = r.BoolOpt()
		default:
			extra = append(extra, member(r))
		}
	}
	f.Rest = extra.Object()
}

// member is what stands beside what the neutral form knows.
func member(r *jsonx.Reader) translate.Member {
	name := r.Name()
	return translate.Member{Name: name, Value: r.Value()}
}
