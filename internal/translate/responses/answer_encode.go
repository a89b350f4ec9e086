package responses

import (
	"bytes"
	"cmp"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"halley/internal/jsonx"
	"halley/internal/translate"
)

// EncodeAnswer implements translate.Client. It writes the first candidate: the
// dialect cannot ask for more. The error is for output that its model spoiled.
func (Codec) EncodeAnswer(c *translate.Conversation, a *translate.Answer) ([]byte, error) {
	var candidate translate.Candidate
	if len(a.Candidates) > 0 {
		candidate = a.Candidates[0]
	}
	same := a.From == translate.Responses
	if candidate.Stop == translate.Broken && !same {
		return nil, errBroken
	}
	o := newOutput(a.ID, same)
	s := shown{
		id: a.ID, model: a.Model, created: a.Created, tier: a.ServiceTier, status: candidate.StopWord,
		output: o.items(candidate.Parts, candidate.Logprobs), usage: a.UsageRaw, same: same, extra: a.Extra,
	}
	if !same {
		s.adapt(c, candidate.Stop, a.Usage)
	}
	return s.append(make([]byte, 0, 2048)), nil
}

// shown is a response as it is written.
type shown struct {
	id, model, tier, status string
	incomplete              string // why, with the status incomplete
	created                 int64
	output                  []jsontext.Value
	usage                   jsontext.Value // nil: null
	failure                 *translate.Failure
	// same says that the response is of this dialect; then extra is what it says
	// besides. Echo is what another says of its request.
	same  bool
	extra translate.Extra
	echo  []byte
}

// adapt makes the response of another dialect one of this.
func (s *shown) adapt(c *translate.Conversation, stop translate.Stop, u *translate.Usage) {
	s.id = responseID(s.id)
	s.created = cmp.Or(s.created, c.Received)
	s.status, s.incomplete = statusOf(stop)
	s.same, s.extra, s.usage, s.echo = false, nil, nil, echo(c)
	if u != nil {
		s.usage = usageObject(*u)
	}
}

// responseID makes an id of this dialect's look of another's.
func responseID(id string) string {
	if strings.HasPrefix(id, "resp_") {
		return id
	}
	return "resp_" + bare(id)
}

// bare is an id without the word that says what it is of.
func bare(id string) string {
	for _, prefix := range []string{"chatcmpl-", "msg_", "resp_"} {
		if rest, ok := strings.CutPrefix(id, prefix); ok {
			return rest
		}
	}
	return id
}

// append writes the response.
func (s *shown) append(dst []byte) []byte {
	w := jsonx.Writer{Out: append(dst, '{')}
	w.Text("id", s.id)
	if !s.same {
		w.Text("object", "response")
	}
	w.Int("created_at", s.created)
	w.TextIf("status", s.status)
	w.Text("model", s.model)
	w.Name("output")
	w.Open('[')
	for _, item := range s.output {
		w.Value(item)
	}
	w.Close(']')
	if s.usage == nil {
		w.Null("usage")
	} else {
		w.Raw("usage", s.usage)
	}
	w.TextIf("service_tier", s.tier)
	if s.same {
		writeExtra(&w, s.extra)
		w.Close('}')
		return w.Out
	}
	if s.failure == nil {
		w.Null("error")
	} else {
		w.Raw("error", errorValue(s.failure))
	}
	if s.incomplete == "" {
		w.Null("incomplete_details")
	} else {
		w.Name("incomplete_details")
		w.Open('{')
		w.Text("reason", s.incomplete)
		w.Close('}')
	}
	if len(s.echo) > 0 {
		w.Out = append(append(w.Out, ','), s.echo...)
	}
	w.Close('}')
	return w.Out
}

// echo is what a response says of the request that it answers: members without
// the braces around them.
func echo(c *translate.Conversation) []byte {
	var w jsonx.Writer
	w.Open('{')
	w.Flag("background", false)
	said := jsontext.Value("null")
	for i := range c.Messages {
		if name, value := aside(&c.Messages[i]); name == instructions {
			said = value
		}
	}
	w.Raw(instructions, said)
	whole(&w, "max_output_tokens", c.MaxOutput)
	whole(&w, "max_tool_calls", c.MaxServerCalls)
	w.Flag("parallel_tool_calls", c.ParallelTools == nil || *c.ParallelTools)
	textOrNull(&w, "previous_response_id", c.PreviousResponse)
	textOrNull(&w, "prompt_cache_key", c.CacheKey)
	w.Name("reasoning")
	w.Open('{')
	effort, summary := "", ""
	if c.Reasoning != nil {
		effort, summary = c.Reasoning.EffortWord(), c.Reasoning.Summary
	}
	textOrNull(&w, "effort", effort)
	textOrNull(&w, "summary", summary)
	w.Close('}')
	user, safety := c.EndUser, ""
	if c.Fields[translate.FeatureEndUser] == "safety_identifier" {
		user, safety = "", user
	}
	textOrNull(&w, "safety_identifier", safety)
	stored := c.Kept
	if stored == nil {
		stored = c.Store
	}
	w.Flag("store", stored == nil || *stored)
	number(&w, "temperature", c.Temperature)
	w.Name("text")
	w.Open('{')
	format, err := formatOf(c, c.From == translate.Responses)
	if err != nil || format == nil {
		format = jsontext.Value(`{"type":"text"}`)
	}
	w.Raw("format", format)
	w.Text("verbosity", cmp.Or(c.Verbosity, "medium"))
	w.Close('}')
	choice := jsontext.Value(`"auto"`)
	if c.ToolChoice != nil {
		choice = choiceValue(c, c.From == translate.Responses)
	}
	w.Raw("tool_choice", choice)
	w.Name("tools")
	w.Open('[')
	if c.From == translate.Responses {
		for i := range c.Tools {
			writeOwnTool(&w, &c.Tools[i])
		}
	}
	w.Close(']')
	w.Int("top_logprobs", value(c.TopLogprobs))
	number(&w, "top_p", c.TopP)
	truncation := c.Extra.Get("truncation")
	if truncation == nil {
		truncation = jsontext.Value(`"disabled"`)
	}
	w.Raw("truncation", truncation)
	textOrNull(&w, "user", user)
	w.Name("metadata")
	if len(c.Metadata) == 0 {
		w.Value(jsontext.Value("{}"))
	} else {
		w.Value(marshal(c.Metadata))
	}
	return w.Out[1:]
}

func textOrNull(w *jsonx.Writer, name, s string) {
	if s == "" {
		w.Null(name)
		return
	}
	w.Text(name, s)
}

func whole(w *jsonx.Writer, name string, n *int64) {
	if n == nil {
		w.Null(name)
		return
	}
	w.Int(name, *n)
}

func number(w *jsonx.Writer, name string, f *float64) {
	if f == nil {
		w.Null(name)
		return
	}
	w.Number(name, f)
}

func value(n *int64) int64 {
	if n == nil {
		return 0
	}
	return *n
}

// usageObject writes usage in the dialect's words.
func usageObject(u translate.Usage) jsontext.Value {
	var w jsonx.Writer
	w.Open('{')
	w.Int("input_tokens", u.Prompt)
	w.Name("input_tokens_details")
	w.Open('{')
	w.Int("cached_tokens", u.CachedRead)
	if written := u.CacheWrite5m + u.CacheWrite1h; written > 0 {
		w.Int("cache_write_tokens", written)
	}
	w.Close('}')
	w.Int("output_tokens", u.Completion)
	w.Name("output_tokens_details")
	w.Open('{')
	w.Int("reasoning_tokens", u.Reasoning)
	w.Close('}')
	w.Int("total_tokens", u.Prompt+u.Completion)
	w.Close('}')
	return w.Out
}

// output makes the items of an output.
type output struct {
	base string // of the ids that are made
	n    int64  // items so far
	same bool   // they are of this dialect
}

func newOutput(id string, same bool) output { return output{base: bare(id), same: same} }

// id makes the next item's id.
func (o *output) id(prefix string) string {
	id := prefix + o.base + "_" + strconv.FormatInt(o.n, 10)
	o.n++
	return id
}

// items are the parts as items: a message for all that is said without anything
// else in between.
func (o *output) items(parts []translate.Part, logprobs jsontext.Value) (items []jsontext.Value) {
	for i := 0; i < len(parts); {
		n := o.run(parts[i:])
		if n == 0 {
			items = append(items, o.item(parts[i])...)
			i++
			continue
		}
		var contents []jsontext.Value
		for _, p := range parts[i : i+n] {
			contents = append(contents, o.content(p, find(logprobs, "content")))
			if _, ok := p.(*translate.Text); ok {
				logprobs = nil // which are those of the whole
			}
		}
		items = append(items, messageValue(o.head(parts[i]), "completed", contents))
		i += n
	}
	return items
}

// run is how many of the parts are one message.
func (o *output) run(parts []translate.Part) (n int) {
	for _, p := range parts {
		switch p.(type) {
		case *translate.Text, *translate.Refusal:
		default:
			return n
		}
		if o.same && n > 0 && !bytes.Equal(headOf(p), headOf(parts[0])) {
			return n
		}
		n++
	}
	return n
}

// head is what the message that begins with the part says besides its content.
func (o *output) head(p translate.Part) translate.Extra {
	if o.same {
		if head := headOf(p); head != nil {
			return translate.ExtraOf(head)
		}
	}
	return translate.Extra{{Name: "id", Value: marshal(o.id("msg_"))}}
}

// messageValue is a message item; status stands where the head has none.
func messageValue(head translate.Extra, status string, contents []jsontext.Value) jsontext.Value {
	var w jsonx.Writer
	w.Open('{')
	w.Text("type", messageItem)
	writeExtra(&w, head)
	if head.Get("status") == nil {
		w.Text("status", status)
	}
	w.Text("role", "assistant")
	w.Name("content")
	w.Open('[')
	for _, c := range contents {
		w.Value(c)
	}
	w.Close(']')
	w.Close('}')
	return w.Out
}

// content is a content part of a message.
func (o *output) content(p translate.Part, logprobs jsontext.Value) jsontext.Value {
	switch p := p.(type) {
	case *translate.Refusal:
		var w jsonx.Writer
		w.Open('{')
		w.Text("type", "refusal")
		w.Text("refusal", p.Text)
		if o.same {
			writeExtra(&w, p.Extra)
		}
		w.Close('}')
		return w.Out
	case *translate.Text:
		if o.same {
			return textValue(p.Text, p.Citations, p.Extra, true)
		}
		return textValue(p.Text, p.Citations, with(nil, "logprobs", logprobs), false)
	}
	return nil
}

// textValue is an output_text.
func textValue(text string, cited []translate.Citation, extra translate.Extra, same bool) jsontext.Value {
	w := jsonx.Writer{Out: make([]byte, 0, len(text)+96)}
	w.Open('{')
	w.Text("type", "output_text")
	w.Text("text", text)
	w.Name("annotations")
	writeAnnotations(&w, cited, same)
	if extra.Get("logprobs") == nil {
		w.Raw("logprobs", jsontext.Value("[]"))
	}
	writeExtra(&w, extra)
	w.Close('}')
	return w.Out
}

// item is a part that is an item of its own, with the item before it that
// carries a foreign signature of it; none for what the dialect does not show.
func (o *output) item(p translate.Part) (items []jsontext.Value) {
	switch p := p.(type) {
	case *translate.Thinking:
		return []jsontext.Value{o.reasoning(p)}
	case *translate.ToolCall:
		if p.Server != "" {
			if v := o.serverCall(p); v != nil {
				items = append(items, v)
			}
			return items
		}
		if t := o.carrier(p); t != nil {
			items = append(items, o.reasoning(t))
		}
		if p.Search {
			return append(items, o.search(p))
		}
		return append(items, o.call(p, o.callID(p), p.Args, "completed"))
	case *translate.Media:
		if v := o.image(p); v != nil {
			items = append(items, v)
		}
	case *translate.Other:
		if o.same {
			items = append(items, p.Raw)
		}
	}
	return items
}

// carrier is the reasoning that takes a foreign signature of a call through
// clients of this dialect; nil when there is none. See pickUp.
func (o *output) carrier(c *translate.ToolCall) *translate.Thinking {
	if c.Signature == "" || o.same {
		return nil
	}
	return &translate.Thinking{Signature: c.Signature, Origin: translate.Gemini, ID: c.ID}
}

// reasoning is a reasoning item, with thoughts as a summary.
func (o *output) reasoning(t *translate.Thinking) jsontext.Value {
	id := t.ID
	if !o.same || id == "" {
		id = o.id("rs_")
	}
	summary := t.Summary
	if len(summary) == 0 && t.Text != "" && t.Extra.Get("content") == nil {
		summary = []string{t.Text}
	}
	var extra translate.Extra
	if o.same {
		extra = t.Extra
	}
	return reasoningValue(id, summary, t.Carry(translate.Responses), extra)
}

func reasoningValue(id string, summary []string, sealed string, extra translate.Extra) jsontext.Value {
	var w jsonx.Writer
	w.Open('{')
	w.Text("type", reasoningItem)
	w.Text("id", id)
	writeSummary(&w, summary)
	w.TextIf("encrypted_content", sealed)
	writeExtra(&w, extra)
	w.Close('}')
	return w.Out
}

// callID is the id of a call's item, which is not the call's own.
func (o *output) callID(c *translate.ToolCall) string {
	switch {
	case o.same && c.ItemID != "":
		return c.ItemID
	case c.Custom:
		return o.id("ctc_")
	}
	return o.id("fc_")
}

// call is an item of a call that the client is to run.
func (o *output) call(c *translate.ToolCall, id, args, status string) jsontext.Value {
	kind, member := functionCall, "arguments"
	switch {
	case c.Custom:
		kind, member = customCall, "input"
	case args == "" && !o.same && status == "completed":
		args = "{}" // which clients parse
	}
	var w jsonx.Writer
	w.Open('{')
	w.Text("type", kind)
	w.Text("id", id)
	if !o.same || c.Extra.Get("status") == nil {
		w.Text("status", status)
	}
	w.Text("call_id", c.ID)
	w.Text("name", c.Name)
	w.TextIf("namespace", c.Namespace)
	w.Text(member, args)
	if o.same {
		writeExtra(&w, c.Extra)
	}
	w.Close('}')
	return w.Out
}

// search is an item of a search for tools that the client is to run. Its
// arguments are an object.
func (o *output) search(c *translate.ToolCall) jsontext.Value {
	if raw := c.Extra.Get(rawItem); o.same && raw != nil {
		return raw
	}
	args := jsontext.Value(c.Args)
	if args.Kind() != '{' || !args.IsValid() {
		args = jsontext.Value("{}")
	}
	var w jsonx.Writer
	w.Open('{')
	w.Text("type", toolSearchCall)
	w.Text("id", o.id("tsc_"))
	w.Text("status", "completed")
	w.Text("call_id", c.ID)
	w.Text("execution", byClient)
	w.Raw("arguments", args)
	w.Close('}')
	return w.Out
}

// serverCall is an item of a call that the provider has run; nil for what the
// dialect has no item for.
func (o *output) serverCall(c *translate.ToolCall) jsontext.Value {
	if raw := c.Extra.Get(rawItem); o.same && raw != nil {
		return raw
	}
	args := jsontext.Value(c.Args)
	var w jsonx.Writer
	w.Open('{')
	switch c.Server {
	case translate.WebSearch, translate.WebFetch:
		w.Text("type", webSearchCall)
		w.Text("id", o.id("ws_"))
		w.Text("status", "completed")
		w.Name("action")
		w.Open('{')
		if url := member(args, "url"); c.Server == translate.WebFetch || url != "" {
			w.Text("type", "open_page")
			w.Text("url", url)
		} else {
			w.Text("type", "search")
			w.Text("query", member(args, "query"))
		}
		w.Close('}')
	case translate.CodeExecution:
		w.Text("type", interpreterCall)
		w.Text("id", o.id("ci_"))
		w.Text("status", "completed")
		w.Text("code", cmp.Or(member(args, "code"), member(args, "command")))
		w.Text("container_id", "")
		w.Null("outputs")
	case translate.Function, translate.Custom, translate.MCP, translate.Namespace, translate.ToolSearch, translate.OtherTool:
		return nil
	}
	w.Close('}')
	return w.Out
}

// image is an image that the model made; nil for other media, which the dialect
// does not give.
func (o *output) image(m *translate.Media) jsontext.Value {
	if o.same && m.Raw != nil {
		return m.Raw
	}
	if m.Kind != translate.Image || m.Data == "" || m.Thought {
		return nil
	}
	var w jsonx.Writer
	w.Open('{')
	w.Text("type", imageCall)
	w.Text("id", o.id("ig_"))
	w.Text("status", "completed")
	w.TextIf("output_format", strings.TrimPrefix(m.MIME, "image/"))
	w.Text("result", m.Data)
	w.Close('}')
	return w.Out
}

// errorValue is the error of a response that failed.
func errorValue(f *translate.Failure) jsontext.Value {
	var w jsonx.Writer
	w.Open('{')
	w.Text("code", failureCode(f))
	w.Text("message", f.Message)
	w.Close('}')
	return w.Out
}

// failureCode is the code of a response's error.
func failureCode(f *translate.Failure) string {
	if f.Code != "" {
		return f.Code
	}
	switch f.Kind {
	case translate.RateLimited:
		return "rate_limit_exceeded"
	case translate.Payment:
		return "insufficient_quota"
	case translate.BadRequest, translate.TooLarge:
		return "invalid_prompt"
	case translate.Unauthorized, translate.Forbidden, translate.NotFound, translate.Conflict, translate.Internal, translate.Unavailable, translate.Timeout, translate.Overloaded:
	}
	return "server_error"
}
