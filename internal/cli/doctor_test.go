package cli_test

import (
	"regexp"
	"strings"
	"testing"

	"halley/internal/store/storetest"
)

func TestTheDoctorNamesWhatIsWrongWithTheBooks(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	if code, out := d.run(t, "", "user", "create", "ada", "--quota=500"); code != 0 {
		t.Fatal(out)
	}
	if code, out := d.run(t, "", "doctor", "--ledger"); code != 0 || out != "ok    ledger: no differences in 0 keys, 2 accounts and 0 hours of usage\n" {
		t.Errorf("exit code %d\n%s", code, out)
	}
	other := &desk{env: map[string]string{"HALLEY_DATA_DIR": t.TempDir()}}
	if code, out := other.run(t, "", "doctor", "--ledger"); code != 1 || !strings.Contains(out, "the database is empty") {
		t.Errorf("of an empty database: exit code %d\n%s", code, out)
	}
	raw := storetest.Raw(t, d.env["HALLEY_DATABASE_URL"])
	doctored := func(text string, want string) {
		t.Helper()
		if _, err := raw.ExecContext(t.Context(), text); err != nil {
			t.Fatal(err)
		}
		if code, out := d.run(t, "", "doctor", "--ledger"); code != 1 || !regexp.MustCompile(`^`+want+`$`).MatchString(out) {
			t.Errorf("exit code %d\n%s", code, out)
		}
	}
	doctored(`UPDATE users SET granted_nano = granted_nano + 1, used_nano = 7 WHERE id = 2`,
		`FAIL  user 2: granted_nano is 1000001, its rows say 1000000\nFAIL  user 2: used_nano is 7, its rows say 0\n      money is in nano-USD; mend: .*\nhalley: the books differ from their rows in 2 places, among .*\n`)
	doctored(`WITH RECURSIVE n (i) AS (SELECT 100 UNION ALL SELECT i + 1 FROM n WHERE i < 250) INSERT INTO grants (time_ms, kind, subject_id, delta_nano, reason, actor, request_id) SELECT 0, 1, i, 5, '', 0, '' FROM n`,
		strings.Repeat(`FAIL  key \d+: has rows, but does not exist\n`, 100)+`      and 53 more\n.*\n.* in 153 places.*\n`)
}
