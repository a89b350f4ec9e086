package key

import (
	"context"
	"strings"
	"time"

	"halley/internal/fault"
	"halley/internal/seal"
)

// Authenticate gives the key a value belongs to, whatever its status: see
// Admissible. The record is shared. A value that is no key is an
// Unauthenticated fault, invalid_api_key; a store that does not answer is
// Unavailable, never that. A key known here needs no store.
func (s *Service) Authenticate(ctx context.Context, value string) (*Key, error) {
	if value == "" || len(value) > MaxValue {
		return nil, unknownKey()
	}
	hash := s.hasher.Sum(canonical(value))
	now := s.Now()
	if k, ok := s.cache.get(hash, now); ok {
		s.use(k, hash, now)
		return k, nil
	}
	return s.authenticateCold(ctx, value, hash, now)
}

// authenticateCold is for values that are not among those in use. It is apart
// because what its closure captures is allocated where it is declared.
func (s *Service) authenticateCold(ctx context.Context, value string, hash seal.Hash, now time.Time) (*Key, error) {
	switch {
	case strings.HasPrefix(value, "hpat_"):
		return nil, fault.New(fault.Unauthenticated, "invalid_api_key", "This is a personal access token, which is for the management API; model requests want an API key (sk-…).")
	case Check(value) == BadChecksum:
		return nil, fault.New(fault.Unauthenticated, "invalid_api_key", "This API key is not valid: its checksum is wrong, so it was not copied whole or has been changed.")
	}
	if s.cache.isUnknown(hash, now) {
		return nil, unknownKey()
	}
	k, err := s.cache.load(ctx, lookup{hash: hash}, now, func(ctx context.Context) (*Key, error) {
		k, err := s.Store.KeyByHash(ctx, hash[:], now)
		if err != nil {
			return nil, err
		}
		return k.compiled(), nil
	})
	if fault.Is(err, fault.NotFound) {
		return nil, unknownKey()
	}
	if err != nil {
		return nil, failed(err, "look up the key")
	}
	s.use(k, hash, now)
	return k, nil
}

func unknownKey() error {
	return fault.New(fault.Unauthenticated, "invalid_api_key", "This API key is not known here.")
}
