package key_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"halley/internal/account"
	"halley/internal/budget"
	"halley/internal/fault"
	"halley/internal/jsonx"
	"halley/internal/key"
	"halley/internal/limit"
	"halley/internal/money"
	"halley/internal/seal"
	"halley/internal/store"
)

// watched is the real store with a window: it counts look-ups, can be away, and
// can stop a look-up between reading and answering.
type watched struct {
	*store.DB
	lookups atomic.Int64
	away    atomic.Bool
	// read is called after a look-up has read and before it answers.
	read atomic.Pointer[func()]
	// readByID is the same for look-ups by id.
	readByID atomic.Pointer[func()]
	// writing is called before an update is written.
	writing atomic.Pointer[func()]
}

var errAway = errors.New("connection refused")

func (w *watched) KeyByHash(ctx context.Context, hash []byte, now time.Time) (*key.Key, error) {
	w.lookups.Add(1)
	if w.away.Load() {
		return nil, errAway
	}
	k, err := w.DB.KeyByHash(ctx, hash, now)
	if f := w.read.Load(); f != nil {
		(*f)()
	}
	return k, err
}

func (w *watched) KeyByID(ctx context.Context, id int64) (*key.Key, error) {
	if w.away.Load() {
		return nil, errAway
	}
	k, err := w.DB.KeyByID(ctx, id)
	if f := w.readByID.Load(); f != nil {
		(*f)()
	}
	return k, err
}

func (w *watched) UpdateKey(ctx context.Context, k *key.Key, delta money.Nano, why budget.Cause) (bool, error) {
	if f := w.writing.Swap(nil); f != nil {
		(*f)()
	}
	return w.DB.UpdateKey(ctx, k, delta, why)
}

// clock is a time that tests move.
type clock struct{ at atomic.Int64 }

func (c *clock) now() time.Time             { return time.UnixMilli(c.at.Load()).UTC() }
func (c *clock) pass(d time.Duration)       { c.at.Add(d.Milliseconds()) }
func (c *clock) unix(d time.Duration) int64 { return c.now().Add(d).Unix() }

type bench struct {
	*key.Service
	store  *watched
	ledger *budget.Ledger
	clock  *clock
	rules  *atomic.Pointer[key.Rules]
	ada    int64
	bob    int64
}

func newBench(t testing.TB) *bench {
	t.Helper()
	db, err := store.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "halley.db"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	b := &bench{store: &watched{DB: db}, clock: &clock{}, rules: &atomic.Pointer[key.Rules]{}}
	b.clock.at.Store(1_700_000_000_000)
	b.rules.Store(&key.Rules{MaxPerUser: 100})
	b.ada, b.bob = b.owner(t, "ada"), b.owner(t, "bob")
	b.ledger = budget.NewLedger(db, b.clock.now)
	master, err := seal.ParseMaster(base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{5}, 32)))
	if err != nil {
		t.Fatal(err)
	}
	b.Service = key.NewService(key.Deps{
		Store: b.store, Ledger: b.ledger, Master: master,
		OwnerZone: func(context.Context, int64) (string, error) { return "", nil },
		OwnerGroup: func(ctx context.Context, id int64) (string, error) {
			u, err := db.UserByID(ctx, id)
			if errors.Is(err, account.ErrNotFound) {
				return "", key.NoOwner(id)
			}
			if err != nil {
				return "", err
			}
			return u.Group, nil
		},
		GroupUsable: func(name string, _ int64, own string) bool { return name == own || name == "vip" },
		Rules:       func() key.Rules { return *b.rules.Load() },
		Now:         b.clock.now,
	})
	return b
}

func (b *bench) owner(t testing.TB, name string) int64 {
	t.Helper()
	u := &account.User{Username: name, PasswordHash: "x", Role: account.RoleUser, Status: account.Enabled, Group: "default", Created: b.clock.now(), Granted: money.USD}
	if err := b.store.InsertUser(t.Context(), u, budget.Cause{}); err != nil {
		t.Fatal(err)
	}
	return u.ID
}

func (b *bench) create(t testing.TB, p key.Patch) (key.View, string) {
	t.Helper()
	if p.Name == nil {
		p.Name = new("key")
	}
	v, value, err := b.Create(t.Context(), b.ada, p)
	if err != nil {
		t.Fatal(err)
	}
	return v, value
}

func wantCode(t *testing.T, what string, err error, code string) {
	t.Helper()
	if got := fault.Code(err); got != code || (err == nil) != (code == "") {
		t.Errorf("%s: code %q, want %q (%v)", what, got, code, err)
	}
}

func TestACreatedKeyAuthenticatesInBothForms(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	v, value := b.create(t, key.Patch{})
	for _, form := range []string{value, strings.TrimPrefix(value, "sk-"), value} {
		k, err := b.Authenticate(t.Context(), form)
		if err != nil || k.ID != v.Key.ID {
			t.Fatalf("%v, %v", k, err)
		}
	}
	if n := b.store.lookups.Load(); n != 1 {
		t.Errorf("%d look-ups in the store, want 1: both forms are one key", n)
	}
	if got := cmp.Diff([]any{key.Enabled, int64(-1), int64(1)}, []any{v.Key.Status, v.Key.ExpiresAt, v.Key.Version}); got != "" {
		t.Error(got)
	}
}

func TestImportedKeysKeepWorkingWhateverTheirShape(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for _, value := range []string{"sk-" + strings.Repeat("a", 48), "sk-proj-abc_DEF-123", "AIzaSyA-example", "plain-old-key", "hly-not-ours-at-all"} {
		v, err := b.Import(t.Context(), b.ada, key.Patch{Name: new("imported")}, value)
		if err != nil {
			t.Fatalf("%q: %v", value, err)
		}
		for _, form := range []string{value, "sk-" + strings.TrimPrefix(value, "sk-"), strings.TrimPrefix(value, "sk-")} {
			if k, err := b.Authenticate(t.Context(), form); err != nil || k.ID != v.Key.ID {
				t.Errorf("%q as %q: %v, %v", value, form, k, err)
			}
		}
		_, err = b.Import(t.Context(), b.bob, key.Patch{Name: new("again")}, strings.TrimPrefix(value, "sk-")+"")
		wantCode(t, "the same value again", err, "value_taken")
	}
	wrong := key.NewValue()
	wrong = wrong[:len(wrong)-1] + map[bool]string{true: "1", false: "0"}[wrong[len(wrong)-1] == '0']
	for _, value := range []string{"", "sk-", "short", "sk-1234567", "with a blank", "ümläutkey", "tab\tinside!", strings.Repeat("x", 257), wrong} {
		_, err := b.Import(t.Context(), b.ada, key.Patch{Name: new("n")}, value)
		wantCode(t, value, err, "invalid_value")
	}
}

func TestOnlyKeysAuthenticate(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	_, value := b.create(t, key.Patch{})
	swapped := value[:20] + map[bool]string{true: "b", false: "a"}[value[20] == 'a'] + value[21:]
	b.store.away.Store(true)
	for name, bad := range map[string]string{
		"empty": "", "bad checksum": swapped, "a token of people": "hpat_" + strings.Repeat("a", 46), "too long": strings.Repeat("x", 1<<20),
	} {
		_, err := b.Authenticate(t.Context(), bad)
		wantCode(t, name+", with the store away", err, "invalid_api_key")
	}
	b.store.away.Store(false)
	for name, bad := range map[string]string{
		"never made": key.NewValue(), "cut": value[:40], "of the key's case": strings.ToUpper(value), "padded": " " + value, "a NUL": value + "\x00", "foreign": "sk-foreign-key",
	} {
		_, err := b.Authenticate(t.Context(), bad)
		wantCode(t, name, err, "invalid_api_key")
		if !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && bad != "" && strings.Contains(err.Error(), bad) {
			t.Errorf("%s: the error repeats the value: %v", name, err)
		}
	}
}

func TestTheStoreMayBeAway(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	_, known := b.create(t, key.Patch{})
	_, fresh := b.create(t, key.Patch{})
	if _, err := b.Authenticate(t.Context(), known); err != nil {
		t.Fatal(err)
	}
	b.store.away.Store(true)
	if _, err := b.Authenticate(t.Context(), known); err != nil {
		t.Errorf("a known key: %v", err)
	}
	_, err := b.Authenticate(t.Context(), fresh)
	wantCode(t, "a key not known here", err, "store_unavailable")
	if f := fault.From(err); f.Kind != fault.Unavailable || f.RetryAfter <= 0 {
		t.Errorf("%+v", f)
	}
	if !errors.Is(err, errAway) {
		t.Errorf("the cause is lost: %v", err)
	}
	b.store.away.Store(false)
	if _, err := b.Authenticate(t.Context(), fresh); err != nil {
		t.Errorf("the failure was remembered: %v", err)
	}
}

func TestAnUnknownValueIsAskedForOnceInAWhile(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	value := "sk-not-yet-imported"
	for range 3 {
		_, err := b.Authenticate(t.Context(), value)
		wantCode(t, "unknown", err, "invalid_api_key")
	}
	if n := b.store.lookups.Load(); n != 1 {
		t.Errorf("%d look-ups, want 1", n)
	}
	b.clock.pass(11 * time.Second)
	_, _ = b.Authenticate(t.Context(), value)
	if n := b.store.lookups.Load(); n != 2 {
		t.Errorf("%d look-ups after a while, want 2", n)
	}
	if _, err := b.Import(t.Context(), b.ada, key.Patch{Name: new("n")}, value); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Authenticate(t.Context(), value); err != nil {
		t.Errorf("a key that was just made is still unknown: %v", err)
	}
}

func TestManyAsksForAColdKeyAreOneLookUp(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	_, value := b.create(t, key.Patch{})
	release := make(chan struct{})
	hook := func() { <-release }
	b.store.read.Store(&hook)
	var started, done sync.WaitGroup
	for range 50 {
		started.Add(1)
		done.Go(func() {
			started.Done()
			if _, err := b.Authenticate(t.Context(), value); err != nil {
				t.Error(err)
			}
		})
	}
	started.Wait()
	close(release)
	done.Wait()
	if n := b.store.lookups.Load(); n != 1 {
		t.Errorf("%d look-ups, want 1", n)
	}
}

func TestACallerThatLeavesDoesNotSpoilTheLookUpForOthers(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	_, value := b.create(t, key.Patch{})
	ctx, leave := context.WithCancel(t.Context())
	leave()
	if _, err := b.Authenticate(ctx, value); err != nil {
		t.Errorf("the look-up stopped with its caller: %v", err)
	}
}

// A look-up that has read the old record while a change was made must neither
// be remembered nor be handed to those who asked after the change.
func TestAStaleLookUpIsNeverRemembered(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]struct {
		do   func(*testing.T, *bench, int64)
		code string
	}{
		"disabled": {func(t *testing.T, b *bench, id int64) {
			if _, err := b.SetStatus(t.Context(), b.ada, id, key.Disabled, nil); err != nil {
				t.Error(err)
			}
		}, ""},
		"deleted": {func(t *testing.T, b *bench, id int64) {
			if _, err := b.Delete(t.Context(), b.ada, id); err != nil {
				t.Error(err)
			}
		}, "invalid_api_key"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			v, value := b.create(t, key.Patch{})
			hasRead, release := make(chan struct{}), make(chan struct{})
			var once sync.Once
			hook := func() {
				once.Do(func() {
					close(hasRead)
					<-release
				})
			}
			b.store.read.Store(&hook)
			var wg sync.WaitGroup
			wg.Go(func() { _, _ = b.Authenticate(t.Context(), value) }) // reads the old record
			<-hasRead
			change.do(t, b, v.Key.ID)
			check := func(when string) {
				k, err := b.Authenticate(t.Context(), value)
				wantCode(t, when, err, change.code)
				if err == nil && k.Status != key.Disabled {
					t.Errorf("%s: the old record", when)
				}
			}
			asked := make(chan struct{})
			wg.Go(func() {
				close(asked)
				check("asked after the change, waiting with the old look-up")
			})
			<-asked
			close(release)
			wg.Wait()
			check("later")
		})
	}
}

// A key with two values is looked up by both. Another server changes it between
// the two reads, and nobody has heard of that yet.
func TestALateReadDoesNotReplaceANewerRecord(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	v, old := b.create(t, key.Patch{})
	current := b.rotate(t, v.Key.ID, time.Hour)
	hasRead, release := make(chan struct{}), make(chan struct{})
	var second atomic.Bool
	hook := func() {
		if !second.Swap(true) {
			close(hasRead)
			<-release
		}
	}
	b.store.read.Store(&hook)
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = b.Authenticate(t.Context(), old) }) // reads version 2
	<-hasRead
	if done, err := b.store.GrantKey(t.Context(), v.Key.ID, 1, budget.Cause{}); !done || err != nil {
		t.Fatal(done, err)
	}
	if k, err := b.Authenticate(t.Context(), current); err != nil || k.Version != 3 {
		t.Fatal(k, err)
	}
	close(release)
	wg.Wait()
	for _, value := range []string{current, old} {
		if k, err := b.Authenticate(t.Context(), value); err != nil || k.Version != 3 {
			t.Errorf("version %d, %v, want 3", k.Version, err)
		}
	}
}

func TestAKeyMadeElsewhereIsFoundThoughItsValueWasUnknown(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	elsewhere := key.NewService(b.Deps)
	const value = "sk-imported-elsewhere"
	_, err := b.Authenticate(t.Context(), value)
	wantCode(t, "before it is made", err, "invalid_api_key")
	v, err := elsewhere.Import(t.Context(), b.ada, key.Patch{Name: new("n")}, value)
	if err != nil {
		t.Fatal(err)
	}
	b.Welcome(seal.Hash(v.Key.Hash))
	if _, err := b.Authenticate(t.Context(), value); err != nil {
		t.Errorf("the key is remembered as unknown: %v", err)
	}
}

func TestAKeyMadeDuringItsLookUpIsFound(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	const value = "sk-imported-meanwhile"
	hasRead, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	hook := func() {
		once.Do(func() {
			close(hasRead)
			<-release
		})
	}
	b.store.read.Store(&hook)
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = b.Authenticate(t.Context(), value) }) // finds nothing
	<-hasRead
	if _, err := b.Import(t.Context(), b.ada, key.Patch{Name: new("n")}, value); err != nil {
		t.Fatal(err)
	}
	close(release)
	wg.Wait()
	if _, err := b.Authenticate(t.Context(), value); err != nil {
		t.Errorf("the key is remembered as unknown: %v", err)
	}
}

func TestChangesCountForTheNextRequest(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	v, value := b.create(t, key.Patch{})
	auth := func() *key.Key {
		t.Helper()
		k, err := b.Authenticate(t.Context(), value)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	before := auth()
	if _, err := b.Update(t.Context(), b.ada, v.Key.ID, key.Patch{AllowIPs: new("10.0.0.1"), ModelLimitsEnabled: new(true), ModelLimits: new("gpt-5*")}, nil); err != nil {
		t.Fatal(err)
	}
	after := auth()
	if after.AllowsIP(netip.MustParseAddr("10.0.0.2")) || after.AllowsModel("o3") || !after.AllowsModel("gpt-5-mini") {
		t.Error("a narrowed key still reaches far")
	}
	if !before.AllowsModel("o3") {
		t.Error("a record that was handed out has changed")
	}
	if _, err := b.AddQuota(t.Context(), b.ada, v.Key.ID, 5, budget.Cause{}); err != nil {
		t.Fatal(err)
	}
	if k := auth(); k.Version != 3 {
		t.Errorf("version %d after two changes, want 3", k.Version)
	}
	// A change made by others is heard of through Forget.
	if done, err := b.store.GrantKey(t.Context(), v.Key.ID, 1, budget.Cause{}); !done || err != nil {
		t.Fatal(done, err)
	}
	b.Forget(v.Key.ID)
	if k := auth(); k.Version != 4 {
		t.Errorf("version %d after Forget, want 4", k.Version)
	}
	if done, err := b.store.GrantKey(t.Context(), v.Key.ID, 1, budget.Cause{}); !done || err != nil {
		t.Fatal(done, err)
	}
	b.ForgetAll()
	if k := auth(); k.Version != 5 {
		t.Errorf("version %d after ForgetAll, want 5", k.Version)
	}
	if _, err := b.Delete(t.Context(), b.ada, v.Key.ID); err != nil {
		t.Fatal(err)
	}
	_, err := b.Authenticate(t.Context(), value)
	wantCode(t, "deleted", err, "invalid_api_key")
	_, err = b.Import(t.Context(), b.bob, key.Patch{Name: new("n")}, value)
	wantCode(t, "a deleted value again", err, "value_taken")
}

func TestOnlyTheOwnersKeysAreThere(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	v, _ := b.create(t, key.Patch{RemainQuota: new(int64(10))})
	id := v.Key.ID
	for name, try := range map[string]func() error{
		"get":    func() error { _, err := b.Get(t.Context(), b.bob, id); return err },
		"update": func() error { _, err := b.Update(t.Context(), b.bob, id, key.Patch{Name: new("x")}, nil); return err },
		"status": func() error { _, err := b.SetStatus(t.Context(), b.bob, id, key.Disabled, nil); return err },
		"add":    func() error { _, err := b.AddQuota(t.Context(), b.bob, id, 1, budget.Cause{}); return err },
		"set":    func() error { _, err := b.SetQuota(t.Context(), b.bob, id, 1, budget.Cause{}); return err },
		"delete": func() error { _, err := b.Delete(t.Context(), b.bob, id); return err },
		"nobody": func() error { _, err := b.Get(t.Context(), b.ada, 999); return err },
	} {
		wantCode(t, name, try(), "key_not_found")
	}
	if n, err := b.DeleteBatch(t.Context(), b.bob, []int64{id, 999}); len(n.All()) != 0 || err != nil {
		t.Errorf("batch: %d, %v", n, err)
	}
	if after, err := b.Get(t.Context(), b.ada, id); err != nil || after.Key.Version != 1 {
		t.Errorf("the key changed: %+v, %v", after.Key, err)
	}
	_, _, err := b.Create(t.Context(), 999, key.Patch{Name: new("n")})
	if !fault.Is(err, fault.NotFound) {
		t.Errorf("a key for nobody: %v", err)
	}
}

func TestWhatWasReadCanBeSentBackAndChangesNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	expiring := b.clock.unix(time.Minute)
	for name, p := range map[string]key.Patch{
		"plain":     {},
		"full":      {ExpiresAt: &expiring, RemainQuota: new(int64(10)), ModelLimitsEnabled: new(true), ModelLimits: new("a*,b"), AllowIPs: new("10.0.0.0/8"), Group: new("vip"), CrossGroupRetry: new(true)},
		"unlimited": {Unlimited: new(true), RemainQuota: new(int64(7))},
		"exhausted": {RemainQuota: new(int64(0))},
	} {
		v, _ := b.create(t, p)
		if name == "full" {
			// A fraction of a unit is used, and another held.
			b.spend(t, v.Key.ID, 3*money.Unit+1, 1)
			b.clock.pass(2 * time.Minute) // and it expires
		}
		v, err := b.Get(t.Context(), b.ada, v.Key.ID)
		if err != nil {
			t.Fatal(err)
		}
		remaining, _, _ := v.Balance.Units()
		same := key.Patch{
			Name: &v.Key.Name, Status: &v.Status, ExpiresAt: &v.Key.ExpiresAt, RemainQuota: &remaining, Unlimited: &v.Key.Unlimited,
			ModelLimitsEnabled: &v.Key.ModelLimitsEnabled, ModelLimits: new(strings.Join(v.Key.Models, ",")), AllowIPs: new(key.FormatAddresses(v.Key.AllowIPs)),
			Group: &v.Key.Group, CrossGroupRetry: &v.Key.CrossGroupRetry, Limits: &key.LimitsPatch{Patch: limit.Patch{RPM: jsonx.Opt[int64]{Set: true, Null: true}}},
		}
		after, err := b.Update(t.Context(), b.ada, v.Key.ID, same, &v.Key.Version)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if after.Key.Version != v.Key.Version || after.Status != v.Status || after.Balance != v.Balance || after.Key.Status != v.Key.Status {
			t.Errorf("%s: %+v became %+v", name, v, after)
		}
		// And once more with a real change beside it.
		same.Name = new("renamed")
		after, err = b.Update(t.Context(), b.ada, v.Key.ID, same, nil)
		if err != nil || after.Key.Version != v.Key.Version+1 || after.Balance != v.Balance || after.Key.Status != v.Key.Status {
			t.Errorf("%s: %+v became %+v, %v", name, v, after, err)
		}
	}
}

// spend settles used on the key and leaves held on it.
func (b *bench) spend(t testing.TB, id int64, used, held money.Nano) {
	t.Helper()
	var first, second budget.Hold
	if err := b.ledger.Hold(t.Context(), &first, budget.Payers{Key: id, User: b.ada}, used, nil); err != nil {
		t.Fatal(err)
	}
	first.Settle(used)
	if err := b.ledger.Hold(t.Context(), &second, budget.Payers{Key: id, User: b.ada}, held, nil); err != nil {
		t.Fatal(err)
	}
}

func TestAStatusThatIsSetStaysAndADerivedOneHeals(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	at := b.clock.unix(time.Minute)
	v, _ := b.create(t, key.Patch{ExpiresAt: &at, RemainQuota: new(int64(5))})
	id := v.Key.ID
	update := func(p key.Patch) key.Status {
		t.Helper()
		v, err := b.Update(t.Context(), b.ada, id, p, nil)
		if err != nil {
			t.Fatal(err)
		}
		return v.Status
	}
	expect := func(what string, got, want key.Status) {
		t.Helper()
		if got != want {
			t.Errorf("%s: status %d, want %d", what, got, want)
		}
	}
	b.clock.pass(2 * time.Minute)
	expect("expired, and sent back so", update(key.Patch{Status: new(key.Expired)}), key.Expired)
	expect("extended", update(key.Patch{ExpiresAt: new(key.Never)}), key.Enabled)
	expect("set to exhausted", update(key.Patch{Status: new(key.Exhausted)}), key.Exhausted)
	expect("topped up, but it was set", update(key.Patch{RemainQuota: new(int64(50))}), key.Exhausted)
	expect("set to enabled", update(key.Patch{Status: new(key.Enabled)}), key.Enabled)
	expect("emptied", update(key.Patch{RemainQuota: new(int64(0))}), key.Exhausted)
	expect("enabled is accepted and cures nothing", update(key.Patch{Status: new(key.Enabled)}), key.Exhausted)
	expect("topped up", update(key.Patch{RemainQuota: new(int64(1))}), key.Enabled)
	v, err := b.SetStatus(t.Context(), b.ada, id, key.Disabled, nil)
	if err != nil {
		t.Fatal(err)
	}
	expect("disabled", v.Status, key.Disabled)
	v, err = b.SetStatus(t.Context(), b.ada, id, key.Disabled, nil)
	if err != nil || v.Key.Version != 8 {
		t.Errorf("disabled twice: version %d, %v", v.Key.Version, err)
	}
	_, err = b.SetStatus(t.Context(), b.ada, id, 7, nil)
	wantCode(t, "status 7", err, "invalid_status")
}

func TestQuotaMovesTheUnheldRemainder(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	v, _ := b.create(t, key.Patch{RemainQuota: new(int64(100))})
	id := v.Key.ID
	b.spend(t, id, 30*money.Unit, 20*money.Unit)
	units := func(v key.View, err error) [3]int64 {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		remaining, used, held := v.Balance.Units()
		return [3]int64{remaining, used, held}
	}
	for _, step := range []struct {
		what string
		got  [3]int64
		want [3]int64
	}{
		{"add", units(b.AddQuota(t.Context(), b.ada, id, 10, budget.Cause{})), [3]int64{60, 30, 20}},
		{"take", units(b.AddQuota(t.Context(), b.ada, id, -60, budget.Cause{})), [3]int64{0, 30, 20}},
		{"set", units(b.SetQuota(t.Context(), b.ada, id, 7, budget.Cause{})), [3]int64{7, 30, 20}},
		{"put", units(b.Update(t.Context(), b.ada, id, key.Patch{RemainQuota: new(int64(9))}, nil)), [3]int64{9, 30, 20}},
		{"add nothing", units(b.AddQuota(t.Context(), b.ada, id, 0, budget.Cause{})), [3]int64{9, 30, 20}},
		{"lift", units(b.Update(t.Context(), b.ada, id, key.Patch{Unlimited: new(true)}, nil)), [3]int64{9, 30, 20}},
	} {
		if step.got != step.want {
			t.Errorf("%s: remaining, used, held %v, want %v", step.what, step.got, step.want)
		}
	}
	_, err := b.AddQuota(t.Context(), b.ada, id, -10, budget.Cause{})
	wantCode(t, "below what is unheld", err, "quota_too_low")
	_, err = b.SetQuota(t.Context(), b.ada, id, -1, budget.Cause{})
	wantCode(t, "below 0", err, "quota_too_low")
	_, err = b.SetQuota(t.Context(), b.ada, id, money.MaxUnits+1, budget.Cause{})
	wantCode(t, "beyond", err, "quota_too_high")
	_, err = b.AddQuota(t.Context(), b.ada, id, -1<<63, budget.Cause{})
	wantCode(t, "far below", err, "quota_too_high")
	stored, err := b.store.KeyByID(t.Context(), id)
	if err != nil || stored.Granted != 59*money.Unit || !stored.Unlimited {
		t.Errorf("stored %d, %v, %v", stored.Granted, stored.Unlimited, err)
	}
}

func TestConcurrentEditsAreAllThereInTheEnd(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	v, _ := b.create(t, key.Patch{})
	id := v.Key.ID
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			if _, err := b.AddQuota(t.Context(), b.ada, id, 5, budget.Cause{}); err != nil {
				t.Error(err)
			}
		})
		wg.Go(func() {
			var limits key.LimitsPatch
			if err := jsonx.Decode(fmt.Appendf(nil, `{"metadata":{"n":"%d"}}`, i), &limits); err != nil {
				t.Error(err)
			}
			if _, err := b.Update(t.Context(), b.ada, id, key.Patch{Limits: &limits}, nil); err != nil {
				t.Error(err)
			}
		})
		wg.Go(func() {
			if _, err := b.Update(t.Context(), b.ada, id, key.Patch{Name: new(fmt.Sprint("name ", i))}, nil); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	after, err := b.Get(t.Context(), b.ada, id)
	if err != nil {
		t.Fatal(err)
	}
	if after.Key.Granted != 40*money.Unit || after.Balance.Granted != after.Key.Granted || after.Key.Version != 25 {
		t.Errorf("granted %d (live %d) at version %d, want 40 units at 25", after.Key.Granted, after.Balance.Granted, after.Key.Version)
	}
	if !strings.HasPrefix(after.Key.Name, "name ") || after.Key.Limits.Metadata["n"] == "" {
		t.Errorf("an edit is lost: %+v", after.Key)
	}
}

func TestAnUpdateFromAnOldVersionIsRefused(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	v, _ := b.create(t, key.Patch{})
	id := v.Key.ID
	if _, err := b.Update(t.Context(), b.ada, id, key.Patch{Name: new("second")}, new(int64(1))); err != nil {
		t.Fatal(err)
	}
	_, err := b.Update(t.Context(), b.ada, id, key.Patch{Name: new("third")}, new(int64(1)))
	wantCode(t, "an old version", err, "version_conflict")
	if !fault.Is(err, fault.PreconditionFailed) {
		t.Error(err)
	}
	// Somebody comes in between reading and writing.
	between := func() {
		if _, err := b.store.GrantKey(context.Background(), id, 1, budget.Cause{}); err != nil {
			t.Error(err)
		}
	}
	b.store.writing.Store(&between)
	_, err = b.Update(t.Context(), b.ada, id, key.Patch{Name: new("third")}, new(int64(2)))
	wantCode(t, "overtaken", err, "version_conflict")
	b.store.writing.Store(&between)
	v, err = b.Update(t.Context(), b.ada, id, key.Patch{Name: new("third"), RemainQuota: new(int64(5))}, nil)
	if err != nil || v.Key.Name != "third" || v.Key.Version != 5 {
		t.Errorf("overtaken without a condition: %+v, %v", v.Key, err)
	}
}

func TestAFailedWriteChangesNoBalance(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	v, _ := b.create(t, key.Patch{RemainQuota: new(int64(10))})
	for name, try := range map[string]func() error{
		"put": func() error {
			_, err := b.Update(t.Context(), b.ada, v.Key.ID, key.Patch{Name: new(""), RemainQuota: new(int64(99))}, nil)
			return err
		},
		"away": func() error {
			b.store.away.Store(true)
			defer b.store.away.Store(false)
			_, err := b.AddQuota(t.Context(), b.ada, v.Key.ID, 5, budget.Cause{})
			return err
		},
		"wrong": func() error {
			_, err := b.Update(t.Context(), b.ada, v.Key.ID, key.Patch{Group: new("nope"), RemainQuota: new(int64(99))}, nil)
			return err
		},
	} {
		if try() == nil {
			t.Errorf("%s went through", name)
		}
		after, err := b.Get(t.Context(), b.ada, v.Key.ID)
		if err != nil || after.Balance != v.Balance || after.Key.Version != 1 {
			t.Errorf("%s: %+v, %v", name, after, err)
		}
	}
}

func TestAnOwnerHasAtMostSoManyKeys(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.rules.Store(&key.Rules{MaxPerUser: 2})
	first, _ := b.create(t, key.Patch{})
	b.create(t, key.Patch{})
	_, _, err := b.Create(t.Context(), b.ada, key.Patch{Name: new("third")})
	wantCode(t, "a third", err, "too_many_keys")
	if _, err := b.Delete(t.Context(), b.ada, first.Key.ID); err != nil {
		t.Fatal(err)
	}
	b.create(t, key.Patch{})
}

func TestABatchDeletesAHundredAtMost(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	v, _ := b.create(t, key.Patch{})
	for name, row := range map[string]struct {
		ids  []int64
		n    int
		code string
	}{
		"none":            {nil, 0, "invalid_ids"},
		"too many":        {make([]int64, 101), 0, "invalid_ids"},
		"a hundred":       {make([]int64, 100), 0, ""},
		"twice and wrong": {[]int64{v.Key.ID, v.Key.ID, -5, 1 << 62}, 1, ""},
	} {
		deleted, err := b.DeleteBatch(t.Context(), b.ada, row.ids)
		wantCode(t, name, err, row.code)
		if len(deleted.Asked) != row.n {
			t.Errorf("%s: %v deleted, want %d", name, deleted, row.n)
		}
	}
}

func TestValuesAreShownToThoseWhoMaySeeThem(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	v, value := b.create(t, key.Patch{})
	masked := "sk-hly…" + value[len(value)-4:]
	shown := func(reveal bool) string {
		t.Helper()
		text, err := b.Shown(v.Key, reveal)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	if got := shown(true); got != value {
		t.Errorf("the owner sees %q", got)
	}
	if got := shown(false); got != masked {
		t.Errorf("others see %q, want %q", got, masked)
	}
	b.rules.Store(&key.Rules{MaxPerUser: 100, RevealOnce: true})
	if got := shown(true); got != masked {
		t.Errorf("under once the owner sees %q", got)
	}
	if stored, err := b.store.KeyByID(t.Context(), v.Key.ID); err != nil || bytes.Contains(stored.Sealed, []byte(value)) || bytes.Contains(stored.Hash, []byte(value)) {
		t.Errorf("the value is in the store as it is, %v", err)
	}
	other, _ := b.create(t, key.Patch{})
	moved := *v.Key
	moved.Sealed = other.Key.Sealed
	if text, err := b.Value(&moved); err == nil {
		t.Errorf("a value moved to another row opens as %q", text)
	}
}

func TestSearchFindsByNameAndByTail(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	v, value := b.create(t, key.Patch{Name: new("Production")})
	_, other := b.create(t, key.Patch{Name: new("Staging")})
	imported, err := b.Import(t.Context(), b.ada, key.Patch{Name: new("imported")}, "sk-legacy-key-wxyz")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Import(t.Context(), b.bob, key.Patch{Name: new("imported by bob")}, "sk-bobs-key-wxyz"); err != nil {
		t.Fatal(err)
	}
	mine, legacy := v.Key.ID, imported.Key.ID
	tail := func(n int) string { return value[len(value)-n:] }
	wrongTail := func(n int) string {
		c := "x"
		if value[len(value)-n] == 'x' {
			c = "y"
		}
		return c + value[len(value)-n+1:]
	}
	for name, row := range map[string]struct {
		keyword, token string
		reveal         bool
		want           []int64
	}{
		"name, any case":                       {"PROD", "", true, []int64{mine}},
		"nothing named so":                     {"nothing", "", true, nil},
		"not UTF-8":                            {"\xff", "", true, nil},
		"a NUL":                                {"a\x00", "", true, nil},
		"the value":                            {"", value, false, []int64{mine}},
		"the value without sk-":                {"", value[3:], true, []int64{mine}},
		"the last four":                        {"", tail(4), false, []int64{mine}},
		"the last nine":                        {"", tail(9), true, []int64{mine}},
		"a wrong ninth":                        {"", wrongTail(9), true, nil},
		"a wrong ninth by who may not see":     {"", wrongTail(9), false, []int64{mine}},
		"the masked display":                   {"", "sk-hly…" + tail(4), true, []int64{mine}},
		"a value of another name":              {"Staging", value, true, nil},
		"the other value":                      {"", other, true, []int64{mine + 1}},
		"a value never made":                   {"", key.NewValue(), true, nil},
		"an imported value":                    {"", "sk-legacy-key-wxyz", false, []int64{legacy}},
		"an imported tail":                     {"", "wxyz", true, []int64{legacy}},
		"an imported tail, another's key":      {"", "bobs-key-wxyz", true, nil},
		"longer than a value":                  {"", strings.Repeat("x", 300), true, nil},
		"a tail with a NUL":                    {"", "ab\x00cd", true, nil},
		"the tail of a key under another name": {"Production", tail(4), true, []int64{mine}},
	} {
		views, total, err := b.Search(t.Context(), key.Query{UserID: b.ada, Keyword: row.keyword, Limit: 10}, row.token, row.reveal)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var got []int64
		for _, v := range views {
			got = append(got, v.Key.ID)
		}
		if diff := cmp.Diff(row.want, got); diff != "" || total != int64(len(row.want)) {
			t.Errorf("%s: total %d (-want +got):\n%s", name, total, diff)
		}
	}
	_, _, err = b.Search(t.Context(), key.Query{UserID: b.ada, Limit: 10}, "abc", true)
	wantCode(t, "three characters", err, "invalid_token")
	views, total, err := b.Search(t.Context(), key.Query{UserID: b.ada, Limit: 10, Offset: 5}, value, true)
	if err != nil || total != 1 || len(views) != 0 {
		t.Errorf("past the end: %d of %d, %v", len(views), total, err)
	}
}

func TestAListShowsLiveBalances(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	v, _ := b.create(t, key.Patch{RemainQuota: new(int64(10))})
	b.create(t, key.Patch{RemainQuota: new(int64(20))})
	b.clock.pass(time.Minute)
	b.spend(t, v.Key.ID, 3*money.Unit, 2*money.Unit)
	views, total, err := b.List(t.Context(), key.Query{UserID: b.ada, Status: key.Enabled, Limit: 10})
	if err != nil || total != 2 {
		t.Fatal(total, err)
	}
	want := budget.Balance{Granted: 10 * money.Unit, Used: 3 * money.Unit, Held: 2 * money.Unit}
	got := views[1].Balance
	got.LastUsed = time.Time{}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !views[1].Accessed().Equal(b.clock.now()) || !views[0].Accessed().Equal(views[0].Key.Created) {
		t.Errorf("accessed %v and %v", views[1].Accessed(), views[0].Accessed())
	}
	_, _, err = b.List(t.Context(), key.Query{UserID: b.ada, Status: 9, Limit: 10})
	wantCode(t, "status 9", err, "invalid_status")
	_, _, err = b.List(t.Context(), key.Query{UserID: b.ada, Sort: "colour", Limit: 10})
	wantCode(t, "by colour", err, "invalid_sort")
	if views, _, err := b.List(t.Context(), key.Query{UserID: b.ada, Sort: "-used", Limit: 1}); err != nil || len(views) != 1 {
		t.Errorf("by use: %d keys, %v", len(views), err)
	}
}
