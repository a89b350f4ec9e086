package messages_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"halley/internal/translate"
	"halley/internal/translate/chat"
	"halley/internal/translate/messages"
	"halley/test/fakeprovider"
	"halley/test/translatetest"
)

// ofAnswer is an answer's gist, without the tokens that Anthropic does not tell
// apart.
func ofAnswer(a *translate.Answer) translatetest.Gist {
	g := translatetest.OfAnswer(a)
	if g.Usage != nil {
		g.Usage.AudioIn, g.Usage.AudioOut, g.Usage.ImageIn, g.Usage.ImageOut = 0, 0, 0, 0
	}
	return g
}

func TestRecordedRequestsReachChatUpstreams(t *testing.T) {
	t.Parallel()
	var y translatetest.Tally
	for _, in := range translatetest.Recordings(t, messagesAPI) {
		if in.Request.Body == nil {
			continue
		}
		before, after, field := translatetest.Through(t, in.Request.Body, messages.Codec{}, chat.Codec{}, "gpt-5")
		if field != "" {
			y.Refuse(field)
			continue
		}
		y.Passed++
		if diff := cmp.Diff(before, after.WithoutIntroductions()); diff != "" {
			t.Errorf("%s:\n%s", in.File, diff)
		}
	}
	y.Log(t, "Messages to Chat")
}

func TestRecordedChatRequestsReachClaude(t *testing.T) {
	t.Parallel()
	var y translatetest.Tally
	for _, in := range translatetest.Recordings(t, fakeprovider.Chat) {
		if in.Request.Body == nil || in.Response.Status >= 400 {
			continue
		}
		before, after, field := translatetest.Through(t, in.Request.Body, chat.Codec{}, messages.Codec{}, "claude-sonnet-4-5")
		if field != "" {
			y.Refuse(field)
			continue
		}
		y.Passed++
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
	y.Log(t, "Chat to Messages")
}

// lossless makes stops equal that the other dialect has one word for.
func lossless(g translatetest.Gist) translatetest.Gist {
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
	if g.Usage != nil { // Chat does not tell cache writes apart by their age, nor how often the web was searched
		g.Usage.Searches = 0
		g.Usage.CacheWrite5m += g.Usage.CacheWrite1h
		g.Usage.CacheWrite1h = 0
	}
	return g
}

func TestRecordedAnswersReachChatClients(t *testing.T) {
	t.Parallel()
	var y translatetest.Tally
	for _, in := range translatetest.Recordings(t, messagesAPI) {
		if in.Response.IsSSE() || in.Response.Status != 200 {
			continue
		}
		a, err := messages.Codec{}.DecodeAnswer(in.Response.Body)
		if err != nil {
			t.Fatal(err)
		}
		y.Passed++
		if diff := cmp.Diff(lossless(ofAnswer(a)), lossless(ofAnswer(translatetest.AndBack(t, a, chat.Codec{})))); diff != "" {
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
		got, err := translatetest.Streamed(list, chat.Codec{})
		if err != nil {
			t.Errorf("%s: %v", s.file, err)
			continue
		}
		y.Passed++
		if diff := cmp.Diff(lossless(ofAnswer(a)), lossless(ofAnswer(got))); diff != "" {
			t.Errorf("%s, streamed:\n%s", s.file, diff)
		}
	}
	y.Log(t, "answers to Chat")
}

func TestRecordedChatAnswersReachMessagesClients(t *testing.T) {
	t.Parallel()
	var y translatetest.Tally
	for _, in := range translatetest.Recordings(t, fakeprovider.Chat) {
		if in.Response.Status != 200 {
			continue
		}
		if in.Response.IsSSE() {
			if chatStream(t, in) {
				y.Passed++
			}
			continue
		}
		a, err := chat.Codec{}.DecodeAnswer(in.Response.Body)
		if err != nil {
			continue // chat's own tests say which and why
		}
		y.Passed++
		if diff := cmp.Diff(alike(lossless(ofAnswer(a))), alike(lossless(ofAnswer(translatetest.AndBack(t, a, messages.Codec{}))))); diff != "" {
			t.Errorf("%s:\n%s", in.File, diff)
		}
	}
	y.Log(t, "Chat answers to Messages")
}

// alike allows for what a Messages client is told otherwise: calls make it a stop
// for tools, usage that the upstream did not tell is 0.
func alike(g translatetest.Gist) translatetest.Gist {
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
	got, err := translatetest.Streamed(list, messages.Codec{})
	if err != nil {
		t.Errorf("%s: %v", in.File, err)
		return false
	}
	if diff := cmp.Diff(alike(lossless(ofAnswer(a))), alike(lossless(ofAnswer(got)))); diff != "" {
		t.Errorf("%s, streamed:\n%s", in.File, diff)
	}
	return true
}
