package gemini_test

import (
	"strings"
	"testing"

	"halley/internal/fault"
	"halley/internal/wire"
	"halley/internal/wire/gemini"
)

// bare is how Google tells of an error in the middle of a stream.
const bare = "{\n  \"error\": {\n    \"code\": 503,\n    \"message\": \"The model is overloaded.\",\n    \"status\": \"UNAVAILABLE\"\n  }\n}\n"

func TestAnErrorThatStandsBareInAStreamIsSeenAndPassesUnchanged(t *testing.T) {
	t.Parallel()
	s := gemini.Generate{Streamed: true}.Stream(wire.StreamOptions{Model: "m", Choices: 1})
	for _, half := range []string{bare[:40], ": a comment\n", "{}{"} {
		if s.Complete([]byte(half)) {
			t.Errorf("%q counts as a whole event", half)
		}
	}
	if !s.Complete([]byte(bare)) {
		t.Fatal("the error does not count as an event")
	}
	if got := s.Take(nil, []byte(bare)); string(got) != bare {
		t.Errorf("the client gets %q", got)
	}
	if !s.Progress().Failed {
		t.Error("the stream counts as good")
	}
}

func TestAnErrorThatStandsBareIsTheLastElementOfAnArray(t *testing.T) {
	t.Parallel()
	s := gemini.Generate{Streamed: true, Array: true}.Stream(wire.StreamOptions{Model: "m", Choices: 1})
	out := s.Take(nil, []byte("data: {\"candidates\":[]}\n\n"))
	out = s.Take(out, []byte(": a comment\n\n"))
	out = s.AppendEnd(s.Take(out, []byte(bare)))
	if want := "[{\"candidates\":[]},\r\n" + strings.TrimSpace(bare) + "]"; string(out) != want {
		t.Errorf("the client gets %q, want %q", out, want)
	}
}

func TestFaultsInStreamsAreFoundByEveryKindOfReader(t *testing.T) {
	t.Parallel()
	s := gemini.Generate{Streamed: true}.Stream(wire.StreamOptions{Model: "m", Choices: 1})
	got := string(s.AppendFault(nil, fault.New(fault.BadGateway, "upstream_error", "It broke off."), "req-1"))
	event, rest, ok := strings.Cut(got, "\r\n\r\n")
	if body := `{"error":{"code":502,"message":"It broke off. (request id: req-1)","status":"UNAVAILABLE"}}`; !ok || event != "data: "+body || rest != body+"\n" {
		t.Errorf("the stream ends with %q", got)
	}
}
