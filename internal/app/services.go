package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net/http"
	"path/filepath"
	"slices"
	"time"

	"halley/internal/account"
	"halley/internal/adminapi"
	"halley/internal/audit"
	"halley/internal/budget"
	"halley/internal/channel"
	"halley/internal/config"
	"halley/internal/gateway"
	"halley/internal/group"
	"halley/internal/health"
	"halley/internal/kept"
	"halley/internal/key"
	"halley/internal/oidc"
	"halley/internal/option"
	"halley/internal/price"
	"halley/internal/provider"
	"halley/internal/provider/anthropic"
	"halley/internal/provider/azure"
	"halley/internal/provider/bedrock"
	cohereapi "halley/internal/provider/cohere"
	"halley/internal/provider/demo"
	"halley/internal/provider/gemini"
	"halley/internal/provider/openai"
	"halley/internal/provider/token"
	"halley/internal/provider/vertex"
	"halley/internal/reconcile"
	"halley/internal/seal"
	"halley/internal/store"
	"halley/internal/telemetry"
	"halley/internal/translate"
	"halley/internal/translate/chat"
	"halley/internal/translate/cohere"
	"halley/internal/translate/converse"
	"halley/internal/translate/embed"
	translategemini "halley/internal/translate/gemini"
	"halley/internal/translate/messages"
	"halley/internal/translate/responses"
	"halley/internal/upstream"
	"halley/internal/usage"
	"halley/internal/usage/journal"
)

// services are the domains over one open database.
type services struct {
	db       *store.DB
	ledger   *budget.Ledger
	options  *option.Service
	groups   *group.Service
	channels *channel.Service
	prices   *price.Service
	accounts *account.Service
	keys     *key.Service
	audit    *audit.Service
	books    *reconcile.Service
	recorder *usage.Recorder
	kept     *kept.Service
	journal  *journal.Journal // nil when nothing is written
	sharing  *sharing         // nil where nobody shares the database
	queries  *usage.Queries
	metrics  *telemetry.Metrics
	limits   *limits
	health   *health.Tracker
	ways     *upstream.Transports
	hints    *hints
	checks   *checks
	azure    *azure.Provider
	vertex   *vertex.Provider
	bedrock  *bedrock.Provider
	gateway  *gateway.Gateway
	live     *live
	changes  *changes // nil on SQLite
	started  time.Time
}

// newServices opens the database and builds the domains, everything loaded.
func newServices(ctx context.Context, cfg *config.Config, o Options) (*services, error) {
	master, err := masterKey(cfg)
	if err != nil {
		return nil, err
	}
	db, err := store.Open(ctx, cfg.Database.URL.Reveal(), o.Log)
	if err != nil {
		return nil, err
	}
	s := &services{db: db, started: time.Now()}
	if err := s.wire(ctx, cfg, o, master); err != nil {
		return nil, errors.Join(err, s.closeJournal(ctx), db.Close())
	}
	return s, nil
}

func masterKey(cfg *config.Config) (*seal.Master, error) {
	if text := cfg.MasterKey.Reveal(); text != "" {
		return seal.ParseMaster(text)
	}
	master, _, err := seal.LoadMaster(filepath.Join(cfg.DataDir, "master.key"))
	return master, err
}

func (s *services) wire(ctx context.Context, cfg *config.Config, o Options, master *seal.Master) error {
	if err := seal.Check(ctx, master, s.db); err != nil {
		return err
	}
	now := clock()
	s.metrics = telemetry.NewMetrics(telemetry.Build{Version: o.Version})
	addresses := channel.AddressPolicy{AllowAll: cfg.AllowPrivateUpstreams.All, Allow: cfg.AllowPrivateUpstreams.Nets}
	if err := s.openJournal(ctx, cfg, o); err != nil {
		return err
	}
	if err := s.openLedger(ctx, cfg, o, now); err != nil {
		return err
	}
	s.audit = audit.NewService(s.db, master, now)
	s.books = reconcile.NewService(s.db)
	s.kept = kept.NewService(s.db, master.Box("kept response"), func() kept.Rules {
		v := s.options.Current()
		return kept.Rules{For: time.Duration(v.ResponseRetentionDays) * 24 * time.Hour, PerKey: v.ResponseBytesPerKey}
	}, now)
	s.groups = group.NewService(s.db)
	s.options = option.NewService(s.db, s.groupExists)
	s.channels = channel.NewService(channel.Deps{
		Store: s.db, Sealer: master.Box("channel credential"), GroupExists: s.groupExists, Addresses: addresses, Now: now,
	})
	catalog, err := price.LoadCatalog()
	if err != nil {
		return err
	}
	if s.prices, err = price.NewService(catalog, s.db, now, func(context.Context) error { s.live.rebuild(); return nil }); err != nil {
		return err
	}
	s.accounts = account.NewService(account.Config{
		Store: s.db, Ledger: s.ledger, Master: master, GroupExists: s.groupExists, Now: now,
		IdentityProviders: oidc.New(http.DefaultTransport, now),
		NewUserQuota:      func() int64 { return s.options.Current().NewUserQuota },
		OnDelete:          func(ctx context.Context, userID int64) error { return s.deleteKeysOf(ctx, userID) },
	})
	s.keys = key.NewService(key.Deps{
		Store: s.db, Ledger: s.ledger, Master: master, Now: now,
		OwnerGroup: func(ctx context.Context, userID int64) (string, error) {
			owner, err := s.accounts.Owner(ctx, userID)
			if err != nil {
				return "", err
			}
			return owner.Group, nil
		},
		OwnerZone: func(ctx context.Context, userID int64) (string, error) {
			owner, err := s.accounts.Owner(ctx, userID)
			if err != nil {
				return "", err
			}
			return owner.TimeZone, nil
		},
		GroupUsable: func(name string, ownerID int64, ownerGroup string) bool {
			return s.groups.Current().Usable(name, group.User{ID: ownerID, Group: ownerGroup})
		},
		Rules: func() key.Rules {
			v := s.options.Current()
			return key.Rules{MaxPerUser: v.MaxKeysPerUser, RevealOnce: cfg.Keys.Reveal == "once"}
		},
	})
	for _, load := range []func(context.Context) error{s.groups.Reload, s.options.Reload, s.channels.Reload, s.prices.Reload, s.accounts.ReloadProviders} {
		if err := load(ctx); err != nil {
			return fmt.Errorf("load the configuration from the database: %w", err)
		}
	}
	s.queries = usage.NewQueries(s.db)
	if err := s.record(ctx, cfg, o); err != nil {
		return err
	}
	s.metrics.WatchHolds(s.ledger.InFlight)
	if s.sharing != nil {
		s.metrics.WatchLeases(s.sharing.figures)
	}
	s.metrics.WatchUsageQueue(s.usageQueue)
	if s.health, err = newHealth(o.Log, s.metrics, func(t health.Transition) { s.hints.note(t) }); err != nil {
		return err
	}
	s.metrics.WatchChannels(healthStates(), s.channelsIn)
	s.ways = upstream.NewTransports(addresses)
	s.azure = azure.New(token.Options{Now: now, Log: o.Log})
	if s.vertex, err = vertex.New(token.Options{Now: now, Log: o.Log}); err != nil {
		return err
	}
	if s.bedrock, err = bedrock.New(bedrock.Options{Now: now, Ambient: &bedrock.Ambient{}}); err != nil {
		return err
	}
	s.live = newLive(s.snapshot, func(snap *gateway.Snapshot) {
		s.metrics.KnowModels(modelNames(snap))
		forgetOthers(s.health, s.channels.All())
		keepWays(s.ways, s.channels.All(), o.Log)
	})
	s.groups.OnChange(s.live.rebuild)
	s.groups.OnMove(s.followMove)
	s.channels.OnChange(s.live.rebuild)
	s.options.OnChange(func(*option.Values) { s.live.rebuild() })
	if s.sharing != nil {
		s.hints = &hints{
			node: s.sharing.leases.Node(), tracker: s.health, known: s.knowsUpstream, log: o.Log, now: now, waiting: map[health.Target]health.Transition{}, quit: make(chan struct{}),
			notify: func(ctx context.Context, payload string) error { return s.db.Notify(ctx, store.HealthChannel, payload) },
		}
	}
	s.changes = s.followChanges(o.Log)
	if err := s.openLimits(cfg, o); err != nil {
		return err
	}
	s.gateway = gateway.New(gateway.Config{
		Keys: s.keys, Owners: s.accounts, Ledger: s.ledger, Recorder: s.recorder, Observer: observer{s.metrics},
		Snapshot: s.live.current.Load, Kept: s.kept,
		Channel: func(id int64) *channel.Channel {
			ch, _ := s.channels.Get(id)
			return ch
		},
		Upstreams: map[channel.Kind]gateway.Upstream{
			channel.OpenAI:    {Provider: openai.Provider{}, Transport: s.ways.Direct()},
			channel.Azure:     {Provider: s.azure, Transport: s.ways.Direct()},
			channel.Anthropic: {Provider: anthropic.Provider{}, Transport: s.ways.Direct()},
			channel.Gemini:    {Provider: gemini.Provider{}, Transport: s.ways.Direct()},
			channel.Vertex:    {Provider: s.vertex, Transport: s.ways.Direct()},
			channel.Cohere:    {Provider: cohereapi.Provider{}, Transport: s.ways.Direct()},
			channel.Bedrock:   {Provider: s.bedrock, Transport: s.ways.Direct()},
			channel.Demo:      {Provider: openai.Provider{}, Transport: demo.New(demo.Options{Pace: o.DemoPace, SlowFirstByte: 2 * time.Second})},
		},
		Codecs: map[provider.Operation]translate.Codec{
			provider.Chat:      chat.Codec{},
			provider.Messages:  messages.Codec{},
			provider.Responses: responses.Codec{},
			provider.Generate:  translategemini.Codec{},
			provider.Converse:  converse.Codec{},

			provider.BedrockMessages: messages.Codec{Platform: messages.Bedrock},
			provider.CohereChat:      cohere.Codec{},
			provider.VertexMessages:  messages.Codec{Platform: messages.Vertex},
			provider.VertexGenerate:  translategemini.Codec{Vertex: true},
		},
		EmbedClients: map[provider.Operation]embed.Client{
			provider.Embeddings:     embed.OpenAI{},
			provider.GeminiEmbed:    embed.Gemini{},
			provider.GeminiEmbedOne: embed.GeminiOne{},
		},
		EmbedUpstreams: map[provider.Operation]embed.Upstream{
			provider.BedrockCohere: embed.BedrockCohere{},
			provider.TitanEmbed:    embed.Titan{},
			provider.Embeddings:    embed.OpenAI{},
			provider.CohereEmbed:   embed.Cohere{},
			provider.GeminiEmbed:   embed.Gemini{},
			provider.VertexEmbed:   embed.VertexContent{},
			provider.VertexPredict: embed.VertexPredict{},
		},
		Networks: s.ways,
		Log:      o.Log, Now: now, NewEventID: newEventID, Limiter: s.limits.Limiter, Roll: mathrand.Float64, Health: s.health,
		Timeouts: channel.Timeouts{
			Connect: cfg.Upstream.ConnectTimeout, FirstByte: cfg.Upstream.FirstByteTimeout,
			Idle: cfg.Upstream.IdleTimeout, Total: cfg.Upstream.TotalTimeout, Drain: cfg.Upstream.DrainTimeout,
		},
	})
	s.checks = newChecks(&checks{
		channels: s.channels.All, check: s.gateway.Check, servers: s.servers, roll: mathrand.Float64, now: now, log: o.Log,
		told: func(r gateway.CheckResult) {
			for _, class := range r.Classes {
				s.metrics.Checked(class.String())
			}
			s.metrics.CheckCost(r.Cost)
		},
	})
	return nil
}

// servers is how many are at work on the database.
func (s *services) servers() int {
	if s.sharing == nil {
		return 1
	}
	return s.sharing.leases.Nodes()
}

// openJournal takes the data folder's journal, and with it the folder, unless
// this process only looks.
func (s *services) openJournal(ctx context.Context, cfg *config.Config, o Options) error {
	if o.lookOnly {
		return nil
	}
	var err error
	s.journal, err = journal.Open(ctx, journal.Options{
		Dir: journalDir(cfg), Patience: o.patience, FsyncInterval: cfg.Usage.FsyncInterval, Barrier: s.db.Sync, Synced: s.metrics.JournalSynced, Log: o.Log,
	})
	if err != nil {
		return fmt.Errorf("open the usage journal: %w", err)
	}
	return nil
}

// openLedger makes the ledger: alone, or as one of several nodes.
func (s *services) openLedger(ctx context.Context, cfg *config.Config, o Options, now func() time.Time) error {
	if s.db.Engine() != store.Postgres {
		s.ledger = budget.NewLedger(s.db, now)
		return nil
	}
	if o.lookOnly {
		s.ledger = budget.NewSharedLedger(s.db, s.db.Onlooker(), now)
		return nil
	}
	var err error
	if s.sharing, err = join(ctx, s.db, cfg, o.Log); err != nil {
		return err
	}
	s.ledger = budget.NewSharedLedger(s.db, s.sharing.leases, now)
	s.sharing.keep(s.ledger)
	return nil
}

// record makes the recorder. What an earlier run left in the journal is applied
// before anything else looks at a balance: until then the store lags behind what
// clients were charged.
func (s *services) record(ctx context.Context, cfg *config.Config, o Options) error {
	options := usage.RecorderOptions{SetAside: s.setAside, Delay: cfg.Usage.FlushInterval}
	into := landing{s.db, s.ledger}
	if o.lookOnly {
		s.recorder = usage.NewRecorder(into, o.Log, options)
		return nil
	}
	options.Journal = s.journal
	s.recorder = usage.NewRecorder(into, o.Log, options)
	s.metrics.WatchJournal(s.journalFigures)
	if err := s.journal.Replay(ctx, s.recorder.Restore); err != nil {
		return err
	}
	s.journal.Start()
	return s.sharing.begin(ctx)
}

func journalDir(cfg *config.Config) string { return filepath.Join(cfg.DataDir, "journal") }

func (s *services) journalFigures() telemetry.Journal {
	stats := s.journal.Stats()
	return telemetry.Journal{Bytes: stats.Bytes, Records: stats.Records, Failures: stats.Failures, Torn: stats.Torn, Damaged: stats.Damaged, Full: s.journal.Full()}
}

func (s *services) closeJournal(ctx context.Context) error {
	if s.journal == nil {
		return nil
	}
	return s.journal.Close(ctx)
}

// knowsUpstream reports whether there is such a channel with such an upstream key.
func (s *services) knowsUpstream(id int64, credential string) bool {
	ch, ok := s.channels.Get(id)
	return ok && ((credential == "" && len(ch.Credentials) == 0) || slices.ContainsFunc(ch.Credentials, func(c channel.Credential) bool { return c.ID == credential }))
}

func (s *services) groupExists(name string) bool {
	_, ok := s.groups.Current().Get(name)
	return ok
}

// deleteKeysOf ends every key of a user who is being deleted.
func (s *services) deleteKeysOf(ctx context.Context, userID int64) error {
	for {
		views, _, err := s.keys.List(ctx, key.Query{UserID: userID, Now: time.Now(), Limit: 100})
		if err != nil || len(views) == 0 {
			return err
		}
		ids := make([]int64, len(views))
		for i, v := range views {
			ids[i] = v.Key.ID
		}
		if _, err := s.keys.DeleteBatch(ctx, userID, ids); err != nil {
			return err
		}
	}
}

func (s *services) usageQueue() telemetry.UsageQueue {
	stats := s.recorder.Stats()
	return telemetry.UsageQueue{Records: stats.Depth, Oldest: stats.Oldest, FlushErrors: stats.FlushErrors, SetAside: stats.SetAside, Dropped: stats.Dropped}
}

// landing writes usage and tells the ledger which settlements have reached the
// store.
type landing struct {
	db     *store.DB
	ledger *budget.Ledger
}

// ApplyUsage implements usage.Store.
func (l landing) ApplyUsage(ctx context.Context, records []usage.Record) error {
	return l.ledger.Land(ctx, func() error {
		if err := l.db.ApplyUsage(ctx, records); err != nil {
			return err
		}
		for i := range records {
			if r := &records[i]; r.Settled {
				l.ledger.Landed(landingOf(r))
			}
		}
		return nil
	})
}

// setAside lets the ledger go of a record that the store refuses for good; the
// recorder has logged it.
func (s *services) setAside(r usage.Record, _ error) {
	if r.Settled {
		s.ledger.Landed(landingOf(&r))
	}
}

func landingOf(r *usage.Record) budget.Landing {
	return budget.Landing{
		Payers: budget.Payers{Key: r.KeyID, Parent: r.ParentID, User: r.UserID}, At: r.Time, Term: r.Term,
		Charge: budget.Charge{Charged: r.Cost, Absorbed: r.Absorbed, KeyGrant: r.KeyGrantDelta, ParentGrant: r.ParentGrantDelta, UserGrant: r.UserGrantDelta},
	}
}

// newEventID is unique among the records of a request id, which clients may
// choose, and choose twice.
func newEventID() string { return rand.Text()[:13] }

// management is what the management API speaks for.
func (s *services) management() adminapi.Services {
	return adminapi.Services{
		Accounts: s.accounts, Audit: s.audit, Books: s.books, Channels: s.channels, ChannelTester: s.gateway, ChannelHealth: s.health, ChannelChecks: s.checks, Groups: s.groups,
		UpstreamModels: s.gateway,
		Keys:           s.keys, KeyHolders: s.gateway, KeyVerifier: s.gateway, Balances: s.ledger, Usage: s.queries, DailyUsage: s.queries,
		Options: s.options, Prices: s.prices, Snapshot: s.live.current.Load,
		Status: adminapi.Status{Started: s.started, Now: time.Now, Features: []string{"chat", "embeddings"}, LoginMethods: []string{"password"}},
	}
}

// tidyKeys notes the last uses of keys, unless this process only looks.
func (s *services) tidyKeys(ctx context.Context) error {
	if s.journal == nil {
		return nil
	}
	return s.keys.Tidy(ctx)
}

// close writes what is waiting and closes the database.
func (s *services) close(ctx context.Context) error {
	s.limits.close()
	s.azure.Close()
	s.vertex.Close()
	s.ways.Close()
	stopped := s.recorder.Stop(ctx)
	shared := s.sharing.end(ctx, stopped == nil && s.recorder.Stats().Depth == 0)
	return errors.Join(stopped, shared, s.closeJournal(ctx), s.tidyKeys(ctx), s.db.Close())
}
