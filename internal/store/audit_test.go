package store_test

import (
	"path/filepath"
	"strings"
	"testing"

	"halley/internal/store"
	"halley/internal/store/storetest"
)

func TestAudit(t *testing.T) {
	t.Parallel()
	storetest.Engines(t, storetest.RunAudit)
}

func TestEveryQuestionAboutTheTrailPrepares(t *testing.T) {
	t.Parallel()
	storetest.Engines(t, func(t *testing.T, open func(*testing.T) *store.DB) {
		db := open(t)
		for name, text := range store.AuditStatements() {
			if err := prepare(t.Context(), db.Writer(), text); err != nil {
				t.Errorf("%s: %v\n%s", name, err, text)
			}
		}
	})
}

func TestTheTrailIsFoundByItsIndexes(t *testing.T) {
	t.Parallel()
	db := storetest.Open(t, "sqlite:"+filepath.Join(t.TempDir(), "halley.db"))
	for name, index := range map[string]string{
		"page-actor": "audit_records_actor", "count-actor": "audit_records_actor", "page-actor-action-target": "audit_records_actor",
		"page-from": "audit_records_time", "count-to": "audit_records_time", "page-target-from-to": "audit_records_time",
	} {
		plan := plan(t, db, store.AuditStatements()[name])
		if !strings.Contains(plan, index) {
			t.Errorf("%s does not use %s:\n%s", name, index, plan)
		}
		if strings.HasPrefix(name, "page-actor") && strings.Contains(plan, "TEMP B-TREE") {
			t.Errorf("%s sorts:\n%s", name, plan)
		}
	}
}

// plan is how SQLite goes about a statement.
func plan(t *testing.T, db *store.DB, text string) string {
	t.Helper()
	args := make([]any, strings.Count(text, "$"))
	for i := range args {
		args[i] = 1
	}
	rows, err := db.Reader().QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+text, args...)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var steps []string
	for rows.Next() {
		var id, parent, unused int
		var step string
		if err := rows.Scan(&id, &parent, &unused, &step); err != nil {
			t.Fatal(err)
		}
		steps = append(steps, step)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return strings.Join(steps, "\n")
}
