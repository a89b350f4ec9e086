package awsstream_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"halley/internal/awsstream"
	"halley/internal/sse"
	"halley/test/fakeprovider"
)

// plain makes an event of each message.
func plain(dst []byte, m awsstream.Message) ([]byte, error) {
	return awsstream.Append(dst, m.Name, m.Payload), nil
}

// all reads a stream to its end.
func all(src io.Reader, limit int) (list []awsstream.Message, err error) {
	r := awsstream.NewReader(src, limit)
	for {
		m, err := r.Next()
		if err != nil {
			return list, err
		}
		m.Payload = bytes.Clone(m.Payload)
		list = append(list, m)
	}
}

func TestMessagesComeWholeHoweverTheStreamIsCut(t *testing.T) {
	t.Parallel()
	stream := append(fakeprovider.EventFrame("messageStart", `{"role":"assistant"}`), fakeprovider.EventFrame("contentBlockDelta", strings.Repeat("x", 100<<10))...)
	stream = append(stream, fakeprovider.ExceptionFrame("throttlingException", `{"message":"m"}`)...)
	for name, src := range map[string]io.Reader{
		"at once":        bytes.NewReader(stream),
		"byte by byte":   iotest.OneByteReader(bytes.NewReader(stream)),
		"half by half":   iotest.HalfReader(bytes.NewReader(stream)),
		"end with bytes": iotest.DataErrReader(bytes.NewReader(stream)),
	} {
		list, err := all(src, 1<<20)
		if !errors.Is(err, io.EOF) || len(list) != 3 {
			t.Errorf("%s: %d messages, %v", name, len(list), err)
			continue
		}
		if list[0].Name != "messageStart" || string(list[0].Payload) != `{"role":"assistant"}` || len(list[1].Payload) != 100<<10 {
			t.Errorf("%s: %q %d", name, list[0].Payload, len(list[1].Payload))
		}
		if list[2].Type != "exception" || list[2].Name != "throttlingException" {
			t.Errorf("%s: %+v", name, list[2])
		}
	}
}

func TestABrokenStreamIsAnError(t *testing.T) {
	t.Parallel()
	good := fakeprovider.EventFrame("messageStart", `{"role":"assistant"}`)
	flipped := func(at int) []byte {
		b := bytes.Clone(good)
		b[at] ^= 1
		return b
	}
	resummed := func(change func(b []byte)) []byte {
		b := bytes.Clone(good)
		change(b)
		binary.BigEndian.PutUint32(b[8:], crc32.ChecksumIEEE(b[:8]))
		binary.BigEndian.PutUint32(b[len(b)-4:], crc32.ChecksumIEEE(b[:len(b)-4]))
		return b
	}
	for name, c := range map[string]struct {
		stream []byte
		want   error
	}{
		"a length is wrong":          {flipped(3), awsstream.ErrSum},
		"a header is wrong":          {flipped(14), awsstream.ErrSum},
		"the payload is wrong":       {flipped(len(good) - 6), awsstream.ErrSum},
		"the sum is wrong":           {flipped(len(good) - 1), awsstream.ErrSum},
		"cut in the prelude":         {good[:7], io.ErrUnexpectedEOF},
		"cut behind the prelude":     {good[:12], io.ErrUnexpectedEOF},
		"cut in the payload":         {good[:len(good)-9], io.ErrUnexpectedEOF},
		"too short for its headers":  {resummed(func(b []byte) { binary.BigEndian.PutUint32(b, 20) }), awsstream.ErrFormat},
		"too long":                   {resummed(func(b []byte) { binary.BigEndian.PutUint32(b, 1<<30) }), awsstream.ErrTooLong},
		"a header of no type":        {resummed(func(b []byte) { b[12+1+len(":event-type")] = 77 }), awsstream.ErrFormat},
		"a header beyond the end":    {resummed(func(b []byte) { b[12] = 255 }), awsstream.ErrFormat},
		"a header without a name":    {resummed(func(b []byte) { b[12] = 0 }), awsstream.ErrFormat},
		"HTML in place of a stream":  {[]byte("<html><body>Service Unavailable</body></html>"), awsstream.ErrSum},
		"nothing after a whole one":  {good, io.EOF},
		"garbage after a whole one":  {append(bytes.Clone(good), "garbage"...), io.ErrUnexpectedEOF},
		"the network breaks between": {good, io.EOF},
	} {
		if _, err := all(bytes.NewReader(c.stream), 1<<20); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func TestAFailingConnectionIsToldAsItIs(t *testing.T) {
	t.Parallel()
	broken := errors.New("reset by peer")
	src := io.MultiReader(bytes.NewReader(fakeprovider.EventFrame("messageStart", "{}")), iotest.ErrReader(broken))
	if list, err := all(src, 1<<20); !errors.Is(err, broken) || len(list) != 1 {
		t.Errorf("%d messages, %v", len(list), err)
	}
}

func TestMessagesBecomeEvents(t *testing.T) {
	t.Parallel()
	stream := append(fakeprovider.EventFrame("messageStart", "{\n \"role\": \"assistant\"\r\n}"), fakeprovider.EventFrame("chunk", `{}`)...)
	got, err := io.ReadAll(iotest.OneByteReader(awsstream.NewEvents(bytes.NewReader(stream), 1<<20, plain)))
	if err != nil {
		t.Fatal(err)
	}
	if want := "event: messageStart\ndata: {  \"role\": \"assistant\"  }\n\nevent: chunk\ndata: {}\n\n"; string(got) != want {
		t.Errorf("%q, want %q", got, want)
	}
	cut := awsstream.NewEvents(bytes.NewReader(stream[:len(stream)-1]), 1<<20, plain)
	if got, err := io.ReadAll(cut); !errors.Is(err, io.ErrUnexpectedEOF) || !bytes.Contains(got, []byte("messageStart")) {
		t.Errorf("a cut stream gives %q, %v", got, err)
	}
}

func TestRecordedStreamsAreReadToTheirEnd(t *testing.T) {
	t.Parallel()
	for _, in := range fakeprovider.Fixtures(t).MustLoad(t, fakeprovider.OfAPI("bedrock.converseStream", "bedrock.invokeStream")) {
		if in.Response.Status != 200 {
			continue
		}
		list, err := all(bytes.NewReader(in.Response.Body), 1<<20)
		if !errors.Is(err, io.EOF) || len(list) == 0 {
			t.Errorf("%s: %d messages, %v", in.File, len(list), err)
		}
		events := sse.NewReader(awsstream.NewEvents(bytes.NewReader(in.Response.Body), 1<<20, plain), nil, 1<<20)
		seen := 0
		for err = nil; err == nil; {
			err = events.Fill()
			for e := events.Buffered(); e != nil; e = events.Buffered() {
				if data, ok := sse.Data(e); !ok || !bytes.Equal(data, list[seen].Payload) || string(sse.Name(e)) != list[seen].Name {
					t.Errorf("%s: event %d is %q", in.File, seen, e)
				}
				seen++
			}
		}
		if seen != len(list) || !errors.Is(err, io.EOF) {
			t.Errorf("%s: %d events of %d messages, %v", in.File, seen, len(list), err)
		}
	}
}

func TestReadingAStreamMakesNoGarbage(t *testing.T) {
	one := fakeprovider.EventFrame("contentBlockDelta", `{"contentBlockIndex":0,"delta":{"text":"words"}}`)
	src := &endless{one: one}
	events := awsstream.NewEvents(src, 1<<20, plain)
	buf := make([]byte, 4<<10)
	if _, err := events.Read(buf); err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(1000, func() {
		if _, err := events.Read(buf); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations an event", n)
	}
}

// endless repeats one message.
type endless struct {
	one []byte
	at  int
}

func (e *endless) Read(p []byte) (int, error) {
	n := copy(p, e.one[e.at:])
	e.at = (e.at + n) % len(e.one)
	return n, nil
}

func FuzzReader(f *testing.F) {
	f.Add(fakeprovider.EventFrame("messageStart", `{"role":"assistant"}`))
	f.Add(fakeprovider.ExceptionFrame("throttlingException", `{"message":"m"}`))
	f.Add(fakeprovider.Frame(nil, ":message-type", "error", ":error-code", "InternalError", ":error-message", "m"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		const limit = 64 << 10
		at := 0
		r := awsstream.NewReader(bytes.NewReader(stream), limit)
		for {
			m, err := r.Next()
			if err != nil {
				break
			}
			at += 16 + len(m.Payload)
			if at > len(stream) {
				t.Fatalf("%d bytes of messages in a stream of %d", at, len(stream))
			}
		}
		out, _ := io.ReadAll(awsstream.NewEvents(bytes.NewReader(stream), limit, plain))
		if len(out) > 0 && !bytes.HasSuffix(out, []byte("\n\n")) {
			t.Fatalf("half an event: %q", out)
		}
	})
}

func BenchmarkEvents(b *testing.B) {
	one := fakeprovider.EventFrame("contentBlockDelta", `{"contentBlockIndex":0,"delta":{"text":" and some more words"},"p":"abcdefghijklmnopqrstuvwxyz"}`)
	events := awsstream.NewEvents(&endless{one: one}, 1<<20, plain)
	buf := make([]byte, 4<<10)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := events.Read(buf); err != nil {
			b.Fatal(err)
		}
	}
}
