package app

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"halley/internal/config"
	"halley/internal/key"
	"halley/internal/limit"
	"halley/internal/limit/redis"
)

// limits is what rates are counted with, and what is kept of it over a restart.
type limits struct {
	*limit.Limiter
	redis   *redis.Backend // nil without one
	path    string         // of the counts of an earlier run
	log     *slog.Logger
	counted bool // requests are: what is in the file is older
}

// openLimits makes the limiter. Counts are kept at the configured Redis, once
// start has found it; else each of the servers on a database takes its share of
// every limit.
func (s *services) openLimits(cfg *config.Config, o Options) error {
	s.limits = &limits{path: filepath.Join(cfg.DataDir, "limits.json"), log: o.Log}
	options := limit.Options{Match: key.MatchModel, Share: s.sharing.share}
	if url := cfg.Redis.URL.Reveal(); url != "" {
		var err error
		if s.limits.redis, err = redis.New(redis.Options{URL: url, Log: o.Log}); err != nil {
			return err
		}
		options.Shared = s.limits.redis
	}
	s.limits.Limiter = limit.New(options)
	s.metrics.WatchLimits(func() string { return s.limits.Backend(time.Now()) })
	return nil
}

// start goes on counting where an earlier run stopped, so that no restart grants
// a day's limit anew.
func (l *limits) start() {
	saved, err := os.ReadFile(l.path)
	if err == nil {
		err = l.Restore(time.Now(), saved)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		l.log.Warn("what counted for rate limits before the restart cannot be read; they begin anew", "error", err)
	}
	l.counted = true
	if l.redis != nil {
		l.redis.Start()
	}
}

// save keeps what counts now for the next run.
func (l *limits) save() error {
	text, err := l.Save(time.Now())
	if err != nil {
		return err
	}
	if err := os.WriteFile(l.path+".new", text, 0o600); err != nil {
		return fmt.Errorf("keep what counts for rate limits: %w", err)
	}
	return os.Rename(l.path+".new", l.path)
}

// close ends counting. A command has counted nothing, and keeps nothing.
func (l *limits) close() {
	if l == nil || !l.counted {
		return
	}
	if l.redis != nil {
		l.redis.Close()
	}
	if err := l.save(); err != nil {
		l.log.Warn(restartAnew, "error", err)
	}
}

const restartAnew = "what counts for rate limits cannot be kept: a restart begins them anew"
