package adminapi

import (
	"cmp"
	"net/http"
	"strconv"
	"strings"
	"time"

	"halley/internal/channel"
	"halley/internal/gateway"
	"halley/internal/health"
	"halley/internal/jsonx"
)

// ChannelChecks knows what the last check of a channel on this node came to.
type ChannelChecks interface {
	Last(id int64) (gateway.CheckResult, bool)
}

// ChannelHealth knows how a channel's upstream is doing on this node.
type ChannelHealth interface {
	Channel(now time.Time, id int64) health.ChannelView
}

func (s *Server) channelRoutes() []route {
	body, data := typeOf[channelBody](), typeOf[channelView]()
	return []route{
		{method: http.MethodPost, path: "/api/channel/", access: adminOnly, handle: s.createChannel, summary: "Add a channel; a preset gives the name, kind and base URL that are left out", in: typeOf[newChannelBody](), out: data, needs: []string{"models"}},
		{method: http.MethodGet, path: "/api/channel/", access: adminOnly, handle: s.listChannels, summary: "List channels, newest first, with how they are doing on this node", out: typeOf[pageOf[channelAndHealth]](), query: []string{"p", "page_size", "keyword", "status", "group", "kind", "tag"}},
		{method: http.MethodGet, path: "/api/channel/{id}", access: adminOnly, handle: s.getChannel, summary: "Read a channel, with how it is doing on this node", out: typeOf[channelAndHealth]()},
		{method: http.MethodPatch, path: "/api/channel/{id}", access: adminOnly, handle: s.updateChannel, summary: "Change a channel; what is left out stays", in: body, out: data, ifMatch: true},
		{method: http.MethodDelete, path: "/api/channel/{id}", access: adminOnly, handle: s.deleteChannel, summary: "Delete a channel"},
	}
}

// channelBody creates or changes a channel. Keys are written, never read back;
// sending what was read, the last 4 characters, keeps the key.
type channelBody struct {
	Name         jsonx.Opt[string]            `json:"name"`
	Kind         jsonx.Opt[string]            `json:"kind" enum:"openai,azure,anthropic,gemini,vertex,cohere,bedrock,demo"`
	BaseURL      jsonx.Opt[string]            `json:"base_url"`
	Keys         jsonx.Opt[[]string]          `json:"keys" doc:"Upstream keys. The last 4 characters of one that is there keep it."`
	Models       jsonx.Opt[[]string]          `json:"models" doc:"Names or patterns such as gpt-5*."`
	ModelMapping jsonx.Opt[map[string]string] `json:"model_mapping" doc:"The upstream's name by the public one. One * in the public name is any run of characters, one in the upstream's stands for it; names written out come first, then the pattern with the longest text before its *."`
	Groups       jsonx.Opt[[]string]          `json:"groups"`
	Priority     jsonx.Opt[int64]             `json:"priority"`
	Weight       jsonx.Opt[int64]             `json:"weight"`
	Status       jsonx.Opt[int64]             `json:"status" enum:"1,2" doc:"1 enabled, 2 disabled."`
	Tag          jsonx.Opt[string]            `json:"tag"`
	Timeouts     jsonx.Opt[timeoutsBody]      `json:"timeouts"`
	OnDisconnect jsonx.Opt[string]            `json:"on_disconnect" enum:"cancel,drain"`
	API          jsonx.Opt[string]            `json:"api" enum:"chat,chat+responses,responses" doc:"Which text endpoints of OpenAI the upstream has, for the kinds openai and azure."`
	Probe        jsonx.Opt[probeBody]         `json:"probe" doc:"How the upstream is looked after while nobody uses it."`
	Azure        jsonx.Opt[azureBody]         `json:"azure" doc:"Only for the kind azure."`
	Vertex       jsonx.Opt[vertexBody]        `json:"vertex" doc:"Only for the kind vertex."`
	AWS          jsonx.Opt[awsBody]           `json:"aws" doc:"Only for the kind bedrock."`
	ProxyURL     jsonx.Opt[string]            `json:"proxy_url" doc:"An http, https or socks5 proxy; empty for none. As it is shown, with its credentials masked, it stays."`
	CAPEM        jsonx.Opt[string]            `json:"ca_pem" doc:"Certificates in PEM that are trusted besides the system's."`

	Overrides jsonx.Opt[channel.OverridesPatch] `json:"overrides" nullable:"true" doc:"What is changed in each request, after everything else: removed, then put in where missing, then set. Merged list by list; null takes all away."`
	Caps      jsonx.Opt[channel.CapsPatch]      `json:"caps" nullable:"true" doc:"Bounds on this channel, on each node. Merged member by member; null takes all away."`
}

// timeoutsBody is merged member by member; null and 0 are the default.
type timeoutsBody struct {
	Connect   jsonx.Opt[int64] `json:"connect_ms"`
	FirstByte jsonx.Opt[int64] `json:"first_byte_ms"`
	Idle      jsonx.Opt[int64] `json:"idle_ms"`
	Total     jsonx.Opt[int64] `json:"total_ms"`
	Drain     jsonx.Opt[int64] `json:"drain_ms" doc:"How long the upstream is read on after the client has left, with on_disconnect drain."`
}

// channelView is a channel as it is shown; keys are their last 4 characters.
type channelView struct {
	ID           int64             `json:"id"`
	Name         string            `json:"name"`
	Kind         string            `json:"kind" enum:"openai,azure,anthropic,gemini,vertex,cohere,bedrock,demo"`
	BaseURL      string            `json:"base_url"`
	Keys         []string          `json:"keys" doc:"The last 4 characters of each upstream key."`
	Models       []string          `json:"models"`
	ModelMapping map[string]string `json:"model_mapping"`
	Groups       []string          `json:"groups"`
	Priority     int64             `json:"priority"`
	Weight       int64             `json:"weight"`
	Status       int64             `json:"status" enum:"1,2" doc:"1 enabled, 2 disabled."`
	Tag          string            `json:"tag"`
	Timeouts     timeoutsView      `json:"timeouts"`
	OnDisconnect string            `json:"on_disconnect" enum:"cancel,drain"`
	API          string            `json:"api" enum:"chat,chat+responses,responses"`
	Probe        probeView         `json:"probe"`
	Azure        azureView         `json:"azure"`
	Vertex       vertexView        `json:"vertex"`
	AWS          awsView           `json:"aws"`
	ProxyURL     string            `json:"proxy_url" doc:"With its credentials masked; empty for none."`
	CAPEM        string            `json:"ca_pem"`

	Overrides channel.OverrideSpec `json:"overrides"`
	Caps      capsView             `json:"caps"`

	CreatedTime int64 `json:"created_time"`
	Version     int64 `json:"version"`
}

// timeoutsView is in milliseconds; 0 is the default.
type timeoutsView struct {
	Connect   int64 `json:"connect_ms"`
	FirstByte int64 `json:"first_byte_ms"`
	Idle      int64 `json:"idle_ms"`
	Total     int64 `json:"total_ms"`
	Drain     int64 `json:"drain_ms" doc:"How long the upstream is read on after the client has left, with on_disconnect drain."`
}

// probeBody is merged member by member; null is the default.
type probeBody struct {
	Mode   jsonx.Opt[string] `json:"mode" enum:"off,models,request" doc:"models asks for the model list, request for a few words."`
	Model  jsonx.Opt[string] `json:"model" doc:"The model of mode request."`
	EveryS jsonx.Opt[int64]  `json:"every_s" doc:"Seconds between two checks; 0 is 60. With several servers each checks that much less often."`
}

// probeView is how a channel is looked after.
type probeView struct {
	Mode   string `json:"mode" enum:"off,models,request"`
	Model  string `json:"model"`
	EveryS int64  `json:"every_s" doc:"Seconds; 0 is 60."`
}

func viewProbe(c channel.Checks) probeView {
	v := probeView{Mode: string(c.Mode), Model: c.Model, EveryS: int64(c.Every / time.Second)}
	if c.Mode == channel.NoChecks {
		v.Mode = "off"
	}
	return v
}

func viewChannel(c *channel.Channel) channelView {
	v := channelView{
		ID: c.ID, Name: c.Name, Kind: string(c.Kind), BaseURL: c.BaseURL, Keys: []string{}, Models: c.Models,
		ModelMapping: c.ModelMapping.Entries(), Groups: c.Groups, Priority: c.Priority, Weight: c.Weight, Status: int64(c.Status), Tag: c.Tag,
		Timeouts: timeoutsView{
			Connect: c.Timeouts.Connect.Milliseconds(), FirstByte: c.Timeouts.FirstByte.Milliseconds(),
			Idle: c.Timeouts.Idle.Milliseconds(), Total: c.Timeouts.Total.Milliseconds(), Drain: c.Timeouts.Drain.Milliseconds(),
		},
		OnDisconnect: string(c.OnDisconnect), API: string(cmp.Or(c.API, channel.ChatOnly)), Probe: viewProbe(c.Checks), Azure: azureView(c.Azure), Vertex: vertexView(c.Vertex), AWS: awsView(c.AWS), ProxyURL: c.Network.Proxy.Shown(), CAPEM: c.Network.CAPEM,
		Overrides: c.Overrides.Spec(), Caps: viewCaps(c.Caps), CreatedTime: c.Created.Unix(), Version: c.Version,
	}
	for _, credential := range c.Credentials {
		v.Keys = append(v.Keys, credential.Last4)
	}
	return v
}

// change is the body as the domain takes it.
func (b *channelBody) change() (channel.Change, error) {
	t := b.Timeouts.Value
	err := firstError(
		notNull("name", b.Name), notNull("kind", b.Kind), notNull("base_url", b.BaseURL), notNull("keys", b.Keys),
		notNull("models", b.Models), notNull("model_mapping", b.ModelMapping), notNull("groups", b.Groups),
		notNull("priority", b.Priority), notNull("weight", b.Weight), notNull("status", b.Status), notNull("tag", b.Tag),
		notNull("timeouts", b.Timeouts), notNull("on_disconnect", b.OnDisconnect),
		notNull("api", b.API), notNull("probe", b.Probe), notNull("azure", b.Azure), notNull("vertex", b.Vertex), notNull("aws", b.AWS), notNull("proxy_url", b.ProxyURL), notNull("ca_pem", b.CAPEM),
	)
	return channel.Change{
		Name: b.Name.Ptr(), Kind: as[channel.Kind](b.Kind), BaseURL: b.BaseURL.Ptr(), Keys: b.Keys.Ptr(), Models: b.Models.Ptr(),
		ModelMapping: b.ModelMapping.Ptr(), Groups: b.Groups.Ptr(), Priority: b.Priority.Ptr(), Weight: b.Weight.Ptr(),
		Status: channelStatus(b.Status), Tag: b.Tag.Ptr(), OnDisconnect: as[channel.OnDisconnect](b.OnDisconnect),
		ConnectMS: orZero(t.Connect), FirstByteMS: orZero(t.FirstByte), IdleMS: orZero(t.Idle), TotalMS: orZero(t.Total), DrainMS: orZero(t.Drain),
		API: as[channel.API](b.API), CheckMode: orZero(b.Probe.Value.Mode), CheckModel: orZero(b.Probe.Value.Model), CheckEverySeconds: orZero(b.Probe.Value.EveryS),
		AzureAPIVersion: orZero(b.Azure.Value.APIVersion), AzureAuthority: orZero(b.Azure.Value.Authority), AzureScope: orZero(b.Azure.Value.Scope),
		VertexProject: orZero(b.Vertex.Value.Project), VertexLocation: orZero(b.Vertex.Value.Location),
		AWSRegion: orZero(b.AWS.Value.Region),
		ProxyURL:  b.ProxyURL.Ptr(), CAPEM: b.CAPEM.Ptr(), Overrides: b.Overrides, Caps: b.Caps,
	}, err
}

// as converts a string member to the domain's kind of string.
func as[T ~string](o jsonx.Opt[string]) *T {
	if v := o.Ptr(); v != nil {
		return new(T(*v))
	}
	return nil
}

func channelStatus(o jsonx.Opt[int64]) *channel.Status {
	if v := o.Ptr(); v != nil {
		return new(channel.Status(*v))
	}
	return nil
}

// orZero is the member's value, the zero value when it is null, nil when it is
// absent.
func orZero[T any](o jsonx.Opt[T]) *T {
	if o.Set && o.Null {
		return new(T)
	}
	return o.Ptr()
}

func (s *Server) createChannel(c *call) (any, error) {
	body, err := decode[newChannelBody](c)
	if err != nil {
		return nil, err
	}
	change, err := body.filled()
	if err != nil {
		return nil, err
	}
	made, err := s.Channels.Create(c.ctx, change)
	if err != nil {
		return nil, err
	}
	view := viewChannel(made)
	s.trailChange(c, "channel.create", channelTarget(made.ID), detail(body.changes(view)), nil, view)
	c.setVersion(made.Version)
	return view, nil
}

func (s *Server) updateChannel(c *call) (any, error) {
	id, err := c.pathID("id")
	if err != nil {
		return nil, err
	}
	ifVersion, err := c.ifMatch()
	if err != nil {
		return nil, err
	}
	body, change, err := readChannel(c)
	if err != nil {
		return nil, err
	}
	before := s.channelBefore(id)
	changed, err := s.Channels.Update(c.ctx, id, change, ifVersion)
	if err != nil {
		return nil, err
	}
	view := viewChannel(changed)
	s.trailChange(c, "channel.update", channelTarget(id), detail(body.changes(view)), before, view)
	c.setVersion(changed.Version)
	return view, nil
}

func (s *Server) getChannel(c *call) (any, error) {
	found, err := s.channelOf(c)
	if err != nil {
		return nil, err
	}
	c.setVersion(found.Version)
	return s.withHealth(found), nil
}

func (s *Server) withHealth(ch *channel.Channel) channelAndHealth {
	return channelAndHealth{viewChannel(ch), s.healthOf(ch), s.lastProbe(ch)}
}

// channelAndHealth is a channel and what it is known to do.
type channelAndHealth struct {
	channelView
	Health    []healthView     `json:"health" doc:"By upstream key and model, of those used since the node started."`
	LastProbe *probeResultView `json:"last_probe" doc:"What this node's last check of the channel came to; null when there was none."`
}

// probeResultView is what a check came to.
type probeResultView struct {
	Time      int64  `json:"time" doc:"Unix seconds."`
	OK        bool   `json:"ok"`
	LatencyMS int64  `json:"latency_ms"`
	Message   string `json:"message" doc:"What was wrong; empty when nothing was."`
}

func (s *Server) lastProbe(ch *channel.Channel) *probeResultView {
	r, ok := s.ChannelChecks.Last(ch.ID)
	if !ok {
		return nil
	}
	return &probeResultView{Time: r.At.Unix(), OK: r.OK, LatencyMS: r.Latency.Milliseconds(), Message: r.Message}
}

// healthView is how an upstream is doing for one upstream key and model.
type healthView struct {
	Key         string `json:"key" doc:"The last 4 characters of the upstream key; empty for a channel without."`
	Model       string `json:"model" doc:"The upstream's name of it; empty for the key as a whole."`
	State       string `json:"state" enum:"closed,slow-start,suspected,half-open,cooling-down,open,out"`
	Reason      string `json:"reason"`
	Until       int64  `json:"until" doc:"When the state is over if nothing happens, in Unix seconds; 0 for closed."`
	Since       int64  `json:"since" doc:"Unix seconds; 0 when it was never anything but closed."`
	Succeeded   int64  `json:"succeeded" doc:"Attempts of late, in the breaker's window."`
	Failed      int64  `json:"failed" doc:"Attempts of late, in the breaker's window."`
	FirstByteMS int64  `json:"first_byte_ms" doc:"The usual time to first byte; 0 when it is not known."`
}

func (s *Server) healthOf(ch *channel.Channel) []healthView {
	views := []healthView{}
	for _, t := range s.ChannelHealth.Channel(s.Status.Now(), ch.ID).Targets {
		v := healthView{
			Model: t.Model, State: t.State.String(), Reason: t.Reason, Until: unixOrZero(t.Until), Since: unixOrZero(t.Since),
			Succeeded: int64(t.Good), Failed: int64(t.Bad), FirstByteMS: t.FirstByte.Milliseconds(),
		}
		for _, credential := range ch.Credentials {
			if credential.ID == t.Credential {
				v.Key = credential.Last4
			}
		}
		views = append(views, v)
	}
	return views
}

func (s *Server) deleteChannel(c *call) (any, error) {
	id, err := c.pathID("id")
	if err != nil {
		return nil, err
	}
	before := s.channelBefore(id)
	if err := s.Channels.Delete(c.ctx, id); err != nil {
		return nil, err
	}
	s.trailChange(c, "channel.delete", channelTarget(id), "", before, nil)
	return noData{}, nil
}

// channelBefore is a channel as it is before a change, for the audit trail: of
// its keys there are the ends only.
func (s *Server) channelBefore(id int64) any {
	found, ok := s.Channels.Get(id)
	if !ok {
		return nil
	}
	return viewChannel(found)
}

// listChannels filters and pages what is in memory: there are hundreds of
// channels at the most.
func (s *Server) listChannels(c *call) (any, error) {
	p, err := c.page()
	if err != nil {
		return nil, err
	}
	wanted, err := channelFilter(c)
	if err != nil {
		return nil, err
	}
	all := s.Channels.All()
	var matching []*channel.Channel
	for i := len(all) - 1; i >= 0; i-- {
		if wanted(all[i]) {
			matching = append(matching, all[i])
		}
	}
	return pageOfSlice(p, matching, s.withHealth), nil
}

// pageOfSlice is one page of a list that is in memory.
func pageOfSlice[T, V any](p page, all []T, view func(T) V) pageOf[V] {
	total := int64(len(all))
	from := min(p.Offset(), total)
	var items []V
	for _, one := range all[from:min(from+p.Size, total)] {
		items = append(items, view(one))
	}
	return newPage(p, total, items)
}

func channelFilter(c *call) (func(*channel.Channel) bool, error) {
	status, err := c.queryInt("status", 0)
	if err != nil {
		return nil, err
	}
	keyword := strings.ToLower(strings.TrimSpace(c.query.Get("keyword")))
	group, kind, tag := c.query.Get("group"), c.query.Get("kind"), c.query.Get("tag")
	return func(ch *channel.Channel) bool {
		return (status == 0 || int64(ch.Status) == status) &&
			(group == "" || contains(ch.Groups, group)) &&
			(kind == "" || string(ch.Kind) == kind) &&
			(tag == "" || ch.Tag == tag) &&
			(keyword == "" || mentions(ch, keyword))
	}, nil
}

func contains(list []string, wanted string) bool {
	for _, one := range list {
		if one == wanted {
			return true
		}
	}
	return false
}

// mentions reports whether the name, tag, address or a model has the text.
func mentions(ch *channel.Channel, keyword string) bool {
	for _, text := range append([]string{ch.Name, ch.Tag, ch.BaseURL}, ch.Models...) {
		if strings.Contains(strings.ToLower(text), keyword) {
			return true
		}
	}
	return false
}

func (s *Server) channelOf(c *call) (*channel.Channel, error) {
	id, err := c.pathID("id")
	if err != nil {
		return nil, err
	}
	found, ok := s.Channels.Get(id)
	if !ok {
		return nil, channel.NotFound(id)
	}
	return found, nil
}

// readChannel is the body and the change it asks for.
func readChannel(c *call) (channelBody, channel.Change, error) {
	body, err := decode[channelBody](c)
	if err != nil {
		return body, channel.Change{}, err
	}
	change, err := body.change()
	return body, change, err
}

// changes are the members that were sent, as they are now, for the audit trail;
// of keys only what is shown.
func (b *channelBody) changes(now channelView) map[string]any {
	changes := map[string]any{}
	for _, f := range []struct {
		name string
		set  bool
		now  any
	}{
		{"name", b.Name.Set, now.Name}, {"kind", b.Kind.Set, now.Kind}, {"base_url", b.BaseURL.Set, now.BaseURL}, {"keys", b.Keys.Set, now.Keys},
		{"models", b.Models.Set, now.Models}, {"model_mapping", b.ModelMapping.Set, now.ModelMapping}, {"groups", b.Groups.Set, now.Groups},
		{"priority", b.Priority.Set, now.Priority}, {"weight", b.Weight.Set, now.Weight}, {"status", b.Status.Set, now.Status},
		{"tag", b.Tag.Set, now.Tag}, {"timeouts", b.Timeouts.Set, now.Timeouts}, {"on_disconnect", b.OnDisconnect.Set, now.OnDisconnect},
		{"api", b.API.Set, now.API}, {"probe", b.Probe.Set, now.Probe}, {"azure", b.Azure.Set, now.Azure}, {"vertex", b.Vertex.Set, now.Vertex}, {"aws", b.AWS.Set, now.AWS}, {"proxy_url", b.ProxyURL.Set, now.ProxyURL}, {"ca_pem", b.CAPEM.Set, now.CAPEM},
		{"overrides", b.Overrides.Set, now.Overrides}, {"caps", b.Caps.Set, now.Caps},
	} {
		if f.set {
			changes[f.name] = f.now
		}
	}
	return changes
}

func channelTarget(id int64) string { return "channel " + strconv.FormatInt(id, 10) }

// roundMS is a duration in whole milliseconds, up, so that 0 means none.
func roundMS(d time.Duration) int64 { return int64((d + time.Millisecond - 1) / time.Millisecond) }

// unixOrZero is 0 for no instant.
func unixOrZero(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}
