package adminapi

import (
	"net/http"
	"time"

	"halley/internal/fault"
	"halley/internal/usage"
)

// usageView is a usage record as the contract shows one. quota, absorbed and
// held are quota units, decimals with up to 4 places.
type usageView struct {
	ID               int64   `json:"id"`
	Time             int64   `json:"time"`
	RequestID        string  `json:"request_id"`
	KeyID            int64   `json:"key_id"`
	KeyName          string  `json:"key_name"`
	UserID           int64   `json:"user_id"`
	Model            string  `json:"model"`
	ServedModel      string  `json:"served_model"`
	ChannelID        int64   `json:"channel_id"`
	Group            string  `json:"group"`
	Dialect          string  `json:"dialect"`
	Endpoint         string  `json:"endpoint"`
	Stream           bool    `json:"stream"`
	Status           int     `json:"status"`
	ErrorCode        string  `json:"error_code"`
	PromptTokens     int64   `json:"prompt_tokens"`
	CachedTokens     int64   `json:"cached_tokens"`
	CacheWriteTokens int64   `json:"cache_write_tokens"`
	CompletionTokens int64   `json:"completion_tokens"`
	ReasoningTokens  int64   `json:"reasoning_tokens"`
	Quota            string  `json:"quota"`
	USD              float64 `json:"usd"`
	Absorbed         string  `json:"absorbed"`
	PriceVersion     string  `json:"price_version"`
	Held             string  `json:"held"`
	LatencyMs        int64   `json:"latency_ms"`
	FirstByteMs      int64   `json:"first_byte_ms"`
	Attempts         int     `json:"attempts"`
	UsageSource      string  `json:"usage_source" enum:"provider,metered,estimated,none"`
	EndUser          string  `json:"end_user"`
	IP               string  `json:"ip"`

	// Parts of the tokens above, and more of where the money went.
	CacheWrite1hTokens int64     `json:"cache_write_1h_tokens"`
	InputAudioTokens   int64     `json:"input_audio_tokens"`
	InputImageTokens   int64     `json:"input_image_tokens"`
	OutputAudioTokens  int64     `json:"output_audio_tokens"`
	OutputImageTokens  int64     `json:"output_image_tokens"`
	Searches           int64     `json:"searches" doc:"How often the provider searched the web."`
	Trail              []tryView `json:"trail,omitempty" doc:"What became of each attempt, for administrators alone; left out where the only one served."`
	ParentID           int64     `json:"parent_id" doc:"The key that was charged as well, having issued this one; 0 for none."`
}

// tryView is an attempt to have a request served.
type tryView struct {
	ChannelID int64  `json:"channel_id"`
	Outcome   string `json:"outcome" enum:"success,failed,rate-limited,credential,balance,client-fault,client-gone,overtaken"`
	Detail    string `json:"detail" doc:"What was seen, such as \"status 503\"; empty where the outcome says all."`
	Began     int64  `json:"began_ms" doc:"Since the request came."`
	Took      int64  `json:"took_ms"`
}

// usageViewer gives how the caller sees a usage record.
func (c *call) usageViewer() func(*usage.Entry) usageView {
	if c.who.Admin() {
		return viewWhole
	}
	return viewUsage
}

// viewWhole is a usage record as administrators see it.
func viewWhole(e *usage.Entry) usageView {
	v := viewUsage(e)
	for _, one := range e.Trail {
		v.Trail = append(v.Trail, tryView{one.ChannelID, one.Outcome, one.Detail, one.Began.Milliseconds(), one.Took.Milliseconds()})
	}
	return v
}

func viewUsage(e *usage.Entry) usageView {
	t := e.Tokens
	return usageView{
		ID: e.ID, Time: e.Time.Unix(), RequestID: e.RequestID, KeyID: e.KeyID, KeyName: e.KeyName, UserID: e.UserID,
		Model: e.Model, ServedModel: e.ServedModel, ChannelID: e.ChannelID, Group: e.Group, Dialect: e.Dialect, Endpoint: e.Endpoint,
		Stream: e.Stream, Status: e.Status, ErrorCode: e.ErrorCode,
		PromptTokens: t.Prompt, CachedTokens: t.CachedRead, CacheWriteTokens: t.CacheWrite5m + t.CacheWrite1h, CompletionTokens: t.Completion, ReasoningTokens: t.Reasoning,
		Quota: e.Cost.UnitsString(), USD: e.Cost.Float(), Absorbed: e.Absorbed.UnitsString(), PriceVersion: e.PriceVersion, Held: e.Held.UnitsString(),
		LatencyMs: e.Latency.Milliseconds(), FirstByteMs: e.FirstByte.Milliseconds(), Attempts: e.Attempts, UsageSource: string(e.Source), EndUser: e.EndUser, IP: e.IP,
		CacheWrite1hTokens: t.CacheWrite1h, InputAudioTokens: t.AudioIn, InputImageTokens: t.ImageIn, OutputAudioTokens: t.AudioOut, OutputImageTokens: t.ImageOut, Searches: t.Searches, ParentID: e.ParentID,
	}
}

// usageStatView is totals and the pace of the last 60 seconds; quota as in
// usageView.
type usageStatView struct {
	Quota    string  `json:"quota"`
	USD      float64 `json:"usd"`
	Requests int64   `json:"requests"`
	Tokens   int64   `json:"tokens"`
	RPM      int64   `json:"rpm"`
	TPM      int64   `json:"tpm"`

	Errors    int64 `json:"errors"`
	Latency   int64 `json:"latency_ms" doc:"The mean of those that are no errors."`
	FirstByte int64 `json:"first_byte_ms" doc:"Likewise."`
}

func (s *Server) logRoutes() []route {
	own := []string{"key_id", "model", "status", "errors", "from", "to", "request_id"}
	all := append([]string{"user_id"}, own...)
	with := func(query []string, more ...string) []string { return append(query[:len(query):len(query)], more...) }
	pages := func(query []string) []string { return with(query, "p", "page_size") }
	return []route{
		{
			method: http.MethodGet, path: "/api/log/self", access: anyUser, handle: s.ownUsage, summary: "The caller's usage records, newest first",
			out: typeOf[pageOf[usageView]](), query: pages(own),
		},
		{
			method: http.MethodGet, path: "/api/log/self/stat", access: anyUser, handle: s.ownUsageStat, summary: "The sums of the caller's usage records",
			out: typeOf[usageStatView](), query: own,
		},
		{
			method: http.MethodGet, path: "/api/log/", access: adminOnly, handle: s.allUsage, summary: "Everybody's usage records, newest first",
			out: typeOf[pageOf[usageView]](), query: pages(all),
		},
		{
			method: http.MethodGet, path: "/api/log/stat", access: adminOnly, handle: s.allUsageStat, summary: "The sums of everybody's usage records",
			out: typeOf[usageStatView](), query: all,
		},
		{
			method: http.MethodGet, path: "/api/log/self/export", access: anyUser, handle: s.exportOwnUsage, summary: "All of the caller's usage records that the filters leave, as a file",
			out: typeOf[[]usageView](), plain: true, files: []string{csvType}, query: with(own, "format"),
		},
		{
			method: http.MethodGet, path: "/api/log/export", access: adminOnly, handle: s.exportAllUsage, summary: "All of everybody's usage records that the filters leave, as a file",
			out: typeOf[[]usageView](), plain: true, files: []string{csvType}, query: with(all, "format"),
		},
	}
}

func (s *Server) ownUsage(c *call) (any, error) {
	return s.listUsage(c, (*call).ownUsageFilter)
}

func (s *Server) allUsage(c *call) (any, error) {
	return s.listUsage(c, (*call).usageFilter)
}

func (s *Server) ownUsageStat(c *call) (any, error) {
	return s.statUsage(c, (*call).ownUsageFilter)
}

func (s *Server) allUsageStat(c *call) (any, error) {
	return s.statUsage(c, (*call).usageFilter)
}

func (s *Server) listUsage(c *call, filter func(*call) (usage.Filter, error)) (any, error) {
	p, err := c.page()
	if err != nil {
		return nil, err
	}
	f, err := filter(c)
	if err != nil {
		return nil, err
	}
	entries, total, err := s.Usage.List(c.ctx, f, int(p.Size), int(p.Offset()))
	if err != nil {
		return nil, err
	}
	view := c.usageViewer()
	items := make([]usageView, 0, len(entries))
	for i := range entries {
		items = append(items, view(&entries[i]))
	}
	return newPage(p, total, items), nil
}

func (s *Server) statUsage(c *call, filter func(*call) (usage.Filter, error)) (any, error) {
	f, err := filter(c)
	if err != nil {
		return nil, err
	}
	stat, err := s.Usage.Stat(c.ctx, f, time.Now())
	if err != nil {
		return nil, err
	}
	return usageStatView{
		Quota: stat.Cost.UnitsString(), USD: stat.Cost.Float(), Requests: stat.Requests, Tokens: stat.TokensIn + stat.TokensOut, RPM: stat.RPM, TPM: stat.TPM,
		Errors: stat.Errors, Latency: stat.MeanLatency().Milliseconds(), FirstByte: stat.MeanFirstByte().Milliseconds(),
	}, nil
}

// ownUsageFilter sees to it that the caller's own records are all there is.
func (c *call) ownUsageFilter() (usage.Filter, error) {
	f, err := c.commonUsageFilter()
	f.UserID = c.who.User.ID
	return f, err
}

// usageFilter is an administrator's: of one user or all.
func (c *call) usageFilter() (usage.Filter, error) {
	f, err := c.commonUsageFilter()
	if err != nil {
		return f, err
	}
	f.UserID, err = c.queryInt("user_id", 0)
	return f, err
}

func (c *call) commonUsageFilter() (usage.Filter, error) {
	f := usage.Filter{Model: c.query.Get("model"), RequestID: c.query.Get("request_id")}
	var err error
	if f.KeyID, err = c.queryInt("key_id", 0); err != nil {
		return f, err
	}
	status, err := c.queryInt("status", 0)
	if err != nil {
		return f, err
	}
	if status != 0 && (status < 100 || status > 599) {
		return f, fault.New(fault.Invalid, "invalid_status", "status must be an HTTP status, 100 to 599.").Field("status")
	}
	f.Status = int(status)
	if f.Errors, err = c.queryFlag("errors"); err != nil {
		return f, err
	}
	f.From, f.To, err = c.queryRange()
	return f, err
}

// queryRange reads from and to, seconds that are both part of the range. What
// is missing is the zero time.
func (c *call) queryRange() (from, to time.Time, err error) {
	if from, err = c.queryInstant("from"); err != nil {
		return from, to, err
	}
	if to, err = c.queryInstant("to"); err != nil {
		return from, to, err
	}
	if !from.IsZero() && !to.IsZero() && from.After(to) {
		return from, to, fault.New(fault.Invalid, "invalid_range", "from must not be after to.").Field("from")
	}
	if !to.IsZero() {
		to = to.Add(time.Second)
	}
	return from, to, nil
}
