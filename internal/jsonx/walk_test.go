package jsonx_test

import (
	"encoding/json"
	"strings"
	"testing"

	"halley/internal/jsonx"
)

func walkAll(text []byte) (members int, ok bool) {
	w, ok := jsonx.Walk(text)
	if !ok {
		return 0, false
	}
	for {
		name, value, more := w.Next()
		if !more {
			_, ok := w.Close()
			return members, ok
		}
		if !json.Valid(text[name.From:name.To]) || !json.Valid(text[value.From:value.To]) {
			return members, false
		}
		members++
	}
}

func TestWalkRefusesWhatIsNotJSON(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "[]", "1", "{", "{}x", `{"a"}`, `{"a":}`, `{"a":1,}`, `{,"a":1}`, `{"a":1 "b":2}`, `{a:1}`, `{'a':1}`, `{"a":01}`, `{"a":1.}`, `{"a":.5}`, `{"a":1e}`,
		`{"a":+1}`, `{"a":NaN}`, `{"a":tru}`, `{"a":"\x"}`, `{"a":"\u12g4"}`, `{"a":"`, `{"a":"\`, `{"a":"\"}`, "{\"a\":\"\n\"}", "{\"a\":\"long enough text \x01 for eight\"}",
		`{"a":[1,]}`, `{"a":[}`, `{"a":{"b":1]}`, `{"a":1}/**/`, "{\"a\":\"\xff\"}", `{"a":` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000) + `}`,
	} {
		if _, ok := walkAll([]byte(text)); ok {
			t.Errorf("%.60q was taken", text)
		}
	}
	for _, text := range []string{"{}", " { } ", `{"a":"\"\\\/\b\f\n\r\t\u00e9\ud83d"}`, `{"a":-0.5e+10,"b":[1,{"c":[]}],"":{}}`} {
		if _, ok := walkAll([]byte(text)); !ok {
			t.Errorf("%q was refused", text)
		}
	}
}

// The standard library is the judge of what is JSON.
func FuzzWalkAgreesWithTheStandardLibrary(f *testing.F) {
	for _, seed := range []string{`{"a":1}`, `{"a":"\\\"x","b":[true,false,null,-1.5e3]}`, "{\"a\":\"\u2028\"}", `{"a":"\\"}`, `{"a":"\\\\\""}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		members, ok := walkAll(text)
		var m map[string]json.RawMessage
		want := json.Valid(text) && json.Unmarshal(text, &m) == nil && m != nil && strings.ToValidUTF8(string(text), "") == string(text)
		if ok != want {
			t.Fatalf("%q: walked %v, valid %v", text, ok, want)
		}
		if ok && members < len(m) {
			t.Fatalf("%q: %d members, want at least %d", text, members, len(m))
		}
	})
}
