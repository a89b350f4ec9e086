// Package failover_test holds the real binary against every way in which an
// upstream fails: beside a good channel nobody may notice, and alone the error
// must be the honest one and must end with the fault.
package failover_test

import (
	"os"
	"testing"

	"halley/test/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }
