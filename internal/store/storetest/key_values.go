package storetest

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"halley/internal/fault"
	"halley/internal/key"
	"halley/internal/store"
)

// RunKeyValues checks that a database keeps the values of keys as key.Values
// promises.
func RunKeyValues(t *testing.T, open func(t *testing.T) *store.DB) {
	for name, check := range map[string]func(*testing.T, *store.DB){
		"a rotation leaves the old value its grace":    valuesRotate,
		"rotations of one key wait for each other":     valuesAtOnce,
		"a value ends early, but not the current one":  valuesEnd,
		"uses only move forward, ended ones are wiped": valuesTidy,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(t, open(t))
		})
	}
}

func aValue(name string) key.Value {
	k := aKey(0, name)
	return key.Value{Hash: k.Hash, Sealed: k.Sealed, Last4: "wxyz", Created: k.Created}
}

func valuesRotate(t *testing.T, db *store.DB) {
	owner := keyOwner(t, db, "ada")
	k := insertKey(t, db, aKey(owner, "first"))
	now := k.Created
	if err := db.RotateKey(t.Context(), owner, k.ID, aValue("second"), now, now.Add(time.Minute), 5); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		value string
		after time.Duration
		ok    bool
		older int
	}{
		{"first", 0, true, 1}, {"first", time.Minute - time.Millisecond, true, 1}, {"first", time.Minute, false, 0},
		{"second", 0, true, 1}, {"second", time.Minute, true, 0},
	} {
		got, err := db.KeyByHash(t.Context(), aValue(row.value).Hash, now.Add(row.after))
		if row.ok != (err == nil) || (err != nil && !fault.Is(err, fault.NotFound)) {
			t.Errorf("%+v: %v", row, err)
			continue
		}
		if row.ok && (got.ID != k.ID || got.Version != 2 || string(got.Hash) != string(aValue("second").Hash) || len(got.Older) != row.older) {
			t.Errorf("%+v: %+v", row, got)
		}
	}
	if err := db.RotateKey(t.Context(), owner, k.ID, aValue("third"), now, now.Add(time.Minute), 2); !errors.Is(err, key.ErrTooManyValues) {
		t.Errorf("too many: %v", err)
	}
	if err := db.RotateKey(t.Context(), owner, k.ID, aValue("third"), now, now, 2); err != nil {
		t.Errorf("at once: %v", err)
	}
	values, total, err := db.KeyValues(t.Context(), k.ID, 2, 1)
	if err != nil || total != 3 || len(values) != 2 || values[0].Number != 2 || len(values[0].Sealed) != 0 || values[1].Number != 1 || len(values[1].Sealed) == 0 {
		t.Errorf("%d values, the older ones %+v, %v", total, values, err)
	}
	for name, err := range map[string]error{
		"somebody else's key": db.RotateKey(t.Context(), owner+1, k.ID, aValue("x"), now, now, 5),
		"no key":              db.RotateKey(t.Context(), owner, 99, aValue("x"), now, now, 5),
	} {
		if !fault.Is(err, fault.NotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := db.DeleteKeys(t.Context(), owner, []int64{k.ID}, now); err != nil {
		t.Fatal(err)
	}
	if left, err := db.ValuesInForce(t.Context(), k.ID, now); err != nil || len(left) != 0 {
		t.Errorf("of the deleted key %+v are in force, %v", left, err)
	}
}

func valuesAtOnce(t *testing.T, db *store.DB) {
	owner := keyOwner(t, db, "ada")
	k := insertKey(t, db, aKey(owner, "first"))
	now := k.Created
	const rotations = 12
	var wg sync.WaitGroup
	for i := range rotations {
		wg.Go(func() {
			if err := db.RotateKey(t.Context(), owner, k.ID, aValue(fmt.Sprint("value ", i)), now, now.Add(time.Hour), 100); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	values, err := db.ValuesInForce(t.Context(), k.ID, now)
	if err != nil || len(values) != rotations+1 {
		t.Fatalf("%d values, %v", len(values), err)
	}
	for i, v := range values {
		if v.Number != int64(rotations+1-i) || v.Ends.IsZero() != (i == 0) {
			t.Errorf("value %d has the number %d and ends at %v", i, v.Number, v.Ends)
		}
	}
}

func valuesEnd(t *testing.T, db *store.DB) {
	owner := keyOwner(t, db, "ada")
	k := insertKey(t, db, aKey(owner, "first"))
	now := k.Created
	if err := db.RotateKey(t.Context(), owner, k.ID, aValue("second"), now, now.Add(time.Hour), 5); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		number  int64
		ended   bool
		version int64
	}{{2, false, 2}, {3, false, 2}, {1, true, 3}, {1, false, 3}} {
		ended, err := db.EndValue(t.Context(), owner, k.ID, row.number, now)
		if err != nil || ended != row.ended {
			t.Errorf("%d: %v, %v", row.number, ended, err)
		}
		if got, err := db.KeyByID(t.Context(), k.ID); err != nil || got.Version != row.version {
			t.Errorf("%d: version %d, %v", row.number, got.Version, err)
		}
	}
	if _, err := db.EndValue(t.Context(), owner+1, k.ID, 1, now); !fault.Is(err, fault.NotFound) {
		t.Errorf("somebody else's: %v", err)
	}
}

func valuesTidy(t *testing.T, db *store.DB) {
	owner := keyOwner(t, db, "ada")
	k := insertKey(t, db, aKey(owner, "first"))
	now := k.Created
	if err := db.RotateKey(t.Context(), owner, k.ID, aValue("second"), now, now.Add(time.Hour), 5); err != nil {
		t.Fatal(err)
	}
	hash := string(k.Hash)
	for _, at := range []time.Duration{time.Minute, time.Second} {
		if err := db.TouchValues(t.Context(), map[string]time.Time{hash: now.Add(at), "never was": now}); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.WipeValues(t.Context(), time.Time{}, now.Add(time.Hour-time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	for _, sealed := range []bool{true, false} {
		values, _, err := db.KeyValues(t.Context(), k.ID, 1, 1)
		if err != nil || !values[0].Used.Equal(now.Add(time.Minute)) || (len(values[0].Sealed) > 0) != sealed {
			t.Fatalf("%+v, %v", values, err)
		}
		if err := db.WipeValues(t.Context(), now.Add(time.Hour-time.Millisecond), now.Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
}
