package exchange_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"halley/internal/exchange"
	"halley/internal/fault"
	"halley/internal/translate"
	"halley/internal/translate/chat"
	"halley/internal/translate/gemini"
	"halley/internal/translate/messages"
	"halley/internal/usage"
	"halley/internal/wire"
)

// across is a Messages client's request at a chat upstream.
func across(t *testing.T, body string) *exchange.Across {
	t.Helper()
	client := messages.Codec{}
	c, err := client.DecodeRequest([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return &exchange.Across{Conversation: c, Client: client, Upstream: chat.Codec{}, Model: "public"}
}

const ask = `{"model":"public","max_tokens":100,"stream":true,"messages":[{"role":"user","content":"Hi"}]}`

// take passes events through a stream.
func take(s wire.Stream, events ...string) string {
	var out []byte
	for _, e := range events {
		out = s.Take(out, []byte("data: "+e+"\n\n"))
	}
	return string(out)
}

const (
	first  = `{"id":"c1","model":"up","choices":[{"index":0,"delta":{"role":"assistant","content":"Hel"},"finish_reason":null}]}`
	second = `{"id":"c1","model":"up","choices":[{"index":0,"delta":{"content":"lo"},"finish_reason":null}]}`
	stop   = `{"id":"c1","model":"up","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`
	used   = `{"id":"c1","model":"up","choices":[],"usage":{"prompt_tokens":7,"completion_tokens":2,"total_tokens":9}}`
)

func TestAStreamIsTranslatedMeteredAndNamedAfterThePublicModel(t *testing.T) {
	t.Parallel()
	s := across(t, ask).Stream()
	out := take(s, first, second, stop, used, "[DONE]")
	p := s.Progress()
	if !p.Done || p.Failed || p.Finished != 1 || p.Chunks != 2 || p.Text.Total() != 5 || p.Usage != (usage.Tokens{Prompt: 7, Completion: 2}) {
		t.Errorf("%+v", p)
	}
	for _, want := range []string{`event: message_start`, `"model":"public"`, `"text":"Hel"`, `"text":"lo"`, `"stop_reason":"end_turn"`, `"output_tokens":2`, "event: message_stop"} {
		if !strings.Contains(out, want) {
			t.Errorf("%s is missing in %s", want, out)
		}
	}
	if rest := s.AppendEnd(nil); len(rest) != 0 {
		t.Errorf("after the end: %s", rest)
	}
}

func TestAStreamThatBreaksOffIsNeverAnEnd(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		events []string
		end    func(s wire.Stream) []byte
	}{
		"a finish_reason and no [DONE] is one": {[]string{first, stop}, func(s wire.Stream) []byte { return s.AppendEnd(nil) }},
		"no finish_reason":                     {[]string{first}, func(s wire.Stream) []byte { return s.AppendEnd(nil) }},
		"something that cannot be read":        {[]string{first, `{"choices":[`}, func(wire.Stream) []byte { return nil }},
		"an error of the upstream's":           {[]string{first, `{"error":{"message":"Overloaded","code":"x"}}`}, func(wire.Stream) []byte { return nil }},
		"a fault of ours": {[]string{first}, func(s wire.Stream) []byte {
			return s.AppendFault(nil, fault.New(fault.BadGateway, "upstream_error", "It broke off."), "req-1")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := across(t, ask).Stream()
			out := take(s, c.events...) + string(c.end(s))
			whole := strings.HasSuffix(name, "is one")
			if strings.Contains(out, "event: message_stop") != whole || strings.Contains(out, "event: error") == whole {
				t.Error(out)
			}
			if again := s.AppendFault(nil, fault.New(fault.BadGateway, "x", "Again."), ""); len(again) != 0 {
				t.Errorf("told twice: %s", again)
			}
			if after := take(s, second); after != "" {
				t.Errorf("after the end: %s", after)
			}
		})
	}
}

func TestAStreamThatIsCutAtItsLengthEndsInItsDialect(t *testing.T) {
	t.Parallel()
	s := across(t, ask).Stream()
	out := take(s, first) + string(s.AppendLengthEnd(nil, &usage.Tokens{Prompt: 7, Completion: 1}))
	for _, want := range []string{"event: content_block_stop", `"stop_reason":"max_tokens"`, `"output_tokens":1`, "event: message_stop"} {
		if !strings.Contains(out, want) {
			t.Errorf("%s is missing in %s", want, out)
		}
	}
}

func TestARequestIsBoundNamedAndToldWhatItLost(t *testing.T) {
	t.Parallel()
	x := across(t, `{"model":"public","max_tokens":100,"top_k":5,"messages":[{"role":"user","content":"Hi"}]}`)
	body, dropped, err := x.Body(wire.Changes{Model: "up", OutputCap: 17}, 4096)
	if err != nil || !strings.Contains(string(body), `"model":"up"`) || !strings.Contains(string(body), `"max_tokens":17`) {
		t.Errorf("%s, %v", body, err)
	}
	if len(dropped) != 1 || dropped[0] != "top_k" {
		t.Errorf("dropped %v", dropped)
	}
	if _, again, _ := x.Body(wire.Changes{Model: "up"}, 0); len(again) != 1 {
		t.Errorf("another attempt is told %v", again)
	}
}

func TestFaultsOfCodecsNameTheMember(t *testing.T) {
	t.Parallel()
	f := fault.From(exchange.Fault(translate.Unsupport("tools[0]", "No.")))
	if f.Kind != fault.Malformed || f.Code != "unsupported_parameter" || f.Param != "tools[0]" {
		t.Errorf("%+v", f)
	}
	f = fault.From(exchange.Fault(translate.Malform("messages[1].role", "No.")))
	if f.Kind != fault.Malformed || f.Code != "invalid_request" || f.Param != "messages[1].role" {
		t.Errorf("%+v", f)
	}
}

func TestAnAnswerOfAnotherDialectIsTranslated(t *testing.T) {
	t.Parallel()
	x := across(t, ask)
	a, out, ok := x.Answer([]byte(`{"id":"c1","model":"up","choices":[{"index":0,"message":{"role":"assistant","content":"Hello"},"finish_reason":"length"}],"usage":{"prompt_tokens":7,"completion_tokens":2}}`))
	if !ok || a.Usage.Prompt != 7 || !strings.Contains(string(out), `"model":"public"`) || !strings.Contains(string(out), `"stop_reason":"max_tokens"`) {
		t.Errorf("%v %+v %s", ok, a, out)
	}
	for _, none := range []string{"", "<html>", `{"error":{"message":"no"}}`, `[]`} {
		if _, _, ok := x.Answer([]byte(none)); ok {
			t.Errorf("%q is taken for an answer", none)
		}
	}
	if said := string(x.Failure(429, []byte(`{"error":{"message":"Slow down, please"}}`), "req-1")); !strings.Contains(said, "rate_limit_error") || !strings.Contains(said, "Slow down, please") {
		t.Error(said)
	}
}

func TestTheMarkOfCarriedReasoningIsSeenInBase64Too(t *testing.T) {
	t.Parallel()
	if coded := base64.StdEncoding.EncodeToString([]byte(translate.CarryMark + "anything")); !strings.HasPrefix(coded, translate.CarryMarkBase64) {
		t.Errorf("%s begins with something else than %s", coded, translate.CarryMarkBase64)
	}
}

// fromGemini is a Messages client's request at a Gemini upstream.
func fromGemini(t *testing.T) wire.Stream {
	t.Helper()
	x := across(t, ask)
	x.Upstream = gemini.Codec{}
	return x.Stream()
}

const (
	geminiWords = `{"candidates":[{"content":{"role":"model","parts":[{"text":"Hello"}]}}],"modelVersion":"up"}`
	geminiEnd   = `{"candidates":[{"content":{"role":"model","parts":[{"text":""}]},"finishReason":"STOP"}],"modelVersion":"up"}`
)

func TestAStreamWithoutAFinalEventCountsAsFinishedBeforeItEnds(t *testing.T) {
	t.Parallel()
	s := fromGemini(t)
	out := take(s, geminiWords)
	if p := s.Progress(); p.Finished != 0 {
		t.Errorf("finished in the middle: %+v", p)
	}
	out += take(s, geminiEnd)
	if p := s.Progress(); p.Finished != 1 || p.Failed {
		t.Errorf("not finished: %+v", p)
	}
	out += string(s.AppendEnd(nil))
	if p := s.Progress(); p.Finished != 1 || !p.Done || !strings.Contains(out, "event: message_stop") {
		t.Errorf("%+v\n%s", p, out)
	}
}

func TestAnErrorThatStandsBareInAStreamIsTheUpstreams(t *testing.T) {
	t.Parallel()
	s := fromGemini(t)
	take(s, geminiWords)
	bare := []byte("{\n  \"error\": {\n    \"code\": 503,\n    \"message\": \"Overloaded.\",\n    \"status\": \"UNAVAILABLE\"\n  }\n}\n")
	if !s.Complete(bare) || s.Complete([]byte(": a comment\n")) {
		t.Error("it is not told from a comment")
	}
	if out := string(s.Take(nil, bare)); !s.Progress().Failed || !strings.Contains(out, "event: error") || !strings.Contains(out, "Overloaded.") {
		t.Errorf("%+v\n%s", s.Progress(), out)
	}
}

func TestAReportCountsTheWordsOfItsOwnEvent(t *testing.T) {
	t.Parallel()
	s := fromGemini(t)
	take(s, geminiWords, `{"candidates":[{"content":{"role":"model","parts":[{"text":" there"}]},"finishReason":"STOP"}],"modelVersion":"up",`+
		`"usageMetadata":{"promptTokenCount":7,"candidatesTokenCount":3,"totalTokenCount":10}}`)
	if p := s.Progress(); !p.HasUsage || p.Usage.Completion != 3 || p.Told != p.Text || p.Text.Total() != len("Hello there") {
		t.Errorf("words would be charged beside the report that counts them: %+v", p)
	}
}

func TestAnEventWithoutDataIsNone(t *testing.T) {
	t.Parallel()
	s := fromGemini(t)
	if out := take(s, "", geminiWords); s.Progress().Failed || !strings.Contains(out, "Hello") {
		t.Errorf("%+v\n%s", s.Progress(), out)
	}
}
