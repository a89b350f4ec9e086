package cli_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"halley/internal/cli"
	"halley/internal/config"
)

// typed runs a command line and gives its exit code and both outputs.
func typed(t *testing.T, env map[string]string, stdin string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = cli.Main(t.Context(), cli.Process{
		Args: args, Stdin: strings.NewReader(stdin), Stdout: &out, Stderr: &errs, Version: "test",
		LookupEnv: func(name string) (string, bool) { v, ok := env[name]; return v, ok },
	})
	return code, out.String(), errs.String()
}

// clerk is a management API that notes the last request and is content with all.
func clerk(t *testing.T) (address string, last func() string) {
	t.Helper()
	noted := ""
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		noted = r.Header.Get("Authorization") + " " + r.Method + " " + r.URL.RequestURI()
		if len(text) > 0 {
			var body any // written again, with its members in order
			if err := json.Unmarshal(text, &body); err != nil {
				t.Error(err)
			}
			if text, err = json.Marshal(body); err != nil {
				t.Error(err)
			}
			noted += " " + string(text)
		}
		answer := `{"ok":true,"id":7,"username":"ada","name":"n","items":[{"id":7,"username":"ada"}],"page_size":100,"total":1}`
		if strings.HasSuffix(r.URL.Path, "/presets") {
			answer = `[]`
		}
		_, _ = io.WriteString(w, `{"success":true,"data":`+answer+`}`)
	}))
	t.Cleanup(server.Close)
	return server.URL, func() string { said := noted; noted = ""; return said }
}

func TestWhatIsTypedIsWhatIsSent(t *testing.T) {
	t.Parallel()
	address, last := clerk(t)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, []byte("pem"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		args  string // _ stands for a space inside an argument
		stdin string
		want  string
	}{
		{"key create n", "", `POST /api/token/ {"name":"n","remain_quota":0,"unlimited_quota":false}`},
		{
			"key create a_name --user ada --quota=-5 --unlimited --models=a,b --models c --allow-ips=::1,10.0.0.0/8 --group=g --parent=0x10", "",
			`POST /api/token/16/children?user_id=7 {"allow_ips":"::1\n10.0.0.0/8","group":"g","model_limits":"a,b,c","model_limits_enabled":true,"name":"a name","remain_quota":-5,"unlimited_quota":true}`,
		},
		{"key create --unlimited=NO --quota 7 n --expires=2100-01-31", "", `POST /api/token/ {"expired_time":4105036800,"name":"n","remain_quota":7,"unlimited_quota":false}`},
		{`key create n --models=a\,b,c\d,,e\\,f,`, "", `POST /api/token/ {"model_limits":"a,b,c\\d,,e\\\\,f","model_limits_enabled":true,"name":"n","remain_quota":0,"unlimited_quota":false}`},
		{"key create n --models=", "", `POST /api/token/ {"name":"n","remain_quota":0,"unlimited_quota":false}`},
		{"key create -- -n", "", `POST /api/token/ {"name":"-n","remain_quota":0,"unlimited_quota":false}`},
		{"key create n --group=a --group=b=c", "", `POST /api/token/ {"group":"b=c","name":"n","remain_quota":0,"unlimited_quota":false}`},
		{"key list", "", `GET /api/token/?keyword=&p=1&page_size=100&parent_id=0`},
		{"key list --keyword=x --parent=-1 --status=exhausted --user=ada", "", `GET /api/token/?keyword=x&p=1&page_size=100&parent_id=-1&status=4&user_id=7`},
		{"key list --status=", "", `GET /api/token/?keyword=&p=1&page_size=100&parent_id=0`},
		{"key show 3 --reveal --user=ada", "", `GET /api/token/3?user_id=7`},
		{"key rotate 3 --grace=90m --user=ada", "", `POST /api/token/3/rotate?user_id=7 {"grace_seconds":5400}`},
		{"key rotate 3 --grace -0", "", ``},
		{"key disable 3 --user=ada", "", `PUT /api/token/?status_only=true&user_id=7 {"id":3,"status":2}`},
		{"user list --keyword=x", "", `GET /api/user/?keyword=x&p=1&page_size=100`},
		{
			"user create bo --role=admin --group=g --quota=0 --unlimited --display-name=Bo_B --email=bo@example.com --password-stdin", "secret\n",
			`POST /api/user/ {"display_name":"Bo B","email":"bo@example.com","group":"g","password":"secret","quota":0,"role":"admin","unlimited_quota":true,"username":"bo"}`,
		},
		{"user create bo --password-stdin", "secret\n", `POST /api/user/ {"display_name":"","email":"","password":"secret","role":"user","unlimited_quota":false,"username":"bo"}`},
		{"user password ada --password-stdin", "secret\n", `PATCH /api/user/7 {"password":"secret"}`},
		{"user disable ada", "", `PATCH /api/user/7 {"status":2}`},
		{"user enable ada", "", `PATCH /api/user/7 {"status":1}`},
		{"user quota ada --add=-5", "", `POST /api/user/7/quota {"add":-5}`},
		{"user quota ada --set 0", "", `POST /api/user/7/quota {"set":0}`},
		{"user reset-factors ada", "", `POST /api/user/7/reset_second_factors`},
		{"channel list --keyword=x", "", `GET /api/channel/?keyword=x&p=1&page_size=100`},
		{"channel presets", "", `GET /api/channel/presets`},
		{"channel add n --models=a", "", `POST /api/channel/ {"groups":["default"],"keys":[],"kind":"openai","models":["a"],"name":"n","priority":0,"tag":"","weight":1}`},
		{
			"channel add n --preset=p --kind=vertex --base-url=u --models=a,b --models=c --map=a=x=y;b=z --map c=w --groups=g,h --priority=-2 --weight=3 --tag=t --proxy-url=q --project=j --location=l --api-version=v --key-stdin --ca-file=" + ca, "k1\nk2\n",
			`POST /api/channel/ {"azure":{"api_version":"v"},"base_url":"u","ca_pem":"pem","groups":["g","h"],"keys":["k1","k2"],"kind":"vertex","model_mapping":{"a":"x=y","b":"z","c":"w"},"models":["a","b","c"],"name":"n","preset":"p","priority":-2,"proxy_url":"q","tag":"t","vertex":{"location":"l","project":"j"},"weight":3}`,
		},
		{"channel add n --kind= --models=a --map=", "", `POST /api/channel/ {"groups":["default"],"keys":[],"kind":"openai","models":["a"],"name":"n","priority":0,"tag":"","weight":1}`},
		{"channel test 2", "", `POST /api/channel/2/test {"model":"","stream":false}`},
		{"channel test --stream 2 --model=m", "", `POST /api/channel/2/test {"model":"m","stream":true}`},
		{"channel models 2", "", `GET /api/channel/2/models`},
		{"channel spend 2 --days=40000", "", `GET /api/channel/2/spend?from=0`},
		{"channel duplicate 2", "", `POST /api/channel/2/duplicate`},
		{"channel enable 2 3 4", "", `POST /api/channel/bulk {"action":"enable","ids":[2,3,4],"tag":""}`},
		{"channel disable --tag=t", "", `POST /api/channel/bulk {"action":"disable","ids":[],"tag":"t"}`},
		{"channel delete 2 --tag=t", "", `POST /api/channel/bulk {"action":"delete","ids":[2],"tag":"t"}`},
		{"price list", "", `GET /api/price/?keyword=&p=1&page_size=100`},
		{"price list gpt", "", `GET /api/price/?keyword=gpt&p=1&page_size=100`},
		{
			"price set m --input=1 --output=2 --cache-read=3 --per-request=4 --per-search=5 --max-output=6", "",
			`PUT /api/price/m {"cache_read":"3","input":"1","max_output_tokens":6,"output":"2","per_request":"4","per_search":"5"}`,
		},
		{"price set m --input=1", "", `PUT /api/price/m {"input":"1"}`},
		{"price reset m", "", `DELETE /api/price/m`},
		{"route explain --key=1 --model=m", "", `POST /api/route/explain {"key_id":1,"model":"m"}`},
		{"route explain --key=k --model=m --endpoint=chat --ip=::1 --json", "", `POST /api/route/explain {"endpoint":"chat","ip":"::1","key":"k","model":"m"}`},
		{"login-provider list", "", `GET /api/login_provider/?p=1&page_size=100`},
		{
			"login-provider add n --issuer=i --client-id=c", "",
			`POST /api/login_provider/ {"client_id":"c","create_users":false,"enabled":true,"group_claim":"","groups":[],"issuer":"i","label":"n","name":"n","role_claim":""}`,
		},
		{
			"login-provider add n --issuer=i --client-id=c --secret-stdin --label=l --scopes=a,b --create-users --group-claim=g --groups=v=w,x=y --role-claim=r --admin-values=a --admin-values=b,c --disabled", "s\n",
			`POST /api/login_provider/ {"admin_values":["a","b","c"],"client_id":"c","client_secret":"s","create_users":true,"enabled":false,"group_claim":"g","groups":[{"group":"w","value":"v"},{"group":"y","value":"x"}],"issuer":"i","label":"l","name":"n","role_claim":"r","scopes":["a","b"]}`,
		},
		{"login-provider disable n", "", `PATCH /api/login_provider/n {"enabled":false}`},
		{"login-provider enable n", "", `PATCH /api/login_provider/n {"enabled":true}`},
		{"login-provider remove n", "", `DELETE /api/login_provider/n`},
	} {
		args := strings.Fields(tc.args)
		for i := range args {
			args[i] = strings.ReplaceAll(args[i], "_", " ")
		}
		// Before the command's own words, so that what follows -- stays last.
		args = slices.Insert(args, min(2, len(args)), "--server="+address, "--token", "t", "--config=none.yaml")
		code, _, stderr := typed(t, nil, tc.stdin, args...)
		want, wantCode := "t "+tc.want, 0
		if tc.want == "" {
			want, wantCode = "", 2
		}
		if said := last(); said != want || code != wantCode {
			t.Errorf("halley %s: exit code %d %s\n%s\nwant\n%s", tc.args, code, stderr, said, want)
		}
	}
}

func TestWhatIsNotUnderstood(t *testing.T) {
	t.Parallel()
	address, last := clerk(t)
	for args, want := range map[string]string{
		"":              `expected one of "serve", "demo"`,
		"key":           `expected one of "create", "list"`,
		"chanel":        `chanel`,
		"key lst":       `lst`,
		"nosuch --help": `nosuch`,
		"help":          `help`,
		"help key":      `help`,
		"completion":    `completion`,
		"__complete x":  `__complete`,
		"--version":     `--version`,
		"-x":            `x`,
		// A flag belongs to the commands that have it, and comes after their name.
		"key list --modles=x":                        `--modles`,
		"version --server=x":                         `--server`,
		"--server=x key list":                        `--server`,
		"key --user=x list":                          `--user`,
		"key list -u":                                `-u`,
		"serve --no-such-flag":                       `--no-such-flag`,
		"key list --hel":                             `--hel`,
		"key list --no-user":                         `--no-user`,
		"demo --data-dir=x":                          `--data-dir`,
		"channel add x":                              `--models`,
		"channel add":                                `--models`,
		"channel add --models=a":                     `<name>`,
		"key create":                                 `<name>`,
		"key show --reveal":                          `<id>`,
		"channel test":                               `<id>`,
		"price set m":                                `--input=USD`,
		"price set":                                  `--input=USD`,
		"route explain":                              `--key=KEY, --model=MODEL`,
		"route explain --model=x":                    `missing flags: --key=KEY`,
		"login-provider add x":                       `--client-id=ID, --issuer=URL`,
		"user quota ada":                             `--add=UNITS or --set=UNITS`,
		"user quota --add=1":                         `<user>`,
		"user quota ada --add=1 --set=2":             `--add and --set can't be used together`,
		"version x":                                  `unexpected argument x`,
		"serve x":                                    `unexpected argument x`,
		"key list x":                                 `unexpected argument x`,
		"key create a b":                             `unexpected argument b`,
		"key create a b --help":                      `unexpected argument b`,
		"key inspect a b":                            `unexpected argument b`,
		"price list a b":                             `unexpected argument b`,
		"channel test abc":                           `abc`,
		"channel test 1.5":                           `1.5`,
		"channel test 99999999999999999999":          `99999999999999999999`,
		"channel test -1":                            `-1`,
		"channel test 1 2":                           `unexpected argument 2`,
		"channel enable 1 x":                         `x`,
		"channel enable 1,2":                         `1,2`,
		"channel add x --models=a --weight=1.5":      `--weight`,
		"channel add x --models=a --weight=":         `--weight`,
		"channel add x --models=a --weight=x --help": `--weight`,
		"channel add x --models=a --kind=telnet":     `--kind must be one of "openai"`,
		"channel add x --models=a --kind=OpenAI":     `--kind`,
		"channel add x --models=a --map=b":           `--map`,
		"channel add x --models=a --ca-file=/no/such/file":       `--ca-file`,
		"channel add x --models=a --ca-file=.":                   `--ca-file`,
		"user create x --role=root":                              `--role must be one of "user"`,
		"user create x --role=":                                  `--role`,
		"user create x --quota=many":                             `--quota`,
		"key list --status=lost":                                 `--status`,
		"key rotate 1 --grace=5":                                 `--grace`,
		"key create x --unlimited=maybe":                         `--unlimited`,
		"key create x --unlimited true":                          `unexpected argument true`,
		"channel add x --models":                                 `--models`,
		"version --config":                                       `--config`,
		"key list --keyword":                                     `--keyword`,
		"key list --user --parent=3":                             `--user`,
		"key list --user --help":                                 `--user`,
		"user quota ada --add -5":                                `--add`,
		"channel add x --models -a":                              `--models`,
		"channel add x --map --models=a":                         `--map`,
		"audit verify x":                                         `x`,
		"audit verify --noted":                                   `--noted`,
		"audit":                                                  `verify`,
		"route":                                                  `explain`,
		"demo --listen":                                          `--listen`,
		"doctor --ledger=perhaps":                                `--ledger`,
		"login-provider add x --issuer=i --client-id=c --groups": `--groups`,
	} {
		code, stdout, stderr := typed(t, map[string]string{"HALLEY_DATABASE_URL": "postgres://nowhere.invalid/none"}, "", strings.Fields(args)...)
		if code != 2 || stdout != "" || !strings.HasPrefix(stderr, "halley: ") || !strings.Contains(stderr, want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("halley %s: exit code %d\n%s%s", args, code, stdout, stderr)
		}
	}
	if code, _, stderr := typed(t, nil, "", "key", "list", "--server="+address); code != 1 || !strings.Contains(stderr, "--token") || last() != "" {
		t.Errorf("what is understood but fails: exit code %d %s", code, stderr)
	}
}

func TestEveryCommandHelps(t *testing.T) {
	t.Parallel()
	const server = "server token "
	options := make([]string, 0, 64)
	everything := []string{"serve"}
	for _, o := range config.Options() {
		options = append(options, o.Flag)
		everything = append(everything, "--"+o.Flag+"=x")
	}
	for command, want := range map[string]struct{ usage, flags string }{
		"":                       {"<command> [flags]", ""},
		"serve":                  {"[flags]", strings.Join(options, " ")},
		"demo":                   {"[flags]", "listen dir"},
		"key":                    {"<command> [flags]", ""},
		"key create":             {"<name> [flags]", server + "user quota unlimited expires models allow-ips group parent"},
		"key list":               {"[flags]", server + "user keyword parent status"},
		"key show":               {"<id> [flags]", server + "user reveal"},
		"key inspect":            {"[<value>]", ""},
		"key rotate":             {"<id> [flags]", server + "user grace"},
		"key disable":            {"<id> [flags]", server + "user"},
		"user list":              {"[flags]", server + "keyword"},
		"user create":            {"<username> [flags]", server + "role group quota unlimited display-name email password-stdin"},
		"user password":          {"<user> [flags]", server + "password-stdin"},
		"user disable":           {"<user> [flags]", server},
		"user enable":            {"<user> [flags]", server},
		"user quota":             {"<user> [flags]", server + "add set"},
		"user reset-factors":     {"<user> [flags]", server},
		"channel list":           {"[flags]", server + "keyword"},
		"channel add":            {"<name> [flags]", server + "preset kind base-url models map groups priority weight tag proxy-url ca-file project location api-version key-stdin"},
		"channel presets":        {"[flags]", server},
		"channel test":           {"<id> [flags]", server + "model stream"},
		"channel models":         {"<id> [flags]", server},
		"channel spend":          {"<id> [flags]", server + "days"},
		"channel duplicate":      {"<id> [flags]", server},
		"channel enable":         {"[flags]", server + "tag"},
		"channel disable":        {"[flags]", server + "tag"},
		"channel delete":         {"[flags]", server + "tag"},
		"price list":             {"[<keyword>] [flags]", server},
		"price set":              {"--input=USD <model> [flags]", server + "input output cache-read per-request per-search max-output"},
		"price reset":            {"<model> [flags]", server},
		"route explain":          {"--key=KEY --model=MODEL [flags]", server + "key model endpoint ip json"},
		"login-provider list":    {"[flags]", server},
		"login-provider add":     {"--issuer=URL --client-id=ID <name> [flags]", server + "issuer client-id secret-stdin label scopes create-users group-claim groups role-claim admin-values disabled"},
		"login-provider disable": {"<name> [flags]", server},
		"login-provider enable":  {"<name> [flags]", server},
		"login-provider remove":  {"<name> [flags]", server},
		"audit verify":           {"[flags]", "noted"},
		"doctor":                 {"[flags]", "ledger"},
		"version":                {"[flags]", ""},
	} {
		for _, flag := range []string{"--help", "-h"} {
			code, stdout, stderr := typed(t, nil, "", append(strings.Fields(command), flag)...)
			usage, _, _ := strings.Cut(stdout, "\n")
			if code != 0 || stderr != "" || !strings.HasPrefix(usage, strings.TrimSpace("Usage: halley "+command)) || !strings.Contains(usage, want.usage) {
				t.Errorf("halley %s %s: exit code %d\n%s%s", command, flag, code, stdout, stderr)
			}
			var flags []string
			for _, found := range regexp.MustCompile(`(?m)^ +(?:-h, )?--([a-z0-9-]+)`).FindAllStringSubmatch(stdout, -1) {
				flags = append(flags, found[1])
			}
			if got, want := strings.Join(flags, " "), strings.TrimSpace("help config "+want.flags); got != want {
				t.Errorf("halley %s %s has the flags\n%s\nwant\n%s", command, flag, got, want)
			}
		}
	}
	if code, stdout, stderr := typed(t, nil, "", append(everything, "--help")...); code != 0 || stderr != "" || !strings.Contains(stdout, "$HALLEY_LISTEN") {
		t.Errorf("halley serve with every flag: exit code %d\n%s", code, stderr)
	}
	for _, args := range []string{"--help key create", "key -h create", "key --help create x"} {
		if code, stdout, _ := typed(t, nil, "", strings.Fields(args)...); code != 0 || !strings.HasPrefix(stdout, "Usage: halley key create <name>") {
			t.Errorf("halley %s: exit code %d\n%s", args, code, stdout)
		}
	}
}

func TestFlagsGoBeforeTheConfigurationFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "halley.yaml")
	if err := os.WriteFile(file, []byte("log: {level: loud}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for args, want := range map[string]string{
		"serve --config=" + file:                        "loud",
		"--config " + file + " serve":                   "loud",
		"serve --config " + file + " --log-level noisy": "noisy",
		"serve --log-level=silent --log-level=noisy":    "noisy",
	} {
		code, stdout, stderr := typed(t, nil, "", strings.Fields(args)...)
		if code != 1 || stdout != "" || !strings.Contains(stderr, want) {
			t.Errorf("halley %s: exit code %d\n%s%s", args, code, stdout, stderr)
		}
	}
}

// Variables stand for flags that are not given, in the process's environment.
func TestVariablesStandForFlags(t *testing.T) {
	address, last := clerk(t)
	file := filepath.Join(t.TempDir(), "halley.yaml")
	if err := os.WriteFile(file, []byte("log: {level: loud}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"HALLEY_SERVER": address, "HALLEY_TOKEN": "t", "HALLEY_CHANNEL_PROXY_URL": "socks5://p", "HALLEY_CONFIG": file, "HALLEY_LISTEN": "no address"}
	for name, value := range env {
		t.Setenv(name, value)
	}
	if code, _, stderr := typed(t, env, "", "channel", "add", "n", "--models=a"); code != 0 || !strings.Contains(last(), `"proxy_url":"socks5://p"`) {
		t.Errorf("exit code %d %s", code, stderr)
	}
	if code, _, stderr := typed(t, env, "", "channel", "add", "n", "--models=a", "--proxy-url="); code != 0 || strings.Contains(last(), `proxy`) {
		t.Errorf("an empty flag does not go before the variable: exit code %d %s", code, stderr)
	}
	if code, _, stderr := typed(t, env, "", "key", "show", "1", "--token=u"); code != 0 || last() != "u GET /api/token/1" {
		t.Errorf("a flag does not go before the variable: exit code %d %s", code, stderr)
	}
	if code, _, stderr := typed(t, env, "", "serve"); code != 1 || !strings.Contains(stderr, "loud") {
		t.Errorf("HALLEY_CONFIG is not read: exit code %d %s", code, stderr)
	}
	if code, _, stderr := typed(t, env, "", "demo"); code != 1 || !strings.Contains(stderr, "--listen must be HOST:PORT") {
		t.Errorf("HALLEY_LISTEN is not read: exit code %d %s", code, stderr)
	}
}
