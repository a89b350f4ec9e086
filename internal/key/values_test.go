package key_test

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"halley/internal/fault"
	"halley/internal/key"
	"halley/internal/money"
)

// accepts reports whether the value authenticates, and as which key.
func (b *bench) accepts(t testing.TB, value string) bool {
	t.Helper()
	_, err := b.Authenticate(t.Context(), value)
	if err != nil && fault.Code(err) != "invalid_api_key" {
		t.Fatal(err)
	}
	return err == nil
}

func (b *bench) rotate(t testing.TB, id int64, grace time.Duration) string {
	t.Helper()
	_, value, err := b.Rotate(t.Context(), b.ada, id, grace)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

func TestARotationKeepsEverythingButTheValue(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	p := limits(t, `{"rpm":5,"budgets":[{"amount":100,"period":"day"}]}`)
	p.RemainQuota = new(int64(50))
	before, old := b.create(t, p)
	b.spend(t, before.Key.ID, 3*money.Unit, 2*money.Unit)
	b.clock.pass(time.Minute)
	after, value, err := b.Rotate(t.Context(), b.ada, before.Key.ID, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if value == old || key.Check(value) != key.Ours || after.Key.Version != 2 || after.Key.Last4 != value[len(value)-4:] {
		t.Errorf("rotated from %s to %s: %+v", old, value, after.Key)
	}
	if shown, err := b.Shown(after.Key, true); err != nil || shown != value {
		t.Errorf("shown %s, %v", shown, err)
	}
	if b := after.Balance; b.Used != 3*money.Unit || b.Held != 2*money.Unit || b.Remaining() != 45*money.Unit {
		t.Errorf("balance = %+v", b)
	}
	same := *after.Key
	same.Version, same.Last4, same.Sealed, same.Hash = before.Key.Version, before.Key.Last4, before.Key.Sealed, before.Key.Hash
	if diff := cmp.Diff(*before.Key, same, cmp.FilterPath(func(p cmp.Path) bool {
		name := p.Last().String()
		return slices.Contains([]string{".rules", ".seen"}, name)
	}, cmp.Ignore())); diff != "" {
		t.Errorf("the record changed:\n%s", diff)
	}
}

func TestAnOldValueWorksToTheMillisecondItsGraceEnds(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	v, first := b.create(t, key.Patch{})
	id := v.Key.ID
	if !b.accepts(t, first) {
		t.Fatal("refused")
	}
	second := b.rotate(t, id, time.Hour)
	b.clock.pass(time.Minute)
	third := b.rotate(t, id, time.Minute)
	check := func(when string, want ...bool) {
		t.Helper()
		for round := range 2 { // cold and warm
			got := []bool{b.accepts(t, first), b.accepts(t, second), b.accepts(t, third)}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s, round %d (-want +got):\n%s", when, round, diff)
			}
		}
	}
	check("in both graces", true, true, true)
	b.clock.pass(time.Minute - time.Millisecond)
	check("a millisecond before the second's end", true, true, true)
	b.clock.pass(time.Millisecond)
	check("at the second's end", true, false, true)
	b.clock.pass(58*time.Minute - time.Millisecond)
	b.ForgetAll()
	check("a millisecond before the first's end", true, false, true)
	lookups := b.store.lookups.Load()
	b.clock.pass(time.Millisecond)
	check("at the first's end", false, false, true)
	if n := b.store.lookups.Load() - lookups; n > 2 {
		t.Errorf("%d look-ups for values that have ended, want one each", n)
	}
	fourth := b.rotate(t, id, 0)
	if b.accepts(t, third) || !b.accepts(t, fourth) {
		t.Error("a rotation without grace does not end the old value at once")
	}
}

func TestAnOldValueStopsWithItsKey(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	v, old := b.create(t, key.Patch{})
	value := b.rotate(t, v.Key.ID, time.Hour)
	if _, err := b.SetStatus(t.Context(), b.ada, v.Key.ID, key.Disabled, nil); err != nil {
		t.Fatal(err)
	}
	for _, shown := range []string{old, value} {
		k, err := b.Authenticate(t.Context(), shown)
		if err != nil || fault.Code(key.Admissible(k, nil, b.clock.now())) != "key_disabled" {
			t.Errorf("of a disabled key: %+v, %v", k, err)
		}
	}
	if _, err := b.Delete(t.Context(), b.ada, v.Key.ID); err != nil {
		t.Fatal(err)
	}
	if b.accepts(t, old) || b.accepts(t, value) {
		t.Error("a deleted key's value authenticates")
	}
	_, _, err := b.Rotate(t.Context(), b.ada, v.Key.ID, 0)
	wantCode(t, "a deleted key", err, "key_not_found")
	_, err = b.Import(t.Context(), b.bob, key.Patch{Name: new("again")}, old)
	wantCode(t, "an old value again", err, "value_taken")
}

func TestValuesAreListedAndEndedEarly(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	v, first := b.create(t, key.Patch{})
	id := v.Key.ID
	second := b.rotate(t, id, time.Hour) // in the same millisecond
	b.clock.pass(time.Minute)
	third := b.rotate(t, id, 2*time.Hour)
	b.clock.pass(time.Minute)
	if !b.accepts(t, first) {
		t.Fatal("refused")
	}
	type line struct {
		Number  int64
		Masked  string
		Used    bool
		Ends    time.Duration // from now
		Current bool
	}
	mask := func(value string) string { return "sk-hly…" + value[len(value)-4:] }
	want := func(when string, lines ...line) {
		t.Helper()
		values, total, err := b.ListValues(t.Context(), b.ada, id, 10, 0)
		if err != nil || total != int64(len(lines)) {
			t.Fatal(total, err)
		}
		var got []line
		for _, v := range values {
			l := line{Number: v.Number, Masked: v.Masked, Used: v.Used.Equal(b.clock.now()), Current: v.Ends.IsZero()}
			if !l.Current {
				l.Ends = v.Ends.Sub(b.clock.now())
			}
			got = append(got, l)
		}
		if diff := cmp.Diff(lines, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", when, diff)
		}
	}
	want("before the use is stored",
		line{3, mask(third), false, 0, true}, line{2, mask(second), false, 119 * time.Minute, false}, line{1, mask(first), true, 58 * time.Minute, false})
	if err := b.Tidy(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := b.EndValue(t.Context(), b.ada, id, 1); err != nil {
		t.Fatal(err)
	}
	if b.accepts(t, first) || !b.accepts(t, second) || !b.accepts(t, third) {
		t.Error("another value ended than the one that was to")
	}
	want("when the first has ended",
		line{3, mask(third), true, 0, true}, line{2, mask(second), true, 119 * time.Minute, false}, line{1, "sk-…" + first[len(first)-4:], true, 0, false})
	for name, row := range map[string]struct {
		owner, id, number int64
		code              string
	}{
		"the current one":       {b.ada, id, 3, "value_current"},
		"one that has ended":    {b.ada, id, 1, "value_not_found"},
		"one that never was":    {b.ada, id, 4, "value_not_found"},
		"somebody else's":       {b.bob, id, 2, "key_not_found"},
		"one of no key":         {b.ada, 99, 1, "key_not_found"},
		"one that can be ended": {b.ada, id, 2, ""},
	} {
		wantCode(t, name, b.EndValue(t.Context(), row.owner, row.id, row.number), row.code)
	}
	_, _, err := b.ListValues(t.Context(), b.bob, id, 10, 0)
	wantCode(t, "somebody else's list", err, "key_not_found")
}

func TestAKeyIsFoundByAnOldValueWhileThatIsInGrace(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	v, old := b.create(t, key.Patch{})
	b.create(t, key.Patch{})
	value := b.rotate(t, v.Key.ID, time.Hour)
	for _, token := range []string{old, strings.TrimPrefix(old, "sk-"), value, old[len(old)-10:], value[len(value)-10:], "sk-hly…" + old[len(old)-4:]} {
		views, total, err := b.Search(t.Context(), key.Query{UserID: b.ada, Limit: 10}, token, true)
		if err != nil || total < 1 || !slices.ContainsFunc(views, func(f key.View) bool { return f.Key.ID == v.Key.ID }) {
			t.Errorf("%s: %d found, %v", token, total, err)
		}
	}
	b.clock.pass(time.Hour)
	for _, token := range []string{old, old[len(old)-10:]} {
		if _, total, err := b.Search(t.Context(), key.Query{UserID: b.ada, Limit: 10}, token, true); err != nil || total != 0 {
			t.Errorf("%s after its end: %d found, %v", token, total, err)
		}
	}
}

func TestRotationsBoundsAreKept(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	v, _ := b.create(t, key.Patch{})
	id := v.Key.ID
	for _, grace := range []time.Duration{-time.Second, key.MaxGrace + time.Second} {
		_, _, err := b.Rotate(t.Context(), b.ada, id, grace)
		wantCode(t, grace.String(), err, "invalid_grace")
	}
	_, _, err := b.Rotate(t.Context(), b.bob, id, 0)
	wantCode(t, "somebody else's", err, "key_not_found")
	for range key.MaxValues - 1 {
		b.rotate(t, id, key.MaxGrace)
	}
	_, _, err = b.Rotate(t.Context(), b.ada, id, time.Second)
	wantCode(t, "too many", err, "too_many_values")
	b.rotate(t, id, 0) // takes no place
	b.clock.pass(key.MaxGrace)
	b.rotate(t, id, time.Second)
}

func TestEndedValuesAreWiped(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	v, _ := b.create(t, key.Patch{})
	b.rotate(t, v.Key.ID, time.Minute)
	sealed := func() (n int) {
		values, _, err := b.store.KeyValues(t.Context(), v.Key.ID, 10, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range values {
			if len(v.Sealed) > 0 {
				n++
			}
		}
		return n
	}
	for _, want := range []int{2, 1, 1} {
		if err := b.Tidy(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := sealed(); got != want {
			t.Errorf("%d values can be read, want %d", got, want)
		}
		b.clock.pass(time.Minute)
	}
}

// numberOf finds a value among those of a key.
func (b *bench) numberOf(t *testing.T, id int64, value string) int64 {
	t.Helper()
	values, _, err := b.ListValues(t.Context(), b.ada, id, 100, 0)
	if err != nil {
		t.Error(err)
	}
	for _, v := range values {
		if strings.HasSuffix(value, v.Last4) {
			return v.Number
		}
	}
	t.Error("the value is not among the key's")
	return 0
}

// Rotations, early ends, deletions and requests at once: of each key exactly the
// values that should work do, and a rotation that was answered is in force.
func TestRotationsAtOnceLeaveOneCurrentValue(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	v, first := b.create(t, key.Patch{})
	id := v.Key.ID
	var mu sync.Mutex
	values := []string{first}
	var wg sync.WaitGroup
	for i := range 12 {
		wg.Go(func() {
			_, value, err := b.Rotate(t.Context(), b.ada, id, time.Hour)
			if err != nil {
				t.Error(err)
				return
			}
			if !b.accepts(t, value) {
				t.Error("the value just answered is refused")
			}
			mu.Lock()
			values = append(values, value)
			mu.Unlock()
			if _, err := b.Update(t.Context(), b.ada, id, key.Patch{Name: new("name")}, nil); err != nil {
				t.Error(err)
			}
			if i%4 == 0 { // one's own, which nobody is about to try
				if err := b.EndValue(t.Context(), b.ada, id, b.numberOf(t, id, value)); err != nil && fault.Code(err) != "value_current" {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	stored, err := b.store.ValuesInForce(t.Context(), id, b.clock.now())
	if err != nil {
		t.Fatal(err)
	}
	accepted := 0
	for _, value := range values {
		if b.accepts(t, value) {
			accepted++
		}
	}
	if accepted != len(stored) || !stored[0].Ends.IsZero() || slices.ContainsFunc(stored[1:], func(v key.Value) bool { return v.Ends.IsZero() }) {
		t.Errorf("%d values are accepted, %d are stored as in force, the first with end %v", accepted, len(stored), stored[0].Ends)
	}
}
