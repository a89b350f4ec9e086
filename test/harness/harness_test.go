package harness_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"halley/test/harness"
)

// The test program plays halley when the harness starts it: what is tested here
// is the harness, and a server that does nothing else ends as told.
func TestMain(m *testing.M) {
	if os.Getenv("PLAY_SERVER") != "" {
		playServer()
		return
	}
	os.Exit(m.Run())
}

func TestStartGivesARootClientAndTheLog(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, options(t, "well"))
	if s.RootPAT != "hpat_made" {
		t.Errorf("RootPAT = %q, want hpat_made", s.RootPAT)
	}
	if !strings.HasPrefix(s.DatabaseURL, "sqlite:"+s.DataDir) {
		t.Errorf("DatabaseURL = %q, want a file below %s", s.DatabaseURL, s.DataDir)
	}
	if got := s.Log(); !strings.Contains(got, "listening on") || !strings.Contains(got, "args [serve]") {
		t.Errorf("log: %q", got)
	}
	s.Stop(t)
	if got := s.Log(); !strings.Contains(got, "drained") {
		t.Errorf("after Stop the log lacks the server's last words: %q", got)
	}
	s.Stop(t) // does nothing
}

func TestKillWaitsUntilTheProcessIsGone(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, options(t, "well"))
	s.Kill()
	select {
	case <-s.Done():
	default:
		t.Error("Kill returned before the process was gone")
	}
	if strings.Contains(s.Log(), "drained") {
		t.Error("the process had time to drain")
	}
}

func TestARestartedServerIsTheSameServerAgain(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, options(t, "well"))
	first, at := s.PID(), s.BaseURL
	s.Kill()
	if err := s.Restart(); err != nil {
		t.Fatal(err)
	}
	if err := s.AwaitReady(30 * time.Second); err != nil {
		t.Fatal(err)
	}
	if s.PID() == first || s.BaseURL != at || strings.Count(s.Log(), "listening on") != 2 {
		t.Errorf("process %d again, at %s after %s: %s", s.PID(), s.BaseURL, at, s.Log())
	}
	select {
	case <-s.Done():
		t.Error("Done tells of the process that was killed")
	default:
	}
}

func TestTheServerDoesNotSeeTheTestsOwnHalleyVariables(t *testing.T) {
	t.Setenv("HALLEY_LOG_LEVEL", "whatever the developer has set")
	o := options(t, "well")
	o.Env = append(o.Env, "HALLEY_EXTRA=given")
	s := harness.Start(t, o)
	if log := s.Log(); strings.Contains(log, "HALLEY_LOG_LEVEL") || !strings.Contains(log, "HALLEY_EXTRA") {
		t.Errorf("environment in the log: %q", log)
	}
}

func TestUpdatesNameTheKeyAndKeepTheFieldsGiven(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, options(t, "well"))
	got := s.Root.UpdateKey(t, 7, harness.Fields{"name": "n"})
	if got.ID != 7 || got.Name != "n" {
		t.Errorf("key = %+v, want id 7, name n", got)
	}
}

func TestARefusalIsReadLikeAnAnswer(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, options(t, "well"))
	a := s.Root.Try(t, "DELETE", "/api/token/9", nil)
	if a.Status != 404 || a.Success || a.Code != "key_not_found" || a.Message != "No such key." {
		t.Errorf("answer %+v", a)
	}
}

func TestLogsWaitForRecordsThatComeLate(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, options(t, "well"))
	got := s.Root.UsageOf(t, "r-1")
	if diff := cmp.Diff(harness.Usage{RequestID: "r-1", Quota: "1.5", USD: "0.000003", PromptTokens: 3}, got); diff != "" {
		t.Errorf("usage record (-want +got):\n%s", diff)
	}
}

func options(t *testing.T, play string) harness.Options {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return harness.Options{Binary: self, Env: []string{"PLAY_SERVER=" + play}}
}

// playServer answers what the tests above ask for, not ready and without
// records at first, and ends at SIGTERM.
func playServer() {
	answer := func(w http.ResponseWriter, status int, body string) {
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}
	asked := map[string]int{}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		asked["ready"]++
		if asked["ready"] < 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	mux.HandleFunc("POST /api/user/login", func(w http.ResponseWriter, r *http.Request) {
		var in struct{ Username, Password string }
		if json.NewDecoder(r.Body).Decode(&in) != nil || in.Password != harness.Password {
			answer(w, 401, `{"success":false,"message":"no"}`)
			return
		}
		http.SetCookie(w, &http.Cookie{Name: "__Host-s", Value: "1", Secure: true, Path: "/"})
		answer(w, 200, `{"success":true,"message":"","data":{"id":1}}`)
	})
	mux.HandleFunc("POST /api/user/token", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Cookie") != "__Host-s=1" {
			answer(w, 401, `{"success":false,"message":"no cookie"}`)
			return
		}
		answer(w, 200, `{"success":true,"message":"","data":{"token":"hpat_made"}}`)
	})
	mux.HandleFunc("PUT /api/token/", func(w http.ResponseWriter, r *http.Request) {
		var in json.RawMessage
		if json.NewDecoder(r.Body).Decode(&in) != nil || r.Header.Get("Authorization") != "hpat_made" {
			answer(w, 401, `{"success":false,"message":"no"}`)
			return
		}
		answer(w, 200, `{"success":true,"message":"","data":`+string(in)+`}`)
	})
	mux.HandleFunc("DELETE /api/token/{id}", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, 404, `{"success":false,"message":"No such key.","code":"key_not_found"}`)
	})
	mux.HandleFunc("GET /api/log/", func(w http.ResponseWriter, r *http.Request) {
		asked["log"]++
		if asked["log"] < 3 {
			answer(w, 200, `{"success":true,"message":"","data":{"items":[]}}`)
			return
		}
		answer(w, 200, `{"success":true,"message":"","data":{"items":[{"request_id":"`+r.URL.Query().Get("request_id")+`","quota":"1.5","usd":0.000003,"prompt_tokens":3}]}}`)
	})
	server := &http.Server{Addr: os.Getenv("HALLEY_LISTEN"), Handler: mux}
	fmt.Printf("listening on %s, args %v\n", server.Addr, os.Args[1:])
	for _, kv := range os.Environ() {
		if strings.HasPrefix(kv, "HALLEY_") {
			fmt.Println(kv)
		}
	}
	terminate := make(chan os.Signal, 1)
	signal.Notify(terminate, syscall.SIGTERM)
	go func() { fmt.Println(server.ListenAndServe()) }()
	<-terminate
	fmt.Println("drained")
}
