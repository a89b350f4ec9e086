package store_test

import (
	"testing"

	"halley/internal/store"
	"halley/internal/store/storetest"
)

func TestADatabaseTellsOfItself(t *testing.T) {
	t.Parallel()
	storetest.Engines(t, func(t *testing.T, open func(t *testing.T) *store.DB) {
		db := open(t)
		about, err := db.About(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if about.Engine != db.Engine() || about.Version == "" || about.Bytes < 4096 || about.Schema < 12 {
			t.Errorf("it is %+v", about)
		}
	})
}
