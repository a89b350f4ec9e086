// Package anthropic is Anthropic's Messages dialect on the wire: what a request
// asks for, what an answer and a stream's events say about usage, and the shape
// of errors. Facts are from Anthropic's published API reference and from recorded
// traffic. It does no I/O.
package anthropic

import (
	"strconv"

	"halley/internal/fault"
	"halley/internal/jsonx"
	"halley/internal/usage"
	"halley/internal/wire"
)

// Messages is the format of POST /v1/messages; it has no state.
type Messages struct{}

var _ wire.Format = Messages{}

// request is a scanned body.
type request struct {
	head        wire.Head
	modelAt     wire.Span // the value with its quotes
	maxTokensAt wire.Span
	close       int // offset of the closing brace
}

// Dialect implements wire.Format.
func (Messages) Dialect() wire.Dialect { return wire.Anthropic }

// mediaNames are the members that carry a picture or a document.
var mediaNames = [...]string{`"source"`}

// ScanRequest implements wire.Format.
func (Messages) ScanRequest(body []byte) (wire.Request, error) {
	r := &request{head: wire.Head{Choices: 1}}
	var err error
	names := wire.Names{"model", "stream", "max_tokens", "metadata", "service_tier", "tools"}
	r.close, r.head.Media, err = wire.Scan(body, names, mediaNames[:], r.take)
	if err != nil {
		return nil, err
	}
	if !r.modelAt.Present() {
		return nil, wire.Invalid("model", "model is required.")
	}
	return r, nil
}

func (r *request) take(name string, value []byte, at wire.Span) (err error) {
	switch name {
	case "model":
		r.modelAt = at
		r.head.Model, err = wire.ModelName(value)
	case "stream":
		r.head.Stream, err = wire.Flag(name, value)
	case "max_tokens":
		r.maxTokensAt = at
		if value[0] != 'n' {
			r.head.Cap, err = wire.Limit(name, value)
		}
	case "metadata":
		r.head.EndUser = wire.Text(wire.Get(value, "user_id"))
	case "service_tier":
		r.head.ServiceTier = tier(wire.Text(value))
	case "tools":
		r.head.Searches = wire.SearchTools(value)
	}
	return err
}

// tier leaves out the words that stand for no certain price.
func tier(word string) string {
	switch word {
	case "auto", "standard", "standard_only":
		return ""
	}
	return word
}

// Facts implements wire.Request.
func (r *request) Facts() *wire.Head { return &r.head }

// Edits implements wire.Request. Usage need not be asked for.
func (r *request) Edits(c wire.Changes) []wire.Edit {
	var edits wire.Edits
	if c.Model != "" && c.Model != r.head.Model {
		edits.Replace(r.modelAt, wire.Quote(c.Model))
	}
	if c.OutputCap > 0 {
		edits.Set(r.maxTokensAt, r.close, "max_tokens", strconv.AppendInt(nil, c.OutputCap, 10))
	}
	return edits.InOrder()
}

// ScanAnswer implements wire.Format.
func (Messages) ScanAnswer(body []byte) (a wire.Answer, ok bool) {
	members, ok := jsonx.Walk(body)
	if !ok {
		return a, false
	}
	for {
		name, at, more := members.Next()
		if !more {
			_, ok = members.Close()
			return a, ok
		}
		value := body[at.From:at.To]
		switch string(body[name.From:name.To]) {
		case `"type"`:
			a.IsError = a.IsError || wire.Text(value) == "error"
		case `"error"`: // whoever writes it
			a.IsError = a.IsError || value[0] != 'n'
		case `"model"`:
			if value[0] == '"' {
				a.ModelAt = wire.Span(at)
			}
		case `"usage"`:
			if u := new(Usage); u.Read(value) {
				a.Usage, a.HasUsage, a.ServiceTier = u.Tokens(), true, u.Tier
			}
		}
	}
}

// OutputText implements wire.Format.
func (Messages) OutputText(body []byte) (text wire.TextBytes) {
	wire.CountStrings(wire.Get(body, "content"), &text, "text", "thinking", "input")
	return text
}

// Usage is the dialect's usage object. In a stream it comes in parts, of which
// each replaces the members that it has. The input excludes what caches were
// read from and written to.
type Usage struct {
	Input, Output, Thinking    wire.Count
	CacheRead, CacheWrite      wire.Count
	CacheWrite5m, CacheWrite1h wire.Count
	Searches                   wire.Count // server_tool_use.web_search_requests
	Tier                       string
	beside                     usage.Tokens // iterations that the rest leaves out
}

// Read takes the members of a usage object; false when it is none.
func (u *Usage) Read(value []byte) bool {
	seen := false
	for name, v := range wire.Members(value) {
		seen = true
		switch string(name) {
		case `"input_tokens"`:
			u.Input.Read(v)
		case `"output_tokens"`:
			u.Output.Read(v)
		case `"output_tokens_details"`:
			for name, v := range wire.Members(v) {
				if string(name) == `"thinking_tokens"` {
					u.Thinking.Read(v)
				}
			}
		case `"cache_read_input_tokens"`:
			u.CacheRead.Read(v)
		case `"cache_creation_input_tokens"`:
			u.CacheWrite.Read(v)
		case `"cache_creation"`:
			for name, v := range wire.Members(v) {
				switch string(name) {
				case `"ephemeral_5m_input_tokens"`:
					u.CacheWrite5m.Read(v)
				case `"ephemeral_1h_input_tokens"`:
					u.CacheWrite1h.Read(v)
				}
			}
		case `"server_tool_use"`:
			for name, v := range wire.Members(v) {
				if string(name) == `"web_search_requests"` {
					u.Searches.Read(v)
				}
			}
		case `"service_tier"`:
			u.Tier = tier(wire.Text(v))
		case `"iterations"`:
			u.readIterations(v)
		}
	}
	return seen
}

// readIterations adds up the iterations that the totals leave out: compactions
// of the context and the advice of other models.
func (u *Usage) readIterations(value []byte) {
	u.beside = usage.Tokens{}
	for v := range wire.Elements(value) {
		switch wire.Text(wire.Get(v, "type")) {
		case "compaction", "advisor_message":
			var one Usage
			one.Read(v)
			t := one.Tokens()
			u.beside.Prompt += t.Prompt
			u.beside.CachedRead += t.CachedRead
			u.beside.CacheWrite5m += t.CacheWrite5m
			u.beside.CacheWrite1h += t.CacheWrite1h
			u.beside.Completion += t.Completion
		}
	}
}

// Tokens is the usage in Halley's terms.
func (u *Usage) Tokens() usage.Tokens {
	t := u.beside
	write1h := u.CacheWrite1h.Tokens
	write5m := max(u.CacheWrite5m.Tokens, u.CacheWrite.Tokens-write1h) // the split may be missing
	t.Prompt += u.Input.Tokens + u.CacheRead.Tokens + write5m + write1h
	t.CachedRead += u.CacheRead.Tokens
	t.CacheWrite5m += write5m
	t.CacheWrite1h += write1h
	t.Completion += u.Output.Tokens
	t.Reasoning += u.Thinking.Tokens
	t.Searches = u.Searches.Tokens
	return t
}

// Error implements wire.Format.
func (Messages) Error(f *fault.Error, requestID string) []byte { return Error(f, requestID) }

// Count implements wire.Counter, for POST /v1/messages/count_tokens.
func (Messages) Count(tokens int64) []byte {
	return append(strconv.AppendInt([]byte(`{"input_tokens":`), tokens, 10), '}')
}
