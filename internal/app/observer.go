package app

import (
	"halley/internal/gateway"
	"halley/internal/health"
	"halley/internal/telemetry"
	"halley/internal/usage"
)

// observer tells the metrics what requests did.
type observer struct{ metrics *telemetry.Metrics }

// UnknownKey counts a request whose key nobody has; it leaves no record.
func (o observer) UnknownKey() { o.metrics.UnknownKey() }

// Attempted counts an attempt at an upstream.
func (o observer) Attempted(c health.Class) { o.metrics.Attempted(c.String()) }

// Finished counts a request.
func (o observer) Finished(r *usage.Record) {
	o.metrics.Finished(&telemetry.Request{
		Dialect: r.Dialect, Endpoint: r.Endpoint, Model: r.Model, Status: r.Status, Duration: r.Latency, FirstByte: r.FirstByte,
		Prompt: r.Tokens.Prompt, Cached: r.Tokens.CachedRead, CacheWrite: r.Tokens.CacheWrite5m + r.Tokens.CacheWrite1h,
		Completion: r.Tokens.Completion, Reasoning: r.Tokens.Reasoning, Cost: r.Cost, Absorbed: r.Absorbed,
	})
}

// modelNames are the models that metrics tell apart.
func modelNames(snap *gateway.Snapshot) []string {
	var names []string
	for _, p := range snap.Prices.All() {
		names = append(names, p.Model)
	}
	for _, g := range snap.Groups.All() {
		names = append(names, snap.Routes.Models([]string{g.Name}, nil)...)
	}
	return names
}
