package store_test

import (
	"testing"

	"halley/internal/store/storetest"
)

func TestChannels(t *testing.T) {
	t.Parallel()
	storetest.Engines(t, storetest.RunChannels)
}
