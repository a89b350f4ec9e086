package store_test

import (
	"testing"

	"halley/internal/store/storetest"
)

func TestAccessTokens(t *testing.T) {
	t.Parallel()
	storetest.Engines(t, storetest.RunAccessTokens)
}
