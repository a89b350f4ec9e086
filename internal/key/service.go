package key

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"halley/internal/budget"
	"halley/internal/fault"
	"halley/internal/money"
	"halley/internal/seal"
)

// Store keeps keys. Deleted ones count as missing everywhere. A key that is
// missing is a NotFound fault.
type Store interface {
	// KeyByHash gives the key of which a value that is in force at now has the
	// hash, with its older values in grace.
	KeyByHash(ctx context.Context, hash []byte, now time.Time) (*Key, error)
	KeyByID(ctx context.Context, id int64) (*Key, error)
	// Keys gives one page of what the query asks for, newest first, and how
	// many there are in all.
	Keys(ctx context.Context, q Query) ([]*Key, int64, error)
	// KeysToWatch gives the keys that the query describes.
	KeysToWatch(ctx context.Context, q WatchQuery) ([]*Key, error)
	// InsertKey, UpdateKey and GrantKey note what they grant, and why.
	//
	// InsertKey adds k with its value as version 1 and gives its id, unless the
	// owner has most keys already (ErrTooMany) or the hash was ever used
	// (ErrValueTaken). A missing owner is a NotFound fault, and so is a parent
	// that is not one of the owner's keys or is a child.
	InsertKey(ctx context.Context, k *Key, most int64, why budget.Cause) (int64, error)
	// UpdateKey replaces the record of k's id by k, whose version becomes the
	// stored one plus 1, if the stored one is still k.Version; else false. The
	// grant changes by delta; creation, last use, money and value stay.
	UpdateKey(ctx context.Context, k *Key, delta money.Nano, why budget.Cause) (bool, error)
	// GrantKey changes the grant alone; false when the key is gone.
	GrantKey(ctx context.Context, id int64, delta money.Nano, why budget.Cause) (bool, error)
	// DeleteKeys deletes those of the ids that belong to the owner, with their
	// children. Their values can never be used again, not even for another key.
	DeleteKeys(ctx context.Context, userID int64, ids []int64, now time.Time) (Deleted, error)
	Values
}

// Deleted is what a deletion has ended, by ascending id: keys that were asked
// for, and others that those had issued.
type Deleted struct{ Asked, Children []int64 }

// All are the ids of both.
func (d Deleted) All() []int64 { return slices.Concat(d.Asked, d.Children) }

// What InsertKey can refuse.
var (
	ErrTooMany    = errors.New("the owner has too many keys")
	ErrValueTaken = errors.New("the value belongs to a key that exists or existed")
)

// NotFound is the fault of a key that does not exist, or belongs to somebody
// else: that must look the same.
func NotFound(id int64) *fault.Error {
	return fault.New(fault.NotFound, "key_not_found", "There is no key with the id %d.", id).Field("id")
}

// NoOwner is the fault of a user that does not exist.
func NoOwner(userID int64) *fault.Error {
	return fault.New(fault.NotFound, "user_not_found", "There is no user with the id %d.", userID).Field("user_id")
}

// Query asks for a page of an owner's keys. Zero members do not narrow it.
type Query struct {
	UserID  int64
	Keyword string // part of the name, whatever its case
	// Status is the effective one, judged by the stored balances, which may be
	// 200 ms behind the live ones and know no holds.
	Status   Status
	Group    string
	Last4    string
	ParentID int64     // whose children
	Sort     Sort      // newest first when it is empty
	Now      time.Time // what Status is judged at
	Offset   int64
	Limit    int64
}

// Sort is an order of keys. With a minus before it, the largest comes first.
// Where two are alike, the newer comes first. Balances are the stored ones, as
// with Query.Status.
type Sort string

// The orders that there are.
const (
	SortCreated   Sort = "created"
	SortName      Sort = "name"
	SortUsed      Sort = "used"
	SortRemaining Sort = "remaining"
	SortLastUsed  Sort = "last_used"
	SortExpires   Sort = "expires"
)

// Sorts are all orders, both ways.
func Sorts() []Sort {
	var all []Sort
	for _, by := range []Sort{SortCreated, SortName, SortUsed, SortRemaining, SortLastUsed, SortExpires} {
		all = append(all, by, "-"+by)
	}
	return all
}

func checkSort(by Sort) error {
	if by != "" && !slices.Contains(Sorts(), by) {
		return fault.New(fault.Invalid, "invalid_sort", "sort must be created, name, used, remaining, last_used or expires, with - before it for the largest first.").Field("sort")
	}
	return nil
}

// Ledger is what keys need of the budget ledger.
type Ledger interface {
	// Live makes the balances that read finds in the store live ones.
	Live(ctx context.Context, kind budget.Kind, read func() ([]budget.Stored, error)) ([]budget.Balance, error)
	// Edit changes the balance together with what commit writes.
	Edit(ctx context.Context, s budget.Subject, decide func(budget.Balance) (budget.Change, error), commit func(context.Context, budget.Change) error) (budget.Balance, error)
	Forget(budget.Subject)
	// Allowances are the renewing budgets as they are now.
	Allowances(context.Context, budget.Subject) ([]budget.AllowanceState, error)
}

// Rules are the operator's choices that may change while running.
type Rules struct {
	MaxPerUser int64
	// RevealOnce shows a key's value only in the answer that made it.
	RevealOnce bool
}

// Deps is what a Service is made of.
type Deps struct {
	Store  Store
	Ledger Ledger
	Master *seal.Master
	// OwnerGroup is the own group of a user; a NotFound fault without one.
	OwnerGroup func(ctx context.Context, userID int64) (string, error)
	// OwnerZone is the name of the user's time zone, "" for none.
	OwnerZone func(ctx context.Context, userID int64) (string, error)
	// GroupUsable reports whether the group exists and an owner in ownerGroup
	// may use it.
	GroupUsable func(name string, ownerID int64, ownerGroup string) bool
	Rules       func() Rules
	Now         func() time.Time
}

// Service owns the keys: it authenticates values, and reads and changes
// records. It is safe for concurrent use.
type Service struct {
	Deps
	box    *seal.Box
	hasher *seal.Hasher
	cache  *cache
	uses   uses
}

// NewService makes a service with an empty cache.
func NewService(deps Deps) *Service {
	return &Service{
		Deps:   deps,
		box:    deps.Master.Box("key value"),
		hasher: deps.Master.Hasher("key look-up"),
		cache:  newCache(),
		uses:   newUses(),
	}
}

// View is a record as it is now: the balance is the live one where there is
// one.
type View struct {
	Key     *Key
	Balance budget.Balance
	// Parent is the balance of the key's parent, nil without one.
	Parent *budget.Balance
	Status Status // effective, the parent's included
	// Budgets are the live states of Key.Limits.Budgets, in their order; nil
	// when they could not be told.
	Budgets []budget.AllowanceState
}

// Accessed is the last use, live where known.
func (v View) Accessed() time.Time {
	if v.Balance.LastUsed.After(v.Key.Accessed) {
		return v.Balance.LastUsed
	}
	return v.Key.Accessed
}

// look reads a key together with its live balance.
func (s *Service) look(ctx context.Context, find func() (*Key, error)) (View, error) {
	views, err := s.views(ctx, func() ([]*Key, error) {
		k, err := find()
		return []*Key{k}, err
	})
	if err != nil {
		return View{}, err
	}
	return views[0], nil
}

// views reads keys together with their and their parents' live balances.
func (s *Service) views(ctx context.Context, find func() ([]*Key, error)) ([]View, error) {
	var keys []*Key
	var parents map[int64]int // where each one's balance is
	balances, err := s.Ledger.Live(ctx, budget.Key, func() (stored []budget.Stored, err error) {
		if keys, err = find(); err != nil {
			return nil, err
		}
		for _, k := range keys {
			stored = append(stored, budget.Stored{ID: k.ID, Balance: budget.Balance{Granted: k.Granted, Used: k.Used, Unlimited: k.Unlimited}})
		}
		parents = map[int64]int{}
		for _, k := range keys {
			if k.Parent == nil {
				continue
			}
			if _, known := parents[*k.Limits.ParentID]; !known {
				parents[*k.Limits.ParentID] = len(stored)
				stored = append(stored, k.Parent.stored(*k.Limits.ParentID))
			}
		}
		return stored, nil
	})
	if err != nil {
		return nil, err
	}
	views := make([]View, len(keys))
	for i, k := range keys {
		var parent *budget.Balance
		if k.Parent != nil {
			parent = &balances[parents[*k.Limits.ParentID]]
		}
		views[i] = s.viewOf(k, balances[i], parent)
	}
	return views, nil
}

// viewOf is a key with its balance and its parent's, nil without one.
func (s *Service) viewOf(k *Key, balance budget.Balance, parent *budget.Balance) View {
	v := View{Key: k, Balance: balance, Parent: parent, Status: k.Effective(balance, s.Now())}
	if parent != nil {
		v.Status = stricter(v.Status, k.Parent.effective(*parent, s.Now()))
	}
	return v
}

func subject(id int64) budget.Subject { return budget.Subject{Kind: budget.Key, ID: id} }

// Get gives one of the owner's keys.
func (s *Service) Get(ctx context.Context, userID, id int64) (View, error) {
	v, err := s.look(ctx, func() (*Key, error) { return s.find(ctx, userID, id) })
	if err != nil {
		return View{}, err
	}
	return s.withBudgets(ctx, v)
}

// ByID gives the record of a key, whoever owns it.
func (s *Service) ByID(ctx context.Context, id int64) (*Key, error) {
	k, err := s.Store.KeyByID(ctx, id)
	if err != nil {
		return nil, failed(err, "read the key")
	}
	return k, nil
}

// ByValue gives the record of the key that a value belongs to, and does not count
// as a use of it. A value that is no key's is a NotFound fault.
func (s *Service) ByValue(ctx context.Context, value string) (*Key, error) {
	if value == "" || len(value) > MaxValue {
		return nil, noSuchValue()
	}
	hash := s.hasher.Sum(canonical(value))
	k, err := s.Store.KeyByHash(ctx, hash[:], s.Now())
	switch {
	case fault.Is(err, fault.NotFound):
		return nil, noSuchValue()
	case err != nil:
		return nil, failed(err, "look up the key")
	}
	return k, nil
}

func noSuchValue() error {
	return fault.New(fault.NotFound, "key_not_found", "There is no key with this value.").Field("key")
}

// withBudgets adds what is spent of the budgets, which are loaded if need be.
func (s *Service) withBudgets(ctx context.Context, v View) (View, error) {
	if len(v.Key.Limits.Budgets) == 0 {
		return v, nil
	}
	states, err := s.Ledger.Allowances(ctx, subject(v.Key.ID))
	switch {
	case fault.Is(err, fault.NotFound): // deleted meanwhile
	case err != nil:
		return View{}, failed(err, "read the budgets")
	case len(states) == len(v.Key.Limits.Budgets):
		v.Budgets = states
	}
	return v, nil
}

func (s *Service) find(ctx context.Context, userID, id int64) (*Key, error) {
	k, err := s.ByID(ctx, id)
	if err != nil {
		return nil, err
	}
	if k.UserID != userID {
		return nil, NotFound(id)
	}
	return k, nil
}

// failed passes faults on and makes anything else a store that is away.
func failed(err error, doing string) error {
	if _, ok := errors.AsType[*fault.Error](err); ok || errors.Is(err, context.Canceled) {
		return err
	}
	return fault.Wrap(fmt.Errorf("%s: %w", doing, err), fault.Unavailable, "store_unavailable", "The database cannot be reached right now; try again shortly.").Retry(retryAfter)
}

// retryAfter is how long to wait for a store that is away.
const retryAfter = 2 * time.Second

// List gives a page of an owner's keys, newest first, and how many match.
func (s *Service) List(ctx context.Context, q Query) ([]View, int64, error) {
	if q.Status != 0 {
		if err := checkStatus(q.Status); err != nil {
			return nil, 0, err
		}
	}
	if err := checkSort(q.Sort); err != nil {
		return nil, 0, err
	}
	if !searchable(q.Keyword) || !searchable(q.Group) {
		return nil, 0, nil
	}
	q.Keyword, q.Now = Fold(strings.TrimSpace(q.Keyword)), s.Now()
	var total int64
	views, err := s.views(ctx, func() (keys []*Key, err error) {
		keys, total, err = s.Store.Keys(ctx, q)
		return keys, err
	})
	if err != nil {
		return nil, 0, failed(err, "list the keys")
	}
	for i, v := range views {
		if views[i], err = s.withBudgets(ctx, v); err != nil {
			return nil, 0, err
		}
	}
	return views, total, nil
}

// searchable reports whether any stored text could contain s; a database may
// refuse the others.
func searchable(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }

// Search is List narrowed to a value: the whole of it, or its last four or more
// characters. Those who may not see values (reveal false) are compared by the
// last four alone: a longer tail that answers yes or no would let them guess a
// value one character at a time.
func (s *Service) Search(ctx context.Context, q Query, token string, reveal bool) ([]View, int64, error) {
	if _, tail, masked := strings.Cut(token, "…"); masked {
		token = tail // pasted from a masked display
	}
	token = strings.TrimSpace(token)
	switch {
	case token == "":
		return s.List(ctx, q)
	case len(token) < 4:
		return nil, 0, fault.New(fault.Invalid, "invalid_token", "token must be a key's value or at least its last 4 characters.").Field("token")
	case len(token) > MaxValue || !searchable(token):
		return nil, 0, nil
	}
	matches, err := s.candidates(ctx, q, token, reveal)
	if err != nil {
		return nil, 0, err
	}
	total := int64(len(matches))
	from := min(q.Offset, total)
	return matches[from:min(total, from+q.Limit)], total, nil
}

// mostCandidates bounds how many keys with the same last four are looked at.
const mostCandidates = 1000

func (s *Service) candidates(ctx context.Context, q Query, token string, reveal bool) ([]View, error) {
	hash := s.hasher.Sum(canonical(token))
	reveal = reveal && s.Reveals()
	tail := ""
	if len(token) > 4 && reveal {
		tail = token
	}
	narrowed := q
	narrowed.Last4, narrowed.Offset, narrowed.Limit = last4(token), 0, mostCandidates
	views, _, err := s.List(ctx, narrowed)
	if err != nil {
		return nil, err
	}
	whole := Check(token) != Foreign
	var found []View
	for _, v := range views {
		values, err := s.Store.ValuesInForce(ctx, v.Key.ID, s.Now())
		if err != nil {
			return nil, failed(err, "read the key's values")
		}
		switch i := slices.IndexFunc(values, func(o Value) bool { return string(o.Hash) == string(hash[:]) }); {
		case i >= 0: // no other key has it
			return []View{v}, nil
		case !whole && (tail == "" || slices.ContainsFunc(values, func(o Value) bool { return s.endsWith(v.Key.ID, o, tail) })):
			found = append(found, v)
		}
	}
	return found, nil
}

func (s *Service) endsWith(id int64, v Value, tail string) bool {
	value, err := s.unseal(id, v.Sealed, v.Hash)
	return err == nil && strings.HasSuffix(value, tail)
}

// Create makes a key and gives its value, which is the only time a service
// under RevealOnce does.
func (s *Service) Create(ctx context.Context, userID int64, p Patch) (View, string, error) {
	value := NewValue()
	v, err := s.create(ctx, userID, nil, p, value, budget.Created)
	return v, value, err
}

// Import makes a key with a value from elsewhere: 8 to 256 visible ASCII
// characters.
func (s *Service) Import(ctx context.Context, userID int64, p Patch, value string) (View, error) {
	visible := !strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r > '~' })
	if len(canonical(value)) < 8 || len(value) > MaxValue || !visible {
		return View{}, fault.New(fault.Invalid, "invalid_value", "The value must be 8 to %d visible ASCII characters without blanks.", MaxValue).Field("value")
	}
	if Check(value) == BadChecksum {
		return View{}, fault.New(fault.Invalid, "invalid_value", "The value looks like a Halley key, but its checksum is wrong: was it copied whole?").Field("value")
	}
	return s.create(ctx, userID, nil, p, value, budget.Imported)
}

// create makes a key that parent issues, nil for none.
func (s *Service) create(ctx context.Context, userID int64, parent *View, p Patch, value string, why budget.Reason) (View, error) {
	now := s.Now()
	start := Key{UserID: userID, Status: Enabled, Created: now, Accessed: now, ExpiresAt: Never, Version: 1, Last4: last4(value)}
	var issuer *Key
	var above *budget.Balance
	if parent != nil {
		issuer, above = parent.Key, &parent.Balance
		start = startChild(start, issuer)
	}
	j, err := s.judge(ctx, userID, issuer)
	if err != nil {
		return View{}, err
	}
	j.creating = true
	k, err := p.apply(start, j)
	if err != nil {
		return View{}, err
	}
	units := deref(p.RemainQuota)
	if above != nil && !k.Unlimited {
		if err := checkChildQuota("remain_quota", units, *above); err != nil {
			return View{}, err
		}
	}
	hash := s.hasher.Sum(canonical(value))
	k.Granted = money.FromUnits(units)
	k.Hash = hash[:]
	k.Sealed = s.box.Seal([]byte(value), k.Hash)
	most := s.Rules().MaxPerUser
	// An unknown outcome may still be a key.
	defer s.cache.welcome(hash)
	k.ID, err = s.Store.InsertKey(ctx, &k, most, p.Cause.For(why, now))
	switch {
	case errors.Is(err, ErrTooMany):
		return View{}, fault.New(fault.Invalid, "too_many_keys", "An account can have at most %d keys; delete some first.", most)
	case errors.Is(err, ErrValueTaken):
		return View{}, fault.New(fault.Conflict, "value_taken", "This value belongs to a key that exists or was deleted.").Field("value")
	case err != nil:
		return View{}, failed(err, "add the key")
	}
	return s.withBudgets(ctx, s.viewOf(&k, budget.Balance{Granted: k.Granted, Unlimited: k.Unlimited}, above))
}

func (s *Service) judge(ctx context.Context, userID int64, parent *Key) (judge, error) {
	own, err := s.OwnerGroup(ctx, userID)
	if err != nil {
		return judge{}, failed(err, "read the owner")
	}
	zone, err := s.OwnerZone(ctx, userID)
	if err != nil {
		return judge{}, failed(err, "read the owner")
	}
	return judge{now: s.Now(), zone: zone, usable: func(name string) bool { return s.GroupUsable(name, userID, own) }, parent: parent}, nil
}

// Update changes one of the owner's keys. With ifVersion it does so only when
// the record still is that version; a record that moved on is a
// PreconditionFailed fault. A status that is what the key reads already is no
// change, so that a record can be sent back as it was read; SetStatus means it.
func (s *Service) Update(ctx context.Context, userID, id int64, p Patch, ifVersion *int64) (View, error) {
	return s.update(ctx, userID, id, ifVersion, func(v View) Patch {
		p := p
		if p.Status != nil && *p.Status == v.Status {
			p.Status = nil
		}
		return p
	})
}

// SetStatus changes the stored status alone.
func (s *Service) SetStatus(ctx context.Context, userID, id int64, status Status, ifVersion *int64) (View, error) {
	return s.update(ctx, userID, id, ifVersion, func(View) Patch { return Patch{Status: &status} })
}

// errMoved means that the record changed between reading and writing.
var errMoved = errors.New("the record moved on")

func (s *Service) update(ctx context.Context, userID, id int64, ifVersion *int64, patch func(View) Patch) (View, error) {
	// Even a write that failed may have been done.
	defer s.cache.forget(id)
	for {
		v, err := s.look(ctx, func() (*Key, error) { return s.find(ctx, userID, id) })
		if err != nil {
			return View{}, err
		}
		k := v.Key
		if ifVersion != nil && *ifVersion != k.Version {
			return View{}, fault.New(fault.PreconditionFailed, "version_conflict", "The key is at version %d by now.", k.Version)
		}
		v, err = s.updateFrom(ctx, v, patch(v))
		if !errors.Is(err, errMoved) {
			return v, err
		}
		// Somebody else won this round: look again. The context bounds it.
	}
}

func (s *Service) updateFrom(ctx context.Context, v View, p Patch) (View, error) {
	k := v.Key
	parent, err := s.parentOf(ctx, k)
	if err != nil {
		return View{}, err
	}
	j, err := s.judge(ctx, k.UserID, parent)
	if err != nil {
		return View{}, err
	}
	next, err := p.apply(*k, j)
	if err != nil {
		return View{}, err
	}
	write := func(ctx context.Context, change budget.Change) error {
		if change.Delta == 0 && same(k, &next) {
			return nil
		}
		written, err := s.Store.UpdateKey(ctx, &next, change.Delta, p.Cause.For(budget.Edited, s.Now()))
		if err == nil && !written {
			err = errMoved
		}
		if err == nil {
			next.Version++
			next.Granted += change.Delta
		}
		return err
	}
	rebudgeted := !slices.Equal(next.Limits.Budgets, k.Limits.Budgets)
	if p.RemainQuota == nil && next.Unlimited == k.Unlimited && !rebudgeted {
		if err := write(ctx, budget.Change{}); err != nil {
			return View{}, moved(err)
		}
		return s.withBudgets(ctx, s.viewOf(&next, v.Balance, v.Parent))
	}
	decide := func(b budget.Balance) (budget.Change, error) {
		var change budget.Change
		// What the caller read and sends back must not cost the fraction of a
		// unit that it could not see.
		if p.RemainQuota != nil && *p.RemainQuota != b.Remaining().FloorUnits() {
			var err error
			if change, err = budget.SetRemaining(*p.RemainQuota)(b); err != nil {
				return change, err
			}
		}
		if next.Unlimited != b.Unlimited {
			change.Unlimited = &next.Unlimited
		}
		if rebudgeted {
			change.Allowances = new(budget.Allowances(next.Limits.Budgets))
		}
		return change, nil
	}
	balance, err := s.Ledger.Edit(ctx, subject(k.ID), withinParent(v.Parent, "remain_quota", decide), write)
	if err != nil {
		return View{}, moved(err)
	}
	return s.withBudgets(ctx, s.viewOf(&next, balance, v.Parent))
}

// moved passes errMoved on to the loop and judges everything else.
func moved(err error) error {
	if errors.Is(err, errMoved) {
		return err
	}
	return failed(err, "change the key")
}

// AddQuota changes the unheld remainder by units, which may be negative.
func (s *Service) AddQuota(ctx context.Context, userID, id, units int64, by budget.Cause) (View, error) {
	return s.editQuota(ctx, userID, id, "add", budget.AddRemaining(units), by)
}

// SetQuota makes the unheld remainder units.
func (s *Service) SetQuota(ctx context.Context, userID, id, units int64, by budget.Cause) (View, error) {
	return s.editQuota(ctx, userID, id, "set", budget.SetRemaining(units), by)
}

func (s *Service) editQuota(ctx context.Context, userID, id int64, field string, decide func(budget.Balance) (budget.Change, error), by budget.Cause) (View, error) {
	v, err := s.look(ctx, func() (*Key, error) { return s.find(ctx, userID, id) })
	if err != nil {
		return View{}, err
	}
	defer s.cache.forget(id)
	balance, err := s.Ledger.Edit(ctx, subject(id), withinParent(v.Parent, field, decide), func(ctx context.Context, change budget.Change) error {
		if change.Delta == 0 {
			return nil
		}
		granted, err := s.Store.GrantKey(ctx, id, change.Delta, by.For(budget.Quota, s.Now()))
		if err == nil && !granted {
			err = NotFound(id)
		}
		return err
	})
	if err != nil {
		return View{}, failed(err, "change the quota")
	}
	k, err := s.find(ctx, userID, id)
	if err != nil {
		return View{}, err
	}
	return s.withBudgets(ctx, s.viewOf(k, balance, v.Parent))
}

// Delete ends one of the owner's keys and its value for good, and its children
// with it.
func (s *Service) Delete(ctx context.Context, userID, id int64) (Deleted, error) {
	deleted, err := s.DeleteBatch(ctx, userID, []int64{id})
	if err == nil && len(deleted.Asked) == 0 {
		err = NotFound(id)
	}
	return deleted, err
}

// MaxBatch is how many keys one DeleteBatch takes.
const MaxBatch = 100

// DeleteBatch ends several and gives those it did; ids that are missing or
// somebody else's are not among them.
func (s *Service) DeleteBatch(ctx context.Context, userID int64, ids []int64) (Deleted, error) {
	if len(ids) == 0 || len(ids) > MaxBatch {
		return Deleted{}, fault.New(fault.Invalid, "invalid_ids", "ids must list 1 to %d keys, it lists %d.", MaxBatch, len(ids)).Field("ids")
	}
	deleted, err := s.Store.DeleteKeys(ctx, userID, ids, s.Now())
	if err != nil {
		s.cache.forget(ids...) // it may have been done; children ask for these
		return Deleted{}, failed(err, "delete the keys")
	}
	s.cache.forget(deleted.All()...)
	for _, id := range deleted.All() {
		s.Ledger.Forget(subject(id))
	}
	return deleted, nil
}

// Value unseals a key's value.
func (s *Service) Value(k *Key) (string, error) { return s.unseal(k.ID, k.Sealed, k.Hash) }

func (s *Service) unseal(id int64, sealed, hash []byte) (string, error) {
	value, err := s.box.Open(sealed, hash)
	if err != nil {
		return "", fault.Wrap(fmt.Errorf("key %d: %w", id, err), fault.Internal, "internal_error", "The key's value cannot be read.")
	}
	return string(value), nil
}

// Shown is the value as a reader may see it: in full when the reader may see
// values at all and the operator's rules let values be read again, else masked.
func (s *Service) Shown(k *Key, reveal bool) (string, error) {
	value, err := s.Value(k)
	if err != nil {
		return "", err
	}
	if reveal && s.Reveals() {
		return value, nil
	}
	return Mask(Check(value), k.Last4), nil
}

// Reveals reports whether values can be read again after they were made.
func (s *Service) Reveals() bool { return !s.Rules().RevealOnce }

// Forget drops what is remembered of keys that others changed.
func (s *Service) Forget(ids ...int64) { s.cache.forget(ids...) }

// Welcome drops the memory that a value with the hash was unknown, for values
// that others made.
func (s *Service) Welcome(hash seal.Hash) { s.cache.welcome(hash) }

// ForgetAll drops everything remembered, for when changes may have been missed.
func (s *Service) ForgetAll() { s.cache.clear() }
