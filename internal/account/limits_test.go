package account_test

import (
	"context"
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
)

// limits is a patch of the limits object alone.
func limits(t *testing.T, text string) *account.LimitsPatch {
	t.Helper()
	var p account.LimitsPatch
	if err := jsonx.Decode([]byte(text), &p); err != nil {
		t.Fatal(err)
	}
	return &p
}

func (h *house) limit(t *testing.T, id int64, text string) *account.Account {
	t.Helper()
	a, err := h.Update(t.Context(), h.admin, id, account.Patch{Limits: limits(t, text)})
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return a
}

// keyOf makes a key of the user's that nothing bounds.
func (h *house) keyOf(t *testing.T, id int64) int64 {
	t.Helper()
	k := &key.Key{UserID: id, Status: key.Enabled, Name: "k", ExpiresAt: key.Never, Unlimited: true, Hash: []byte(key.NewValue()), Sealed: []byte("sealed")}
	keyID, err := h.store.InsertKey(t.Context(), k, 1000, budget.Cause{})
	if err != nil {
		t.Fatal(err)
	}
	return keyID
}

// spend holds so many units on the account and a key that nothing bounds.
func (h *house) spend(t *testing.T, id, units int64) error {
	t.Helper()
	var hold budget.Hold
	if err := h.ledger.Hold(context.WithoutCancel(t.Context()), &hold, budget.Payers{Key: h.keyOf(t, id), User: id}, money.FromUnits(units), nil); err != nil {
		return err
	}
	hold.Settle(money.FromUnits(units))
	return nil
}

func TestAnAccountsLimitsAreMergedMemberByMember(t *testing.T) {
	t.Parallel()
	h := setup(t)
	made, err := h.Create(t.Context(), h.admin, account.NewUser{Username: "ada", Password: password, Limits: limits(t, `{"rpm":60,"tpm_input":1000,"unknown":true}`)})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(account.Limits{Limits: limit.Limits{RPM: new(int64(60)), TPMInput: new(int64(1000))}}, made.Limits); diff != "" {
		t.Error(diff)
	}
	h.limit(t, made.ID, `{"rpd":5,"tpm_output":0,"per_model":{"m*":{"rpm":1}}}`)
	h.limit(t, made.ID, `{"rpm":null,"tpm_input":7,"concurrency":2}`)
	want := account.Limits{Limits: limit.Limits{
		RPD: new(int64(5)), TPMInput: new(int64(7)), TPMOutput: new(int64(0)), Concurrency: new(int64(2)), PerModel: map[string]limit.Rate{"m*": {RPM: new(int64(1))}},
	}}
	owner, err := h.Owner(t.Context(), made.ID) // what the gateway sees
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, owner.Limits); diff != "" {
		t.Error(diff)
	}
	_, err = h.Update(t.Context(), h.signIn(t, "ada"), made.ID, account.Patch{Limits: limits(t, `{"rpd":null}`)})
	wantFault(t, "one's own limits", err, fault.Forbidden, "admin_required")
}

func TestBadLimitsOfAnAccountChangeNothing(t *testing.T) {
	t.Parallel()
	h := setup(t)
	id := h.create(t, account.NewUser{Username: "ada"}).ID
	before := h.limit(t, id, `{"rpm":60,"budgets":[{"amount":100,"period":"day"}]}`)
	for text, field := range map[string]string{
		`{"rpm":5,"rpd":-1}`:                                                               "limits.rpd",
		`{"tpm_output":-1}`:                                                                "limits.tpm_output",
		`{"tpm_input":9999999999999}`:                                                      "limits.tpm_input",
		`{"per_model":{"":{}}}`:                                                            "limits.per_model",
		`{"rpm":5,"budgets":[{"amount":-1,"period":"day"}]}`:                               "limits.budgets.0.amount",
		`{"budgets":[{"amount":1,"period":"hours:0"}]}`:                                    "limits.budgets.0.period",
		`{"budgets":[{"amount":1,"period":"day","time_zone":"Mars/Olympus"}]}`:             "limits.budgets.0.time_zone",
		`{"budgets":[{"amount":1,"period":"day"},{"amount":1,"period":"day","anchor":1}]}`: "limits.budgets.1.anchor",
	} {
		_, err := h.Update(t.Context(), h.root, id, account.Patch{DisplayName: new("x"), Limits: limits(t, text)})
		wantFault(t, text, err, fault.Invalid, "invalid_limits")
		if got := fault.From(err).Param; got != field {
			t.Errorf("%s names %q, want %q", text, got, field)
		}
		_, err = h.Create(t.Context(), h.root, account.NewUser{Username: "new", Password: password, Limits: limits(t, text)})
		wantFault(t, "create with "+text, err, fault.Invalid, "invalid_limits")
	}
	after, err := h.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before.Limits, after.Limits); diff != "" || after.DisplayName != "" {
		t.Errorf("(-before +after):\n%s", diff)
	}
	if err := h.spend(t, id, 101); fault.Code(err) != "budget_exhausted" {
		t.Errorf("beyond the budget that stands: %v", err)
	}
}

func TestAnAccountsBudgetsRenewAndAreEditedWithIt(t *testing.T) {
	t.Parallel()
	h := setup(t)
	id := h.create(t, account.NewUser{Username: "ada", Quota: new(int64(10_000))}).ID
	if _, _, err := h.UpdateSelf(t.Context(), h.signIn(t, "ada"), account.SelfPatch{TimeZone: new("Asia/Tokyo")}, home); err != nil {
		t.Fatal(err)
	}
	if err := h.spend(t, id, 60); err != nil {
		t.Fatal(err)
	}
	a := h.limit(t, id, `{"budgets":[{"amount":100,"period":"day"}]}`)
	if len(a.Budgets) != 1 || a.Budgets[0].Used != 60*money.Unit || a.Limits.Budgets[0].TimeZone != "Asia/Tokyo" {
		t.Fatalf("a new budget begins with what its window has seen, in its owner's time zone: %+v", a.Budgets)
	}
	// Midnight in Tokyo.
	if want := time.Date(2026, 3, 14, 15, 0, 0, 0, time.UTC); !a.Budgets[0].Renews.Equal(want) {
		t.Errorf("renews at %v, want %v", a.Budgets[0].Renews, want)
	}
	if err := h.spend(t, id, 41); fault.Code(err) != "budget_exhausted" || fault.From(err).RetryAfter != 3*time.Hour {
		t.Errorf("more than the day has left: %v", err)
	}
	h.limit(t, id, `{"rpm":5}`) // the budgets stay, and what is spent of them
	if err := h.spend(t, id, 40); err != nil {
		t.Errorf("what is left: %v", err)
	}
	for _, read := range []func() (*account.Account, error){
		func() (*account.Account, error) { return h.Get(t.Context(), id) },
		func() (*account.Account, error) {
			list, _, err := h.List(t.Context(), account.Filter{Keyword: "ada", Limit: 10})
			return list[0], err
		},
	} {
		if a, err := read(); err != nil || len(a.Budgets) != 1 || a.Budgets[0].Used != 100*money.Unit {
			t.Errorf("%+v, %v", a.Budgets, err)
		}
	}
	h.clock.advance(3 * time.Hour)
	if err := h.spend(t, id, 100); err != nil {
		t.Errorf("the next day: %v", err)
	}
	if a = h.limit(t, id, `{"budgets":null}`); len(a.Budgets) != 0 || a.Limits.Budgets != nil {
		t.Errorf("%+v", a.Limits)
	}
	if err := h.spend(t, id, 1000); err != nil {
		t.Errorf("without a budget: %v", err)
	}
}

func TestABudgetBindsAnUnlimitedAccountToo(t *testing.T) {
	t.Parallel()
	h := setup(t)
	id := h.create(t, account.NewUser{Username: "ada", Unlimited: true}).ID
	a, err := h.Update(t.Context(), h.root, id, account.Patch{Unlimited: new(true), Limits: limits(t, `{"budgets":[{"amount":10,"period":"month"},{"amount":5,"period":"week"}]}`)})
	if err != nil || len(a.Budgets) != 2 {
		t.Fatalf("%+v, %v", a, err)
	}
	if err := h.spend(t, id, 6); fault.Code(err) != "budget_exhausted" {
		t.Errorf("beyond the tightest: %v", err)
	}
	if err := h.spend(t, id, 5); err != nil {
		t.Error(err)
	}
}
