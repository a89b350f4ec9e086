package messages_test

import (
	"encoding/json"
	"errors"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"halley/internal/translate"
	"halley/internal/translate/chat"
	"halley/internal/translate/messages"
	"halley/test/fakeprovider"
)

// gist is what must get through another dialect.
type gist struct {
	System, User, Assistant string   // all words, without white space
	Calls                   []string // id, name and arguments
	Results                 []string // id and words
	Media                   []string
	Stop                    translate.Stop
	Usage                   *translate.Usage
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
	out, _ := json.Marshal(v)
	return string(out)
}

func (g *gist) take(role translate.Role, parts []translate.Part) {
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
			var inner gist
			inner.take(translate.User, p.Parts)
			g.Results = append(g.Results, p.CallID+" "+inner.User)
			g.Media = append(g.Media, inner.Media...)
		case *translate.Media:
			if p.Text != "" { // a document that is text is words to those without documents
				g.say(role, p.Text)
				continue
			}
			g.Media = append(g.Media, p.Data+p.URL)
		}
	}
}

func (g *gist) say(role translate.Role, text string) {
	switch role {
	case translate.System, translate.Developer:
		g.System += squeeze(text)
	case translate.User:
		g.User += squeeze(text)
	case translate.Assistant:
		g.Assistant += squeeze(text)
	}
}

func ofConversation(c *translate.Conversation) (g gist) {
	for _, m := range c.Messages {
		g.take(m.Role, m.Parts)
	}
	return g
}

func ofAnswer(a *translate.Answer) (g gist) {
	if len(a.Candidates) == 0 {
		return g
	}
	g.take(translate.Assistant, a.Candidates[0].Parts)
	g.Stop = a.Candidates[0].Stop
	if a.Usage != nil {
		u := *a.Usage
		u.AudioIn, u.AudioOut, u.ImageIn, u.ImageOut = 0, 0, 0, 0 // Anthropic does not tell them apart
		g.Usage = &u
	}
	return g
}

// through sends a request from one dialect to another and back, and gives the
// gists of both. refused is the field that the other refuses.
func through(t *testing.T, body []byte, near, far translate.Codec, model string) (before, after gist, refused string) {
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
	return ofConversation(c), ofConversation(back), ""
}

// introduced are the words with which media that a tool gave stand in a message
// of the user's, for upstreams whose tools give text alone.
var introduced = regexp.MustCompile(`Whatthetoolcall\w+shows:`)

// report says how many got through, and what was refused by which name.
func report(t *testing.T, what string, through int, refused map[string]int) {
	t.Helper()
	t.Logf("%s: %d through", what, through)
	for _, field := range slices.Sorted(maps.Keys(refused)) {
		t.Logf("  %d refused for %s", refused[field], field)
	}
}

func TestRecordedRequestsReachChatUpstreams(t *testing.T) {
	t.Parallel()
	passed, refused := 0, map[string]int{}
	for _, in := range recordings(t, messagesAPI) {
		if in.Request.Body == nil {
			continue
		}
		before, after, field := through(t, in.Request.Body, messages.Codec{}, chat.Codec{}, "gpt-5")
		if field != "" {
			refused[field]++
			continue
		}
		passed++
		after.User = introduced.ReplaceAllString(after.User, "")
		if diff := cmp.Diff(before, after); diff != "" {
			t.Errorf("%s:\n%s", in.File, diff)
		}
	}
	report(t, "Messages to Chat", passed, refused)
}

func TestRecordedChatRequestsReachClaude(t *testing.T) {
	t.Parallel()
	passed, refused := 0, map[string]int{}
	for _, in := range recordings(t, fakeprovider.Chat) {
		if in.Request.Body == nil || in.Response.Status >= 400 {
			continue
		}
		before, after, field := through(t, in.Request.Body, chat.Codec{}, messages.Codec{}, "claude-sonnet-4-5")
		if field != "" {
			refused[field]++
			continue
		}
		passed++
		if strings.HasPrefix(after.System, before.System+"AnswerwithoneJSONobject") {
			after.System = before.System
		}
		if before.User == "" && after.User == before.System { // a conversation of system text alone
			before.User, before.System = before.System, ""
		}
		if diff := cmp.Diff(before, after); diff != "" {
			t.Errorf("%s:\n%s", in.File, diff)
		}
	}
	report(t, "Chat to Messages", passed, refused)
}

// andBack writes an answer for a client of the far dialect, and reads it again.
func andBack(t *testing.T, a *translate.Answer, far translate.Codec) *translate.Answer {
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

// andBackStreamed is andBack for a stream.
func andBackStreamed(t *testing.T, list []translate.Event, far translate.Codec) (*translate.Answer, error) {
	t.Helper()
	enc := far.EncodeStream(&translate.Conversation{IncludeUsage: true, Stream: true})
	var out []byte
	for _, e := range list {
		out = enc.Encode(out, e)
	}
	d := far.DecodeStream()
	var a translate.Assembler
	for _, data := range events(t, out) {
		if err := d.Decode("", data, a.Add); err != nil {
			return nil, err
		}
	}
	if err := d.End(a.Add); err != nil {
		return nil, err
	}
	got, _, _ := a.Answer()
	return got, nil
}

// lossless makes stops equal that the other dialect has one word for.
func lossless(g gist) gist {
	switch g.Stop {
	case translate.AtStopText, translate.Paused:
		g.Stop = translate.EndOfTurn
	case translate.EndOfTurn:
		if len(g.Calls) > 0 { // of code that Claude ran, and that has gone on
			g.Stop = translate.ToCallTools
		}
	case translate.AtContext:
		g.Stop = translate.AtMaxOutput
	case translate.Filtered:
		g.Stop = translate.Refused
	}
	if g.Usage != nil { // Chat does not tell cache writes apart by their age
		g.Usage.CacheWrite5m += g.Usage.CacheWrite1h
		g.Usage.CacheWrite1h = 0
	}
	return g
}

func TestRecordedAnswersReachChatClients(t *testing.T) {
	t.Parallel()
	passed := 0
	for _, in := range recordings(t, messagesAPI) {
		if in.Response.IsSSE() || in.Response.Status != 200 {
			continue
		}
		a, err := messages.Codec{}.DecodeAnswer(in.Response.Body)
		if err != nil {
			t.Fatal(err)
		}
		passed++
		if diff := cmp.Diff(lossless(ofAnswer(a)), lossless(ofAnswer(andBack(t, a, chat.Codec{})))); diff != "" {
			t.Errorf("%s:\n%s", in.File, diff)
		}
	}
	for _, s := range streams(t) {
		list, err := run(s)
		if err != nil {
			continue
		}
		var whole translate.Assembler
		for _, e := range list {
			whole.Add(e)
		}
		a, _, _ := whole.Answer()
		got, err := andBackStreamed(t, list, chat.Codec{})
		if err != nil {
			t.Errorf("%s: %v", s.file, err)
			continue
		}
		passed++
		if diff := cmp.Diff(lossless(ofAnswer(a)), lossless(ofAnswer(got))); diff != "" {
			t.Errorf("%s, streamed:\n%s", s.file, diff)
		}
	}
	report(t, "answers to Chat", passed, nil)
}

func TestRecordedChatAnswersReachMessagesClients(t *testing.T) {
	t.Parallel()
	passed := 0
	for _, in := range recordings(t, fakeprovider.Chat) {
		if in.Response.Status != 200 {
			continue
		}
		if in.Response.IsSSE() {
			if chatStream(t, in) {
				passed++
			}
			continue
		}
		a, err := chat.Codec{}.DecodeAnswer(in.Response.Body)
		if err != nil {
			continue // chat's own tests say which and why
		}
		passed++
		if diff := cmp.Diff(alike(lossless(ofAnswer(a))), alike(lossless(ofAnswer(andBack(t, a, messages.Codec{}))))); diff != "" {
			t.Errorf("%s:\n%s", in.File, diff)
		}
	}
	report(t, "Chat answers to Messages", passed, nil)
}

// alike allows for what a Messages client is told otherwise: calls make it a stop
// for tools, usage that the upstream did not tell is 0.
func alike(g gist) gist {
	if len(g.Calls) > 0 && (g.Stop == translate.EndOfTurn || g.Stop == translate.NotStopped) {
		g.Stop = translate.ToCallTools
	}
	if g.Stop == translate.NotStopped {
		g.Stop = translate.EndOfTurn
	}
	if g.Usage == nil {
		g.Usage = &translate.Usage{}
	}
	g.Usage.CacheWrite5m = min(g.Usage.CacheWrite5m, g.Usage.Prompt-g.Usage.CachedRead) // some count it as read, too
	g.Media = nil                                                                       // a Messages answer has none
	return g
}

func chatStream(t *testing.T, in fakeprovider.Interaction) bool {
	t.Helper()
	d := chat.Codec{}.DecodeStream()
	var list []translate.Event
	emit := func(e translate.Event) { list = append(list, e) }
	for _, data := range events(t, in.Response.Body) {
		if d.Decode("", data, emit) != nil {
			return false
		}
	}
	if d.End(emit) != nil {
		return false
	}
	var whole translate.Assembler
	for _, e := range list {
		whole.Add(e)
	}
	a, done, fault := whole.Answer()
	if !done || fault != nil {
		return false
	}
	checkGrammar(t, in.File, streamed(list...))
	got, err := andBackStreamed(t, list, messages.Codec{})
	if err != nil {
		t.Errorf("%s: %v", in.File, err)
		return false
	}
	if diff := cmp.Diff(alike(lossless(ofAnswer(a))), alike(lossless(ofAnswer(got)))); diff != "" {
		t.Errorf("%s, streamed:\n%s", in.File, diff)
	}
	return true
}
