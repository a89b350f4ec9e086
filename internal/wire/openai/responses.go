package openai

import (
	"bytes"
	"strconv"

	"halley/internal/fault"
	"halley/internal/jsonx"
	"halley/internal/sse"
	"halley/internal/usage"
	"halley/internal/wire"
)

// Responses is the format of POST /v1/responses; it has no state.
type Responses struct{}

var _ wire.Format = Responses{}

// responsesRequest is a scanned body.
type responsesRequest struct {
	head        wire.Head
	modelAt     wire.Span // the value with its quotes
	maxOutputAt wire.Span
	maxCalls    int64 // of tools that the provider runs
	inputAt     wire.Span
	close       int // offset of the closing brace
	previousAt  wire.Span
	previous    string // previous_response_id
	discard     bool   // "store": false
}

// responsesMedia are the members that carry a picture, a sound or a file.
var responsesMedia = [...]string{`"image_url"`, `"file_data"`, `"file_url"`, `"file_id"`, `"input_audio"`}

// Dialect implements wire.Format.
func (Responses) Dialect() wire.Dialect { return wire.OpenAI }

// ScanRequest implements wire.Format.
func (Responses) ScanRequest(body []byte) (wire.Request, error) {
	r := &responsesRequest{head: wire.Head{Choices: 1, IncludeUsage: true}}
	var err error
	names := wire.Names{"model", "stream", "max_output_tokens", "background", "service_tier", "user", "safety_identifier", "prompt_cache_key", "metadata", "input", "store", "previous_response_id", "tools", "max_tool_calls"}
	r.close, r.head.Media, err = wire.Scan(body, names, responsesMedia[:], r.take)
	if err != nil {
		return nil, err
	}
	if !r.modelAt.Present() {
		return nil, wire.Invalid("model", "model is required.")
	}
	if r.maxCalls > 0 && r.head.Searches > 0 {
		r.head.Searches = min(r.maxCalls, wire.MaxChoices)
	}
	return r, nil
}

func (r *responsesRequest) take(name string, value []byte, at wire.Span) (err error) {
	switch name {
	case "model":
		r.modelAt = at
		r.head.Model, err = wire.ModelName(value)
	case "stream":
		r.head.Stream, err = wire.Flag(name, value)
	case "max_output_tokens":
		r.maxOutputAt = at
		if value[0] != 'n' {
			r.head.Cap, err = wire.Limit(name, value)
		}
	case "background":
		var on bool
		if on, err = wire.Flag(name, value); on {
			err = wire.Invalid(name, "background responses are not offered here: their cost would not be known when the request ends.")
		}
	case "service_tier":
		r.head.ServiceTier = wire.Text(value)
	case "user":
		r.head.EndUser = wire.Text(value)
	case "prompt_cache_key":
		r.head.CacheKeyAt = at
	case "metadata":
		r.head.MetadataAt = at
	case "tools":
		r.head.Searches = wire.SearchTools(value)
	case "max_tool_calls":
		if value[0] != 'n' {
			r.maxCalls, err = wire.Limit(name, value)
		}
	case "input":
		r.inputAt = at
	case "store":
		if value[0] != 'n' {
			var store bool
			store, err = wire.Flag(name, value)
			r.discard = !store
		}
	case "previous_response_id":
		if value[0] != '"' && value[0] != 'n' {
			return wire.Invalid(name, "%s must be a string.", name)
		}
		r.previousAt, r.previous = at, wire.Text(value)
	case "safety_identifier":
		if r.head.EndUser == "" {
			r.head.EndUser = wire.Text(value)
		}
	}
	return err
}

// Facts implements wire.Request.
func (r *responsesRequest) Facts() *wire.Head { return &r.head }

// Edits implements wire.Request. Usage need not be asked for.
func (r *responsesRequest) Edits(c wire.Changes) []wire.Edit {
	var edits wire.Edits
	if c.Model != "" && c.Model != r.head.Model {
		edits.Replace(r.modelAt, wire.Quote(c.Model))
	}
	if c.OutputCap > 0 {
		edits.Set(r.maxOutputAt, r.close, "max_output_tokens", strconv.AppendInt(nil, c.OutputCap, 10))
	}
	return edits.InOrder()
}

// ScanAnswer implements wire.Format.
func (Responses) ScanAnswer(body []byte) (a wire.Answer, ok bool) {
	members, ok := jsonx.Walk(body)
	if !ok {
		return a, false
	}
	object, searches := false, int64(0)
	for {
		name, at, more := members.Next()
		if !more {
			_, ok = members.Close()
			a.Usage.Searches = searches
			a.IsError = a.IsError && !object // a response that failed is one that can be billed
			return a, ok
		}
		value := body[at.From:at.To]
		switch string(body[name.From:name.To]) {
		case `"object"`:
			object = true
		case `"model"`:
			if value[0] == '"' {
				a.ModelAt = wire.Span(at)
			}
		case `"usage"`:
			if u, ok := ResponsesUsage(value); ok {
				a.Usage, a.HasUsage = u, true
			}
		case `"output"`:
			searches = outputSearches(value)
		case `"error"`:
			a.IsError = value[0] != 'n'
		case `"service_tier"`:
			a.ServiceTier = wire.Text(value)
		}
	}
}

// OutputText implements wire.Format.
func (Responses) OutputText(body []byte) (text wire.TextBytes) {
	wire.CountStrings(wire.Get(body, "output"), &text, "text", "arguments", "refusal", "input")
	return text
}

// outputSearches counts the searches of the web in a response's output.
func outputSearches(output []byte) (n int64) {
	if !bytes.Contains(output, []byte(searchCall)) {
		return 0
	}
	for item := range wire.Elements(output) {
		n += Searches(item)
	}
	return n
}

// searchCall is the type of an item of a search of the web.
const searchCall = "web_search_call"

// Searches is 1 for an item that is a search of the web, 0 for others. Pages that
// are opened and looked through are not charged.
func Searches(item []byte) int64 {
	if wire.Text(wire.Get(item, "type")) != searchCall {
		return 0
	}
	if action := wire.Text(wire.Get(wire.Get(item, "action"), "type")); action != "" && action != "search" {
		return 0
	}
	return 1
}

// ResponsesUsage brings the usage object of a response into Halley's terms; ok
// is false when it says nothing.
func ResponsesUsage(value []byte) (t usage.Tokens, ok bool) {
	var input, output, cached, reasoning, written wire.Count
	for name, v := range wire.Members(value) {
		switch string(name) {
		case `"input_tokens"`:
			ok = true
			input.Read(v)
		case `"output_tokens"`:
			ok = true
			output.Read(v)
		case `"input_tokens_details"`:
			readDetails(v, detailNames{{`"cached_tokens"`, &cached}, {`"cache_write_tokens"`, &written}})
		case `"output_tokens_details"`:
			readDetails(v, detailNames{{`"reasoning_tokens"`, &reasoning}})
		}
	}
	return usage.Tokens{
		Prompt: input.Tokens, CachedRead: cached.Tokens, CacheWrite5m: written.Tokens, Completion: output.Tokens, Reasoning: reasoning.Tokens,
	}, ok
}

// Stream implements wire.Format.
func (Responses) Stream(o wire.StreamOptions) wire.Stream {
	s := &responsesStream{o: o, sequence: -1}
	if o.Rename {
		s.rename = wire.Quote(o.Model)
	}
	return s
}

// Error implements wire.Format.
func (Responses) Error(f *fault.Error, requestID string) []byte { return Error(f, requestID) }

// responsesStream is one streamed response on its way through. Its events are
// metered and not validated.
type responsesStream struct {
	o        wire.StreamOptions
	rename   []byte
	p        wire.Progress
	sequence int64 // the last sequence_number, -1 before the first
	id       string
	created  int64
}

// Progress implements wire.Stream.
func (s *responsesStream) Progress() *wire.Progress { return &s.p }

// Complete implements wire.Stream.
func (*responsesStream) Complete(rest []byte) bool {
	from, to, ok := sse.DataSpan(rest)
	if !ok {
		return false
	}
	_, whole := Responses{}.ScanAnswer(rest[from:to])
	return whole
}

// Take implements wire.Stream.
func (s *responsesStream) Take(out, event []byte) []byte {
	from, to, ok := sse.DataSpan(event)
	if !ok {
		return append(out, event...)
	}
	data := event[from:to]
	members, ok := jsonx.Walk(data)
	if !ok {
		return append(out, event...) // [DONE], which some servers send
	}
	var kind, response, delta wire.Span
	var failure bool
	for {
		name, at, more := members.Next()
		if !more {
			break
		}
		switch string(data[name.From:name.To]) {
		case `"type"`:
			kind = wire.Span(at)
		case `"sequence_number"`:
			s.sequence, _ = strconv.ParseInt(string(data[at.From:at.To]), 10, 64)
		case `"delta"`:
			delta = wire.Span(at)
		case `"response"`:
			response = wire.Span(at)
		case `"error"`:
			failure = data[at.From] != 'n'
		}
	}
	switch word := kind.Of(data); {
	case len(word) == 0: // as proxies write their errors
		s.p.Failed = s.p.Failed || failure
	case bytes.HasSuffix(word, []byte(`.delta"`)):
		if text := delta.Of(data); len(text) > 2 && text[0] == '"' {
			s.p.Text.Count(text[1 : len(text)-1])
			s.p.Chunks++
		}
		return append(out, event...)
	case string(word) == `"response.completed"`, string(word) == `"response.incomplete"`:
		s.p.Done, s.p.Finished = true, 1
	case string(word) == `"response.failed"`:
		s.p.Done, s.p.Failed = true, true
	case string(word) == `"error"`:
		s.p.Failed = true
	}
	if !response.Present() {
		return append(out, event...)
	}
	if edit, ok := s.response(response.Of(data), from+response.From); ok {
		return wire.Apply(out, event, []wire.Edit{edit})
	}
	return append(out, event...)
}

// response reads the response that some events carry; at is where it stands in
// the event. ok is false when nothing is to be edited.
func (s *responsesStream) response(value []byte, at int) (edit wire.Edit, ok bool) {
	a, _ := Responses{}.ScanAnswer(value)
	if a.HasUsage {
		s.p.Report(a.Usage)
	}
	if a.ServiceTier != "" && a.ServiceTier != "auto" {
		s.p.Tier = a.ServiceTier
	}
	if s.id == "" {
		s.id = wire.Text(wire.Get(value, "id"))
		s.created, _ = strconv.ParseInt(string(wire.Get(value, "created_at")), 10, 64)
	}
	if s.rename == nil || !a.ModelAt.Present() {
		return edit, false
	}
	return wire.Edit{At: wire.Span{From: at + a.ModelAt.From, To: at + a.ModelAt.To}, With: s.rename}, true
}

// ContentType implements wire.Stream.
func (*responsesStream) ContentType() string { return "" }

// AppendEnd implements wire.Stream.
func (*responsesStream) AppendEnd(out []byte) []byte { return out }

// AppendLengthEnd implements wire.Stream. What has been written so far is not
// repeated: its memory is not kept.
func (s *responsesStream) AppendLengthEnd(out []byte, tokens *usage.Tokens) []byte {
	out = append(out, "event: response.incomplete\ndata: {\"type\":\"response.incomplete\",\"sequence_number\":"...)
	out = strconv.AppendInt(out, s.sequence+1, 10)
	out = append(out, `,"response":{"id":`...)
	out = append(out, wire.Quote(s.id)...)
	out = append(out, `,"object":"response","created_at":`...)
	out = strconv.AppendInt(out, s.created, 10)
	out = append(out, `,"status":"incomplete","error":null,"incomplete_details":{"reason":"max_output_tokens"},"model":`...)
	out = append(out, wire.Quote(s.o.Model)...)
	out = append(out, `,"output":[],"parallel_tool_calls":true,"tool_choice":"auto","tools":[],"metadata":{},"usage":`...)
	if tokens == nil {
		out = append(out, "null"...)
	} else {
		for _, part := range []struct {
			text  string
			count int64
		}{
			{`{"input_tokens":`, tokens.Prompt}, {`,"input_tokens_details":{"cached_tokens":`, tokens.CachedRead}, {`},"output_tokens":`, tokens.Completion},
			{`,"output_tokens_details":{"reasoning_tokens":`, tokens.Reasoning}, {`},"total_tokens":`, tokens.Prompt + tokens.Completion},
		} {
			out = strconv.AppendInt(append(out, part.text...), part.count, 10)
		}
		out = append(out, '}')
	}
	return append(out, "}}\n\n"...)
}

// AppendFault implements wire.Stream.
func (s *responsesStream) AppendFault(out []byte, f *fault.Error, requestID string) []byte {
	body := struct {
		Type     string  `json:"type"`
		Code     string  `json:"code"`
		Message  string  `json:"message"`
		Param    *string `json:"param"`
		Sequence int64   `json:"sequence_number"`
	}{Type: "error", Code: f.Code, Message: f.Message + " (request id: " + requestID + ")", Sequence: s.sequence + 1}
	text, err := jsonx.Marshal(body)
	if err != nil { // strings only: cannot happen unless one is not UTF-8
		text = []byte(`{"type":"error","code":"internal_error","message":"Something went wrong on our side.","param":null}`)
	}
	out = append(out, "event: error\ndata: "...)
	out = append(out, text...)
	return append(out, "\n\n"...)
}
