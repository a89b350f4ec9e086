package telemetry

import (
	"net/http"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"halley/internal/money"
)

// Metrics are the process's figures, on a registry of their own. Observing
// allocates nothing once a combination of labels has been seen, and the labels
// are bounded: dialects and endpoints are the gateway's own words, and models
// are those made known by KnowModels; any other is counted as "other".
type Metrics struct {
	registry *prometheus.Registry

	requests      *prometheus.CounterVec   // dialect, endpoint, code
	duration      *prometheus.HistogramVec // dialect, endpoint
	firstByte     *prometheus.HistogramVec // dialect, endpoint
	modelRequests *prometheus.CounterVec   // model
	tokens        *prometheus.CounterVec   // model, kind
	cost          *prometheus.CounterVec   // model
	absorbed      prometheus.Counter
	unknownKeys   prometheus.Counter
	attempts      *prometheus.CounterVec // outcome
	checks        *prometheus.CounterVec // outcome
	checkCost     prometheus.Counter
	transitions   *prometheus.CounterVec // to, cause
	journalFsync  prometheus.Histogram
	changes       *prometheus.CounterVec // topic, via
	changeLag     prometheus.Histogram

	mu     sync.Mutex // held to change one of the two maps, which are replaced whole
	routes atomic.Pointer[map[routeName]*routeMetrics]
	models atomic.Pointer[map[string]*modelMetrics]
	other  *modelMetrics
}

// Build is what is running.
type Build struct {
	Version  string
	Revision string
}

// Request is what is observed of one finished model request.
type Request struct {
	Dialect    string
	Endpoint   string
	Model      string
	Status     int
	Duration   time.Duration
	FirstByte  time.Duration // 0 when nothing was sent
	Prompt     int64         // tokens, all input
	Cached     int64         // of those, read from a cache
	CacheWrite int64         // of those, written to one
	Completion int64         // all output
	Reasoning  int64         // of those
	Cost       money.Nano
	Absorbed   money.Nano
}

// UsageQueue is how the usage records that wait for the store are doing.
type UsageQueue struct {
	Records     int64
	Oldest      time.Duration
	FlushErrors uint64
	SetAside    uint64
	Dropped     uint64
}

// Journal is how the usage journal is doing.
type Journal struct {
	Bytes    int64
	Records  int64
	Failures uint64
	Torn     int64
	Damaged  int64
	Full     bool
}

type routeName struct{ dialect, endpoint string }

// routeMetrics are the children of one dialect and endpoint.
type routeMetrics struct {
	name      routeName
	duration  prometheus.Observer
	firstByte prometheus.Observer
	codes     [600]atomic.Pointer[counter] // by status, made when first met
}

// counter is a prometheus.Counter that an atomic.Pointer can hold.
type counter struct{ prometheus.Counter }

// modelMetrics are the children of one model, made when it is first used.
type modelMetrics struct {
	name string
	once sync.Once

	requests, cost                                    prometheus.Counter
	prompt, cached, cacheWrite, completion, reasoning prometheus.Counter
}

// maxRoutes bounds the combinations of dialect and endpoint.
const maxRoutes = 100

// otherLabel stands for what is not among the known.
const otherLabel = "other"

// NewMetrics makes the metrics, all at zero.
func NewMetrics(b Build) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry(), other: &modelMetrics{name: otherLabel}}
	m.routes.Store(&map[routeName]*routeMetrics{})
	m.models.Store(&map[string]*modelMetrics{})
	route := []string{"dialect", "endpoint"}
	m.requests = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "halley_requests_total", Help: "Finished model requests of known keys, by the status that the client got; 499 when it had left.",
	}, []string{"dialect", "endpoint", "code"})
	m.duration = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "halley_request_duration_seconds", Help: "From the arrival of a model request to the end of its answer.",
		Buckets: []float64{0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300},
	}, route)
	m.firstByte = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "halley_time_to_first_byte_seconds", Help: "From the arrival of a model request to the first byte of its answer.",
		Buckets: []float64{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60},
	}, route)
	m.modelRequests = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "halley_model_requests_total", Help: "Finished model requests of known keys, by the model asked for.",
	}, []string{"model"})
	m.tokens = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "halley_tokens_total", Help: "Tokens: prompt and completion are all input and all output; cached, cache_write and reasoning are parts of them.",
	}, []string{"model", "kind"})
	m.cost = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "halley_cost_usd_total", Help: "What was charged.",
	}, []string{"model"})
	m.absorbed = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "halley_absorbed_usd_total", Help: "Cost that no grant could bear. It stays 0 with honest upstreams.",
	})
	m.unknownKeys = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "halley_unknown_key_requests_total", Help: "Model requests whose key is missing, malformed or unknown.",
	})
	m.attempts = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "halley_attempts_total", Help: "Attempts at upstreams by how they ended. A request has more than one when its first fails.",
	}, []string{"outcome"})
	m.checks = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "halley_channel_checks_total", Help: "Checks of channels that nobody paid for, by upstream key and by how they ended.",
	}, []string{"outcome"})
	m.checkCost = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "halley_channel_check_cost_usd_total", Help: "What checks of channels cost by the prices of their models. Nobody is charged for it.",
	})
	m.transitions = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "halley_channel_transitions_total", Help: "Changes of what is thought of a channel's health, for a model or an upstream key, by the new state and by what brought it about.",
	}, []string{"to", "cause"})
	m.journalFsync = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "halley_journal_fsync_seconds", Help: "How long the disk took to make the usage journal safe.",
		Buckets: []float64{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5},
	})
	m.changes = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "halley_changes_applied_total", Help: "Changes made on any server that count on this one, by what was changed and by how it came: a notice, or a poll that found what no notice had brought.",
	}, []string{"topic", "via"})
	m.changeLag = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "halley_change_lag_seconds", Help: "From the making of a change, on any server, to when it counts on this one.",
		Buckets: []float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 10, 60},
	})
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "halley_build_info", Help: "What is running; the value is always 1.",
		ConstLabels: prometheus.Labels{"version": b.Version, "revision": b.Revision, "goversion": runtime.Version()},
	})
	build.Set(1)
	m.registry.MustRegister(
		m.requests, m.duration, m.firstByte, m.modelRequests, m.tokens, m.cost, m.absorbed, m.unknownKeys, m.attempts, m.checks, m.checkCost, m.transitions, build,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return m
}

// Handler serves the metrics in Prometheus' formats.
func Handler(m *Metrics) http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry})
}

// KnowModels sets the model names that may be labels: what the price catalog
// and the channels list. Figures of a name that is dropped stay as they are.
func (m *Metrics) KnowModels(names []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	known := *m.models.Load()
	next := make(map[string]*modelMetrics, len(names))
	for _, name := range names {
		next[name] = known[name]
		if next[name] == nil {
			next[name] = &modelMetrics{name: name}
		}
	}
	m.models.Store(&next)
}

// WatchHolds shows what the ledger holds, asked at every scrape.
func (m *Metrics) WatchHolds(now func() (holds int64, held money.Nano)) {
	m.registry.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "halley_holds_in_flight", Help: "Requests under way that have money reserved.",
		}, func() float64 { holds, _ := now(); return float64(holds) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "halley_held_usd", Help: "What requests under way have reserved.",
		}, func() float64 { _, held := now(); return held.Float() }),
	)
}

// Leases is what a server that shares its database has to do with the others.
type Leases struct {
	Servers int    // at work on the database, this one included
	Taken   uint64 // leases taken or added to, ever
	Recalls uint64 // times the others were asked for what they do not use, ever
	Lapsed  uint64 // times the others took this one for dead, ever
}

// WatchLeases shows how money is shared with other servers, asked at every
// scrape.
func (m *Metrics) WatchLeases(now func() Leases) {
	m.registry.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "halley_lease_servers", Help: "Servers at work on this database.",
		}, func() float64 { return float64(now().Servers) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "halley_leases_taken_total", Help: "Leases of money taken or added to.",
		}, func() float64 { return float64(now().Taken) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "halley_lease_recalls_total", Help: "Times the other servers were asked for money that they do not use.",
		}, func() float64 { return float64(now().Recalls) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "halley_lease_lapses_total", Help: "Times the other servers took this one for dead.",
		}, func() float64 { return float64(now().Lapsed) }),
	)
}

// WatchUsageQueue shows the usage records that wait for the store, asked at
// every scrape.
func (m *Metrics) WatchUsageQueue(now func() UsageQueue) {
	m.registry.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "halley_usage_queue_records", Help: "Usage records that are not in the store yet.",
		}, func() float64 { return float64(now().Records) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "halley_usage_queue_oldest_seconds", Help: "How long the oldest of them has waited.",
		}, func() float64 { return now().Oldest.Seconds() }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "halley_usage_flush_errors_total", Help: "Failed attempts to write usage records.",
		}, func() float64 { return float64(now().FlushErrors) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "halley_usage_set_aside_total", Help: "Usage records that the store refused for good; the log has them.",
		}, func() float64 { return float64(now().SetAside) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "halley_usage_dropped_total", Help: "Records of refused requests that were left out while neither store nor journal took any.",
		}, func() float64 { return float64(now().Dropped) }),
	)
}

// WatchJournal shows the usage journal, asked at every scrape.
func (m *Metrics) WatchJournal(now func() Journal) {
	m.registry.MustRegister(
		m.journalFsync,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "halley_journal_bytes", Help: "Size of the usage journal's files.",
		}, func() float64 { return float64(now().Bytes) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "halley_journal_records", Help: "Records in the usage journal that are not in the store yet.",
		}, func() float64 { return float64(now().Records) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "halley_journal_full", Help: "1 while the usage journal cannot be written or its disk is nearly full, so that no charged request is taken on.",
		}, func() float64 {
			if now().Full {
				return 1
			}
			return 0
		}),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "halley_journal_failures_total", Help: "Failed attempts to write or sync the usage journal.",
		}, func() float64 { return float64(now().Failures) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "halley_journal_torn", Help: "Unfinished ends that were cut off the usage journal at the last start.",
		}, func() float64 { return float64(now().Torn) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "halley_journal_damaged", Help: "Stretches of the usage journal that could not be read at the last start; the files were kept.",
		}, func() float64 { return float64(now().Damaged) }),
	)
}

// WatchChanges shows the changes that are heard of, and whether notices of them
// arrive, asked at every scrape.
func (m *Metrics) WatchChanges(connected func() bool) {
	m.registry.MustRegister(m.changes, m.changeLag, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "halley_change_listener_connected", Help: "1 while notices of changes arrive; without them changes are found up to half a second later.",
	}, func() float64 {
		if connected() {
			return 1
		}
		return 0
	}))
}

// ChangeApplied counts a change that took so long to get here.
func (m *Metrics) ChangeApplied(topic, via string, lag time.Duration) {
	m.changes.WithLabelValues(topic, via).Inc()
	m.changeLag.Observe(lag.Seconds())
}

// WatchLimits shows what rate limits are counted by, asked at every scrape:
// "local", "shares" or "redis".
func (m *Metrics) WatchLimits(backend func() string) {
	for _, state := range []string{"local", "shares", "redis"} {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "halley_limits_backend", Help: "1 for what rate limits are counted by now: this server alone, its share of each limit, or Redis for all servers.",
			ConstLabels: prometheus.Labels{"state": state},
		}, func() float64 {
			if backend() == state {
				return 1
			}
			return 0
		}))
	}
}

// JournalSynced notes how long an fsync of the usage journal took.
func (m *Metrics) JournalSynced(took time.Duration) { m.journalFsync.Observe(took.Seconds()) }

// UnknownKey counts a request whose key is not known.
func (m *Metrics) UnknownKey() { m.unknownKeys.Inc() }

// Attempted counts the end of an attempt at an upstream.
func (m *Metrics) Attempted(outcome string) { m.attempts.WithLabelValues(outcome).Inc() }

// Checked counts a check of a channel's upstream key.
func (m *Metrics) Checked(outcome string) { m.checks.WithLabelValues(outcome).Inc() }

// CheckCost adds what a check cost.
func (m *Metrics) CheckCost(cost money.Nano) { m.checkCost.Add(cost.Float()) }

// ChannelTransition counts a change of a channel's health and what brought it
// about.
func (m *Metrics) ChannelTransition(to, cause string) { m.transitions.WithLabelValues(to, cause).Inc() }

// WatchChannels shows how many channels are in each state, asked at every scrape.
// Which they are is for the log and the channels themselves: a label for each
// would have no bound.
func (m *Metrics) WatchChannels(states []string, count func(state int) int) {
	for i, state := range states {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "halley_channels", Help: "Enabled channels by the worst state that any of their upstream keys and models is in here.",
			ConstLabels: prometheus.Labels{"state": state},
		}, func() float64 { return float64(count(i)) }))
	}
}

// Finished counts a finished request.
func (m *Metrics) Finished(r *Request) {
	route := m.route(r.Dialect, r.Endpoint)
	m.code(route, r.Status).Inc()
	route.duration.Observe(r.Duration.Seconds())
	if r.FirstByte > 0 {
		route.firstByte.Observe(r.FirstByte.Seconds())
	}
	model := m.model(r.Model)
	model.requests.Inc()
	add(model.prompt, r.Prompt)
	add(model.cached, r.Cached)
	add(model.cacheWrite, r.CacheWrite)
	add(model.completion, r.Completion)
	add(model.reasoning, r.Reasoning)
	if r.Cost > 0 {
		model.cost.Add(r.Cost.Float())
	}
	if r.Absorbed > 0 {
		m.absorbed.Add(r.Absorbed.Float())
	}
}

func add(c prometheus.Counter, n int64) {
	if n > 0 {
		c.Add(float64(n))
	}
}

func (m *Metrics) route(dialect, endpoint string) *routeMetrics {
	name := routeName{dialect, endpoint}
	if route := (*m.routes.Load())[name]; route != nil {
		return route
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	known := *m.routes.Load()
	if len(known) >= maxRoutes {
		name = routeName{otherLabel, otherLabel}
	}
	if route := known[name]; route != nil {
		return route
	}
	route := &routeMetrics{
		name:      name,
		duration:  m.duration.WithLabelValues(name.dialect, name.endpoint),
		firstByte: m.firstByte.WithLabelValues(name.dialect, name.endpoint),
	}
	next := make(map[routeName]*routeMetrics, len(known)+1)
	for n, r := range known {
		next[n] = r
	}
	next[name] = route
	m.routes.Store(&next)
	return route
}

func (m *Metrics) code(route *routeMetrics, status int) prometheus.Counter {
	if status < 100 || status >= len(route.codes) {
		status = 0
	}
	if c := route.codes[status].Load(); c != nil {
		return c
	}
	label := otherLabel
	if status > 0 {
		label = strconv.Itoa(status)
	}
	c := &counter{m.requests.WithLabelValues(route.name.dialect, route.name.endpoint, label)}
	route.codes[status].Store(c)
	return c
}

func (m *Metrics) model(name string) *modelMetrics {
	model := (*m.models.Load())[name]
	if model == nil {
		model = m.other
	}
	model.once.Do(func() {
		model.requests, model.cost = m.modelRequests.WithLabelValues(model.name), m.cost.WithLabelValues(model.name)
		kind := func(k string) prometheus.Counter { return m.tokens.WithLabelValues(model.name, k) }
		model.prompt, model.cached, model.cacheWrite = kind("prompt"), kind("cached"), kind("cache_write")
		model.completion, model.reasoning = kind("completion"), kind("reasoning")
	})
	return model
}
