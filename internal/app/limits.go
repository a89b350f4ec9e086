package app

import (
	"time"

	"halley/internal/config"
	"halley/internal/key"
	"halley/internal/limit"
	"halley/internal/limit/redis"
)

// openLimits makes the limiter. Counts are kept at the configured Redis, once
// startLimits has found it; else each of the servers on a database takes its
// share of every limit.
func (s *services) openLimits(cfg *config.Config, o Options) error {
	options := limit.Options{Match: key.MatchModel, Share: s.sharing.share}
	if url := cfg.Redis.URL.Reveal(); url != "" {
		var err error
		if s.redis, err = redis.New(redis.Options{URL: url, Log: o.Log}); err != nil {
			return err
		}
		options.Shared = s.redis
	}
	s.limiter = limit.New(options)
	s.metrics.WatchLimits(func() string { return s.limiter.Backend(time.Now()) })
	return nil
}

func (s *services) startLimits() {
	if s.redis != nil {
		s.redis.Start()
	}
}

func (s *services) closeLimits() {
	if s.redis != nil {
		s.redis.Close()
	}
}
