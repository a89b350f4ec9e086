package journal

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"halley/internal/usage"
)

func someRecord(i int) usage.Record {
	return usage.Record{
		EventID: fmt.Sprintf("event-%06d", i), Time: time.Unix(1_766_000_000, 123_456_789), RequestID: fmt.Sprintf("request-%06d", i),
		KeyID: 7, KeyName: "search", UserID: 3, Model: "gpt-4o", ServedModel: "gpt-4o-2024-11-20", ChannelID: 2, Group: "default",
		Dialect: "openai", Endpoint: "chat", Stream: true, Status: 200, Tokens: usage.Tokens{Prompt: 1000, CachedRead: 600, Completion: 200, Reasoning: 50},
		Cost: 2_500_000, PriceVersion: "catalog-1", Held: 5_000_000, Latency: 1500 * time.Millisecond, FirstByte: 300 * time.Millisecond,
		Attempts: 1, Source: usage.FromProvider, EndUser: "eve", IP: "192.0.2.7", Settled: true,
	}
}

// A field that is added to usage.Record and forgotten here would be lost with
// the process.
func TestEveryFieldSurvives(t *testing.T) {
	t.Parallel()
	var r usage.Record
	n := int64(-3)
	var fill func(v reflect.Value)
	fill = func(v reflect.Value) {
		n++
		switch {
		case v.Type() == reflect.TypeFor[time.Time]():
			v.Set(reflect.ValueOf(time.Unix(1_766_000_000+n, 987_654_321)))
		case v.Kind() == reflect.Struct:
			for i := range v.NumField() {
				fill(v.Field(i))
			}
		case v.Kind() == reflect.Slice:
			v.Set(reflect.MakeSlice(v.Type(), 2, 2))
			fill(v.Index(0))
			fill(v.Index(1))
		case v.Kind() == reflect.String:
			v.SetString(fmt.Sprint("text ", n))
		case v.CanInt():
			v.SetInt(n*1_000_000_007 + 1)
		case v.Kind() == reflect.Bool:
			v.SetBool(true)
		default:
			t.Fatalf("a field of kind %v is not known here", v.Kind())
		}
	}
	fill(reflect.ValueOf(&r).Elem())
	got, ok := readFields(appendFields(nil, &r))
	if !ok {
		t.Fatal("the record cannot be read")
	}
	if diff := cmp.Diff(r, got); diff != "" {
		t.Errorf("the record changed (-written +read):\n%s", diff)
	}
}

func TestLongTextIsClippedAndFits(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 1<<20)
	r := usage.Record{
		EventID: "e", RequestID: long, KeyName: long, Model: long, ServedModel: long, Group: long, Dialect: long, Endpoint: long,
		ErrorCode: long, PriceVersion: long, Source: usage.Source(long), EndUser: long, IP: long,
		Trail: slices.Repeat([]usage.Try{{ChannelID: math.MinInt64, Outcome: long, Detail: long, Began: math.MinInt64, Took: math.MinInt64}}, usage.MaxTries+1),
	}
	s := newStamp([8]byte{1, 2, 3})
	frame := s.appendRecord(nil, 1, &r)
	if len(frame) > maxPayload {
		t.Errorf("%d bytes", len(frame))
	}
	f, size := s.read(frame)
	if size != len(frame) || f.record.Model != long[:maxText] || len(f.record.Trail) != usage.MaxTries {
		t.Errorf("read %d of %d bytes", size, len(frame))
	}
}

// frames makes records' frames and tells where each begins, and the end.
func frames(s *stamp, n int) (data []byte, starts []int) {
	for i := range n {
		starts = append(starts, len(data))
		r := someRecord(i)
		data = s.appendRecord(data, uint64(i+1), &r)
	}
	return data, append(starts, len(data))
}

type found struct {
	numbers []uint64
	holes   []hole
}

// scanned checks that every frame read is one that was written.
func scanned(t interface{ Fatalf(string, ...any) }, s *stamp, data []byte) found {
	var out found
	s.scan(data, 0, func(f frame) {
		want := someRecord(int(f.number) - 1)
		if f.kind != recordFrame || !cmp.Equal(want, f.record) {
			t.Fatalf("record %d is not the one that was written", f.number)
		}
		out.numbers = append(out.numbers, f.number)
	}, func(h hole) { out.holes = append(out.holes, h) })
	return out
}

func TestATruncationCostsOnlyTheLastRecord(t *testing.T) {
	t.Parallel()
	s := newStamp([8]byte{9, 8, 7, 6, 5, 4, 3, 2})
	data, starts := frames(&s, 4)
	for end := range len(data) + 1 {
		got := scanned(t, &s, data[:end])
		whole := 0
		for starts[whole+1] <= end {
			if whole++; whole+1 == len(starts) {
				break
			}
		}
		if len(got.numbers) != whole {
			t.Fatalf("cut at %d: %d records, want %d", end, len(got.numbers), whole)
		}
		if cut := end != starts[whole]; cut != (len(got.holes) == 1) || (cut && !got.holes[0].torn) {
			t.Fatalf("cut at %d: holes %v", end, got.holes)
		}
	}
}

func TestAFlippedBitCostsOnlyItsRecord(t *testing.T) {
	t.Parallel()
	s := newStamp([8]byte{9, 8, 7, 6, 5, 4, 3, 2})
	data, starts := frames(&s, 3)
	for i := range data {
		for bit := range 8 {
			data[i] ^= 1 << bit
			got := scanned(t, &s, data)
			data[i] ^= 1 << bit
			hit := 0
			for starts[hit+1] <= i {
				hit++
			}
			if len(got.numbers) != 2 || len(got.holes) != 1 || got.holes[0].from != starts[hit] || got.holes[0].to != starts[hit+1] {
				t.Fatalf("bit %d of byte %d in record %d: read %v, holes %v", bit, i, hit+1, got.numbers, got.holes)
			}
			if got.holes[0].torn && hit < 2 {
				t.Fatalf("bit %d of byte %d: a damage with records behind it passes for a torn end", bit, i)
			}
		}
	}
}

func TestSectorsThatNeverReachedTheDiskAreATornEnd(t *testing.T) {
	t.Parallel()
	s := newStamp([8]byte{1})
	data, starts := frames(&s, 12)
	for i := starts[9] + 100; i < len(data); i++ {
		data[i] = 0
	}
	got := scanned(t, &s, data)
	if len(got.numbers) != 9 || len(got.holes) != 1 || !got.holes[0].torn {
		t.Errorf("read %v, holes %v", got.numbers, got.holes)
	}
}

// What a caller writes into a record's text cannot become a record of its own
// when the bytes before it are damaged.
func TestARecordInARecordsTextIsNotBelieved(t *testing.T) {
	t.Parallel()
	theirs, ours := newStamp([8]byte{1, 1, 1, 1, 1, 1, 1, 1}), newStamp([8]byte{2, 2, 2, 2, 2, 2, 2, 2})
	forged := usage.Record{EventID: "f", Cost: 1}
	r := someRecord(0)
	r.EndUser = string(theirs.appendRecord(nil, 1, &forged))
	data := ours.appendRecord(nil, 1, &r)
	data[5] ^= 1
	ours.scan(data, 0, func(f frame) { t.Errorf("believed %+v", f.record) }, func(hole) {})
}

func TestWhateverHappensOnlyWhatWasWrittenIsRead(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var salt [8]byte
		copy(salt[:], rapid.SliceOfN(rapid.Byte(), 8, 8).Draw(t, "salt"))
		s := newStamp(salt)
		n := rapid.IntRange(1, 12).Draw(t, "records")
		data, starts := frames(&s, n)
		first := len(data) // where the first damage is
		for range rapid.IntRange(0, 5).Draw(t, "damages") {
			at := rapid.IntRange(0, len(data)-1).Draw(t, "at")
			junk := rapid.SliceOfN(rapid.Byte(), 1, 700).Draw(t, "junk")
			copy(data[at:], junk)
			first = min(first, at)
		}
		end := rapid.IntRange(0, len(data)).Draw(t, "end")
		got := scanned(t, &s, data[:end])
		for i := range n {
			if starts[i+1] <= min(first, end) && (i >= len(got.numbers) || got.numbers[i] != uint64(i+1)) {
				t.Fatalf("record %d is before the damage at %d and was not read: %v", i+1, first, got.numbers)
			}
		}
		for i := 1; i < len(got.numbers); i++ {
			if got.numbers[i] <= got.numbers[i-1] {
				t.Fatalf("records out of order or twice: %v", got.numbers)
			}
		}
	})
}

func FuzzScan(f *testing.F) {
	s := newStamp([8]byte{0x48, 0x4c, 0x59, 0x21, 5, 6, 7, 8})
	data, _ := frames(&s, 3)
	f.Add(data)
	f.Add(s.appendApplied(data, 2))
	f.Add(data[:len(data)-7])
	f.Fuzz(func(t *testing.T, data []byte) {
		read, at := 0, 0
		s.scan(data, 0, func(f frame) {
			if f.kind == recordFrame && f.record.EventID == "" {
				t.Error("a record without an event")
			}
			read++
		}, func(h hole) {
			if h.from < at || h.to <= h.from || h.to > len(data) {
				t.Errorf("hole %+v after %d", h, at)
			}
			at = h.to
		})
		if read*(frameHead+payloadHead) > len(data) {
			t.Errorf("%d frames in %d bytes", read, len(data))
		}
	})
}
