package price

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"halley/internal/fault"
	"halley/internal/jsonx"
	"halley/internal/money"
	"halley/internal/usage"
)

// memory is a Store in memory, with the versions of every price in order.
type memory struct {
	mu       sync.Mutex
	versions []Stored
	err      error
	afterPut func()
	// deletable, when set, is asked first, as a database refuses some texts.
	deletable func(model string) error
}

func (m *memory) ListPrices(ctx context.Context) ([]Stored, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	latest := map[string]Stored{}
	for _, s := range m.versions {
		latest[s.Model] = s
	}
	var list []Stored
	for _, s := range latest {
		if len(s.Definition) > 0 {
			list = append(list, s)
		}
	}
	return list, m.err
}

func (m *memory) PutPrice(_ context.Context, model string, definition []byte, now time.Time) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := int64(len(m.versions) + 1)
	m.versions = append(m.versions, Stored{n, model, slices.Clone(definition), now})
	if m.afterPut != nil {
		m.afterPut()
	}
	return n, m.err
}

func (m *memory) DeletePrice(ctx context.Context, model string, now time.Time) (bool, error) {
	if m.deletable != nil {
		if err := m.deletable(model); err != nil {
			return false, errors.New("the database does not take this text")
		}
	}
	list, err := m.ListPrices(ctx)
	if err != nil || !slices.ContainsFunc(list, func(s Stored) bool { return s.Model == model }) {
		return false, err
	}
	_, err = m.PutPrice(ctx, model, nil, now)
	return true, err
}

func (m *memory) PriceVersion(_ context.Context, n int64) (Stored, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n < 1 || n > int64(len(m.versions)) {
		return Stored{}, false, m.err
	}
	return m.versions[n-1], true, m.err
}

func (m *memory) ListPriceVersions(_ context.Context, model string, limit, offset int64) ([]Stored, int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []Stored
	for _, s := range slices.Backward(m.versions) {
		if model == "" || s.Model == model {
			all = append(all, s)
		}
	}
	total := int64(len(all))
	return all[min(offset, total):min(offset+limit, total)], total, m.err
}

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

const smallCatalog = `{"date":"2026-07-24","models":[
	{"model":"gpt-4o","vendor":"openai","mode":"chat","input":2.5,"output":10,"cache_read":1.25,"max_input_tokens":128000,"max_output_tokens":16384,"created":1715558400,"features":["vision"]},
	{"model":"vectors-1","vendor":"openai","mode":"embedding","input":0.02}]}`

type bundle struct {
	service *Service
	store   *memory
	changes int
}

func setup(t *testing.T) *bundle {
	t.Helper()
	catalog, err := ParseCatalog([]byte(smallCatalog))
	if err != nil {
		t.Fatal(err)
	}
	b := &bundle{store: &memory{}}
	b.service, err = NewService(catalog, b.store, func() time.Time { return noon }, func(context.Context) error {
		b.changes++
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bundle) put(t *testing.T, model, body string) *Price {
	t.Helper()
	p, err := b.service.Put(t.Context(), model, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (b *bundle) version(model string) string {
	if p, ok := b.service.Book().Lookup(model); ok {
		return p.Version
	}
	return "none"
}

func TestACustomPriceReplacesTheCatalogsAndDeletingItBringsThatBack(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if got := b.version("gpt-4o"); got != "catalog-2026-07-24" {
		t.Fatalf("at first %s", got)
	}
	for i, want := range []string{"custom-1", "custom-2"} {
		if got := b.put(t, "gpt-4o", `{"input":1,"output":2}`).Version; got != want || b.version("gpt-4o") != want {
			t.Fatalf("put %d answers %s, in force %s, want %s", i, got, b.version("gpt-4o"), want)
		}
	}
	if err := b.service.Delete(t.Context(), "gpt-4o"); err != nil {
		t.Fatal(err)
	}
	if got := b.version("gpt-4o"); got != "catalog-2026-07-24" {
		t.Errorf("after the delete %s", got)
	}
	if got := b.put(t, "gpt-4o", `{"input":1,"output":2}`).Version; got != "custom-4" {
		t.Errorf("a version number came back: %s", got)
	}
	if b.changes != 4 {
		t.Errorf("%d changes announced, want 4", b.changes)
	}
}

func TestAModelOutsideTheCatalogHasAPriceOnlyWhileACustomOneLasts(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if got := b.version("mine"); got != "none" {
		t.Fatalf("at first %s", got)
	}
	free := b.put(t, "mine", `{"input":0,"output":0}`)
	if cost := free.Cost(usage.Tokens{Prompt: 1000, Completion: 1000}, "", money.One); cost != 0 {
		t.Errorf("free costs %d", cost)
	}
	if b.version("mine") != "custom-1" || b.version("Mine") != "none" || b.version("min") != "none" {
		t.Error("names must match exactly")
	}
	if err := b.service.Delete(t.Context(), "mine"); err != nil {
		t.Fatal(err)
	}
	if got := b.version("mine"); got != "none" {
		t.Errorf("after the delete %s", got)
	}
}

func TestDeletingWhatIsNotThereIsNotFound(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.store.deletable = CheckModel
	for _, model := range []string{"gpt-4o", "unknown", "", " ", "\x00", "\xff", strings.Repeat("m", 201)} {
		if err := b.service.Delete(t.Context(), model); !fault.Is(err, fault.NotFound) || fault.Code(err) != "price_not_found" {
			t.Errorf("%q: %v", model, err)
		}
	}
	if b.changes != 0 {
		t.Error("nothing changed, yet a change was announced")
	}
}

func TestARefusedPriceChangesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, c := range []struct {
		model, body string
		kind        fault.Kind
	}{
		{"gpt-4o", `{"input":-1,"output":1}`, fault.Invalid},
		{"gpt-4o", `{"input":1}`, fault.Invalid},
		{"gpt-4o", `{"input":null}`, fault.Malformed},
		{"gpt-4o", `nonsense`, fault.Malformed},
		{" gpt", `{"input":1,"output":1}`, fault.Invalid},
	} {
		if _, err := b.service.Put(t.Context(), c.model, []byte(c.body)); !fault.Is(err, c.kind) {
			t.Errorf("%q %s: %v", c.model, c.body, err)
		}
	}
	if len(b.store.versions) != 0 || b.changes != 0 || b.version("gpt-4o") != "catalog-2026-07-24" {
		t.Error("a refused price left a trace")
	}
}

func TestEmbeddingsNeedNoOutputPrice(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for model, body := range map[string]string{
		"vectors-1":              `{"input":1}`,                    // an embedding in the catalog
		"text-embedding-3-small": `{"input":0.02}`,                 // one by its name
		"house-vectors":          `{"input":1,"mode":"embedding"}`, // one by its word
	} {
		p := b.put(t, model, body)
		if p.Mode != ModeEmbedding || p.Bound(1_000_000, 1_000_000, "", money.One) != p.Bound(1_000_000, 0, "", money.One) {
			t.Errorf("%s is %+v", model, p.View())
		}
	}
}

func TestWhatADefinitionLeavesOpenComesFromTheCatalog(t *testing.T) {
	t.Parallel()
	b := setup(t)
	want := View{
		Model: "gpt-4o", Version: "custom-1", Source: Custom, UpdatedTime: noon.Unix(),
		DefinitionView: DefinitionView{
			Vendor: "openai", Mode: "chat", Input: "1", Output: "2.5",
			MaxInputTokens: 128000, MaxOutputTokens: 16384, Created: 1715558400, Features: []string{"vision"},
		},
	}
	if diff := cmp.Diff(want, b.put(t, "gpt-4o", `{"input":1.0,"output":"2.500"}`).View()); diff != "" {
		t.Error(diff)
	}
	if p := b.put(t, "gpt-4o", `{"input":1,"output":2,"max_output_tokens":100}`); p.MaxOutputTokens != 100 {
		t.Errorf("a custom output cap of 100 became %d", p.MaxOutputTokens)
	}
	want = View{
		Model: "mine", Version: "custom-3", Source: Custom, UpdatedTime: noon.Unix(),
		DefinitionView: DefinitionView{Vendor: "custom", Mode: "chat", PerRequest: "0.04", Created: noon.Unix()},
	}
	if diff := cmp.Diff(want, b.put(t, "mine", `{"per_request":0.04}`).View()); diff != "" {
		t.Error(diff)
	}
}

func TestWhatIsReadCanBePutBack(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first := b.put(t, "mine", `{"input":1,"output":2,"per_request":0.000000001,"cache_read":0,
		"above_prompt_tokens":[{"over":10,"input":3}],"service_tiers":{"flex":{"output":0.5}},"features":["vision"]}`).View()
	text, err := jsonx.Marshal(first)
	if err != nil {
		t.Fatal(err)
	}
	again := b.put(t, "mine", string(text)).View()
	again.Version = first.Version
	if diff := cmp.Diff(first, again); diff != "" {
		t.Error(diff)
	}
}

func TestChargesCanBeTracedToThePriceTheyWereMadeAt(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.put(t, "gpt-4o", `{"input":1,"output":1}`)
	b.put(t, "gpt-4o", `{"input":2,"output":2}`)
	b.put(t, "mine", `{"input":3,"output":3}`)
	if err := b.service.Delete(t.Context(), "gpt-4o"); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		model, version string
		want           Decimal
	}{
		{"gpt-4o", "catalog-2026-07-24", "2.5"},
		{"gpt-4o", "custom-1", "1"},
		{"gpt-4o", "custom-2", "2"},
		{"mine", "custom-3", "3"},
		{"mine", "catalog-2026-07-24", ""},
		{"mine", "custom-1", ""},
		{"gpt-4o", "custom-4", ""}, // the delete
		{"gpt-4o", "custom-99", ""},
		{"gpt-4o", "custom--1", ""},
		{"gpt-4o", "custom-99999999999999999999", ""},
		{"gpt-4o", "catalog-2020-01-01", ""},
		{"gpt-4o", "", ""},
	} {
		p, err := b.service.Trace(t.Context(), c.model, c.version)
		switch {
		case c.want == "" && !fault.Is(err, fault.NotFound):
			t.Errorf("%s at %s: %v, %v", c.model, c.version, p, err)
		case c.want != "" && (err != nil || p.View().Input != c.want || p.Version != c.version):
			t.Errorf("%s at %s: %+v, %v", c.model, c.version, p, err)
		}
	}
}

func TestAStoreThatFailsLeavesTheBookAlone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.put(t, "mine", `{"input":1,"output":1}`)
	b.store.err = fault.New(fault.Unavailable, "store_unavailable", "The database is away.")
	calls := []error{b.service.Reload(t.Context()), b.service.Delete(t.Context(), "mine")}
	_, err := b.service.Put(t.Context(), "mine", []byte(`{"input":2,"output":2}`))
	for i, err := range append(calls, err) {
		if !fault.Is(err, fault.Unavailable) {
			t.Errorf("call %d: %v", i, err)
		}
	}
	if got := b.version("mine"); got != "custom-1" {
		t.Errorf("the book says %s", got)
	}
}

func TestAnUnreadableStoredPriceIsAnErrorThatNamesIt(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.store.versions = []Stored{{1, "mine", []byte(`{"input":"?"}`), noon}}
	err := b.service.Reload(t.Context())
	if err == nil || b.version("mine") != "none" {
		t.Fatalf("got %v", err)
	}
	if want := "read version 1 of the price of mine: input must be a decimal number."; err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
}

func TestAFailedAnnouncementIsReportedThoughThePriceCountsHere(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.service.onChange = func(context.Context) error { return errors.New("nobody listens") }
	if _, err := b.service.Put(t.Context(), "mine", []byte(`{"input":1,"output":1}`)); err == nil {
		t.Error("no error")
	}
	if got := b.version("mine"); got != "custom-1" {
		t.Errorf("in force is %s", got)
	}
}

func TestAStoredPriceCountsThoughTheCallerHasLeft(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx, leave := context.WithCancel(t.Context())
	b.store.afterPut = leave
	if _, err := b.service.Put(ctx, "mine", []byte(`{"input":1,"output":1}`)); err != nil {
		t.Fatal(err)
	}
	if b.version("mine") != "custom-1" || b.changes != 1 {
		t.Errorf("in force is %s, %d changes announced", b.version("mine"), b.changes)
	}
}

func TestTheBookIsReadWhilePricesChange(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.service.onChange = nil
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for range 50 {
				if _, err := b.service.Put(t.Context(), "mine", []byte(`{"input":1,"output":1}`)); err != nil {
					t.Error(err)
				}
			}
		})
		group.Go(func() {
			for range 2000 {
				if p, ok := b.service.Book().Lookup("mine"); ok {
					p.Bound(10, 10, "", money.One)
				}
			}
		})
	}
	group.Wait()
	if got := b.version("mine"); got != "custom-200" {
		t.Errorf("in force is %s, not the last one", got)
	}
}
