package chat

import "halley/internal/jsonx"

// append writes the request's JSON. What is long in it, what is said, goes
// straight from its string to the body: encoding/json would write it, and then
// read, check and copy it again for every struct around it.
func (r *request) append(dst []byte) []byte {
	w := jsonx.Writer{Out: append(dst, '{')}
	w.Text("model", r.Model)
	list(&w, "messages", r.Messages, (*message).write)
	if len(r.Tools) > 0 {
		list(&w, "tools", r.Tools, (*tool).write)
	}
	w.Raw("tool_choice", r.ToolChoice)
	flag(&w, "parallel_tool_calls", r.ParallelToolCalls)
	if len(r.Functions) > 0 {
		list(&w, "functions", r.Functions, (*function).write)
	}
	w.Raw("function_call", r.FunctionCall)
	w.Raw("response_format", r.ResponseFormat)
	flag(&w, "stream", r.Stream)
	w.Raw("stream_options", r.StreamOptions)
	whole(&w, "max_tokens", r.MaxTokens)
	whole(&w, "max_completion_tokens", r.MaxCompletionTokens)
	w.Number("temperature", r.Temperature)
	w.Number("top_p", r.TopP)
	whole(&w, "top_k", r.TopK)
	w.Number("frequency_penalty", r.FrequencyPenalty)
	w.Number("presence_penalty", r.PresencePenalty)
	whole(&w, "seed", r.Seed)
	w.Raw("stop", r.Stop)
	whole(&w, "n", r.N)
	flag(&w, "logprobs", r.Logprobs)
	whole(&w, "top_logprobs", r.TopLogprobs)
	w.Raw("logit_bias", r.LogitBias)
	w.TextIf("verbosity", r.Verbosity)
	w.TextIf("reasoning_effort", r.ReasoningEffort)
	w.TextIf("user", r.User)
	w.TextIf("safety_identifier", r.SafetyIdentifier)
	if r.Metadata != nil {
		w.Raw("metadata", marshal(r.Metadata))
	}
	w.TextIf("prompt_cache_key", r.PromptCacheKey)
	w.TextIf("service_tier", r.ServiceTier)
	if len(r.Modalities) > 0 {
		w.Raw("modalities", marshal(r.Modalities))
	}
	w.Raw("audio", r.Audio)
	flag(&w, "store", r.Store)
	w.Raw("web_search_options", r.WebSearchOptions)
	for _, m := range r.Extra {
		w.Raw(m.Name, m.Value)
	}
	w.Close('}')
	return w.Out
}

// size is about how long the request is, so that its body need not grow.
func (r *request) size() int {
	n := 512
	for i := range r.Messages {
		m := &r.Messages[i]
		n += 128 + len(m.Content) + len(m.ReasoningContent) + len(m.ReasoningDetails)
		for _, p := range m.said {
			n += 64 + len(p.ImageURL)
			if p.Text != nil {
				n += len(*p.Text) + len(*p.Text)/32
			}
		}
		for _, c := range m.ToolCalls {
			n += 128
			if c.Function != nil {
				n += len(c.Function.Arguments) + len(c.Function.Arguments)/4
			}
		}
	}
	for i := range r.Tools {
		if f := r.Tools[i].Function; f != nil {
			n += 64 + len(f.Description) + len(f.Parameters)
		}
	}
	return n
}

func list[T any](w *jsonx.Writer, name string, all []T, write func(*T, *jsonx.Writer)) {
	w.Name(name)
	w.Open('[')
	for i := range all {
		write(&all[i], w)
	}
	w.Close(']')
}

func flag(w *jsonx.Writer, name string, value *bool) {
	if value != nil {
		w.Flag(name, *value)
	}
}

func whole(w *jsonx.Writer, name string, value *int64) {
	if value != nil {
		w.Int(name, *value)
	}
}

func (m *message) write(w *jsonx.Writer) {
	w.Open('{')
	w.TextIf("role", m.Role)
	if m.said != nil {
		w.Name("content")
		writeContent(w, m.said, m.joined)
	} else {
		w.Raw("content", m.Content)
	}
	w.TextIf("name", m.Name)
	w.TextIf("tool_call_id", m.ToolCallID)
	if len(m.ToolCalls) > 0 {
		list(w, "tool_calls", m.ToolCalls, (*toolCall).write)
	}
	if m.FunctionCall != nil {
		w.Name("function_call")
		m.FunctionCall.write(w)
	}
	w.TextIf("refusal", m.Refusal)
	w.Raw("annotations", m.Annotations)
	w.Raw("audio", m.Audio)
	w.Raw("images", m.Images)
	w.Raw("reasoning_content", m.ReasoningContent)
	w.Raw("reasoning", m.Reasoning)
	w.Raw("reasoning_details", m.ReasoningDetails)
	w.Members(m.Rest)
	w.Close('}')
}

// writeContent writes parts as a string where they are one text or, in messages
// that many servers want as a string, several.
func writeContent(w *jsonx.Writer, parts []part, joined bool) {
	switch {
	case len(parts) == 1 && parts[0].plain():
		w.String(*parts[0].Text)
	case joined && allPlain(parts):
		w.String(joinedText(parts))
	default:
		w.Value(marshal(parts))
	}
}

func (t *toolCall) write(w *jsonx.Writer) {
	w.Open('{')
	if t.Index != nil {
		w.Int("index", int64(*t.Index))
	}
	w.TextIf("id", t.ID)
	w.TextIf("type", t.Type)
	if t.Function != nil {
		w.Name("function")
		t.Function.write(w)
	}
	if t.Custom != nil {
		w.Raw("custom", marshal(t.Custom))
	}
	if t.Extra != nil {
		w.Raw("extra_content", marshal(t.Extra))
	}
	w.Members(t.Rest)
	w.Close('}')
}

func (c *called) write(w *jsonx.Writer) {
	w.Open('{')
	w.Text("name", c.Name)
	w.Text("arguments", string(c.Arguments))
	w.Close('}')
}

func (t *tool) write(w *jsonx.Writer) {
	w.Open('{')
	w.Text("type", t.Type)
	if t.Function != nil {
		w.Name("function")
		t.Function.write(w)
	}
	w.Members(t.Rest)
	w.Close('}')
}

func (f *function) write(w *jsonx.Writer) {
	w.Open('{')
	w.Text("name", f.Name)
	w.TextIf("description", f.Description)
	w.Raw("parameters", f.Parameters)
	flag(w, "strict", f.Strict)
	w.Members(f.Rest)
	w.Close('}')
}
