package store_test

import (
	"path/filepath"
	"testing"

	"halley/internal/reconcile"
	"halley/internal/store"
	"halley/internal/store/pgtest"
	"halley/internal/store/storetest"
)

func TestReconcile(t *testing.T) {
	t.Parallel()
	storetest.URLs(t, func(t *testing.T, url func(*testing.T) string) { storetest.RunReconcile(t, url) })
}

// BenchmarkReconcile checks the books of 100,000 keys of 10,000 accounts, a
// tenth of the keys issued by others, with 1,000,000 rollups and as many
// records of 30 days.
func BenchmarkReconcile(b *testing.B) {
	for engine, url := range map[string]func() string{
		"sqlite":   func() string { return "sqlite:" + filepath.Join(b.TempDir(), "halley.db") },
		"postgres": func() string { return pgtest.URL(b) },
	} {
		b.Run(engine, func(b *testing.B) {
			db := storetest.Open(b, url())
			plantBooks(b, db)
			for b.Loop() {
				report, err := db.Reconcile(b.Context(), reconcile.Most)
				if err != nil || report.Total != 0 || report.Keys != 100_000 || report.Hours != 1_000_000 {
					b.Fatalf("%+v, %v", report, err)
				}
			}
		})
	}
}

// plantBooks writes the tables directly: it is the size that counts.
func plantBooks(b *testing.B, db *store.DB) {
	b.Helper()
	count := func(n string) string {
		return `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ` + n + `) `
	}
	const usage = `1766000000000 / 3600000 * 3600000 + i % 720 * 3600000, i % 10000 + 1, i % 100000 + 1, 'model-' || (i % 7), 1 + i % 2`
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
