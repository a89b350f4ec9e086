package limit

import "time"

// window is a sliding log: what happened, and when, in the last while. Up to
// exact entries it is exact. Beyond, what happens within a 128th of the span is
// one entry that counts until the last of it is out: never too early, and at
// most that much too late. So it is bounded whatever the limit.
type window struct {
	entries []entry // oldest first
	first   uint64  // number of entries[0]; numbers only grow
	sum     int64
}

type entry struct {
	At     int64 `json:"at"` // Unix nanoseconds
	Amount int64 `json:"amount"`
}

const exact = 128

// within is how much happened in the span before now.
func (w *window) within(now time.Time, span time.Duration) int64 {
	out := now.UnixNano() - int64(span)
	n := 0
	for n < len(w.entries) && w.entries[n].At <= out {
		w.sum -= w.entries[n].Amount
		n++
	}
	switch {
	case n == 0:
	case n == len(w.entries):
		w.entries = nil // an idle key keeps nothing
		w.first += uint64(n)
	default:
		// Moving them is cheap: there are few, and 16 bytes each.
		w.entries = w.entries[:copy(w.entries, w.entries[n:])]
		w.first += uint64(n)
	}
	return w.sum
}

// since is how much happened after t.
func (w *window) since(t time.Time) int64 {
	sum := w.sum
	for i := 0; i < len(w.entries) && w.entries[i].At <= t.UnixNano(); i++ {
		sum -= w.entries[i].Amount
	}
	return sum
}

// add notes that the amount happened now and gives the entry's number.
func (w *window) add(now time.Time, span time.Duration, amount int64) uint64 {
	at, last := now.UnixNano(), len(w.entries)-1
	if last >= 0 {
		newest := &w.entries[last]
		at = max(at, newest.At) // another request read its clock later
		grain := int64(span) / exact
		if at == newest.At || (len(w.entries) >= exact && at/grain == newest.At/grain) {
			newest.At = at
			newest.Amount += amount
			w.sum += amount
			return w.first + uint64(last)
		}
	}
	w.entries = append(w.entries, entry{at, amount})
	w.sum += amount
	return w.first + uint64(len(w.entries)-1)
}

// giveBack takes an amount out of an entry, unless it is out of the span.
func (w *window) giveBack(number uint64, amount int64) {
	if number < w.first || number-w.first >= uint64(len(w.entries)) {
		return
	}
	w.entries[number-w.first].Amount -= amount
	w.sum -= amount
}

// wait tells whether need more fit under the limit now, and if not how long it
// takes until they do. What can never fit waits for a whole span.
func (w *window) wait(now time.Time, span time.Duration, limit, need int64) (time.Duration, bool) {
	left := limit - w.within(now, span)
	if need <= left {
		return 0, true
	}
	if need > limit {
		return span, false
	}
	for i := range w.entries {
		left += w.entries[i].Amount
		if need <= left {
			return time.Duration(w.entries[i].At + int64(span) - now.UnixNano()), false
		}
	}
	return span, false
}

// clear is how long it takes until nothing is left in the window.
func (w *window) clear(now time.Time, span time.Duration) time.Duration {
	if len(w.entries) == 0 || w.sum == 0 {
		return 0
	}
	return time.Duration(w.entries[len(w.entries)-1].At + int64(span) - now.UnixNano())
}
