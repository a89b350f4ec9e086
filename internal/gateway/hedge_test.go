package gateway_test

import (
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"halley/internal/account"
	"halley/internal/channel"
	"halley/internal/group"
	"halley/internal/provider"
	"halley/internal/usage"
)

const vectors = `{"object":"list","data":[{"embedding":[1]}],"usage":{"prompt_tokens":5,"total_tokens":5}}`

// slowing answers at once until it is told to be slow; then it waits for release,
// or for the caller to leave.
type slowing struct {
	slow    atomic.Bool
	status  int
	release chan struct{}
	left    chan struct{} // gets one for each caller that left
}

func newSlowing() *slowing {
	return &slowing{status: http.StatusOK, release: make(chan struct{}), left: make(chan struct{}, 100)}
}

func (s *slowing) serve(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body) // else nobody notices that the caller leaves
	if s.slow.Load() {
		select {
		case <-s.release:
		case <-r.Context().Done():
			s.left <- struct{}{}
			return
		}
	}
	answers(s.status, "application/json", vectors)(w, r)
}

// usual is how many requests show how fast the first channel is: as many as must
// be known before any is sent twice.
const usual = 20

// hedged is a house whose first channel is primary, which has shown how fast it
// usually is, with a second channel.
func hedged(t *testing.T, primary *slowing, second http.HandlerFunc, asked *calls) *house {
	t.Helper()
	h := newHouse(t, asked.by(5, primary.serve), first, tracked(t), asked.channel(t, 9, second, group.Default), func(h *house) {
		h.hedges = true
		h.owner.Role = account.RoleAdmin
	})
	for range usual {
		var c client
		h.call(t.Context(), provider.Embeddings, `{"model":"m","input":"hi"}`, &c, keyValue)
	}
	asked.ids = nil
	return h
}

func embed(t *testing.T, h *house) (*usage.Record, *client) {
	t.Helper()
	var c client
	return h.call(t.Context(), provider.Embeddings, `{"model":"m","input":"hi"}`, &c, keyValue), &c
}

func TestASlowEmbeddingIsAnsweredByTheSecondChannelAndPaidOnce(t *testing.T) {
	t.Parallel()
	primary := newSlowing()
	var asked calls
	h := hedged(t, primary, answers(200, "application/json", vectors), &asked)
	primary.slow.Store(true)
	record, c := embed(t, h)
	if record.Status != 200 || record.ChannelID != 9 || record.Attempts != 2 || c.body.String() != vectors {
		t.Errorf("%d by channel %d in %d attempts: %s", record.Status, record.ChannelID, record.Attempts, c.body.String())
	}
	asked.want(t, 5, 9)
	select {
	case <-primary.left:
	case <-time.After(10 * time.Second):
		t.Error("the slow upstream is not let go")
	}
	if len(h.records) != usual+1 || h.records[usual].Tokens.Prompt != 5 {
		t.Errorf("%+v", h.records)
	}
	if got := c.header.Get("X-Halley-Attempts"); got != "5=overtaken, 9=success" {
		t.Errorf("X-Halley-Attempts: %s", got)
	}
	if got := told(record.Trail); got != "5=overtaken (), 9=success ()" {
		t.Errorf("the record's trail is %s", got)
	}
	if holds, held := h.ledger.InFlight(); holds != 0 || held != 0 {
		t.Errorf("%d holds of %d are left", holds, held)
	}
}

func TestWhenTheSecondChannelFailsTheSlowOneStillServes(t *testing.T) {
	t.Parallel()
	primary := newSlowing()
	var asked calls
	h := hedged(t, primary, func(w http.ResponseWriter, r *http.Request) {
		answers(500, "application/json", overloaded)(w, r)
		close(primary.release)
	}, &asked)
	primary.slow.Store(true)
	record, c := embed(t, h)
	if record.Status != 200 || record.ChannelID != 5 || record.Attempts != 2 || c.body.String() != vectors {
		t.Errorf("%d by channel %d in %d attempts: %s", record.Status, record.ChannelID, record.Attempts, c.body.String())
	}
	asked.want(t, 5, 9)
}

func TestOneRequestInTenIsHedgedAtTheMost(t *testing.T) {
	t.Parallel()
	primary := newSlowing()
	var asked calls
	h := hedged(t, primary, answers(200, "application/json", vectors), &asked)
	primary.slow.Store(true)
	go func() { // what is not hedged must end, too
		for range 100 {
			select {
			case primary.release <- struct{}{}:
			case <-t.Context().Done():
				return
			}
		}
	}()
	hedges := 0
	for range 50 {
		if record, _ := embed(t, h); record.Attempts == 2 {
			hedges++
		}
	}
	if hedges > 8 { // of 70 with those that showed the usual time
		t.Errorf("%d of 50 were sent twice", hedges)
	}
}

func TestChatIsNeverSentTwice(t *testing.T) {
	t.Parallel()
	primary := newSlowing()
	var asked calls
	h := hedged(t, primary, answers(200, "application/json", plainAnswer), &asked)
	primary.slow.Store(true)
	time.AfterFunc(200*time.Millisecond, func() { close(primary.release) })
	var c client
	record := h.do(t.Context(), `{"model":"m"}`, &c)
	if record.Attempts != 1 || record.ChannelID != 5 {
		t.Errorf("%d attempts, by channel %d", record.Attempts, record.ChannelID)
	}
}

// A second channel that only looks quicker must not cost the answer that is on
// its way.
func TestOnlyAUsableAnswerEndsTheOther(t *testing.T) {
	t.Parallel()
	for name, bad := range map[string]http.HandlerFunc{
		"an empty 200":             answers(200, "application/json", ""),
		"a 200 with an error":      answers(200, "application/json", overloaded),
		"a 200 that is a web page": answers(200, "text/html", "<html>"),
		"our balance in a 400":     answers(400, "application/json", `{"error":{"message":"Your credit balance is too low"}}`),
		"our balance in a 403":     answers(403, "application/json", `{"error":{"message":"Insufficient Balance"}}`),
		"a redirect":               answers(302, "", ""),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			primary := newSlowing()
			var asked calls
			h := hedged(t, primary, func(w http.ResponseWriter, r *http.Request) {
				bad(w, r)
				time.AfterFunc(50*time.Millisecond, func() { close(primary.release) })
			}, &asked)
			primary.slow.Store(true)
			record, c := embed(t, h)
			if record.Status != 200 || record.ChannelID != 5 || record.Attempts != 2 || c.body.String() != vectors {
				t.Errorf("%d by channel %d in %d attempts: %s", record.Status, record.ChannelID, record.Attempts, c.body.String())
			}
			asked.want(t, 5, 9)
		})
	}
}

func TestWhenBothFailTheClientGetsWhatAnUpstreamSaid(t *testing.T) {
	t.Parallel()
	primary := newSlowing()
	var asked calls
	h := hedged(t, primary, func(w http.ResponseWriter, r *http.Request) {
		answers(503, "application/json", overloaded)(w, r)
		time.AfterFunc(50*time.Millisecond, func() { close(primary.release) })
	}, &asked)
	primary.status = http.StatusUnauthorized
	primary.slow.Store(true)
	record, c := embed(t, h)
	if record.Status != 503 || record.ChannelID != 9 || c.body.String() != overloaded {
		t.Errorf("%d by channel %d: %s", record.Status, record.ChannelID, c.body.String())
	}
	if holds, held := h.ledger.InFlight(); holds != 0 || held != 0 {
		t.Errorf("%d holds of %d are left", holds, held)
	}
}

func TestTheRequestsOwnFaultIsAnAnswerToo(t *testing.T) {
	t.Parallel()
	const theirs = `{"error":{"message":"no such model","code":"model_not_found"}}`
	primary := newSlowing()
	var asked calls
	h := hedged(t, primary, answers(404, "application/json", theirs), &asked)
	primary.slow.Store(true)
	record, c := embed(t, h)
	if record.Status != 404 || record.ChannelID != 9 || c.body.String() != theirs {
		t.Errorf("%d by channel %d: %s", record.Status, record.ChannelID, c.body.String())
	}
}

func TestARequestIsNotSentTwiceToADearerGroupOrTheSameChannel(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*house){
		"another group": func(h *house) { crossing(h); h.more[0].Groups = []string{"vip"} },
		"another upstream key of the channel": func(h *house) {
			h.more = nil
			h.channel.Credentials = append(h.channel.Credentials, channel.Credential{ID: "other", Value: "other-secret"})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			primary := newSlowing()
			var asked calls
			h := newHouse(t, asked.by(5, primary.serve), first, tracked(t), asked.channel(t, 9, answers(200, "application/json", vectors), group.Default), change, func(h *house) { h.hedges = true })
			for range usual {
				embed(t, h)
			}
			primary.slow.Store(true)
			time.AfterFunc(300*time.Millisecond, func() { close(primary.release) })
			record, _ := embed(t, h)
			if record.Status != 200 || record.Attempts != 1 || record.ChannelID != 5 {
				t.Errorf("%d by channel %d in %d attempts", record.Status, record.ChannelID, record.Attempts)
			}
		})
	}
}
