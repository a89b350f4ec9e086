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
		{"", "channel presets", 0, `(?s)PRESET .*\ngroq +Groq +openai +https://api.groq.com/openai/v1\n.*`},
		{"sk-cccccccccccc3333", "channel add fast --preset=groq --models=llama* --tag=new --proxy-url=http://me:sk-proxy-password@proxy.example.com --key-stdin", 0, `Channel 3 \(fast\) offers llama\* to default\.\n.*\n`},
		{"", "channel list --keyword=fast", 0, `ID .*\n3 +fast +openai +enabled +0 +1 +…3333 +default +llama\* +https://api.groq.com/openai/v1\n`},
		{"", "channel add az --preset=azure --models=x", 1, `halley: base_url must not be empty.*https://NAME.openai.azure.com.*\n`},
		{"", "channel add az --kind=azure --base-url=https://n.openai.azure.com --api-version=2023-05-15 --models=x", 1, `halley: azure.api_version must be 2024-09-01.*\n`},
		{"", "channel add nowhere --preset=nobody --models=x", 1, `halley: There is no preset "nobody".*\n`},
		{"", "channel add ca --preset=openai --models=x --ca-file=channel_test.go", 1, `halley: ca_pem must be certificates.*\n`},
		{"", "channel models 1", 0, `(?s)demo.*\n`},
		{"", "channel spend 1", 0, `Channel 1 in 30 days: 0 requests, 0 of them failed, 0 tokens in, 0 out, 0 USD\.\n`},
		{"", "channel spend 1 --days=0", 1, `halley: --days must be at least 1\n`},
		{"", "channel duplicate 3", 0, `Channel 4 \(fast copy\) is a copy of channel 3, disabled\. Enable it: halley channel enable 4\n`},
		{"", "channel enable --tag=new", 0, `Enabled: 4\n`},
		{"", "channel disable 3 4", 0, `Disabled: 3, 4\n`},
		{"", "channel disable 3", 0, `Nothing to disable\.\n`},
		{"", "channel delete --tag=new", 0, `Deleted: 3, 4\n`},
		{"", "channel delete", 1, `halley: Either ids or tag .*\n`},
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
