package cluster

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Via is how a change came here.
type Via string

// The ways.
const (
	ByNotice Via = "notice" // it was announced
	ByPoll   Via = "poll"   // it was found when looking
)

// The defaults of FeedOptions.
const (
	DefaultEvery = 500 * time.Millisecond
	DefaultKeep  = time.Hour
)

// FeedOptions is what a Feed is made of.
type FeedOptions struct {
	Store Store
	Log   *slog.Logger
	Now   func() time.Time
	// Applied is told of every change that counts here from now on, and how long
	// that took, by the database's clock. It may be nil.
	Applied func(topic string, via Via, lag time.Duration)
	// Every is how often to look for changes that were not heard; 0 is
	// DefaultEvery.
	Every time.Duration
	// Keep is how long changes stay in the store at least, after which they are
	// dropped; 0 is DefaultKeep. Who has not looked for half of it does not
	// trust the feed and forgets everything.
	Keep time.Duration
}

// Feed applies changes: those that notices announce at once, and those whose
// notice did not come when it looks, which it does regularly. Set it up with On,
// Reload and OnReset, then Start it.
type Feed struct {
	FeedOptions
	apply   map[string]func(ref string)
	reloads []*reload
	resets  []func()

	stop context.CancelFunc
	done sync.WaitGroup
	look chan struct{} // look now
	load chan struct{} // something is to be reloaded
	mark mark          // follow's: what to prune once it is old enough

	mu     sync.Mutex // guards what follows, and is held while changes are applied
	cursor string
	looked moment // when cursor was read
	seen   seen
	lost   bool // the last look failed
}

// reload is a part that is read as a whole when anything in it changes.
type reload struct {
	topic   string
	load    func(context.Context) error
	dirty   bool
	waiting []heard
	failing bool
}

// heard is a change and how it came.
type heard struct {
	Change
	via Via
}

// moment is one instant by two clocks.
type moment struct{ here, there time.Time }

// mark is a cursor and when it was answered.
type mark struct {
	cursor string
	at     time.Time // by the database's clock
}

// NewFeed makes a Feed that does nothing before Start.
func NewFeed(o FeedOptions) *Feed {
	if o.Every == 0 {
		o.Every = DefaultEvery
	}
	if o.Keep == 0 {
		o.Keep = DefaultKeep
	}
	if o.Applied == nil {
		o.Applied = func(string, Via, time.Duration) {}
	}
	return &Feed{
		FeedOptions: o, apply: map[string]func(string){}, look: make(chan struct{}, 1), load: make(chan struct{}, 1),
		seen: seen{recent: map[Change]struct{}{}},
	}
}

// On has changes of a topic applied by f, which must not wait for anything. A
// change may be applied more than once.
func (f *Feed) On(topic string, apply func(ref string)) { f.apply[topic] = apply }

// Reload has load called after changes of a topic, once for as many as there
// are by then, and again until it succeeds. One load runs at a time.
func (f *Feed) Reload(topic string, load func(context.Context) error) {
	f.reloads = append(f.reloads, &reload{topic: topic, load: load})
}

// OnReset adds what drops everything that is remembered, for when nobody can
// tell what has changed; it must not wait for anything. It runs at the start,
// too, and so do all loads: what was read before counts for nothing.
func (f *Feed) OnReset(drop func()) { f.resets = append(f.resets, drop) }

// Hear applies the change that a notice on ChangesChannel announces. What is no
// change is passed over: anybody may send notices, and looking finds the rest.
func (f *Feed) Hear(payload string) {
	c, err := ParseChange(payload)
	if err != nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.take(heard{c, ByNotice})
}

// Look makes the feed look for changes now instead of in a moment.
func (f *Feed) Look() { wake(f.look) }

// Start begins to look for changes.
func (f *Feed) Start() {
	ctx, cancel := context.WithCancel(context.Background())
	f.stop = cancel
	f.done.Go(func() { f.follow(ctx) })
	f.done.Go(func() { f.reload(ctx) })
}

// Stop ends what Start began, if it was called, and waits for it.
func (f *Feed) Stop() {
	if f.stop != nil {
		f.stop()
	}
	f.done.Wait()
}

// follow looks for changes until ctx ends.
func (f *Feed) follow(ctx context.Context) {
	tick := time.NewTicker(f.Every)
	defer tick.Stop()
	for {
		f.report(ctx, f.poll(ctx))
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-f.look:
		}
	}
}

// report logs when the feed is lost and when it is back.
func (f *Feed) report(ctx context.Context, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case ctx.Err() != nil:
	case err != nil && !f.lost:
		f.lost = true
		f.Log.Warn("what other servers change cannot be read; what is known here is used on", "error", err)
	case err == nil && f.lost:
		f.lost = false
		f.Log.Info("what other servers change can be read again")
	}
}

// storeTimeout bounds one question to the store.
const storeTimeout = 5 * time.Second

// poll looks for changes once.
func (f *Feed) poll(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	asked := f.Now()
	page, err := f.Store.Changes(ctx, f.cursor) // only this goroutine changes it
	if err != nil {
		return err
	}
	// The question took as long to get there as the answer back.
	f.read(page, moment{here: asked.Add(f.Now().Sub(asked) / 2), there: page.Now})
	if page.Rewound {
		f.mark = mark{} // of another past: nearly everything would be old
	}
	f.prune(ctx, mark{page.Cursor, page.Now})
	return nil
}

// prune drops what could be seen before the mark, once that is old enough: so
// what is dropped has been there for that long, whenever it was committed.
func (f *Feed) prune(ctx context.Context, now mark) {
	if f.mark.cursor != "" && now.at.Sub(f.mark.at) < f.Keep {
		return
	}
	old := f.mark
	f.mark = now
	if old.cursor == "" {
		return
	}
	if err := f.Store.PruneChanges(ctx, old.cursor); err != nil && ctx.Err() == nil {
		f.Log.Warn("old changes could not be dropped", "error", err)
	}
}

// read takes what a look has found.
func (f *Feed) read(page Page, now moment) {
	f.mu.Lock()
	defer f.mu.Unlock()
	before := f.looked
	f.looked = now
	why := ""
	switch {
	case f.cursor == "":
		f.reset()
	case page.Rewound:
		why = "the database is behind where it was"
	case page.More:
		why = "there are too many changes to go through them"
	case now.here.Sub(before.here) > f.Keep/2 || now.there.Sub(before.there) > f.Keep/2:
		why = "changes could not be read for too long"
	default:
		for _, c := range page.Changes {
			f.take(heard{c, ByPoll})
		}
	}
	if why != "" {
		f.Log.Warn("changes may have been missed: everything is read again", "reason", why)
		f.reset()
	}
	f.cursor = page.Cursor
	f.seen.age(now.here)
}

// reset drops everything that is remembered.
func (f *Feed) reset() {
	for _, drop := range f.resets {
		drop()
	}
	for _, r := range f.reloads {
		r.dirty = true
	}
	wake(f.load)
}

// take applies a change that was not seen before.
func (f *Feed) take(h heard) {
	if !f.seen.add(h.Change) {
		return
	}
	if apply := f.apply[h.Topic]; apply != nil {
		apply(h.Ref)
		f.applied(h)
	}
	for _, r := range f.reloads {
		if r.topic == h.Topic {
			r.dirty, r.waiting = true, append(r.waiting, h)
			wake(f.load)
		}
	}
}

// applied tells how long a change took to get here. The database's clock is told
// from when it was last seen, as our own may be set meanwhile.
func (f *Feed) applied(h heard) {
	now := f.Now()
	if !f.looked.here.IsZero() {
		now = f.looked.there.Add(now.Sub(f.looked.here))
	}
	f.Applied(h.Topic, h.via, max(0, now.Sub(time.UnixMilli(h.Millis))))
}

// reload runs the loads of what has changed until ctx ends.
func (f *Feed) reload(ctx context.Context) {
	again := time.NewTicker(f.Every)
	defer again.Stop()
	for {
		failed := false
		for _, r := range f.reloads {
			failed = !f.loaded(ctx, r) || failed
		}
		retry := again.C
		if !failed {
			retry = nil
		}
		select {
		case <-ctx.Done():
			return
		case <-f.load:
		case <-retry:
		}
	}
}

// loaded loads a part if it has changed, and reports whether it is up to date
// as far as is known.
func (f *Feed) loaded(ctx context.Context, r *reload) bool {
	f.mu.Lock()
	dirty, waiting := r.dirty, r.waiting
	r.dirty, r.waiting = false, nil
	f.mu.Unlock()
	if !dirty {
		return true
	}
	limited, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	err := r.load(limited)
	f.mu.Lock()
	defer f.mu.Unlock()
	if err != nil {
		if !r.failing && ctx.Err() == nil {
			f.Log.Warn("a change cannot be put in force here; trying again", "topic", r.topic, "error", err)
		}
		r.failing, r.dirty, r.waiting = true, true, append(waiting, r.waiting...)
		return false
	}
	if r.failing {
		r.failing = false
		f.Log.Info("the change is in force here", "topic", r.topic)
	}
	for _, h := range waiting {
		f.applied(h)
	}
	return true
}

// wake leaves a signal, unless there is one.
func wake(signal chan struct{}) {
	select {
	case signal <- struct{}{}:
	default:
	}
}

// seen remembers changes for a minute or two: one that is announced is found by
// looking as well.
type seen struct {
	recent, older map[Change]struct{}
	turned        time.Time
}

// add reports whether the change is a new one.
func (s *seen) add(c Change) bool {
	_, recent := s.recent[c]
	_, older := s.older[c]
	s.recent[c] = struct{}{}
	return !recent && !older
}

func (s *seen) age(now time.Time) {
	if now.Sub(s.turned) >= time.Minute {
		s.recent, s.older, s.turned = map[Change]struct{}{}, s.recent, now
	}
}
