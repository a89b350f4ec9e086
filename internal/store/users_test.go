package store_test

import (
	"testing"

	"halley/internal/store/storetest"
)

func TestUsers(t *testing.T) {
	t.Parallel()
	storetest.Engines(t, storetest.RunUsers)
}
