package store_test

import (
	"testing"
	"time"

	"halley/internal/store"
	"halley/internal/store/storetest"
)

func TestPrices(t *testing.T) {
	t.Parallel()
	storetest.Engines(t, storetest.RunPrices)
}

// TestAPriceDoesNotWaitForAnother holds one put open while another goes
// through: the later number counts, though the earlier is committed last. Only
// PostgreSQL has two writers.
func TestAPriceDoesNotWaitForAnother(t *testing.T) {
	t.Parallel()
	storetest.Engines(t, func(t *testing.T, open func(t *testing.T) *store.DB) {
		db := open(t)
		if db.Engine() != store.Postgres {
			return
		}
		slow, err := db.Writer().BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = slow.Rollback() }()
		var first int64
		if err := slow.QueryRowContext(t.Context(), `INSERT INTO price_versions (model, definition, created_ms) VALUES ($1, $2, $3) RETURNING id`, "m", `{"input":1}`, 1).Scan(&first); err != nil {
			t.Fatal(err)
		}
		second, err := db.PutPrice(t.Context(), "m", []byte(`{"input":2}`), time.UnixMilli(2))
		if err != nil {
			t.Fatal(err)
		}
		if err := slow.Commit(); err != nil {
			t.Fatal(err)
		}
		prices, err := db.ListPrices(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if first >= second || len(prices) != 1 || prices[0].Version != second {
			t.Errorf("put versions %d and %d, in force %+v", first, second, prices)
		}
		if _, found, err := db.PriceVersion(t.Context(), first); !found || err != nil {
			t.Errorf("the slow one is lost: %v, %v", found, err)
		}
	})
}
