package limit

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// again is a limiter in a later run.
func again(t interface{ Fatal(...any) }, l *Limiter, now time.Time) *Limiter {
	saved, err := l.Save(now)
	if err != nil {
		t.Fatal(err)
	}
	next := alone()
	if err := next.Restore(now, saved); err != nil {
		t.Fatal(err)
	}
	return next
}

func TestARestartGrantsNoLimitAnew(t *testing.T) {
	t.Parallel()
	l := alone()
	limits := &Limits{RPM: new(int64(9)), RPD: new(int64(5)), TPMInput: new(int64(1000)), TPMOutput: new(int64(2000)), PerModel: map[string]Rate{"gpt*": {TPM: new(int64(5000))}}}
	scopes := three(1, limits, &Limits{RPD: new(int64(7))}, &Limits{RPM: new(int64(8))})
	ask := Request{Model: "gpt-5", Input: 100}
	for i := range 3 {
		lease, denied := l.Take(at(time.Duration(i)*10*time.Second), scopes, ask)
		if denied != nil {
			t.Fatalf("%+v", denied)
		}
		lease.Done(at(time.Duration(i)*10*time.Second), Tokens{Input: 100, Output: 50})
	}
	next := again(t, l, at(30*time.Second))
	for _, when := range []time.Duration{30 * time.Second, 65 * time.Second, 24*time.Hour + 5*time.Second} {
		for i := range scopes {
			if diff := cmp.Diff(l.Peek(at(when), scopes[i:i+1], ask), next.Peek(at(when), scopes[i:i+1], ask)); diff != "" {
				t.Errorf("after %v, scope %d (-before +after the restart):\n%s", when, i, diff)
			}
		}
	}
}

// However much was counted, what a restart keeps is small, and lets no more in
// than the limit says.
func TestARestartLetsNoMoreInThanTheLimit(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.Int64Range(1, 400).Draw(t, "limit")
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		l, limits := alone(), &Limits{RPM: &limit}
		var in []time.Time
		now, oldest := start, 0
		for range 1000 {
			now = now.Add(time.Duration(random.Int64N(int64(300 * time.Millisecond))))
			if random.IntN(100) == 0 {
				saved, err := l.Save(now)
				if err != nil || len(saved) > 66*60 {
					t.Fatalf("%d bytes, %v", len(saved), err)
				}
				l = again(t, l, now)
			}
			lease, denied := l.take(now, 7, "m", limits, 0)
			if denied != nil {
				continue
			}
			lease.Done(now, Tokens{})
			in = append(in, now)
			for !in[oldest].After(now.Add(-time.Minute)) {
				oldest++
			}
			if within := int64(len(in) - oldest); within > limit {
				t.Fatalf("%d within a minute, the limit is %d", within, limit)
			}
		}
	})
}

func TestWhatIsKeptOverARestartIsReadWithCare(t *testing.T) {
	t.Parallel()
	l := alone()
	for _, text := range []string{"", "{", "5", `{"a":1}`} {
		if err := l.Restore(start, []byte(text)); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
	const text = `[{"kind":"","which":"rpm","entries":[{"at":1,"amount":5}]},
		{"kind":"k","id":1,"which":"weekly","entries":[{"at":1,"amount":5}]},
		{"kind":"k","id":1,"which":"rpd","entries":[{"at":1,"amount":5}]},
		{"kind":"k","id":1,"which":"rpm","entries":[{"at":9000000000000000000,"amount":2},{"at":9000000000000000000,"amount":-7}]}]`
	if err := l.Restore(start, []byte(text)); err != nil {
		t.Fatal(err)
	}
	limits := &Limits{RPM: new(int64(5)), RPD: new(int64(50))}
	if f := l.peek(start, 1, "m", limits); f.Requests.Remaining != 3 || f.Requests.Limit != 5 {
		t.Errorf("%+v", f)
	}
	if f := l.peek(at(time.Minute), 1, "m", limits); f.Requests.Remaining != 5 {
		t.Errorf("what a wrong clock put into the future counts for ever: %+v", f)
	}
}
