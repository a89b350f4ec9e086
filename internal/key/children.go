package key

import (
	"cmp"
	"context"
	"maps"
	"net/netip"
	"slices"
	"time"

	"halley/internal/budget"
	"halley/internal/fault"
	"halley/internal/limit"
	"halley/internal/money"
)

// A key may issue others, its children: for an agent, a run, a customer. A child
// is a key with rules and a quota of its own, and whatever it does counts for
// its parent as well. There is one level: a child issues no keys.
//
// A child's rules can only narrow its parent's, and what it leaves open is as
// the parent has it. That is judged when a child is made or changed. A parent
// may be narrowed later all the same, so admission asks both.

// Parent is how the parent of a key stood when the key's record was read.
type Parent struct {
	Status    Status
	ExpiresAt int64
	Granted   money.Nano
	Used      money.Nano
	Unlimited bool
}

func (p *Parent) stored(id int64) budget.Stored {
	return budget.Stored{ID: id, Balance: budget.Balance{Granted: p.Granted, Used: p.Used, Unlimited: p.Unlimited}}
}

// Parent gives the key that issued k, nil when none did. The record is shared
// and, like that of Authenticate, needs no store once it is known here. With its
// parent a key ends too, which looks as if it had never been.
func (s *Service) Parent(ctx context.Context, k *Key) (*Key, error) {
	if k.Limits.ParentID == nil {
		return nil, nil
	}
	if parent, ok := s.cache.byID(*k.Limits.ParentID); ok {
		return parent, nil
	}
	return s.parentCold(ctx, k)
}

// parentCold is apart for the reason that authenticateCold is.
func (s *Service) parentCold(ctx context.Context, k *Key) (*Key, error) {
	id := *k.Limits.ParentID
	parent, err := s.cache.load(ctx, lookup{id: id}, s.Now(), func(ctx context.Context) (*Key, error) {
		parent, err := s.Store.KeyByID(ctx, id)
		if err != nil {
			return nil, err
		}
		return parent.compiled(), nil
	})
	if fault.Is(err, fault.NotFound) {
		s.cache.forget(k.ID)
		return nil, unknownKey()
	}
	if err != nil {
		return nil, failed(err, "look up the key's parent")
	}
	return parent, nil
}

// CreateChild makes a key that one of the owner's keys issues, and gives its
// value like Create. A parent that does not work is refused: the child could not
// be used. One that is exhausted may issue, as a top-up revives both.
func (s *Service) CreateChild(ctx context.Context, userID, parentID int64, p Patch) (View, string, error) {
	parent, err := s.look(ctx, func() (*Key, error) { return s.find(ctx, userID, parentID) })
	if err != nil {
		return View{}, "", err
	}
	if parent.Key.Limits.ParentID != nil {
		return View{}, "", invalid("id", "parent_is_child", "Key %d is a child itself, and a child cannot have children.", parentID)
	}
	switch parent.Status {
	case Disabled:
		return View{}, "", invalid("id", "parent_disabled", "Key %d is disabled, so its child would not work.", parentID)
	case Expired:
		return View{}, "", invalid("id", "parent_expired", "Key %d has expired, so its child would not work.", parentID)
	case Enabled, Exhausted:
	}
	value := NewValue()
	v, err := s.create(ctx, userID, &parent, p, value, budget.Created)
	return v, value, err
}

// startChild is a new key as its parent hands it on, before its own rules.
func startChild(k Key, parent *Key) Key {
	k.ExpiresAt, k.Group, k.Limits.ParentID = parent.ExpiresAt, parent.Group, &parent.ID
	k.Parent = &Parent{Status: parent.Status, ExpiresAt: parent.ExpiresAt, Granted: parent.Granted, Used: parent.Used, Unlimited: parent.Unlimited}
	return k
}

// parentOf reads the parent's whole record, nil for a key without.
func (s *Service) parentOf(ctx context.Context, k *Key) (*Key, error) {
	if k.Limits.ParentID == nil {
		return nil, nil
	}
	parent, err := s.find(ctx, k.UserID, *k.Limits.ParentID)
	if fault.Is(err, fault.NotFound) {
		return nil, NotFound(k.ID) // they ended together
	}
	return parent, err
}

// Tighter is the balance that bounds a key: its own or, of a child, the parent's
// when less is left of that. parent is nil for a key without one.
func Tighter(own budget.Balance, parent *budget.Balance) budget.Balance {
	if parent == nil || parent.Unlimited || (!own.Unlimited && own.Remaining() <= parent.Remaining()) {
		return own
	}
	return *parent
}

// EndsAt is when a key can be used no more, by its own expiry or its parent's
// (nil without one): Unix seconds, or Never.
func EndsAt(k, parent *Key) int64 {
	if parent == nil || parent.ExpiresAt == Never || (k.ExpiresAt != Never && k.ExpiresAt < parent.ExpiresAt) {
		return k.ExpiresAt
	}
	return parent.ExpiresAt
}

// AllowedModels are the patterns of what both a key and its parent (nil without
// one) let it use, as far as patterns can say it; limited false is everything.
func AllowedModels(k, parent *Key) (patterns []string, limited bool) {
	switch {
	case parent == nil || !parent.ModelLimitsEnabled:
		return k.Models, k.ModelLimitsEnabled
	case !k.ModelLimitsEnabled:
		return parent.Models, true
	}
	for _, m := range k.Models {
		if anyCoversModels(parent.Models, m) {
			patterns = append(patterns, m)
		}
	}
	for _, m := range parent.Models {
		if anyCoversModels(k.Models, m) && !slices.Contains(patterns, m) {
			patterns = append(patterns, m)
		}
	}
	return patterns, true
}

// withinParent has decide refuse what would give a limited child more than its
// parent (nil without one) had left a moment ago. An edit must not wait for
// another balance, and need not: every hold asks the parent itself. field is what
// the caller sent.
func withinParent(parent *budget.Balance, field string, decide func(budget.Balance) (budget.Change, error)) func(budget.Balance) (budget.Change, error) {
	if parent == nil || parent.Unlimited {
		return decide
	}
	return func(b budget.Balance) (budget.Change, error) {
		change, err := decide(b)
		if err != nil {
			return change, err
		}
		unlimited := b.Unlimited
		if change.Unlimited != nil {
			unlimited = *change.Unlimited
		}
		if grows := change.Delta > 0 || b.Unlimited; grows && !unlimited {
			err = checkChildQuota(field, (b.Remaining() + change.Delta).FloorUnits(), *parent)
		}
		return change, err
	}
}

// checkChildQuota judges what a limited child is to have left.
func checkChildQuota(field string, units int64, parent budget.Balance) error {
	if left := parent.Remaining().FloorUnits(); !parent.Unlimited && units > left {
		return wider(field, "%s must not give the key more than the %d quota units that its parent has left.", field, left)
	}
	return nil
}

// wider is the refusal of a child that would be allowed more than its parent.
func wider(field, format string, args ...any) error {
	return invalid(field, "wider_than_parent", format, args...)
}

// checkNarrows judges a child k, which was before, by its parent. What has not
// changed is not judged again: the parent may have been narrowed since, and that
// must not make every update fail.
func checkNarrows(before, k, parent *Key) error {
	return cmp.Or(
		checkNarrowExpiry(before, k, parent), checkNarrowModels(before, k, parent), checkNarrowAddresses(before, k, parent),
		checkNarrowNames("limits.endpoints", before.Limits.Endpoints, k.Limits.Endpoints, parent.Limits.Endpoints),
		checkNarrowNames("limits.auto_groups", before.Limits.AutoGroups, k.Limits.AutoGroups, parent.AutoGroups()),
		checkNarrowRates(before, k, parent),
	)
}

func checkNarrowExpiry(before, k, parent *Key) error {
	if k.ExpiresAt == before.ExpiresAt || parent.ExpiresAt == Never || (k.ExpiresAt != Never && k.ExpiresAt <= parent.ExpiresAt) {
		return nil
	}
	return wider("expired_time", "expired_time must not be later than the parent's, which is %d (%s).", parent.ExpiresAt, time.Unix(parent.ExpiresAt, 0).UTC().Format(time.RFC3339))
}

func checkNarrowModels(before, k, parent *Key) error {
	if !k.ModelLimitsEnabled || !parent.ModelLimitsEnabled || (before.ModelLimitsEnabled && slices.Equal(before.Models, k.Models)) {
		return nil
	}
	for _, m := range k.Models {
		if !anyCoversModels(parent.Models, m) {
			return wider("model_limits", "model_limits: %s is more than the parent's models allow.", fault.Quote(m))
		}
	}
	return nil
}

// coversModels reports whether every name that fits the pattern narrow also fits
// wide, which is so exactly when narrow, read as a name, fits wide. An asterisk of
// narrow may stand for characters that wide does not have, so nothing but an
// asterisk of wide can take it; and what takes it takes whatever it stands for.
// Likewise a list of patterns covers one only when one of them does.
func coversModels(wide, narrow string) bool { return MatchModel(wide, narrow) }

func anyCoversModels(wide []string, narrow string) bool {
	return slices.ContainsFunc(wide, func(w string) bool { return coversModels(w, narrow) })
}

func checkNarrowAddresses(before, k, parent *Key) error {
	if len(parent.AllowIPs) == 0 || slices.Equal(before.AllowIPs, k.AllowIPs) {
		return nil
	}
	for _, n := range k.AllowIPs {
		if !slices.ContainsFunc(parent.AllowIPs, func(p netip.Prefix) bool { return p.Bits() <= n.Bits() && p.Contains(n.Addr()) }) {
			return wider("allow_ips", "allow_ips: %s lies in none of the parent's networks.", FormatAddresses([]netip.Prefix{n}))
		}
	}
	return nil
}

// checkNarrowNames judges a list of names; nil ones leave it open.
func checkNarrowNames(field string, before, names, parent []string) error {
	if parent == nil || slices.Equal(before, names) {
		return nil
	}
	for _, name := range names {
		if !slices.Contains(parent, name) {
			return wider(field, "%s: %s is not among the parent's.", field, fault.Quote(name))
		}
	}
	return nil
}

// AutoGroups is the key's own order of automatic routing; nil when it has none,
// or is not routed so.
func (k *Key) AutoGroups() []string {
	if k.Group != GroupAuto {
		return nil
	}
	return k.Limits.AutoGroups
}

// rate names one of a record's rate limits.
type rate struct {
	kind    string // as in limits
	pattern string // of models; what holds for all of them has "*"
	whole   bool   // it is the key's, not one of per_model
}

// rates are the limits that are set.
func rates(l *limit.Limits) map[rate]int64 {
	set := map[rate]int64{}
	add := func(kind, pattern string, whole bool, most *int64) {
		if most != nil {
			set[rate{kind, pattern, whole}] = *most
		}
	}
	each := func(pattern string, whole bool, r limit.Rate) {
		add("rpm", pattern, whole, r.RPM)
		add("tpm", pattern, whole, r.TPM)
		add("tpm_input", pattern, whole, r.TPMInput)
		add("tpm_output", pattern, whole, r.TPMOutput)
	}
	each("*", true, limit.Rate{RPM: l.RPM, TPM: l.TPM, TPMInput: l.TPMInput, TPMOutput: l.TPMOutput})
	add("rpd", "*", true, l.RPD)
	add("concurrency", "*", true, l.Concurrency)
	for pattern, r := range l.PerModel {
		each(pattern, false, r)
	}
	return set
}

// checkNarrowRates judges each rate by those of the parent that count for all of
// the same models.
func checkNarrowRates(before, k, parent *Key) error {
	had, bounds := rates(&before.Limits.Limits), rates(&parent.Limits.Limits)
	set := rates(&k.Limits.Limits)
	for _, r := range slices.SortedFunc(maps.Keys(set), func(a, b rate) int {
		return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.pattern, b.pattern))
	}) {
		if was, ok := had[r]; ok && was == set[r] {
			continue
		}
		most := set[r]
		for b, bound := range bounds {
			if b.kind == r.kind && coversModels(b.pattern, r.pattern) {
				most = min(most, bound)
			}
		}
		switch {
		case most == set[r]:
		case r.whole:
			return wider("limits."+r.kind, "limits.%s must be at most the parent's %d.", r.kind, most)
		default:
			return wider("limits.per_model", "limits.per_model: %s of %s must be at most the parent's %d.", r.kind, fault.Quote(r.pattern), most)
		}
	}
	return nil
}
