package dialects_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"encoding/json"

	"github.com/google/go-cmp/cmp"

	"halley/internal/translate"
	"halley/test/fakeprovider"
	"halley/test/translatetest"
)

// check is one way of looking at an interaction.
type check string

const (
	same    check = "same dialect"
	through check = "through others"
	stream  check = "streams"
)

// result is what came of a check.
type result struct {
	check check
	way   string // the other dialect, for through
	// refused is the field that the other dialect has no words for, and why.
	refused, why string
	failure      string
}

// judge makes all checks of one interaction.
type judge struct {
	in      fakeprovider.Interaction
	own     *dialect
	codec   translate.Codec
	asked   *translate.Conversation // nil when there is no request that can be read
	answers []*translate.Answer
	other   string // the feature of what makes no text
	results []result
}

// try makes one check. A panic is a failure as well.
func (j *judge) try(c check, way string, f func() error) {
	var err error
	func() {
		defer func() {
			if p := recover(); p != nil {
				err = fmt.Errorf("panic: %v", p)
			}
		}()
		err = f()
	}()
	r := result{check: c, way: way}
	if no, ok := errors.AsType[*translate.Unsupported](err); ok {
		r.refused, r.why = no.Field, no.Why
	} else if err != nil {
		r.failure = err.Error()
	}
	j.results = append(j.results, r)
}

func (j *judge) all(others []*dialect) {
	in := j.in
	j.codec = j.own.codec(in)
	if len(in.Request.Body) > 0 && json.Valid(in.Request.Body) && in.API != "openai.responses.retrieve" {
		j.try(same, "", j.sameRequest)
	}
	var happenings []translatetest.Happening
	switch {
	case in.Response.Status >= 400:
		j.try(same, "", j.sameFailure)
	case strings.Contains(in.API, "count_tokens") || strings.Contains(in.API, "input_tokens"):
		// a number, which the codecs' tests look at
	case in.Stream || in.Response.IsSSE():
		j.try(stream, "", func() (err error) {
			happenings, err = translatetest.Happenings(in)
			return err
		})
		for _, one := range j.apart(happenings) {
			j.try(stream, "", func() error { return j.sameStream(one) })
			for _, far := range others {
				j.try(through, string(far.name), func() error { return j.streamThrough(far, one) })
			}
		}
	default:
		j.try(same, "", j.sameAnswer)
		for _, far := range others {
			j.try(through, string(far.name), func() error { return j.answerThrough(far) })
		}
	}
	if j.asked != nil && in.Response.Status < 400 {
		for _, far := range others {
			j.try(through, string(far.name), func() error { return j.requestThrough(far) })
		}
	}
}

// apart are the answers in a recording.
func (j *judge) apart(list []translatetest.Happening) (all [][]translatetest.Happening) {
	from := 0
	for i, h := range list {
		if j.own.last(h) {
			all = append(all, list[from:i+1])
			from = i + 1
		}
	}
	if rest := list[from:]; len(all) == 0 || len(rest) > 0 && string(rest[0].Data) != "[DONE]" {
		all = append(all, rest)
	}
	return all
}

func parse(text []byte) (v any, err error) {
	if err := json.Unmarshal(text, &v); err != nil {
		return nil, fmt.Errorf("not JSON: %w: %.300s", err, text)
	}
	return v, nil
}

// equal compares two bodies but for the allowed differences.
func (j *judge) equal(what string, a, b []byte) error {
	want, err := parse(a)
	if err != nil {
		return err
	}
	got, err := parse(b)
	if err != nil {
		return err
	}
	if diff := cmp.Diff(translatetest.AtLast(j.own.plain(want)), translatetest.AtLast(j.own.plain(got))); diff != "" {
		return fmt.Errorf("%s: %s", what, diff)
	}
	return nil
}

func (j *judge) sameRequest() error {
	c, err := j.codec.DecodeRequest(j.in.Request.Body)
	if err != nil {
		if bad, ok := errors.AsType[*translate.Malformed](err); ok && j.in.Response.Status >= 400 && bad != nil {
			return nil // and its upstream thought so too
		}
		return err
	}
	j.asked = c
	encode := j.codec.EncodeRequest
	if counts, ok := j.codec.(interface {
		EncodeCount(c *translate.Conversation, to translate.Target) ([]byte, error)
	}); ok && j.in.API == "anthropic.count_tokens" {
		encode = counts.EncodeCount
	}
	out, err := encode(c, translate.Target{Model: c.Model})
	if err != nil {
		return err
	}
	if dropped := c.TakeDropped(); len(dropped) > 0 {
		return fmt.Errorf("dropped %v", dropped)
	}
	return j.equal("request", j.in.Request.Body, out)
}

// client is the request that an answer is written for.
func (j *judge) client() *translate.Conversation {
	if j.asked != nil {
		c := *j.asked
		c.IncludeUsage = true
		return &c
	}
	return &translate.Conversation{From: j.own.name, IncludeUsage: true}
}

func (j *judge) sameAnswer() error {
	a, err := j.codec.DecodeAnswer(j.in.Response.Body)
	if err != nil {
		return err
	}
	out, err := j.codec.EncodeAnswer(j.client(), a)
	if err != nil {
		return err
	}
	j.answers = append(j.answers, a)
	if want, told := j.in.Usage(); told && (a.Usage == nil || *a.Usage != want) {
		return fmt.Errorf("usage %+v, the recording says %+v", a.Usage, want)
	}
	return j.equal("answer", j.in.Response.Body, out)
}

// sameFailure wants an error's words kept: all of them where the body has the
// dialect's form.
func (j *judge) sameFailure() error {
	f := j.codec.DecodeFailure(j.in.Response.Status, j.in.Response.Body)
	if f.Message == "" || f.Status < 400 {
		return fmt.Errorf("an error without words or status: %+v", f)
	}
	out, err := parse(j.codec.EncodeFailure(f, "req-1"))
	if err != nil {
		return err
	}
	if words := fmt.Sprint(out); !strings.Contains(words, f.Message) {
		return fmt.Errorf("%q is not in %s", f.Message, words)
	}
	var v any
	if json.Unmarshal(j.in.Response.Body, &v) == nil && !holds(v, f.Message) {
		return fmt.Errorf("%q is not what %s says", f.Message, j.in.Response.Body)
	}
	return nil
}

// holds says whether a JSON value has the text in it.
func holds(v any, text string) bool {
	switch v := v.(type) {
	case string:
		return strings.Contains(v, text) || strings.Contains(text, v) && len(v) > len(text)/2
	case []any:
		for _, e := range v {
			if holds(e, text) {
				return true
			}
		}
	case map[string]any:
		for _, e := range v {
			if holds(e, text) {
				return true
			}
		}
	}
	return false
}

// cut says whether a stream has no end.
func (j *judge) cut(list []translatetest.Happening) bool {
	for _, h := range list {
		for _, mark := range j.own.ends {
			if strings.Contains(h.Name, mark) || bytes.Contains(h.Data, []byte(mark)) {
				return false
			}
		}
	}
	return true
}

func (j *judge) sameStream(list []translatetest.Happening) error {
	events, err := translatetest.Run(j.codec.DecodeStream(), list)
	a, whole, fault := translatetest.Assembled(events)
	if j.cut(list) {
		if (err == nil || whole) && fault == nil {
			return errors.New("a cut stream counts as whole")
		}
		return nil
	}
	if fault != nil {
		if whole || fault.Message == "" {
			return fmt.Errorf("a failure without words: %+v", fault)
		}
		return nil
	}
	if err != nil || !whole {
		return fmt.Errorf("whole %v: %v", whole, err)
	}
	j.answers = append(j.answers, a)
	text, err := j.own.whole(list)
	if err != nil {
		return err
	}
	b, err := j.codec.DecodeAnswer(text)
	if err != nil {
		return fmt.Errorf("put together: %w: %s", err, text)
	}
	if diff := cmp.Diff(translatetest.Core(b), translatetest.Core(a)); diff != "" {
		return fmt.Errorf("not what it is put together: %s", diff)
	}
	if want, told := j.in.Usage(); told && (a.Usage == nil || *a.Usage != want) {
		return fmt.Errorf("usage %+v, the recording says %+v", a.Usage, want)
	}
	again, err := translatetest.Run(j.codec.DecodeStream(), j.written(j.own, j.codec.EncodeStream(j.client()), events))
	if err != nil {
		return fmt.Errorf("written again: %w", err)
	}
	c, whole, fault := translatetest.Assembled(again)
	if !whole || fault != nil {
		return fmt.Errorf("written again: whole %v, %+v", whole, fault)
	}
	if diff := cmp.Diff(translatetest.Core(a), translatetest.Core(c)); diff != "" {
		return fmt.Errorf("written again: %s", diff)
	}
	return nil
}

// written are events in a dialect's words, read as happenings.
func (j *judge) written(d *dialect, s translate.StreamEncoder, events []translate.Event) []translatetest.Happening {
	out := translatetest.Written(s, events)
	if d.name == translate.Gemini && len(out) > 0 && out[0] == '[' {
		list, err := translatetest.Happenings(fakeprovider.Interaction{Response: fakeprovider.Response{Body: out}})
		if err != nil {
			panic(err)
		}
		return list
	}
	list, err := translatetest.OfSSE(out)
	if err != nil {
		panic(err)
	}
	return list
}

func (j *judge) streamThrough(far *dialect, list []translatetest.Happening) error {
	events, err := translatetest.Run(j.codec.DecodeStream(), list)
	a, whole, fault := translatetest.Assembled(events)
	if err != nil || !whole || fault != nil {
		return nil // cut, or an error: sameStream has seen to it
	}
	given(events)
	if a.Candidates != nil && a.Candidates[0].Stop == translate.Broken {
		return j.spoilt(far, events)
	}
	other := far.codec(j.in)
	there, err := translatetest.Run(other.DecodeStream(), j.written(far, other.EncodeStream(&translate.Conversation{From: far.name, IncludeUsage: true, Stream: true}), events))
	if err != nil {
		return fmt.Errorf("there: %w", err)
	}
	given(there)
	back, err := translatetest.Run(j.codec.DecodeStream(), j.written(j.own, j.codec.EncodeStream(&translate.Conversation{From: j.own.name, IncludeUsage: true, Stream: true}), there))
	if err != nil {
		return fmt.Errorf("and back: %w", err)
	}
	b, whole, fault := translatetest.Assembled(back)
	if !whole || fault != nil {
		return fmt.Errorf("and back: whole %v, %+v", whole, fault)
	}
	return sameAnswers(far, translatetest.OfAnswer(a), translatetest.OfAnswer(b))
}

// given gives an answer an id, as the gateway does.
func given(events []translate.Event) {
	for i := range events {
		if events[i].Kind == translate.Begin && events[i].ID == "" {
			events[i].ID = "id-1"
		}
	}
}

func (j *judge) answerThrough(far *dialect) error {
	a, err := j.codec.DecodeAnswer(j.in.Response.Body)
	if err != nil {
		return nil // sameAnswer says so
	}
	if a.ID == "" {
		a.ID = "id-1"
	}
	there, err := carried(far.codec(j.in), far.name, a)
	if a.Candidates != nil && a.Candidates[0].Stop == translate.Broken { // an error, or the dialect's own word for it
		if err == nil && there.Candidates[0].Stop != translate.Broken {
			return errors.New("spoilt output counts as whole")
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("there: %w", err)
	}
	if there.ID == "" {
		there.ID = "id-1"
	}
	back, err := carried(j.codec, j.own.name, there)
	if err != nil {
		return fmt.Errorf("and back: %w", err)
	}
	return sameAnswers(far, translatetest.OfAnswer(a), translatetest.OfAnswer(back))
}

func carried(codec translate.Codec, name translate.Dialect, a *translate.Answer) (*translate.Answer, error) {
	out, err := codec.EncodeAnswer(&translate.Conversation{From: name, Model: a.Model, IncludeUsage: true}, a)
	if err != nil {
		return nil, err
	}
	back, err := codec.DecodeAnswer(out)
	if err != nil {
		return nil, fmt.Errorf("%w in %s", err, out)
	}
	return back, nil
}

func (j *judge) requestThrough(far *dialect) error {
	other := far.codec(j.in)
	c := j.asked
	out, err := other.EncodeRequest(c, translate.Target{Model: far.model})
	if err != nil {
		return err
	}
	there, err := other.DecodeRequest(out)
	if err != nil {
		return fmt.Errorf("there: %w in %s", err, out)
	}
	if out, err = j.codec.EncodeRequest(there, translate.Target{Model: c.Model}); err != nil {
		return fmt.Errorf("and back: %w", err)
	}
	back, err := j.codec.DecodeRequest(out)
	if err != nil {
		return fmt.Errorf("and back: %w in %s", err, out)
	}
	return alike(far, translatetest.OfConversation(c).WithoutNames(c), translatetest.OfConversation(back).WithoutNames(c).WithoutNames(there))
}

// spoilt wants output that its model spoiled told as an error, or by the dialect's
// own word for it.
func (j *judge) spoilt(far *dialect, events []translate.Event) error {
	other := far.codec(j.in)
	there, err := translatetest.Run(other.DecodeStream(), j.written(far, other.EncodeStream(&translate.Conversation{From: far.name, Stream: true}), events))
	a, whole, fault := translatetest.Assembled(there)
	if err == nil && whole && fault == nil && (a.Candidates == nil || a.Candidates[0].Stop != translate.Broken) {
		return errors.New("spoilt output counts as whole")
	}
	return nil
}

func sameAnswers(far *dialect, a, b translatetest.Gist) error {
	if far.noMedia {
		a.Media, b.Media = nil, nil
	}
	return alike(far, a, b)
}

// alike compares gists but for what the other dialect says otherwise.
func alike(far *dialect, a, b translatetest.Gist) error {
	want, got := a.WithoutIntroductions().Fitted().OneWord(), b.WithoutIntroductions().Fitted().OneWord()
	if want.User == "" && got.User == want.System { // somebody must speak: a conversation of system text alone
		want.User, want.System = want.System, ""
	}
	if far.less != nil {
		far.less(&want)
		far.less(&got)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		return errors.New(diff)
	}
	return nil
}
