package jsonx_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"halley/internal/jsonx"
)

// read is a reader's view of body, member by member as the other reader has it.
func read(text []byte) (b body, err error) {
	r := jsonx.Read(text)
	for r.Object(); r.Next('}'); {
		switch r.Name() {
		case "name":
			if !r.Null() {
				b.Name = jsonx.Some(r.String())
			}
		case "count":
			if n := r.IntOpt(); n != nil {
				b.Count = jsonx.Some(*n)
			}
		case "ids":
			for r.Array(); r.Next(']'); {
				b.IDs = append(b.IDs, r.Int())
			}
		case "inner":
			for r.Object(); r.Next('}'); {
				if r.Is("flag") {
					b.Inner.Flag = r.Bool()
				} else {
					r.Skip()
				}
			}
		default:
			r.Skip()
		}
	}
	return b, r.End()
}

func TestReaderNamesTheMemberAtFault(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct{ in, field, reason string }{
		"wrong type in optional": {`{"name":5}`, "name", "must be a string"},
		"fraction":               {`{"count":1.5}`, "count", "whole number"},
		"beyond 64 bits":         {`{"count":9223372036854775808}`, "count", "whole number within 64 bits"},
		"string for number":      {`{"count":"1"}`, "count", "must be a whole number"},
		"inside a list":          {`{"x":[[{}],{"a":[]}],"ids":[1,"x"]}`, "ids.1", "whole number"},
		"a list that is none":    {`{"ids":{}}`, "ids", "must be a list"},
		"null for a list":        {`{"ids":null}`, "ids", "must be a list, not null"},
		"nested":                 {`{"inner":{"a":{"flag":1},"flag":"yes"}}`, "inner.flag", "true or false"},
		"truncated":              {`{"name":"a"`, "", "not valid JSON (at byte 11)"},
		"a comma too many":       {`{"name":"a",}`, "", "not valid JSON"},
		"a comma too few":        {`{"ids":[1 2]}`, "", "not valid JSON"},
		"no colon":               {`{"name" "a"}`, "", "not valid JSON"},
		"no value":               {`{"name":}`, "", "not valid JSON"},
		"no member":              {`{"name":`, "", "not valid JSON"},
		"a bare name":            {`{name:1}`, "", "not valid JSON"},
		"the other bracket":      {`{"ids":[1}`, "", "not valid JSON"},
		"trailing":               {`{} x`, "", "not valid JSON"},
		"not utf-8":              {"{\"name\":\"\xff\"}", "", "not valid JSON"},
		"not an object":          {`[]`, "", "must be an object"},
		"deep":                   {`{"x":` + strings.Repeat("[", 20000), "", "not valid JSON"},
		"empty":                  {``, "", "not valid JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := read([]byte(row.in))
			bad, ok := err.(*jsonx.DecodeError)
			if !ok {
				t.Fatalf("err = %v, want a DecodeError", err)
			}
			if bad.Field != row.field || !strings.Contains(bad.Reason, row.reason) {
				t.Errorf("got field %q reason %q, want %q with %q", bad.Field, bad.Reason, row.field, row.reason)
			}
		})
	}
}

func TestReaderTellsWhatIsThere(t *testing.T) {
	t.Parallel()
	r := jsonx.Read([]byte(" {\"\\u006e\" : [ 1 , -2.5e1 , \"a\\n\\ud83d\\ude00\" , true , null, {\"a\": []} ] }\n"))
	var got []string
	for r.Object(); r.Next('}'); {
		got = append(got, r.Name())
		from := r.At()
		for r.Array(); r.Next(']'); {
			switch r.Kind() {
			case '0':
				got = append(got, fmt.Sprint(*r.FloatOpt()))
			case '"':
				got = append(got, r.String())
			case 't':
				got = append(got, fmt.Sprint(*r.BoolOpt()))
			case 'n':
				got = append(got, fmt.Sprint(r.Raw() == nil))
			default:
				got = append(got, string(r.Raw()))
			}
		}
		got = append(got, fmt.Sprint(len(r.Since(from))))
	}
	if err := r.End(); err != nil {
		t.Fatal(err)
	}
	if s := strings.Join(got, "|"); s != "n|1|-25|a\n😀|true|true|{\"a\": []}|59" {
		t.Errorf("got %q", s)
	}
}

func TestReaderLooksAheadWithoutTaking(t *testing.T) {
	t.Parallel()
	r := jsonx.Read([]byte(`[{"a":{"type":"x"},"type":"y"},{"type":5},{"a":1},{"type":"z"`))
	var got []string
	for r.Array(); r.Next(']'); {
		got = append(got, fmt.Sprintf("%s %v", r.Peek("type"), r.Peek("type") == nil))
		r.Skip()
	}
	if s := strings.Join(got, "|"); s != "y false| true| true|z false" || r.End() == nil {
		t.Errorf("got %s, error %v", s, r.End())
	}
}

func TestAReadersOwnFaultsHaveTheirPath(t *testing.T) {
	t.Parallel()
	r := jsonx.Read([]byte(`{"a":[{"color":"red"},{"color":"green"}]}`))
	for r.Object(); r.Next('}'); {
		for r.Array(); r.Next(']'); {
			for r.Object(); r.Next('}'); {
				at := r.At()
				if r.String() == "green" {
					r.Fault(at, "must be red or blue")
				}
			}
		}
	}
	bad, ok := errors.AsType[*jsonx.DecodeError](r.End())
	if !ok || bad.Field != "a.1.color" || bad.Reason != "must be red or blue" {
		t.Errorf("%+v", bad)
	}
}

// FuzzReader holds the reader against the library: what that takes, this takes
// with the same values. It also takes names given twice, lone surrogates and whole
// numbers written as 1e3.
func FuzzReader(f *testing.F) {
	for _, seed := range []string{`{"name":"a\u00e4","count":5,"ids":[1,2],"inner":{"flag":true},"x":[{}]}`, `{"ids":[1,"x"]}`, ` {"count" : null} `, `{"name":"a"`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var want body
		if jsonx.Decode(text, &want) != nil {
			_, _ = read(text)
			return
		}
		if bytes.Contains(text, []byte("null")) { // what null stands for differs
			return
		}
		got, err := read(text)
		if err != nil {
			t.Fatal(err)
		}
		want.Name.Null, want.Count.Null = false, false
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
}
