package gemini_test

import (
	"strings"
	"testing"

	"halley/internal/translate"
	"halley/internal/translate/gemini"
)

// The AI SDK drops a part that is a thought without words, and what signs it.
func TestTheProofOfForeignThoughtsStandsAtTheirLastWords(t *testing.T) {
	t.Parallel()
	for name, signed := range map[string][]translate.Event{
		"by a delta": {{Kind: translate.SignDelta, Text: "c2VhbGVk"}, {Kind: translate.PartEnd}},
		"at the end": {{Kind: translate.PartEnd, Part: &translate.Thinking{Origin: translate.Responses, Signature: "c2VhbGVk"}}},
		"not at all": {{Kind: translate.PartEnd}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := gemini.Codec{}.EncodeStream(&translate.Conversation{From: translate.Gemini, Model: "m"})
			var out []byte
			for _, event := range append([]translate.Event{
				{Kind: translate.Begin, ID: "resp_1", From: translate.Responses},
				{Kind: translate.PartBegin, Part: &translate.Thinking{Origin: translate.Responses}},
				{Kind: translate.TextDelta, Text: "Hm, "},
				{Kind: translate.TextDelta, Text: "well."},
			}, signed...) {
				out = e.Encode(out, event)
			}
			chunks := strings.Split(strings.TrimSpace(string(out)), "\r\n\r\n")
			if len(chunks) != 2 || !strings.Contains(chunks[0], `"text":"Hm, "`) || !strings.Contains(chunks[1], `"text":"well."`) {
				t.Fatalf("the thoughts come as %q", chunks)
			}
			if proof := `"thoughtSignature"`; strings.Contains(chunks[0], proof) || strings.Contains(chunks[1], proof) == (name == "not at all") {
				t.Errorf("the proof stands elsewhere: %q", chunks)
			}
		})
	}
}

func TestAStreamThatFailsTellsSoToEveryKindOfReader(t *testing.T) {
	t.Parallel()
	f := translate.Failure{Status: 503, Kind: translate.Unavailable, Message: "Overloaded."}
	events := string(gemini.Codec{}.EncodeStream(&translate.Conversation{}).Fail(nil, f, ""))
	event, bare, ok := strings.Cut(events, "\r\n\r\n")
	if !ok || strings.TrimPrefix(event, "data: ")+"\n" != bare || !strings.HasPrefix(bare, `{"error":`) {
		t.Errorf("the stream ends with %q", events)
	}
	if array := string(gemini.Codec{Array: true}.EncodeStream(&translate.Conversation{}).Fail(nil, f, "")); array != "["+strings.TrimSuffix(bare, "\n")+"]" {
		t.Errorf("the array is %q", array)
	}
}
