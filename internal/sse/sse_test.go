package sse_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"halley/internal/sse"
)

func readAll(src io.Reader, limit int) (events []string, rest string, err error) {
	r := sse.NewReader(src, make([]byte, 0, 16), limit)
	for {
		for e := r.Buffered(); e != nil; e = r.Buffered() {
			events = append(events, string(e))
		}
		if err := r.Fill(); err != nil {
			for e := r.Buffered(); e != nil; e = r.Buffered() {
				events = append(events, string(e))
			}
			return events, string(r.Rest()), err
		}
	}
}

func TestEventsAreCutWhateverTheLineEndsAndChunks(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		in     string
		events []string
		rest   string
	}{
		"lf":                 {"data: a\n\ndata: b\n\n", []string{"data: a\n\n", "data: b\n\n"}, ""},
		"crlf":               {"data: a\r\n\r\ndata: b\r\n\r\n", []string{"data: a\r\n\r\n", "data: b\r\n\r\n"}, ""},
		"cr":                 {"data: a\r\rdata: b\r\r", []string{"data: a\r\r", "data: b\r\r"}, ""},
		"several lines":      {"event: x\ndata: a\ndata: b\n\n", []string{"event: x\ndata: a\ndata: b\n\n"}, ""},
		"comment":            {": ping\n\ndata: a\n\n", []string{": ping\n\n", "data: a\n\n"}, ""},
		"unfinished":         {"data: a\n\ndata: b\n", []string{"data: a\n\n"}, "data: b\n"},
		"extra empty line":   {"data: a\n\n\ndata: b\n\n", []string{"data: a\n\n", "\ndata: b\n\n"}, ""},
		"larger than buffer": {"data: " + strings.Repeat("x", 300) + "\n\n", []string{"data: " + strings.Repeat("x", 300) + "\n\n"}, ""},
	} {
		for way, wrap := range map[string]func(io.Reader) io.Reader{
			"at once": func(r io.Reader) io.Reader { return r }, "byte by byte": iotest.OneByteReader,
			"halves": iotest.HalfReader, "error with data": iotest.DataErrReader,
		} {
			t.Run(name+"/"+way, func(t *testing.T) {
				t.Parallel()
				events, rest, err := readAll(wrap(strings.NewReader(row.in)), 1<<20)
				if !errors.Is(err, io.EOF) {
					t.Fatalf("err = %v", err)
				}
				if diff := cmp.Diff(row.events, events); diff != "" {
					t.Error(diff)
				}
				if rest != row.rest {
					t.Errorf("rest %q, want %q", rest, row.rest)
				}
			})
		}
	}
}

func TestAnEventOverTheLimitIsRefused(t *testing.T) {
	t.Parallel()
	_, _, err := readAll(strings.NewReader("data: "+strings.Repeat("x", 5000)), 1000)
	if !errors.Is(err, sse.ErrTooLong) {
		t.Errorf("err = %v, want ErrTooLong", err)
	}
}

func TestData(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"data: a\n\n": "a", "data:a\r\n\r\n": "a", "data:  a\n\n": " a", "event: x\ndata: a\nid: 1\ndata: b\ndata:c\n\n": "a\nb\nc",
		"data:\n\n": "", "data: [DONE]\r\r": "[DONE]",
	} {
		if got, ok := sse.Data([]byte(in)); !ok || string(got) != want {
			t.Errorf("Data(%q) = %q, %v, want %q", in, got, ok, want)
		}
	}
	for _, in := range []string{": comment\n\n", "\n", "event: ping\n\n", "xdata: a\n\n"} {
		if _, ok := sse.Data([]byte(in)); ok {
			t.Errorf("Data(%q) found data", in)
		}
	}
}

func FuzzNothingIsLostOrMade(f *testing.F) {
	f.Add([]byte("data: a\n\ndata: b\r\n\r\nx"), 3)
	f.Add([]byte("\r\r\n\n\r"), 1)
	f.Fuzz(func(t *testing.T, in []byte, step int) {
		step = max(1, min(step, 64))
		events, rest, _ := readAll(&stepReader{in, step}, 1<<20)
		if got := strings.Join(events, "") + rest; got != string(in) {
			t.Fatalf("%q came out as %q", in, got)
		}
		whole, wholeRest, _ := readAll(bytes.NewReader(in), 1<<20)
		if diff := cmp.Diff(whole, events); diff != "" || rest != wholeRest {
			t.Fatalf("chunking changed the events of %q: %s", in, diff)
		}
		for _, e := range events {
			data, ok := sse.Data([]byte(e))
			from, to, single := sse.DataSpan([]byte(e))
			if single && (!ok || e[from:to] != string(data)) {
				t.Fatalf("DataSpan of %q is %q, Data is %q", e, e[from:to], data)
			}
		}
	})
}

type stepReader struct {
	data []byte
	step int
}

func (r *stepReader) Read(p []byte) (int, error) {
	if len(r.data) == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.data[:min(r.step, len(r.data))])
	r.data = r.data[n:]
	return n, nil
}

func BenchmarkEvents(b *testing.B) {
	one := "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" word\"},\"finish_reason\":null}]}\n\n"
	text := []byte(strings.Repeat(one, 100))
	buf := make([]byte, 0, 32<<10)
	b.ReportAllocs()
	for b.Loop() {
		r := sse.NewReader(bytes.NewReader(text), buf, 1<<20)
		for r.Fill() == nil {
			for e := r.Buffered(); e != nil; e = r.Buffered() {
				sse.Data(e)
			}
		}
	}
}

func TestABareObjectIsKnown(t *testing.T) {
	t.Parallel()
	rows := map[string]bool{
		"{\n \"error\": {}\n}\n": true, "{}": true,
		"data: {}\n\n": false, ": {}\n\n": false, "{\"error\": ": false, "{": false, "": false, "[{}]": false,
	}
	for text, want := range rows {
		if object, ok := sse.Bare([]byte(text)); ok != want || ok && (object[0] != '{' || object[len(object)-1] != '}') {
			t.Errorf("%q: %q, %v", text, object, ok)
		}
	}
}
