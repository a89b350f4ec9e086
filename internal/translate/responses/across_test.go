package responses_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"halley/internal/translate"
	"halley/internal/translate/chat"
	"halley/internal/translate/gemini"
	"halley/internal/translate/messages"
	"halley/internal/translate/responses"
	"halley/test/fakeprovider"
	"halley/test/translatetest"
)

// dialect is one that answers and requests are brought through and back.
type dialect struct {
	name  translate.Dialect
	codec translate.Codec
	api   string
	// less is what of an essence the dialect has no words for.
	less func(*essence)
}

func others() []dialect {
	return []dialect{
		{translate.Chat, chat.Codec{}, fakeprovider.Chat, func(*essence) {}},
		{translate.Messages, messages.Codec{}, "anthropic.messages", func(e *essence) {
			e.Images = 0 // Claude's answers have none
			e.Usage.Reasoning, e.Usage.AudioIn, e.Usage.AudioOut = 0, 0, 0
			if e.Stop == translate.Filtered || e.Stop == translate.Refused {
				e.Stop = translate.EndOfTurn
			}
			if len(e.Refusals) > 0 { // which are text there
				e.Text, e.Refusals = e.Text+strings.Join(e.Refusals, ""), nil
			}
		}},
		{translate.Gemini, gemini.Codec{}, "gemini.generateContent", func(e *essence) {
			e.Usage.CacheWrite5m = 0 // which Gemini does not tell
			if len(e.Refusals) > 0 { // which are text there
				e.Text, e.Refusals = e.Text+strings.Join(e.Refusals, ""), nil
			}
		}},
	}
}

// essence is what of an answer must survive.
type essence struct {
	Text     string
	Calls    []string
	Refusals []string
	Images   int
	Stop     translate.Stop
	Usage    translate.Usage
}

func essenceOf(a *translate.Answer) (e essence) {
	if a.Usage != nil {
		e.Usage = *a.Usage
		e.Usage.CacheWrite5m, e.Usage.CacheWrite1h = e.Usage.CacheWrite5m+e.Usage.CacheWrite1h, 0
		e.Usage.ImageIn, e.Usage.ImageOut = 0, 0
		e.Usage.Searches = 0                     // which others count otherwise or not at all
		e.Usage.AudioIn, e.Usage.AudioOut = 0, 0 // which Responses does not tell apart
	}
	if len(a.Candidates) == 0 {
		return e
	}
	c := a.Candidates[0]
	e.Stop = c.Stop
	switch c.Stop {
	case translate.AtContext:
		e.Stop = translate.AtMaxOutput
	case translate.AtStopText, translate.Paused, translate.NotStopped:
		e.Stop = translate.EndOfTurn
	case translate.Refused:
		e.Stop = translate.Filtered
	}
	defer func() {
		if len(e.Calls) > 0 && e.Stop == translate.EndOfTurn { // Responses does not tell the two apart
			e.Stop = translate.ToCallTools
		}
	}()
	for _, p := range c.Parts {
		switch p := p.(type) {
		case *translate.Text:
			e.Text += p.Text
		case *translate.Refusal:
			e.Refusals = append(e.Refusals, p.Text)
		case *translate.ToolCall:
			if p.Server == "" {
				e.Calls = append(e.Calls, fmt.Sprintf("%s %s %s", p.ID, p.Name, compact(p.Args, p.Custom)))
			}
		case *translate.Media:
			if p.Kind == translate.Image {
				e.Images++
			}
		}
	}
	return e
}

// compact is arguments without insignificant space; none are an empty object.
func compact(args string, custom bool) string {
	if custom {
		return args
	}
	if args == "" {
		return "{}"
	}
	var b bytes.Buffer
	if json.Compact(&b, []byte(args)) != nil {
		return args
	}
	return b.String()
}

// answersOf are the recorded answers of an API that its codec reads.
func answersOf(t *testing.T, api string, codec translate.Codec, stream bool, take func(file string, a *translate.Answer, events []translate.Event)) {
	t.Helper()
	all := fakeprovider.Fixtures(t).MustLoad(t, func(m fakeprovider.Meta) bool {
		return m.API == api && m.Status == 200 && m.Stream == stream && m.Authenticity == "recorded"
	})
	count := 0
	for _, in := range all {
		if stream {
			if !in.Response.IsSSE() {
				continue
			}
			events, err := decode(codec.DecodeStream(), in.Response.Body)
			a, whole, fault := assemble(events)
			if err != nil || !whole || fault != nil {
				continue // cut, or an error: the dialect's own tests see to them
			}
			count++
			take(in.File, a, events)
			continue
		}
		a, err := codec.DecodeAnswer(in.Response.Body)
		if err != nil {
			continue
		}
		count++
		take(in.File, a, nil)
	}
	if count == 0 {
		t.Fatal("no answers")
	}
	t.Logf("%s: %d", api, count)
}

// through brings an answer to a client of a dialect and reads what it gets.
func through(t *testing.T, file string, d translate.Dialect, codec translate.Codec, a *translate.Answer) *translate.Answer {
	t.Helper()
	body, err := codec.EncodeAnswer(&translate.Conversation{From: d}, a)
	if err != nil {
		t.Errorf("%s: %v", file, err)
		return nil
	}
	out, err := codec.DecodeAnswer(body)
	if err != nil {
		t.Errorf("%s: %v in %s", file, err, body)
		return nil
	}
	return out
}

func TestAnswersSurviveOtherDialectsAndBack(t *testing.T) {
	t.Parallel()
	for _, d := range others() {
		t.Run(string(d.name), func(t *testing.T) {
			t.Parallel()
			check := func(file string, a, b *translate.Answer) {
				if b == nil {
					return
				}
				want, got := essenceOf(a), essenceOf(b)
				d.less(&want)
				d.less(&got)
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s: %s", file, diff)
				}
			}
			own := responses.Codec{}
			answersOf(t, apiName, own, false, func(file string, a *translate.Answer, _ []translate.Event) {
				if b := through(t, file, d.name, d.codec, a); b != nil {
					check(file, a, b)
					check(file, a, through(t, file, translate.Responses, own, b))
				}
			})
			answersOf(t, d.api, d.codec, false, func(file string, a *translate.Answer, _ []translate.Event) {
				if a.Candidates = a.Candidates[:min(1, len(a.Candidates))]; len(a.Candidates) == 0 {
					return
				}
				if b := through(t, file, translate.Responses, own, a); b != nil {
					check(file, a, b)
					check(file, a, through(t, file, d.name, d.codec, b))
				}
			})
		})
	}
}

func TestStreamsSurviveOtherDialectsAndBack(t *testing.T) {
	t.Parallel()
	for _, d := range others() {
		t.Run(string(d.name), func(t *testing.T) {
			t.Parallel()
			// through writes events for a client and reads them again.
			through := func(file string, name translate.Dialect, codec translate.Codec, events []translate.Event) []translate.Event {
				out := encode(codec.EncodeStream(&translate.Conversation{From: name, IncludeUsage: true}), events)
				if name == translate.Responses {
					grammar(t, file, out)
				}
				again, err := decode(codec.DecodeStream(), out)
				if err != nil {
					t.Errorf("%s: %v in %s", file, err, out)
				}
				return again
			}
			check := func(file string, a *translate.Answer, events []translate.Event) {
				b, whole, fault := assemble(events)
				if !whole || fault != nil {
					t.Errorf("%s: whole %v, %v", file, whole, fault)
					return
				}
				want, got := essenceOf(a), essenceOf(b)
				d.less(&want)
				d.less(&got)
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s: %s", file, diff)
				}
			}
			own := responses.Codec{}
			answersOf(t, apiName, own, true, func(file string, a *translate.Answer, events []translate.Event) {
				there := through(file, d.name, d.codec, events)
				check(file, a, there)
				check(file, a, through(file, translate.Responses, own, there))
			})
			answersOf(t, d.api, d.codec, true, func(file string, a *translate.Answer, events []translate.Event) {
				if len(a.Candidates) != 1 {
					return
				}
				there := through(file, translate.Responses, own, events)
				check(file, a, there)
				check(file, a, through(file, d.name, d.codec, there))
			})
		})
	}
}

// wish is what of a request must survive.
type wish struct {
	Said   []string
	Tools  []string
	Choice string
	Format string
	Sizes  string
}

// media is a media part, or its text when it is a document that is text.
func media(m *translate.Media) string {
	if m.Text != "" {
		return m.Text
	}
	if plain, err := base64.StdEncoding.DecodeString(m.Data); err == nil && strings.HasPrefix(m.MIME, "text/") {
		return string(plain)
	}
	return fmt.Sprintf("media %d %s %.40s", m.Kind, m.URL, m.Data)
}

// joined is the run of one speaker.
type joined struct {
	role  string
	words []string
}

func wishOf(c *translate.Conversation) (w wish) {
	var runs []joined
	say := func(role, words string) {
		if words == "" {
			return
		}
		if n := len(runs); n == 0 || runs[n-1].role != role {
			runs = append(runs, joined{role: role})
		}
		last := &runs[len(runs)-1]
		last.words = append(last.words, words)
	}
	// Upstreams may want other ids, the same for a call and its result.
	ids := map[string]int{}
	number := func(id string) int {
		if _, met := ids[id]; !met {
			ids[id] = len(ids)
		}
		return ids[id]
	}
	for _, m := range c.Messages {
		role := "user"
		switch m.Role {
		case translate.Assistant:
			role = "assistant"
		case translate.System, translate.Developer:
			role = "system"
		}
		for _, p := range m.Parts {
			switch p := p.(type) {
			case *translate.Text:
				if !strings.HasPrefix(p.Text, "What the tool call ") { // what Chat says before a result's images
					say(role, p.Text)
				}
			case *translate.Refusal:
				say(role, p.Text)
			case *translate.ToolCall:
				if p.Server == "" {
					say(role, fmt.Sprintf("call %d %s %s", number(p.ID), p.Name, compact(p.Args, p.Custom)))
				}
			case *translate.ToolResult:
				if p.Server != "" {
					continue
				}
				text := ""
				for _, p := range p.Parts {
					if t, ok := p.(*translate.Text); ok {
						text += t.Text
					}
				}
				say("user", fmt.Sprintf("result %d %s", number(p.CallID), text))
				for _, p := range p.Parts { // which Chat shows behind the result
					if m, ok := p.(*translate.Media); ok {
						say("user", media(m))
					}
				}
			case *translate.Media:
				say(role, media(p))
			}
		}
	}
	for _, r := range runs {
		w.Said = append(w.Said, r.role+": "+strings.Join(r.words, ""))
	}
	for _, tool := range c.Tools {
		if tool.Kind != translate.Function && tool.Kind != translate.Custom {
			tool.Name = "" // which differs
		}
		if c.ToolChoice != nil && len(c.ToolChoice.Allowed) > 0 && !slices.Contains(c.ToolChoice.Allowed, tool.Name) {
			continue // some dialects can only leave it out
		}
		w.Tools = append(w.Tools, fmt.Sprintf("%s %s %s", tool.Kind, tool.Name, compact(string(tool.Schema), false)))
	}
	if c.ToolChoice != nil {
		w.Choice = fmt.Sprint(c.ToolChoice.Mode, c.ToolChoice.Name, c.ToolChoice.Allowed)
	}
	if f := c.Format; f != nil && f.Kind != translate.PlainText {
		w.Format = fmt.Sprint(f.Kind, compact(string(f.Schema), false))
	}
	bound := int64(-1)
	if c.MaxOutput != nil {
		bound = *c.MaxOutput
	}
	w.Sizes = fmt.Sprint(bound, c.Stream, c.EndUser)
	return w
}

// unrepresentable says what a recorded request may be refused for, because the other
// side has no words for it.
func unrepresentable(field string) bool {
	return slices.Contains([]string{
		"tools",                     // those that the provider runs
		"input.content.input_file",  // by URL
		"input.content.input_image", // by the id of an upload
		"n", "stop", "audio", "video",
		// Of what only Responses has: what is kept at OpenAI, and items of tools that
		// others do not have.
		"previous_response_id", "conversation", "additional_tools", "compaction", "tool_search_call", "image_generation_call", "mcp_list_tools",
		// And of what only Claude has.
		"include", "container_upload", "tool_addition", "tool_reference", "messages.content.image", "messages.content.document",
	}, field)
}

// bring puts a request before an upstream of a dialect and reads it as its own
// client's; nil when it is refused for what the dialect has no words for.
func bring(t *testing.T, file string, c *translate.Conversation, name translate.Dialect, codec translate.Codec, model string, refused map[string]int) *translate.Conversation {
	t.Helper()
	body, err := codec.EncodeRequest(c, translate.Target{Model: model})
	if e, ok := errors.AsType[*translate.Unsupported](err); ok && unrepresentable(e.Field) {
		refused[fmt.Sprintf("%s → %s: %s", c.From, name, e.Field)]++
		return nil
	}
	if err != nil {
		t.Errorf("%s: %v", file, err)
		return nil
	}
	again, err := codec.DecodeRequest(body)
	if err != nil {
		t.Errorf("%s: %v in %s", file, err, body)
		return nil
	}
	return again
}

func TestRequestsSurviveOtherDialectsAndBack(t *testing.T) {
	t.Parallel()
	for _, d := range []struct {
		dialect
		model string
		less  func(*wish)
	}{
		{others()[0], "m", func(*wish) {}},
		{others()[1], "claude-opus-4-6", func(w *wish) {
			w.Sizes, w.Choice = "", "" // which the model bounds; and there must be something to choose
			w.systemFirst()
			if strings.HasPrefix(w.Format, "1") { // JSON without a schema is a sentence there
				w.Format = ""
			}
			w.Said[0] = strings.TrimSuffix(w.Said[0], "Answer with one JSON object and nothing else: no code fence and no words around it.")
			for i := range w.Said { // which Claude does not take
				w.Said[i] = strings.TrimRight(w.Said[i], " \n")
			}
		}},
	} {
		t.Run(string(d.name), func(t *testing.T) {
			t.Parallel()
			passed, refused := 0, map[string]int{}
			own := responses.Codec{}
			for _, way := range []struct {
				api, model string
				from, to   translate.Dialect
				codec      translate.Codec
				other      translate.Codec
			}{
				{apiName, d.model, translate.Responses, d.name, own, d.codec},
				{d.api, "gpt-5", d.name, translate.Responses, d.codec, own},
			} {
				all := fakeprovider.Fixtures(t).MustLoad(t, func(m fakeprovider.Meta) bool {
					return m.API == way.api && m.Status == 200 && m.Authenticity == "recorded"
				})
				for _, in := range all {
					if len(in.Request.Body) == 0 || in.Request.Body[0] != '{' || bytes.Contains(in.Request.Body, []byte(`"functions":`)) {
						continue
					}
					c, err := way.codec.DecodeRequest(in.Request.Body)
					if err != nil {
						t.Errorf("%s: %v", in.File, err)
						continue
					}
					want := wishOf(c)
					d.less(&want)
					there := bring(t, in.File, c, way.to, way.other, way.model, refused)
					if there == nil {
						continue
					}
					got := wishOf(there)
					d.less(&got)
					if diff := cmp.Diff(want, got); diff != "" {
						t.Errorf("%s: there: %s", in.File, diff)
						continue
					}
					back := bring(t, in.File, there, way.from, way.codec, c.Model, refused)
					if back == nil {
						continue
					}
					got = wishOf(back)
					d.less(&got)
					if diff := cmp.Diff(want, got); diff != "" {
						t.Errorf("%s: and back: %s", in.File, diff)
					}
					passed++
				}
			}
			t.Logf("%d passed, refused: %v", passed, refused)
		})
	}
}

// systemFirst puts all that the system says to the front, as one.
func (w *wish) systemFirst() {
	system, rest := "", []string(nil)
	for _, said := range w.Said {
		if words, ok := strings.CutPrefix(said, "system: "); ok {
			system += words
		} else {
			rest = append(rest, said)
		}
	}
	w.Said = append([]string{system}, rest...)
}

func TestARefusalThatIsAStopIsNoWholeAnswer(t *testing.T) {
	t.Parallel()
	c := &translate.Conversation{From: translate.Responses}
	a := &translate.Answer{From: translate.Messages, ID: "msg_1", Candidates: []translate.Candidate{{Stop: translate.Refused}}}
	out, err := responses.Codec{}.EncodeAnswer(c, a)
	if err != nil || !strings.Contains(string(out), `"status":"incomplete"`) || !strings.Contains(string(out), `"incomplete_details":{"reason":"content_filter"}`) {
		t.Errorf("%s, %v", out, err)
	}
	streamed := string(translatetest.Written(responses.Codec{}.EncodeStream(c), []translate.Event{
		{Kind: translate.Begin, From: translate.Messages, ID: "msg_1"}, {Kind: translate.Finish, Stop: translate.Refused}, {Kind: translate.Done},
	}))
	if !strings.Contains(streamed, "event: response.incomplete") {
		t.Error(streamed)
	}
}
