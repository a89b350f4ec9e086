package cli_test

import (
	"regexp"
	"strings"
	"testing"
)

func TestIdentityProvidersAreManagedFromTheCommandLine(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.env["HALLEY_PUBLIC_URL"] = "https://halley.example.com"
	const head = `NAME +LABEL +STATUS +ACCOUNTS +GROUP CLAIM +ROLE CLAIM +ISSUER +CLIENT ID\n`
	for _, step := range []struct {
		stdin string
		args  string
		want  string // a pattern of the whole output
	}{
		{"", "login-provider list", head},
		{
			"the secret\nsecond line", "login-provider add corp --label=Corp --issuer=https://id.example.com --client-id=halley --secret-stdin --create-users --group-claim=groups --groups=staff=default,all=default",
			`Identity provider corp \(https://id\.example\.com\) is enabled\.\nRegister this callback URL there: https://halley\.example\.com/api/user/oidc/corp/callback\n`,
		},
		{
			"", "login-provider add other --issuer=https://other.example.com --client-id=h --role-claim=roles --admin-values=ops --disabled",
			`Identity provider other \(https://other\.example\.com\) is disabled\.\nRegister .*/other/callback\n`,
		},
		{"", "login-provider disable corp", `Identity provider corp is disabled\.\n`},
		{"", "login-provider enable other", `Identity provider other is enabled\.\n`},
		{
			"", "login-provider list",
			head + `corp +Corp +disabled +made +groups +- +https://id\.example\.com +halley\nother +other +enabled +linked +- +roles +https://other\.example\.com +h\n`,
		},
		{"", "login-provider remove corp", `Identity provider corp is removed\.\n`},
		{"", "login-provider list", head + `other .*\n`},
	} {
		code, out := d.run(t, step.stdin, strings.Fields(step.args)...)
		if code != 0 || !regexp.MustCompile(`^`+step.want+`$`).MatchString(out) || strings.Contains(out, "the secret") {
			t.Errorf("halley %s: exit code %d\n%s", step.args, code, out)
		}
	}
	for args, want := range map[string]string{
		"login-provider disable corp": "There is no identity provider", "login-provider remove corp": "There is no identity provider",
		"login-provider add x --issuer=https://x.example.com --client-id=h --secret-stdin":     "standard input has no secret",
		"login-provider add x --issuer=https://x.example.com --client-id=h --groups=staff":     `"staff" is not VALUE=GROUP`,
		"login-provider add x --issuer=http://x.example.com --client-id=h":                     "issuer",
		"login-provider add other --issuer=https://x.example.com --client-id=h --label=Second": "other",
	} {
		if code, out := d.run(t, "", strings.Fields(args)...); code != 1 || !strings.Contains(out, want) {
			t.Errorf("halley %s: exit code %d\n%s", args, code, out)
		}
	}
	delete(d.env, "HALLEY_PUBLIC_URL")
	code, out := d.run(t, "", strings.Fields("login-provider add third --issuer=https://x.example.com --client-id=h")...)
	if code != 0 || !strings.Contains(out, "Set HALLEY_PUBLIC_URL") {
		t.Errorf("without a public URL: exit code %d\n%s", code, out)
	}
}
