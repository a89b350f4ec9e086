package store_test

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"halley/internal/account"
	"halley/internal/budget"
	"halley/internal/key"
	"halley/internal/store"
	"halley/internal/store/storetest"
	"halley/internal/usage"
)

func TestUsage(t *testing.T) {
	t.Parallel()
	storetest.Engines(t, storetest.RunUsage)
}

func TestEveryUsageStatementPreparesOnBothEngines(t *testing.T) {
	t.Parallel()
	storetest.Engines(t, func(t *testing.T, open func(*testing.T) *store.DB) {
		db := open(t)
		prepare := func(text string) error {
			statement, err := db.Writer().PrepareContext(t.Context(), text)
			if err != nil {
				return err
			}
			defer func() { _ = statement.Close() }()
			return nil
		}
		for name, text := range store.UsageStatements(db.Engine()) {
			if err := prepare(text); err != nil {
				t.Errorf("%s: %v\n%s", name, err, text)
			}
		}
	})
}

// What the database refuses for what it says is told from a database that is
// away; either way nothing of the batch is left behind.
func TestARefusedBatchLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	storetest.Engines(t, func(t *testing.T, open func(*testing.T) *store.DB) {
		db := open(t)
		for _, text := range refuseModel(db.Engine()) {
			if _, err := db.Writer().ExecContext(t.Context(), text); err != nil {
				t.Fatal(err)
			}
		}
		batch := manyRecords(120)
		batch[77].Model = "poison"
		if err := db.ApplyUsage(t.Context(), batch); !errors.Is(err, usage.ErrRejected) {
			t.Errorf("the error does not say that waiting is no use: %v", err)
		}
		if totals, err := db.UsageTotals(t.Context(), usage.Filter{}); err != nil || totals.Requests != 0 {
			t.Errorf("left behind: %+v, %v", totals, err)
		}
		if err := db.ApplyUsage(t.Context(), append(batch[:77:77], batch[78:]...)); err != nil {
			t.Errorf("the others: %v", err)
		}
		_ = db.Close()
		if err := db.ApplyUsage(t.Context(), batch[:1]); err == nil || errors.Is(err, usage.ErrRejected) {
			t.Errorf("a closed database: %v", err)
		}
	})
}

// Several nodes write at once what touches the same keys and hours.
func TestBatchesOfSeveralWritersAddUp(t *testing.T) {
	t.Parallel()
	storetest.URLs(t, func(t *testing.T, url func(*testing.T) string) {
		where := url(t)
		first := storetest.Open(t, where)
		userID, keyIDs := spender(t, first, 20)
		var nodes sync.WaitGroup
		for node := range 3 {
			db := storetest.Open(t, where)
			nodes.Go(func() {
				for round := range 10 {
					batch := manyRecords(60)
					for i := range batch {
						batch[i].EventID = fmt.Sprint(node, "-", round, "-", i)
						batch[i].UserID, batch[i].KeyID = userID, keyIDs[i%20]
					}
					for db.ApplyUsage(t.Context(), batch) != nil { // a deadlock, a lock held too long: again
						if t.Context().Err() != nil {
							return
						}
					}
				}
			})
		}
		nodes.Wait()
		u, err := first.UserByID(t.Context(), userID)
		if err != nil {
			t.Fatal(err)
		}
		totals, err := first.UsageTotals(t.Context(), usage.Filter{})
		if err != nil {
			t.Fatal(err)
		}
		if u.RequestCount != 1800 || u.Used != 1800*1001 || totals.Requests != 1800 || totals.Cost != u.Used {
			t.Errorf("account: %d requests, %d; rollups: %+v", u.RequestCount, u.Used, totals)
		}
	})
}

// refuseModel makes the database refuse records of the model "poison".
func refuseModel(engine store.Engine) []string {
	if engine == store.Postgres {
		return []string{`ALTER TABLE usage_records ADD CONSTRAINT no_poison CHECK (model <> 'poison')`}
	}
	return []string{`CREATE TRIGGER no_poison BEFORE INSERT ON usage_records WHEN new.model = 'poison' BEGIN SELECT RAISE(ABORT, 'poison'); END`}
}

func spender(tb testing.TB, db *store.DB, keys int) (userID int64, keyIDs []int64) {
	tb.Helper()
	u := &account.User{Username: "ada", PasswordHash: "x", Role: account.RoleUser, Status: account.Enabled, Group: "default"}
	if err := db.InsertUser(tb.Context(), u, budget.Cause{}); err != nil {
		tb.Fatal(err)
	}
	for i := range keys {
		id, err := db.InsertKey(tb.Context(), &key.Key{UserID: u.ID, Status: key.Enabled, Name: fmt.Sprint("k", i), ExpiresAt: key.Never, Hash: []byte(fmt.Sprint("hash", i)), Sealed: []byte{1}}, 1<<40, budget.Cause{})
		if err != nil {
			tb.Fatal(err)
		}
		keyIDs = append(keyIDs, id)
	}
	return u.ID, keyIDs
}

func manyRecords(n int) []usage.Record {
	batch := make([]usage.Record, n)
	for i := range batch {
		batch[i] = usage.Record{
			EventID: fmt.Sprintf("01JX%022d", i), RequestID: fmt.Sprintf("01JY%022d", i), Time: time.Now(),
			KeyID: 1, KeyName: "my key", UserID: 1, Model: "gpt-4o-mini", ServedModel: "gpt-4o-mini-2024-07-18", ChannelID: 3, Group: "default", Dialect: "openai", Endpoint: "chat",
			Stream: true, Status: 200, Attempts: 1, Settled: true, Source: usage.FromProvider, Tokens: usage.Tokens{Prompt: 1000, Completion: 200},
			Cost: 1001, Held: 99999, PriceVersion: "catalog-2026-07", Latency: 1234 * time.Millisecond, FirstByte: 200 * time.Millisecond, IP: "192.0.2.7",
		}
	}
	return batch
}

// BenchmarkApplyUsage says what a usage row costs, all counters and rollups
// included, in processor time of this process (cpu-µs/row).
func BenchmarkApplyUsage(b *testing.B) {
	for _, size := range []int{5, 50, 500} {
		b.Run(fmt.Sprint("batch=", size), func(b *testing.B) {
			db, err := store.Open(b.Context(), "sqlite:"+filepath.Join(b.TempDir(), "halley.db"), slog.New(slog.DiscardHandler))
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = db.Close() }()
			userID, keyIDs := spender(b, db, 20)
			batch, n := manyRecords(size), 0
			var before, after syscall.Rusage
			_ = syscall.Getrusage(syscall.RUSAGE_SELF, &before)
			for b.Loop() {
				for i := range batch {
					n++
					batch[i].EventID = fmt.Sprintf("01JX%022d", n)
					batch[i].UserID, batch[i].KeyID, batch[i].Time = userID, keyIDs[n%20], time.Now()
				}
				if err := db.ApplyUsage(b.Context(), batch); err != nil {
					b.Fatal(err)
				}
			}
			_ = syscall.Getrusage(syscall.RUSAGE_SELF, &after)
			spent := after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()
			b.ReportMetric(float64(spent)/1e3/float64(n), "cpu-µs/row")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// A record that the database refuses is set aside; all the others land, once.
func TestTheRecorderGetsPastARefusedRecord(t *testing.T) {
	t.Parallel()
	storetest.Engines(t, func(t *testing.T, open func(*testing.T) *store.DB) {
		db := open(t)
		userID, keyIDs := spender(t, db, 3)
		for _, text := range refuseModel(db.Engine()) {
			if _, err := db.Writer().ExecContext(t.Context(), text); err != nil {
				t.Fatal(err)
			}
		}
		var landed, aside int
		recorder := usage.NewRecorder(db, slog.New(slog.DiscardHandler), usage.RecorderOptions{
			Applied:  func(batch []usage.Record) { landed += len(batch) },
			SetAside: func(usage.Record, error) { aside++ },
		})
		recorder.Start()
		for i, r := range manyRecords(700) {
			r.UserID, r.KeyID = userID, keyIDs[i%3]
			if i == 123 || i == 456 {
				r.Model = "poison"
			}
			recorder.Record(r)
		}
		if err := recorder.Flushed(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := recorder.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		u, err := db.UserByID(t.Context(), userID)
		if err != nil {
			t.Fatal(err)
		}
		if landed != 698 || aside != 2 || u.RequestCount != 698 || u.Used != 698*1001 {
			t.Errorf("%d landed, %d set aside, %d requests for %d charged", landed, aside, u.RequestCount, u.Used)
		}
	})
}
