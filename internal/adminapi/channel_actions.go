package adminapi

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"halley/internal/channel"
	"halley/internal/fault"
	"halley/internal/gateway"
	"halley/internal/jsonx"
	"halley/internal/usage"
)

// ChannelTester sends a real request through a channel and says how it went.
type ChannelTester interface {
	TestChannel(ctx context.Context, ch *channel.Channel, model string, stream bool) (gateway.ChannelTest, error)
}

// UpstreamModels asks a channel's upstream which models it has.
type UpstreamModels interface {
	UpstreamModels(ctx context.Context, ch *channel.Channel) ([]string, error)
}

// channelActionRoutes are what is done with channels beside changing them.
func (s *Server) channelActionRoutes() []route {
	test, models := typeOf[channelTestView](), typeOf[upstreamModelsView]()
	return []route{
		{method: http.MethodGet, path: "/api/channel/presets", access: adminOnly, handle: s.listPresets, summary: "List well-known providers, for preset when a channel is added", out: typeOf[[]presetView]()},
		{method: http.MethodPost, path: "/api/channel/{id}/test", access: adminOnly, handle: s.testChannel, summary: "Send a real request through a channel", in: typeOf[channelTestBody](), bodyOptional: true, out: test},
		{method: http.MethodPost, path: "/api/channel/test", access: adminOnly, handle: s.testDraft, summary: "Send a real request through a channel that is not saved", in: typeOf[draftTestBody](), out: test},
		{method: http.MethodGet, path: "/api/channel/{id}/models", access: adminOnly, handle: s.upstreamModels, summary: "List the models that a channel's upstream has", out: models},
		{method: http.MethodPost, path: "/api/channel/models", access: adminOnly, handle: s.draftModels, summary: "List the models of the upstream of a channel that is not saved", in: typeOf[draftBody](), out: models},
		{method: http.MethodGet, path: "/api/channel/spend", access: adminOnly, handle: s.channelsSpend, summary: "Sum up what went through each channel; those without requests are left out", query: []string{"from", "to"}, out: typeOf[[]oneChannelSpend]()},
		{method: http.MethodGet, path: "/api/channel/{id}/spend", access: adminOnly, handle: s.channelSpend, summary: "Sum up what went through a channel, from the rollups", query: []string{"from", "to"}, out: typeOf[channelSpendView]()},
		{method: http.MethodPost, path: "/api/channel/{id}/duplicate", access: adminOnly, handle: s.duplicateChannel, summary: "Copy a channel, upstream keys included; the copy is disabled", out: typeOf[channelView]()},
		{method: http.MethodPost, path: "/api/channel/bulk", access: adminOnly, handle: s.bulkChannels, summary: "Enable, disable or delete several channels, by ids or by tag", in: typeOf[bulkBody](), out: typeOf[bulkView](), needs: []string{"action"}},
	}
}

// newChannelBody is a channel that is not there yet.
type newChannelBody struct {
	channelBody
	Preset jsonx.Opt[string] `json:"preset" doc:"The id of one of GET /api/channel/presets."`
}

// draftBody is a channel that is not saved, or a change of one that is.
type draftBody struct {
	newChannelBody
	ChannelID jsonx.Opt[int64] `json:"channel_id" doc:"A saved channel: what is left out is as there, upstream keys included."`
}

// filled is the change with what the preset adds.
func (b *newChannelBody) filled() (channel.Change, error) {
	change, err := b.change()
	if err := firstError(err, notNull("preset", b.Preset)); err != nil {
		return change, err
	}
	if b.Preset.Set {
		err = change.Fill(strings.TrimSpace(b.Preset.Value))
	}
	return change, err
}

// azureBody is merged member by member; null and the empty text are the default.
type azureBody struct {
	APIVersion jsonx.Opt[string] `json:"api_version" doc:"Of requests to deployments."`
	Authority  jsonx.Opt[string] `json:"authority" doc:"Where Entra ID hands out tokens, for upstream keys of the form entra:TENANT:CLIENT_ID:SECRET."`
	Scope      jsonx.Opt[string] `json:"scope" doc:"What such a token is asked for."`
}

// azureView has empty members for defaults.
type azureView struct {
	APIVersion string `json:"api_version"`
	Authority  string `json:"authority"`
	Scope      string `json:"scope"`
}

// vertexBody is merged member by member; null and the empty text are the default.
type vertexBody struct {
	Project  jsonx.Opt[string] `json:"project" doc:"The Google Cloud project's id. A service account's key has one; API keys do without."`
	Location jsonx.Opt[string] `json:"location" doc:"Where the models run, such as us-central1; the default is what the base URL says, or global."`
}

// vertexView has empty members for defaults.
type vertexView struct {
	Project  string `json:"project"`
	Location string `json:"location"`
}

// awsBody is merged member by member; null and the empty text are the default.
type awsBody struct {
	Region jsonx.Opt[string] `json:"region" doc:"Where the models run, such as us-east-1; the default is what the base URL says."`
}

// awsView has empty members for defaults.
type awsView struct {
	Region string `json:"region"`
}

type presetView struct {
	ID      string   `json:"id"`
	Name    string   `json:"name"`
	Kind    string   `json:"kind" enum:"openai,azure,anthropic,gemini,vertex,cohere,bedrock,demo"`
	BaseURL string   `json:"base_url" doc:"Empty where everybody has another one."`
	Example string   `json:"example" doc:"What the base URL looks like where it is empty."`
	Models  []string `json:"models" doc:"What the channel serves unless something else is said; empty where that is the operator's choice."`
	Local   bool     `json:"local" doc:"A server of one's own, which private addresses must be allowed for."`
	NoKey   bool     `json:"no_key" doc:"It usually wants no upstream key."`
}

func (s *Server) listPresets(*call) (any, error) {
	views := []presetView{}
	for _, p := range channel.Presets() {
		views = append(views, presetView{ID: p.ID, Name: p.Name, Kind: string(p.Kind), BaseURL: p.BaseURL, Example: p.Example, Models: append([]string{}, p.Models...), Local: p.Local, NoKey: p.NoKey})
	}
	return views, nil
}

type channelTestBody struct {
	Model  jsonx.Opt[string] `json:"model"`
	Stream jsonx.Opt[bool]   `json:"stream"`
}

// draftTestBody is a channel that is not saved and what to ask it for.
type draftTestBody struct {
	draftBody
	channelTestBody
}

type channelTestView struct {
	OK          bool   `json:"ok"`
	Status      int    `json:"status" doc:"The upstream's HTTP status; 0 when it gave none."`
	LatencyMS   int64  `json:"latency_ms"`
	FirstByteMS int64  `json:"first_byte_ms"`
	Message     string `json:"message" doc:"What is wrong; empty when nothing is."`
	Answer      string `json:"answer" doc:"The start of what came back: the model's text, or else the body. Upstream keys are masked."`
}

func (s *Server) testChannel(c *call) (any, error) {
	found, err := s.channelOf(c)
	if err != nil {
		return nil, err
	}
	var body channelTestBody
	if len(c.body) > 0 {
		if body, err = decode[channelTestBody](c); err != nil {
			return nil, err
		}
	}
	return s.test(c, found, body, channelTarget(found.ID))
}

func (s *Server) testDraft(c *call) (any, error) {
	body, err := decode[draftTestBody](c)
	if err != nil {
		return nil, err
	}
	draft, err := s.draft(&body.draftBody)
	if err != nil {
		return nil, err
	}
	return s.test(c, draft, body.channelTestBody, draftTarget(draft))
}

func (s *Server) test(c *call, ch *channel.Channel, body channelTestBody, target string) (any, error) {
	if err := firstError(notNull("model", body.Model), notNull("stream", body.Stream)); err != nil {
		return nil, err
	}
	model := strings.TrimSpace(body.Model.Value)
	if model == "" {
		if model = firstExact(ch.Models); model == "" {
			return nil, fault.New(fault.Invalid, "model_required", "model must be given: the channel lists none by its whole name.").Field("model")
		}
	}
	result, err := s.ChannelTester.TestChannel(c.ctx, ch, model, body.Stream.Value)
	if err != nil {
		return nil, err
	}
	s.trail(c, "channel.test", target, detail(map[string]any{"model": model, "stream": body.Stream.Value, "ok": result.OK, "status": result.Status}))
	return channelTestView{
		OK: result.OK, Status: result.Status, LatencyMS: roundMS(result.Latency), FirstByteMS: roundMS(result.FirstByte),
		Message: string(ch.Masked([]byte(result.Message))), Answer: string(ch.Masked([]byte(result.Answer))),
	}, nil
}

// firstExact is the first model that is a name and no pattern.
func firstExact(models []string) string {
	at := slices.IndexFunc(models, func(model string) bool { return !strings.Contains(model, "*") })
	if at < 0 {
		return ""
	}
	return models[at]
}

// draft is the channel that the body describes.
func (s *Server) draft(body *draftBody) (*channel.Channel, error) {
	change, err := body.filled()
	if err := firstError(err, notNull("channel_id", body.ChannelID)); err != nil {
		return nil, err
	}
	switch {
	case !body.ChannelID.Set:
		return s.Channels.Draft(change)
	case body.Preset.Set:
		return nil, fault.New(fault.Invalid, "invalid_preset", "Give either preset or channel_id.").Field("preset")
	}
	return s.Channels.DraftOf(body.ChannelID.Value, change)
}

// draftTarget is what the audit trail calls a channel that is not saved.
func draftTarget(ch *channel.Channel) string { return "unsaved channel at " + ch.BaseURL }

type upstreamModelsView struct {
	Models []string `json:"models" doc:"The upstream's names, sorted."`
}

func (s *Server) upstreamModels(c *call) (any, error) {
	found, err := s.channelOf(c)
	if err != nil {
		return nil, err
	}
	return s.modelsOf(c, found, channelTarget(found.ID))
}

func (s *Server) draftModels(c *call) (any, error) {
	body, err := decode[draftBody](c)
	if err != nil {
		return nil, err
	}
	draft, err := s.draft(&body)
	if err != nil {
		return nil, err
	}
	return s.modelsOf(c, draft, draftTarget(draft))
}

func (s *Server) modelsOf(c *call, ch *channel.Channel, target string) (any, error) {
	models, err := s.UpstreamModels.UpstreamModels(c.ctx, ch)
	s.trail(c, "channel.models", target, detail(map[string]any{"ok": err == nil}))
	return upstreamModelsView{Models: models}, err
}

// channelSpendView sums up requests that ended at a channel.
type channelSpendView struct {
	From      int64   `json:"from" doc:"Unix seconds."`
	To        int64   `json:"to" doc:"Unix seconds, exclusive."`
	Requests  int64   `json:"requests"`
	Errors    int64   `json:"errors"`
	TokensIn  int64   `json:"tokens_in"`
	TokensOut int64   `json:"tokens_out"`
	USD       float64 `json:"usd" doc:"What callers were charged."`
}

// channelSpend sums up [from, to); without them the last 30 days.
func (s *Server) channelSpend(c *call) (any, error) {
	found, err := s.channelOf(c)
	if err != nil {
		return nil, err
	}
	from, to, err := s.spendRange(c)
	if err != nil {
		return nil, err
	}
	view := channelSpendView{From: from, To: to}
	if from >= to {
		return view, nil
	}
	sum, err := s.Usage.Sum(c.ctx, usage.Filter{ChannelID: found.ID, From: time.Unix(from, 0), To: time.Unix(to, 0)})
	if err != nil {
		return nil, err
	}
	view.Requests, view.Errors, view.TokensIn, view.TokensOut, view.USD = sum.Requests, sum.Errors, sum.TokensIn, sum.TokensOut, sum.Cost.Float()
	return view, nil
}

// spendRange is what from and to ask for, the last 30 days without them.
func (s *Server) spendRange(c *call) (from, to int64, err error) {
	if to, err = c.queryInt("to", s.Status.Now().Unix()+1); err != nil {
		return 0, 0, err
	}
	const month = int64(30 * 24 * time.Hour / time.Second)
	from, err = c.queryInt("from", max(0, to-month))
	return from, to, err
}

// oneChannelSpend is what went through one of the channels.
type oneChannelSpend struct {
	ChannelID int64 `json:"channel_id"`
	channelSpendView
}

// channelsSpend is channelSpend for all at once.
func (s *Server) channelsSpend(c *call) (any, error) {
	from, to, err := s.spendRange(c)
	if err != nil {
		return nil, err
	}
	sums, err := s.Usage.SumsBy(c.ctx, usage.ByChannel, time.Unix(from, 0), time.Unix(to, 0))
	if err != nil {
		return nil, err
	}
	views := []oneChannelSpend{}
	for _, sum := range sums {
		if sum.ID == 0 { // requests that reached no channel
			continue
		}
		views = append(views, oneChannelSpend{sum.ID, channelSpendView{
			From: from, To: to, Requests: sum.Requests, Errors: sum.Errors, TokensIn: sum.TokensIn, TokensOut: sum.TokensOut, USD: sum.Cost.Float(),
		}})
	}
	return views, nil
}

func (s *Server) duplicateChannel(c *call) (any, error) {
	id, err := c.pathID("id")
	if err != nil {
		return nil, err
	}
	made, err := s.Channels.Duplicate(c.ctx, id)
	if err != nil {
		return nil, err
	}
	s.trail(c, "channel.duplicate", channelTarget(made.ID), detail(map[string]any{"of": id, "name": made.Name}))
	c.setVersion(made.Version)
	return viewChannel(made), nil
}

// bulkBody says what to do with which channels: ids or tag.
type bulkBody struct {
	Action jsonx.Opt[string]  `json:"action" enum:"enable,disable,delete"`
	IDs    jsonx.Opt[[]int64] `json:"ids"`
	Tag    jsonx.Opt[string]  `json:"tag"`
}

type bulkView struct {
	Changed []int64 `json:"changed" doc:"The ids of the channels that are different now."`
}

func (s *Server) bulkChannels(c *call) (any, error) {
	body, err := decode[bulkBody](c)
	if err != nil {
		return nil, err
	}
	if err := firstError(notNull("action", body.Action), notNull("ids", body.IDs), notNull("tag", body.Tag)); err != nil {
		return nil, err
	}
	action := channel.Bulk(body.Action.Value)
	changed, err := s.Channels.Bulk(c.ctx, action, body.IDs.Value, strings.TrimSpace(body.Tag.Value))
	for _, id := range changed { // also those before a failure
		s.trail(c, "channel."+body.Action.Value, channelTarget(id), detail(map[string]any{"bulk": true}))
	}
	if changed == nil {
		changed = []int64{}
	}
	return bulkView{Changed: changed}, err
}
