package messages_test

import (
	"bytes"
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"halley/internal/sse"
	"halley/internal/translate"
	"halley/internal/translate/messages"
	"halley/test/translatetest"
)

const (
	messagesAPI = "anthropic.messages"
	countAPI    = "anthropic.count_tokens"
)

func TestRecordedRequestsSurviveTheirOwnDialect(t *testing.T) {
	t.Parallel()
	seen := 0
	for _, in := range slices.Concat(translatetest.Recordings(t, messagesAPI), translatetest.Recordings(t, countAPI)) {
		if in.Request.Body == nil {
			continue
		}
		seen++
		c, err := messages.Codec{}.DecodeRequest(in.Request.Body)
		if err != nil {
			t.Errorf("%s: %v", in.File, err)
			continue
		}
		encode := messages.Codec{}.EncodeRequest
		if in.API == countAPI {
			encode = messages.Codec{}.EncodeCount
		}
		out, err := encode(c, translate.Target{Model: in.Model})
		if err != nil {
			t.Errorf("%s: %v", in.File, err)
			continue
		}
		want, got := translatetest.PlainMessages(translatetest.Parse(t, in.Request.Body)).(map[string]any), translatetest.PlainMessages(translatetest.Parse(t, out)).(map[string]any)
		want["model"] = in.Model // the target's
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s:\n%s", in.File, diff)
		}
		if dropped := c.TakeDropped(); dropped != nil {
			t.Errorf("%s: dropped %v", in.File, dropped)
		}
	}
	t.Logf("%d requests", seen)
}

func TestRecordedAnswersSurviveTheirOwnDialect(t *testing.T) {
	t.Parallel()
	seen := 0
	for _, in := range translatetest.Recordings(t, messagesAPI) {
		if in.Response.IsSSE() || in.Response.Status != 200 {
			continue
		}
		seen++
		a, err := messages.Codec{}.DecodeAnswer(in.Response.Body)
		if err != nil {
			t.Errorf("%s: %v", in.File, err)
			continue
		}
		out, err := messages.Codec{}.EncodeAnswer(&translate.Conversation{From: translate.Messages}, a)
		if err != nil {
			t.Errorf("%s: %v", in.File, err)
			continue
		}
		if diff := cmp.Diff(translatetest.PlainMessages(translatetest.Parse(t, in.Response.Body)), translatetest.PlainMessages(translatetest.Parse(t, out))); diff != "" {
			t.Errorf("%s:\n%s", in.File, diff)
		}
	}
	t.Logf("%d answers", seen)
}

// stream is one streamed answer: the data of its events.
type stream struct {
	file   string
	events [][]byte
}

// streams are the recorded ones. Some files hold several answers one behind the
// other; each is a stream of its own. Those of Bedrock are the same events in
// another framing.
func streams(t testing.TB) (all []stream) {
	t.Helper()
	for _, in := range translatetest.Recordings(t, messagesAPI) {
		if in.Response.IsSSE() {
			all = append(all, apart(in.File, events(t, in.Response.Body))...)
		}
	}
	return append(all, bedrockStreams(t)...)
}

// events is the data of each event in an SSE body.
func events(t testing.TB, body []byte) (list [][]byte) {
	t.Helper()
	for event := range bytes.SplitSeq(bytes.ReplaceAll(body, []byte("\r\n"), []byte("\n")), []byte("\n\n")) {
		if data, ok := sse.Data(append(event, "\n\n"...)); ok {
			list = append(list, slices.Clone(data))
		}
	}
	return list
}

func apart(file string, events [][]byte) (all []stream) {
	from := 0
	for i, data := range events {
		if bytes.Contains(data, []byte(`"message_stop"`)) {
			all = append(all, stream{file, events[from : i+1]})
			from = i + 1
		}
	}
	return all
}

// bedrockStreams are the recorded InvokeModel streams of Claude's Messages API.
func bedrockStreams(t testing.TB) (all []stream) {
	t.Helper()
	for _, in := range translatetest.Recordings(t, "bedrock.invokeStream") {
		if in.Response.Status != 200 || !strings.Contains(in.Model, "claude-3") {
			continue
		}
		var list [][]byte
		for rest := in.Response.Body; ; {
			_, after, ok := bytes.Cut(rest, []byte(`"bytes":"`))
			if !ok {
				break
			}
			coded, _, _ := bytes.Cut(after, []byte(`"`))
			data, err := base64.StdEncoding.DecodeString(string(coded))
			if err != nil {
				t.Fatalf("%s: %v", in.File, err)
			}
			list, rest = append(list, data), after
		}
		all = append(all, stream{in.File, list})
	}
	return all
}

// run decodes a stream and ends it.
func run(s stream) (list []translate.Event, err error) {
	d := messages.Codec{}.DecodeStream()
	emit := func(e translate.Event) { list = append(list, e) }
	for _, data := range s.events {
		if err := d.Decode("", data, emit); err != nil {
			return list, err
		}
	}
	return list, d.End(emit)
}

// broken are streams that are recorded and not whole, with what is wrong.
var broken = map[string]string{
	"spliced-message-start": "another message begins",
}

func brokenBecause(file string) string {
	for name, why := range broken {
		if strings.Contains(file, name) {
			return why
		}
	}
	return ""
}

// message puts a stream together.
func message(t testing.TB, s stream) []byte {
	t.Helper()
	var list []translatetest.Happening
	for _, data := range s.events {
		list = append(list, translatetest.Happening{Data: data})
	}
	text, err := translatetest.WholeMessages(list)
	if err != nil {
		t.Fatalf("%s: %v", s.file, err)
	}
	return text
}

func TestRecordedStreamsAssembleToTheirMessage(t *testing.T) {
	t.Parallel()
	seen := 0
	for _, s := range streams(t) {
		list, err := run(s)
		if why := brokenBecause(s.file); why != "" {
			if err == nil || !strings.Contains(err.Error(), why) {
				t.Errorf("%s: error %v, want %q", s.file, err, why)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", s.file, err)
			continue
		}
		seen++
		var a translate.Assembler
		for _, e := range list {
			a.Add(e)
		}
		got, whole, fault := a.Answer()
		if !whole || fault != nil {
			t.Errorf("%s: whole %v, fault %v", s.file, whole, fault)
		}
		text := message(t, s)
		out, err := messages.Codec{}.EncodeAnswer(&translate.Conversation{From: translate.Messages}, got)
		if err != nil {
			t.Errorf("%s: %v", s.file, err)
			continue
		}
		if diff := cmp.Diff(translatetest.PlainMessages(translatetest.Parse(t, text)), translatetest.PlainMessages(translatetest.Parse(t, out))); diff != "" {
			t.Errorf("%s:\n%s", s.file, diff)
		}
		want, err := messages.Codec{}.DecodeAnswer(text)
		if err != nil {
			t.Fatalf("%s: %v", s.file, err)
		}
		if diff := cmp.Diff(want.Usage, got.Usage); diff != "" {
			t.Errorf("%s: usage:\n%s", s.file, diff)
		}
		if got.Usage == nil || got.Candidates[0].Stop != want.Candidates[0].Stop {
			t.Errorf("%s: usage %v, stop %v, want %v", s.file, got.Usage, got.Candidates[0].Stop, want.Candidates[0].Stop)
		}
	}
	t.Logf("%d streams", seen)
}

func TestRecordedStreamsSurviveTheirOwnDialect(t *testing.T) {
	t.Parallel()
	for _, s := range streams(t) {
		want, err := run(s)
		if err != nil {
			continue // the test above says so
		}
		enc := messages.Codec{}.EncodeStream(&translate.Conversation{From: translate.Messages})
		var out []byte
		for _, e := range want {
			out = enc.Encode(out, e)
		}
		checkGrammar(t, s.file, out)
		got, err := run(stream{s.file, events(t, out)})
		if err != nil {
			t.Errorf("%s: %v", s.file, err)
			continue
		}
		// A signature is told at the end of its part; that a text may be cited is
		// not told when it is not.
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s:\n%s", s.file, diff)
		}
	}
}

// checkGrammar holds a stream against the order of events that Anthropic
// documents: message_start, each block's start, deltas and stop with indexes
// counting up, message_delta, message_stop.
func checkGrammar(t testing.TB, file string, out []byte) {
	t.Helper()
	const (
		before = iota
		between
		inside
		closing
		after
	)
	state, next := before, 0.0
	for event := range bytes.SplitSeq(bytes.TrimSuffix(out, []byte("\n\n")), []byte("\n\n")) {
		name, data, ok := bytes.Cut(event, []byte("\ndata: "))
		if !ok {
			t.Fatalf("%s: not an event: %q", file, event)
		}
		e := translatetest.Parse(t, data).(map[string]any)
		kind := e["type"].(string)
		if string(name) != "event: "+kind {
			t.Errorf("%s: %q names %s", file, name, kind)
		}
		from := state
		switch kind {
		case "ping":
			continue
		case "message_start":
			ok, state = state == before, between
		case "content_block_start":
			ok, state = state == between && e["index"] == next, inside
		case "content_block_delta":
			ok = state == inside && e["index"] == next
		case "content_block_stop":
			ok, state = state == inside && e["index"] == next, between
			next++
		case "message_delta":
			ok, state = state == between, closing
		case "message_stop":
			ok, state = state == closing, after
		default:
			ok = false
		}
		if !ok {
			t.Errorf("%s: %s in state %d: %s", file, kind, from, data)
		}
	}
	if state != after {
		t.Errorf("%s: the stream ends in state %d", file, state)
	}
}

func TestAStreamCutAnywhereIsAnError(t *testing.T) {
	t.Parallel()
	for _, s := range streams(t) {
		if brokenBecause(s.file) != "" {
			continue
		}
		for n := range len(s.events) - 1 {
			if n > 40 && n < len(s.events)-5 {
				continue
			}
			list, err := run(stream{s.file, s.events[:n]})
			if err == nil {
				t.Fatalf("%s: cut after %d events is taken for whole", s.file, n)
			}
			if slices.ContainsFunc(list, func(e translate.Event) bool { return e.Kind == translate.Done }) {
				t.Fatalf("%s: cut after %d events says it is done", s.file, n)
			}
		}
	}
}

func TestRecordedErrorsKeepTheirWords(t *testing.T) {
	t.Parallel()
	seen := 0
	for _, in := range slices.Concat(translatetest.Recordings(t, messagesAPI), translatetest.Recordings(t, "bedrock.invokeStream")) {
		if in.Response.Status < 400 {
			continue
		}
		seen++
		f := messages.Codec{}.DecodeFailure(in.Response.Status, in.Response.Body)
		if f.Message == "" || !bytes.Contains(in.Response.Body, []byte(f.Message)) || strings.HasPrefix(f.Message, "{") {
			t.Errorf("%s: %+v", in.File, f)
		}
		if in.API != messagesAPI {
			continue
		}
		want := translatetest.Parse(t, in.Response.Body).(map[string]any)
		id, _ := want["request_id"].(string)
		if diff := cmp.Diff(want, translatetest.Parse(t, messages.Codec{}.EncodeFailure(f, id))); diff != "" {
			t.Errorf("%s:\n%s", in.File, diff)
		}
	}
	if seen < 3 {
		t.Errorf("only %d errors are recorded", seen)
	}
}

func TestRecordedTokenCountsAreRead(t *testing.T) {
	t.Parallel()
	for _, in := range translatetest.Recordings(t, countAPI) {
		n, ok := messages.DecodeCountAnswer(in.Response.Body)
		if !ok || n == 0 {
			t.Errorf("%s: %d, %v", in.File, n, ok)
		}
		if diff := cmp.Diff(translatetest.Parse(t, in.Response.Body), translatetest.Parse(t, messages.EncodeCountAnswer(n))); diff != "" {
			t.Errorf("%s:\n%s", in.File, diff)
		}
	}
}
