package account_test

import (
	"context"
	"errors"
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
	"halley/internal/seal"
	"halley/internal/store"
	"halley/internal/store/storetest"
)

const password = "correct horse"

var home = account.Origin{IP: netip.MustParseAddr("192.0.2.1"), UserAgent: "test"}

// cheap is a password hash that costs next to nothing.
var cheap = account.HashParams{MemoryKiB: 64, Time: 1, Threads: 1}

// clock is a clock that tests set.
type clock struct{ ms atomic.Int64 }

func (c *clock) now() time.Time          { return time.UnixMilli(c.ms.Load()).UTC() }
func (c *clock) advance(d time.Duration) { c.ms.Add(d.Milliseconds()) }

// gate is a real store that can be cut off, and that counts what is asked of it.
type gate struct {
	*store.DB
	away  atomic.Bool
	reads atomic.Int64 // of users, sessions and tokens
	seen  atomic.Int64 // last uses written

	usingIdentity func(context.Context) // what happens before the use of one is written; nil for nothing
}

var errAway = errors.New("connection refused")

func (g *gate) UserByID(ctx context.Context, id int64) (*account.User, error) {
	if g.reads.Add(1); g.away.Load() {
		return nil, errAway
	}
	return g.DB.UserByID(ctx, id)
}

func (g *gate) SessionByHash(ctx context.Context, hash []byte) (*account.Session, error) {
	if g.reads.Add(1); g.away.Load() {
		return nil, errAway
	}
	return g.DB.SessionByHash(ctx, hash)
}

func (g *gate) AccessTokenByHash(ctx context.Context, hash []byte) (*account.Token, error) {
	if g.reads.Add(1); g.away.Load() {
		return nil, errAway
	}
	return g.DB.AccessTokenByHash(ctx, hash)
}

func (g *gate) UseIdentity(ctx context.Context, id int64, at time.Time) error {
	if g.usingIdentity != nil {
		g.usingIdentity(ctx)
	}
	return g.DB.UseIdentity(ctx, id, at)
}

func (g *gate) TouchSession(ctx context.Context, hash []byte, at time.Time) (bool, error) {
	if g.seen.Add(1); g.away.Load() {
		return false, errAway
	}
	return g.DB.TouchSession(ctx, hash, at)
}

func (g *gate) TouchAccessToken(ctx context.Context, id int64, at time.Time) (bool, error) {
	if g.seen.Add(1); g.away.Load() {
		return false, errAway
	}
	return g.DB.TouchAccessToken(ctx, id, at)
}

// house is a service on a database of its own, with root and one administrator.
type house struct {
	*account.Service
	store    *gate
	clock    *clock
	ledger   *budget.Ledger
	root     *account.Identity
	admin    *account.Identity
	onDelete atomic.Pointer[func(context.Context, int64) error]
}

// testMaster is the master key of every service here, so that several on one
// database read each other's secrets.
func testMaster() *seal.Master {
	m, err := seal.ParseMaster(strings.Repeat("A", 43))
	if err != nil {
		panic(err) // the text above is 32 bytes
	}
	return m
}

func (h *house) config() account.Config {
	return account.Config{
		Store: h.store, Master: testMaster(), Ledger: h.ledger, Now: h.clock.now, Hash: cheap,
		GroupExists:  func(name string) bool { return name == "default" || name == "vip" },
		NewUserQuota: func() int64 { return 700 },
		OnDelete: func(ctx context.Context, id int64) error {
			if f := h.onDelete.Load(); f != nil {
				return (*f)(ctx, id)
			}
			return nil
		},
	}
}

func setup(t *testing.T) *house {
	t.Helper()
	h := &house{store: &gate{DB: storetest.Open(t, "sqlite:"+filepath.Join(t.TempDir(), "halley.db"))}, clock: &clock{}}
	h.clock.ms.Store(time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC).UnixMilli())
	h.ledger = budget.NewLedger(h.store, h.clock.now)
	h.Service = account.NewService(h.config())
	if _, created, err := h.EnsureRoot(t.Context(), password); err != nil || !created {
		t.Fatalf("make root: %v, %v", created, err)
	}
	h.root = h.signIn(t, "root")
	h.create(t, account.NewUser{Username: "admin", Role: account.RoleAdmin})
	h.admin = h.signIn(t, "admin")
	return h
}

// create makes a user with the usual password.
func (h *house) create(t *testing.T, n account.NewUser) *account.Account {
	t.Helper()
	n.Password = password
	a, err := h.Create(t.Context(), h.root, n)
	if err != nil {
		t.Fatalf("create %s: %v", n.Username, err)
	}
	return a
}

// signIn is the identity of a new session.
func (h *house) signIn(t *testing.T, name string) *account.Identity {
	t.Helper()
	who, err := h.AuthenticateSession(t.Context(), h.login(t, name).Value)
	if err != nil {
		t.Fatalf("sign in as %s: %v", name, err)
	}
	return who
}

func (h *house) login(t *testing.T, name string) *account.Login {
	t.Helper()
	login, err := h.Login(t.Context(), account.Attempt{Username: name, Password: password}, home)
	if err != nil {
		t.Fatalf("log in as %s: %v", name, err)
	}
	return login
}

// token makes a personal access token that does not expire.
func (h *house) token(t *testing.T, who *account.Identity) (string, *account.Token) {
	t.Helper()
	value, token, err := h.CreateToken(t.Context(), who, account.NewToken{Name: "ci", Scope: account.ScopeFull, ExpiresAt: account.Never})
	if err != nil {
		t.Fatal(err)
	}
	return value, token
}

// wantFault checks kind and code.
func wantFault(t *testing.T, what string, err error, kind fault.Kind, code string) {
	t.Helper()
	if !fault.Is(err, kind) || fault.Code(err) != code {
		t.Errorf("%s: %v (%s), want %d %s", what, err, fault.Code(err), kind.Status(), code)
	}
}

func TestAWarmOwnerCostsNoSQLAndOutlivesTheDatabase(t *testing.T) {
	t.Parallel()
	h := setup(t)
	id := h.create(t, account.NewUser{Username: "ada"}).ID
	first, err := h.Owner(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	reads := h.store.reads.Load()
	h.store.away.Store(true)
	for range 100 {
		u, err := h.Owner(t.Context(), id)
		if err != nil || u != first {
			t.Fatalf("a known owner: %v, %v", u, err)
		}
	}
	if got := h.store.reads.Load(); got != reads {
		t.Errorf("%d reads", got-reads)
	}
	_, err = h.Owner(t.Context(), id+1)
	wantFault(t, "an owner who is not known here", err, fault.Unavailable, "store_unavailable")
	h.store.away.Store(false)
	_, err = h.Owner(t.Context(), id+1)
	wantFault(t, "nobody", err, fault.NotFound, "user_not_found")
}

func TestOwnersAreAsOfTheLastChange(t *testing.T) {
	t.Parallel()
	h := setup(t)
	id := h.create(t, account.NewUser{Username: "ada"}).ID
	for _, step := range []struct {
		name   string
		change func() error
		check  func(*account.User) bool
	}{
		{"group", func() error {
			_, err := h.Update(t.Context(), h.admin, id, account.Patch{Group: new("vip")})
			return err
		}, func(u *account.User) bool { return u.Group == "vip" }},
		{"unlimited", func() error {
			_, err := h.Update(t.Context(), h.admin, id, account.Patch{Unlimited: new(true)})
			return err
		}, func(u *account.User) bool { return u.Unlimited }},
		{"balance", func() error {
			_, err := h.ChangeBalance(t.Context(), h.admin, id, budget.SetRemaining(9))
			return err
		}, func(u *account.User) bool { return u.Granted.FloorUnits() == 9 }},
		{"time zone", func() error {
			who := &account.Identity{User: &account.User{ID: id}}
			_, _, err := h.UpdateSelf(t.Context(), who, account.SelfPatch{TimeZone: new("Asia/Tokyo")}, home)
			return err
		}, func(u *account.User) bool { return u.TimeZone == "Asia/Tokyo" }},
		{"status", func() error {
			_, err := h.Update(t.Context(), h.admin, id, account.Patch{Status: new(account.Disabled)})
			return err
		}, func(u *account.User) bool { return u.Status == account.Disabled }},
	} {
		if _, err := h.Owner(t.Context(), id); err != nil { // warm
			t.Fatal(err)
		}
		if err := step.change(); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if u, err := h.Owner(t.Context(), id); err != nil || !step.check(u) {
			t.Errorf("after a change of %s the owner is %+v, %v", step.name, u, err)
		}
	}
	if err := h.Delete(t.Context(), h.admin, id); err != nil {
		t.Fatal(err)
	}
	_, err := h.Owner(t.Context(), id)
	wantFault(t, "after the deletion", err, fault.NotFound, "user_not_found")
}

// While edits run, no reader may be left with a record from before an edit that
// has returned.
func TestNoReaderIsLeftWithAStaleOwner(t *testing.T) {
	t.Parallel()
	h := setup(t)
	id := h.create(t, account.NewUser{Username: "ada"}).ID
	var done atomic.Int64 // the version of the last edit that has returned
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for range 2 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				least := done.Load()
				u, err := h.Owner(t.Context(), id)
				if err != nil || u.Version < least {
					t.Errorf("version %d is done, but the owner is %+v, %v", least, u, err)
					return
				}
			}
		})
	}
	for i := range 40 {
		a, err := h.Update(t.Context(), h.admin, id, account.Patch{DisplayName: new(strings.Repeat("x", i%10))})
		if err != nil {
			t.Fatal(err)
		}
		done.Store(a.Version)
	}
	close(stop)
	wg.Wait()
}

func TestRootIsMadeOnceOnAnEmptyDatabase(t *testing.T) {
	t.Parallel()
	h := &house{store: &gate{DB: storetest.Open(t, "sqlite:"+filepath.Join(t.TempDir(), "halley.db"))}, clock: &clock{}}
	h.clock.ms.Store(1_700_000_000_000)
	h.ledger = budget.NewLedger(h.store, h.clock.now)

	_, _, err := account.NewService(h.config()).EnsureRoot(t.Context(), "short")
	wantFault(t, "a short password", err, fault.Invalid, "password_too_short")

	var made atomic.Int64
	var generated atomic.Value
	var wg sync.WaitGroup
	for range 5 { // nodes
		wg.Go(func() {
			secret, created, err := account.NewService(h.config()).EnsureRoot(t.Context(), "")
			if err != nil {
				t.Error(err)
			}
			if created {
				made.Add(1)
				generated.Store(secret)
			} else if secret != "" {
				t.Error("a password was shown for an account that was not made")
			}
		})
	}
	wg.Wait()
	if made.Load() != 1 {
		t.Fatalf("root was made %d times", made.Load())
	}
	s := account.NewService(h.config())
	login, err := s.Login(t.Context(), account.Attempt{Username: "root", Password: generated.Load().(string)}, home)
	if err != nil {
		t.Fatalf("the generated password does not work: %v", err)
	}
	want := &account.User{ID: login.User.ID, Username: "root", Role: account.RoleRoot, Status: account.Enabled, Group: "default", Unlimited: true, MustChange: true, Created: h.clock.now(), Version: 1}
	got := *login.User
	got.PasswordHash = ""
	if diff := cmp.Diff(want, &got); diff != "" {
		t.Errorf("root (-want +got):\n%s", diff)
	}
	if _, created, err := s.EnsureRoot(t.Context(), password); created || err != nil {
		t.Errorf("again: %v, %v", created, err)
	}
	if _, err := s.Login(t.Context(), account.Attempt{Username: "root", Password: password}, home); err == nil {
		t.Error("a second start changed the password")
	}
}

func TestAGivenRootPasswordNeedNotBeChanged(t *testing.T) {
	t.Parallel()
	h := setup(t)
	if h.root.User.MustChange || !h.root.User.Unlimited || !h.root.Root() || h.root.Local() {
		t.Errorf("root is %+v", h.root)
	}
	op, err := h.Operator(t.Context())
	if err != nil || op.User.ID != h.root.User.ID || !op.Local() || !op.Root() || op.Scope != account.ScopeFull {
		t.Errorf("the operator is %+v, %v", op, err)
	}
}

func BenchmarkWarmOwner(b *testing.B) {
	db, err := store.Open(b.Context(), "sqlite:"+filepath.Join(b.TempDir(), "halley.db"), slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	s := account.NewService(account.Config{Store: db, Master: testMaster(), Ledger: budget.NewLedger(db, time.Now), Now: time.Now, Hash: cheap})
	if _, _, err := s.EnsureRoot(b.Context(), password); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := s.Owner(b.Context(), 1); err != nil {
				b.Error(err)
			}
		}
	})
}
