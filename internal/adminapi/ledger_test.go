package adminapi_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"halley/internal/budget"
	"halley/internal/key"
	"halley/internal/usage"
)

type grantRow struct {
	ID        int64  `json:"id"`
	Time      int64  `json:"time"`
	Kind      string `json:"kind"`
	SubjectID int64  `json:"subject_id"`
	DeltaNano int64  `json:"delta_nano"`
	Reason    string `json:"reason"`
	Actor     int64  `json:"actor"`
	RequestID string `json:"request_id"`
}

// grants are all rows of a subject, newest first, without their ids.
func (d *keyDesk) grants(t *testing.T, kind string, id int64) []grantRow {
	t.Helper()
	var page struct {
		Total int64      `json:"total"`
		Items []grantRow `json:"items"`
	}
	got := d.must(t, d.admin.token, http.MethodGet, fmt.Sprintf("/api/ledger/?kind=%s&id=%d", kind, id), nil)
	if err := json.Unmarshal(got.Data, &page); err != nil || page.Total != int64(len(page.Items)) {
		t.Fatalf("%v: %s", err, got.text)
	}
	for i, row := range page.Items {
		if row.ID <= 0 || row.Time != d.now().Unix() || row.Kind != kind || row.SubjectID != id {
			t.Errorf("row %+v of %s %d", row, kind, id)
		}
		page.Items[i] = grantRow{DeltaNano: row.DeltaNano, Reason: row.Reason, Actor: row.Actor, RequestID: row.RequestID}
	}
	return page.Items
}

func (d *keyDesk) checkBooks(t *testing.T) string {
	t.Helper()
	return string(d.must(t, d.admin.token, http.MethodGet, "/api/ledger/check", nil).Data)
}

func TestEveryChangeOfMoneySaysWhoAskedForIt(t *testing.T) {
	t.Parallel()
	d := newKeyDesk(t)
	calls := 0
	change := func(by *holder, method, path string, body fields) keyReply {
		t.Helper()
		calls++
		return d.must(t, by.token, method, path, body, "X-Request-Id", fmt.Sprint("call-", calls))
	}
	made := change(d.ada, "POST", "/api/token/", fields{"name": "k", "remain_quota": 100}).row(t)
	quota := fmt.Sprintf("/api/token/%d/quota", made.ID)
	change(d.ada, "POST", quota, fields{"add": -30})
	change(d.admin, "POST", quota+fmt.Sprint("?user_id=", d.ada.id), fields{"set": 500})
	change(d.ada, "PUT", "/api/token/", fields{"id": made.ID, "remain_quota": 499, "unlimited_quota": true})
	change(d.ada, "PUT", "/api/token/", fields{"id": made.ID, "name": "renamed"})
	change(d.ada, "PUT", "/api/token/?status_only=true", fields{"id": made.ID, "status": 2})
	change(d.ada, "PUT", "/api/token/", fields{"id": made.ID, "unlimited_quota": false})
	row := func(units int64, why budget.Reason, actor *holder, call int) grantRow {
		return grantRow{DeltaNano: units * 2000, Reason: string(why), Actor: actor.id, RequestID: fmt.Sprint("call-", call)}
	}
	if diff := cmp.Diff([]grantRow{
		row(0, budget.Bound, d.ada, 7), row(0, budget.Lifted, d.ada, 4), row(-1, budget.Edited, d.ada, 4),
		row(430, budget.Quota, d.admin, 3), row(-30, budget.Quota, d.ada, 2), row(100, budget.Created, d.ada, 1),
	}, d.grants(t, "key", made.ID)); diff != "" {
		t.Errorf("of a key (-want +got):\n%s", diff)
	}

	calls = 0
	user := int64(0)
	if err := json.Unmarshal(change(d.admin, "POST", "/api/user/", fields{"username": "eve", "password": "correct horse", "quota": 10}).Data, &struct{ ID *int64 }{&user}); err != nil || user == 0 {
		t.Fatal(user, err)
	}
	path := fmt.Sprint("/api/user/", user)
	change(d.root, "POST", path+"/quota", fields{"add": 5})
	change(d.admin, "PATCH", path, fields{"unlimited_quota": true})
	change(d.admin, "PATCH", path, fields{"unlimited_quota": true, "display_name": "Eve"})
	change(d.admin, "POST", path+"/quota", fields{"set": 0})
	if diff := cmp.Diff([]grantRow{
		row(-15, budget.Quota, d.admin, 5), row(0, budget.Lifted, d.admin, 3), row(5, budget.Quota, d.root, 2), row(10, budget.Created, d.admin, 1),
	}, d.grants(t, "user", user)); diff != "" {
		t.Errorf("of an account (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]grantRow{{Reason: "unlimited"}, {Reason: "first_start"}}, d.grants(t, "user", d.root.id)); diff != "" {
		t.Errorf("of root (-want +got):\n%s", diff)
	}

	// Values from elsewhere come in beside the API.
	imported, err := d.keys.Import(t.Context(), d.ada.id, key.Patch{Name: new("old"), RemainQuota: new(int64(3)), Cause: budget.Cause{Actor: d.ada.id}}, "sk-from-elsewhere")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]grantRow{{DeltaNano: 6000, Reason: "imported", Actor: d.ada.id}}, d.grants(t, "key", imported.Key.ID)); diff != "" {
		t.Errorf("of an imported key (-want +got):\n%s", diff)
	}
	if got, want := d.checkBooks(t), `{"checked_keys":2,"checked_users":5,"checked_hours":0,"total_differences":0,"differences":[]}`; got != want {
		t.Errorf("the check gives\n%s, want\n%s", got, want)
	}
}

func TestACheckOfTheBooksTellsWhatDiffers(t *testing.T) {
	t.Parallel()
	d := newKeyDesk(t)
	made := d.create(t, d.ada, fields{"remain_quota": 1})
	// More than there was: nobody has held it.
	if err := d.store.ApplyUsage(t.Context(), []usage.Record{{EventID: "e", Time: d.now(), KeyID: made.ID, UserID: d.ada.id, Model: "m", Cost: 2001}}); err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf(`{"checked_keys":1,"checked_users":4,"checked_hours":1,"total_differences":1,"differences":[{"kind":"key","id":%d,"what":"overdrawn","expected":2000,"stored":2001}]}`, made.ID)
	if got := d.checkBooks(t); got != want {
		t.Errorf("the check gives\n%s, want\n%s", got, want)
	}
}

func TestTheBooksAreForAdministrators(t *testing.T) {
	t.Parallel()
	d := newKeyDesk(t)
	for _, path := range []string{"/api/ledger/check", "/api/ledger/?kind=key&id=1"} {
		d.refused(t, path, d.send(t, d.ada.token, "GET", path, nil), 403, "admin_required")
		d.must(t, d.root.token, "GET", path, nil)
	}
	for query, want := range map[string]string{
		"": "invalid_kind", "kind=hour&id=1": "invalid_kind", "kind=key": "id_required", "kind=user&id=-1": "invalid_id", "kind=key&id=x": "invalid_id", "kind=key&id=1&p=-1": "invalid_p",
	} {
		d.refused(t, query, d.send(t, d.admin.token, "GET", "/api/ledger/?"+query, nil), 422, want)
	}
	if rows := d.grants(t, "key", 4711); len(rows) != 0 {
		t.Errorf("a key that is not there: %+v", rows)
	}
}
