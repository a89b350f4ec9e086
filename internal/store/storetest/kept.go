package storetest

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"halley/internal/kept"
	"halley/internal/store"
)

// RunKept holds a store to kept.Store.
func RunKept(t *testing.T, open func(t *testing.T) *store.DB) {
	for name, test := range map[string]func(*testing.T, *store.DB){
		"what is kept is read back by id, conversation and item":   keptReadBack,
		"it is its key's alone":                                    keptOwners,
		"an id that is there stays what it was":                    keptTwice,
		"going on lets the whole conversation last":                keptExtended,
		"the oldest make room, and never for what is larger":       keptRoom,
		"what has expired is not found and goes":                   keptExpired,
		"the responses of a key that is gone go":                   keptOfGoneKey,
		"the total of a key stays right, whoever adds and drops":   keptTotals,
		"a deletion takes the items along and gives the room back": keptDeleted,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

const plentyOfRoom = 1 << 30

func keptRow(keyID int64, id, previous, root string, size int) *kept.Row {
	return &kept.Row{
		Response: kept.Response{
			KeyID: keyID, ID: id, Previous: previous, Root: root, Channel: 3, Credential: "c1", Created: noon, Items: []string{"msg_" + id, "rs_" + id},
		},
		Content: slices.Repeat([]byte{7}, size), ExpiresAt: noon.Add(time.Hour),
	}
}

func keepRow(t *testing.T, db *store.DB, r *kept.Row, most int64) {
	t.Helper()
	if err := db.InsertKept(t.Context(), r, most); err != nil {
		t.Fatal(err)
	}
}

// keptIDs are which of the ids are there.
func keptIDs(t *testing.T, db *store.DB, keyID int64, now time.Time, ids ...string) (there []string) {
	t.Helper()
	for _, id := range ids {
		_, err := db.Kept(t.Context(), keyID, id, now)
		if err == nil {
			there = append(there, id)
		} else if !errors.Is(err, kept.ErrNotFound) {
			t.Fatal(err)
		}
	}
	return there
}

func keptReadBack(t *testing.T, db *store.DB) {
	first, second := keptRow(1, "a", "", "a", 10), keptRow(1, "b", "a", "a", 20)
	keepRow(t, db, first, plentyOfRoom)
	keepRow(t, db, second, plentyOfRoom)
	want := *second
	want.Items = nil
	for how, get := range map[string]func() (*kept.Row, error){
		"id":   func() (*kept.Row, error) { return db.Kept(t.Context(), 1, "b", noon) },
		"item": func() (*kept.Row, error) { return db.KeptWithItem(t.Context(), 1, "rs_b", noon) },
	} {
		got, err := get()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(&want, got); diff != "" {
			t.Errorf("by %s (-want +got):\n%s", how, diff)
		}
	}
	thread, err := db.KeptThread(t.Context(), 1, "a", noon)
	if err != nil || len(thread) != 2 {
		t.Errorf("the conversation: %d responses, %v", len(thread), err)
	}
	if _, err := db.KeptWithItem(t.Context(), 1, "rs_c", noon); !errors.Is(err, kept.ErrNotFound) {
		t.Errorf("an unknown item: %v", err)
	}
}

func keptOwners(t *testing.T, db *store.DB) {
	keepRow(t, db, keptRow(1, "a", "", "a", 10), plentyOfRoom)
	keepRow(t, db, keptRow(2, "a", "", "a", 11), plentyOfRoom) // the same id, another key's
	for key, size := range map[int64]int{1: 10, 2: 11} {
		got, err := db.Kept(t.Context(), key, "a", noon)
		if err != nil || len(got.Content) != size {
			t.Errorf("key %d: %v, %v", key, got, err)
		}
	}
	if ids := keptIDs(t, db, 3, noon, "a"); ids != nil {
		t.Errorf("a third key finds %v", ids)
	}
	if there, err := db.DeleteKept(t.Context(), 3, "a"); there || err != nil {
		t.Errorf("and deletes: %v, %v", there, err)
	}
	if thread, err := db.KeptThread(t.Context(), 3, "a", noon); len(thread) != 0 || err != nil {
		t.Errorf("and has the conversation %v, %v", thread, err)
	}
	if _, err := db.KeptWithItem(t.Context(), 3, "rs_a", noon); !errors.Is(err, kept.ErrNotFound) {
		t.Errorf("and the item: %v", err)
	}
}

func keptTwice(t *testing.T, db *store.DB) {
	keepRow(t, db, keptRow(1, "a", "", "a", 10), plentyOfRoom)
	keepRow(t, db, keptRow(1, "a", "a", "a", 99), plentyOfRoom)
	got, err := db.Kept(t.Context(), 1, "a", noon)
	if err != nil || len(got.Content) != 10 || got.Previous != "" {
		t.Errorf("it became %v, %v", got, err)
	}
	keepRow(t, db, keptRow(1, "b", "", "b", 10), 20) // 10 + 10 fit
	if ids := keptIDs(t, db, 1, noon, "a", "b"); len(ids) != 2 {
		t.Errorf("the second counted: only %v are left", ids)
	}
}

func keptExtended(t *testing.T, db *store.DB) {
	keepRow(t, db, keptRow(1, "a", "", "a", 10), plentyOfRoom)
	keepRow(t, db, keptRow(1, "other", "", "other", 10), plentyOfRoom)
	later := keptRow(1, "b", "a", "a", 10)
	later.ExpiresAt = noon.Add(3 * time.Hour)
	keepRow(t, db, later, plentyOfRoom)
	if ids := keptIDs(t, db, 1, noon.Add(2*time.Hour), "a", "b", "other"); !slices.Equal(ids, []string{"a", "b"}) {
		t.Errorf("after two hours there are %v", ids)
	}
}

func keptRoom(t *testing.T, db *store.DB) {
	for i := range 5 {
		r := keptRow(1, fmt.Sprint(i), "", fmt.Sprint(i), 10)
		r.Created = noon.Add(time.Duration(i) * time.Second)
		keepRow(t, db, r, 30)
	}
	if ids := keptIDs(t, db, 1, noon, "0", "1", "2", "3", "4"); !slices.Equal(ids, []string{"2", "3", "4"}) {
		t.Errorf("there are %v", ids)
	}
	big := keptRow(1, "big", "", "big", 25)
	big.Created = noon.Add(time.Minute)
	keepRow(t, db, big, 30)
	if ids := keptIDs(t, db, 1, noon, "2", "3", "4", "big"); !slices.Equal(ids, []string{"big"}) {
		t.Errorf("beside the big one there are %v", ids)
	}
	keepRow(t, db, keptRow(2, "2", "", "2", 25), 30)
	if ids := keptIDs(t, db, 1, noon, "big"); len(ids) != 1 {
		t.Error("another key's made it go")
	}
}

func keptExpired(t *testing.T, db *store.DB) {
	for i := range 7 {
		r := keptRow(int64(1+i%2), fmt.Sprint(i), "", fmt.Sprint(i), 10)
		r.ExpiresAt = noon.Add(time.Duration(i) * time.Minute)
		keepRow(t, db, r, plentyOfRoom)
	}
	at := noon.Add(4 * time.Minute) // 0 to 4 are over
	if ids := keptIDs(t, db, 1, at, "0", "2", "4", "6"); !slices.Equal(ids, []string{"6"}) {
		t.Errorf("there are %v", ids)
	}
	var dropped []int64
	for range 5 {
		n, err := db.DropKept(t.Context(), at, 2)
		if err != nil {
			t.Fatal(err)
		}
		if dropped = append(dropped, n); n == 0 {
			break
		}
	}
	if fmt.Sprint(dropped) != "[2 2 1 0]" {
		t.Errorf("dropped %v", dropped)
	}
	if ids := keptIDs(t, db, 2, noon, "1", "3", "5"); !slices.Equal(ids, []string{"5"}) { // even for who asks earlier
		t.Errorf("there are %v", ids)
	}
	keepRow(t, db, keptRow(1, "new", "", "new", 10), 20)
	if ids := keptIDs(t, db, 1, noon, "6", "new"); len(ids) != 2 {
		t.Errorf("the room of what went was not given back: %v", ids)
	}
}

func keptOfGoneKey(t *testing.T, db *store.DB) {
	owner := keyOwner(t, db, "ada")
	gone, stays := insertKey(t, db, aKey(owner, "gone")), insertKey(t, db, aKey(owner, "stays"))
	keepRow(t, db, keptRow(gone.ID, "a", "", "a", 10), plentyOfRoom)
	keepRow(t, db, keptRow(stays.ID, "a", "", "a", 10), plentyOfRoom)
	if _, err := db.DeleteKeys(t.Context(), owner, []int64{gone.ID}, noon); err != nil {
		t.Fatal(err)
	}
	if n, err := db.DropKept(t.Context(), noon, 10); n != 1 || err != nil {
		t.Errorf("dropped %d, %v", n, err)
	}
	if keptIDs(t, db, gone.ID, noon, "a") != nil || keptIDs(t, db, stays.ID, noon, "a") == nil {
		t.Error("the wrong one went")
	}
}

func keptDeleted(t *testing.T, db *store.DB) {
	keepRow(t, db, keptRow(1, "a", "", "a", 10), plentyOfRoom)
	if there, err := db.DeleteKept(t.Context(), 1, "a"); !there || err != nil {
		t.Fatalf("deleted: %v, %v", there, err)
	}
	if there, err := db.DeleteKept(t.Context(), 1, "a"); there || err != nil {
		t.Errorf("deleted again: %v, %v", there, err)
	}
	if _, err := db.KeptWithItem(t.Context(), 1, "rs_a", noon); !errors.Is(err, kept.ErrNotFound) {
		t.Errorf("its item: %v", err)
	}
	keepRow(t, db, keptRow(1, "b", "", "b", 10), 20)
	keepRow(t, db, keptRow(1, "c", "", "c", 10), 20)
	if ids := keptIDs(t, db, 1, noon, "b", "c"); len(ids) != 2 {
		t.Errorf("its room was not given back: %v", ids)
	}
}

func keptTotals(t *testing.T, db *store.DB) {
	const most = 100
	var all sync.WaitGroup
	for w := range 4 {
		all.Go(func() {
			for i := range 15 {
				id := fmt.Sprintf("%d-%d", w, i)
				r := keptRow(1, id, "", "one conversation", 10)
				r.Created = noon.Add(time.Duration(i) * time.Second)
				if err := db.InsertKept(t.Context(), r, most); err != nil {
					t.Error(err)
				}
				switch i % 3 {
				case 0:
					if _, err := db.DeleteKept(t.Context(), 1, id); err != nil {
						t.Error(err)
					}
				case 1:
					if _, err := db.DropKept(t.Context(), noon, 10); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	all.Wait()
	var ids []string
	for w := range 4 {
		for i := range 15 {
			ids = append(ids, fmt.Sprintf("%d-%d", w, i))
		}
	}
	before := keptIDs(t, db, 1, noon, ids...)
	if len(before) > most/10 {
		t.Errorf("%d responses of 10 bytes are kept, %d bytes are allowed", len(before), most)
	}
	for i := range most/10 - len(before) { // there is room for just as many
		r := keptRow(1, fmt.Sprint("last", i), "", "last", 10)
		r.Created = noon.Add(time.Hour)
		keepRow(t, db, r, most)
	}
	if after := keptIDs(t, db, 1, noon, before...); !slices.Equal(before, after) {
		t.Errorf("the total says too much: of %v only %v are left", before, after)
	}
}
