package limit

import (
	"time"

	"halley/internal/jsonx"
)

// history is what is kept of a window over a restart.
type history struct {
	Kind    string  `json:"kind"` // k, u or g
	ID      int64   `json:"id,omitzero"`
	Name    string  `json:"name,omitzero"`
	Pattern string  `json:"pattern,omitzero"`
	Which   Which   `json:"which"`
	Entries []entry `json:"entries"`
}

// gist is the window in few entries, of which none counts for less long.
func (w *window) gist(span time.Duration) []entry {
	const most = 64
	var list []entry
	for _, e := range w.entries {
		grain, last := int64(span)/most, len(list)-1
		switch {
		case e.Amount == 0:
		case last >= 0 && len(w.entries) > most && e.At/grain == list[last].At/grain:
			list[last].At = e.At
			list[last].Amount += e.Amount
		default:
			list = append(list, e)
		}
	}
	return list
}

// each calls do with every window and its name.
func (w *windows) each(do func(which Which, span time.Duration, w *window)) {
	do(RequestsPerMinute, time.Minute, &w.minute)
	do(RequestsPerDay, day, &w.day)
	for c := range w.tokens {
		do((&rule{counts: counts(c)}).which(), time.Minute, &w.tokens[c])
	}
}

// Save gives what counts at the moment, for Restore in the next run. What is
// under way counts as it was estimated.
func (l *Limiter) Save(now time.Time) ([]byte, error) {
	list := []history{}
	for i := range l.shards {
		sh := &l.shards[i]
		sh.mu.Lock()
		for s, st := range sh.states {
			save := func(pattern string, of *windows) {
				of.each(func(which Which, span time.Duration, w *window) {
					if w.within(now, span) > 0 {
						list = append(list, history{string(s.kind), s.id, s.name, pattern, which, w.gist(span)})
					}
				})
			}
			save("", &st.whole)
			for pattern, of := range st.patterns {
				save(pattern, of)
			}
		}
		sh.mu.Unlock()
	}
	return jsonx.Marshal(list)
}

// Restore counts what an earlier run saved, before the first Take. What is out
// of its span by now counts no more; what a clock that went wrong has put into
// the future counts from now on.
func (l *Limiter) Restore(now time.Time, saved []byte) error {
	var list []history
	if err := jsonx.Unmarshal(saved, &list); err != nil {
		return err
	}
	for _, h := range list {
		if len(h.Kind) != 1 {
			continue
		}
		s := subject{kind: h.Kind[0], id: h.ID, name: h.Name}
		set := shardSet(1) << s.shard()
		l.lock(set)
		st := l.state(now, s)
		of := &st.whole
		if h.Pattern != "" {
			of = st.pattern(now, h.Pattern, &Limits{PerModel: map[string]Rate{h.Pattern: {}}})
		}
		of.each(func(which Which, span time.Duration, w *window) {
			if which != h.Which {
				return
			}
			for _, e := range h.Entries {
				if at := time.Unix(0, min(e.At, now.UnixNano())); e.Amount > 0 && now.Sub(at) < span {
					w.add(at, span, e.Amount)
				}
			}
		})
		l.unlock(set)
	}
	return nil
}
