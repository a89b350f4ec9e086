package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestExpandReplacesEveryPlaceholder(t *testing.T) {
	t.Parallel()
	vars := map[string]string{"port": "8080", "dir": "/d", "odd": "{{port}}"}
	for _, tc := range []struct{ name, text, want, missing string }{
		{"nothing", "serve", "serve", ""},
		{"one", "127.0.0.1:{{port}}", "127.0.0.1:8080", ""},
		{"several", "{{dir}}/{{port}}/{{dir}}", "/d/8080//d", ""},
		{"a value is not expanded again", "{{odd}}", "{{port}}", ""},
		{"single braces are text", `{"a":{"b":{}}}`, `{"a":{"b":{}}}`, ""},
		{"unknown", "{{port}}{{prot}}", "", "{{prot}}"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got, err := expand(tc.text, vars)
			if tc.missing != "" {
				if err == nil || !strings.Contains(err.Error(), tc.missing) {
					t.Errorf("got %q, %v", got, err)
				}
				return
			}
			if err != nil || got != tc.want {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

func TestReadTableKeepsTheNamedAndTheFloor(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name       string
		only, want []string
	}{
		{"all", nil, []string{"floor", "halley"}},
		{"the floor alone", []string{"floor"}, []string{"floor"}},
		{"halley and the floor", []string{"halley"}, []string{"floor", "halley"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			table, err := readTable("../targets.json", tc.only)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, one := range table.Targets {
				got = append(got, one.Name)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestReadTableRefusesWhatCannotRun(t *testing.T) {
	t.Parallel()
	const upstream = `"upstream":{"name":"u","command":["u"],"ready":"/"}`
	for _, tc := range []struct{ name, table, complaint string }{
		{"not JSON", `{`, "EOF"},
		{"an unknown member", `{"floor":"a","tragets":[]}`, "tragets"},
		{"no command", `{"floor":"a",` + upstream + `,"targets":[{"name":"a","ready":"/"}]}`, "command"},
		{"one name twice", `{"floor":"u",` + upstream + `,"targets":[{"name":"u","command":["u"],"ready":"/"}]}`, "taken"},
		{"the name of no target", `{"floor":"direct",` + upstream + `,"targets":[{"name":"direct","command":["u"],"ready":"/"}]}`, "taken"},
		{"no floor", `{"floor":"b",` + upstream + `,"targets":[{"name":"a","command":["u"],"ready":"/"}]}`, `"b"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "targets.json")
			if err := os.WriteFile(path, []byte(tc.table), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := readTable(path, nil); err == nil || !strings.Contains(err.Error(), tc.complaint) {
				t.Errorf("got %v", err)
			}
		})
	}
}
