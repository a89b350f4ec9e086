package adminapi_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"halley/internal/fault"
	"halley/internal/gateway"
	"halley/internal/money"
	"halley/internal/usage"
)

func TestAPresetGivesWhatIsLeftOut(t *testing.T) {
	t.Parallel()
	d := newOperatorDesk(t)
	type preset struct{ ID, Kind, Example string }
	list := as[[]preset](t, d.must(t, "GET", "/api/channel/presets", ""))
	if !slices.Contains(list, preset{"azure", "azure", "https://NAME.openai.azure.com"}) || len(list) < 15 {
		t.Errorf("the presets are %v", list)
	}
	made := d.must(t, "POST", "/api/channel/", `{"preset":"groq","models":["llama*"],"name":"mine"}`)
	if c := as[map[string]any](t, made); c["name"] != "mine" || c["kind"] != "openai" || c["base_url"] != "https://api.groq.com/openai/v1" {
		t.Errorf("made %s", made.Data)
	}
	for body, code := range map[string]string{
		`{"preset":"nobody","models":["m"]}`: "invalid_preset",
		`{"preset":"azure","models":["m"]}`:  "base_url_required",
		`{"preset":"ollama","models":["m"]}`: "private_base_url",
		`{"preset":null,"models":["m"]}`:     "invalid_type",
		`{"models":["m"]}`:                   "name_required",
	} {
		if a := d.do(t, admin, "POST", "/api/channel/", body); a.Code != code {
			t.Errorf("%s: %s", body, a.raw)
		}
	}
}

func TestAProxyIsNeverShownWithItsPassword(t *testing.T) {
	t.Parallel()
	d := newOperatorDesk(t)
	body := strings.TrimSuffix(aChannel, "}") + `,"proxy_url":"http://me:the-password@proxy.example.com:3128","azure":{"api_version":"2025-01-01-preview","scope":null}}`
	made := d.must(t, "POST", "/api/channel/", body)
	shown := d.must(t, "GET", "/api/channel/1", "").raw + d.must(t, "GET", "/api/channel/", "").raw + strings.Join(d.trail(t), "") + made.raw
	if !strings.Contains(made.raw, `"proxy_url":"http://***@proxy.example.com:3128"`) || strings.Contains(shown, "the-password") {
		t.Errorf("shown as %s", shown)
	}
	again := as[map[string]any](t, d.must(t, "PATCH", "/api/channel/1", `{"proxy_url":"http://***@proxy.example.com:3128","azure":{"authority":"https://login.microsoftonline.us"}}`))
	if got := jsonOf(t, again["azure"]); got != `{"api_version":"2025-01-01-preview","authority":"https://login.microsoftonline.us","scope":""}` || again["proxy_url"] != "http://***@proxy.example.com:3128" {
		t.Errorf("after what was read is sent back: %v", again)
	}
	d.tester.result = gateway.ChannelTest{Status: 502, Message: "me:the-password is wrong", Answer: "the-password, sk-upstream-secret-1234"}
	if a := d.must(t, "POST", "/api/channel/1/test", ``); strings.Contains(a.raw, "the-password") || strings.Contains(a.raw, "upstream-secret") {
		t.Errorf("a test shows %s", a.raw)
	}
}

func TestAChannelThatIsNotSavedIsTriedOut(t *testing.T) {
	t.Parallel()
	d := newOperatorDesk(t)
	d.tester.result, d.tester.models = gateway.ChannelTest{OK: true, Status: 200, Answer: "hi"}, []string{"a", "b"}
	const draft = `{"preset":"mistral","keys":["sk-the-new-key-1234"],"model":"mistral-small","stream":true}`
	if a := d.must(t, "POST", "/api/channel/test", draft); !strings.Contains(a.raw, `"answer":"hi"`) || d.tester.asked != "0 mistral-small" || !d.tester.stream {
		t.Errorf("%s after asking %q", a.raw, d.tester.asked)
	}
	if a := d.must(t, "POST", "/api/channel/models", draft); string(a.Data) != `{"models":["a","b"]}` || d.tester.asked != "0 https://api.mistral.ai/v1 sk-the-new-key-1234" {
		t.Errorf("%s after asking %q", a.raw, d.tester.asked)
	}
	for path, rows := range map[string]map[string]string{
		"/api/channel/test": {
			`{"kind":"openai","base_url":"http://10.0.0.1","model":"m"}`: "private_base_url",
			`{"preset":"mistral"}`:                        "model_required",
			`{"preset":"mistral","model":"m","stream":1}`: "invalid_type",
			`{}`: "kind_required",
		},
		"/api/channel/models": {`{"preset":"x"}`: "invalid_preset", `[]`: "invalid_body"},
	} {
		for body, code := range rows {
			if a := d.do(t, admin, "POST", path, body); a.Code != code {
				t.Errorf("%s %s: %s", path, body, a.raw)
			}
		}
	}
	if a := d.must(t, "GET", "/api/channel/", ""); !strings.Contains(a.raw, `"total":0`) {
		t.Errorf("something was saved: %s", a.raw)
	}
	if trail := d.trail(t); len(trail) != 2 || !strings.HasPrefix(trail[0], "7 channel.test unsaved channel at https://api.mistral.ai/v1 {") || !strings.HasPrefix(trail[1], "7 channel.models unsaved") || strings.Contains(trail[0]+trail[1], "new-key") {
		t.Errorf("the trail is %q", trail)
	}
}

func TestAChangeIsTriedOutBeforeItIsSaved(t *testing.T) {
	t.Parallel()
	d := newOperatorDesk(t)
	saved := as[map[string]any](t, d.must(t, "POST", "/api/channel/", aChannel))
	d.tester.result, d.tester.models = gateway.ChannelTest{OK: true, Status: 200}, []string{"a"}
	d.must(t, "POST", "/api/channel/test", `{"channel_id":1,"models":["another"],"timeouts":{"total_ms":5000}}`)
	if d.tester.asked != "0 another" {
		t.Errorf("asked %q", d.tester.asked)
	}
	d.must(t, "POST", "/api/channel/models", `{"channel_id":1}`)
	if !strings.Contains(d.tester.asked, "sk-upstream-secret-1234") {
		t.Errorf("the saved upstream key is not used: %q", d.tester.asked)
	}
	if now := as[map[string]any](t, d.must(t, "GET", "/api/channel/1", "")); now["version"] != saved["version"] || jsonOf(t, now["models"]) != jsonOf(t, saved["models"]) {
		t.Errorf("saved is %v", now)
	}
	d.tester.asked = ""
	for body, code := range map[string]string{
		`{"channel_id":1,"model":"m","base_url":"https://elsewhere.example.com"}`: "keys_required",
		`{"channel_id":1,"model":"m","preset":"groq"}`:                            "invalid_preset",
		`{"channel_id":9,"model":"m"}`:                                            "channel_not_found",
		`{"channel_id":null,"model":"m"}`:                                         "invalid_type",
	} {
		if a := d.do(t, admin, "POST", "/api/channel/test", body); a.Code != code {
			t.Errorf("%s: %s", body, a.raw)
		}
	}
	if d.tester.asked != "" {
		t.Errorf("after a refusal %q was asked", d.tester.asked)
	}
}

func TestAnUpstreamsModelsAreShown(t *testing.T) {
	t.Parallel()
	d := newOperatorDesk(t)
	d.must(t, "POST", "/api/channel/", aChannel)
	d.tester.models = []string{"gpt-4o"}
	if a := d.must(t, "GET", "/api/channel/1/models", ""); string(a.Data) != `{"models":["gpt-4o"]}` {
		t.Error(a.raw)
	}
	d.tester.err = fault.New(fault.BadGateway, "upstream_error", "The upstream's models cannot be listed: status 401: no.")
	if a := d.do(t, admin, "GET", "/api/channel/1/models", ""); a.status != 502 || a.Code != "upstream_error" || !strings.Contains(a.Message, "status 401") {
		t.Error(a.raw)
	}
	if a := d.do(t, admin, "GET", "/api/channel/9/models", ""); a.status != 404 {
		t.Error(a.raw)
	}
}

func TestACopyAndBulkActionsLeaveATrail(t *testing.T) {
	t.Parallel()
	d := newOperatorDesk(t)
	d.must(t, "POST", "/api/channel/", strings.Replace(aChannel, `"name"`, `"tag":"eu","name"`, 1))
	copied := as[map[string]any](t, d.must(t, "POST", "/api/channel/1/duplicate", ""))
	if copied["id"] != 2.0 || copied["name"] != "main copy" || copied["status"] != 2.0 || jsonOf(t, copied["keys"]) != `["1234","5678"]` {
		t.Errorf("the copy is %v", copied)
	}
	for _, step := range []struct{ body, changed string }{
		{`{"action":"enable","tag":"eu"}`, `{"changed":[2]}`},
		{`{"action":"disable","ids":[1,2,3]}`, `{"changed":[1,2]}`},
		{`{"action":"disable","ids":[1]}`, `{"changed":[]}`},
		{`{"action":"delete","ids":[2]}`, `{"changed":[2]}`},
	} {
		if a := d.must(t, "POST", "/api/channel/bulk", step.body); string(a.Data) != step.changed {
			t.Errorf("%s: %s", step.body, a.raw)
		}
	}
	for body, status := range map[string]int{`{"action":"delete"}`: 422, `{"action":"drop","ids":[1]}`: 422, `{"action":null,"ids":[1]}`: 400, `{"action":"delete","ids":"1"}`: 400, ``: 400} {
		if a := d.do(t, admin, "POST", "/api/channel/bulk", body); a.status != status {
			t.Errorf("%s: %s", body, a.raw)
		}
	}
	if a := d.do(t, admin, "POST", "/api/channel/9/duplicate", ""); a.status != 404 {
		t.Error(a.raw)
	}
	want := []string{"create channel 1", "duplicate channel 2", "enable channel 2", "disable channel 1", "disable channel 2", "delete channel 2"}
	trail := d.trail(t)
	if len(trail) != len(want) {
		t.Fatalf("the trail is %q", trail)
	}
	for i, line := range trail {
		if !strings.HasPrefix(line, "7 channel."+want[i]) {
			t.Errorf("entry %d is %q, want %q", i, line, want[i])
		}
	}
}

func TestAChannelsSpendIsSummedUp(t *testing.T) {
	t.Parallel()
	d := newOperatorDesk(t)
	d.must(t, "POST", "/api/channel/", aChannel)
	var records []usage.Record
	for i, r := range []struct {
		channel int64
		age     time.Duration
		status  int
	}{{1, time.Hour, 200}, {1, 20 * 24 * time.Hour, 200}, {1, 40 * 24 * time.Hour, 200}, {1, time.Minute, 502}, {2, time.Hour, 200}} {
		records = append(records, usage.Record{
			EventID: fmt.Sprint(i), RequestID: fmt.Sprint(i), Time: d.clock.Add(-r.age), ChannelID: r.channel, Model: "m", Status: r.status,
			Cost: money.USD / 4, Tokens: usage.Tokens{Prompt: 10, Completion: 3},
		})
	}
	if err := d.db.ApplyUsage(t.Context(), records); err != nil {
		t.Fatal(err)
	}
	now := d.clock.Unix()
	for query, want := range map[string]string{
		"": fmt.Sprintf(`{"from":%d,"to":%d,"requests":3,"errors":1,"tokens_in":30,"tokens_out":9,"usd":0.75}`, now+1-30*24*3600, now+1),
		fmt.Sprintf("?from=%d&to=%d", now-7200, now-1800): fmt.Sprintf(`{"from":%d,"to":%d,"requests":1,"errors":0,"tokens_in":10,"tokens_out":3,"usd":0.25}`, now-7200, now-1800),
		"?from=5&to=5":                      `{"from":5,"to":5,"requests":0,"errors":0,"tokens_in":0,"tokens_out":0,"usd":0}`,
		fmt.Sprintf("?from=0&to=%d", now+1): fmt.Sprintf(`{"from":0,"to":%d,"requests":4,"errors":1,"tokens_in":40,"tokens_out":12,"usd":1}`, now+1),
	} {
		if a := d.must(t, "GET", "/api/channel/1/spend"+query, ""); string(a.Data) != want {
			t.Errorf("%s: %s, want %s", query, a.Data, want)
		}
	}
	for _, query := range []string{"/api/channel/1/spend?from=x", "/api/channel/spend?to=x"} {
		if a := d.do(t, admin, "GET", query, ""); a.status != 422 {
			t.Error(a.raw)
		}
	}
	for query, want := range map[string]string{
		"": fmt.Sprintf(`[{"channel_id":1,"from":%[1]d,"to":%[2]d,"requests":3,"errors":1,"tokens_in":30,"tokens_out":9,"usd":0.75},{"channel_id":2,"from":%[1]d,"to":%[2]d,"requests":1,"errors":0,"tokens_in":10,"tokens_out":3,"usd":0.25}]`, now+1-30*24*3600, now+1),
		fmt.Sprintf("?from=%d&to=%d", now-90, now-30): fmt.Sprintf(`[{"channel_id":1,"from":%d,"to":%d,"requests":1,"errors":1,"tokens_in":10,"tokens_out":3,"usd":0.25}]`, now-90, now-30),
		"?from=5&to=5": `[]`,
	} {
		if a := d.must(t, "GET", "/api/channel/spend"+query, ""); string(a.Data) != want {
			t.Errorf("of all, %s: %s, want %s", query, a.Data, want)
		}
	}
	if a := d.do(t, admin, "GET", "/api/channel/9/spend", ""); a.status != 404 {
		t.Error(a.raw)
	}
}

func TestActionsOnChannelsAreForAdministratorsWhoMayWrite(t *testing.T) {
	t.Parallel()
	d := newOperatorDesk(t)
	d.must(t, "POST", "/api/channel/", aChannel)
	for _, path := range []string{"/api/channel/test", "/api/channel/models", "/api/channel/bulk", "/api/channel/1/duplicate"} {
		if a := d.do(t, user, "POST", path, `{}`); a.status != 403 || a.Code != "admin_required" {
			t.Errorf("%s by a user: %s", path, a.raw)
		}
		if a := d.do(t, reader, "POST", path, `{}`); a.status != 403 || a.Code != "read_only_token" {
			t.Errorf("%s by a reader: %s", path, a.raw)
		}
	}
	for _, path := range []string{"/api/channel/presets", "/api/channel/1/models", "/api/channel/1/spend", "/api/channel/spend"} {
		if a := d.do(t, user, "GET", path, ``); a.status != 403 || a.Code != "admin_required" {
			t.Errorf("%s by a user: %s", path, a.raw)
		}
	}
}
