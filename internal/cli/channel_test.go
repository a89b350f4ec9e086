package cli_test

import (
	"regexp"
	"strings"
	"testing"
)

func TestChannelsAreManagedFromTheCommandLine(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for _, step := range []struct {
		stdin string
		args  string
		code  int
		want  string // a pattern of the whole output
	}{
		{"", "channel list", 0, `ID +NAME .*\n`},
		{"", "channel add demo --kind=demo --models=demo-*,demo-echo", 0, `Channel 1 \(demo\) offers demo-\*,demo-echo to default\.\nTry it: halley channel test 1\n`},
		{
			"sk-aaaaaaaaaaaa1111\n\n sk-bbbbbbbbbbbb2222 \n", "channel add main --base-url=https://api.example.com/v1/ --models=a,b,c,d,e --map=a=x;b=y --priority=3 --weight=2 --tag=eu --key-stdin",
			0, `Channel 2 \(main\) offers a,b,c,d,e to default\.\n.*\n`,
		},
		{"", "channel list", 0, `ID .*\n2 +main +openai +enabled +3 +2 +…1111,…2222 +default +a,b,c,d and 1 more +https://api.example.com/v1\n1 +demo +demo +enabled +0 +1 +none +default +demo-\*,demo-echo +\n`},
		{"", "channel list --keyword=EU", 0, `ID .*\n2 +main .*\n`},
		{"", "channel test 1", 0, `Channel 1 works: status 200, first byte after \d+ ms, done after \d+ ms\.\nIt answers: Hello! .*\n`},
		{"", "channel test 1 --stream --model=demo-echo", 0, `Channel 1 works: .*\nIt answers: Hello! .*\n`},
		{"", "channel test 1 --model=demo-500", 1, `halley: channel 1 does not work: status 500 after \d+ ms: .*demo-500.*\n`},
		{"", "channel test 1 --model=demo-html", 1, `(?s)halley: channel 1 does not work: .*\n`},
		{"", "channel test 9", 1, `halley: There is no channel with the id 9\.\n`},
		{"", "channel add local --base-url=http://127.0.0.1:11434/v1 --models=x", 1, `halley: base_url is at a private.*\n`},
		{"", "channel add none --base-url=https://api.example.com/v1 --models=x --key-stdin", 1, `halley: standard input has no key.*\n`},
		{"", "channel add none", 2, `(?s).*--models.*`},
		{"", "channel add none --kind=telnet --models=x", 2, `(?s).*--kind.*`},
	} {
		code, out := d.run(t, step.stdin, strings.Fields(step.args)...)
		if code != step.code || !regexp.MustCompile(`^`+step.want+`$`).MatchString(out) {
			t.Errorf("halley %s: exit code %d\n%s", step.args, code, out)
		}
		if strings.Contains(out, "sk-") {
			t.Errorf("halley %s shows a key:\n%s", step.args, out)
		}
	}
}
