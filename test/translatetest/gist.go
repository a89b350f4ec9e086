// Package translatetest is what the tests of the dialects share: what of a
// conversation or an answer must get through another dialect, and ways there and
// back.
package translatetest

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"halley/internal/translate"
	"halley/internal/translate/messages"
	"halley/test/fakeprovider"
)

// Gist is what must get through another dialect.
type Gist struct {
	System, User, Assistant string   // all words, without white space
	Calls                   []string // id, name and arguments
	Results                 []string // id and words
	Media                   []string
	Stop                    translate.Stop
	Usage                   *translate.Usage
}

// OfConversation is the gist of a request.
func OfConversation(c *translate.Conversation) (g Gist) {
	for _, m := range c.Messages {
		g.take(m.Role, m.Parts)
	}
	return g
}

// OfAnswer is the gist of an answer's first candidate.
func OfAnswer(a *translate.Answer) (g Gist) {
	if len(a.Candidates) == 0 {
		return g
	}
	g.take(translate.Assistant, a.Candidates[0].Parts)
	g.Stop = a.Candidates[0].Stop
	if a.Usage != nil {
		g.Usage = new(*a.Usage)
	}
	return g
}

func (g *Gist) take(role translate.Role, parts []translate.Part) {
	for _, p := range parts {
		switch p := p.(type) {
		case *translate.Text:
			g.say(role, p.Text)
		case *translate.Refusal:
			g.say(role, p.Text)
		case *translate.ToolCall:
			if p.Server == "" {
				g.Calls = append(g.Calls, p.ID+" "+p.Name+" "+canonical(p.Args))
			}
		case *translate.ToolResult:
			if p.Server != "" {
				continue
			}
			var inner Gist
			inner.take(translate.User, p.Parts)
			g.Results = append(g.Results, p.CallID+" "+inner.User)
			g.Media = append(g.Media, inner.Media...)
		case *translate.Media:
			if p.Thought {
				continue
			}
			if text := textIn(p); text != "" { // a document that is text is words to those without documents
				g.say(role, text)
				continue
			}
			g.Media = append(g.Media, strings.TrimRight(p.Data, "=")+p.URL)
		}
	}
}

// WithoutNames takes the names of a request's text documents out, which stand
// before their words at upstreams without documents.
func (g Gist) WithoutNames(c *translate.Conversation) Gist {
	for _, m := range c.Messages {
		for _, p := range m.Parts {
			if doc, ok := p.(*translate.Media); ok && doc.Name != "" && textIn(doc) != "" {
				g.User = strings.Replace(g.User, squeeze(doc.Name)+":", "", 1)
			}
		}
	}
	return g
}

func textIn(m *translate.Media) string {
	if m.Kind != translate.Document || !strings.HasPrefix(m.MIME, "text/") || m.Data == "" {
		return m.Text
	}
	text, err := base64.StdEncoding.DecodeString(m.Data)
	if err != nil {
		return ""
	}
	return string(text)
}

func (g *Gist) say(role translate.Role, text string) {
	switch role {
	case translate.System, translate.Developer:
		g.System += squeeze(text)
	case translate.User:
		g.User += squeeze(text)
	case translate.Assistant:
		g.Assistant += squeeze(text)
	}
}

func squeeze(s string) string { return strings.Join(strings.Fields(s), "") }

// canonical is JSON without the order and spacing of its writer.
func canonical(text string) string {
	var v any
	if text == "" {
		return "{}"
	}
	if json.Unmarshal([]byte(text), &v) != nil {
		return text
	}
	out, err := json.Marshal(v)
	if err != nil {
		return text
	}
	return string(out)
}

// introduced are the words with which media that a tool gave stand in a message
// of the user's, for upstreams whose tools give text alone.
var introduced = regexp.MustCompile(`Whatthetoolcall[\w.:-]+shows:`)

// WithoutIntroductions takes those words out, and the one that says that a tool
// failed, where upstreams have no other way to tell.
func (g Gist) WithoutIntroductions() Gist {
	g.User = introduced.ReplaceAllString(g.User, "")
	for i := range g.Results {
		g.Results[i] = strings.Replace(g.Results[i], " Error:", " ", 1)
	}
	return g
}

// inJSON is what upstreams without a JSON mode are told in place of one.
const inJSON = "AnswerwithoneJSONobjectandnothingelse:nocodefenceandnowordsaroundit."

// Fitted allows for what has to be said otherwise at some upstreams: words beside
// a document, something in place of an empty result, a wish for JSON, ids within
// an alphabet.
func (g Gist) Fitted() Gist {
	g.User = strings.ReplaceAll(g.User, "Seethedocument.", "")
	g.System = strings.TrimSuffix(g.System, inJSON)
	g.Results, g.Calls = slices.Clone(g.Results), slices.Clone(g.Calls)
	for i, r := range g.Results {
		id, words, _ := strings.Cut(strings.TrimSuffix(r, "(nothing)"), " ")
		g.Results[i] = fittedID(id) + " " + words
	}
	for i, c := range g.Calls {
		id, rest, _ := strings.Cut(c, " ")
		name, args, _ := strings.Cut(rest, " ")
		g.Calls[i] = fittedID(id) + " " + name + " " + unwrapped(args)
	}
	slices.Sort(g.Results) // they come first in their turn, each in its place
	return g
}

// unwrapped takes what is no object, free text or what a model broke off, out of
// the one member that it goes in where arguments must be an object.
func unwrapped(args string) string {
	var o map[string]any
	if json.Unmarshal([]byte(args), &o) != nil || len(o) != 1 {
		return args
	}
	for _, name := range []string{"input", "arguments"} {
		if text, ok := o[name].(string); ok {
			return canonical(text)
		}
	}
	return args
}

// fittedID is an id within the alphabet, and one for all that are too long: which
// is whose, the codecs' own tests say.
func fittedID(id string) string {
	fitted := messages.CallID(id)
	hash := strings.HasPrefix(fitted, "hly_") && len(fitted) == 47 || len(fitted) == 64
	if len(fitted) > 64 || hash {
		return "long"
	}
	return fitted
}

// OneWord makes stops equal that one of the two dialects has one word for, and
// forgets which tokens were of what kind of media or cache.
func (g Gist) OneWord() Gist {
	switch g.Stop {
	case translate.AtStopText, translate.Paused, translate.NotStopped, translate.EndOfTurn:
		g.Stop = translate.EndOfTurn
		if len(g.Calls) > 0 {
			g.Stop = translate.ToCallTools
		}
	case translate.AtContext:
		g.Stop = translate.AtMaxOutput
	case translate.Filtered:
		g.Stop = translate.Refused
	case translate.AtMaxOutput, translate.ToCallTools, translate.Refused, translate.Broken:
	}
	u := translate.Usage{}
	if g.Usage != nil {
		u = *g.Usage
	}
	g.Usage = &translate.Usage{
		Prompt: u.Prompt, CachedRead: min(u.CachedRead, u.Prompt), Completion: u.Completion, Reasoning: min(u.Reasoning, u.Completion),
	}
	return g
}

// Through sends a request from one dialect to another and back, and gives the
// gists of both. refused is the field that the other refuses.
func Through(t *testing.T, body []byte, near translate.Client, far translate.Codec, model string) (before, after Gist, refused string) {
	t.Helper()
	c, err := near.DecodeRequest(body)
	if err != nil {
		t.Fatal(err)
	}
	out, err := far.EncodeRequest(c, translate.Target{Model: model})
	if no, ok := errors.AsType[*translate.Unsupported](err); ok {
		return before, after, no.Field
	}
	if err != nil {
		t.Fatal(err)
	}
	back, err := far.DecodeRequest(out)
	if err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	return OfConversation(c), OfConversation(back), ""
}

// AndBack writes an answer for a client of the far dialect, and reads it again.
func AndBack(t *testing.T, a *translate.Answer, far translate.Codec) *translate.Answer {
	t.Helper()
	out, err := far.EncodeAnswer(&translate.Conversation{Model: a.Model, IncludeUsage: true}, a)
	if err != nil {
		t.Fatal(err)
	}
	back, err := far.DecodeAnswer(out)
	if err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	return back
}

// Recordings are the recorded exchanges of the APIs.
func Recordings(t testing.TB, apis ...string) []fakeprovider.Interaction {
	t.Helper()
	return fakeprovider.Fixtures(t).MustLoad(t, fakeprovider.OfAPI(apis...))
}

// Parse is a JSON text as Go values.
func Parse(t testing.TB, text []byte) any {
	t.Helper()
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatalf("not JSON: %v\n%s", err, text)
	}
	return v
}

// Streamed writes events for a client of the far dialect, and reads them again.
func Streamed(list []translate.Event, far translate.Codec) (*translate.Answer, error) {
	out := Written(far.EncodeStream(&translate.Conversation{IncludeUsage: true, Stream: true}), list)
	again, err := Events(far.DecodeStream(), out)
	if err != nil {
		return nil, err
	}
	return Whole(again)
}

// Events reads an SSE body.
func Events(d translate.StreamDecoder, body []byte) ([]translate.Event, error) {
	list, err := OfSSE(body)
	if err != nil {
		return nil, err
	}
	return Run(d, list)
}

// Whole puts events together; what did not end well is an error.
func Whole(list []translate.Event) (*translate.Answer, error) {
	got, done, fault := Assembled(list)
	switch {
	case fault != nil:
		return nil, errors.New(fault.Message)
	case !done:
		return nil, errors.New("the stream is not whole")
	}
	return got, nil
}

// Tally counts what got through, and what was refused by which name.
type Tally struct {
	Passed  int
	Refused map[string]int
}

// Refuse counts one.
func (y *Tally) Refuse(field string) {
	if y.Refused == nil {
		y.Refused = map[string]int{}
	}
	y.Refused[field]++
}

// Log prints it. That nothing got through is an error.
func (y *Tally) Log(t *testing.T, what string) {
	t.Helper()
	if y.Passed == 0 {
		t.Errorf("%s: nothing got through", what)
	}
	t.Logf("%s: %d through", what, y.Passed)
	for _, field := range slices.Sorted(maps.Keys(y.Refused)) {
		t.Logf("  %d refused for %s", y.Refused[field], field)
	}
}
