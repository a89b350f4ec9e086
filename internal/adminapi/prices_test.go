package adminapi_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"halley/internal/usage"
)

type priceJSON struct {
	Model   string      `json:"model"`
	Version string      `json:"version"`
	Source  string      `json:"source"`
	Input   json.Number `json:"input"`
	Output  json.Number `json:"output"`
}

func TestAPriceIsReplacedAndFallsBackToTheCatalog(t *testing.T) {
	t.Parallel()
	d := newOperatorDesk(t)
	catalog := as[priceJSON](t, d.must(t, "GET", "/api/price/gpt-4o", ""))
	if catalog.Source != "catalog" || catalog.Input == "" {
		t.Fatalf("the catalog has %+v", catalog)
	}
	set := as[priceJSON](t, d.must(t, "PUT", "/api/price/gpt-4o", `{"input":0.000001,"output":"3"}`))
	if set.Source != "custom" || set.Input != "0.000001" || set.Output != "3" || set.Version == catalog.Version {
		t.Errorf("set to %+v", set)
	}
	if got := as[priceJSON](t, d.must(t, "GET", "/api/price/gpt-4o/", "")); got != set {
		t.Errorf("read back %+v", got)
	}
	d.must(t, "DELETE", "/api/price/gpt-4o", "")
	if got := as[priceJSON](t, d.must(t, "GET", "/api/price/gpt-4o", "")); got != catalog {
		t.Errorf("after the deletion %+v", got)
	}
	if a := d.do(t, admin, "DELETE", "/api/price/gpt-4o", ""); a.status != 404 || a.Code != "price_not_found" {
		t.Error(a.raw)
	}
	if trail := d.trail(t); len(trail) != 2 || !strings.HasPrefix(trail[0], "7 price.update price gpt-4o {") {
		t.Errorf("the trail is %q", trail)
	}
}

func TestAModelsNameMayHaveSlashes(t *testing.T) {
	t.Parallel()
	d := newOperatorDesk(t)
	d.must(t, "PUT", "/api/price/meta-llama/Llama-3.1-8B", `{"input":1,"output":2}`)
	for _, path := range []string{"meta-llama/Llama-3.1-8B", "meta-llama%2FLlama-3.1-8B", "meta-llama/Llama-3.1-8B/"} {
		if got := as[priceJSON](t, d.must(t, "GET", "/api/price/"+path, "")); got.Model != "meta-llama/Llama-3.1-8B" {
			t.Errorf("%s is %+v", path, got)
		}
	}
	d.must(t, "DELETE", "/api/price/meta-llama%2FLlama-3.1-8B", "")
}

func TestBadPricesAreRefused(t *testing.T) {
	t.Parallel()
	d := newOperatorDesk(t)
	for body, status := range map[string]int{
		``: 400, `{`: 400, `5`: 400, `{}`: 422, `{"input":-1,"output":1}`: 422, `{"input":true,"output":1}`: 400, `{"input":null,"output":1}`: 400, `{"input":1}`: 422, `{"input":0.0000001,"output":1}`: 422,
	} {
		if a := d.do(t, admin, "PUT", "/api/price/some-model", body); a.status != status {
			t.Errorf("%s: %d %s, want %d", body, a.status, a.raw, status)
		}
	}
	if a := d.do(t, admin, "GET", "/api/price/some-model", ""); a.status != 404 {
		t.Errorf("a refused price is there: %s", a.raw)
	}
	if a := d.do(t, admin, "PUT", "/api/price/", `{"input":1,"output":1}`); a.status != 422 || a.Code != "invalid_model" {
		t.Errorf("a price without a model: %s", a.raw)
	}
}

func TestPricesAreListedByModel(t *testing.T) {
	t.Parallel()
	d := newOperatorDesk(t)
	d.must(t, "PUT", "/api/price/zz-custom", `{"input":1,"output":2}`)
	all := as[pageJSON[priceJSON]](t, d.must(t, "GET", "/api/price/?page_size=100", ""))
	if all.Total < 50 || len(all.Items) != min(100, all.Total) {
		t.Errorf("%d of %d", len(all.Items), all.Total)
	}
	for i := 1; i < len(all.Items); i++ {
		if all.Items[i-1].Model >= all.Items[i].Model {
			t.Errorf("%s comes before %s", all.Items[i-1].Model, all.Items[i].Model)
		}
	}
	if custom := as[pageJSON[priceJSON]](t, d.must(t, "GET", "/api/price/?source=custom", "")); custom.Total != 1 || custom.Items[0].Model != "zz-custom" {
		t.Errorf("%+v", custom)
	}
	if found := as[pageJSON[priceJSON]](t, d.must(t, "GET", "/api/price/?keyword=ZZ-", "")); found.Total != 1 {
		t.Errorf("%+v", found)
	}
	if a := d.do(t, admin, "GET", "/api/price/?source=elsewhere", ""); a.status != 422 {
		t.Error(a.raw)
	}
}

func TestAnybodySeesModelsAndStatus(t *testing.T) {
	t.Parallel()
	d := newOperatorDesk(t)
	d.must(t, "PUT", "/api/price/per-call", `{"per_request":0.25}`)
	type listJSON struct {
		Success  bool             `json:"success"`
		Page     int              `json:"page"`
		PageSize int              `json:"page_size"`
		Total    int              `json:"total"`
		Data     []map[string]any `json:"data"`
	}
	read := func(query string) (l listJSON) {
		if err := json.Unmarshal([]byte(d.do(t, nobody, "GET", "/api/models"+query, "").raw), &l); err != nil {
			t.Fatal(err)
		}
		return l
	}
	all := read("")
	if !all.Success || all.Page != 0 || all.PageSize != 0 || all.Total != len(all.Data) || all.Total < 50 {
		t.Errorf("%+v", all)
	}
	for _, m := range all.Data {
		if m["code"] != "per-call" {
			continue
		}
		pricing, _ := m["pricing"].(map[string]any)
		if pricing["per_request"] != 0.25 || pricing["input"] != nil || pricing["currency"] != "USD / M Tokens" {
			t.Errorf("%+v", m)
		}
		for _, name := range []string{"id", "provider", "provider_code", "name", "model_type", "features", "api_doc_url", "created"} {
			if _, ok := m[name]; !ok {
				t.Errorf("%s is missing", name)
			}
		}
	}
	if second := read("?p=2&page_size=10"); second.Page != 2 || second.PageSize != 10 || len(second.Data) != 10 || second.Data[0]["code"] != all.Data[10]["code"] || second.Total != all.Total {
		t.Errorf("the second page is %+v", second)
	}
	for _, query := range []string{"?p=0", "?page_size=0", "?p=0&page_size=0"} {
		if same := read(query); same.Page != 0 || same.PageSize != 0 || len(same.Data) != all.Total {
			t.Errorf("%s: page %d of size %d with %d models", query, same.Page, same.PageSize, len(same.Data))
		}
	}
	if one := read("?page_size=7"); one.Page != 1 || len(one.Data) != 7 {
		t.Errorf("%+v", one)
	}
	if a := d.do(t, nobody, "GET", "/api/models?p=-1", ""); a.status != 422 {
		t.Error(a.raw)
	}
	want := `{"version":"1.2.3","start_time":1777863631,"uptime":90,"quota_per_unit":500000,"features":["chat"],"login_methods":["password"],"login_providers":[],"register_enabled":false}`
	if a := d.do(t, nobody, "GET", "/api/status", ""); string(a.Data) != want {
		t.Errorf("status is %s", a.Data)
	}
}

func TestTheOpenAPIDocumentNamesTheRoutes(t *testing.T) {
	t.Parallel()
	d := newOperatorDesk(t)
	for path, item := range d.server.OpenAPI().Paths {
		if strings.Contains(path, "...") {
			t.Errorf("%s is no OpenAPI path", path)
		}
		if path == "/api/price/{model}" && (item.Get == nil || len(item.Get.Parameters) != 1 || item.Put == nil || item.Delete == nil) {
			t.Errorf("%+v", item)
		}
	}
}

func TestThePastOfAPriceIsListed(t *testing.T) {
	t.Parallel()
	d := newOperatorDesk(t)
	d.must(t, "PUT", "/api/price/a/b", `{"input":1,"output":2}`)
	d.must(t, "DELETE", "/api/price/a/b", "")
	d.must(t, "PUT", "/api/price/c", `{"input":3,"output":4}`)
	type version struct {
		Model, Version string
		CreatedTime    int64 `json:"created_time"`
		Price          *priceJSON
	}
	list := as[pageJSON[version]](t, d.must(t, "GET", "/api/price-version/?model=a/b", ""))
	if list.Total != 2 || list.Items[0].Price != nil || list.Items[1].Price.Input != "1" || list.Items[1].Version != "custom-1" || list.Items[1].CreatedTime != d.clock.Unix() {
		t.Errorf("listed %+v", list)
	}
	if all := as[pageJSON[version]](t, d.must(t, "GET", "/api/price-version/?page_size=1", "")); all.Total != 3 || len(all.Items) != 1 || all.Items[0].Model != "c" {
		t.Errorf("of all models: %+v", all)
	}
	if a := d.do(t, user, "GET", "/api/price-version/", ""); a.status != 403 {
		t.Error(a.raw)
	}
}

func TestThePastIsRatedWithOtherPrices(t *testing.T) {
	t.Parallel()
	d := newOperatorDesk(t)
	d.must(t, "POST", "/api/group/", `{"name":"vip","ratio":"0.5"}`)
	at := d.clock.Add(-time.Hour)
	record := func(id, model, served, group string, prompt int64) usage.Record {
		return usage.Record{
			EventID: id, RequestID: id, Time: at, Model: model, ServedModel: served, Group: group, Status: 200, Source: usage.FromProvider,
			Tokens: usage.Tokens{Prompt: prompt, Completion: 10}, Cost: 1000,
		}
	}
	if err := d.db.ApplyUsage(t.Context(), []usage.Record{
		record("1", "mine", "gpt-4o", "default", 1000), record("2", "mine", "gpt-4o", "vip", 1000), record("3", "nobody", "nobody", "default", 1),
	}); err != nil {
		t.Fatal(err)
	}
	d.must(t, "PUT", "/api/price/mine", `{"input":1,"output":2}`)
	d.must(t, "PUT", "/api/price/gpt-4o", `{"input":4,"output":0}`)
	rate := func(more string) string {
		t.Helper()
		return string(d.must(t, "POST", "/api/price-rerate", fmt.Sprintf(`{"from":%d,"to":%d%s}`, at.Unix(), at.Unix()+1, more)).Data)
	}
	models := func(rated int) string {
		return fmt.Sprintf(`{"model":"mine","requests":2,"tokens_in":2000,"tokens_out":20,"charged_nano":2000,"absorbed_nano":0,"rated_nano":%d,"unpriced":0}`, rated)
	}
	const none = `,{"model":"nobody","requests":1,"tokens_in":1,"tokens_out":10,"charged_nano":1000,"absorbed_nano":0,"rated_nano":0,"unpriced":1}`
	for more, want := range map[string]string{
		``: models(1_020_000+510_000) + none,
		`,"model":"mine","price":{"input":"2","output":0}`: models(2_000_000 + 1_000_000),
		`,"model":"mine","version":"custom-1"`:             models(1_020_000 + 510_000),
		`,"model":"gpt-4o"`:                                ``,
	} {
		if got := rate(more); got != fmt.Sprintf(`{"from":%d,"to":%d,"models":[%s]}`, at.Unix(), at.Unix()+1, want) {
			t.Errorf("%s: %s", more, got)
		}
	}
	d.must(t, "DELETE", "/api/price/mine", "")
	if got := rate(`,"model":"mine"`); !strings.Contains(got, models(4_000_000+2_000_000)) {
		t.Errorf("without a price of its own it is rated as what served it: %s", got)
	}
	for body, code := range map[string]string{
		`{}`:                              "invalid_from",
		`{"from":5}`:                      "invalid_to",
		`{"from":5,"to":4}`:               "invalid_to",
		`{"from":0,"to":2764801}`:         "range_too_long",
		`{"from":0,"to":1,"price":{}}`:    "model_required",
		`{"from":0,"to":1,"version":"x"}`: "model_required",
		`{"from":0,"to":1,"model":"m","price":{"input":1}}`:                          "price_required",
		`{"from":0,"to":1,"model":"m","version":"custom-99"}`:                        "price_not_found",
		`{"from":0,"to":1,"model":"m","version":"x","price":{"input":1,"output":1}}`: "invalid_price",
		`{"from":0,"to":1,"model":null}`:                                             "invalid_type",
	} {
		if a := d.do(t, admin, "POST", "/api/price-rerate", body); a.Code != code {
			t.Errorf("%s: %s", body, a.raw)
		}
	}
	if a := d.do(t, reader, "POST", "/api/price-rerate", `{"from":0,"to":1}`); a.status != 200 {
		t.Errorf("it changes nothing, so a reader may: %s", a.raw)
	}
	if a := d.do(t, user, "POST", "/api/price-rerate", `{"from":0,"to":1}`); a.status != 403 {
		t.Error(a.raw)
	}
}
