package journal

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"halley/internal/usage"
)

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func open(t testing.TB, opts Options) *Journal {
	t.Helper()
	if opts.Log == nil {
		opts.Log = quiet()
	}
	j, err := Open(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// died ends a journal as the death of its process does.
func died(j *Journal) {
	close(j.stop)
	j.done.Wait()
	for _, s := range j.segments {
		_ = s.file.Close()
	}
	_ = j.lock.Close()
}

// replayed opens the folder anew, applies what is there and ends again.
func replayed(t testing.TB, opts Options) (events []string, found Found) {
	t.Helper()
	j := open(t, opts)
	err := j.Replay(t.Context(), func(_ context.Context, batch []usage.Record) error {
		for i := range batch {
			events = append(events, batch[i].EventID)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	found = j.Found()
	if err := j.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	return events, found
}

func files(t testing.TB, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*"+suffix))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func expect(t testing.TB, got []string, from, to int) {
	t.Helper()
	var want []string
	for i := from; i < to; i++ {
		want = append(want, someRecord(i).EventID)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
}

func TestWhatWasAppendedIsThereAfterTheProcessDied(t *testing.T) {
	t.Parallel()
	for name, interval := range map[string]time.Duration{"synced later": time.Hour, "synced at once": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			opts := Options{Dir: t.TempDir(), FsyncInterval: interval, SegmentSize: 4000}
			j := open(t, opts)
			j.Start()
			for i := range 100 {
				if n := j.Append(someRecord(i)); n != uint64(i+1) {
					t.Fatalf("number %d, want %d", n, i+1)
				}
			}
			if s := j.Stats(); s.Records != 100 || s.Segments < 5 || s.Bytes < 10_000 {
				t.Errorf("stats: %+v", s)
			}
			died(j)
			got, _ := replayed(t, opts)
			expect(t, got, 0, 100)
			if left := files(t, opts.Dir); len(left) > 0 {
				t.Errorf("left after all was applied: %v", left)
			}
			if again, _ := replayed(t, opts); len(again) > 0 {
				t.Errorf("%d records came again", len(again))
			}
		})
	}
}

func TestOnlyWhatWasNotAppliedComesBack(t *testing.T) {
	t.Parallel()
	opts := Options{Dir: t.TempDir(), FsyncInterval: time.Hour, SegmentSize: 4000}
	j := open(t, opts)
	var numbers []uint64
	for i := range 100 {
		numbers = append(numbers, j.Append(someRecord(i)))
	}
	j.Applied(numbers[20:60]) // batches may end out of order
	if err := j.keep(); err != nil {
		t.Fatal(err)
	}
	if s := j.Stats(); s.Records != 100 {
		t.Errorf("stats before the first batch is in: %+v", s)
	}
	j.Applied(numbers[:20])
	if err := j.keep(); err != nil {
		t.Fatal(err)
	}
	if s := j.Stats(); s.Records != 40 || s.Segments > 6 {
		t.Errorf("stats: %+v", s)
	}
	died(j)
	got, found := replayed(t, opts)
	expect(t, got, 60, 100)
	if found.Records != 40 || found.Damaged+found.Torn > 0 {
		t.Errorf("found: %+v", found)
	}
}

// SQLite may take back what it committed when the machine loses power: nothing
// is forgotten before it has been synced.
func TestNothingIsForgottenBeforeTheStoreIsSafe(t *testing.T) {
	t.Parallel()
	unsafe := errors.New("the disk does not answer")
	opts := Options{Dir: t.TempDir(), FsyncInterval: time.Hour, SegmentSize: 1000, Barrier: func() error { return unsafe }}
	j := open(t, opts)
	for i := range 20 {
		j.Applied([]uint64{j.Append(someRecord(i))})
	}
	if err := j.keep(); !errors.Is(err, unsafe) {
		t.Errorf("error: %v", err)
	}
	died(j)
	if err := open(t, opts).Replay(t.Context(), func(context.Context, []usage.Record) error { return nil }); !errors.Is(err, unsafe) {
		t.Errorf("error: %v", err)
	}
	opts.Dir = t.TempDir() // the lock of the one above is not given back
	if err := os.CopyFS(opts.Dir, os.DirFS(j.opts.Dir)); err != nil {
		t.Fatal(err)
	}
	opts.Barrier = nil
	got, _ := replayed(t, opts)
	expect(t, got, 0, 20)
}

func TestACleanEndLeavesNothing(t *testing.T) {
	t.Parallel()
	opts := Options{Dir: t.TempDir(), FsyncInterval: time.Millisecond}
	j := open(t, opts)
	j.Start()
	j.Applied([]uint64{j.Append(someRecord(0)), j.Append(someRecord(1))})
	if err := j.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if left := files(t, opts.Dir); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	if n := j.Append(someRecord(2)); n != 0 {
		t.Errorf("a closed journal gave the number %d", n)
	}
}

func TestAReplayThatFailsKeepsEverything(t *testing.T) {
	t.Parallel()
	opts := Options{Dir: t.TempDir(), FsyncInterval: time.Hour}
	j := open(t, opts)
	for i := range 10 {
		j.Append(someRecord(i))
	}
	died(j)
	away := errors.New("the store is away")
	j = open(t, opts)
	if err := j.Replay(t.Context(), func(context.Context, []usage.Record) error { return away }); !errors.Is(err, away) {
		t.Errorf("error: %v", err)
	}
	if err := j.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	got, _ := replayed(t, opts)
	expect(t, got, 0, 10)
}

func TestRecordsThatComeTogetherShareAWrite(t *testing.T) {
	t.Parallel()
	const writers, each = 32, 20
	opts := Options{Dir: t.TempDir(), FsyncInterval: 0, SegmentSize: 50_000}
	var syncs, at atomic.Int64 // at work
	at.Store(writers)
	var writing atomic.Pointer[Journal]
	// A disk that is so slow that meanwhile everybody comes who can.
	opts.Synced = func(time.Duration) {
		j := writing.Load()
		if j == nil {
			return
		}
		syncs.Add(1)
		for waiting := false; !waiting; runtime.Gosched() {
			j.mu.Lock()
			waiting = j.next-j.written >= uint64(at.Load())
			j.mu.Unlock()
		}
	}
	j := open(t, opts)
	writing.Store(j)
	var all sync.WaitGroup
	for g := range writers {
		all.Go(func() {
			for i := range each {
				j.Append(someRecord(g*each + i))
			}
			at.Add(-1)
		})
	}
	all.Wait()
	writing.Store(nil)
	died(j)
	got, _ := replayed(t, opts)
	slices.Sort(got)
	expect(t, got, 0, 640)
	if n := syncs.Load(); n > 3*each { // two for each round, and some for new files
		t.Errorf("640 records took %d fsyncs", n)
	}
}

func TestARecordIsSyncedWithinTheInterval(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		var syncs []time.Duration
		begin := time.Now()
		j := open(t, Options{Dir: dir, FsyncInterval: 50 * time.Millisecond, Synced: func(time.Duration) { syncs = append(syncs, time.Since(begin)) }})
		j.Start()
		j.Append(someRecord(0))
		time.Sleep(20 * time.Millisecond)
		j.Append(someRecord(1)) // joins
		time.Sleep(200 * time.Millisecond)
		j.Append(someRecord(2))
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if want := []time.Duration{50 * time.Millisecond, 270 * time.Millisecond}; !slices.Equal(syncs, want) {
			t.Errorf("synced after %v, want %v", syncs, want)
		}
		if err := j.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// The store's disk may take its time: records are synced all the same.
func TestASlowStoreDoesNotHoldTheFsyncUp(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		var syncs []time.Duration
		begin := time.Now()
		j := open(t, Options{Dir: dir, FsyncInterval: 50 * time.Millisecond, Barrier: func() error { time.Sleep(3 * time.Second); return nil },
			Synced: func(time.Duration) { syncs = append(syncs, time.Since(begin)) }})
		j.Start()
		j.Applied([]uint64{j.Append(someRecord(0))})
		time.Sleep(1500 * time.Millisecond) // the barrier is under way
		n := j.Append(someRecord(1))
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
		if want := []time.Duration{50 * time.Millisecond, 1550 * time.Millisecond}; !slices.Equal(syncs, want) {
			t.Errorf("synced after %v, want %v", syncs, want)
		}
		j.Applied([]uint64{n})
		if err := j.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// Whenever the power goes, what was appended an fsync interval before is on the
// disk, whatever else reached it.
func TestALossOfPowerCostsAtMostTheInterval(t *testing.T) {
	t.Parallel()
	const interval, step = 50 * time.Millisecond, 3 * time.Millisecond
	dir, disks := t.TempDir(), t.TempDir()
	type disk struct {
		at  time.Duration
		dir string
	}
	var synced []disk
	var appended []time.Duration
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		j := open(t, Options{Dir: dir, FsyncInterval: interval, SegmentSize: 5000, Synced: func(time.Duration) {
			d := disk{time.Since(begin), filepath.Join(disks, time.Since(begin).String())}
			if n := len(synced); n > 0 && synced[n-1].at == d.at { // a second file of that moment
				synced = synced[:n-1]
				_ = os.RemoveAll(d.dir)
			}
			if err := os.CopyFS(d.dir, os.DirFS(dir)); err != nil {
				t.Error(err)
			}
			synced = append(synced, d)
		}})
		j.Start()
		for i := range 200 {
			j.Append(someRecord(i))
			appended = append(appended, time.Since(begin))
			time.Sleep(step)
		}
		time.Sleep(interval)
		synctest.Wait()
		died(j)
	})
	for i, d := range synced {
		// The power goes just before the next fsync; some of what came meanwhile
		// has left a sector of zeros.
		gone := d.at + interval + step
		if i+1 < len(synced) {
			gone = synced[i+1].at - 1
		}
		segments := files(t, d.dir)
		last, err := os.OpenFile(segments[len(segments)-1], os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = last.Write(make([]byte, 700))
		_ = last.Close()
		got, found := replayed(t, Options{Dir: d.dir})
		must := 0
		for must < len(appended) && appended[must] <= gone-interval {
			must++
		}
		if len(got) < must || found.Damaged > 0 || found.Torn != 1 {
			t.Errorf("power lost after %v: %d records are left of %d that must be; found %+v", gone, len(got), must, found)
		}
		expect(t, got, 0, len(got))
	}
	if len(synced) < 8 {
		t.Errorf("only %d fsyncs", len(synced))
	}
}

func TestAFolderHasOneServer(t *testing.T) {
	t.Parallel()
	opts := Options{Dir: t.TempDir(), Log: quiet()}
	j := open(t, opts)
	if _, err := Open(t.Context(), opts); !errors.Is(err, ErrLocked) {
		t.Errorf("error: %v", err)
	}
	if _, _, err := Look(opts.Dir); err != nil {
		t.Errorf("looking needs no lock: %v", err)
	}
	// Commands that run at once wait for each other.
	opts.Patience = time.Minute
	var second sync.WaitGroup
	second.Go(func() {
		if err := open(t, opts).Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
	if err := j.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	second.Wait()
}

// damage writes ten records and lets spoil change the one file.
func damage(t *testing.T, spoil func(data []byte, starts []int) []byte) (Options, *bytes.Buffer) {
	t.Helper()
	var log bytes.Buffer
	opts := Options{Dir: t.TempDir(), FsyncInterval: time.Hour, Log: slog.New(slog.NewTextHandler(&log, nil))}
	j := open(t, opts)
	for i := range 10 {
		j.Append(someRecord(i))
	}
	died(j)
	path := files(t, opts.Dir)[0]
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var starts []int
	for i := range 10 { // all of one size
		starts = append(starts, headSize+i*(len(data)-headSize)/10)
	}
	if err := os.WriteFile(path, spoil(data, starts), 0o600); err != nil {
		t.Fatal(err)
	}
	return opts, &log
}

func TestATornEndIsCutOffAndReported(t *testing.T) {
	t.Parallel()
	opts, log := damage(t, func(data []byte, _ []int) []byte { return data[:len(data)-5] })
	got, found := replayed(t, opts)
	expect(t, got, 0, 9)
	if found.Torn != 1 || found.Damaged != 0 {
		t.Errorf("found: %+v", found)
	}
	if !strings.Contains(log.String(), "level=WARN") || strings.Contains(log.String(), "level=ERROR") {
		t.Errorf("log: %s", log)
	}
	if _, aside, err := Look(opts.Dir); err != nil || len(aside) > 0 {
		t.Errorf("kept %v, error %v", aside, err)
	}
}

func TestADamagedMiddleIsSkippedReportedAndKept(t *testing.T) {
	t.Parallel()
	opts, log := damage(t, func(data []byte, starts []int) []byte {
		for i := starts[3] + 30; i < starts[5]+30; i++ {
			data[i] ^= 0x55
		}
		return data
	})
	if found, _, err := Look(opts.Dir); err != nil || found.Damaged != 1 || found.Lost != 3 || found.Records != 7 {
		t.Errorf("found %+v, error %v", found, err)
	}
	got, found := replayed(t, opts)
	if len(got) != 7 || got[2] != someRecord(2).EventID || got[3] != someRecord(6).EventID {
		t.Errorf("records: %v", got)
	}
	if found.Damaged != 1 || found.Lost != 3 || found.Torn != 0 {
		t.Errorf("found: %+v", found)
	}
	if !strings.Contains(log.String(), "level=ERROR") || !strings.Contains(log.String(), "records_missing=3") {
		t.Errorf("log: %s", log)
	}
	if _, aside, err := Look(opts.Dir); err != nil || len(aside) != 1 {
		t.Errorf("kept %v, error %v", aside, err)
	}
	if again, _ := replayed(t, opts); len(again) > 0 {
		t.Errorf("%d records came again", len(again))
	}
}

func TestADamagedHeadCostsNoRecord(t *testing.T) {
	t.Parallel()
	opts, _ := damage(t, func(data []byte, _ []int) []byte { clear(data[2:30]); return data })
	got, found := replayed(t, opts)
	expect(t, got, 0, 10)
	if found.Damaged != 1 {
		t.Errorf("found: %+v", found)
	}
}

func TestADamageAtTheEndOfASegmentIsCounted(t *testing.T) {
	t.Parallel()
	opts := Options{Dir: t.TempDir(), FsyncInterval: time.Hour, SegmentSize: 1000}
	j := open(t, opts)
	for i := range 10 {
		j.Append(someRecord(i))
	}
	died(j)
	first := files(t, opts.Dir)[0]
	data, err := os.ReadFile(first)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)-1] ^= 1
	if err := os.WriteFile(first, data, 0o600); err != nil {
		t.Fatal(err)
	}
	got, found := replayed(t, opts)
	if len(got) != 9 || found.Damaged != 1 || found.Lost != 1 {
		t.Errorf("%d records, found %+v", len(got), found)
	}
}

func TestAJournalOfANewerVersionIsLeftAlone(t *testing.T) {
	t.Parallel()
	opts, _ := damage(t, func(data []byte, _ []int) []byte {
		s := segment{salt: [8]byte(data[12:20]), sequence: 1}
		head := s.head(1)[:headSize-4]
		head[8] = version + 1
		head = binary.LittleEndian.AppendUint32(head, crc32.Checksum(head, castagnoli()))
		return append(head, data[headSize:]...)
	})
	if _, err := Open(t.Context(), opts); !errors.Is(err, errNewer) {
		t.Errorf("error: %v", err)
	}
	if left := files(t, opts.Dir); len(left) != 1 {
		t.Errorf("files: %v", left)
	}
}

func TestAppendingAllocatesNothingWhenWarm(t *testing.T) {
	j := open(t, Options{Dir: t.TempDir(), FsyncInterval: time.Hour})
	defer died(j)
	rec := someRecord(1)
	if n := testing.AllocsPerRun(2000, func() { j.Append(rec) }); n != 0 {
		t.Errorf("%v allocations per record", n)
	}
}

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		child(dir)
		return
	}
	goleak.VerifyTestMain(m)
}

func BenchmarkAppend(b *testing.B) {
	for name, interval := range map[string]time.Duration{"synced every 50 ms": 50 * time.Millisecond, "never synced": time.Hour} {
		b.Run(name, func(b *testing.B) {
			j := open(b, Options{Dir: b.TempDir(), FsyncInterval: interval})
			j.Start()
			defer died(j)
			rec := someRecord(1)
			b.ReportAllocs()
			for b.Loop() {
				j.Applied([]uint64{j.Append(rec)})
			}
		})
	}
}

// 64 requests end at once, again and again.
func BenchmarkAppendTogether(b *testing.B) {
	j := open(b, Options{Dir: b.TempDir(), FsyncInterval: 50 * time.Millisecond})
	j.Start()
	defer died(j)
	rec := someRecord(1)
	b.ReportAllocs()
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			j.Append(rec)
		}
	})
}
