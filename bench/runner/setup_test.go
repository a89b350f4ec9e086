package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestTheTableSetsHalleyUp runs the real table's steps against a management
// API that is only as large as the contract's part which they use.
func TestTheTableSetsHalleyUp(t *testing.T) {
	t.Parallel()
	table, err := readTable("../targets.json", nil)
	if err != nil {
		t.Fatal(err)
	}
	halley := table.Targets[slices.IndexFunc(table.Targets, func(one target) bool { return one.Name == "halley" })]
	api := &management{t: t, password: "a secret"}
	server := httptest.NewServer(api)
	t.Cleanup(server.Close)
	vars := map[string]string{"secret": api.password, "upstream": "http://127.0.0.1:9"}
	if err := setUp(t.Context(), server.URL, halley.Setup, vars); err != nil {
		t.Fatal(err)
	}
	want := []string{"POST /api/user/login", "POST /api/user/token", "POST /api/channel/", "PUT /api/price/bench-chat", "POST /api/token/"}
	if diff := cmp.Diff(want, api.calls); diff != "" {
		t.Error(diff)
	}
	if api.channel.Kind != "openai" || api.channel.BaseURL != "http://127.0.0.1:9/v1" || !slices.Contains(api.channel.Models, "bench-chat") {
		t.Errorf("channel %+v", api.channel)
	}
	headers, err := expandAll(halley.Headers, vars)
	if err != nil || headers["Authorization"] != "Bearer sk-hly-example" {
		t.Errorf("headers %v, %v", headers, err)
	}
}

func TestSetUpNamesTheStepThatFails(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/no" {
			w.WriteHeader(http.StatusTeapot)
		}
		io.WriteString(w, `{"data":{"id":1000000,"list":[],"text":"x"}}`)
	}))
	t.Cleanup(server.Close)
	for _, tc := range []struct {
		name      string
		step      step
		complaint string
		want      string // the value saved as "v"
	}{
		{"saves a text", step{Method: "GET", Path: "/a", Save: map[string]string{"v": "data.text"}}, "", "x"},
		{"saves a number as it is", step{Method: "GET", Path: "/a", Save: map[string]string{"v": "data.id"}}, "", "1000000"},
		{"refused", step{Method: "GET", Path: "/no"}, "GET /no: 418", ""},
		{"nothing there", step{Method: "GET", Path: "/a", Save: map[string]string{"v": "data.id.x"}}, "data.id.x", ""},
		{"not a value", step{Method: "GET", Path: "/a", Save: map[string]string{"v": "data.list"}}, "data.list", ""},
		{"unknown placeholder", step{Method: "POST", Path: "/a", Body: []byte(`{"a":"{{b}}"}`)}, "{{b}}", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			vars := map[string]string{}
			err := setUp(t.Context(), server.URL, []step{tc.step}, vars)
			switch {
			case tc.complaint == "" && err != nil:
				t.Error(err)
			case tc.complaint != "" && (err == nil || !strings.Contains(err.Error(), tc.complaint)):
				t.Errorf("got %v", err)
			}
			if vars["v"] != tc.want {
				t.Errorf("saved %q", vars["v"])
			}
		})
	}
}

// management is the piece of the management API that a setup needs. It is
// called by one request at a time.
type management struct {
	t        *testing.T
	password string
	calls    []string
	channel  struct {
		Kind    string
		BaseURL string `json:"base_url"`
		Models  []string
	}
}

func (m *management) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	call := r.Method + " " + r.URL.Path
	m.calls = append(m.calls, call)
	body, err := io.ReadAll(r.Body)
	if err != nil || !json.Valid(body) {
		m.t.Errorf("%s: not JSON: %s, %v", call, body, err)
	}
	switch {
	case call == "POST /api/user/login" && strings.Contains(string(body), m.password):
		http.SetCookie(w, &http.Cookie{Name: "__Host-session", Value: "s", Path: "/", Secure: true, HttpOnly: true})
		io.WriteString(w, `{"success":true,"message":"","data":{"id":1,"username":"root"}}`)
	case call == "POST /api/user/token" && r.Header.Get("Cookie") == "__Host-session=s":
		io.WriteString(w, `{"success":true,"message":"","data":{"id":1,"token":"hpat_example"}}`)
	case r.Header.Get("Authorization") != "hpat_example":
		w.WriteHeader(http.StatusUnauthorized)
		io.WriteString(w, `{"success":false,"message":"log in first","code":"unauthenticated"}`)
	case call == "POST /api/token/":
		io.WriteString(w, `{"success":true,"message":"","data":{"id":1,"key":"sk-hly-example"}}`)
	case call == "POST /api/channel/":
		if err := json.Unmarshal(body, &m.channel); err != nil {
			m.t.Error(err)
		}
		fallthrough
	default:
		io.WriteString(w, `{"success":true,"message":"","data":{"id":1}}`)
	}
}
