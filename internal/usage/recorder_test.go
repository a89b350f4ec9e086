package usage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

// memory is a store that knows records by their EventID, as the real one does.
type memory struct {
	mu      sync.Mutex
	away    bool            // answers errors, writes nothing
	torn    bool            // writes and answers an error, as a lost connection does
	poison  map[string]bool // refused for good
	rows    map[string]time.Time
	order   []string
	batches []int
	doubled int // records that came again after they were in
}

func newMemory() *memory {
	return &memory{rows: map[string]time.Time{}, poison: map[string]bool{}}
}

func (m *memory) ApplyUsage(ctx context.Context, batch []Record) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if m.away {
		return errors.New("the store is away")
	}
	for i := range batch {
		if m.poison[batch[i].EventID] {
			return fmt.Errorf("constraint: %w", ErrRejected)
		}
	}
	for i := range batch {
		id := batch[i].EventID
		if _, there := m.rows[id]; there {
			m.doubled++
			continue
		}
		m.rows[id] = time.Now()
		m.order = append(m.order, id)
	}
	m.batches = append(m.batches, len(batch))
	if m.torn {
		m.torn = false
		return errors.New("connection reset")
	}
	return nil
}

func (m *memory) set(f func(*memory)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f(m)
}

func (m *memory) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.rows)
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func event(i int) Record { return Record{EventID: fmt.Sprint("e", i), Time: time.Now()} }

func TestARecordIsInTheStoreWithin200Milliseconds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newMemory()
		r := NewRecorder(store, quiet(), RecorderOptions{})
		r.Start()
		recorded := map[string]time.Time{}
		for i := range 300 {
			rec := event(i)
			recorded[rec.EventID] = time.Now()
			r.Record(rec)
			time.Sleep(time.Duration(i%17) * time.Millisecond)
		}
		time.Sleep(200 * time.Millisecond)
		synctest.Wait()
		if got := store.count(); got != 300 {
			t.Fatalf("%d records in the store, want 300", got)
		}
		for id, landed := range store.rows {
			if late := landed.Sub(recorded[id]); late > 200*time.Millisecond {
				t.Errorf("%s landed %v late", id, late)
			}
		}
		if n := len(store.batches); n > 40 {
			t.Errorf("300 records took %d batches", n)
		}
		stop(t, r)
	})
}

func TestAThousandWaitingRecordsDoNotWaitForTheDelay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newMemory()
		r := NewRecorder(store, quiet(), RecorderOptions{})
		r.Start()
		for i := range 1000 {
			r.Record(event(i))
		}
		synctest.Wait() // no time passes
		if got := store.count(); got != 1000 {
			t.Fatalf("%d records in the store at once, want 1000", got)
		}
		stop(t, r)
	})
}

func TestRecordsSurviveAStoreThatIsAwayInOrderAndOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newMemory()
		store.away = true
		var applied []string
		r := NewRecorder(store, quiet(), RecorderOptions{Limit: 2500, Applied: func(batch []Record) {
			for i := range batch {
				applied = append(applied, batch[i].EventID)
			}
		}})
		r.Start()
		for i := range 2499 {
			r.Record(event(i))
		}
		if r.Full() {
			t.Error("full below the limit")
		}
		r.Record(event(2499))
		if !r.Full() {
			t.Error("not full at the limit")
		}
		time.Sleep(time.Minute)
		s := r.Stats()
		if s.Depth != 2500 || s.FlushErrors < 10 || s.Oldest < time.Minute-time.Second {
			t.Errorf("stats while away: %+v", s)
		}
		store.set(func(m *memory) { m.away, m.torn = false, true })
		time.Sleep(2 * lastBackoff)
		synctest.Wait()
		if got := store.count(); got != 2500 {
			t.Fatalf("%d records in the store, want 2500", got)
		}
		for i, id := range store.order {
			if id != fmt.Sprint("e", i) {
				t.Fatalf("record %d is %s: the order is lost", i, id)
			}
		}
		if store.doubled == 0 {
			t.Error("the torn batch was not sent again")
		}
		if len(applied) != 2500 {
			t.Errorf("told of %d landed records, want 2500", len(applied))
		}
		if s := r.Stats(); s.Depth != 0 || s.Oldest != 0 {
			t.Errorf("stats at the end: %+v", s)
		}
		stop(t, r)
	})
}

func TestAPoisonRecordDoesNotBlockTheOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newMemory()
		store.poison["e137"] = true
		var log bytes.Buffer
		var given []string
		r := NewRecorder(store, slog.New(slog.NewTextHandler(&log, nil)), RecorderOptions{
			SetAside: func(rec Record, err error) { given = append(given, rec.EventID) },
		})
		r.Start()
		for i := range 500 {
			rec := event(i)
			rec.Cost = 4711
			r.Record(rec)
		}
		if err := r.Flushed(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := store.count(); got != 499 {
			t.Errorf("%d records in the store, want 499", got)
		}
		if len(given) != 1 || given[0] != "e137" {
			t.Errorf("set aside: %v", given)
		}
		if s := r.Stats(); s.SetAside != 1 || s.Depth != 0 {
			t.Errorf("stats: %+v", s)
		}
		if !strings.Contains(log.String(), `\"EventID\":\"e137\"`) || !strings.Contains(log.String(), `\"Cost\":4711`) {
			t.Errorf("the log does not carry the record: %s", log.String())
		}
		stop(t, r)
	})
}

func TestStopWritesWhatIsWaiting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newMemory()
		r := NewRecorder(store, quiet(), RecorderOptions{})
		r.Start()
		for i := range 2300 {
			r.Record(event(i))
		}
		begin := time.Now()
		stop(t, r)
		if got := store.count(); got != 2300 {
			t.Fatalf("%d records in the store, want 2300", got)
		}
		if took := time.Since(begin); took > 0 {
			t.Errorf("stopping waited %v", took)
		}
		stop(t, r) // again is harmless
	})
}

func TestStopGivesUpInTimeAndLogsWhatItCouldNotStore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newMemory()
		store.away = true
		var log bytes.Buffer
		r := NewRecorder(store, slog.New(slog.NewTextHandler(&log, nil)), RecorderOptions{Batch: 2})
		r.Start()
		for i := range 5 {
			r.Record(event(i))
		}
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		begin := time.Now()
		if err := r.Stop(ctx); err == nil || !strings.Contains(err.Error(), "5 usage records") {
			t.Errorf("error: %v", err)
		}
		if took := time.Since(begin); took != 3*time.Second {
			t.Errorf("stopping took %v", took)
		}
		for i := range 5 {
			if want := fmt.Sprintf(`\"EventID\":\"e%d\"`, i); !strings.Contains(log.String(), want) {
				t.Errorf("the log misses record %d", i)
			}
		}
		if err := r.Flushed(t.Context()); err == nil {
			t.Error("Flushed says all is well")
		}
	})
}

func TestAStoreThatComesBackDuringStopGetsEverything(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newMemory()
		store.away = true
		r := NewRecorder(store, quiet(), RecorderOptions{})
		r.Start()
		for i := range 10 {
			r.Record(event(i))
		}
		time.Sleep(time.Minute) // the back-off is at its longest
		go func() {
			time.Sleep(time.Second)
			store.set(func(m *memory) { m.away = false })
		}()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		if err := r.Stop(ctx); err != nil {
			t.Fatal(err)
		}
		if got := store.count(); got != 10 {
			t.Errorf("%d records in the store, want 10", got)
		}
	})
}

// paper is a journal in memory.
type paper struct {
	mu            sync.Mutex
	next          uint64
	open          map[uint64]string
	failing, full bool
}

func (p *paper) Append(r Record) uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.next++
	p.open[p.next] = r.EventID
	return p.next
}

func (p *paper) Applied(numbers []uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, n := range numbers {
		delete(p.open, n)
	}
}

func (p *paper) Failing() bool { return p.failing }
func (p *paper) Full() bool    { return p.full }

func TestTheJournalIsToldOfWhatIsInTheStoreAndKeepsTheRest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store, journal := newMemory(), &paper{open: map[uint64]string{}}
		store.poison["e7"] = true // set aside: the log has it
		var log bytes.Buffer
		r := NewRecorder(store, slog.New(slog.NewTextHandler(&log, nil)), RecorderOptions{Journal: journal, Batch: 3})
		r.Start()
		for i := range 20 {
			r.Record(event(i))
		}
		if err := r.Flushed(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if len(journal.open) != 0 {
			t.Errorf("still open: %v", journal.open)
		}
		store.set(func(m *memory) { m.away = true })
		for i := 20; i < 25; i++ {
			r.Record(event(i))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := r.Stop(ctx); err != nil {
			t.Error(err)
		}
		if len(journal.open) != 5 {
			t.Errorf("the journal has %v", journal.open)
		}
		if strings.Contains(log.String(), "EventID\\\":\\\"e20") || !strings.Contains(log.String(), "records=5") {
			t.Errorf("log: %s", &log)
		}
	})
}

func TestRecordsOfAnEarlierRunDoNotTouchTheLedger(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newMemory()
		store.away, store.poison["e2"] = true, true
		told := func([]Record) { t.Error("the ledger was told") }
		r := NewRecorder(store, quiet(), RecorderOptions{Applied: told, SetAside: func(rec Record, _ error) { told(nil) }})
		go func() {
			time.Sleep(10 * time.Second)
			store.set(func(m *memory) { m.away = false })
		}()
		if err := r.Restore(t.Context(), []Record{event(1), event(2), event(3)}); err != nil {
			t.Fatal(err)
		}
		if got := store.count(); got != 2 {
			t.Errorf("%d records in the store, want 2", got)
		}
		if s := r.Stats(); s.Depth != 0 || s.SetAside != 1 {
			t.Errorf("stats: %+v", s)
		}
		store.set(func(m *memory) { m.away = true })
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := r.Restore(ctx, []Record{event(4)}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error: %v", err)
		}
		stop(t, r)
	})
}

func TestWhileFullOnlyChargesAreTaken(t *testing.T) {
	t.Parallel()
	journal := &paper{open: map[uint64]string{}, full: true}
	r := NewRecorder(newMemory(), quiet(), RecorderOptions{Journal: journal})
	refused, charged := event(1), event(2)
	charged.Settled = true
	r.Record(refused)
	r.Record(charged)
	if s := r.Stats(); s.Depth != 1 || s.Dropped != 1 || journal.open[1] != "e2" {
		t.Errorf("stats %+v, journal %v", s, journal.open)
	}
	stop(t, r)
}

func TestFlushedWaitsForItsOwnRecordsOnly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newMemory()
		r := NewRecorder(store, quiet(), RecorderOptions{})
		r.Start()
		if err := r.Flushed(t.Context()); err != nil {
			t.Fatal("nothing recorded:", err)
		}
		r.Record(event(1))
		begin := time.Now()
		if err := r.Flushed(t.Context()); err != nil {
			t.Fatal(err)
		}
		if time.Since(begin) > 0 {
			t.Errorf("waited %v", time.Since(begin))
		}
		store.set(func(m *memory) { m.away = true })
		r.Record(event(2))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := r.Flushed(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error: %v", err)
		}
		store.set(func(m *memory) { m.away = false })
		stop(t, r)
	})
}

// Whatever happens to the store, every record is in it once at the end.
func TestNothingIsLostAndNothingDoubled(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		weather := rapid.SliceOfN(rapid.SampledFrom([]string{"fine", "away", "torn"}), 1, 12).Draw(rt, "weather")
		burst := rapid.IntRange(0, 400).Draw(rt, "burst")
		batch := rapid.IntRange(1, 64).Draw(rt, "batch")
		synctest.Test(t, func(t *testing.T) {
			store := newMemory()
			landed := 0
			r := NewRecorder(store, quiet(), RecorderOptions{Batch: batch, Applied: func(b []Record) { landed += len(b) }})
			r.Start()
			n := 0
			for _, w := range weather {
				store.set(func(m *memory) { m.away, m.torn = w == "away", w == "torn" })
				var writers sync.WaitGroup
				for g := range 4 {
					writers.Go(func() {
						for i := g; i < burst; i += 4 {
							r.Record(event(n + i))
						}
					})
				}
				writers.Wait()
				n += burst
				time.Sleep(time.Duration(burst) * time.Millisecond)
			}
			store.set(func(m *memory) { m.away, m.torn = false, false })
			stop(t, r)
			if store.count() != n || landed != n {
				rt.Fatalf("%d recorded, %d in the store, %d reported", n, store.count(), landed)
			}
		})
	})
}

func TestRecordingAllocatesNothingWhenWarm(t *testing.T) {
	r := NewRecorder(newMemory(), quiet(), RecorderOptions{})
	rec := event(1)
	if n := testing.AllocsPerRun(1900, func() { r.Record(rec) }); n != 0 {
		t.Errorf("%v allocations per record", n)
	}
}

func stop(t *testing.T, r *Recorder) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := r.Stop(ctx); err != nil {
		t.Error(err)
	}
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type nowhere struct{}

func (nowhere) ApplyUsage(context.Context, []Record) error { return nil }

func BenchmarkRecord(b *testing.B) {
	r := NewRecorder(nowhere{}, quiet(), RecorderOptions{})
	r.Start()
	rec := event(1)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			r.Record(rec)
		}
	})
	_ = r.Stop(context.Background())
}
