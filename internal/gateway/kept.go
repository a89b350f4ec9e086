package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"time"

	"halley/internal/account"
	"halley/internal/channel"
	"halley/internal/fault"
	"halley/internal/kept"
	"halley/internal/key"
	"halley/internal/provider"
	"halley/internal/route"
	"halley/internal/wire"
	"halley/internal/wire/openai"
)

// Kept keeps responses that clients may ask for again and go on from. What is
// not there is a fault of kind NotFound.
type Kept interface {
	// On reports whether anything is kept.
	On() bool
	Keep(ctx context.Context, r *kept.Response) error
	Get(ctx context.Context, keyID int64, id string) (*kept.Response, error)
	WithItem(ctx context.Context, keyID int64, item string) (*kept.Response, error)
	Thread(ctx context.Context, keyID int64, id string) ([]*kept.Response, error)
	Delete(ctx context.Context, keyID int64, id string) error
}

// continuing is a request that may go on from a response that was kept, and
// whose own may be.
type continuing interface {
	Previous() string
	Keeps() bool
	References(body []byte) []string
	Input(body []byte, referred map[string][]byte) []byte
	Unroll(body []byte, before []openai.Turn, referred map[string][]byte) []byte
}

// resumed is what a request goes on from.
type resumed struct {
	thread   []*kept.Response
	referred map[string][]byte // items by id
	sources  []*kept.Response  // whose items those are
	// whole is the request as one that goes on from nothing, for upstreams that do
	// not keep what it goes on from; request is what was read off it.
	whole   []byte
	request wire.Request
}

// at reports whether the upstream keeps all that the request goes on from.
func (r *resumed) at(p *plan) bool {
	place := p.step.Target()
	there := func(k *kept.Response) bool { return k.Channel == p.channel.ID && k.Credential == place.Credential }
	for _, k := range r.sources {
		if !there(k) {
			return false
		}
	}
	return len(r.thread) == 0 || there(r.thread[len(r.thread)-1])
}

// home is where the request goes on best, nowhere in particular when no upstream
// keeps what it goes on from.
func (r *resumed) home() route.Preference {
	last := r.sources
	if len(r.thread) > 0 {
		last = r.thread
	}
	k := last[len(last)-1]
	return route.Preference{Channel: k.Channel, Credential: k.Credential}
}

// root is the first response of the conversation, "" for a new one.
func (r *resumed) root() string {
	if r == nil || len(r.thread) == 0 {
		return ""
	}
	return r.thread[0].Root
}

// maxWhole bounds a request with all that it goes on from, in bytes.
const maxWhole = 64 << 20

// resume finds what the request goes on from. It must be the key's own: an id
// that belongs to nobody here might be another tenant's at the upstream.
func (g *Gateway) resume(ctx context.Context, who caller, a *ask) error {
	c, ok := a.request.(continuing)
	if !ok || g.Kept == nil || !g.Kept.On() {
		return nil
	}
	references := c.References(a.body)
	if c.Previous() == "" && len(references) == 0 {
		return nil
	}
	r := &resumed{}
	if c.Previous() != "" {
		thread, err := g.Kept.Thread(ctx, who.key.ID, c.Previous())
		if fault.Is(err, fault.NotFound) {
			f := fault.From(err)
			return fault.New(fault.Malformed, "previous_response_not_found", "Previous r%s", f.Message[1:]).Field("previous_response_id")
		}
		if err != nil {
			return err
		}
		r.thread = thread
	}
	if err := r.refer(ctx, g.Kept, who.key.ID, references); err != nil {
		return err
	}
	turns := make([]openai.Turn, 0, len(r.thread))
	size := len(a.body)
	for _, k := range r.thread {
		size += len(k.Input) + len(k.Body)
		turns = append(turns, openai.Turn{Input: k.Input, Body: k.Body})
	}
	if size > maxWhole {
		return fault.New(fault.TooLarge, "request_too_large", "The conversation that the request goes on from is larger than %d bytes.", maxWhole).Field("previous_response_id")
	}
	r.whole = c.Unroll(a.body, turns, r.referred)
	request, err := a.format.ScanRequest(r.whole)
	if err != nil {
		return err
	}
	r.request = request
	a.resumed, a.head.Media = r, request.Facts().Media
	return nil
}

// refer finds the items that the input refers to, in the conversation or beside
// it.
func (r *resumed) refer(ctx context.Context, from Kept, keyID int64, ids []string) error {
	if len(ids) > 0 {
		r.referred = make(map[string][]byte, len(ids))
	}
	for _, id := range ids {
		k, err := from.WithItem(ctx, keyID, id)
		if fault.Is(err, fault.NotFound) {
			return fault.New(fault.Malformed, "item_not_found", "%s", fault.From(err).Message).Field("input")
		}
		if err != nil {
			return err
		}
		r.sources = append(r.sources, k)
		r.referred[id] = openai.ItemOf(k.Body, id)
	}
	return nil
}

// keepTime bounds how long the end of an answer waits for its being kept.
const keepTime = 2 * time.Second

// keep stores the response that the client is about to have whole, so that it
// can go on from it at once. What cannot be stored is not kept, and the answer
// goes on: it is no reason for a request to fail.
func (t *ticket) keep(a *ask, p *plan, native bool, body []byte) {
	if !t.gateway.keepsResponse(a) {
		return
	}
	finished, ok := openai.ReadFinished(body)
	if !ok {
		return
	}
	c, _ := a.request.(continuing) // or it would not be kept
	r := &kept.Response{KeyID: t.who.key.ID, ID: finished.ID, Previous: c.Previous(), Root: a.resumed.root(), Created: t.gateway.Now(), Body: body, Items: finished.Items}
	if r.Root == "" {
		r.Previous, r.Root = "", r.ID
	}
	var referred map[string][]byte
	if a.resumed != nil {
		referred = a.resumed.referred
	}
	r.Input = c.Input(a.body, referred)
	if native && finished.Stored {
		r.Channel, r.Credential = p.channel.ID, p.step.Target().Credential
	}
	ctx, cancel := context.WithTimeout(context.Background(), keepTime) // its client may be gone
	defer cancel()
	if err := t.gateway.Kept.Keep(ctx, r); err != nil {
		t.gateway.Log.LogAttrs(ctx, slog.LevelWarn, "a response cannot be kept",
			slog.String("request_id", t.in.RequestID), slog.Int64("key_id", r.KeyID), slog.String("error", err.Error()))
	}
}

// keepsResponse reports whether the answer to the request will be kept here.
func (g *Gateway) keepsResponse(a *ask) bool {
	c, ok := a.request.(continuing)
	return ok && c.Keeps() && g.Kept != nil && g.Kept.On()
}

// mayFetch judges who asks for what was kept: as for the list of models, and the
// endpoint.
func (g *Gateway) mayFetch(ctx context.Context, k *key.Key, owner *account.User, ip netip.Addr) error {
	who, err := g.callerOf(ctx, k, owner)
	if err != nil {
		return err
	}
	if err := g.admitState(ctx, who); err != nil && !isExhausted(err) {
		return err
	}
	return admitPlace(who, ip, provider.Responses.Endpoint())
}

// KeptResponse gives a response that was kept for the key; another's is a fault
// of kind NotFound.
func (g *Gateway) KeptResponse(ctx context.Context, k *key.Key, owner *account.User, ip netip.Addr, id string) (*kept.Response, error) {
	if err := g.mayFetch(ctx, k, owner, ip); err != nil {
		return nil, err
	}
	if g.Kept == nil || !g.Kept.On() {
		return nil, fault.New(fault.NotFound, "response_not_found", "Responses are not kept here.")
	}
	return g.Kept.Get(ctx, k.ID, id)
}

// DeleteResponse deletes a response that was kept for the key, also where an
// upstream keeps it. If that fails nothing is deleted.
func (g *Gateway) DeleteResponse(ctx context.Context, k *key.Key, owner *account.User, ip netip.Addr, id string) error {
	r, err := g.KeptResponse(ctx, k, owner, ip, id)
	if err != nil {
		return err
	}
	if r.Channel != 0 {
		if err := g.deleteUpstream(ctx, r); err != nil {
			return err
		}
	}
	return g.Kept.Delete(ctx, k.ID, id)
}

// deleteUpstream deletes a response where it is kept as well. One that is not
// there any more is as good as deleted, and so is one whose channel or
// credential is gone: we cannot reach it.
func (g *Gateway) deleteUpstream(ctx context.Context, r *kept.Response) error {
	ch := g.Channel(r.Channel)
	if ch == nil {
		return nil
	}
	up, known := g.Upstreams[ch.Kind]
	at := slices.IndexFunc(ch.Credentials, func(c channel.Credential) bool { return c.ID == r.Credential })
	if !known || (at < 0 && r.Credential != "") {
		return nil
	}
	var own *channel.Credential
	if at >= 0 {
		own = &ch.Credentials[at]
	}
	where := provider.Call{Operation: provider.Responses}
	address, err := url.Parse(up.Provider.URL(ch, where))
	if err != nil {
		return badGateway(err)
	}
	call, secret, err := g.ask(ctx, up, ch, own, http.MethodDelete, address.JoinPath(r.ID).String(), where)
	if err != nil {
		return badGateway(err)
	}
	defer call.Close()
	body, err := readLimited(call, maxErrorBody)
	if err != nil {
		return badGateway(err)
	}
	if call.Status == http.StatusOK || call.Status == http.StatusNotFound {
		return nil
	}
	said := clip(string(masked(ch, secret, body)), 500)
	return fault.Wrap(fmt.Errorf("status %d: %s", call.Status, said), fault.BadGateway, codeUpstream, "The upstream did not delete the response (status %d), so it is still kept.", call.Status)
}
