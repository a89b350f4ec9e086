package key

import (
	"context"
	"errors"
	"time"

	"halley/internal/fault"
)

// Values is the part of the Store that keeps the values a key has had. They are
// numbered from 1 in the order of their making.
type Values interface {
	// RotateKey gives one of the owner's keys a new value. The one so far is
	// accepted until ends; when that is not after now, it is wiped at once. More
	// than most values in force are ErrTooManyValues, a missing key is a
	// NotFound fault.
	RotateKey(ctx context.Context, userID, id int64, v Value, now, ends time.Time, most int64) error
	// ValuesInForce gives the values of a key that are accepted at now, the
	// current one first.
	ValuesInForce(ctx context.Context, id int64, now time.Time) ([]Value, error)
	// KeyValues gives a page of all the values a key has had, newest first, and
	// how many there are.
	KeyValues(ctx context.Context, id, limit, offset int64) ([]Value, int64, error)
	// EndValue ends an older value of one of the owner's keys early; false when
	// it is not in force at now or is the current one.
	EndValue(ctx context.Context, userID, id, number int64, now time.Time) (bool, error)
	// TouchValues notes when values were last used.
	TouchValues(ctx context.Context, used map[string]time.Time) error
	// WipeValues forgets what values were that ended after from and by to; that
	// they were stays known.
	WipeValues(ctx context.Context, from, to time.Time) error
}

// Value is one of the values a key has had.
type Value struct {
	Number  int64
	Hash    []byte
	Sealed  []byte // empty once it has ended
	Last4   string
	Created time.Time
	Used    time.Time // zero when never
	Ends    time.Time // zero for the current one
}

// InForce reports whether the value is accepted at now.
func (v Value) InForce(now time.Time) bool { return v.Ends.IsZero() || now.Before(v.Ends) }

// ErrTooManyValues is what RotateKey says of a key with too many values.
var ErrTooManyValues = errors.New("the key has too many values in force")

// The bounds of rotation.
const (
	MaxGrace  = 366 * 24 * time.Hour
	MaxValues = 20 // in force at once
)

// Rotate gives one of the owner's keys a new value, which it answers. The one so
// far is accepted until the grace has passed, 0 ending it at once; values that
// are in grace already stay so.
func (s *Service) Rotate(ctx context.Context, userID, id int64, grace time.Duration) (View, string, error) {
	if grace < 0 || grace > MaxGrace {
		return View{}, "", fault.New(fault.Invalid, "invalid_grace", "grace_seconds must be from 0 to %d.", int64(MaxGrace/time.Second)).Field("grace_seconds")
	}
	if _, err := s.find(ctx, userID, id); err != nil {
		return View{}, "", err
	}
	value := NewValue()
	hash := s.hasher.Sum(canonical(value))
	now := s.Now()
	// Even a write that failed may have been done.
	defer s.cache.forget(id)
	defer s.cache.welcome(hash)
	v := Value{Hash: hash[:], Sealed: s.box.Seal([]byte(value), hash[:]), Last4: last4(value), Created: now}
	switch err := s.Store.RotateKey(ctx, userID, id, v, now, now.Add(grace), MaxValues); {
	case errors.Is(err, ErrTooManyValues):
		return View{}, "", fault.New(fault.Invalid, "too_many_values", "A key can have at most %d values at a time; end an older one first.", MaxValues).Field("grace_seconds")
	case err != nil:
		return View{}, "", failed(err, "rotate the key")
	}
	view, err := s.Get(ctx, userID, id)
	if err != nil {
		return View{}, "", err
	}
	return view, value, nil
}

// ValueView is a value as it may be shown.
type ValueView struct {
	Value
	Masked string
}

// ListValues gives a page of the values one of the owner's keys has had, newest
// first, and how many there are.
func (s *Service) ListValues(ctx context.Context, userID, id, limit, offset int64) ([]ValueView, int64, error) {
	if _, err := s.find(ctx, userID, id); err != nil {
		return nil, 0, err
	}
	values, total, err := s.Store.KeyValues(ctx, id, limit, offset)
	if err != nil {
		return nil, 0, failed(err, "read the key's values")
	}
	views := make([]ValueView, len(values))
	for i, v := range values {
		if at := s.uses.last(v.Hash); at.After(v.Used) {
			v.Used = at
		}
		shape := Foreign
		if len(v.Sealed) > 0 {
			value, err := s.unseal(id, v.Sealed, v.Hash)
			if err != nil {
				return nil, 0, err
			}
			shape = Check(value)
		}
		views[i] = ValueView{Value: v, Masked: Mask(shape, v.Last4)}
	}
	return views, total, nil
}

// EndValue ends an older value of one of the owner's keys before its grace has
// passed. The current one is a Conflict: a key always has a value.
func (s *Service) EndValue(ctx context.Context, userID, id, number int64) error {
	if _, err := s.find(ctx, userID, id); err != nil {
		return err
	}
	defer s.cache.forget(id)
	now := s.Now()
	ended, err := s.Store.EndValue(ctx, userID, id, number, now)
	if err != nil {
		return failed(err, "end the value")
	}
	if ended {
		return nil
	}
	values, err := s.Store.ValuesInForce(ctx, id, now)
	if err != nil {
		return failed(err, "read the key's values")
	}
	for _, v := range values {
		if v.Number == number && v.Ends.IsZero() {
			return fault.New(fault.Conflict, "value_current", "This is the key's current value; rotate the key to replace it.").Field("value_id")
		}
	}
	return fault.New(fault.NotFound, "value_not_found", "The key has no value %d in force.", number).Field("value_id")
}
