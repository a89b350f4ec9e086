package store_test

import (
	"database/sql"
	"io/fs"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pressly/goose/v3"

	"halley/internal/budget"
	"halley/internal/money"
	"halley/internal/reconcile"
	"halley/internal/store"
	"halley/internal/store/migrations"
	"halley/internal/store/pgtest"
	"halley/internal/store/storetest"
)

func TestReconcile(t *testing.T) {
	t.Parallel()
	storetest.URLs(t, func(t *testing.T, url func(*testing.T) string) { storetest.RunReconcile(t, url) })
}

// A database from before there were rows of grants begins its books with what
// stands there.
func TestAnOlderDatabaseBeginsItsBooksBalanced(t *testing.T) {
	t.Parallel()
	storetest.URLs(t, func(t *testing.T, url func(*testing.T) string) {
		where := url(t)
		old := migratedTo(t, where, 5)
		for _, text := range []string{
			`INSERT INTO users (id, username, username_fold, search_fold, password_hash, role, status, grp, granted_nano, used_nano, unlimited, request_count, created_ms) VALUES (1, 'root', 'root', '', '', 'root', 1, 'default', 1600, 1600, 1, 2, 0), (2, 'ada', 'ada', '', '', 'user', 1, 'default', 9000, 0, 0, 0, 0)`,
			`INSERT INTO keys (id, user_id, status, name, name_fold, created_ms, accessed_ms, ends_ms, granted_nano, used_nano, unlimited, model_limits_enabled, model_limits, allow_ips, grp, cross_group_retry, limits, parent_id, deleted_ms) VALUES
				(1, 1, 1, 'p', 'p', 0, 0, -1, 2600, 1600, 1, 0, '', '', '', 0, '{}', 0, 0), (2, 1, 1, 'c', 'c', 0, 0, -1, 700, 600, 0, 0, '', '', '', 0, '{}', 1, 5)`,
			`INSERT INTO usage_hours (hour_ms, user_id, key_id, model, channel_id, requests, errors, tokens_in, tokens_out, cost_nano, key_grant_nano, parent_grant_nano, user_grant_nano) VALUES (0, 1, 1, 'm', 1, 1, 0, 1, 1, 1000, 1000, 0, 1000), (0, 1, 2, 'm', 1, 1, 0, 1, 1, 600, 0, 600, 600)`,
			`INSERT INTO meta (name, value) VALUES ('usage_records_from', '3600000')`,
		} {
			if _, err := old.ExecContext(t.Context(), text); err != nil {
				t.Fatalf("%v\n%s", err, text)
			}
		}
		db := storetest.Open(t, where)
		report, err := db.Reconcile(t.Context(), reconcile.Most)
		if err != nil || report.Total != 0 || report.Keys != 2 || report.Users != 2 {
			t.Errorf("%+v, %v", report, err)
		}
		for subject, want := range map[budget.Subject]map[budget.Reason]money.Nano{
			{Kind: budget.Key, ID: 1}:  {budget.Opening: 1000, budget.Lifted: 0},
			{Kind: budget.Key, ID: 2}:  {budget.Opening: 700},
			{Kind: budget.User, ID: 1}: {budget.Opening: 0, budget.Lifted: 0},
			{Kind: budget.User, ID: 2}: {budget.Opening: 9000},
		} {
			rows, _, err := db.Grants(t.Context(), subject, 0, 10)
			if err != nil {
				t.Fatal(err)
			}
			got := map[budget.Reason]money.Nano{}
			for _, r := range rows {
				got[r.Cause.Reason] = r.Delta
				if age := time.Since(r.Cause.At); r.Cause.Actor != 0 || age < -time.Minute || age > time.Hour {
					t.Errorf("%+v: %+v", subject, r)
				}
			}
			if diff := cmp.Diff(want, got); diff != "" || len(rows) != len(want) {
				t.Errorf("%+v (-want +got):\n%s", subject, diff)
			}
		}
	})
}

// migratedTo makes the database at the url as it was at that version.
func migratedTo(t *testing.T, url string, version int64) *sql.DB {
	t.Helper()
	db := storetest.Raw(t, url)
	dialect, engine := goose.DialectPostgres, "postgres"
	if strings.HasPrefix(url, "sqlite:") {
		dialect, engine = goose.DialectSQLite3, "sqlite"
	}
	folder, err := fs.Sub(migrations.Files, engine)
	if err != nil {
		t.Fatal(err)
	}
	provider, err := goose.NewProvider(dialect, db, folder)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := provider.UpTo(t.Context(), version); err != nil {
		t.Fatal(err)
	}
	return db
}

// BenchmarkReconcile checks the books of 100,000 keys of 10,000 accounts, a
// tenth of the keys issued by others, with 1,000,000 rollups and as many
// records of 30 days; first the balances alone, then the rollups, too.
func BenchmarkReconcile(b *testing.B) {
	for engine, url := range map[string]func(b *testing.B) string{
		"sqlite":   func(b *testing.B) string { b.Helper(); return "sqlite:" + filepath.Join(b.TempDir(), "halley.db") },
		"postgres": func(b *testing.B) string { b.Helper(); return pgtest.URL(b) },
	} {
		b.Run(engine, func(b *testing.B) {
			db := storetest.Open(b, url(b))
			plantBooks(b, db)
			check := func(b *testing.B, hours int64) {
				b.Helper()
				var before, after syscall.Rusage
				_ = syscall.Getrusage(syscall.RUSAGE_SELF, &before)
				n := 0
				for ; b.Loop(); n++ {
					report, err := db.Reconcile(b.Context(), reconcile.Most)
					if err != nil || report.Total != 0 || report.Keys != 100_000 || report.Hours != hours {
						b.Fatalf("%+v, %v", report, err)
					}
				}
				_ = syscall.Getrusage(syscall.RUSAGE_SELF, &after)
				spent := after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()
				b.ReportMetric(float64(spent)/1e9/float64(n), "cpu-s/op")
			}
			set := func(text string) {
				if _, err := db.Writer().ExecContext(b.Context(), text); err != nil {
					b.Fatal(err)
				}
			}
			set(`INSERT INTO meta (name, value) VALUES ('usage_records_from', '9000000000000')`)
			b.Run("balances", func(b *testing.B) { check(b, 0) })
			set(`DELETE FROM meta WHERE name = 'usage_records_from'`)
			b.Run("all", func(b *testing.B) { check(b, 1_000_000) })
		})
	}
}

// plantBooks writes the tables directly: it is the size that counts.
func plantBooks(b *testing.B, db *store.DB) {
	b.Helper()
	count := func(n string) string {
		return `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ` + n + `) `
	}
	const usage = `1766000000000 / 3600000 * 3600000 + CAST(i % 720 AS BIGINT) * 3600000, i % 10000 + 1, i % 100000 + 1, 'model-' || (i % 7), 1 + i % 2`
	for _, text := range []string{
		`INSERT INTO users (username, username_fold, search_fold, password_hash, role, status, grp, created_ms) ` + count("10000") +
			`SELECT 'u' || i, 'u' || i, '', '', 'user', 1, 'default', 0 FROM n`,
		`INSERT INTO keys (user_id, status, name, name_fold, created_ms, accessed_ms, ends_ms, granted_nano, unlimited, model_limits_enabled, model_limits, allow_ips, grp, cross_group_retry, limits, parent_id) ` + count("100000") +
			`SELECT (i - 1) % 10000 + 1, 1, 'k', 'k', 0, 0, -1, 0, 0, 0, '', '', '', 0, '{}', CASE WHEN i % 10 = 0 THEN i - 9 ELSE 0 END FROM n`,
		`INSERT INTO usage_hours (hour_ms, user_id, key_id, model, channel_id, requests, errors, tokens_in, tokens_out, cost_nano) ` + count("1000000") +
			`SELECT ` + usage + `, 1, 0, 10, 20, 1001 FROM n ORDER BY 1`,
		`INSERT INTO usage_records (event_id, time_ms, request_id, user_id, key_id, model, channel_id, key_name, served_model, grp, dialect, endpoint, stream, status, error_code, prompt_tokens, cached_tokens, write_5m_tokens, write_1h_tokens, completion_tokens, reasoning_tokens, audio_in_tokens, audio_out_tokens, image_in_tokens, image_out_tokens, cost_nano, absorbed_nano, held_nano, price_version, latency_ms, first_byte_ms, attempts, usage_source, end_user, ip) ` +
			`SELECT hour_ms || '-' || user_id || '-' || key_id || '-' || model || '-' || channel_id, hour_ms + 1234, '', user_id, key_id, model, channel_id, 'name', 'served', 'default', 'openai', 'chat', 1, 200, '', 10, 0, 0, 0, 20, 0, 0, 0, 0, 0, 1001, 0, 5000, 'catalog-1', 900, 200, 1, 'provider', '', '192.0.2.7' FROM usage_hours ORDER BY hour_ms`,
		`UPDATE keys SET granted_nano = 1000000000, used_nano = s.cost FROM (SELECT id, SUM(cost_nano) AS cost FROM (SELECT key_id AS id, cost_nano FROM usage_hours UNION ALL SELECT k.parent_id, h.cost_nano FROM usage_hours h JOIN keys k ON k.id = h.key_id WHERE k.parent_id <> 0) AS charges GROUP BY id) AS s WHERE s.id = keys.id`,
		`UPDATE users SET used_nano = s.cost, request_count = s.requests, granted_nano = 1000000000 FROM (SELECT user_id, SUM(cost_nano) AS cost, SUM(requests) AS requests FROM usage_hours GROUP BY user_id) AS s WHERE s.user_id = users.id`,
		`INSERT INTO grants (time_ms, kind, subject_id, delta_nano, reason, actor, request_id) SELECT 1766000000000, 1, id, 1000000000, 'created', 1, '' FROM keys`,
		`INSERT INTO grants (time_ms, kind, subject_id, delta_nano, reason, actor, request_id) SELECT 1766000000000, 2, id, 1000000000, 'created', 1, '' FROM users`,
	} {
		if _, err := db.Writer().ExecContext(b.Context(), text); err != nil {
			b.Fatalf("%v\n%s", err, text)
		}
	}
}
