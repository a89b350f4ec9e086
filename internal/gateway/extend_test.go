package gateway_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"halley/internal/budget"
	"halley/internal/money"
	"halley/internal/usage"
)

// far is a store of leases that gives what is asked for until it is away.
type far struct {
	budget.Leases
	away  atomic.Bool
	asked atomic.Int64 // while away
}

func (*far) OwnLeases(context.Context, budget.Subject) ([]budget.Lease, error)       { return nil, nil }
func (*far) KeepLeases(context.Context, budget.Subject, int64, []budget.Lease) error { return nil }
func (*far) Nodes() int                                                              { return 2 }
func (f *far) TakeLease(_ context.Context, _ budget.Subject, _ int64, asked []budget.Lease, decide func(budget.Position) []budget.Lease) error {
	if f.away.Load() {
		f.asked.Add(1)
		return errors.New("away")
	}
	decide(budget.Position{Granted: 1000 * money.USD, Spent: make([]money.Nano, len(asked))})
	return nil
}

// When more money cannot be asked for, a stream goes on with what it has, and
// does not ask, which may take its time, at every chunk.
func TestAStreamUsesUpWhatItHasWhenTheStoreIsAway(t *testing.T) {
	t.Parallel()
	leases := &far{}
	freed, got := make(chan struct{}), make(chan struct{}, 1)
	h := newHouse(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadAll(r.Body)
		defer close(freed)
		for r.Context().Err() == nil {
			streams(w, chunk(words))
			select {
			case <-got: // one at a time
			case <-r.Context().Done():
			}
		}
	}, func(h *house) { h.leases = leases })
	c := client{}
	c.onWrite = func(string) {
		got <- struct{}{}
		if leases.away.Load() {
			return
		}
		leases.away.Store(true)
		for _, s := range []budget.Subject{{Kind: budget.Key, ID: h.key.ID}, {Kind: budget.User, ID: h.owner.ID}} {
			if err := h.ledger.Recalled(context.Background(), s); err != nil {
				t.Error(err)
			}
		}
	}
	h.do(t.Context(), `{"model":"m","stream":true,"max_tokens":100000,"stream_options":{"include_usage":true}}`, &c)
	<-freed
	chunks := strings.Count(c.body.String(), words)
	if !strings.Contains(c.body.String(), `"finish_reason":"length"`) || !strings.Contains(c.body.String(), `"total_tokens":`) || !strings.HasSuffix(c.body.String(), done) {
		t.Errorf("the client got %d chunks and …%s", chunks, c.body.String()[max(0, c.body.Len()-500):])
	}
	r := h.records[0]
	if len(h.records) != 1 || r.Status != 200 || r.ErrorCode != "key_quota_exhausted" || r.Source != usage.Metered || r.Absorbed != 0 || r.Tokens.Completion != int64(chunks)*10 {
		t.Errorf("after %d chunks: %+v", chunks, r)
	}
	if holds, held := h.ledger.InFlight(); holds != 0 || held != 0 {
		t.Errorf("%d holds of %d are left", holds, held)
	}
	// A slice is 2,048 tokens, a chunk 16 of them at the most.
	if asked := leases.asked.Load(); asked == 0 || asked > 12 || chunks < 120 {
		t.Errorf("the store was asked %d times in %d chunks", asked, chunks)
	}
}

// A stream that is read on for nobody holds and asks for money as any other.
func TestADrainedStreamIsCutToo(t *testing.T) {
	t.Parallel()
	freed := make(chan struct{})
	h := newHouse(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadAll(r.Body)
		defer close(freed)
		for r.Context().Err() == nil {
			streams(w, chunk(words))
		}
	}, drains(time.Hour))
	subject := budget.Subject{Kind: budget.Key, ID: h.key.ID}
	ctx, leave := context.WithCancel(t.Context())
	var held money.Nano
	c := client{}
	c.onWrite = func(string) {
		c.onWrite = nil
		b, err := h.ledger.Edit(context.Background(), subject, budget.SetRemaining(0), func(context.Context, budget.Change) error { return nil })
		if err != nil {
			t.Error(err)
		}
		held = b.Held
		leave()
	}
	h.do(ctx, `{"model":"m","stream":true,"max_tokens":300000}`, &c)
	<-freed
	b, err := h.ledger.Balance(t.Context(), subject)
	if err != nil {
		t.Fatal(err)
	}
	r := h.records[0]
	if len(h.records) != 1 || r.Status != 499 || r.ErrorCode != "client_closed_request" || r.Source != usage.Metered || r.Absorbed != 0 || r.Cost < held/4 || r.Cost > held || b.Held != 0 || b.Used != r.Cost {
		t.Errorf("record %+v, held %d, balance %+v", r, held, b)
	}
}

// An upstream may be so fast that much of an answer and its end arrive in one
// read: no more of it is passed on than there is money for.
func TestTheRestOfAnAnswerThatArrivesAtOnceMustBePaidForToo(t *testing.T) {
	t.Parallel()
	spent := make(chan struct{})
	h := newHouse(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadAll(r.Body)
		streams(w, chunk(words))
		<-spent
		streams(w, strings.Repeat(chunk(words), 1000)+lastChunk+`data: {"choices":[],"usage":{"prompt_tokens":10,"completion_tokens":10010}}`+"\n\n"+done)
	})
	subject := budget.Subject{Kind: budget.Key, ID: h.key.ID}
	var held money.Nano
	c := client{}
	c.onWrite = func(string) {
		c.onWrite = nil
		b, err := h.ledger.Edit(context.Background(), subject, budget.SetRemaining(0), func(context.Context, budget.Change) error { return nil })
		if err != nil {
			t.Error(err)
		}
		held = b.Held
		close(spent)
	}
	h.do(t.Context(), `{"model":"m","stream":true,"max_tokens":300000}`, &c)
	if body := c.body.String(); !strings.Contains(body, `"finish_reason":"length"`) || !strings.HasSuffix(body, done) || strings.Contains(body, `"stop"`) {
		t.Errorf("the client got …%s", body[max(0, len(body)-500):])
	}
	r := h.records[0]
	if len(h.records) != 1 || r.ErrorCode != "key_quota_exhausted" || r.Source != usage.Metered || r.Absorbed != 0 || r.Cost < held/4 || r.Cost > held || r.Tokens.Completion != 10*int64(strings.Count(c.body.String(), words)) {
		t.Errorf("record %+v, held %d", r, held)
	}
}
