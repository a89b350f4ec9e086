package store_test

import (
	"testing"

	"halley/internal/store/pgtest"
	"halley/internal/store/storetest"
)

func TestLeases(t *testing.T) {
	t.Parallel()
	storetest.RunLeases(t, func(t *testing.T) string {
		t.Helper()
		return pgtest.URL(t)
	})
}
