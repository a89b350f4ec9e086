package replay_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"halley/test/fakeprovider"
)

// This file holds the named edits: everything that Halley may change on the way,
// worked out from the bytes that went in and independently of Halley's own code.

// object is a JSON object's members in their order.
type object []member

type member struct {
	name string
	raw  json.RawMessage
}

// parseObject reads an object's top level.
func parseObject(text []byte) (object, error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	if tok, err := dec.Token(); err != nil {
		return nil, err
	} else if tok != json.Delim('{') {
		return nil, fmt.Errorf("a JSON object is wanted, not %v", tok)
	}
	var o object
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return nil, err
		}
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return nil, err
		}
		o = append(o, member{fmt.Sprint(name), raw})
	}
	return o, nil
}

// get is a member's text, nil when it is not there.
func (o object) get(name string) json.RawMessage {
	for _, m := range o {
		if m.name == name {
			return m.raw
		}
	}
	return nil
}

// with is the object with the member set in its place or at the end; a nil raw
// drops it.
func (o object) with(name string, raw json.RawMessage) object {
	var out object
	found := false
	for _, m := range o {
		if m.name == name {
			found = true
			if raw == nil {
				continue
			}
			m.raw = raw
		}
		out = append(out, m)
	}
	if !found && raw != nil {
		out = append(out, member{name, raw})
	}
	return out
}

// bytes is the object as text, without space between members.
func (o object) bytes() []byte {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(quoted(m.name))
		b.WriteByte(':')
		b.Write(m.raw)
	}
	b.WriteByte('}')
	return b.Bytes()
}

// quoted is a text as JSON.
func quoted(text string) json.RawMessage {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(text); err != nil {
		panic(err) // a string always encodes
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// asksForUsage reports whether a request has stream_options.include_usage.
func asksForUsage(body []byte) bool {
	var r struct {
		StreamOptions struct {
			IncludeUsage bool `json:"include_usage"`
		} `json:"stream_options"`
	}
	return json.Unmarshal(body, &r) == nil && r.StreamOptions.IncludeUsage
}

// checkSent holds what the upstream received against what the client sent: the
// same bytes, with the model's name put in its place and, in a stream whose
// client did not ask, the request for usage put in.
func checkSent(client, upstream []byte, upstreamModel string, stream bool) error {
	if upstreamModel != "" {
		from, to, ok := modelSpan(client)
		if !ok {
			return fmt.Errorf("the client's body has no model")
		}
		client = bytes.Join([][]byte{client[:from], quoted(upstreamModel), client[to:]}, nil)
	}
	if !stream || asksForUsage(client) {
		if !bytes.Equal(client, upstream) {
			return fmt.Errorf("the upstream got other bytes (-client +upstream):\n%s", difference(client, upstream))
		}
		return nil
	}
	if !asksForUsage(upstream) {
		return fmt.Errorf("the upstream was not asked for usage: %s", clip(upstream))
	}
	// One insertion or replacement: what stands before and after it is the
	// client's, and nothing but the request for usage was added.
	was, err := parseObject(client)
	if err != nil {
		return err
	}
	is, err := parseObject(upstream)
	if err != nil {
		return err
	}
	if was.get("stream_options") == nil && commonEnds(client, upstream) < len(client) {
		return fmt.Errorf("more than an insertion (-client +upstream):\n%s", difference(client, upstream))
	}
	if diff := cmp.Diff(texts(was.with("stream_options", nil)), texts(is.with("stream_options", nil))); diff != "" {
		return fmt.Errorf("members beside stream_options changed (-client +upstream):\n%s", diff)
	}
	return nil
}

// commonEnds is how many bytes of a are, from its start and its end, also b's.
func commonEnds(a, b []byte) int {
	head := 0
	for head < len(a) && head < len(b) && a[head] == b[head] {
		head++
	}
	tail := 0
	for tail < len(a)-head && tail < len(b)-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	return head + tail
}

// texts is an object's members as text, for a readable difference.
func texts(o object) []string {
	var out []string
	for _, m := range o {
		out = append(out, m.name+": "+string(m.raw))
	}
	return out
}

// answerFor is what the client must get for a recorded body: the same bytes, for
// a stream whose client did not ask for usage without the events that hold
// nothing else, and with the public model's name when one is given. A model name
// that the upstream left empty may stay so, which is why there are two.
func answerFor(body []byte, sse, asked bool, publicModel string) [2][]byte {
	edit := func(data []byte, emptyToo bool) []byte {
		from, to, ok := modelSpan(data)
		if publicModel == "" || !ok || !emptyToo && to-from == len(`""`) {
			return data
		}
		return bytes.Join([][]byte{data[:from], quoted(publicModel), data[to:]}, nil)
	}
	var out [2][]byte
	for i, emptyToo := range []bool{true, false} {
		if !sse {
			out[i] = edit(body, emptyToo)
			continue
		}
		for _, ev := range fakeprovider.Events(body) {
			data, _ := fakeprovider.EventData(ev)
			if !asked && usageOnly(data) {
				continue
			}
			out[i] = append(out[i], bytes.Replace(ev, data, edit(data, emptyToo), 1)...)
		}
	}
	return out
}

// usageOnly reports whether a chunk has usage and an empty list of choices.
func usageOnly(data []byte) bool {
	var c struct {
		Choices *[]json.RawMessage `json:"choices"`
		Usage   *json.RawMessage   `json:"usage"`
	}
	return json.Unmarshal(data, &c) == nil && c.Choices != nil && len(*c.Choices) == 0 && c.Usage != nil
}

// modelSpan is where the top-level member "model" has its string value, quotes
// included.
func modelSpan(text []byte) (from, to int, ok bool) {
	dec := json.NewDecoder(bytes.NewReader(text))
	if tok, err := dec.Token(); err != nil || tok != json.Delim('{') {
		return 0, 0, false
	}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return 0, 0, false
		}
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return 0, 0, false
		}
		if name == "model" && raw[0] == '"' {
			to := int(dec.InputOffset())
			return to - len(raw), to, true
		}
	}
	return 0, 0, false
}

// difference shows where two texts part, with a little around it.
func difference(want, got []byte) string {
	at := 0
	for at < len(want) && at < len(got) && want[at] == got[at] {
		at++
	}
	start := max(0, at-60)
	cut := func(b []byte) string { return string(b[min(start, len(b)):min(start+400, len(b))]) }
	return fmt.Sprintf("at byte %d of %d and %d\n- %q\n+ %q", at, len(want), len(got), cut(want), cut(got))
}

// clip shortens a text for a message.
func clip(b []byte) string {
	if len(b) > 500 {
		return string(b[:500]) + "…"
	}
	return string(b)
}

func TestTheEditsAreToldApart(t *testing.T) {
	t.Parallel()
	const client = `{"model":"a", "stream":true,"x":1.0}`
	rows := []struct {
		name, client, upstream, model string
		stream                        bool
		wrong                         string // part of the complaint, "" for none
	}{
		{"unchanged", `{"model":"a"}`, `{"model":"a"}`, "", false, ""},
		{"a space lost", `{"model": "a"}`, `{"model":"a"}`, "", false, "other bytes"},
		{"model replaced", `{"model": "a","x":1}`, `{"model": "b","x":1}`, "b", false, ""},
		{"model not replaced", `{"model": "a"}`, `{"model": "a"}`, "b", false, "other bytes"},
		{"usage asked for at the end", client, `{"model":"a", "stream":true,"x":1.0,"stream_options":{"include_usage":true}}`, "", true, ""},
		{"usage asked for in the middle", client, `{"model":"a", "stream":true,"stream_options":{"include_usage":true},"x":1.0}`, "", true, ""},
		{"usage not asked for", client, client, "", true, "not asked"},
		{"a number rewritten", client, `{"model":"a", "stream":true,"x":1,"stream_options":{"include_usage":true}}`, "", true, "more than an insertion"},
		{"a refusal of usage overruled", `{"model":"a","stream_options":{"include_usage":false}}`, `{"model":"a","stream_options":{"include_usage":true}}`, "", true, ""},
		{"nothing to add", `{"stream_options":{"include_usage":true}}`, `{"stream_options":{"include_usage":true}}`, "", true, ""},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			err := checkSent([]byte(row.client), []byte(row.upstream), row.model, row.stream)
			switch {
			case row.wrong == "" && err != nil:
				t.Error(err)
			case row.wrong != "" && (err == nil || !strings.Contains(err.Error(), row.wrong)):
				t.Errorf("complaint %v, want one about %q", err, row.wrong)
			}
		})
	}
}

func TestTheExpectedAnswerIsTheRecordingWithNamedEdits(t *testing.T) {
	t.Parallel()
	const recorded = ": hello\n\n" +
		"data: {\"model\":\"a-1\",\"choices\":[{\"delta\":{\"content\":\"a-1\"}}],\"usage\":null}\n\n" +
		"data: {\"choices\":[],\"usage\":null,\"model\":\"\"}\n\n" +
		"data: {\"choices\":[ ],\"usage\":{\"total_tokens\":1}}\n\n" +
		"data: [DONE]\n\n"
	if got := answerFor([]byte(recorded), true, true, ""); string(got[0]) != recorded || string(got[1]) != recorded {
		t.Errorf("asked for usage: %q", got)
	}
	const usageEvent = "data: {\"choices\":[ ],\"usage\":{\"total_tokens\":1}}\n\n"
	if got := answerFor([]byte(recorded), true, false, ""); string(got[0]) != strings.Replace(recorded, usageEvent, "", 1) {
		t.Errorf("did not ask for usage: %q", got)
	}
	got := answerFor([]byte(recorded), true, true, "public")
	if want := strings.NewReplacer(`"model":"a-1"`, `"model":"public"`, `"model":""`, `"model":"public"`).Replace(recorded); string(got[0]) != want {
		t.Errorf("with the public name: %q", got[0])
	}
	if want := strings.Replace(recorded, `"model":"a-1"`, `"model":"public"`, 1); string(got[1]) != want {
		t.Errorf("with the public name where there was one: %q", got[1])
	}
	if got := answerFor([]byte(`{ "id":1, "model" : "x" }`), false, false, "public"); string(got[0]) != `{ "id":1, "model" : "public" }` {
		t.Errorf("plain, with the public name: %q", got[0])
	}
}
