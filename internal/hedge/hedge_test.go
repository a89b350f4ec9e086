package hedge_test

import (
	"fmt"
	"testing"
	"time"

	"halley/internal/hedge"
)

var target = hedge.Target{Channel: 1, Model: "e"}

func fed(n int, took func(i int) time.Duration) *hedge.Pacer {
	p := hedge.New()
	for i := range n {
		p.Took(target, took(i))
	}
	return p
}

func TestPatienceIsWhatNinetyFiveOfAHundredAnswersTake(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		n    int
		took func(i int) time.Duration
		want time.Duration
		ok   bool
	}{
		"nothing is known":     {0, nil, 0, false},
		"too little is known":  {19, func(int) time.Duration { return time.Second }, 0, false},
		"all alike":            {20, func(int) time.Duration { return time.Second }, time.Second, true},
		"one of ten is slow":   {100, func(i int) time.Duration { return time.Duration(1+i%10/9*9) * time.Second }, 10 * time.Second, true},
		"one of fifty is slow": {100, func(i int) time.Duration { return time.Duration(1+i%50/49*9) * time.Second }, time.Second, true},
		"never shorter":        {100, func(int) time.Duration { return time.Microsecond }, 20 * time.Millisecond, true},
		"the newest count":     {200, func(i int) time.Duration { return time.Duration(1+i/100) * time.Second }, 2 * time.Second, true},
	} {
		got, ok := fed(row.n, row.took).Patience(target)
		if ok != row.ok || (ok && got != row.want) {
			t.Errorf("%s: %s, %v, want %s, %v", name, got, ok, row.want, row.ok)
		}
	}
}

func TestATenthOfTheRequestsIsSentElsewhereAtTheMost(t *testing.T) {
	t.Parallel()
	p := fed(20, func(int) time.Duration { return time.Second })
	allowed := 0
	for range 1000 {
		p.Patience(target)
		if p.Allow(target) {
			allowed++
		}
	}
	if allowed < 98 || allowed > 100 {
		t.Errorf("%d of 1000 were allowed, want a tenth", allowed)
	}
	for range 1000 { // what is saved up is bounded
		p.Patience(target)
	}
	for allowed = 0; p.Allow(target); {
		allowed++
	}
	if allowed < 4 || allowed > 5 {
		t.Errorf("%d at once after a long time without, want 5", allowed)
	}
	if p.Allow(hedge.Target{Channel: 2, Model: "e"}) {
		t.Error("a target of which nothing is known is allowed one")
	}
}

func TestMemoryIsBoundedWhateverModelsClientsAskFor(t *testing.T) {
	t.Parallel()
	p := hedge.New()
	for i := range 10_000 {
		p.Took(hedge.Target{Channel: 1, Model: fmt.Sprint(i)}, time.Second)
	}
	if n := p.Len(); n > 4096 {
		t.Errorf("%d targets are kept", n)
	}
}
