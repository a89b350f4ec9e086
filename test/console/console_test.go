// Package console_test runs the console's own checks: its types, and its unit
// tests. What it looks like and does in a browser is test/browser.
package console_test

import (
	"os/exec"
	"path/filepath"
	"testing"

	"halley/test/harness"
)

func TestTheConsolesTypesFit(t *testing.T) {
	t.Parallel()
	run(t, "npm", "run", "--silent", "typecheck")
}

func TestTheConsolesUnitTests(t *testing.T) {
	t.Parallel()
	run(t, "npm", "test", "--silent")
}

func run(t *testing.T, name string, args ...string) {
	t.Helper()
	root, err := harness.RepoRoot()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(root, "web")
	harness.NPM(t, dir)
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
	t.Logf("%s", out)
}
