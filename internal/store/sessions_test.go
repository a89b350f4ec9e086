package store_test

import (
	"testing"

	"halley/internal/store/storetest"
)

func TestSessions(t *testing.T) {
	t.Parallel()
	storetest.Engines(t, storetest.RunSessions)
}
