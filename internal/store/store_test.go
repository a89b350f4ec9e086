package store_test

import (
	"context"
	"database/sql"
	"errors"
	"go/ast"
	"go/constant"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"halley/internal/store"
	"halley/internal/store/migrations"
	"halley/internal/store/storetest"
)

func TestOpeningAgainChangesNothing(t *testing.T) {
	t.Parallel()
	storetest.URLs(t, func(t *testing.T, url func(*testing.T) string) {
		where := url(t)
		first := storetest.Open(t, where)
		if _, err := first.Writer().ExecContext(t.Context(), `INSERT INTO meta (name, value) VALUES ('kept', 'yes')`); err != nil {
			t.Fatal(err)
		}
		before := history(t, first)
		second := storetest.Open(t, where)
		if diff := cmp.Diff(before, history(t, second)); diff != "" {
			t.Errorf("the migrations ran again (-first +second):\n%s", diff)
		}
		var kept string
		if err := second.Reader().QueryRowContext(t.Context(), `SELECT value FROM meta WHERE name = 'kept'`).Scan(&kept); err != nil || kept != "yes" {
			t.Errorf("a row from before the second start reads %q, %v", kept, err)
		}
	})
}

func TestManyMayOpenAnEmptyDatabaseAtOnce(t *testing.T) {
	t.Parallel()
	storetest.URLs(t, func(t *testing.T, url func(*testing.T) string) {
		where := url(t)
		const nodes = 4
		errs := make([]error, nodes)
		var wg sync.WaitGroup
		for n := range nodes {
			wg.Go(func() {
				db, err := store.Open(t.Context(), where, slog.New(slog.DiscardHandler))
				if err == nil {
					err = errors.Join(db.Ping(t.Context()), db.Close())
				}
				errs[n] = err
			})
		}
		wg.Wait()
		if err := errors.Join(errs...); err != nil {
			t.Error(err)
		}
	})
}

func TestSQLiteFilesAreTheOwnersOnly(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "made", "for it")
	path := filepath.Join(dir, "halley.db")
	db := storetest.Open(t, "sqlite:"+path)
	if _, err := db.Writer().ExecContext(t.Context(), `INSERT INTO meta (name, value) VALUES ('n', 'v')`); err != nil {
		t.Fatal(err)
	}
	modes := map[string]fs.FileMode{dir: 0o700, path: 0o600, path + "-wal": 0o600, path + "-shm": 0o600}
	for name, want := range modes {
		info, err := os.Stat(name)
		if err != nil {
			t.Error(err)
			continue
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %o, want %o", name, got, want)
		}
	}
}

func TestSQLiteReadersCannotWrite(t *testing.T) {
	t.Parallel()
	db := storetest.Open(t, "sqlite:"+filepath.Join(t.TempDir(), "halley.db"))
	if _, err := db.Reader().ExecContext(t.Context(), `DELETE FROM meta`); err == nil {
		t.Error("a write went through a reader's connection")
	}
}

func TestOpenRefusesWhatItCannotOpen(t *testing.T) {
	t.Parallel()
	for name, url := range map[string]string{
		"empty":          "",
		"no scheme":      "/var/lib/halley.db",
		"another engine": "mysql://root:hunter2-hunter2@127.0.0.1/halley",
		"bad port":       "postgres://halley:hunter2-hunter2@127.0.0.1:notaport/halley",
		"nobody there":   "postgres://halley:hunter2-hunter2@127.0.0.1:1/halley",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, err := store.Open(t.Context(), url, slog.New(slog.DiscardHandler))
			if err == nil {
				_ = db.Close()
				t.Fatal("it opened")
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error repeats the password: %v", err)
			}
		})
	}
}

// TestBothEnginesHaveTheSameTables holds the two schemas together: same tables,
// same columns, same migrations.
func TestBothEnginesHaveTheSameTables(t *testing.T) {
	t.Parallel()
	shape := map[store.Engine]map[string][]string{}
	var mu sync.Mutex
	t.Run("read", func(t *testing.T) {
		storetest.Engines(t, func(t *testing.T, open func(*testing.T) *store.DB) {
			db := open(t)
			tables := columns(t, db)
			mu.Lock()
			defer mu.Unlock()
			shape[db.Engine()] = tables
		})
	})
	if len(shape) == 2 {
		if diff := cmp.Diff(shape[store.SQLite], shape[store.Postgres]); diff != "" {
			t.Errorf("the schemas differ (-sqlite +postgres):\n%s", diff)
		}
	}
	if diff := cmp.Diff(files(t, "sqlite"), files(t, "postgres")); diff != "" {
		t.Errorf("the migrations differ (-sqlite +postgres):\n%s", diff)
	}
}

// TestEveryStatementPreparesOnBothEngines finds every constant of this package
// that is named sql… in its source, so that none can be forgotten.
func TestEveryStatementPreparesOnBothEngines(t *testing.T) {
	t.Parallel()
	statements := sqlConstants(t)
	storetest.Engines(t, func(t *testing.T, open func(*testing.T) *store.DB) {
		db := open(t)
		for name, text := range statements {
			if err := prepare(t.Context(), db.Writer(), text); err != nil {
				t.Errorf("%s: %v\n%s", name, err, text)
			}
		}
	})
}

func prepare(ctx context.Context, db *sql.DB, text string) (err error) {
	statement, err := db.PrepareContext(ctx, text)
	if err != nil {
		return err
	}
	defer func() { err = statement.Close() }()
	return nil
}

// sqlConstants reads the package's source for string constants named sql…,
// by name.
func sqlConstants(t *testing.T) map[string]string {
	t.Helper()
	fset := token.NewFileSet()
	sources, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var parsed []*ast.File
	for _, source := range sources {
		if strings.HasSuffix(source, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(fset, source, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		parsed = append(parsed, file)
	}
	// Only the constants count: bodies are left out, and an import that this
	// importer does not find is no harm.
	config := types.Config{IgnoreFuncBodies: true, Importer: importer.Default(), Error: func(error) {}}
	checked, _ := config.Check("halley/internal/store", fset, parsed, nil)
	statements := map[string]string{}
	scope := checked.Scope()
	for _, name := range scope.Names() {
		c, ok := scope.Lookup(name).(*types.Const)
		if ok && strings.HasPrefix(name, "sql") && c.Val().Kind() == constant.String {
			statements[name] = constant.StringVal(c.Val())
		}
	}
	if len(statements) == 0 {
		t.Fatal("no sql… constants found in the package's source")
	}
	return statements
}

// history lists the migrations that ran, in their order.
func history(t *testing.T, db *store.DB) []int64 {
	t.Helper()
	return collect[int64](t, db.Reader(), `SELECT version_id FROM goose_db_version ORDER BY id`)
}

// columns lists each table's columns, in their order.
func columns(t *testing.T, db *store.DB) map[string][]string {
	t.Helper()
	query := `SELECT m.name || '.' || c.name FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' ORDER BY m.name, c.cid`
	if db.Engine() == store.Postgres {
		query = `SELECT table_name || '.' || column_name FROM information_schema.columns WHERE table_schema = 'public' ORDER BY table_name, ordinal_position`
	}
	tables := map[string][]string{}
	for _, full := range collect[string](t, db.Reader(), query) {
		table, column, _ := strings.Cut(full, ".")
		tables[table] = append(tables[table], column)
	}
	delete(tables, "goose_db_version")
	return tables
}

// files lists the engine's migration files.
func files(t *testing.T, engine string) []string {
	t.Helper()
	entries, err := fs.ReadDir(migrations.Files, engine)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, entry := range entries {
		names[entry.Name()] = true
	}
	return slices.Sorted(maps.Keys(names))
}

// collect reads the one column that the query selects.
func collect[T any](t *testing.T, db *sql.DB, query string) []T {
	t.Helper()
	rows, err := db.QueryContext(context.WithoutCancel(t.Context()), query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var all []T
	for rows.Next() {
		var one T
		if err := rows.Scan(&one); err != nil {
			t.Fatal(err)
		}
		all = append(all, one)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}
