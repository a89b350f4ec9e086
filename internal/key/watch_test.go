package key_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"halley/internal/key"
)

func TestKeysThatNeedALookAreToldWithLiveBudgets(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ids := map[int64]string{}
	made := func(name string, p key.Patch) int64 {
		v, _ := b.create(t, p)
		ids[v.Key.ID] = name
		return v.Key.ID
	}
	soon := b.clock.now().Unix() + 86_400
	made("plain", key.Patch{RemainQuota: new(int64(100))})
	made("expiring", key.Patch{RemainQuota: new(int64(100)), ExpiresAt: &soon})
	hardly, nearly := limits(t, `{"budgets":[{"amount":100,"period":"day"}]}`), limits(t, `{"budgets":[{"amount":100,"period":"day"}]}`)
	hardly.Unlimited, nearly.Unlimited = new(true), new(true)
	if err := b.charge(t, made("nearly used up", nearly), 90); err != nil {
		t.Fatal(err)
	}
	if err := b.charge(t, made("hardly used", hardly), 10); err != nil {
		t.Fatal(err)
	}
	w, err := b.Watch(t.Context(), b.ada)
	if err != nil {
		t.Fatal(err)
	}
	told := func(views []key.View) (list []string) {
		for _, v := range views {
			list = append(list, ids[v.Key.ID])
		}
		return list
	}
	if diff := cmp.Diff([][]string{{"expiring"}, nil, {"nearly used up", "hardly used"}}, [][]string{told(w.Expiring), told(w.RunningOut), told(w.Budgeted)}); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]int64{90}, spentOf(w.Budgeted[0])); diff != "" {
		t.Error(diff)
	}
	if w, err = b.Watch(t.Context(), b.bob); err != nil || len(w.Expiring)+len(w.RunningOut)+len(w.Budgeted) > 0 {
		t.Errorf("another's keys: %+v, %v", w, err)
	}
}
