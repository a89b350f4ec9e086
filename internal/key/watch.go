package key

import (
	"cmp"
	"context"
	"slices"
	"time"
)

// How far Watch looks.
const (
	watchAhead = 14 * 24 * time.Hour // for expiries
	watchBack  = 7 * 24 * time.Hour  // for the last use of keys that are exhausted
	watchMost  = 10                  // of each kind
)

// Watched are keys of one owner that need a look, at most ten of each kind.
type Watched struct {
	Expiring   []View // enabled ones that expire within two weeks, the soonest first
	RunningOut []View // a tenth of their quota or less is left; the least first
	Budgeted   []View // of those with renewing budgets that were used last, the most used up first
}

// WatchKind is a reason to look at a key.
type WatchKind int

// The reasons.
const (
	WatchExpiring WatchKind = iota
	WatchRunningOut
	WatchBudgets
)

// WatchQuery asks for an owner's keys of one kind: expiring ones, the soonest
// first; those running out, by the stored balances, the least first; or those
// with renewing budgets, the last used first.
type WatchQuery struct {
	Kind      WatchKind
	UserID    int64
	Now       time.Time
	Until     time.Time // expiries
	UsedSince time.Time // else an exhausted key is left out: it is no news
	Limit     int64
}

// Watch tells what is about to expire or to run out, and how renewing budgets are
// doing.
func (s *Service) Watch(ctx context.Context, userID int64) (Watched, error) {
	var w Watched
	now := s.Now()
	for kind, views := range map[WatchKind]*[]View{WatchExpiring: &w.Expiring, WatchRunningOut: &w.RunningOut, WatchBudgets: &w.Budgeted} {
		found, err := s.views(ctx, func() ([]*Key, error) {
			return s.Store.KeysToWatch(ctx, WatchQuery{Kind: kind, UserID: userID, Now: now, Until: now.Add(watchAhead), UsedSince: now.Add(-watchBack), Limit: watchMost})
		})
		if err != nil {
			return Watched{}, failed(err, "look for keys that need a look")
		}
		for i, v := range found {
			if found[i], err = s.withBudgets(ctx, v); err != nil {
				return Watched{}, err
			}
		}
		*views = found
	}
	slices.SortStableFunc(w.Budgeted, func(a, b View) int { return cmp.Compare(usedUp(b), usedUp(a)) })
	return w, nil
}

// usedUp is the largest share of a budget of the key's that is used.
func usedUp(v View) float64 {
	most := 0.0
	for _, b := range v.Budgets {
		if b.Amount > 0 {
			most = max(most, float64(b.Used)/float64(b.Amount))
		}
	}
	return most
}
