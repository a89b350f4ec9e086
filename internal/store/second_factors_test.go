package store_test

import (
	"testing"

	"halley/internal/store/storetest"
)

func TestSecondFactors(t *testing.T) {
	t.Parallel()
	storetest.Engines(t, storetest.RunSecondFactors)
}
