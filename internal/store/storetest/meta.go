package storetest

import (
	"fmt"
	"sync"
	"testing"

	"halley/internal/store"
)

// RunMeta checks that a database keeps names and values as seal.Meta promises.
func RunMeta(t *testing.T, open func(t *testing.T) *store.DB) {
	t.Run("the first value stands, whoever comes at once", func(t *testing.T) {
		t.Parallel()
		db := open(t)
		if _, ok, err := db.GetMeta(t.Context(), "name"); ok || err != nil {
			t.Fatalf("before: %v, %v", ok, err)
		}
		var wg sync.WaitGroup
		var mu sync.Mutex
		stood := map[string]bool{}
		for i := range 8 {
			wg.Go(func() {
				value, err := db.PutMetaIfAbsent(t.Context(), "name", fmt.Sprint("value ", i))
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				stood[value] = true
			})
		}
		wg.Wait()
		value, ok, err := db.GetMeta(t.Context(), "name")
		if !ok || err != nil || len(stood) != 1 || !stood[value] {
			t.Errorf("it reads %q, %v, %v, but writers saw %v", value, ok, err, stood)
		}
	})
}
