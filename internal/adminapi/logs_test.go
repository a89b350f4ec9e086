package adminapi_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"halley/internal/budget"
	"halley/internal/key"
	"halley/internal/usage"
)

// spend makes a key of the user and applies one record of it per change.
func (p *people) spend(t *testing.T, userID int64, keyName string, changes ...func(*usage.Record)) (keyID int64) {
	t.Helper()
	keyID, err := p.store.InsertKey(t.Context(), &key.Key{UserID: userID, Status: key.Enabled, Name: keyName, ExpiresAt: key.Never, Sealed: []byte{1}, Hash: []byte(keyName)}, 100, budget.Cause{})
	if err != nil {
		t.Fatal(err)
	}
	batch := make([]usage.Record, len(changes))
	for i, change := range changes {
		batch[i] = usage.Record{
			EventID: fmt.Sprint(keyName, i), RequestID: fmt.Sprint("req-", keyName, "-", i), Time: p.now().Add(-time.Hour), KeyID: keyID, KeyName: keyName, UserID: userID,
			Model: "gpt-4o", ServedModel: "gpt-4o-2024-11-20", ChannelID: 3, Group: "default", Dialect: "openai", Endpoint: "chat", Stream: true, Status: 200, Attempts: 1,
			Source: usage.FromProvider, Tokens: usage.Tokens{Prompt: 100, CachedRead: 20, CacheWrite5m: 3, CacheWrite1h: 4, Completion: 50, Reasoning: 10},
			Cost: 1_234_567, Absorbed: 1, Held: 9_999_000, PriceVersion: "catalog-1", Latency: 1500 * time.Millisecond, FirstByte: 250 * time.Millisecond, EndUser: "eve", IP: "192.0.2.7",
		}
		change(&batch[i])
	}
	if err := p.store.ApplyUsage(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	return keyID
}

func plain(*usage.Record) {}

func refusedModel(r *usage.Record) {
	r.Model, r.Status, r.ErrorCode, r.Cost, r.Absorbed, r.Held, r.Tokens, r.Source, r.Attempts, r.ChannelID = "claude", 403, "model_not_allowed", 0, 0, 0, usage.Tokens{}, usage.NoUsage, 0, 0
}

func TestAUsageRecordHasTheContractsShape(t *testing.T) {
	t.Parallel()
	p := newPeople(t)
	id, token := p.user(t, "ada", "user")
	keyID := p.spend(t, id, "k", plain)
	got := p.send(t, caller{token: token}, "GET", "/api/log/self?page_size=1", nil)
	want := fmt.Sprintf(`{"success":true,"message":"","data":{"page":1,"page_size":1,"total":1,"items":[{"id":1,"time":%d,"request_id":"req-k-0","key_id":%d,"key_name":"k","user_id":%d,`+
		`"model":"gpt-4o","served_model":"gpt-4o-2024-11-20","channel_id":3,"group":"default","dialect":"openai","endpoint":"chat","stream":true,"status":200,"error_code":"",`+
		`"prompt_tokens":100,"cached_tokens":20,"cache_write_tokens":7,"completion_tokens":50,"reasoning_tokens":10,"quota":"617.2835","usd":0.001234567,"absorbed":"0.0005","price_version":"catalog-1",`+
		`"held":"4999.5","latency_ms":1500,"first_byte_ms":250,"attempts":1,"usage_source":"provider","end_user":"eve","ip":"192.0.2.7",`+
		`"cache_write_1h_tokens":4,"input_audio_tokens":0,"input_image_tokens":0,"output_audio_tokens":0,"output_image_tokens":0,"searches":0,"parent_id":0}]}}`, p.now().Add(-time.Hour).Unix(), keyID, id)
	if diff := cmp.Diff(want, got.text); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestUsageRecordsAreFilteredAndPaged(t *testing.T) {
	t.Parallel()
	p := newPeople(t)
	ada, adaToken := p.user(t, "ada", "user")
	bob, _ := p.user(t, "bob", "user")
	at := func(before time.Duration) func(*usage.Record) {
		return func(r *usage.Record) { r.Time = p.now().Add(-before) }
	}
	first := p.spend(t, ada, "first", at(3*time.Hour), at(2*time.Hour), refusedModel)
	second := p.spend(t, ada, "second", plain)
	foreign := p.spend(t, bob, "foreign", plain, refusedModel)

	type page struct {
		Total int
		Items []struct {
			RequestID string `json:"request_id"`
		}
	}
	for _, row := range []struct {
		token, path string
		total       int
		items       []string
	}{
		{adaToken, "/api/log/self", 4, []string{"req-second-0", "req-first-2", "req-first-1", "req-first-0"}},
		{adaToken, "/api/log/self/?page_size=2", 4, []string{"req-second-0", "req-first-2"}},
		{adaToken, "/api/log/self?p=2&page_size=2", 4, []string{"req-first-1", "req-first-0"}},
		{adaToken, "/api/log/self?p=9", 4, nil},
		{adaToken, "/api/log/self?p=9223372036854775807&page_size=100", 4, nil},
		{adaToken, fmt.Sprint("/api/log/self?key_id=", second), 1, []string{"req-second-0"}},
		{adaToken, fmt.Sprint("/api/log/self?key_id=", foreign), 0, nil},
		{adaToken, fmt.Sprint("/api/log/self?user_id=", bob), 4, []string{"req-second-0", "req-first-2", "req-first-1", "req-first-0"}},
		{adaToken, "/api/log/self?status=403", 1, []string{"req-first-2"}},
		{adaToken, "/api/log/self?status=200&key_id=" + fmt.Sprint(first), 2, []string{"req-first-1", "req-first-0"}},
		{adaToken, "/api/log/self?errors=true", 1, []string{"req-first-2"}},
		{adaToken, "/api/log/self?errors=false", 4, []string{"req-second-0", "req-first-2", "req-first-1", "req-first-0"}},
		{p.root, "/api/log/?errors=true", 2, []string{"req-foreign-1", "req-first-2"}},
		{adaToken, "/api/log/self?model=claude", 1, []string{"req-first-2"}},
		{adaToken, "/api/log/self?model=%00", 0, nil},
		{adaToken, "/api/log/self?request_id=req-first-1", 1, []string{"req-first-1"}},
		{adaToken, "/api/log/self?request_id=req-foreign-0", 0, nil},
		{adaToken, fmt.Sprint("/api/log/self?to=", p.now().Add(-2*time.Hour).Unix()), 2, []string{"req-first-1", "req-first-0"}},
		{adaToken, fmt.Sprint("/api/log/self?from=", p.now().Add(-2*time.Hour).Unix(), "&to=", p.now().Add(-2*time.Hour).Unix()), 1, []string{"req-first-1"}},
		{p.root, "/api/log/?status=403", 2, []string{"req-foreign-1", "req-first-2"}},
		{p.root, fmt.Sprint("/api/log?user_id=", bob), 2, []string{"req-foreign-1", "req-foreign-0"}},
		{p.root, fmt.Sprint("/api/log/?key_id=", second), 1, []string{"req-second-0"}},
		{p.root, "/api/log/self", 0, nil},
	} {
		got := into[page](t, p.send(t, caller{token: row.token}, "GET", row.path, nil))
		var items []string
		for _, item := range got.Items {
			items = append(items, item.RequestID)
		}
		if got.Total != row.total || !slices.Equal(items, row.items) {
			t.Errorf("%s: %d, %q, want %d, %q", row.path, got.Total, items, row.total, row.items)
		}
	}
}

func TestUsageIsSummedUp(t *testing.T) {
	t.Parallel()
	p := newPeople(t)
	ada, adaToken := p.user(t, "ada", "user")
	bob, _ := p.user(t, "bob", "user")
	k := p.spend(t, ada, "a", plain, refusedModel, func(r *usage.Record) { r.Time = time.Now() })
	p.spend(t, bob, "b", plain)
	for path, want := range map[string]string{
		"/api/log/self/stat":                           `{"quota":"1234.567","usd":0.002469134,"requests":3,"tokens":300,"rpm":1,"tpm":150,"errors":1,"latency_ms":1500,"first_byte_ms":250}`,
		"/api/log/self/stat?status=403":                `{"quota":"0","usd":0,"requests":1,"tokens":0,"rpm":0,"tpm":0,"errors":1,"latency_ms":0,"first_byte_ms":0}`,
		"/api/log/self/stat?to=1":                      `{"quota":"0","usd":0,"requests":0,"tokens":0,"rpm":1,"tpm":150,"errors":0,"latency_ms":0,"first_byte_ms":0}`,
		fmt.Sprint("/api/log/self/stat/?key_id=", k+1): `{"quota":"0","usd":0,"requests":0,"tokens":0,"rpm":0,"tpm":0,"errors":0,"latency_ms":0,"first_byte_ms":0}`,
	} {
		if got := p.send(t, caller{token: adaToken}, "GET", path, nil); got.status != 200 || string(got.Data) != want {
			t.Errorf("%s: %d %s, want %s", path, got.status, got.text, want)
		}
	}
	for path, requests := range map[string]int{"/api/log/stat": 4, fmt.Sprint("/api/log/stat?user_id=", bob): 1, "/api/log/stat?model=gpt-4o": 3} {
		if got := into[struct{ Requests int }](t, p.asRoot(t, "GET", path, nil)); got.Requests != requests {
			t.Errorf("%s: %d requests, want %d", path, got.Requests, requests)
		}
	}
}

func TestUsageOverTime(t *testing.T) {
	t.Parallel()
	p := newPeople(t)
	ada, adaToken := p.user(t, "ada", "user")
	bob, _ := p.user(t, "bob", "user")
	p.send(t, caller{token: adaToken}, "PATCH", "/api/user/self", `{"time_zone":"Asia/Kolkata"}`)
	midnight := time.Date(2026, 3, 2, 18, 30, 0, 0, time.UTC) // in Kolkata
	at := func(at time.Time) func(*usage.Record) { return func(r *usage.Record) { r.Time = at } }
	keyA := p.spend(t, ada, "a", at(midnight.Add(-time.Second)), at(midnight), func(r *usage.Record) { refusedModel(r); r.Time = midnight })
	p.spend(t, bob, "b", at(midnight))
	day := func(d time.Time, id int64, name string, requests, errors int, usd string) string {
		spent := requests - errors
		latency, firstByte := 1500, 250
		if spent == 0 {
			latency, firstByte = 0, 0
		}
		return fmt.Sprintf(`{"time":%d,"id":%d,"name":%q,"requests":%d,"tokens_in":%d,"tokens_out":%d,"usd":%s,"errors":%d,"latency_ms":%d,"first_byte_ms":%d}`, d.Unix(), id, name, requests, 100*spent, 50*spent, usd, errors, latency, firstByte)
	}
	span := fmt.Sprint("from=", midnight.Add(-time.Hour).Unix(), "&to=", midnight.Unix())
	before := midnight.AddDate(0, 0, -1)
	hour := midnight.Truncate(time.Hour)
	for _, row := range []struct{ token, path, want string }{
		{adaToken, "/api/data/self?" + span, "[" + day(before, 0, "gpt-4o", 1, 0, "0.001234567") + "," + day(midnight, 0, "claude", 1, 1, "0") + "," + day(midnight, 0, "gpt-4o", 1, 0, "0.001234567") + "]"},
		{adaToken, "/api/data/self/?by=key&" + span, "[" + day(before, keyA, "a", 1, 0, "0.001234567") + "," + day(midnight, keyA, "a", 2, 1, "0.001234567") + "]"},
		{adaToken, "/api/data/self?by=user&bucket=hour&" + span, "[" + day(hour, ada, "ada", 3, 1, "0.002469134") + "]"},
		{adaToken, "/api/data/self?by=channel&bucket=hour&" + span, "[" + day(hour, 0, "", 1, 1, "0") + "," + day(hour, 3, "#3", 2, 0, "0.002469134") + "]"},
		{adaToken, "/api/data/self?time_zone=UTC&" + span, "[" + day(time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC), 0, "claude", 1, 1, "0") + "," + day(time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC), 0, "gpt-4o", 2, 0, "0.002469134") + "]"},
		{adaToken, "/api/data/self", "[]"},
		{p.root, "/api/data/?by=user&bucket=hour&" + span, "[" + day(hour, ada, "ada", 3, 1, "0.002469134") + "," + day(hour, bob, "bob", 1, 0, "0.001234567") + "]"},
		{p.root, fmt.Sprint("/api/data?by=user&bucket=hour&user_id=", bob, "&", span), "[" + day(hour, bob, "bob", 1, 0, "0.001234567") + "]"},
		{p.root, "/api/data/self?" + span, "[]"},
	} {
		got := p.send(t, caller{token: row.token}, "GET", row.path, nil)
		if diff := cmp.Diff(row.want, string(got.Data)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", row.path, diff)
		}
	}
	p.spend(t, ada, "recent", plain)
	for _, path := range []string{"/api/data/self", "/api/data/self?bucket=hour"} {
		if got := into[[]any](t, p.send(t, caller{token: adaToken}, "GET", path, nil)); len(got) != 1 {
			t.Errorf("%s by default: %v", path, got)
		}
	}
}

func TestUsageQuestionsThatMakeNoSenseAreRefused(t *testing.T) {
	t.Parallel()
	p := newPeople(t)
	_, adaToken := p.user(t, "ada", "user")
	ada := caller{token: adaToken}
	for query, code := range map[string]string{
		"key_id=-1": "invalid_key_id", "key_id=x": "invalid_key_id", "key_id=1.5": "invalid_key_id", "key_id=9223372036854775808": "invalid_key_id",
		"status=-1": "invalid_status", "status=99": "invalid_status", "status=600": "invalid_status", "errors=many": "invalid_errors", "status=ok": "invalid_status",
		"from=-1": "invalid_from", "to=yesterday": "invalid_to", "from=9223372036854775807": "invalid_from", "from=10&to=9": "invalid_range",
	} {
		p.refused(t, ada, "GET", "/api/log/self/stat?"+query, nil, 422, code)
		p.refused(t, ada, "GET", "/api/log/self?"+query, nil, 422, code)
		p.refused(t, caller{token: p.root}, "GET", "/api/log/?"+query, nil, 422, code)
	}
	for query, code := range map[string]string{
		"p=-1": "invalid_p", "page_size=-1": "invalid_page_size", "page_size=x": "invalid_page_size",
	} {
		p.refused(t, ada, "GET", "/api/log/self?"+query, nil, 422, code)
	}
	for query, code := range map[string]string{
		"by=colour": "invalid_by", "time_zone=Local": "invalid_time_zone", "time_zone=Mars/Base": "invalid_time_zone", "bucket=minute": "invalid_bucket", "from=-1": "invalid_from", "to=x": "invalid_to", "from=10&to=9": "invalid_range",
	} {
		p.refused(t, ada, "GET", "/api/data/self?"+query, nil, 422, code)
		p.refused(t, caller{token: p.root}, "GET", "/api/data/?"+query, nil, 422, code)
	}
	p.refused(t, caller{token: p.root}, "GET", "/api/log/?user_id=-1", nil, 422, "invalid_user_id")
	p.refused(t, caller{token: p.root}, "GET", "/api/data/?user_id=x", nil, 422, "invalid_user_id")
	for _, path := range []string{"/api/log/", "/api/log/stat", "/api/data/"} {
		p.refused(t, ada, "GET", path, nil, 403, "admin_required")
	}
	for _, path := range []string{"/api/log/", "/api/log/self", "/api/log/self/stat", "/api/log/stat", "/api/data/", "/api/data/self"} {
		p.refused(t, caller{}, "GET", path, nil, 401, "missing_credential")
	}
}

// What became of each attempt tells of channels, which only administrators know.
func TestOnlyAdministratorsSeeWhatBecameOfEachAttempt(t *testing.T) {
	t.Parallel()
	p := newPeople(t)
	ada, token := p.user(t, "ada", "user")
	p.spend(t, ada, "k", func(r *usage.Record) {
		r.Trail = []usage.Try{
			{ChannelID: 3, Outcome: "failed", Detail: "status 503", Began: 2 * time.Millisecond, Took: 40 * time.Millisecond},
			{ChannelID: 4, Outcome: "success", Began: 45 * time.Millisecond, Took: time.Second},
		}
	}, plain)
	const told = `"trail":[{"channel_id":3,"outcome":"failed","detail":"status 503","began_ms":2,"took_ms":40},{"channel_id":4,"outcome":"success","detail":"","began_ms":45,"took_ms":1000}]`
	if got := p.send(t, caller{token: p.root}, "GET", "/api/log/?user_id="+fmt.Sprint(ada), nil); strings.Count(got.text, told) != 1 || strings.Count(got.text, `"trail"`) != 1 {
		t.Errorf("an administrator sees %s", got.text)
	}
	for path, want := range map[string]string{"/api/log/export": told, "/api/log/export?format=csv": `"3=failed, 4=success"`} {
		if _, text, err := p.export(t, p.root, path); err != nil || !strings.Contains(text, want) {
			t.Errorf("%s: %v; %s", path, err, text)
		}
	}
	for _, path := range []string{"/api/log/self", "/api/log/self/export", "/api/log/self/export?format=csv"} {
		if _, text, err := p.export(t, token, path); err != nil || strings.Contains(text, "503") || strings.Contains(text, "4=success") || strings.Contains(text, `"trail":`) {
			t.Errorf("%s: %v; a user sees %s", path, err, text)
		}
	}
}
