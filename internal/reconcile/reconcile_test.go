package reconcile_test

import (
	"context"
	"path/filepath"
	"testing"

	"halley/internal/budget"
	"halley/internal/fault"
	"halley/internal/reconcile"
	"halley/internal/store"
	"halley/internal/store/storetest"
)

// gated is the real store, in which a check says that it has begun and waits.
type gated struct {
	*store.DB
	begun, goes chan struct{}
}

func (g *gated) Reconcile(ctx context.Context, most int) (reconcile.Report, error) {
	g.begun <- struct{}{}
	<-g.goes
	return g.DB.Reconcile(ctx, most)
}

func TestOneCheckRunsAtATime(t *testing.T) {
	t.Parallel()
	g := &gated{DB: storetest.Open(t, "sqlite:"+filepath.Join(t.TempDir(), "halley.db")), begun: make(chan struct{}), goes: make(chan struct{})}
	s := reconcile.NewService(g)
	first := make(chan error)
	check := func() {
		_, err := s.Check(t.Context())
		first <- err
	}
	for range 2 { // when one has ended, another may begin
		go check()
		<-g.begun
		if _, err := s.Check(t.Context()); fault.Code(err) != "check_running" || !fault.Is(err, fault.Conflict) {
			t.Errorf("a second check: %v", err)
		}
		g.goes <- struct{}{}
		if err := <-first; err != nil {
			t.Error(err)
		}
	}
}

func TestBooksThatCannotBeReadSaySo(t *testing.T) {
	t.Parallel()
	db := storetest.Open(t, "sqlite:"+filepath.Join(t.TempDir(), "halley.db"))
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	s := reconcile.NewService(db)
	_, checked := s.Check(t.Context())
	_, _, listed := s.Grants(t.Context(), budget.Subject{Kind: budget.Key, ID: 1}, 0, 10)
	for what, err := range map[string]error{"check": checked, "list": listed} {
		if !fault.Is(err, fault.Unavailable) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestDifferencesReadAsSentences(t *testing.T) {
	t.Parallel()
	for want, d := range map[string]reconcile.Difference{
		"key 7: granted_nano is 12, its rows say 10":                                                  {Kind: reconcile.Key, ID: 7, What: "granted_nano", Expected: 10, Stored: 12},
		"user 8: has rows, but does not exist":                                                        {Kind: reconcile.User, ID: 8, What: "record", Expected: 1},
		"key 7: has used 5, which is more than the 4 it was granted":                                  {Kind: reconcile.Key, ID: 7, What: "overdrawn", Expected: 4, Stored: 5},
		"user 8: nodes have leased 9, which is more than the 6 that are left":                         {Kind: reconcile.User, ID: 8, What: "leased", Expected: 6, Stored: 9},
		"node 3: has 2 leases, but is not there":                                                      {Kind: reconcile.Node, ID: 3, What: "leases", Stored: 2},
		"hour 2026-03-14T12:00Z: cost_nano of user 1, key 2, model m, channel 3 is 4, its rows say 5": {Kind: reconcile.Hour, ID: 1773489600, What: "cost_nano of user 1, key 2, model m, channel 3", Expected: 5, Stored: 4},
	} {
		if got := d.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
