package jsonx_test

import (
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
