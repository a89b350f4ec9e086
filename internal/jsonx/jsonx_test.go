package jsonx_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"halley/internal/jsonx"
)

type body struct {
	Name  jsonx.Opt[string] `json:"name"`
	Count jsonx.Opt[int64]  `json:"count"`
	IDs   []int64           `json:"ids"`
	Inner struct {
		Flag bool `json:"flag"`
	} `json:"inner"`
}

func TestDecodeNamesTheMemberAtFault(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct{ in, field, reason string }{
		"wrong type in optional": {`{"name":5}`, "name", "must be a string"},
		"fraction":               {`{"count":1.5}`, "count", "whole number"},
		"beyond 64 bits":         {`{"count":9223372036854775808}`, "count", "whole number"},
		"string for number":      {`{"count":"1"}`, "count", "must be a whole number"},
		"inside a list":          {`{"ids":[1,"x"]}`, "ids.1", "whole number"},
		"nested":                 {`{"inner":{"flag":"yes"}}`, "inner.flag", "true or false"},
		"twice":                  {`{"name":"a","name":"b"}`, "name", "twice"},
		"truncated":              {`{"name":"a"`, "", "not valid JSON"},
		"trailing":               {`{} x`, "", "not valid JSON"},
		"not utf-8":              {"{\"name\":\"\xff\"}", "", "not valid JSON"},
		"not an object":          {`[]`, "", "must be an object"},
		"deep":                   {`{"x":` + strings.Repeat("[", 20000), "", "not valid JSON"},
		"empty":                  {``, "", "not valid JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var b body
			err := jsonx.Decode([]byte(row.in), &b)
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

func TestWhereOursHasNoPlaceForNullItIsRefused(t *testing.T) {
	t.Parallel()
	type ours struct {
		List jsonx.Opt[[]string]          `json:"list"`
		IDs  jsonx.Opt[[]int64]           `json:"ids"`
		Map  jsonx.Opt[map[string]string] `json:"map"`
		Deep struct {
			List []bool `json:"list"`
		} `json:"deep"`
		Any  jsonx.Opt[map[string]jsonx.Value] `json:"any"`
		Name jsonx.Opt[string]                 `json:"name"`
		Opts jsonx.Opt[[]jsonx.Opt[int64]]     `json:"opts"`
	}
	for in, field := range map[string]string{
		`{"list":["a",null]}`: "list.1", `{"ids":[null]}`: "ids.0", `{"map":{"a":"b","c":null}}`: "map.c", `{"deep":{"list":[true,null]}}`: "deep.list.1",
		`{"list":null,"ids":null,"map":null}`: "", `{"any":{"a":null}}`: "", `{"name":null}`: "", `{"opts":[null]}`: "", `{"unknown":[null]}`: "",
		`{"list":["a"],"ids":[1],"map":{"a":"b"},"deep":{"list":[true]}}`: "",
	} {
		var lax, own ours
		if err := jsonx.Decode([]byte(in), &lax); err != nil {
			t.Errorf("Decode %s: %v", in, err)
		}
		err := jsonx.DecodeOwn([]byte(in), &own)
		bad, refused := errors.AsType[*jsonx.DecodeError](err)
		switch {
		case refused != (field != "") || (err != nil && !refused):
			t.Errorf("DecodeOwn %s: %v", in, err)
		case refused && (bad.Field != field || !strings.HasSuffix(bad.Reason, ", not null")):
			t.Errorf("DecodeOwn %s names %q: %s", in, bad.Field, bad.Reason)
		case !refused && !reflect.DeepEqual(own, lax):
			t.Errorf("DecodeOwn %s: %+v, Decode %+v", in, own, lax)
		}
	}
}

func TestOptTellsAbsentFromNull(t *testing.T) {
	t.Parallel()
	var b body
	if err := jsonx.Decode([]byte(`{"name":null,"count":0,"unknown":{"a":1}}`), &b); err != nil {
		t.Fatal(err)
	}
	if !b.Name.Set || !b.Name.Null || b.Name.Ptr() != nil {
		t.Errorf("null member reads %+v", b.Name)
	}
	if p := b.Count.Ptr(); p == nil || *p != 0 {
		t.Errorf("zero member reads %+v", b.Count)
	}
}

func TestMergeKeepsTakesAwayAndReplaces(t *testing.T) {
	t.Parallel()
	double := func(n int64) (int64, error) {
		if n < 0 {
			return 99, errors.New("negative")
		}
		return 2 * n, nil
	}
	for name, row := range map[string]struct {
		from jsonx.Opt[int64]
		want int64
		ok   bool
	}{
		"absent": {jsonx.Opt[int64]{}, 7, true}, "null": {jsonx.Opt[int64]{Set: true, Null: true}, 0, true},
		"a value": {jsonx.Some(int64(4)), 8, true}, "a bad value": {jsonx.Some(int64(-1)), 7, false},
	} {
		to := int64(7)
		if err := jsonx.Merge(&to, row.from, double); (err == nil) != row.ok || to != row.want {
			t.Errorf("%s: %d, %v", name, to, err)
		}
	}
}

func TestADecodeErrorTellsANumberThatIsNotWhole(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{`{"count":1.5}`: true, `{"count":9223372036854775808}`: true, `{"count":"1"}`: false, `{"name":1.5}`: false} {
		var b body
		bad, ok := errors.AsType[*jsonx.DecodeError](jsonx.Decode([]byte(text), &b))
		if !ok || bad.NotWhole != want {
			t.Errorf("%s: %+v", text, bad)
		}
	}
}
