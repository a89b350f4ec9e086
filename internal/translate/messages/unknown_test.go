package messages_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"halley/internal/translate"
	"halley/internal/translate/messages"
	"halley/test/translatetest"
)

// strange puts a member that nobody knows into every object of a body, but for
// those that are the client's own: schemas and the inputs of tools.
func strange(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{"x_unknown": map[string]any{"deep": []any{1.0, nil}}}
		for name, member := range v {
			if slices.Contains([]string{"input_schema", "schema", "input"}, name) {
				out[name] = member
			} else {
				out[name] = strange(member)
			}
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = strange(v[i])
		}
		return out
	}
	return v
}

func TestUnknownMembersSurviveAtEveryDepth(t *testing.T) {
	t.Parallel()
	rewrite := func(body []byte) []byte {
		out, err := json.Marshal(strange(translatetest.Parse(t, body)))
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	for _, in := range translatetest.Recordings(t, messagesAPI) {
		if in.Request.Body != nil {
			body := rewrite(in.Request.Body)
			c, err := messages.Codec{}.DecodeRequest(body)
			if err != nil {
				t.Errorf("%s: %v", in.File, err)
				continue
			}
			out, err := messages.Codec{}.EncodeRequest(c, translate.Target{Model: c.Model})
			if err != nil {
				t.Errorf("%s: %v", in.File, err)
				continue
			}
			if diff := cmp.Diff(translatetest.PlainMessages(translatetest.Parse(t, body)), translatetest.PlainMessages(translatetest.Parse(t, out))); diff != "" {
				t.Errorf("%s:\n%s", in.File, diff)
			}
		}
		if in.Response.IsSSE() || in.Response.Status != 200 {
			continue
		}
		body := rewrite(in.Response.Body)
		a, err := messages.Codec{}.DecodeAnswer(body)
		if err != nil {
			t.Errorf("%s: %v", in.File, err)
			continue
		}
		out, err := messages.Codec{}.EncodeAnswer(nil, a)
		if err != nil {
			t.Errorf("%s: %v", in.File, err)
			continue
		}
		if diff := cmp.Diff(translatetest.PlainMessages(translatetest.Parse(t, body)), translatetest.PlainMessages(translatetest.Parse(t, out))); diff != "" {
			t.Errorf("%s:\n%s", in.File, diff)
		}
	}
}
