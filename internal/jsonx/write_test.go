package jsonx_test

import (
	"strings"
	"testing"

	"halley/internal/jsonx"
)

func TestWriterPutsTheCommas(t *testing.T) {
	t.Parallel()
	w := jsonx.Writer{Out: []byte("data: ")}
	w.Open('{')
	w.Text("s", "a\"\xff")
	w.TextIf("left out", "")
	w.Raw("left out", nil)
	w.Number("left out", nil)
	w.Name("list")
	w.Open('[')
	w.String(":")
	w.Value(jsonx.Value(`{}`))
	w.Open('{')
	w.Close('}')
	w.Open('[')
	w.Close(']')
	w.Close(']')
	w.Int("n", -7)
	w.Number("f", new(0.25))
	w.Flag("b", true)
	w.Null("z")
	w.Raw("r", jsonx.Value(`[1]`))
	w.Close('}')
	const want = `data: {"s":"a\"�","list":[":",{},{},[]],"n":-7,"f":0.25,"b":true,"z":null,"r":[1]}`
	if string(w.Out) != want {
		t.Errorf("got  %s\nwant %s", w.Out, want)
	}
	if !jsonx.Value(w.Out[len("data: "):]).IsValid() {
		t.Error("it is no JSON")
	}
}

// FuzzWriter holds strings against the library's reading of them.
func FuzzWriter(f *testing.F) {
	for _, seed := range []string{"", "plain text of more than eight bytes", "a\"b\\c\nd\re\tf\x00g\x1f", "äöü 😀\u2028", "\xff\xc3", "12345678\"", "\x7f\x80"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var w jsonx.Writer
		w.String(s)
		var got string
		if err := jsonx.Decode(w.Out, &got); err != nil {
			t.Fatalf("%q: %v", w.Out, err)
		}
		if want := strings.ToValidUTF8(s, "\uFFFD"); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}
