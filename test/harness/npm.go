package harness

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// installing lets one test at a time look whether a folder's packages are there.
var installing sync.Mutex

// NPM gets the packages of a folder, once, as its lock file says. Tests that
// run at the same time may all ask: npm takes away what is there before it
// writes, so a second one must not start below a program that runs already.
// Where there is no Node, or no registry, the test is left out.
func NPM(t testing.TB, dir string) {
	t.Helper()
	installing.Lock()
	defer installing.Unlock()
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			LeaveOut(t, "no %s: %v", program, err)
		}
	}
	lock, err := os.ReadFile(filepath.Join(dir, "package-lock.json"))
	if err != nil {
		t.Fatal(err)
	}
	done := filepath.Join(dir, "node_modules", ".installed")
	if was, err := os.ReadFile(done); err == nil && string(was) == string(lock) {
		return
	}
	cmd := exec.CommandContext(t.Context(), "npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		LeaveOut(t, "npm ci: %v\n%s", err, out)
	}
	if err := os.WriteFile(done, lock, 0o600); err != nil {
		t.Fatal(err)
	}
}

// LeaveOut skips a test that cannot run here; with CI=true that is a failure.
func LeaveOut(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}
