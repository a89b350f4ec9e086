package chaos_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"halley/internal/store/pgtest"
	"halley/test/harness"
)

// fiveDollars in units.
const fiveDollars = 2_500_000

func TestAThousandAtOnceSpendFiveDollarsAndNoMore(t *testing.T) {
	w := newWorld(t, options{nodes: 3, term: leaseTerm, silence: patience, renews: time.Now().Add(time.Hour)}, pgtest.Own(t))
	r := random(t, "rush")
	_, as := w.nodes[0].NewUser(t, harness.Fields{"username": "rush", "unlimited_quota": true})
	k := as.CreateKey(t, harness.Fields{"name": "five dollars", "remain_quota": fiveDollars})
	p := &purse{subject: subject{key, k.ID}, Name: k.Name, Value: k.Key, Initial: fiveDollars, owner: as}
	w.purses, w.keys = append(w.purses, p), append(w.keys, p)

	ask := func(client, n, node int) seen {
		tokens := int64(20 + n%30)
		s := w.client.send(t.Context(), order{
			script: script{ID: fmt.Sprintf("r%d-%d", client, n), Manner: honest, Tokens: tokens, Chunk: 4, Pace: 20 * time.Millisecond},
			Key:    p, Node: node, Model: models[0].name, Stream: client%4 != 0, Cap: tokens + 20, LeaveAfter: -1,
		})
		w.note(s)
		return s
	}
	// All begin at the same moment, and go on until they are refused.
	var begin, all sync.WaitGroup
	begin.Add(1)
	for client := range 1000 {
		node := r.IntN(len(w.nodes))
		all.Go(func() {
			begin.Wait()
			for n := 0; ask(client, n, node).Status == 200; n++ {
			}
		})
	}
	begin.Done()
	all.Wait()
	// Now nothing is in flight. Somebody asks for the rest, until all nodes refuse.
	for n, refusals := 0, 0; refusals < len(w.nodes) && n < 10_000; n++ {
		if ask(1001, n, n%len(w.nodes)).Status == 200 {
			refusals = 0
		} else {
			refusals++
		}
	}
	v := w.judge(t)
	if n := v.total.outcomes[answered] + v.total.outcomes[refused]; n != v.total.requests {
		t.Errorf("some requests were neither answered nor refused: %v", v.total.outcomes)
	}
	b, _ := v.books.of(p.subject)
	t.Logf("%s of 5 USD spent by %d requests, %d refused", usd(b.Used), v.total.outcomes[answered], v.total.outcomes[refused])
	if b.Used > fiveDollars*unit || b.Used < fiveDollars*unit*97/100 {
		t.Errorf("%s of 5 USD could be spent", usd(b.Used))
	}
}
