package storetest

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"halley/internal/price"
	"halley/internal/store"
)

// RunPrices checks that a database keeps prices as price.Store promises.
func RunPrices(t *testing.T, open func(t *testing.T) *store.DB) {
	for name, check := range map[string]func(*testing.T, *store.DB){
		"a price is read back as it was put":                      priceReadBack,
		"the last version of a model is in force":                 priceInForce,
		"a deleted price is none, and its versions stay":          priceDelete,
		"a deletion needs a custom price":                         priceDeleteMissing,
		"a price can be put after a deletion":                     pricePutAgain,
		"versions are listed, newest first":                       priceVersions,
		"names match exactly":                                     priceNames,
		"a version that never was is not found":                   priceVersionMissing,
		"every put at the same moment gets a version":             pricePutsAtOnce,
		"of deletions at the same moment one finds the price":     priceDeletesAtOnce,
		"puts and deletions at the same moment leave the highest": priceChangesAtOnce,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(t, open(t))
		})
	}
}

var priceTime = time.UnixMilli(1_800_000_000_123).UTC()

func putPrice(t *testing.T, db *store.DB, model, definition string) int64 {
	t.Helper()
	version, err := db.PutPrice(t.Context(), model, []byte(definition), priceTime)
	if err != nil {
		t.Fatal(err)
	}
	return version
}

func deletePrice(t *testing.T, db *store.DB, model string) bool {
	t.Helper()
	found, err := db.DeletePrice(t.Context(), model, priceTime)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// wantPrices compares what is in force, in any order.
func wantPrices(t *testing.T, db *store.DB, want ...price.Stored) {
	t.Helper()
	got, err := db.ListPrices(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	byVersion := cmpopts.SortSlices(func(a, b price.Stored) bool { return a.Version < b.Version })
	if diff := cmp.Diff(want, got, byVersion, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("in force (-want +got):\n%s", diff)
	}
}

func stored(version int64, model, definition string) price.Stored {
	return price.Stored{Version: version, Model: model, Definition: []byte(definition), Created: priceTime}
}

func priceReadBack(t *testing.T, db *store.DB) {
	const model, definition = `ft:gpt-4o/Größe 🔑 %_\'"`, `{"input":0.000001,"vendor":"söarch"}`
	now := time.Date(2027, 1, 15, 8, 0, 0, 123_999_999, time.FixedZone("", 3600))
	version, err := db.PutPrice(t.Context(), model, []byte(definition), now)
	if err != nil {
		t.Fatal(err)
	}
	if version < 1 {
		t.Errorf("version %d", version)
	}
	want := price.Stored{Version: version, Model: model, Definition: []byte(definition), Created: now.Truncate(time.Millisecond).UTC()}
	wantPrices(t, db, want)
	got, found, err := db.PriceVersion(t.Context(), version)
	if err != nil || !found {
		t.Fatalf("found %v, %v", found, err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("by version (-put +read):\n%s", diff)
	}
}

func priceInForce(t *testing.T, db *store.DB) {
	wantPrices(t, db)
	a1 := putPrice(t, db, "a", `{"input":1}`)
	b1 := putPrice(t, db, "b", `{"input":2}`)
	a2 := putPrice(t, db, "a", `{"input":3}`)
	if a1 >= b1 || b1 >= a2 {
		t.Errorf("versions do not rise: %d, %d, %d", a1, b1, a2)
	}
	wantPrices(t, db, stored(b1, "b", `{"input":2}`), stored(a2, "a", `{"input":3}`))
	same := putPrice(t, db, "b", `{"input":2}`)
	if same <= a2 {
		t.Errorf("the same definition again got version %d", same)
	}
	wantPrices(t, db, stored(a2, "a", `{"input":3}`), stored(same, "b", `{"input":2}`))
}

func priceDelete(t *testing.T, db *store.DB) {
	first := putPrice(t, db, "a", `{"input":1}`)
	second := putPrice(t, db, "a", `{"input":2}`)
	other := putPrice(t, db, "b", `{"input":3}`)
	if !deletePrice(t, db, "a") {
		t.Error("not found")
	}
	wantPrices(t, db, stored(other, "b", `{"input":3}`))
	for version, definition := range map[int64]string{first: `{"input":1}`, second: `{"input":2}`} {
		got, found, err := db.PriceVersion(t.Context(), version)
		if err != nil || !found {
			t.Errorf("version %d: found %v, %v", version, found, err)
		}
		if diff := cmp.Diff(stored(version, "a", definition), got); diff != "" {
			t.Errorf("version %d (-want +got):\n%s", version, diff)
		}
	}
	end, found, err := db.PriceVersion(t.Context(), other+1)
	if err != nil || !found || end.Model != "a" || len(end.Definition) != 0 || !end.Created.Equal(priceTime) {
		t.Errorf("the version that ended the price: %+v, %v, %v", end, found, err)
	}
}

func priceDeleteMissing(t *testing.T, db *store.DB) {
	version := putPrice(t, db, "a", `{"input":1}`)
	if deletePrice(t, db, "b") {
		t.Error("found a price that was never put")
	}
	if !deletePrice(t, db, "a") || deletePrice(t, db, "a") {
		t.Error("a price can be deleted once")
	}
	if next := putPrice(t, db, "b", `{"input":2}`); next != version+2 {
		t.Errorf("deletions of nothing took version numbers: %d after %d", next, version)
	}
}

func pricePutAgain(t *testing.T, db *store.DB) {
	first := putPrice(t, db, "a", `{"input":1}`)
	deletePrice(t, db, "a")
	again := putPrice(t, db, "a", `{"input":1}`)
	if again <= first+1 {
		t.Errorf("version %d after %d and a deletion", again, first)
	}
	wantPrices(t, db, stored(again, "a", `{"input":1}`))
	if !deletePrice(t, db, "a") {
		t.Error("not found")
	}
	wantPrices(t, db)
}

func priceNames(t *testing.T, db *store.DB) {
	version := putPrice(t, db, "Model_1", `{"input":1}`)
	for _, model := range []string{"model_1", "Model-1", "Model_", "Model%", ""} {
		if deletePrice(t, db, model) {
			t.Errorf("%q deletes it", model)
		}
	}
	wantPrices(t, db, stored(version, "Model_1", `{"input":1}`))
}

func priceVersionMissing(t *testing.T, db *store.DB) {
	putPrice(t, db, "a", `{"input":1}`)
	for _, version := range []int64{0, -1, 99, 1<<63 - 1, -1 << 63} {
		if got, found, err := db.PriceVersion(t.Context(), version); found || err != nil {
			t.Errorf("version %d: %+v, %v, %v", version, got, found, err)
		}
	}
}

func pricePutsAtOnce(t *testing.T, db *store.DB) {
	const puts = 24
	versions := make([]int64, puts)
	var wg sync.WaitGroup
	for n := range puts {
		wg.Go(func() {
			version, err := db.PutPrice(t.Context(), "a", fmt.Appendf(nil, `{"input":%d}`, n), priceTime)
			if err != nil {
				t.Error(err)
			}
			versions[n] = version
		})
	}
	wg.Wait()
	for n, version := range versions {
		got, found, err := db.PriceVersion(t.Context(), version)
		if err != nil || !found || string(got.Definition) != fmt.Sprintf(`{"input":%d}`, n) {
			t.Errorf("put %d got version %d: %+v, %v, %v", n, version, got, found, err)
		}
	}
	highest := slices.Max(versions)
	wantPrices(t, db, stored(highest, "a", fmt.Sprintf(`{"input":%d}`, slices.Index(versions, highest))))
}

func priceDeletesAtOnce(t *testing.T, db *store.DB) {
	for range 5 {
		putPrice(t, db, "a", `{"input":1}`)
		var finds atomic.Int64
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				found, err := db.DeletePrice(t.Context(), "a", priceTime)
				if err != nil {
					t.Error(err)
				}
				if found {
					finds.Add(1)
				}
			})
		}
		wg.Wait()
		if n := finds.Load(); n != 1 {
			t.Fatalf("%d deletions found the price, want 1", n)
		}
		wantPrices(t, db)
	}
}

func priceChangesAtOnce(t *testing.T, db *store.DB) {
	const each = 12
	var wg sync.WaitGroup
	for range each {
		wg.Go(func() {
			if _, err := db.PutPrice(t.Context(), "a", []byte(`{"input":1}`), priceTime); err != nil {
				t.Error(err)
			}
		})
		wg.Go(func() {
			if _, err := db.DeletePrice(t.Context(), "a", priceTime); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	var last price.Stored
	for version := range int64(2*each + 1) {
		if got, found, err := db.PriceVersion(t.Context(), version); err != nil {
			t.Fatal(err)
		} else if found {
			last = got
		}
	}
	if len(last.Definition) == 0 {
		wantPrices(t, db)
		return
	}
	wantPrices(t, db, last)
}

func priceVersions(t *testing.T, db *store.DB) {
	first := putPrice(t, db, "m", `{"input":1}`)
	second := putPrice(t, db, "n", `{"input":2}`)
	if !deletePrice(t, db, "m") {
		t.Fatal("there is nothing to delete")
	}
	for _, row := range []struct {
		model         string
		limit, offset int64
		total         int64
		want          []price.Stored
	}{
		{"m", 10, 0, 2, []price.Stored{stored(second+1, "m", ""), stored(first, "m", `{"input":1}`)}},
		{"", 2, 1, 3, []price.Stored{stored(second, "n", `{"input":2}`), stored(first, "m", `{"input":1}`)}},
		{"M", 10, 0, 0, nil},
		{"m", 10, 2, 2, nil},
	} {
		got, total, err := db.ListPriceVersions(t.Context(), row.model, row.limit, row.offset)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(row.want, got, cmpopts.EquateEmpty()); diff != "" || total != row.total {
			t.Errorf("%+v: of %d (-want +got):\n%s", row, total, diff)
		}
	}
}
