package key_test

import (
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"halley/internal/budget"
	"halley/internal/fault"
	"halley/internal/key"
	"halley/internal/money"
)

func (b *bench) child(t testing.TB, parent key.View, p key.Patch) (key.View, string) {
	t.Helper()
	if p.Name == nil {
		p.Name = new("child")
	}
	v, value, err := b.CreateChild(t.Context(), b.ada, parent.Key.ID, p)
	if err != nil {
		t.Fatal(err)
	}
	return v, value
}

func (b *bench) update(t testing.TB, v key.View, p key.Patch) key.View {
	t.Helper()
	v, err := b.Update(t.Context(), b.ada, v.Key.ID, p, nil)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestAChildBeginsWithItsParentsExpiryAndGroup(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	at := b.clock.unix(time.Hour)
	parent, _ := b.create(t, key.Patch{ExpiresAt: &at, Group: new("vip"), RemainQuota: new(int64(100))})
	other, _ := b.create(t, key.Patch{})
	v, value := b.child(t, parent, key.Patch{RemainQuota: new(int64(40))})
	if v.Key.ExpiresAt != at || v.Key.Group != "vip" || v.Key.Limits.ParentID == nil || *v.Key.Limits.ParentID != parent.Key.ID || v.Status != key.Enabled {
		t.Errorf("child %+v", v.Key)
	}
	if k, err := b.Authenticate(t.Context(), value); err != nil || k.ID != v.Key.ID {
		t.Errorf("its value gives %v, %v", k, err)
	}
	own, _ := b.child(t, parent, key.Patch{Group: new(""), ExpiresAt: new(at - 1)})
	if own.Key.Group != "" || own.Key.ExpiresAt != at-1 {
		t.Errorf("what was asked for: %+v", own.Key)
	}
	for what, row := range map[string]struct {
		parent int64
		want   []int64
	}{
		"all":          {0, []int64{own.Key.ID, v.Key.ID, other.Key.ID, parent.Key.ID}},
		"of the key":   {parent.Key.ID, []int64{own.Key.ID, v.Key.ID}},
		"of a child":   {v.Key.ID, nil},
		"of one of no": {99, nil},
	} {
		views, total, err := b.List(t.Context(), key.Query{UserID: b.ada, ParentID: row.parent, Limit: 10})
		var got []int64
		for _, v := range views {
			got = append(got, v.Key.ID)
		}
		if err != nil || !slices.Equal(got, row.want) || total != int64(len(row.want)) {
			t.Errorf("%s: %v of %d, %v, want %v", what, got, total, err, row.want)
		}
	}
	if views, total, err := b.List(t.Context(), key.Query{UserID: b.bob, ParentID: parent.Key.ID, Limit: 10}); len(views) != 0 || total != 0 || err != nil {
		t.Errorf("somebody else sees %d children, %v", total, err)
	}
}

// restricted is a parent that bounds everything.
func (b *bench) restricted(t testing.TB) key.View {
	t.Helper()
	at := b.clock.unix(time.Hour)
	p := limits(t, `{"rpm": 10, "rpd": 20, "tpm": 30, "tpm_input": 25, "tpm_output": 15, "concurrency": 4, "endpoints": ["chat", "embeddings"], "auto_groups": ["vip", "default"],
		"per_model": {"gpt-5*": {"rpm": 5, "tpm": 6}, "o3": {"rpm": 3}}, "budgets": [{"amount": 50, "period": "day"}]}`)
	p.ExpiresAt, p.Group, p.RemainQuota = &at, new(key.GroupAuto), new(int64(100))
	p.ModelLimitsEnabled, p.ModelLimits, p.AllowIPs = new(true), new("gpt-5*,o3"), new("10.0.0.0/8 2001:db8::/32 192.0.2.7")
	v, _ := b.create(t, p)
	return v
}

func TestAChildCannotBeWiderThanItsParent(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	parent := b.restricted(t)
	plain, _ := b.child(t, parent, key.Patch{})
	at := parent.Key.ExpiresAt
	enabled := new(true)
	for name, row := range map[string]struct {
		patch key.Patch
		field string // "" when it is no wider
	}{
		"never expires":              {key.Patch{ExpiresAt: new(key.Never)}, "expired_time"},
		"expires later":              {key.Patch{ExpiresAt: new(at + 1)}, "expired_time"},
		"expires earlier":            {key.Patch{ExpiresAt: new(at - 1)}, ""},
		"expires with it":            {key.Patch{ExpiresAt: &at}, ""},
		"another model":              {key.Patch{ModelLimitsEnabled: enabled, ModelLimits: new("gpt-5-mini,gpt-4o")}, "model_limits"},
		"a wider pattern":            {key.Patch{ModelLimitsEnabled: enabled, ModelLimits: new("gpt-*")}, "model_limits"},
		"a pattern of a name":        {key.Patch{ModelLimitsEnabled: enabled, ModelLimits: new("o3*")}, "model_limits"},
		"narrower patterns":          {key.Patch{ModelLimitsEnabled: enabled, ModelLimits: new("o3,gpt-5,gpt-5*,gpt-5*-mini")}, ""},
		"a list that does not count": {key.Patch{ModelLimitsEnabled: new(false), ModelLimits: new("gpt-4o")}, ""},
		"another network":            {key.Patch{AllowIPs: new("10.1.0.0/16 11.0.0.0/8")}, "allow_ips"},
		"a wider network":            {key.Patch{AllowIPs: new("10.0.0.0/7")}, "allow_ips"},
		"a network of an address":    {key.Patch{AllowIPs: new("192.0.2.0/24")}, "allow_ips"},
		"everything of the other":    {key.Patch{AllowIPs: new("::/0")}, "allow_ips"},
		"narrower networks":          {key.Patch{AllowIPs: new("10.0.0.0/8 10.1.2.3 2001:db8:1::/48 192.0.2.7")}, ""},
		"no networks":                {key.Patch{AllowIPs: new("")}, ""},
		"another endpoint":           {limits(t, `{"endpoints": ["chat", "images"]}`), "limits.endpoints"},
		"fewer endpoints":            {limits(t, `{"endpoints": ["chat"]}`), ""},
		"no endpoint":                {limits(t, `{"endpoints": []}`), ""},
		"another order of groups":    {limits(t, `{"auto_groups": ["default"]}`), ""},
		"a higher rpm":               {limits(t, `{"rpm": 11}`), "limits.rpm"},
		"a higher rpd":               {limits(t, `{"rpd": 21}`), "limits.rpd"},
		"a higher tpm":               {limits(t, `{"tpm": 31}`), "limits.tpm"},
		"a higher rate of input":     {limits(t, `{"tpm_input": 26}`), "limits.tpm_input"},
		"a higher rate of output":    {limits(t, `{"per_model": {"o3": {"tpm_output": 16}}}`), "limits.per_model"},
		"a higher concurrency":       {limits(t, `{"concurrency": 5}`), "limits.concurrency"},
		"a higher rate of a model":   {limits(t, `{"per_model": {"o3": {"rpm": 4}}}`), "limits.per_model"},
		"a higher rate of some":      {limits(t, `{"per_model": {"gpt-5-mini*": {"tpm": 7}}}`), "limits.per_model"},
		"a higher rate of any":       {limits(t, `{"per_model": {"other": {"rpm": 11}}}`), "limits.per_model"},
		"as high as the whole":       {limits(t, `{"per_model": {"other": {"rpm": 10, "tpm": 30}}}`), ""},
		"rates as they are":          {limits(t, `{"rpm": 10, "rpd": 0, "tpm": 30, "tpm_input": 0, "tpm_output": 15, "concurrency": 4, "per_model": {"o3": {"rpm": 3, "tpm": 30}, "gpt-5-x": {"rpm": 5}}}`), ""},
		"no rates":                   {limits(t, `{"rpm": null, "tpm": null, "per_model": null}`), ""},
		"a larger budget":            {limits(t, `{"budgets": [{"amount": 5000, "period": "day"}]}`), ""},
	} {
		row.patch.Name = new(name)
		_, _, made := b.CreateChild(t.Context(), b.ada, parent.Key.ID, row.patch)
		_, changed := b.Update(t.Context(), b.ada, plain.Key.ID, row.patch, nil)
		for what, err := range map[string]error{"made": made, "changed": changed} {
			switch {
			case row.field == "" && err != nil:
				t.Errorf("%s, %s: %v", name, what, err)
			case row.field != "" && (fault.Code(err) != "wider_than_parent" || !fault.Is(err, fault.Invalid) || fault.From(err).Param != row.field):
				t.Errorf("%s, %s: %v, want a refusal of %s", name, what, err, row.field)
			}
		}
		plain = b.update(t, plain, key.Patch{ExpiresAt: &at, ModelLimitsEnabled: new(false), AllowIPs: new(""), Limits: limits(t, `{"endpoints": null, "auto_groups": null, "rpm": null, "rpd": null, "tpm": null, "tpm_input": null, "tpm_output": null, "concurrency": null, "per_model": null, "budgets": null}`).Limits})
	}
	_, _, err := b.CreateChild(t.Context(), b.ada, parent.Key.ID, key.Patch{Name: new("n"), Group: new("closed")})
	wantCode(t, "a group that the owner may not use", err, "invalid_group")
	closed := limits(t, `{"auto_groups": ["closed"]}`)
	_, err = b.Update(t.Context(), b.ada, plain.Key.ID, closed, nil)
	wantCode(t, "an order with such a group", err, "invalid_group")
}

func TestAnUnboundParentBoundsNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	parent, _ := b.create(t, key.Patch{Unlimited: new(true)})
	wide := limits(t, `{"rpm": 1000, "endpoints": ["chat"], "auto_groups": ["vip"], "per_model": {"*": {"rpm": 5}}}`)
	wide.RemainQuota, wide.ExpiresAt, wide.AllowIPs, wide.ModelLimitsEnabled, wide.ModelLimits = new(money.MaxUnits), new(b.clock.unix(time.Hour)), new("0.0.0.0/0"), new(true), new("*")
	v, _ := b.child(t, parent, wide)
	b.update(t, v, key.Patch{ExpiresAt: new(key.Never), Unlimited: new(true)})
}

// A parent may become narrower than its children are. They can still be changed,
// and what was read sent back; only what is made wider is refused.
func TestANarrowedParentDoesNotFreezeItsChildren(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	parent, _ := b.create(t, key.Patch{RemainQuota: new(int64(100))})
	wide := limits(t, `{"rpm": 100, "tpm": 100, "endpoints": ["chat", "images"]}`)
	wide.ModelLimitsEnabled, wide.ModelLimits, wide.AllowIPs, wide.RemainQuota = new(true), new("gpt-5*"), new("10.0.0.0/8"), new(int64(80))
	child, _ := b.child(t, parent, wide)
	at := b.clock.unix(time.Hour)
	narrow := limits(t, `{"rpm": 1, "tpm": 1, "endpoints": ["chat"]}`)
	narrow.ModelLimitsEnabled, narrow.ModelLimits, narrow.AllowIPs, narrow.RemainQuota, narrow.ExpiresAt = new(true), new("gpt-5-mini"), new("10.1.2.3"), new(int64(5)), &at
	b.update(t, parent, narrow)

	back := wide
	back.Name, back.ExpiresAt = new("another name"), new(key.Never)
	if v := b.update(t, child, back); v.Key.Name != "another name" || v.Balance.Remaining() != money.FromUnits(80) {
		t.Errorf("sent back, it became %+v", v)
	}
	some := limits(t, `{"rpm": 1}`)
	some.AllowIPs, some.RemainQuota = new("10.1.2.3"), new(int64(50))
	b.update(t, child, some)
	_, err := b.Update(t.Context(), b.ada, child.Key.ID, limits(t, `{"tpm": 99}`), nil)
	wantCode(t, "a rate that is lower than before and still too high", err, "wider_than_parent")
}

func TestOnlyAKeyThatWorksAndIsNoChildIssuesKeys(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	parent, _ := b.create(t, key.Patch{})
	child, _ := b.child(t, parent, key.Patch{})
	disabled, _ := b.create(t, key.Patch{Status: new(key.Disabled)})
	expired, _ := b.create(t, key.Patch{ExpiresAt: new(b.clock.unix(time.Second))})
	marked, _ := b.create(t, key.Patch{Status: new(key.Exhausted), RemainQuota: new(int64(1))})
	gone, _ := b.create(t, key.Patch{})
	if _, err := b.Delete(t.Context(), b.ada, gone.Key.ID); err != nil {
		t.Fatal(err)
	}
	b.clock.pass(time.Minute)
	for name, row := range map[string]struct {
		owner, id int64
		code      string
	}{
		"a child":              {b.ada, child.Key.ID, "parent_is_child"},
		"a disabled key":       {b.ada, disabled.Key.ID, "parent_disabled"},
		"an expired key":       {b.ada, expired.Key.ID, "parent_expired"},
		"a deleted key":        {b.ada, gone.Key.ID, "key_not_found"},
		"no key":               {b.ada, 99, "key_not_found"},
		"somebody else's":      {b.bob, parent.Key.ID, "key_not_found"},
		"a key without money":  {b.ada, parent.Key.ID, ""},
		"one set to exhausted": {b.ada, marked.Key.ID, ""},
	} {
		_, _, err := b.CreateChild(t.Context(), row.owner, row.id, key.Patch{Name: new("n")})
		wantCode(t, name, err, row.code)
		if f := fault.From(err); err != nil && f.Param != "id" {
			t.Errorf("%s: the refusal names %q", name, f.Param)
		}
	}
	_, _, err := b.CreateChild(t.Context(), b.ada, parent.Key.ID, key.Patch{})
	wantCode(t, "without a name", err, "name_required")
}

func TestChildrenCountAmongTheOwnersKeys(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	parent, _ := b.create(t, key.Patch{})
	b.rules.Store(&key.Rules{MaxPerUser: 2})
	b.child(t, parent, key.Patch{})
	_, _, err := b.CreateChild(t.Context(), b.ada, parent.Key.ID, key.Patch{Name: new("n")})
	wantCode(t, "one too many", err, "too_many_keys")
}

func TestAChildIsGivenNoMoreThanItsParentHasLeft(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	parent, _ := b.create(t, key.Patch{RemainQuota: new(int64(100))})
	b.spend(t, parent.Key.ID, 30*money.Unit, 20*money.Unit) // 50 are left
	quota := func(units int64) key.Patch { return key.Patch{RemainQuota: &units, Name: new("n")} }
	wide := func(what string, err error, field string) {
		t.Helper()
		if fault.Code(err) != "wider_than_parent" || fault.From(err).Param != field {
			t.Errorf("%s: %v, want a refusal of %s", what, err, field)
		}
	}
	_, _, err := b.CreateChild(t.Context(), b.ada, parent.Key.ID, quota(51))
	wide("made with more", err, "remain_quota")
	child, _ := b.child(t, parent, quota(50))
	id := child.Key.ID
	b.child(t, parent, quota(50)) // its siblings' quotas are caps, no transfers
	_, err = b.Update(t.Context(), b.ada, id, quota(51), nil)
	wide("set to more", err, "remain_quota")
	_, err = b.AddQuota(t.Context(), b.ada, id, 1, budget.Cause{})
	wide("added", err, "add")
	_, err = b.SetQuota(t.Context(), b.ada, id, 51, budget.Cause{})
	wide("set", err, "set")
	unlimited, _ := b.child(t, parent, key.Patch{Unlimited: new(true), RemainQuota: new(int64(1000))})
	_, err = b.Update(t.Context(), b.ada, unlimited.Key.ID, key.Patch{Unlimited: new(false)}, nil)
	wide("limited by far", err, "remain_quota")
	b.update(t, unlimited, key.Patch{Unlimited: new(false), RemainQuota: new(int64(50))})

	if _, err := b.AddQuota(t.Context(), b.ada, parent.Key.ID, -45, budget.Cause{}); err != nil {
		t.Fatal(err)
	}
	if v, err := b.AddQuota(t.Context(), b.ada, id, -10, budget.Cause{}); err != nil || v.Balance.Remaining() != 40*money.Unit {
		t.Errorf("taking away leaves %+v, %v", v.Balance, err)
	}
	if v := b.update(t, child, quota(20)); v.Balance.Remaining() != 20*money.Unit {
		t.Errorf("less, though more than the parent has, leaves %+v", v.Balance)
	}
	b.update(t, parent, key.Patch{Unlimited: new(true)})
	if _, err := b.AddQuota(t.Context(), b.ada, id, 1000, budget.Cause{}); err != nil {
		t.Errorf("under an unlimited parent: %v", err)
	}
}

func TestWhatStopsAParentStopsItsChildren(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	at := b.clock.unix(time.Minute)
	parent, _ := b.create(t, key.Patch{RemainQuota: new(int64(10)), ExpiresAt: &at})
	child, _ := b.child(t, parent, key.Patch{Unlimited: new(true)})
	expect := func(what string, want key.Status) {
		t.Helper()
		v, err := b.Get(t.Context(), b.ada, child.Key.ID)
		if err != nil || v.Status != want || v.Key.Status != key.Enabled {
			t.Errorf("%s: it reads %d and stores %d (%v), want %d", what, v.Status, v.Key.Status, err, want)
		}
		for status := key.Enabled; status <= key.Exhausted; status++ {
			views, total, err := b.List(t.Context(), key.Query{UserID: b.ada, ParentID: parent.Key.ID, Status: status, Limit: 10})
			if err != nil || (total == 1) != (status == want) || len(views) != int(total) || (total == 1 && views[0].Status != want) {
				t.Errorf("%s: a list of status %d has %d, %v", what, status, total, err)
			}
		}
	}
	expect("at first", key.Enabled)
	parent = b.update(t, parent, key.Patch{RemainQuota: new(int64(0))})
	expect("without money", key.Exhausted)
	if v := b.update(t, child, key.Patch{Status: new(key.Exhausted), Name: new("sent back")}); v.Key.Status != key.Enabled {
		t.Errorf("sent back as it reads, it stores %d", v.Key.Status)
	}
	b.clock.pass(time.Hour)
	expect("expired", key.Expired)
	b.update(t, parent, key.Patch{Status: new(key.Disabled)})
	expect("disabled", key.Disabled)
	if v, err := b.SetStatus(t.Context(), b.ada, child.Key.ID, key.Enabled, nil); err != nil || v.Status != key.Disabled {
		t.Errorf("enabling the child alone: it reads %d, %v", v.Status, err)
	}
	b.update(t, parent, key.Patch{Status: new(key.Enabled), RemainQuota: new(int64(1)), ExpiresAt: new(key.Never)})
	b.update(t, child, key.Patch{ExpiresAt: new(key.Never)})
	expect("cured", key.Enabled)
}

// The live balance of a parent counts, not the stored one.
func TestAParentThatIsJustUsedUpStopsItsChildrenInLists(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	parent, _ := b.create(t, key.Patch{RemainQuota: new(int64(10))})
	b.child(t, parent, key.Patch{RemainQuota: new(int64(10))})
	var h budget.Hold
	who := budget.Payers{Key: parent.Key.ID, User: b.ada}
	if err := b.ledger.Hold(t.Context(), &h, who, 10*money.Unit, nil); err != nil {
		t.Fatal(err)
	}
	h.Settle(10 * money.Unit)
	views, _, err := b.List(t.Context(), key.Query{UserID: b.ada, ParentID: parent.Key.ID, Limit: 10})
	if err != nil || views[0].Status != key.Exhausted || views[0].Balance.Remaining() != 10*money.Unit || views[0].Parent.Remaining() != 0 {
		t.Errorf("listed as %+v, %v", views, err)
	}
	if got := key.Tighter(views[0].Balance, views[0].Parent); got.Remaining() != 0 {
		t.Errorf("%d can be spent", got.Remaining())
	}
}

func TestDeletingAKeyEndsItsChildren(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	parent, parentValue := b.create(t, key.Patch{})
	first, firstValue := b.child(t, parent, key.Patch{})
	second, secondValue := b.child(t, parent, key.Patch{})
	other, otherValue := b.create(t, key.Patch{})
	values := []string{parentValue, firstValue, secondValue}
	for _, value := range append(values, otherValue) {
		if _, err := b.Authenticate(t.Context(), value); err != nil {
			t.Fatal(err)
		}
	}
	deleted, err := b.DeleteBatch(t.Context(), b.ada, []int64{second.Key.ID, parent.Key.ID})
	if diff := cmp.Diff(key.Deleted{Asked: []int64{parent.Key.ID, second.Key.ID}, Children: []int64{first.Key.ID}}, deleted); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	for _, value := range values {
		_, err := b.Authenticate(t.Context(), value)
		wantCode(t, "a value that has ended", err, "invalid_api_key")
	}
	if k, err := b.Authenticate(t.Context(), otherValue); err != nil || k.ID != other.Key.ID {
		t.Errorf("another key: %v, %v", k, err)
	}
	for _, id := range []int64{parent.Key.ID, first.Key.ID, second.Key.ID} {
		_, err := b.Get(t.Context(), b.ada, id)
		wantCode(t, "reading it", err, "key_not_found")
	}
}

func TestEndingAChildLeavesItsParent(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	parent, value := b.create(t, key.Patch{})
	child, _ := b.child(t, parent, key.Patch{})
	if deleted, err := b.Delete(t.Context(), b.ada, child.Key.ID); err != nil || len(deleted.Children) != 0 {
		t.Fatal(deleted, err)
	}
	if _, err := b.Authenticate(t.Context(), value); err != nil {
		t.Error(err)
	}
}

// parentOf is the parent that a request with the value is judged by.
func (b *bench) parentOf(t testing.TB, value string) (*key.Key, error) {
	t.Helper()
	k, err := b.Authenticate(t.Context(), value)
	if err != nil {
		t.Fatal(err)
	}
	return b.Parent(t.Context(), k)
}

func TestAParentsChangesCountForItsChildrensNextRequest(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	parent, parentValue := b.create(t, key.Patch{})
	_, value := b.child(t, parent, key.Patch{})
	if p, err := b.parentOf(t, parentValue); p != nil || err != nil {
		t.Errorf("a key that none issued has the parent %v, %v", p, err)
	}
	before, err := b.parentOf(t, value)
	if err != nil || before.ID != parent.Key.ID {
		t.Fatal(before, err)
	}
	b.update(t, parent, key.Patch{AllowIPs: new("10.0.0.1")})
	after, err := b.parentOf(t, value)
	if err != nil || after.AllowsIP(netip.MustParseAddr("10.0.0.2")) || !before.AllowsIP(netip.MustParseAddr("10.0.0.2")) {
		t.Errorf("a narrowed parent: %+v, %v", after, err)
	}
	// A change made by others is heard of through Forget.
	if done, err := b.store.GrantKey(t.Context(), parent.Key.ID, 1, budget.Cause{}); !done || err != nil {
		t.Fatal(done, err)
	}
	b.Forget(parent.Key.ID)
	if p, err := b.parentOf(t, value); err != nil || p.Version != 3 {
		t.Errorf("after a change elsewhere: %+v, %v", p, err)
	}
}

func TestAKnownParentNeedsNoStore(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	parent, parentValue := b.create(t, key.Patch{})
	_, value := b.child(t, parent, key.Patch{})
	_, orphan := b.child(t, parent, key.Patch{})
	if _, err := b.parentOf(t, value); err != nil {
		t.Fatal(err)
	}
	b.store.away.Store(true)
	if _, err := b.parentOf(t, value); err != nil {
		t.Errorf("a known parent: %v", err)
	}
	if _, err := b.Authenticate(t.Context(), parentValue); fault.Code(err) != "store_unavailable" {
		t.Errorf("the parent's value was never looked up: %v", err)
	}
	b.store.away.Store(false)
	k, err := b.Authenticate(t.Context(), orphan)
	if err != nil {
		t.Fatal(err)
	}
	b.Forget(parent.Key.ID)
	b.store.away.Store(true)
	_, err = b.Parent(t.Context(), k)
	wantCode(t, "a parent not known here", err, "store_unavailable")
}

// A parent's record that a child's request loaded must not end the grace of the
// parent's own older values.
func TestAParentLoadedForItsChildKeepsItsOlderValues(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	parent, old := b.create(t, key.Patch{})
	_, value := b.child(t, parent, key.Patch{})
	_, fresh, err := b.Rotate(t.Context(), b.ada, parent.Key.ID, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.parentOf(t, value); err != nil {
		t.Fatal(err)
	}
	for _, v := range []string{old, fresh, old} {
		if k, err := b.Authenticate(t.Context(), v); err != nil || k.ID != parent.Key.ID {
			t.Errorf("%v, %v", k, err)
		}
	}
}

// The parent may be gone in the store while its child is still remembered here:
// the child has ended all the same.
func TestAChildWithoutItsParentIsUnknown(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	parent, _ := b.create(t, key.Patch{})
	_, value := b.child(t, parent, key.Patch{})
	if _, err := b.parentOf(t, value); err != nil {
		t.Fatal(err)
	}
	if _, err := b.store.DeleteKeys(t.Context(), b.ada, []int64{parent.Key.ID}, b.clock.now()); err != nil { // on another node
		t.Fatal(err)
	}
	b.Forget(parent.Key.ID)
	_, err := b.parentOf(t, value)
	wantCode(t, "the child", err, "invalid_api_key")
	_, err = b.Authenticate(t.Context(), value)
	wantCode(t, "the child's value from now on", err, "invalid_api_key")
}

func TestAStaleLookUpOfAParentIsNeverRemembered(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	parent, _ := b.create(t, key.Patch{})
	_, value := b.child(t, parent, key.Patch{})
	k, err := b.Authenticate(t.Context(), value)
	if err != nil {
		t.Fatal(err)
	}
	hasRead, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	hook := func() {
		first := false
		once.Do(func() { first = true })
		if first {
			close(hasRead)
			<-release
		}
	}
	b.store.readByID.Store(&hook)
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = b.Parent(t.Context(), k) }) // reads the old record
	<-hasRead
	if _, err := b.SetStatus(t.Context(), b.ada, parent.Key.ID, key.Disabled, nil); err != nil {
		t.Error(err)
	}
	check := func(when string) {
		if p, err := b.Parent(t.Context(), k); err != nil || p.Status != key.Disabled {
			t.Errorf("%s: the old record (%v)", when, err)
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
}

func TestWhatAKeyAndItsParentAllowTogether(t *testing.T) {
	t.Parallel()
	list := func(models ...string) *key.Key { return &key.Key{ModelLimitsEnabled: models != nil, Models: models} }
	for name, row := range map[string]struct {
		key, parent *key.Key
		want        []string
	}{
		"no parent":          {list("a*"), nil, []string{"a*"}},
		"no limits":          {list(), list(), nil},
		"only the key's":     {list("a*"), list(), []string{"a*"}},
		"only the parent's":  {list(), list("a*"), []string{"a*"}},
		"the key's narrower": {list("ab", "ac*"), list("a*"), []string{"ab", "ac*"}},
		"the parent's since": {list("a*", "b"), list("ab", "ac*", "d"), []string{"ab", "ac*"}},
		"the same":           {list("a*", "b"), list("b", "a*"), []string{"a*", "b"}},
		"nothing in common":  {list("a"), list("b"), []string{}},
	} {
		got, limited := key.AllowedModels(row.key, row.parent)
		if !slices.Equal(got, row.want) || limited != (row.want != nil) {
			t.Errorf("%s: %q, %v, want %q", name, got, limited, row.want)
		}
	}
	ends := func(at int64) *key.Key { return &key.Key{ExpiresAt: at} }
	for _, row := range []struct {
		key, parent *key.Key
		want        int64
	}{{ends(5), nil, 5}, {ends(5), ends(key.Never), 5}, {ends(5), ends(6), 5}, {ends(5), ends(4), 4}, {ends(key.Never), ends(4), 4}, {ends(key.Never), ends(key.Never), key.Never}} {
		if got := key.EndsAt(row.key, row.parent); got != row.want {
			t.Errorf("%+v under %+v ends at %d, want %d", row.key, row.parent, got, row.want)
		}
	}
	left := func(units int64) budget.Balance { return budget.Balance{Granted: money.FromUnits(units)} }
	unlimited := budget.Balance{Unlimited: true}
	for _, row := range []struct {
		own    budget.Balance
		parent *budget.Balance
		want   budget.Balance
	}{
		{left(5), nil, left(5)}, {left(5), new(left(6)), left(5)}, {left(5), new(left(4)), left(4)}, {left(5), &unlimited, left(5)},
		{unlimited, nil, unlimited}, {unlimited, new(left(4)), left(4)}, {unlimited, &unlimited, unlimited},
	} {
		if got := key.Tighter(row.own, row.parent); got != row.want {
			t.Errorf("%+v under %+v is bounded by %+v, want %+v", row.own, row.parent, got, row.want)
		}
	}
}
