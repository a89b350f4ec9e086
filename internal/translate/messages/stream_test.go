package messages_test

import (
	"strings"
	"testing"

	"halley/internal/translate"
	"halley/internal/translate/messages"
)

// Clients put what the block begins with and what its deltas bring together:
// anthropic-sdk-go adds signatures up.
func TestTheProofOfForeignThoughtsComesOnce(t *testing.T) {
	t.Parallel()
	thoughts := translate.Thinking{ID: "rs_1", Signature: "c2VhbGVk", Origin: translate.Responses}
	e := messages.Codec{}.EncodeStream(&translate.Conversation{From: translate.Messages, Model: "m"})
	var out []byte
	for _, event := range []translate.Event{
		{Kind: translate.Begin, ID: "resp_1", Model: "m", From: translate.Responses},
		{Kind: translate.PartBegin, Part: &translate.Thinking{ID: "rs_1", Origin: translate.Responses}},
		{Kind: translate.TextDelta, Text: "Hm."},
		{Kind: translate.SignDelta, Text: "c2VhbGVk"},
		{Kind: translate.PartEnd},
	} {
		out = e.Encode(out, event)
	}
	begin, rest, _ := strings.Cut(string(out), "content_block_delta")
	if !strings.Contains(begin, `"signature":""`) {
		t.Errorf("the block begins with a proof: %s", begin)
	}
	if whole := thoughts.Carry(translate.Messages); strings.Count(rest, whole) != 1 {
		t.Errorf("the proof is not there once: %s", rest)
	}
}
