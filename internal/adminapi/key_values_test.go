package adminapi_test

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestAKeyIsRotatedListedAndItsOldValueEnded(t *testing.T) {
	t.Parallel()
	d := newKeyDesk(t)
	made := d.create(t, d.ada, fields{"remain_quota": 7})
	path := fmt.Sprint("/api/token/", made.ID)
	rotated := d.must(t, d.ada.token, "POST", path+"/rotate", fields{"grace_seconds": 3600})
	row := rotated.row(t)
	if row.ID != made.ID || row.Key == made.Key || strings.Contains(row.Key, "…") || row.RemainQuota != 7 || rotated.header.Get("ETag") != `"2"` {
		t.Errorf("rotated %+v, ETag %s", row, rotated.header.Get("ETag"))
	}
	for _, value := range []string{made.Key, row.Key} {
		if k, err := d.keys.Authenticate(t.Context(), value); err != nil || k.ID != made.ID {
			t.Errorf("%v, %v", k, err)
		}
	}
	now := d.now().Unix()
	want := fmt.Sprintf(`{"page":1,"page_size":20,"total":2,"items":[{"id":2,"key":"sk-hly…%s","status":"current","created_time":%d,"last_used":%d,"ends_at":-1},{"id":1,"key":"sk-hly…%s","status":"grace","created_time":%d,"last_used":%d,"ends_at":%d}]}`,
		row.Key[len(row.Key)-4:], now, now, made.Key[len(made.Key)-4:], now, now, now+3600)
	if got := string(d.must(t, d.adaRead, "GET", path+"/values", nil).Data); got != want {
		t.Errorf("values\n%s, want\n%s", got, want)
	}
	d.must(t, d.ada.token, "DELETE", path+"/values/1", nil)
	if _, err := d.keys.Authenticate(t.Context(), made.Key); err == nil {
		t.Error("a value that was ended authenticates")
	}
	// An administrator may rotate for somebody, and then sees the value.
	byAdmin := d.must(t, d.admin.token, "POST", path+"/rotate?user_id="+fmt.Sprint(d.ada.id), `{}`).row(t)
	if strings.Contains(byAdmin.Key, "…") {
		t.Errorf("the answer shows %s", byAdmin.Key)
	}
	if _, err := d.keys.Authenticate(t.Context(), row.Key); err == nil {
		t.Error("a value that was replaced at once authenticates")
	}
	d.ms.Add(time.Hour.Milliseconds())
	trail := string(d.must(t, d.admin.token, "GET", "/api/audit/?target=key+"+fmt.Sprint(made.ID), nil).Data)
	for _, part := range []string{`"key.rotate"`, `"key.value.end"`, `grace_seconds`, `value_id`} {
		if !strings.Contains(trail, part) {
			t.Errorf("the trail lacks %s: %s", part, trail)
		}
	}
	for _, value := range []string{made.Key, row.Key, byAdmin.Key} {
		if strings.Contains(trail, value) {
			t.Errorf("the trail has a value: %s", trail)
		}
	}
}

func TestWhatRotationsRefuse(t *testing.T) {
	t.Parallel()
	d := newKeyDesk(t)
	made := d.create(t, d.ada, fields{})
	path := fmt.Sprint("/api/token/", made.ID)
	for _, row := range []struct {
		token, method, path string
		body                any
		status              int
		code                string
	}{
		{d.ada.token, "POST", path + "/rotate", `{"grace_seconds":-1}`, 422, "invalid_grace"},
		{d.ada.token, "POST", path + "/rotate", `{"grace_seconds":9223372036854775807}`, 422, "invalid_grace"},
		{d.ada.token, "POST", path + "/rotate", `{"grace_seconds":31622401}`, 422, "invalid_grace"},
		{d.ada.token, "POST", path + "/rotate", `{"grace_seconds":1.5}`, 400, "invalid_type"},
		{d.ada.token, "POST", path + "/rotate", `{"grace_seconds":null}`, 400, "invalid_type"},
		{d.ada.token, "POST", path + "/rotate", `{"grace_seconds":"1h"}`, 400, "invalid_type"},
		{d.ada.token, "POST", path + "/rotate", `[]`, 400, "invalid_body"},
		{d.bob.token, "POST", path + "/rotate", `{}`, 404, "key_not_found"},
		{d.ada.token, "POST", "/api/token/x/rotate", `{}`, 404, "key_not_found"},
		{d.bob.token, "GET", path + "/values", nil, 404, "key_not_found"},
		{d.ada.token, "GET", path + "/values?p=-1", nil, 422, ""},
		{d.bob.token, "DELETE", path + "/values/1", nil, 404, "key_not_found"},
		{d.ada.token, "DELETE", path + "/values/1", nil, 409, "value_current"},
		{d.ada.token, "DELETE", path + "/values/2", nil, 404, "value_not_found"},
		{d.ada.token, "DELETE", path + "/values/x", nil, 404, "value_not_found"},
	} {
		got := d.send(t, row.token, row.method, row.path, row.body)
		if got.status != row.status || (row.code != "" && got.Code != row.code) {
			t.Errorf("%s %s %v: %d %s %s", row.method, row.path, row.body, got.status, got.Code, got.Message)
		}
	}
	if got := d.send(t, d.adaRead, "POST", path+"/rotate", `{}`); got.status != 403 {
		t.Errorf("a token that may only read rotates: %d", got.status)
	}
	if _, err := d.keys.Authenticate(t.Context(), made.Key); err != nil {
		t.Errorf("the refusals changed something: %v", err)
	}
}
