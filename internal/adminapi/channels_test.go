package adminapi_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"halley/internal/fault"
	"halley/internal/gateway"
	"halley/internal/health"
)

const aChannel = `{"name":"main","kind":"openai","base_url":"https://api.example.com/v1/","keys":["sk-upstream-secret-1234","sk-upstream-secret-5678"],"models":["gpt-4o","gpt-5*"]}`

func TestAChannelIsMadeReadChangedAndDeleted(t *testing.T) {
	t.Parallel()
	d := newOperatorDesk(t)
	made := d.must(t, "POST", "/api/channel/", aChannel)
	want := `{"id":1,"name":"main","kind":"openai","base_url":"https://api.example.com/v1","keys":["1234","5678"],"models":["gpt-4o","gpt-5*"],` +
		`"model_mapping":{},"groups":["default"],"priority":0,"weight":1,"status":1,"tag":"","timeouts":{"connect_ms":0,"first_byte_ms":0,"idle_ms":0,"total_ms":0,"drain_ms":0},` +
		`"on_disconnect":"cancel","api":"chat","probe":{"mode":"off","model":"","every_s":0},"azure":{"api_version":"","authority":"","scope":""},"vertex":{"project":"","location":""},"aws":{"region":""},"proxy_url":"","ca_pem":"",` +
		`"overrides":{"headers":{"set":{},"default":{},"remove":[]},"body":{"set":{},"default":{},"remove":[]}},` +
		`"caps":{"concurrency":0,"rpm":0,"tpm":0,"queue_ms":0},"created_time":1777863721,"version":1}`
	if diff := cmp.Diff(want, string(made.Data)); diff != "" || made.header.Get("ETag") != `"1"` {
		t.Errorf("ETag %s %s", made.header.Get("ETag"), diff)
	}
	if read := d.must(t, "GET", "/api/channel/1", ""); string(read.Data) != strings.TrimSuffix(want, "}")+`,"health":[],"last_probe":null}` {
		t.Errorf("read back %s", read.Data)
	}
	changed := d.must(t, "PATCH", "/api/channel/1", `{"model_mapping":{"gpt-4o":"azure-4o"},"priority":5,"weight":0,"status":2,"tag":"eu","timeouts":{"idle_ms":2500},"on_disconnect":"drain","keys":["5678","sk-upstream-secret-9999"]}`)
	after := as[map[string]any](t, changed)
	for name, value := range map[string]string{
		"model_mapping": `{"gpt-4o":"azure-4o"}`, "priority": "5", "weight": "0", "status": "2", "tag": `"eu"`, "on_disconnect": `"drain"`,
		"keys": `["5678","9999"]`, "models": `["gpt-4o","gpt-5*"]`, "name": `"main"`, "version": "2",
		"timeouts": `{"connect_ms":0,"drain_ms":0,"first_byte_ms":0,"idle_ms":2500,"total_ms":0}`,
	} {
		if got := jsonOf(t, after[name]); got != value {
			t.Errorf("after the change %s is %s, want %s", name, got, value)
		}
	}
	d.must(t, "PATCH", "/api/channel/1", `{"timeouts":{"connect_ms":100,"idle_ms":null,"drain_ms":5000}}`)
	if got := jsonOf(t, as[map[string]any](t, d.must(t, "GET", "/api/channel/1", ""))["timeouts"]); got != `{"connect_ms":100,"drain_ms":5000,"first_byte_ms":0,"idle_ms":0,"total_ms":0}` {
		t.Errorf("timeouts are merged to %s", got)
	}
	if a := d.must(t, "DELETE", "/api/channel/1", ""); a.raw != `{"success":true,"message":""}` {
		t.Errorf("deletion answers %s", a.raw)
	}
	for _, method := range []string{"GET", "PATCH", "DELETE"} {
		if a := d.do(t, admin, method, "/api/channel/1", `{}`); a.status != 404 || a.Code != "channel_not_found" {
			t.Errorf("%s after the deletion: %s", method, a.raw)
		}
	}
	trail := d.trail(t)
	if len(trail) != 4 || !strings.HasPrefix(trail[0], "7 channel.create channel 1 {") || !strings.HasPrefix(trail[3], "7 channel.delete channel 1") {
		t.Errorf("the trail is %q", trail)
	}
	if strings.Contains(strings.Join(trail, "\n"), "upstream-secret") {
		t.Errorf("the trail has a key: %q", trail)
	}
}

func TestAChannelsShapeIsSetKeptAndTakenAway(t *testing.T) {
	t.Parallel()
	d := newOperatorDesk(t)
	d.must(t, "POST", "/api/channel/", strings.TrimSuffix(aChannel, "}")+`,"overrides":{"headers":{"set":{"x-title":"a"}},"body":{"set":{"a.b":[1.50,null]},"remove":["user"]}},"caps":{"concurrency":2,"queue_ms":100}}`)
	for _, step := range []struct{ change, overrides, caps string }{
		{`{"tag":"eu"}`, `{"body":{"default":{},"remove":["user"],"set":{"a.b":[1.5,null]}},"headers":{"default":{},"remove":[],"set":{"X-Title":"a"}}}`, `{"concurrency":2,"queue_ms":100,"rpm":0,"tpm":0}`},
		{`{"overrides":{"body":{"set":null}},"caps":{"rpm":5,"queue_ms":null}}`, `{"body":{"default":{},"remove":["user"],"set":{}},"headers":{"default":{},"remove":[],"set":{"X-Title":"a"}}}`, `{"concurrency":2,"queue_ms":0,"rpm":5,"tpm":0}`},
		{`{"overrides":null,"caps":null}`, `{"body":{"default":{},"remove":[],"set":{}},"headers":{"default":{},"remove":[],"set":{}}}`, `{"concurrency":0,"queue_ms":0,"rpm":0,"tpm":0}`},
	} {
		d.must(t, "PATCH", "/api/channel/1", step.change)
		got := as[map[string]any](t, d.must(t, "GET", "/api/channel/1", ""))
		if o, c := jsonOf(t, got["overrides"]), jsonOf(t, got["caps"]); o != step.overrides || c != step.caps {
			t.Errorf("after %s the overrides are %s and the caps %s", step.change, o, c)
		}
	}
	if trail := d.trail(t); !strings.Contains(trail[0], `"X-Title"`) || !strings.Contains(trail[2], `"rpm":5`) {
		t.Errorf("the trail is %q", trail)
	}
}

func TestAChannelIsChangedOnlyAtTheVersionThatWasSeen(t *testing.T) {
	t.Parallel()
	d := newOperatorDesk(t)
	d.must(t, "POST", "/api/channel", aChannel)
	if a := d.do(t, admin, "PATCH", "/api/channel/1/", `{"tag":"x"}`, `If-Match: "1"`); a.status != 200 || a.header.Get("ETag") != `"2"` {
		t.Error(a.raw)
	}
	if a := d.do(t, admin, "PATCH", "/api/channel/1", `{"tag":"y"}`, `If-Match: "1"`); a.status != 412 || a.Code != "version_conflict" {
		t.Error(a.raw)
	}
	if a := d.do(t, admin, "PATCH", "/api/channel/1", `{"tag":"y"}`, `If-Match: one`); a.status != 400 {
		t.Error(a.raw)
	}
}

func TestBadChannelsAreRefusedByName(t *testing.T) {
	t.Parallel()
	d := newOperatorDesk(t)
	d.must(t, "POST", "/api/channel/", aChannel)
	before := d.must(t, "GET", "/api/channel/1", "").raw
	for _, tc := range []struct {
		body   string
		status int
		code   string
		param  string
	}{
		{``, 400, "invalid_body", ""},
		{`{`, 400, "invalid_body", ""},
		{`[]`, 400, "", ""},
		{`{"name":null}`, 400, "invalid_type", "name"},
		{`{"name":5}`, 400, "invalid_type", "name"},
		{`{"name":""}`, 422, "name_required", "name"},
		{`{"kind":"x"}`, 422, "invalid_kind", "kind"},
		{`{"base_url":null}`, 400, "invalid_type", "base_url"},
		{`{"base_url":"ftp://x"}`, 422, "invalid_base_url", "base_url"},
		{`{"base_url":"http://127.0.0.1:1/v1"}`, 422, "private_base_url", "base_url"},
		{`{"base_url":"http://localhost/v1"}`, 422, "private_base_url", "base_url"},
		{`{"keys":"sk"}`, 400, "invalid_type", "keys"},
		{`{"keys":[5]}`, 400, "invalid_type", "keys.0"},
		{`{"keys":null}`, 400, "invalid_type", "keys"},
		{`{"keys":[null]}`, 400, "invalid_type", "keys.0"},
		{`{"models":["a",null]}`, 400, "invalid_type", "models.1"},
		{`{"groups":[null]}`, 400, "invalid_type", "groups.0"},
		{`{"model_mapping":{"a":null}}`, 400, "invalid_type", "model_mapping.a"},
		{`{"overrides":{"headers":{"set":{"x-org":null}}}}`, 400, "invalid_type", "overrides.headers.set.x-org"},
		{`{"overrides":{"body":{"remove":[null]}}}`, 400, "invalid_type", "overrides.body.remove.0"},
		{`{"keys":[""]}`, 422, "invalid_keys", "keys"},
		{`{"models":[]}`, 422, "models_required", "models"},
		{`{"proxy_url":null}`, 400, "invalid_type", "proxy_url"},
		{`{"proxy_url":"ftp://x"}`, 422, "invalid_proxy_url", "proxy_url"},
		{`{"ca_pem":"x"}`, 422, "invalid_ca_pem", "ca_pem"},
		{`{"azure":null}`, 400, "invalid_type", "azure"},
		{`{"azure":{"api_version":5}}`, 400, "invalid_type", "azure.api_version"},
		{`{"azure":{"api_version":"2023-05-15"}}`, 422, "invalid_azure", "azure.api_version"},
		{`{"base_url":"https://evil.example.com"}`, 422, "keys_required", "keys"},
		{`{"models":"gpt"}`, 400, "invalid_type", "models"},
		{`{"model_mapping":["a"]}`, 400, "invalid_type", "model_mapping"},
		{`{"model_mapping":{"a":1}}`, 400, "invalid_type", "model_mapping.a"},
		{`{"model_mapping":{"a":"b","b":"a"}}`, 422, "invalid_model_mapping", "model_mapping"},
		{`{"overrides":[]}`, 400, "invalid_type", "overrides"},
		{`{"overrides":{"headers":{"set":{"a":1}}}}`, 400, "invalid_type", "overrides.headers.set.a"},
		{`{"overrides":{"headers":{"set":{"authorization":"x"}}}}`, 422, "invalid_overrides", "overrides.headers.set"},
		{`{"overrides":{"body":{"set":{"model":"x"}}}}`, 422, "invalid_overrides", "overrides.body.set"},
		{`{"overrides":{"body":{"remove":["a[x]"]}}}`, 422, "invalid_overrides", "overrides.body.remove"},
		{`{"caps":{"rpm":-1}}`, 422, "invalid_caps", "caps.rpm"},
		{`{"caps":{"tpm":1.5}}`, 400, "invalid_type", "caps.tpm"},
		{`{"groups":["nowhere"]}`, 422, "invalid_group", "groups"},
		{`{"priority":1.5}`, 400, "invalid_type", "priority"},
		{`{"priority":9223372036854775808}`, 400, "invalid_type", "priority"},
		{`{"weight":-1}`, 422, "invalid_weight", "weight"},
		{`{"status":3}`, 422, "invalid_status", "status"},
		{`{"status":"1"}`, 400, "invalid_type", "status"},
		{`{"timeouts":{"idle_ms":-1}}`, 422, "invalid_timeouts", "timeouts.idle_ms"},
		{`{"timeouts":{"drain_ms":-1}}`, 422, "invalid_timeouts", "timeouts.drain_ms"},
		{`{"timeouts":{"idle_ms":"1s"}}`, 400, "invalid_type", "timeouts.idle_ms"},
		{`{"timeouts":null}`, 400, "invalid_type", "timeouts"},
		{`{"on_disconnect":"x"}`, 422, "invalid_on_disconnect", "on_disconnect"},
		{`{"tag":"` + strings.Repeat("x", 65) + `"}`, 422, "tag_too_long", "tag"},
		{`{"name":"` + strings.Repeat("x", 1<<20) + `"}`, 413, "request_too_large", ""},
	} {
		a := d.do(t, admin, "PATCH", "/api/channel/1", tc.body)
		if a.status != tc.status || (tc.code != "" && a.Code != tc.code) || a.Param != tc.param {
			t.Errorf("%.80s: %d %.300s, want %d %s %s", tc.body, a.status, a.raw, tc.status, tc.code, tc.param)
		}
	}
	if after := d.must(t, "GET", "/api/channel/1", "").raw; after != before {
		t.Errorf("refused changes have changed something:\n%s\n%s", before, after)
	}
	if a := d.do(t, admin, "POST", "/api/channel/", `{"kind":"openai"}`); a.status != 422 || a.Code != "name_required" {
		t.Error(a.raw)
	}
	for _, id := range []string{"0", "-1", "x", "99999999999999999999", "2"} {
		if a := d.do(t, admin, "GET", "/api/channel/"+id, ""); a.status != 404 {
			t.Errorf("id %s: %s", id, a.raw)
		}
	}
}

func TestChannelsAreListedNewestFirstInPages(t *testing.T) {
	t.Parallel()
	d := newOperatorDesk(t)
	if got := d.must(t, "GET", "/api/channel/", "").Data; string(got) != `{"page":1,"page_size":20,"total":0,"items":[]}` {
		t.Errorf("without channels: %s", got)
	}
	for i := range 25 {
		d.must(t, "POST", "/api/channel/", fmt.Sprintf(`{"name":"c%d","kind":"demo","models":["demo-%d"],"status":%d,"tag":"t%d"}`, i, i, 1+i%2, i%5))
	}
	type item struct {
		ID int64 `json:"id"`
	}
	ids := func(query string) (list []int64, page pageJSON[item]) {
		page = as[pageJSON[item]](t, d.must(t, "GET", "/api/channel?"+query, ""))
		for _, i := range page.Items {
			list = append(list, i.ID)
		}
		return list, page
	}
	if list, page := ids("p=3&page_size=10"); !slices.Equal(list, []int64{5, 4, 3, 2, 1}) || page.Total != 25 || page.Page != 3 || page.PageSize != 10 {
		t.Errorf("%v %+v", list, page)
	}
	if list, page := ids("p=0&page_size=1000"); len(list) != 25 || page.PageSize != 100 || page.Page != 1 {
		t.Errorf("%d %+v", len(list), page)
	}
	if list, page := ids("p=9223372036854775807"); len(list) != 0 || page.Total != 25 {
		t.Errorf("past the end: %v %+v", list, page)
	}
	for query, want := range map[string]int{"status=2": 12, "keyword=DEMO-24": 1, "keyword=c1": 11, "tag=t3": 5, "kind=openai": 0, "group=default": 25, "group=vip": 0, "status=1&tag=t0": 3} {
		if _, page := ids(query); page.Total != want {
			t.Errorf("%s finds %d, want %d", query, page.Total, want)
		}
	}
	for _, query := range []string{"p=-1", "page_size=x", "status=-1"} {
		if a := d.do(t, admin, "GET", "/api/channel/?"+query, ""); a.status != 422 {
			t.Errorf("%s: %s", query, a.raw)
		}
	}
}

func TestOnlyAdministratorsSeeChannels(t *testing.T) {
	t.Parallel()
	d := newOperatorDesk(t)
	d.must(t, "POST", "/api/channel/", aChannel)
	for _, tc := range []struct {
		who    deskCaller
		method string
		path   string
		status int
		code   string
	}{
		{nobody, "GET", "/api/channel/", 401, "missing_credential"},
		{"sk-key", "GET", "/api/channel/", 401, "wrong_credential"},
		{user, "GET", "/api/channel/", 403, "admin_required"},
		{user, "GET", "/api/channel/1", 403, "admin_required"},
		{user, "POST", "/api/channel/1/test", 403, "admin_required"},
		{user, "DELETE", "/api/channel/1", 403, "admin_required"},
		{reader, "GET", "/api/channel/1", 200, ""},
		{reader, "DELETE", "/api/channel/1", 403, "read_only_token"},
		{reader, "PATCH", "/api/channel/1", 403, "read_only_token"},
		{user, "GET", "/api/group/", 403, "admin_required"},
		{user, "GET", "/api/price/", 403, "admin_required"},
		{user, "PUT", "/api/price/x", 403, "admin_required"},
		{reader, "PUT", "/api/price/x", 403, "read_only_token"},
		{nobody, "GET", "/api/user/self/models", 401, "missing_credential"},
	} {
		if a := d.do(t, tc.who, tc.method, tc.path, `{}`); a.status != tc.status || a.Code != tc.code {
			t.Errorf("%s %s by %q: %s", tc.method, tc.path, tc.who, a.raw)
		}
	}
}

func TestAChannelIsTested(t *testing.T) {
	t.Parallel()
	d := newOperatorDesk(t)
	d.must(t, "POST", "/api/channel/", aChannel)
	d.tester.result = gateway.ChannelTest{OK: true, Status: 200, Latency: 1500 * time.Microsecond, FirstByte: time.Millisecond, Answer: "hi"}
	a := d.must(t, "POST", "/api/channel/1/test", `{"model":"gpt-5-mini","stream":true}`)
	if string(a.Data) != `{"ok":true,"status":200,"latency_ms":2,"first_byte_ms":1,"message":"","answer":"hi"}` || d.tester.asked != "1 gpt-5-mini" || !d.tester.stream {
		t.Errorf("%s after asking %q", a.Data, d.tester.asked)
	}
	d.tester.result = gateway.ChannelTest{Status: 401, Message: "Incorrect API key provided: sk-upstream-secret-1234."}
	for _, body := range []string{``, `{}`, `{"model":" "}`} {
		a = d.must(t, "POST", "/api/channel/1/test", body)
		if d.tester.asked != "1 gpt-4o" || d.tester.stream {
			t.Errorf("without a model it asks %q", d.tester.asked)
		}
	}
	if strings.Contains(a.raw, "upstream-secret") || !strings.Contains(a.raw, "provided: [redacted].") || !strings.Contains(a.raw, `"ok":false`) {
		t.Errorf("what the upstream said is shown as %s", a.raw)
	}
	d.must(t, "PATCH", "/api/channel/1", `{"models":["gpt-*"]}`)
	if a := d.do(t, admin, "POST", "/api/channel/1/test", `{}`); a.status != 422 || a.Code != "model_required" {
		t.Error(a.raw)
	}
	for body, status := range map[string]int{`{"model":5}`: 400, `{"stream":"yes"}`: 400, `{"model":null}`: 400} {
		if a := d.do(t, admin, "POST", "/api/channel/1/test", body); a.status != status {
			t.Errorf("%s: %s", body, a.raw)
		}
	}
	if a := d.do(t, admin, "POST", "/api/channel/9/test", `{}`); a.status != 404 {
		t.Error(a.raw)
	}
	d.tester.err = fault.Wrap(errors.New("inside"), fault.Internal, "internal_error", "Something went wrong on our side.")
	if a := d.do(t, admin, "POST", "/api/channel/1/test", `{"model":"m"}`); a.status != 500 || strings.Contains(a.raw, "inside") {
		t.Error(a.raw)
	}
}

func jsonOf(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestAChannelShowsHowItIsDoing(t *testing.T) {
	t.Parallel()
	d := newOperatorDesk(t)
	d.must(t, "POST", "/api/channel/", aChannel)
	attempt, _ := d.health.Begin(d.clock, health.Target{Channel: 1, Model: "gpt-4o"}, false)
	attempt.Done(d.clock, health.Outcome{Class: health.RateLimited, RetryAfter: time.Minute, Detail: "status 429"})
	shown := as[struct {
		Health []map[string]any `json:"health"`
	}](t, d.must(t, "GET", "/api/channel/1", "")).Health
	if len(shown) != 2 || shown[0]["state"] != "closed" || shown[0]["model"] != "" {
		t.Fatalf("health is %v, want that of the key and that of the model", shown)
	}
	until := float64(d.clock.Add(time.Minute).Unix())
	if m := shown[1]; m["model"] != "gpt-4o" || m["state"] != "cooling-down" || m["reason"] != "rate limited, retry after 1m0s: status 429" || m["until"] != until {
		t.Errorf("health of the model is %v", m)
	}
}
