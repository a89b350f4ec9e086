package budget_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"halley/internal/budget"
	"halley/internal/fault"
	"halley/internal/money"
)

// books is a store in memory that sums up what settlements report, as the usage
// batch does.
type books struct {
	mu         sync.Mutex
	balances   map[budget.Subject]budget.Balance
	allowances map[budget.Subject][]budget.Allowance
	records    map[budget.Subject][]spent
	err        error
	loads      int
}

// spent is a record of usage.
type spent struct {
	at      time.Time
	charged money.Nano
}

func (b *books) LoadAllowances(_ context.Context, s budget.Subject) ([]budget.Allowance, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.allowances[s], b.err
}

func (b *books) SpentSince(_ context.Context, s budget.Subject, since []time.Time) ([]money.Nano, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	sums := make([]money.Nano, len(since))
	for i, from := range since {
		for _, r := range b.records[s] {
			if !r.at.Before(from) {
				sums[i] += r.charged
			}
		}
	}
	return sums, b.err
}

func (b *books) LastSpending(_ context.Context, s budget.Subject) (last time.Time, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range b.records[s] {
		if r.at.After(last) {
			last = r.at
		}
	}
	return last, b.err
}

func (b *books) LoadBalance(_ context.Context, s budget.Subject) (budget.Balance, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.loads++
	if b.err != nil {
		return budget.Balance{}, b.err
	}
	balance, ok := b.balances[s]
	if !ok {
		return budget.Balance{}, fault.New(fault.NotFound, "key_not_found", "no such subject")
	}
	return balance, nil
}

func (b *books) land(s budget.Subject, charged, grant money.Nano) {
	b.mu.Lock()
	defer b.mu.Unlock()
	balance := b.balances[s]
	balance.Used += charged
	balance.Granted += grant
	b.balances[s] = balance
}

// apply writes one settlement, as the usage batch does.
func (b *books) apply(l *budget.Ledger, at time.Time, c budget.Charge) error {
	return l.Land(context.Background(), func() error {
		b.land(key, c.Charged, c.KeyGrant)
		b.land(user, c.Charged, c.UserGrant)
		b.mu.Lock()
		for _, s := range []budget.Subject{key, user} {
			b.records[s] = append(b.records[s], spent{at, c.Charged})
		}
		b.mu.Unlock()
		l.Landed(budget.Landing{Payers: budget.Payers{Key: key.ID, User: user.ID}, At: at, Charge: c})
		return nil
	})
}

var (
	key  = budget.Subject{Kind: budget.Key, ID: 7}
	user = budget.Subject{Kind: budget.User, ID: 3}
)

func newLedger(keyGrant, userGrant money.Nano) (*budget.Ledger, *books) {
	b := newBooks(keyGrant, userGrant)
	return budget.NewLedger(b, time.Now), b
}

func newBooks(keyGrant, userGrant money.Nano) *books {
	return &books{
		balances:   map[budget.Subject]budget.Balance{key: {Granted: keyGrant}, user: {Granted: userGrant}},
		allowances: map[budget.Subject][]budget.Allowance{}, records: map[budget.Subject][]spent{},
	}
}

func take(l *budget.Ledger, want money.Nano, fit budget.Fit) (*budget.Hold, error) {
	h := &budget.Hold{}
	return h, l.Hold(context.Background(), h, budget.Payers{Key: key.ID, User: user.ID}, want, fit)
}

func balance(t testing.TB, l *budget.Ledger, s budget.Subject) budget.Balance {
	t.Helper()
	b, err := l.Balance(context.Background(), s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestAHoldIsTakenFromKeyAndAccountOrFromNeither(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		key, user money.Nano
		code      string
	}{
		"the key has too little":     {99, 1000, "key_quota_exhausted"},
		"the account has too little": {1000, 99, "insufficient_balance"},
		"both have enough":           {100, 100, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, _ := newLedger(row.key, row.user)
			h, err := take(l, 100, nil)
			if fault.Code(err) != row.code {
				t.Fatalf("err = %v, want code %q", err, row.code)
			}
			want := money.Nano(0)
			if row.code == "" {
				want = 100
			}
			if k, u := balance(t, l, key), balance(t, l, user); k.Held != want || u.Held != want || h.Amount() != want {
				t.Errorf("held %d on the key, %d on the account, want %d", k.Held, u.Held, want)
			}
		})
	}
}

func TestSettlementHappensOnceAndTheRestComesBack(t *testing.T) {
	t.Parallel()
	l, _ := newLedger(1000, 1000)
	h, err := take(l, 400, nil)
	if err != nil {
		t.Fatal(err)
	}
	if c := h.Settle(150); c.Charged != 150 || c.Absorbed != 0 {
		t.Errorf("charge = %+v", c)
	}
	if c := h.Settle(150); c != (budget.Charge{}) {
		t.Errorf("the second settlement did %+v", c)
	}
	if b := balance(t, l, key); b.Used != 150 || b.Held != 0 || b.Remaining() != 850 {
		t.Errorf("balance = %+v", b)
	}
}

func TestACostAboveTheHoldNeverOverspends(t *testing.T) {
	t.Parallel()
	l, _ := newLedger(1000, 500)
	h, err := take(l, 400, nil)
	if err != nil {
		t.Fatal(err)
	}
	if c := h.Settle(2000); c.Charged != 500 || c.Absorbed != 1500 {
		t.Errorf("charge = %+v, want the 500 that the account bears and 1500 absorbed", c)
	}
}

func TestASliceIsHeldAndExtendedWhileThereIsMoney(t *testing.T) {
	t.Parallel()
	l, _ := newLedger(1000, 700)
	h := &budget.Hold{}
	if err := l.HoldSlice(context.Background(), h, budget.Payers{Key: key.ID, User: user.ID}, 701, 10, nil); fault.Code(err) != "insufficient_balance" {
		t.Fatalf("a slice was held of what is not there: %v", err)
	}
	if err := l.HoldSlice(context.Background(), h, budget.Payers{Key: key.ID, User: user.ID}, 700, 100, nil); err != nil || h.Amount() != 100 {
		t.Fatalf("holds %d, %v", h.Amount(), err)
	}
	if !h.Extend(500) || h.Extend(101) || !h.Extend(100) || h.Amount() != 700 {
		t.Errorf("holds %d", h.Amount())
	}
	if k, u := balance(t, l, key), balance(t, l, user); k.Held != 700 || u.Held != 700 || u.Remaining() != 0 {
		t.Errorf("key %+v, account %+v", k, u)
	}
	if _, held := l.InFlight(); held != 700 {
		t.Errorf("%d in flight", held)
	}
	if c := h.Settle(650); c.Charged != 650 || h.Extend(1) {
		t.Errorf("charge %+v; a settled hold was extended", c)
	}
	if u := balance(t, l, user); u.Held != 0 || u.Remaining() != 50 {
		t.Errorf("account %+v", u)
	}
}

func TestFitIsAskedWithWhatBothGatesCanSpare(t *testing.T) {
	t.Parallel()
	l, _ := newLedger(70, 50)
	var seen money.Nano
	h, err := take(l, 100, func(spendable money.Nano) (money.Nano, bool) { seen = spendable; return 30, true })
	if err != nil || seen != 50 || h.Amount() != 30 {
		t.Errorf("err %v, saw %d, holds %d", err, seen, h.Amount())
	}
	if _, err := take(l, 100, func(money.Nano) (money.Nano, bool) { return 1000, true }); err == nil {
		t.Error("a fit above what is spendable was taken")
	}
}

func TestAnUnlimitedKeySpendsWithoutItsRemainderMoving(t *testing.T) {
	t.Parallel()
	l, b := newLedger(0, 1000)
	b.balances[key] = budget.Balance{Granted: 5000, Unlimited: true}
	h, err := take(l, 900, nil)
	if err != nil {
		t.Fatal(err)
	}
	if r := balance(t, l, key).Remaining(); r != 5000 {
		t.Errorf("remaining while held = %d", r)
	}
	if c := h.Settle(300); c.KeyGrant != 300 || c.UserGrant != 0 || c.Charged != 300 {
		t.Errorf("charge = %+v", c)
	}
	if k := balance(t, l, key); k.Remaining() != 5000 || k.Used != 300 || k.Granted != 5300 {
		t.Errorf("balance = %+v", k)
	}
	if _, err := take(l, 900, nil); fault.Code(err) != "insufficient_balance" {
		t.Errorf("the account's balance was not asked: %v", err)
	}
}

func TestEditTakesAtOnceGivesAfterCommitAndUndoesOnFailure(t *testing.T) {
	t.Parallel()
	l, _ := newLedger(1000*money.Unit, money.Max)
	ctx := context.Background()
	broken := errors.New("disk full")
	edit := func(decide func(budget.Balance) (budget.Change, error), during money.Nano, fail error) {
		t.Helper()
		_, err := l.Edit(ctx, key, decide, func(context.Context, budget.Change) error {
			if got := balance(t, l, key).Remaining(); got != during {
				t.Errorf("remaining during the commit = %d, want %d", got, during)
			}
			return fail
		})
		if !errors.Is(err, fail) {
			t.Fatalf("err = %v, want %v", err, fail)
		}
	}
	edit(budget.AddRemaining(-400), 600*money.Unit, broken)
	edit(budget.AddRemaining(-400), 600*money.Unit, nil)
	edit(budget.SetRemaining(5000), 600*money.Unit, broken)
	edit(budget.SetRemaining(5000), 600*money.Unit, nil)
	if got := balance(t, l, key).Remaining(); got != 5000*money.Unit {
		t.Errorf("remaining = %d", got)
	}
	for name, decide := range map[string]func(budget.Balance) (budget.Change, error){
		"below zero": budget.AddRemaining(-5001), "negative": budget.SetRemaining(-1), "too much": budget.SetRemaining(money.MaxUnits + 1), "sum too much": budget.AddRemaining(money.MaxUnits),
	} {
		_, err := l.Edit(ctx, key, decide, func(context.Context, budget.Change) error { t.Error("committed"); return nil })
		if !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: err = %v", name, err)
		}
	}
}

func TestSettingTheRemainderNeitherGivesBackNorTakesTwice(t *testing.T) {
	t.Parallel()
	l, _ := newLedger(1000*money.Unit, money.Max)
	h, err := take(l, 300*money.Unit, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Edit(context.Background(), key, budget.SetRemaining(50), func(context.Context, budget.Change) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if r := balance(t, l, key).Remaining(); r != 50*money.Unit {
		t.Errorf("remaining = %d units", r/money.Unit)
	}
	h.Settle(100 * money.Unit)
	if r := balance(t, l, key).Remaining(); r != 250*money.Unit {
		t.Errorf("remaining after the hold came back = %d units, want 50 + 200", r/money.Unit)
	}
}

func TestADeadStoreIsUnavailableNeverUnknown(t *testing.T) {
	t.Parallel()
	l, b := newLedger(1000, 1000)
	b.err = errors.New("connection refused")
	if _, err := take(l, 1, nil); !fault.Is(err, fault.Unavailable) || fault.Code(err) != "store_unavailable" {
		t.Errorf("err = %v", err)
	}
	b.err = nil
	if _, err := take(l, 1, nil); err != nil {
		t.Errorf("after the store came back: %v", err)
	}
}

// inMemory reports whether the ledger knows better than the store.
func inMemory(l *budget.Ledger, s budget.Subject) bool {
	live, err := l.Live(context.Background(), s.Kind, func() ([]budget.Stored, error) {
		return []budget.Stored{{ID: s.ID, Balance: budget.Balance{Used: -1}}}, nil
	})
	return err == nil && live[0].Used >= 0
}

func TestSweepKeepsWhatTheStoreDoesNotKnowYet(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_000_000, 0)
	b := newBooks(1000, 1000)
	l := budget.NewLedger(b, func() time.Time { return now })
	h, err := take(l, 100, nil)
	if err != nil {
		t.Fatal(err)
	}
	now = now.Add(time.Hour)
	if err := l.Sweep(context.Background(), time.Minute); err != nil {
		t.Fatal(err)
	}
	if !inMemory(l, key) {
		t.Fatal("a held balance was dropped")
	}
	h.Settle(60)
	now = now.Add(time.Hour)
	if err := l.Sweep(context.Background(), time.Minute); err != nil {
		t.Fatal(err)
	}
	if !inMemory(l, key) {
		t.Fatal("a balance with a settlement under way was dropped")
	}
	if err := b.apply(l, h.At(), budget.Charge{Charged: 60}); err != nil {
		t.Fatal(err)
	}
	if err := l.Sweep(context.Background(), time.Minute); err != nil {
		t.Fatal(err)
	}
	if inMemory(l, key) {
		t.Fatal("an idle balance was kept")
	}
	if got := balance(t, l, key); got.Used != 60 || got.Remaining() != 940 {
		t.Errorf("reloaded balance = %+v", got)
	}
}

// A thousand requests at once on a key worth a hundred of them, while others
// edit and sweep: never more than granted, and nothing held at the end.
func TestConcurrentSpendingNeverExceedsTheGrant(t *testing.T) {
	t.Parallel()
	const worth = 10_000
	l, b := newLedger(100*worth, 200*worth)
	var charged, granted atomic.Int64
	granted.Store(100 * worth)
	stop := make(chan struct{})
	var watchers, spenders sync.WaitGroup
	watchers.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if k := balance(t, l, key); k.Remaining() < 0 || k.Used < 0 || k.Held < 0 || k.Granted != k.Remaining()+k.Used+k.Held {
				t.Errorf("balance = %+v", k)
				return
			}
			if err := l.Sweep(context.Background(), 0); err != nil {
				t.Fatal(err)
			}
		}
	})
	for range 1000 {
		spenders.Go(func() {
			h := &budget.Hold{}
			want := money.Nano(rand.Int64N(2*worth) + 1)
			err := l.Hold(context.Background(), h, budget.Payers{Key: key.ID, User: user.ID}, want, func(s money.Nano) (money.Nano, bool) { return s, s > worth/10 })
			if err != nil {
				if !fault.Is(err, fault.PaymentRequired) {
					t.Error(err)
				}
				return
			}
			cost := money.Nano(rand.Int64N(3 * worth)) // liars among the upstreams
			if rand.IntN(4) == 0 {
				cost = 0 // failed
			}
			c := h.Settle(cost)
			charged.Add(int64(c.Charged))
			if c.Charged+c.Absorbed != cost {
				t.Errorf("charge %+v of %d", c, cost)
			}
			if err := b.apply(l, h.At(), c); err != nil {
				t.Error(err)
			}
			if rand.IntN(20) == 0 {
				_, err := l.Edit(context.Background(), key, budget.AddRemaining(1), func(_ context.Context, change budget.Change) error {
					b.land(key, 0, change.Delta)
					granted.Add(int64(change.Delta))
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	spenders.Wait()
	close(stop)
	watchers.Wait()
	k := balance(t, l, key)
	if k.Held != 0 || int64(k.Used) != charged.Load() || int64(k.Granted) != granted.Load() || k.Used > k.Granted {
		t.Errorf("balance %+v, charged %d, granted %d", k, charged.Load(), granted.Load())
	}
	if holds, held := l.InFlight(); holds != 0 || held != 0 {
		t.Errorf("%d holds of %d are left", holds, held)
	}
	if stored := b.balances[key]; stored.Used != k.Used || stored.Granted != k.Granted {
		t.Errorf("the store says %+v, the ledger %+v", stored, k)
	}
}

func TestUnitsAddUpToTheGrant(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b := budget.Balance{
			Used: money.Nano(rapid.Int64Range(0, 1<<40).Draw(t, "used")),
			Held: money.Nano(rapid.Int64Range(0, 1<<40).Draw(t, "held")),
		}
		if rapid.Bool().Draw(t, "idle") {
			b.Held = 0
		}
		if rapid.Bool().Draw(t, "unused") {
			b.Used = 0
		}
		left := money.Nano(rapid.Int64Range(0, 1<<40).Draw(t, "left"))
		b.Granted = b.Used + b.Held + left
		remaining, used, held := b.Units()
		if remaining+used+held != b.Granted.CeilUnits() || remaining != left.FloorUnits() || used < 0 || held < 0 {
			t.Fatalf("%+v reads %d + %d + %d", b, remaining, used, held)
		}
		if (b.Held == 0 && held != 0) || (b.Used == 0 && b.Held > 0 && used != 0) {
			t.Fatalf("%+v reads held %d used %d", b, held, used)
		}
	})
}
