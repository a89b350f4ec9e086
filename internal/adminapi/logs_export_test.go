package adminapi_test

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"halley/internal/usage"
)

// brittleUsage loses its store after the first portion of a list, when it is
// told to.
type brittleUsage struct {
	usage.QueryStore
	broken *atomic.Bool
}

func (b brittleUsage) UsageEntries(ctx context.Context, f usage.Filter, limit, offset int) ([]usage.Entry, error) {
	if f.After.ID != 0 && b.broken.Load() {
		return nil, errors.New("the store is gone")
	}
	return b.QueryStore.UsageEntries(ctx, f, limit, offset)
}

// export fetches over a real connection, as cut answers only show there.
func (p *people) export(t *testing.T, token, path string) (*http.Response, string, error) {
	t.Helper()
	server := httptest.NewServer(p.server)
	t.Cleanup(server.Close)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", token)
	answer, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	return answer, string(text), err
}

func TestAnExportHasEveryRecordThatTheFiltersLeave(t *testing.T) {
	t.Parallel()
	p := newPeople(t)
	ada, adaToken := p.user(t, "ada", "user")
	bob, _ := p.user(t, "bob", "user")
	many := make([]func(*usage.Record), 1100) // more than one portion
	for i := range many {
		many[i] = func(r *usage.Record) {
			if i%10 == 0 {
				refusedModel(r)
			}
			r.Time = p.now().Add(-time.Duration(i/3) * time.Second)
		}
	}
	key := p.spend(t, ada, "many", many...)
	p.spend(t, bob, "foreign", plain)
	for _, row := range []struct {
		token, query string
		want         int
	}{
		{adaToken, "self/export?", 1100},
		{adaToken, "self/export?errors=true&", 110},
		{adaToken, "self/export?model=gpt-4o&", 990},
		{adaToken, "self/export?model=none&", 0},
		{adaToken, "self/export/?request_id=req-many-7&", 1},
		{adaToken, fmt.Sprint("self/export?user_id=", bob, "&"), 1100},
		{p.root, "export?", 1101},
		{p.root, fmt.Sprint("export?key_id=", key, "&"), 1100},
	} {
		answer, text, err := p.export(t, row.token, "/api/log/"+row.query)
		if err != nil {
			t.Fatal(err)
		}
		var records []map[string]any
		if err := json.Unmarshal([]byte(text), &records); err != nil {
			t.Fatalf("%s is no JSON: %v", row.query, err)
		}
		if len(records) != row.want || answer.Header.Get("X-Total-Count") != fmt.Sprint(row.want) || answer.Header.Get("Content-Type") != "application/json; charset=utf-8" {
			t.Errorf("%s: %d records, want %d; %v", row.query, len(records), row.want, answer.Header)
		}
		answer, text, err = p.export(t, row.token, "/api/log/"+row.query+"format=csv")
		if err != nil {
			t.Fatal(err)
		}
		table, err := csv.NewReader(strings.NewReader(text)).ReadAll()
		if err != nil {
			t.Fatalf("%s is no CSV: %v", row.query, err)
		}
		if len(table) != row.want+1 || answer.Header.Get("Content-Type") != "text/csv; charset=utf-8" || !strings.HasPrefix(answer.Header.Get("Content-Disposition"), `attachment; filename="halley-usage-`) {
			t.Errorf("%s: %d lines, want %d; %v", row.query, len(table), row.want+1, answer.Header)
		}
		if row.want == 0 {
			continue
		}
		if len(table[0]) != len(records[0])+1 { // no trail in these
			t.Errorf("CSV has %d columns, JSON %d members", len(table[0]), len(records[0]))
		}
		for i, name := range table[0] {
			for line, record := range records {
				if name == "trail" {
					record[name] = ""
				}
				want := fmt.Sprint(record[name])
				switch number, isNumber := record[name].(float64); {
				case name == "time":
					want = time.Unix(int64(number), 0).UTC().Format(time.RFC3339)
				case isNumber:
					text, _ := json.Marshal(number)
					want = strings.TrimSuffix(string(text), ".0")
				}
				if got := table[line+1][i]; got != want {
					t.Fatalf("%s, record %d, %s: %q in CSV, %q in JSON", row.query, line, name, got, want)
				}
			}
		}
	}
}

func TestNoCellOfAnExportIsAFormula(t *testing.T) {
	t.Parallel()
	p := newPeople(t)
	ada, adaToken := p.user(t, "ada", "user")
	evil := []string{`=HYPERLINK("http://x.example","y")`, "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "  =1", "|cmd", "%x", "＝1", "\u00a0=1"}
	p.spend(t, ada, "=key", func(r *usage.Record) {})
	for i, text := range evil {
		p.spend(t, ada, fmt.Sprint("k", i), func(r *usage.Record) {
			r.Model, r.ServedModel, r.KeyName, r.EndUser, r.ErrorCode, r.Group, r.PriceVersion, r.IP, r.RequestID = text, text, text, text, text, text, text, text, text
		})
	}
	_, text, err := p.export(t, adaToken, "/api/log/self/export?format=csv")
	if err != nil {
		t.Fatal(err)
	}
	table, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil || len(table) != len(evil)+2 {
		t.Fatalf("%d lines, %v", len(table), err)
	}
	for _, line := range table[1:] {
		for i, cell := range line {
			if strings.ContainsRune("=+-@\t\r\n|%＝", []rune(strings.TrimLeft(cell, " \u00a0") + "x")[0]) {
				t.Errorf("%s may be a formula: %q", table[0][i], cell)
			}
		}
	}
	harmless := table[len(table)-1]
	if slices.Contains(harmless, "'gpt-4o") || !slices.Contains(harmless, "'=key") {
		t.Errorf("what is harmless stays as it is, and nothing else: %q", harmless)
	}
}

func TestAnExportThatMakesNoSenseIsRefused(t *testing.T) {
	t.Parallel()
	p := newPeople(t)
	_, adaToken := p.user(t, "ada", "user")
	for path, code := range map[string]string{
		"/api/log/self/export?format=xlsx": "invalid_format", "/api/log/self/export?status=ok": "invalid_status", "/api/log/self/export?from=10&to=9": "invalid_range",
	} {
		if got := p.send(t, caller{token: adaToken}, "GET", path, nil); got.status != http.StatusUnprocessableEntity || got.Code != code {
			t.Errorf("%s: %d %s", path, got.status, got.text)
		}
	}
	if got := p.send(t, caller{token: adaToken}, "GET", "/api/log/export", nil); got.status != http.StatusForbidden {
		t.Errorf("everybody's usage for a user: %d %s", got.status, got.text)
	}
}

func TestAnExportThatFailsIsCutOff(t *testing.T) {
	t.Parallel()
	p := newPeople(t)
	ada, adaToken := p.user(t, "ada", "user")
	p.spend(t, ada, "k", slices.Repeat([]func(*usage.Record){plain}, 700)...)
	p.usageBroken.Store(true)
	server := httptest.NewServer(p.server)
	t.Cleanup(server.Close)
	for _, format := range []string{"csv", "json"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/api/log/self/export?format="+format, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", adaToken)
		answer, err := server.Client().Do(r)
		if err == nil {
			_, err = io.Copy(io.Discard, answer.Body)
			_ = answer.Body.Close()
		}
		if !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
			t.Errorf("%s: the client was not told: %v", format, err)
		}
	}
}
