package storetest

import (
	"testing"

	"halley/internal/store"
)

func RunReconcile(t *testing.T, open func(t *testing.T) *store.DB) {}
