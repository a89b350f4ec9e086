package gemini

import (
	"errors"
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"halley/internal/jsonx"
	"halley/internal/translate"
	geminiwire "halley/internal/wire/gemini"
)

// response is an answer, or a chunk of one.
type response struct {
	candidates []candidate
	blocked    jsontext.Value // promptFeedback that says why there is no answer
	blockWord  string
	usage      jsontext.Value
	id, model  string
	created    string // RFC 3339; Vertex AI says it
	failure    jsontext.Value
	extra      translate.Extra
}

// candidate is one of its candidates.
type candidate struct {
	index     int
	parts     []wirePart
	stop      string
	grounding jsontext.Value
	citations jsontext.Value
	logprobs  jsontext.Value
	extra     translate.Extra // those three included
}

func (a *response) read(r *jsonx.Reader) {
	for r.Object(); r.Next('}'); {
		switch {
		case r.Is("candidates"):
			each(r, func() { a.candidates = append(a.candidates, readCandidate(r)) })
		case r.Is("usageMetadata"):
			a.usage = r.Raw()
		case r.Is("modelVersion"):
			a.model = r.String()
		case r.Is("responseId"):
			a.id = r.String()
		case r.Is("createTime"):
			a.created = r.String()
		case r.Is("promptFeedback"):
			a.readFeedback(r)
		case r.Is("error"):
			a.failure = r.Raw()
		default:
			a.extra = append(a.extra, member(r))
		}
	}
}

func (a *response) readFeedback(r *jsonx.Reader) {
	raw := r.Raw()
	if raw == nil {
		return
	}
	inner := jsonx.Read(raw)
	for inner.Object(); inner.Next('}'); {
		if inner.Is("blockReason") {
			a.blockWord = readWord(inner)
		} else {
			inner.Skip()
		}
	}
	if a.blockWord != "" {
		a.blocked = raw
	} else {
		a.extra = append(a.extra, translate.Member{Name: feedback, Value: raw})
	}
}

const feedback = "promptFeedback"

func readCandidate(r *jsonx.Reader) (c candidate) {
	for r.Object(); r.Next('}'); {
		switch {
		case r.Is("content"):
			if !r.Null() {
				c.readContent(r)
			}
		case r.Is("finishReason"):
			c.stop = stopName(readWord(r))
		case r.Is("index"):
			c.index = int(r.Int())
		case r.Is("groundingMetadata"):
			c.grounding = c.keep(r)
		case r.Is("citationMetadata"):
			c.citations = c.keep(r)
		case r.Is("logprobsResult"):
			c.logprobs = c.keep(r)
		default:
			c.keep(r)
		}
	}
	return c
}

func (c *candidate) keep(r *jsonx.Reader) jsontext.Value {
	m := member(r)
	c.extra = append(c.extra, m)
	return m.Value
}

func (c *candidate) readContent(r *jsonx.Reader) {
	for r.Object(); r.Next('}'); {
		if !r.Is("parts") {
			r.Skip() // the role
			continue
		}
		each(r, func() {
			var p wirePart
			p.read(r)
			c.parts = append(c.parts, p)
		})
	}
}

// searches is how many searches of the web Google charges for.
func (a *response) searches() (n int64) {
	for i := range a.candidates {
		n += geminiwire.Queries(a.candidates[i].grounding)
	}
	return geminiwire.Charged(n, a.model)
}

// DecodeAnswer implements translate.Upstream.
func (Codec) DecodeAnswer(body []byte) (*translate.Answer, error) {
	r := jsonx.Read(body)
	var in response
	in.read(r)
	if err := r.End(); err != nil {
		return nil, fmt.Errorf("read a generateContent answer: %w", err)
	}
	switch {
	case in.failure != nil:
		return nil, errors.New("read a generateContent answer: it is an error: " + translate.Clip(string(in.failure)))
	case len(in.candidates) == 0 && in.blocked == nil:
		return nil, errors.New("read a generateContent answer: it has no candidates")
	}
	out := &translate.Answer{From: translate.Gemini, ID: in.id, Model: in.model, Created: in.unix(), Extra: in.beginning()}
	if u, tier, ok := geminiwire.Usage(in.usage); ok {
		u.Searches = in.searches()
		out.Usage, out.ServiceTier = &u, tier
	}
	out.UsageRaw = in.usage
	if in.blocked != nil {
		out.Candidates = []translate.Candidate{in.refused()}
	}
	for i := range in.candidates {
		out.Candidates = append(out.Candidates, in.candidates[i].neutral(in.id))
	}
	return out, nil
}

// beginning is what an answer has that its neutral form has no place for.
func (a *response) beginning() translate.Extra {
	if a.created == "" {
		return a.extra
	}
	return append(a.extra, translate.Member{Name: "createTime", Value: jsontext.Value(strconv.Quote(a.created))})
}

func (a *response) unix() int64 {
	t, err := time.Parse(time.RFC3339Nano, a.created)
	if err != nil {
		return 0
	}
	return t.Unix()
}

// refused stands for the answer that a blocked prompt does not get.
func (a *response) refused() translate.Candidate {
	return translate.Candidate{Stop: translate.Filtered, StopWord: a.blockWord, Extra: translate.Extra{{Name: feedback, Value: a.blocked}}}
}

func (c *candidate) neutral(answerID string) translate.Candidate {
	out := translate.Candidate{Index: c.index, StopWord: c.stop, Extra: c.extra, Logprobs: openAILogprobs(c.logprobs)}
	calls := 0
	for i := range c.parts {
		part := c.parts[i].neutral()
		if call, ok := part.(*translate.ToolCall); ok && call.Server == "" {
			nameCall(call, answerID, c.index, calls)
			calls++
		}
		out.Parts = append(out.Parts, part)
	}
	out.Stop = stopOf(c.stop, calls > 0)
	cite(out.Parts, c.grounding, c.citations)
	return out
}

// nameCall gives a call that has no id one that is the same whenever the answer
// is read: of the answer's id and the call's place, or of what is called when the
// answer has no id either. It is at most 40 letters long as a rule, which is what
// OpenAI takes, and of those that Anthropic takes.
func nameCall(call *translate.ToolCall, answerID string, candidate, n int) {
	if call.ID != "" {
		return
	}
	if answerID == "" {
		sum := fnv.New64a()
		sum.Write([]byte(call.Name + call.Args))
		answerID = strconv.FormatUint(sum.Sum64(), 36)
	}
	id := "call_" + letters(answerID) + "_"
	if candidate > 0 {
		id += strconv.Itoa(candidate) + "_"
	}
	call.ID = id + strconv.Itoa(n)
	call.Extra = marked(call.Extra)
}

// letters replaces what some dialects do not take in an id.
func letters(id string) string {
	return strings.Map(func(r rune) rune {
		if r == '-' || r == '_' || r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' {
			return r
		}
		return '-'
	}, id)
}

// stops are the finish reasons of Google's two references.
var stops = [...]struct {
	word string
	stop translate.Stop
}{
	{"STOP", translate.EndOfTurn},
	{"MAX_TOKENS", translate.AtMaxOutput},
	{"SAFETY", translate.Filtered},
	{"RECITATION", translate.Filtered},
	{"OTHER", translate.Filtered}, // the answer ends early, for a reason that Google keeps
	{"LANGUAGE", translate.Filtered},
	{"BLOCKLIST", translate.Filtered},
	{"PROHIBITED_CONTENT", translate.Filtered},
	{"SPII", translate.Filtered},
	{"MODEL_ARMOR", translate.Filtered},
	{"IMAGE_SAFETY", translate.Filtered},
	{"IMAGE_PROHIBITED_CONTENT", translate.Filtered},
	{"IMAGE_RECITATION", translate.Filtered},
	{"MALFORMED_FUNCTION_CALL", translate.Broken},
	{"UNEXPECTED_TOOL_CALL", translate.Broken},
	{"TOO_MANY_TOOL_CALLS", translate.Broken},
	{"MISSING_THOUGHT_SIGNATURE", translate.Broken},
	{"MALFORMED_RESPONSE", translate.Broken},
	{"NO_IMAGE", translate.Broken},
	{"IMAGE_OTHER", translate.Broken},
}

// stopName is the word for a finish reason that came as a number, which clients
// can ask for: the numbers that both references have in common.
func stopName(word string) string {
	switch word {
	case "FINISH_REASON_UNSPECIFIED", "0":
		return ""
	case "1", "2", "3", "4", "5":
		return stops[word[0]-'1'].word
	}
	return word
}

func stopOf(word string, called bool) translate.Stop {
	if word == "STOP" && called {
		return translate.ToCallTools
	}
	for _, s := range stops {
		if s.word == word {
			return s.stop
		}
	}
	if word == "" {
		return translate.NotStopped
	}
	return translate.Filtered // a new reason; those that are no failure have been there from the start
}

// stopWord is the reason that a client of this dialect gets.
func stopWord(stop translate.Stop, word string, same bool) string {
	if same {
		return word
	}
	switch stop {
	case translate.AtMaxOutput, translate.AtContext:
		return "MAX_TOKENS"
	case translate.Filtered, translate.Refused:
		return "SAFETY"
	case translate.Broken:
		return "MALFORMED_FUNCTION_CALL"
	case translate.NotStopped, translate.EndOfTurn, translate.AtStopText, translate.ToCallTools, translate.Paused:
	}
	return "STOP"
}
