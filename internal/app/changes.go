package app

import (
	"context"
	"encoding/hex"
	"errors"
	"log/slog"
	mathrand "math/rand/v2"
	"strconv"
	"time"

	"halley/internal/budget"
	"halley/internal/cluster"
	"halley/internal/group"
	"halley/internal/seal"
	"halley/internal/store"
)

// changes hears what is changed on other servers of the same database. On
// SQLite, which has one server, it is nil.
type changes struct {
	listener *cluster.Listener
	feed     *cluster.Feed
}

// followChanges wires what others change to what is kept in memory here. The
// triggers of the changes table say what makes a change of each topic.
func (s *services) followChanges(log *slog.Logger) *changes {
	if s.db.Engine() != store.Postgres {
		return nil
	}
	listener := cluster.NewListener(cluster.ListenerOptions{
		Connect: func(ctx context.Context, channels []string) (cluster.Connection, error) {
			return s.db.Listen(ctx, channels)
		},
		Log: log, Roll: mathrand.Float64,
	})
	feed := cluster.NewFeed(cluster.FeedOptions{
		Store: s.db, Log: log, Now: time.Now,
		Applied: func(topic string, via cluster.Via, lag time.Duration) {
			s.metrics.ChangeApplied(topic, string(via), lag)
		},
	})
	listener.On(cluster.ChangesChannel, feed.Hear)
	listener.OnReconnect(feed.Look)
	listener.On(store.RecallChannel, func(string) { s.sharing.recalled() })
	if s.hints != nil {
		listener.On(store.HealthChannel, s.hints.hear)
	}
	s.metrics.WatchChanges(listener.Connected)

	feed.OnReset(s.forgetAll)
	feed.On(cluster.TopicKey, s.about(func(id int64) {
		s.keys.Forget(id)
		s.ledger.Changed(budget.Subject{Kind: budget.Key, ID: id})
	}))
	feed.On(cluster.TopicKeyValue, s.welcome)
	feed.On(cluster.TopicUser, s.about(func(id int64) {
		s.accounts.Invalidate(id)
		s.ledger.Changed(budget.Subject{Kind: budget.User, ID: id})
	}))
	feed.On(cluster.TopicSession, s.about(s.accounts.Invalidate))
	feed.On(cluster.TopicAccessToken, s.about(s.accounts.Invalidate))
	// In the order in which they lean on each other.
	feed.Reload(cluster.TopicGroup, s.groups.Reload)
	feed.Reload(cluster.TopicOption, s.options.Reload)
	feed.Reload(cluster.TopicLoginProvider, s.accounts.ReloadProviders)
	feed.Reload(cluster.TopicChannel, s.channels.Reload)
	feed.Reload(cluster.TopicPrice, func(ctx context.Context) error {
		if err := s.prices.Reload(ctx); err != nil {
			return err
		}
		s.live.rebuild()
		return nil
	})
	return &changes{listener, feed}
}

// about reads the id that a change is about. One that cannot be read leaves open
// what has changed, so that nothing that is remembered counts.
func (s *services) about(apply func(id int64)) func(ref string) {
	return func(ref string) {
		id, err := strconv.ParseInt(ref, 10, 64)
		if err != nil {
			s.forgetAll()
			return
		}
		apply(id)
	}
}

// welcome makes a value known that may be remembered as unknown.
func (s *services) welcome(ref string) {
	hash, err := hex.DecodeString(ref)
	if err != nil || len(hash) != len(seal.Hash{}) {
		s.forgetAll()
		return
	}
	s.keys.Welcome(seal.Hash(hash))
}

// forgetAll drops what is remembered of keys and accounts, and has the ledger
// look again at what it knows.
func (s *services) forgetAll() {
	s.keys.ForgetAll()
	s.accounts.ForgetAll()
	s.ledger.ChangedAll()
}

// followMove has what is kept in memory follow a move from one group to another:
// keys and accounts first, as the channels of their old group are there until
// the others are.
func (s *services) followMove(ctx context.Context, m group.Moved) error {
	s.keys.Forget(m.Keys...)
	for _, id := range m.Users {
		s.accounts.Invalidate(id)
	}
	return errors.Join(s.channels.Reload(ctx), s.options.Reload(ctx))
}

func (c *changes) start() {
	if c == nil {
		return
	}
	c.feed.Start()
	c.listener.Start()
}

func (c *changes) stop() {
	if c == nil {
		return
	}
	c.listener.Stop()
	c.feed.Stop()
}

// heard reports whether notices arrive, if there are any to come.
func (c *changes) heard() bool { return c == nil || c.listener.Connected() }
