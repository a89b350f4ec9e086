package gemini

import (
	"bytes"
	"strconv"
	"strings"

	"halley/internal/fault"
	"halley/internal/jsonx"
	"halley/internal/sse"
	"halley/internal/usage"
	"halley/internal/wire"
)

// Generate is the format of {model}:generateContent and
// {model}:streamGenerateContent. The model and whether the answer is streamed
// stand in the path and come in from there.
type Generate struct {
	Model    string
	Streamed bool
	// Array says that the client reads its stream as a JSON array: it did not ask
	// for server-sent events with alt=sse. Upstreams are always asked for events.
	Array bool
}

var _ wire.Format = Generate{}

// request is a scanned body.
type request struct {
	head     wire.Head
	configAt wire.Span // the value of generationConfig
	capAt    wire.Span // of maxOutputTokens in it
	empty    bool      // there are no members
	filled   bool      // generationConfig has members
	close    int       // offset of the closing brace
}

// mediaNames are the members that carry a picture, a sound or a file.
var mediaNames = [...]string{`"inlineData"`, `"fileData"`, `"inline_data"`, `"file_data"`}

// Dialect implements wire.Format.
func (Generate) Dialect() wire.Dialect { return wire.Gemini }

// ScanRequest implements wire.Format. Members may be spelt in either of the ways
// of JSON protocol buffers.
func (g Generate) ScanRequest(body []byte) (wire.Request, error) {
	r := &request{head: wire.Head{Model: g.Model, Stream: g.Streamed, Choices: 1, IncludeUsage: true}, empty: true}
	members, ok := jsonx.Walk(body)
	if !ok {
		return nil, wire.Invalid("", "The body must be a JSON object in UTF-8.")
	}
	members.Watch(mediaNames[:])
	for {
		nameAt, at, more := members.Next()
		if !more {
			break
		}
		r.empty = false
		switch wire.Text(body[nameAt.From:nameAt.To]) {
		case "generationConfig", "generation_config":
			if r.configAt.Present() {
				return nil, wire.Invalid("generationConfig", "generationConfig is given twice.")
			}
			r.configAt = wire.Span(at)
			if err := r.config(body[at.From:at.To], at.From); err != nil {
				return nil, err
			}
		case "tools":
			r.head.Searches = wire.SearchTools(body[at.From:at.To])
		case "serviceTier", "service_tier":
			r.head.ServiceTier = tier(wire.Text(body[at.From:at.To]))
		}
	}
	if r.close, ok = members.Close(); !ok {
		return nil, wire.NotJSON()
	}
	r.head.Media = members.Seen()
	return r, nil
}

func (r *request) config(value []byte, from int) (err error) {
	if value[0] == 'n' {
		return nil
	}
	members, ok := jsonx.Walk(value)
	if !ok {
		return wire.Invalid("generationConfig", "generationConfig must be an object.")
	}
	for {
		nameAt, at, more := members.Next()
		if !more {
			return nil
		}
		r.filled = true
		v := value[at.From:at.To]
		switch wire.Text(value[nameAt.From:nameAt.To]) {
		case "maxOutputTokens", "max_output_tokens":
			if r.capAt.Present() {
				return wire.Invalid("generationConfig.maxOutputTokens", "generationConfig.maxOutputTokens is given twice.")
			}
			r.capAt = wire.Span{From: from + at.From, To: from + at.To}
			if v[0] != 'n' {
				r.head.Cap, err = number("generationConfig.maxOutputTokens", v)
			}
		case "candidateCount", "candidate_count":
			if v[0] != 'n' {
				r.head.Choices, err = number("generationConfig.candidateCount", v)
				r.head.Choices = min(max(1, r.head.Choices), wire.MaxChoices)
			}
		}
		if err != nil {
			return err
		}
	}
}

// number reads a count, which JSON protocol buffers also take as a string.
func number(name string, value []byte) (int64, error) {
	if text := wire.Text(value); text != "" {
		value = []byte(text)
	}
	return wire.Limit(name, value)
}

func tier(word string) string {
	if word == "standard" || word == "SERVICE_TIER_UNSPECIFIED" {
		return ""
	}
	return word
}

// Facts implements wire.Request.
func (r *request) Facts() *wire.Head { return &r.head }

// Edits implements wire.Request. The model stands in the path.
func (r *request) Edits(c wire.Changes) []wire.Edit {
	if c.OutputCap <= 0 {
		return nil
	}
	limit := strconv.AppendInt(nil, c.OutputCap, 10)
	member := append([]byte(`"maxOutputTokens":`), limit...)
	var edits wire.Edits
	switch {
	case r.capAt.Present():
		edits.Replace(r.capAt, limit)
	case r.filled:
		at := r.configAt.From + 1
		edits.Replace(wire.Span{From: at, To: at}, append(member, ','))
	case r.configAt.Present(): // null or empty
		edits.Replace(r.configAt, append(append([]byte{'{'}, member...), '}'))
	default:
		added := append(append([]byte(`"generationConfig":{`), member...), '}')
		if !r.empty {
			added = append([]byte{','}, added...)
		}
		edits.Replace(wire.Span{From: r.close, To: r.close}, added)
	}
	return edits
}

// ScanAnswer implements wire.Format.
func (Generate) ScanAnswer(body []byte) (a wire.Answer, ok bool) {
	members, ok := jsonx.Walk(body)
	if !ok {
		return a, false
	}
	var searches int64
	for {
		name, at, more := members.Next()
		if !more {
			_, ok = members.Close()
			a.Usage.Searches = Charged(searches, wire.Text(a.ModelAt.Of(body)))
			return a, ok
		}
		value := body[at.From:at.To]
		switch string(body[name.From:name.To]) {
		case `"candidates"`:
			searches = Searches(value)
		case `"modelVersion"`:
			if value[0] == '"' {
				a.ModelAt = wire.Span(at)
			}
		case `"usageMetadata"`:
			a.Usage, a.ServiceTier, a.HasUsage = Usage(value)
		case `"error"`:
			a.IsError = value[0] != 'n'
		}
	}
}

// Searches counts the searches of the web that candidates tell of.
func Searches(candidates []byte) (n int64) {
	if !bytes.Contains(candidates, []byte(`"webSearchQueries"`)) && !bytes.Contains(candidates, []byte(`"web_search_queries"`)) {
		return 0
	}
	for c := range wire.Elements(candidates) {
		n += Queries(wire.Get(c, "groundingMetadata")) + Queries(wire.Get(c, "grounding_metadata"))
	}
	return n
}

// Queries counts the searches of the web that a candidate's groundingMetadata
// tells of.
func Queries(grounding []byte) (n int64) {
	if len(grounding) == 0 {
		return 0
	}
	for _, name := range []string{"webSearchQueries", "web_search_queries"} {
		for range wire.Elements(wire.Get(grounding, name)) {
			n++
		}
	}
	return n
}

// Charged is how many searches Google charges for: each from Gemini 3 on, and
// before that each answer that searched.
func Charged(searches int64, model string) int64 {
	name := model[strings.LastIndexByte(model, '/')+1:]
	if strings.HasPrefix(name, "gemini-1") || strings.HasPrefix(name, "gemini-2") {
		return min(searches, 1)
	}
	return searches
}

// OutputText implements wire.Format.
func (Generate) OutputText(body []byte) (text wire.TextBytes) {
	wire.CountStrings(wire.Get(body, "candidates"), &text, "text", "args", "code")
	return text
}

// Usage brings a usageMetadata object into Halley's terms; ok is false when it
// says nothing. Thoughts stand beside the candidates' tokens, and what tools put
// into the prompt beside the prompt's.
func Usage(value []byte) (t usage.Tokens, serviceTier string, ok bool) {
	var prompt, tools, cached, candidates, thoughts wire.Count
	for name, v := range wire.Members(value) {
		switch string(name) {
		case `"promptTokenCount"`:
			ok = true
			prompt.Read(v)
		case `"toolUsePromptTokenCount"`:
			tools.Read(v)
		case `"cachedContentTokenCount"`:
			cached.Read(v)
		case `"candidatesTokenCount"`, `"responseTokenCount"`:
			ok = true
			candidates.Read(v)
		case `"thoughtsTokenCount"`:
			thoughts.Read(v)
		case `"promptTokensDetails"`:
			t.AudioIn, t.ImageIn = modalities(v)
		case `"candidatesTokensDetails"`:
			t.AudioOut, t.ImageOut = modalities(v)
		case `"serviceTier"`:
			serviceTier = tier(wire.Text(v))
		}
	}
	t.Prompt = prompt.Tokens + tools.Tokens
	t.CachedRead = cached.Tokens
	t.Completion = candidates.Tokens + thoughts.Tokens
	t.Reasoning = thoughts.Tokens
	return t, serviceTier, ok
}

// modalities adds up the tokens of sounds and pictures. Most lists have text
// alone, and every chunk of a stream has such lists.
func modalities(value []byte) (audio, image int64) {
	if !bytes.Contains(value, []byte("AUDIO")) && !bytes.Contains(value, []byte("IMAGE")) {
		return 0, 0
	}
	for v := range wire.Elements(value) {
		var n wire.Count
		n.Read(wire.Get(v, "tokenCount"))
		switch wire.Text(wire.Get(v, "modality")) {
		case "AUDIO":
			audio += n.Tokens
		case "IMAGE":
			image += n.Tokens
		}
	}
	return audio, image
}

// Error implements wire.Format.
func (Generate) Error(f *fault.Error, requestID string) []byte { return Error(f, requestID) }

// Stream implements wire.Format.
func (g Generate) Stream(o wire.StreamOptions) wire.Stream {
	s := &stream{o: o, array: g.Array}
	if o.Rename {
		s.rename = wire.Quote(o.Model)
	}
	return s
}

// stream is one streamed answer on its way through. Its chunks are metered and
// not validated.
type stream struct {
	o      wire.StreamOptions
	array  bool
	opened bool // of the array
	rename []byte
	p      wire.Progress

	searches int64 // so far
}

// Progress implements wire.Stream.
func (s *stream) Progress() *wire.Progress { return &s.p }

// ContentType implements wire.Stream.
func (s *stream) ContentType() string {
	if s.array {
		return "application/json"
	}
	return ""
}

// Complete implements wire.Stream.
func (*stream) Complete(rest []byte) bool {
	data, ok := sse.Data(rest)
	if !ok {
		data, ok = sse.Bare(rest)
	}
	if !ok {
		return false
	}
	_, whole := Generate{}.ScanAnswer(data)
	return whole
}

// Take implements wire.Stream.
func (s *stream) Take(out, event []byte) []byte {
	from, to, ok := sse.DataSpan(event)
	if !ok {
		return s.bare(out, event)
	}
	data := event[from:to]
	a, ok := Generate{}.ScanAnswer(data)
	if ok {
		s.meter(data, a)
	}
	if s.rename != nil && a.ModelAt.Present() {
		at := wire.Span{From: from + a.ModelAt.From, To: from + a.ModelAt.To}
		if !s.array {
			return wire.Apply(out, event, []wire.Edit{{At: at, With: s.rename}})
		}
		return wire.Apply(s.next(out), data, []wire.Edit{{At: a.ModelAt, With: s.rename}})
	}
	if s.array {
		return append(s.next(out), data...)
	}
	return append(out, event...)
}

// bare takes what has no data: a comment, which has no place in an array, or an
// error, which Google writes without a field's name.
func (s *stream) bare(out, event []byte) []byte {
	object, ok := sse.Bare(event)
	if ok {
		a, whole := Generate{}.ScanAnswer(object)
		s.p.Failed = s.p.Failed || whole && a.IsError
		ok = whole
	}
	switch {
	case !s.array:
		return append(out, event...)
	case ok:
		return append(s.next(out), object...)
	}
	return out
}

// next begins the array, or its next element.
func (s *stream) next(out []byte) []byte {
	if s.opened {
		return append(out, ",\r\n"...)
	}
	s.opened = true
	return append(out, '[')
}

func (s *stream) meter(data []byte, a wire.Answer) {
	s.p.Failed = s.p.Failed || a.IsError
	if a.ServiceTier != "" {
		s.p.Tier = a.ServiceTier
	}
	s.output(data)
	s.searches = max(s.searches, a.Usage.Searches) // they come once
	if a.HasUsage {
		a.Usage.Searches = s.searches
		s.p.Report(a.Usage)
	}
}

// output counts a chunk's output. It goes from string to string, so that nothing
// inside a text is mistaken for a member.
func (s *stream) output(data []byte) {
	before := s.p.Text.Total()
	for i := 0; i < len(data); {
		quote := bytes.IndexByte(data[i:], '"')
		if quote < 0 {
			break
		}
		from := i + quote
		to := wire.StringEnd(data, from)
		value := wire.AfterColon(data, to+1)
		if value < 0 { // a string that is no member's name
			i = to + 1
			continue
		}
		i = value
		switch first := data[value]; string(data[from+1 : to]) {
		case "text", "code":
			if first == '"' {
				end := wire.StringEnd(data, value)
				s.p.Text.Count(data[value+1 : end])
				i = end + 1
			}
		case "args":
			if first == '{' {
				i = wire.ValueEnd(data, value)
				s.p.Text.Count(data[value:i])
			}
		case "finishReason", "blockReason": // of a candidate, or of the prompt
			if first == '"' {
				s.p.Finished++
			}
		}
	}
	if s.p.Text.Total() > before {
		s.p.Chunks++
	}
}

// AppendEnd implements wire.Stream.
func (s *stream) AppendEnd(out []byte) []byte {
	switch {
	case !s.array:
		return out
	case s.opened:
		return append(out, ']')
	}
	return append(out, "[]"...)
}

// AppendLengthEnd implements wire.Stream.
func (s *stream) AppendLengthEnd(out []byte, tokens *usage.Tokens) []byte {
	out = s.begin(out)
	out = append(out, `{"candidates":[`...)
	for i := range max(1, s.o.Choices) {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, `{"content":{"role":"model","parts":[]},"finishReason":"MAX_TOKENS","index":`...)
		out = strconv.AppendInt(out, i, 10)
		out = append(out, '}')
	}
	out = append(out, ']')
	if tokens != nil {
		out = append(out, `,"usageMetadata":{"promptTokenCount":`...)
		out = strconv.AppendInt(out, tokens.Prompt, 10)
		out = append(out, `,"candidatesTokenCount":`...)
		out = strconv.AppendInt(out, tokens.Completion-tokens.Reasoning, 10)
		if tokens.Reasoning > 0 {
			out = append(out, `,"thoughtsTokenCount":`...)
			out = strconv.AppendInt(out, tokens.Reasoning, 10)
		}
		out = append(out, `,"totalTokenCount":`...)
		out = strconv.AppendInt(out, tokens.Prompt+tokens.Completion, 10)
		out = append(out, '}')
	}
	out = append(out, `,"modelVersion":`...)
	out = append(out, wire.Quote(s.o.Model)...)
	return s.end(append(out, '}'))
}

// AppendFault implements wire.Stream.
func (s *stream) AppendFault(out []byte, f *fault.Error, requestID string) []byte {
	if !s.array {
		return AppendError(out, Error(f, requestID))
	}
	return s.end(append(s.begin(out), Error(f, requestID)...))
}

// begin begins a last event of our own.
func (s *stream) begin(out []byte) []byte {
	if s.array {
		return s.next(out)
	}
	return append(out, "data: "...)
}

func (s *stream) end(out []byte) []byte {
	if s.array {
		return append(out, ']')
	}
	return append(out, "\r\n\r\n"...)
}

// Count implements wire.Counter, for {model}:countTokens.
func (Generate) Count(tokens int64) []byte {
	return append(strconv.AppendInt([]byte(`{"totalTokens":`), tokens, 10), '}')
}
