package fakeprovider_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"halley/test/fakeprovider"
)

func TestEventsAreTheStreamInPieces(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name, stream string
		want         []string
	}{
		{"two events", "data: a\n\ndata: b\n\n", []string{"data: a\n\n", "data: b\n\n"}},
		{"CRLF line ends", "data: a\r\n\r\ndata: b\r\n\r\n", []string{"data: a\r\n\r\n", "data: b\r\n\r\n"}},
		{"a last event without its blank line", "data: a\n\ndata: [DONE]\n", []string{"data: a\n\n", "data: [DONE]\n"}},
		{"a comment is an event of its own", ": wait\n\ndata: a\n\n", []string{": wait\n\n", "data: a\n\n"}},
		{"extra blank lines go with what follows", "data: a\n\n\ndata: b\n\n", []string{"data: a\n\n", "\ndata: b\n\n"}},
		{"nothing", "", nil},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, ev := range fakeprovider.Events([]byte(row.stream)) {
				got = append(got, string(ev))
			}
			if diff := cmp.Diff(row.want, got); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
		})
	}
}

func TestEventDataJoinsDataLines(t *testing.T) {
	t.Parallel()
	got, ok := fakeprovider.EventData([]byte("event: x\r\ndata: one\r\ndata:two\r\n\r\n"))
	if !ok || string(got) != "one\ntwo" {
		t.Errorf("data = %q, %v", got, ok)
	}
	if got, ok := fakeprovider.EventData([]byte(": comment\n\n")); ok {
		t.Errorf("a comment has data %q", got)
	}
}

func TestEveryChunkingKeepsEveryRecordedByte(t *testing.T) {
	t.Parallel()
	lib := fakeprovider.Fixtures(t)
	for _, in := range lib.MustLoad(t, func(m fakeprovider.Meta) bool { return m.Stream }) {
		for _, c := range fakeprovider.Chunkings() {
			if got := bytes.Join(c.Cut(in.Response.Body, true), nil); !bytes.Equal(got, in.Response.Body) {
				t.Errorf("%s cut %s is no longer the recording", in.File, c)
			}
		}
	}
}

func TestHostileChunkingsCutWhereItHurts(t *testing.T) {
	t.Parallel()
	const body = "data: é\n\n"
	rows := map[fakeprovider.Chunking][]string{
		fakeprovider.ByByte:      {"d", "a", "t", "a", ":", " ", "\xc3", "\xa9", "\n", "\n"},
		fakeprovider.InsideRunes: {"data: \xc3", "\xa9\n\n"},
		fakeprovider.InsideLines: {"data", ": é\n", "\n"},
		fakeprovider.Whole:       {body},
		fakeprovider.ByEvent:     {body},
	}
	for chunking, want := range rows {
		var got []string
		for _, piece := range chunking.Cut([]byte(body), true) {
			got = append(got, string(piece))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", chunking, diff)
		}
	}
}

func FuzzEventsAreTheStreamInPieces(f *testing.F) {
	f.Add([]byte("data: a\n\n: c\r\n\r\ndata: b"))
	f.Add([]byte("\n\n\r\n"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		events := fakeprovider.Events(stream)
		if got := slices.Concat(events...); !bytes.Equal(got, stream) {
			t.Errorf("joined again: %q, want %q", got, stream)
		}
		for i, ev := range events {
			if len(ev) == 0 {
				t.Errorf("event %d is empty", i)
			}
		}
	})
}
