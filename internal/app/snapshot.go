package app

import (
	"net/http"
	"sync"
	"sync/atomic"

	"halley/internal/gateway"
	"halley/internal/option"
	"halley/internal/route"
)

// live is the compiled configuration that requests read, swapped whole whenever
// channels, groups, prices or options change.
type live struct {
	mu      sync.Mutex // one rebuild at a time, so that the newest facts win
	current atomic.Pointer[gateway.Snapshot]
	build   func() *gateway.Snapshot
	swapped func(*gateway.Snapshot) // told of each new one
}

func newLive(build func() *gateway.Snapshot, swapped func(*gateway.Snapshot)) *live {
	l := &live{build: build, swapped: swapped}
	l.rebuild()
	return l
}

func (l *live) rebuild() {
	l.mu.Lock()
	defer l.mu.Unlock()
	next := l.build()
	l.current.Store(next)
	l.swapped(next)
}

// snapshot compiles what the services hold at this moment.
func (s *services) snapshot() *gateway.Snapshot {
	options, groups, prices := s.options.Current(), s.groups.Current(), s.prices.Book()
	return &gateway.Snapshot{
		Routes:          route.New(route.Config{Channels: s.channels.All(), Strategies: groups.Strategies(), Cost: gateway.UpstreamCost(prices)}),
		Groups:          groups,
		Prices:          prices,
		AutoGroups:      options.AutoGroups,
		Affinity:        options.Affinity == option.On,
		AffinityHeader:  http.CanonicalHeaderKey(options.AffinityHeader),
		MaxAttempts:     int(options.MaxAttempts),
		HedgeEmbeddings: options.HedgeEmbeddings,
		ExactCounts:     options.ExactTokenCounts,
	}
}
