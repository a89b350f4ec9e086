package wire

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"halley/internal/jsonx"
)

// fataler is a test or a property.
type fataler interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

func mustPath(t fataler, text string) Path {
	t.Helper()
	path, err := ParsePath(text)
	if err != nil {
		t.Fatalf("path %s: %v", text, err)
	}
	return path
}

func TestAPathReadsAsItIsDocumented(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Path{
		"temperature":          {{Name: "temperature"}},
		"response_format.type": {{Name: "response_format"}, {Name: "type"}},
		"messages[0].content":  {{Name: "messages"}, {Index: 0, Element: true}, {Name: "content"}},
		"a[1][20]":             {{Name: "a"}, {Index: 1, Element: true}, {Index: 20, Element: true}},
		`metadata.team\.name`:  {{Name: "metadata"}, {Name: "team.name"}},
		`\[0\]\\`:              {{Name: `[0]\`}},
		"ключ с пробелом":      {{Name: "ключ с пробелом"}},
	} {
		got, err := ParsePath(text)
		if err != nil || !reflect.DeepEqual(got, want) || got.String() != text {
			t.Errorf("%s is %+v (%s), %v", text, got, got, err)
		}
	}
}

func TestABadPathIsRefusedInWords(t *testing.T) {
	t.Parallel()
	for text, words := range map[string]string{
		"": "is empty", ".a": "empty name", "a.": "empty name", "a..b": "empty name", "[0]": "empty name", "a.[0]": "empty name",
		"a]": "closes nothing", `a\b`: "not before one of", `a\`: "not before one of", "a[": "number of an element", "a[]": "number of an element",
		"a[-1]": "number of an element", "a[01]": "number of an element", "a[+1]": "number of an element", "a[100000]": "number of an element",
		"a[1": "number of an element", "a[0]b": "must go on with", "\xff": "UTF-8", strings.Repeat("a", 513): "longer than 512",
		strings.Repeat("a.", 16) + "a": "deeper than 16",
	} {
		if path, err := ParsePath(text); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%q: %v, %v; want %q", text, path, err, words)
		}
	}
}

func TestEveryPathCanBeWritten(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		place := rapid.OneOf(
			rapid.Custom(func(t *rapid.T) Place { return Place{Name: rapid.StringN(1, 6, 12).Draw(t, "name")} }),
			rapid.Custom(func(t *rapid.T) Place {
				return Place{Element: true, Index: rapid.IntRange(0, maxIndex).Draw(t, "index")}
			}),
		)
		path := append(Path{{Name: rapid.StringN(1, 6, 12).Draw(t, "first")}}, rapid.SliceOfN(place, 0, 8).Draw(t, "rest")...)
		if got, err := ParsePath(path.String()); err != nil || !reflect.DeepEqual(got, path) {
			t.Fatalf("%+v is written %s and read %+v, %v", path, path, got, err)
		}
	})
}

// patchOf compiles a patch of entries such as "remove a", "default a.b 1" and
// "set a[0] {}".
func patchOf(t fataler, entries ...string) *Patch {
	t.Helper()
	var spec PatchSpec
	for _, entry := range entries {
		words := strings.SplitN(entry, " ", 3)
		path := mustPath(t, words[1])
		switch words[0] {
		case "remove":
			spec.Remove = append(spec.Remove, path)
		case "default":
			spec.Default = append(spec.Default, Assignment{path, []byte(words[2])})
		case "set":
			spec.Set = append(spec.Set, Assignment{path, []byte(words[2])})
		}
	}
	p, err := NewPatch(spec)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestAPatchTouchesWhatItNamesAndNothingElse(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		patch  []string
		before string
		after  string
	}{
		"remove the first":                    {[]string{"remove a"}, `{ "a": 1, "b" : 2.50e1 }`, `{ "b" : 2.50e1 }`},
		"remove one in the middle":            {[]string{"remove b"}, `{"a":1 , "b":2 , "c":3}`, `{"a":1 , "c":3}`},
		"remove the last":                     {[]string{"remove c"}, `{"a":1,"c":3 }`, `{"a":1 }`},
		"remove all":                          {[]string{"remove a", "remove b"}, `{ "a":1,"b":2 }`, `{  }`},
		"remove the first two":                {[]string{"remove a", "remove b"}, `{"a":1,"b":2,"c":3}`, `{"c":3}`},
		"remove around one that stays":        {[]string{"remove a", "remove c", "remove d"}, `{"a":1,"b":2,"c":3,"d":4}`, `{"b":2}`},
		"remove what is not there":            {[]string{"remove z", "remove a.b", "remove b[0]"}, `{"a":1,"b":{}}`, `{"a":1,"b":{}}`},
		"remove twice the same name":          {[]string{"remove a"}, `{"a":1,"b":2,"a":3}`, `{"b":2}`},
		"remove inside":                       {[]string{"remove a.b"}, `{"a":{"b":1,"c":[ 1 ]}}`, `{"a":{"c":[ 1 ]}}`},
		"remove elements":                     {[]string{"remove a[0]", "remove a[2]"}, `{"a":[1, 2, 3, 4]}`, `{"a":[2, 4]}`},
		"remove inside an element":            {[]string{"remove m[1].n"}, `{"m":[{"n":1},{"n":1,"o":2}]}`, `{"m":[{"n":1},{"o":2}]}`},
		"a name written with escapes":         {[]string{"remove user"}, `{"\u0075ser":1,"b":2}`, `{"b":2}`},
		"other letter case is another name":   {[]string{"remove a"}, `{"A":1}`, `{"A":1}`},
		"set what is there":                   {[]string{"set a 2"}, `{"a": {"deep":[]} ,"b":1}`, `{"a": 2 ,"b":1}`},
		"set what is not there":               {[]string{`set a "x"`}, "{\"b\":1\n}", "{\"b\":1\n,\"a\":\"x\"}"},
		"set in an empty object":              {[]string{"set a 1", "set b 2"}, `{ }`, `{ "a":1,"b":2}`},
		"set makes objects":                   {[]string{"set a.b.c 1", "set a.d 2"}, `{}`, `{"a":{"b":{"c":1},"d":2}}`},
		"set makes an object of null":         {[]string{"set a.b 1"}, `{"a":null}`, `{"a":{"b":1}}`},
		"set does not go through a text":      {[]string{"set a.b 1"}, `{"a":"x"}`, `{"a":"x"}`},
		"set does not make lists":             {[]string{"set a[0].b 1", "set c[0] 1"}, `{"c":[]}`, `{"c":[]}`},
		"set an element":                      {[]string{"set a[1] 9"}, `{"a":[ 1, 2 ]}`, `{"a":[ 1, 9 ]}`},
		"set members of an element":           {[]string{"set a[0].b 1", "set a[0].c 2"}, `{"a":[{"c":0}]}`, `{"a":[{"c":2,"b":1}]}`},
		"set by name and number":              {[]string{"set a.b 1", "set a[0] 1"}, `{"a":[0]}`, `{"a":[1]}`},
		"set goes by the first of two":        {[]string{"set a 9"}, `{"a":1,"b":2,"a":3}`, `{"a":9,"b":2}`},
		"default for what is there":           {[]string{"default a 2"}, `{"a":1,"a":2}`, `{"a":1,"a":2}`},
		"default for null, which is there":    {[]string{"default a 2", "default b.c 1"}, `{"a":null,"b":null}`, `{"a":null,"b":null}`},
		"default for what is not there":       {[]string{"default a.b 2"}, `{"a":{"c":1}}`, `{"a":{"c":1,"b":2}}`},
		"default inside the first of two":     {[]string{"default a.b 2"}, `{"a":{},"a":{}}`, `{"a":{"b":2}}`},
		"first remove, then default":          {[]string{"default a 2", "remove a"}, `{"a":1}`, `{"a":2}`},
		"then set":                            {[]string{"set a.b 3", `default a {"c":1}`, "remove a"}, `{"a":1}`, `{"a":{"c":1,"b":3}}`},
		"a name with a dot":                   {[]string{`set a\.b 1`}, `{"a":{"b":2}}`, `{"a":{"b":2},"a.b":1}`},
		"a name that needs escapes":           {[]string{`set a"b 1`}, `{}`, `{"a\"b":1}`},
		"what is no object":                   {[]string{"set a 1"}, `[1]`, `[1]`},
		"what is broken behind the last edit": {[]string{"set a 1"}, `{"a":2,"b":}`, `{"a":2,"b":}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before := []byte(row.before)
			if got := patchOf(t, row.patch...).Apply(before); string(got) != row.after || string(before) != row.before {
				t.Errorf("%s became %s, want %s", before, got, row.after)
			}
		})
	}
}

func TestPathsOfOneListMustNotMeet(t *testing.T) {
	t.Parallel()
	for _, pair := range [][2]string{{"a", "a"}, {"a", "a.b"}, {"a.b", "a"}, {"a[0]", "a[0].b"}, {"a.b.c", "a.b"}} {
		set := []Assignment{{mustPath(t, pair[0]), []byte("1")}, {mustPath(t, pair[1]), []byte("1")}}
		if _, err := NewPatch(PatchSpec{Set: set}); err == nil {
			t.Errorf("%v may both be set", pair)
		}
		if _, err := NewPatch(PatchSpec{Set: set[:1], Default: set[1:]}); err != nil {
			t.Errorf("%v in two lists: %v", pair, err)
		}
	}
}

func TestNoPatchIsNoWork(t *testing.T) {
	body := []byte(`{"a":1}`)
	for name, p := range map[string]*Patch{"none": patchOf(t), "one that finds nothing": patchOf(t, "remove z")} {
		if got := p.Apply(body); &got[0] != &body[0] {
			t.Errorf("%s copies the body", name)
		}
	}
	var none *Patch
	if n := testing.AllocsPerRun(100, func() { none.Apply(body) }); n != 0 {
		t.Errorf("no patch allocates %v times", n)
	}
}

// decoded is what the standard library makes of the text; false when it is no
// object, or when it has a name twice, of which the library would see one.
func decoded(text []byte) (map[string]any, bool) {
	var v map[string]any
	var strict map[string]jsonx.Value
	if json.Unmarshal(text, &v) != nil || v == nil || jsonx.Unmarshal(text, &strict) != nil {
		return nil, false
	}
	return v, true
}

// plain is what a patch does, worked out on decoded values: where v stands at
// the path. ok is false where nothing is to be there.
func plain(does string, v any, there bool, path Path, value any) (any, bool) {
	if len(path) == 0 {
		switch {
		case does == "remove":
			return nil, false
		case does == "set" || !there:
			return value, true
		}
		return v, true
	}
	place := path[0]
	if place.Element {
		list, ok := v.([]any)
		if !ok || place.Index >= len(list) {
			return v, there
		}
		out := append([]any{}, list...)
		if inner, stays := plain(does, list[place.Index], true, path[1:], value); stays {
			out[place.Index] = inner
		} else {
			out = append(out[:place.Index], out[place.Index+1:]...)
		}
		return out, true
	}
	object, ok := v.(map[string]any)
	makes := (!there && does != "remove") || (there && v == nil && does == "set")
	if !ok && !makes {
		return v, there
	}
	inner, has := object[place.Name]
	inner, stays := plain(does, inner, has, path[1:], value)
	if !ok && !stays {
		return v, there
	}
	out := map[string]any{}
	for name, member := range object {
		out[name] = member
	}
	delete(out, place.Name)
	if stays {
		out[place.Name] = inner
	}
	return out, true
}

func FuzzPatch(f *testing.F) {
	for _, seed := range []struct{ does, path, value, body string }{
		{"remove", "a", "", `{"a":1,"b":[1,2]}`}, {"remove", "b[1]", "", `{"a":1,"b":[1 , 2]}`}, {"set", "a.b", `{"x":[]}`, `{"a":null}`},
		{"default", "a.b", "1.50", ` { "a" : { } } `}, {"set", "m[0].content[1].text", `"é"`, `{"m":[{"content":[1,{"text":"\u00e9"}]}]}`}, {"set", "a[0].b", "1", `{}`},
		{"set", "a", "1", `{"\u0061":2}`}, {"default", `a\.b[2]`, "null", `{"a.b":[[],{},""]}`},
	} {
		f.Add(seed.does, seed.path, seed.value, []byte(seed.body))
	}
	f.Fuzz(func(t *testing.T, does, path, value string, body []byte) {
		at, err := ParsePath(path)
		if err != nil {
			return
		}
		if again := at.String(); mustPath(t, again).String() != again {
			t.Fatalf("the path %q is written %q", path, again)
		}
		var v any
		var strict jsonx.Value
		if does != "remove" && (json.Unmarshal([]byte(value), &v) != nil || jsonx.Unmarshal([]byte(value), &strict) != nil) {
			return
		}
		var spec PatchSpec
		switch does {
		case "remove":
			spec.Remove = []Path{at}
		case "default":
			spec.Default = []Assignment{{at, []byte(value)}}
		case "set":
			spec.Set = []Assignment{{at, []byte(value)}}
		default:
			return
		}
		p, err := NewPatch(spec)
		if err != nil {
			t.Fatal(err)
		}
		got := p.Apply(body)
		before, ok := decoded(body)
		if !ok {
			if again := p.Apply(got); does != "default" && json.Valid(body) && !json.Valid(again) {
				t.Fatalf("%s %s made %s of %s", does, path, again, body)
			}
			return
		}
		after, ok := decoded(got)
		want, _ := plain(does, before, true, at, v)
		if !ok || !reflect.DeepEqual(any(after), want) {
			t.Fatalf("%s %s %s made %s of %s, want %v", does, path, value, got, body, want)
		}
	})
}

func TestOtherBytesSurvive(t *testing.T) {
	t.Parallel()
	values := []string{`1.0e0`, `"\u0041\/"`, `[ 1 ,2]`, `{ "x" : { } }`, `-0`, `null`, `123456789012345678901234567890`}
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 6).Draw(t, "members")
		space := rapid.SampledFrom([]string{"", " ", "\n\t"})
		var body bytes.Buffer
		var others []string
		body.WriteString("{" + space.Draw(t, "s"))
		for i := range n {
			if i > 0 {
				body.WriteString("," + space.Draw(t, "s"))
			}
			member := fmt.Sprintf("\"m%d\"%s:%s%s", i, space.Draw(t, "s"), space.Draw(t, "s"), rapid.SampledFrom(values).Draw(t, "v"))
			body.WriteString(member + space.Draw(t, "s"))
			others = append(others, member)
		}
		body.WriteString("}")
		named := rapid.SliceOfNDistinct(rapid.IntRange(0, 7), 1, 4, rapid.ID[int]).Draw(t, "named")
		does := rapid.SampledFrom([]string{"remove", "default", "set"}).Draw(t, "does")
		var entries []string
		touched := map[int]bool{}
		for _, i := range named {
			entries = append(entries, fmt.Sprintf("%s m%d %s", does, i, `["new"]`))
			touched[i] = does != "default"
		}
		got := string(patchOf(t, entries...).Apply(body.Bytes()))
		if !json.Valid([]byte(got)) {
			t.Fatalf("%v made %s of %s", entries, got, body.String())
		}
		for i, member := range others {
			if !touched[i] && !strings.Contains(got, member) {
				t.Fatalf("%v made %s of %s: %s is gone", entries, got, body.String(), member)
			}
		}
	})
}
