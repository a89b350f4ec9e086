package store_test

import (
	"testing"

	"halley/internal/store/storetest"
)

func TestAudit(t *testing.T) {
	t.Parallel()
	storetest.Engines(t, storetest.RunAudit)
}
