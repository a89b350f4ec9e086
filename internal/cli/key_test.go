package cli_test

import (
	"regexp"
	"strings"
	"testing"

	"halley/internal/key"
	"halley/internal/tokenfmt"
)

func TestKeysAreManagedFromTheCommandLine(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	if code, out := d.run(t, "", "user", "create", "ada"); code != 0 {
		t.Fatal(out)
	}
	value := ""
	for _, step := range []struct {
		args []string
		want string // a pattern of the whole output
	}{
		{[]string{"key", "create", "ci", "--quota=500", "--models=gpt-5*,o3", "--allow-ips=10.1.2.3/8,::1", "--expires=2100-01-31"}, `Key 1 \(ci\) of account 1 can spend 500\.\nsk-hly[0-9A-Za-z]{45}\n`},
		{[]string{"key", "create", "ada's", "--user=ada", "--unlimited", "--group=auto", "--expires=30d"}, `Key 2 \(ada's\) of account 2 can spend unlimited\.\n(sk-hly[0-9A-Za-z]{45})\n`},
		{[]string{"key", "list"}, `ID +NAME +STATUS +KEY +REMAINING +USED +EXPIRES +GROUP +PARENT\n1 +ci +enabled +sk-hly….{4} +500 +0 +2100-01-31T00:00:00Z +- +-\n`},
		{[]string{"key", "list", "--user=ada", "--status=enabled"}, `ID .*\n2 +ada's +enabled +sk-hly….{4} +unlimited +0 +.* +auto +-\n`},
		{[]string{"key", "list", "--user=ada", "--status=disabled"}, `ID .*\n`},
		{[]string{"key", "show", "1"}, `id +1\nname +ci\naccount +1\nstatus +enabled\nkey +sk-hly….{4}\nremaining +500\nused +0\nheld +0\nexpires +2100-01-31T00:00:00Z\ncreated .*\nlast used .*\ngroup +-\nparent +-\nmodels +gpt-5\*,o3\naddresses +10\.0\.0\.0/8, ::1\nversion +1\n`},
		{[]string{"key", "show", "1", "--reveal"}, `(?s).*key +sk-hly[0-9A-Za-z]{45}\n.*`},
		{[]string{"key", "show", "2", "--user=ada", "--reveal"}, `(?s).*key +sk-hly….{4}\n.*`},
		{[]string{"key", "create", "agent", "--parent=1", "--quota=200"}, `Key 3 \(agent\) of account 1 can spend 200\.\nsk-hly[0-9A-Za-z]{45}\n`},
		{[]string{"key", "create", "hers", "--parent=2", "--user=ada"}, `Key 4 \(hers\) of account 2 can spend 0\.\nsk-hly[0-9A-Za-z]{45}\n`},
		{[]string{"key", "list", "--parent=1"}, `ID .*\n3 +agent +enabled +sk-hly….{4} +200 +0 +2100-01-31T00:00:00Z +- +1\n`},
		{[]string{"key", "list", "--user=ada"}, `ID .*\n4 +hers +exhausted .* +auto +2\n2 +ada's .* +-\n`},
		{[]string{"key", "show", "3"}, `(?s).*\nparent +1\n.*`},
		{[]string{"key", "rotate", "2", "--user=2", "--grace=1h"}, `Key 2 \(ada's\) has a new value; the old one works until .*Z\.\nsk-hly[0-9A-Za-z]{45}\n`},
		{[]string{"key", "rotate", "2", "--user=2"}, `Key 2 \(ada's\) has a new value; the old one has ended\.\nsk-hly[0-9A-Za-z]{45}\n`},
		{[]string{"key", "disable", "2", "--user=2"}, `Key 2 \(ada's\) of account 2 is disabled\.\n`},
		{[]string{"key", "list", "--user=ada", "--keyword=ADA"}, `ID .*\n2 +ada's +disabled .*\n`},
	} {
		code, out := d.run(t, "", step.args...)
		match := regexp.MustCompile(`^` + step.want + `$`).FindStringSubmatch(out)
		if code != 0 || match == nil {
			t.Errorf("halley %s: exit code %d\n%s", strings.Join(step.args, " "), code, out)
		}
		if len(match) > 1 {
			value = match[1]
		}
	}
	if key.Check(value) != key.Ours {
		t.Errorf("the value %q does not check", value)
	}
}

func TestKeyCommandsThatAreRefused(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for _, tc := range []struct {
		args string
		code int
		want string
	}{
		{"key create x --quota=-1", 1, "remain_quota"},
		{"key create x --models=a --allow-ips=nonsense", 1, `"nonsense"`},
		{"key create x --expires=2001-01-01", 1, "past"},
		{"key create x --parent=99", 1, "no key with the id 99"},
		{"key list --parent=-1", 1, "parent_id"},
		{"key create x --expires=soon", 1, `"soon" is no time`},
		{"key create x --expires=-5h", 2, ""},
		{"key create x --group=gone", 1, "gone"},
		{"key create x --user=nobody", 1, `"nobody"`},
		{"key create", 2, "name"},
		{"key show 99", 1, "--user"},
		{"key disable 99", 1, "--user"},
		{"key rotate 99", 1, "--user"},
		{"key rotate 1 --grace=-1s", 1, "grace_seconds"},
		{"key rotate 1 --grace=1500ms", 1, "whole seconds"},
		{"key disable 99 --user=root", 1, "no key"},
		{"key list --status=lost", 2, "status"},
	} {
		code, out := d.run(t, "", strings.Fields(tc.args)...)
		if (code != tc.code && tc.want != "") || code == 0 || !strings.Contains(out, tc.want) {
			t.Errorf("halley %s: exit code %d, want %d with %q\n%s", tc.args, code, tc.code, tc.want, out)
		}
	}
	if _, out := d.run(t, "", "key", "list"); strings.Count(out, "\n") != 1 {
		t.Errorf("something was made:\n%s", out)
	}
}

func TestAValueIsInspectedWithoutAServer(t *testing.T) {
	t.Parallel()
	d := &desk{env: map[string]string{"HALLEY_DATABASE_URL": "postgres://nowhere.invalid/none"}}
	value, token := key.NewValue(), tokenfmt.New("hpat_", 40)
	other := func(s string) string { // with its last character changed
		if strings.HasSuffix(s, "0") {
			return s[:len(s)-1] + "1"
		}
		return s[:len(s)-1] + "0"
	}
	for value, want := range map[string]struct {
		code int
		says string
	}{
		value: {0, "whole Halley key"}, value[3:]: {0, "whole Halley key"}, other(value): {1, "checksum is wrong"}, value[:40]: {1, "not copied whole"},
		token: {0, "personal access token"}, other(token): {1, "checksum is wrong"}, "sk-" + strings.Repeat("a", 48): {1, "no key that Halley makes"},
	} {
		for how, run := range map[string]func() (int, string){
			"as an argument":    func() (int, string) { return d.run(t, "", "key", "inspect", value) },
			"on standard input": func() (int, string) { return d.run(t, " "+value+"\n", "key", "inspect") },
		} {
			code, out := run()
			if code != want.code || !strings.Contains(out, want.says) {
				t.Errorf("%q %s: exit code %d\n%s", value, how, code, out)
			}
			if strings.Contains(out, value) {
				t.Errorf("the value is printed:\n%s", out)
			}
		}
	}
	if code, out := d.run(t, "", "key", "inspect"); code != 1 || !strings.Contains(out, "give a value") {
		t.Errorf("nothing: exit code %d\n%s", code, out)
	}
}
