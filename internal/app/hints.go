package app

import (
	"context"
	"log/slog"
	"sync"
	"time"
	"unicode/utf8"

	"halley/internal/health"
	"halley/internal/jsonx"
	"halley/internal/store"
)

const (
	// hintEvery is how often a server tells the others what it has seen: what
	// changes in between goes together, so that a flapping upstream makes no storm.
	hintEvery = 250 * time.Millisecond
	// hintsAtOnce bounds what is told at once, and hintReason a reason in it, in
	// bytes: a notice has a few kilobytes.
	hintsAtOnce = 30
	hintReason  = 100
	// hintQueue bounds what waits to be told. What does not fit is not told: every
	// server learns for itself.
	hintQueue = 1000
)

// hint is a change of a target's health as it is told.
type hint struct {
	Channel    int64  `json:"c"`
	Credential string `json:"k,omitzero"`
	Model      string `json:"m,omitzero"`
	// ForMS is how long the target stays shut; 0 says that it answers. Clocks
	// differ, so it is no instant.
	ForMS  int64  `json:"f,omitzero"`
	Reason string `json:"r,omitzero"`
}

// hintNotice is a notice's payload.
type hintNotice struct {
	Node  int64  `json:"n"`
	Hints []hint `json:"h"`
}

// hints tells the other servers when an upstream stops or begins to answer, and
// hears it of them. A nil hints is that of a server that has no others.
type hints struct {
	node    int64
	notify  func(ctx context.Context, payload string) error
	tracker *health.Tracker
	known   func(channel int64, credential string) bool
	log     *slog.Logger
	now     func() time.Time

	mu      sync.Mutex
	waiting map[health.Target]health.Transition
	quit    chan struct{}
	done    sync.WaitGroup
}

// note takes a change that this server has seen itself. What it believes because
// another said so is not told on.
func (h *hints) note(t health.Transition) {
	// A model's name that is no text cannot be told, and nobody asks for it twice.
	if h == nil || !t.ForOthers() || !utf8.ValidString(t.Target.Model) {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, there := h.waiting[t.Target]; !there && len(h.waiting) >= hintQueue {
		return
	}
	h.waiting[t.Target] = t
}

func (h *hints) start() {
	if h == nil {
		return
	}
	h.done.Go(func() {
		tick := time.NewTicker(hintEvery)
		defer tick.Stop()
		for {
			select {
			case <-h.quit:
				return
			case <-tick.C:
				h.tell()
			}
		}
	})
}

func (h *hints) stop() {
	if h == nil {
		return
	}
	close(h.quit)
	h.done.Wait()
}

// tell sends some of what waits. A notice that fails is forgotten.
func (h *hints) tell() {
	notice := hintNotice{Node: h.node, Hints: h.take()}
	if len(notice.Hints) == 0 {
		return
	}
	text, err := jsonx.Marshal(notice)
	for err == nil && len(text) > store.MaxNotice { // long names
		notice.Hints = notice.Hints[:len(notice.Hints)/2]
		text, err = jsonx.Marshal(notice)
	}
	if err == nil && len(notice.Hints) > 0 {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		err = h.notify(ctx, string(text))
	}
	if err != nil {
		h.log.Debug("the other servers cannot be told how upstreams are doing", "error", err)
	}
}

func (h *hints) take() (list []hint) {
	now := h.now()
	h.mu.Lock()
	defer h.mu.Unlock()
	for target, t := range h.waiting {
		if len(list) == hintsAtOnce {
			break
		}
		delete(h.waiting, target)
		one := hint{Channel: target.Channel, Credential: target.Credential, Model: target.Model}
		if t.To >= health.CoolingDown {
			if one.ForMS = t.Until.Sub(now).Milliseconds(); one.ForMS <= 0 {
				continue // it is over already
			}
			one.Reason = t.Reason[:min(len(t.Reason), hintReason)]
		}
		list = append(list, one)
	}
	return list
}

// hear takes what another server says.
func (h *hints) hear(payload string) {
	var notice hintNotice
	if err := jsonx.Unmarshal([]byte(payload), &notice); err != nil || notice.Node == h.node {
		return
	}
	now := h.now()
	for _, one := range notice.Hints[:min(len(notice.Hints), hintsAtOnce)] {
		if !h.known(one.Channel, one.Credential) {
			continue
		}
		h.tracker.Hint(now, health.Hint{
			Target: health.Target{Channel: one.Channel, Credential: one.Credential, Model: one.Model},
			Broken: one.ForMS > 0, Until: now.Add(time.Duration(one.ForMS) * time.Millisecond), Reason: one.Reason,
		})
	}
}
