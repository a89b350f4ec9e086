// Package token keeps what credentials buy: tokens that are fetched once for all
// who need them, replaced before they end, and never logged. Providers say how
// one is fetched.
package token

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"golang.org/x/oauth2"

	"halley/internal/channel"
	"halley/internal/provider"
	"halley/internal/upstream"
	"halley/internal/wire"
)

const (
	// fetchLimit bounds one call for a token.
	fetchLimit = 10 * time.Second
	// early is how long before its end a token is replaced, in the background. A
	// shorter-lived one is replaced after half of its life.
	early = 5 * time.Minute
	// calm is how long no other fetch is begun in the background after one failed,
	// and patience how long the failure stands for those who wait for a token.
	calm     = 30 * time.Second
	patience = 2 * time.Second
)

// Options are what a Cache needs.
type Options struct {
	Now func() time.Time
	Log *slog.Logger // told of replacements in the background that failed
}

// Holder is who a token is for and where it comes from. Channels that are reached
// differently must not be equal: who cannot reach the authority by its own way
// has no token. Its LogValue has no secrets.
type Holder interface {
	comparable
	slog.LogValuer
}

// Fetch gets a token. An error says why there is none, without secrets.
type Fetch func(ctx context.Context) (*oauth2.Token, error)

// Cache are the tokens that were fetched, by holder.
type Cache[H Holder] struct {
	Options
	ending  context.Context // ended by Close
	end     context.CancelFunc
	fetches sync.WaitGroup

	mu   sync.Mutex
	kept map[H]*token
}

// token is a holder's, as it stands; guarded by Cache.mu.
type token struct {
	value   string
	expires time.Time
	renew   time.Time // when it is time for a new one
	fetch   *fetch    // under way, nil for none
	failed  error     // what the last fetch failed with, nil when it did not
}

// fetch is one call for a token, which many may wait for.
type fetch struct {
	done  chan struct{}
	value string // once done
	err   error
}

// New makes a cache. Close ends what it does in the background.
func New[H Holder](o Options) *Cache[H] {
	c := &Cache[H]{Options: o, kept: map[H]*token{}}
	c.ending, c.end = context.WithCancel(context.Background())
	return c
}

// Close ends the calls for tokens that are under way and waits for them.
func (c *Cache[H]) Close() {
	c.end()
	c.fetches.Wait()
}

// Settle waits for the calls for tokens that are under way.
func (c *Cache[H]) Settle() { c.fetches.Wait() }

// Get is the holder's token. It is fetched by the first who needs it, shared by
// all, and replaced before it ends without anybody waiting. An error is what the
// fetch failed with, or ctx's cause.
func (c *Cache[H]) Get(ctx context.Context, holder H, get Fetch) (string, error) {
	now := c.Now()
	c.mu.Lock()
	one := c.kept[holder]
	if one == nil {
		c.dropEnded(now)
		one = &token{}
		c.kept[holder] = one
	}
	value, good, failed := one.value, now.Before(one.expires), one.failed
	if one.fetch == nil && !now.Before(one.renew) {
		one.fetch = c.begin(holder, one, get)
	}
	running := one.fetch
	c.mu.Unlock()
	switch {
	case good:
		return value, nil
	case running == nil:
		return "", failed
	}
	select {
	case <-running.done:
		return running.value, running.err
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}

// dropEnded forgets tokens that have ended, such as those of deleted channels.
func (c *Cache[H]) dropEnded(now time.Time) {
	for holder, one := range c.kept {
		if one.fetch == nil && !now.Before(one.expires) {
			delete(c.kept, holder)
		}
	}
}

// Forget drops the holder's token if it still is that one: it may have been
// revoked.
func (c *Cache[H]) Forget(holder H, value string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if one := c.kept[holder]; one != nil && one.value == value {
		one.value, one.expires, one.renew = "", time.Time{}, time.Time{}
	}
}

// begin fetches a token on its own time: whoever asked first may leave, and
// others wait for the same.
func (c *Cache[H]) begin(holder H, one *token, get Fetch) *fetch {
	f := &fetch{done: make(chan struct{})}
	c.fetches.Go(func() {
		ctx, cancel := context.WithTimeout(c.ending, fetchLimit)
		defer cancel()
		got, err := get(upstream.ConnectWithin(ctx, fetchLimit))
		if err == nil && got.Expiry.IsZero() { // it would be kept for ever
			err = &provider.Refusal{Reason: "no token", Cause: errors.New("the answer does not say when the token ends")}
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		defer close(f.done)
		now := c.Now()
		one.fetch, one.failed, f.err = nil, err, err
		switch {
		case err == nil:
			f.value, one.value, one.expires = got.AccessToken, got.AccessToken, got.Expiry
			one.renew = one.expires.Add(-min(early, one.expires.Sub(now)/2))
		case now.Before(one.expires): // nobody is told: the old one still serves
			one.renew = now.Add(calm)
			c.Log.LogAttrs(ctx, slog.LevelWarn, "an upstream token could not be replaced",
				slog.Any("of", holder), slog.Time("expires", one.expires), slog.String("error", err.Error()))
		default:
			one.renew = now.Add(patience)
		}
	})
	return f
}

// Client is ctx with a client for oauth2 that calls an authority by the channel's
// way, for as long as ctx lasts. It follows no redirects: the secret is in the
// body, which a redirect could send elsewhere.
func Client(ctx context.Context, way http.RoundTripper) context.Context {
	return context.WithValue(ctx, oauth2.HTTPClient, &http.Client{
		Transport:     bound{ctx, way},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	})
}

// bound ends calls with a context that oauth2/jwt does not pass on.
type bound struct {
	ctx context.Context
	way http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (b bound) RoundTrip(r *http.Request) (*http.Response, error) {
	return b.way.RoundTrip(r.WithContext(b.ctx))
}

// Refusal says why an authority, by its name, gave no token: without the secrets
// and without whatever else the answer holds. Of a refusal the standard's two
// members count.
func Refusal(err error, authority string, secrets ...string) *provider.Refusal {
	mask := func(text string, most int) string {
		for _, secret := range secrets {
			text = string(channel.Mask([]byte(text), secret))
		}
		return clip(text, most)
	}
	refused, ok := errors.AsType[*oauth2.RetrieveError](err)
	if !ok {
		return &provider.Refusal{Reason: authority + " could not be asked for a token", Cause: errors.New(mask(err.Error(), 1000))}
	}
	// oauth2/jwt leaves the two unread.
	code := cmp.Or(refused.ErrorCode, wire.Text(wire.Find(refused.Body, "error").Of(refused.Body)))
	why := cmp.Or(refused.ErrorDescription, wire.Text(wire.Find(refused.Body, "error_description").Of(refused.Body)))
	reason := fmt.Sprintf("%s gives no token: status %d", authority, refused.Response.StatusCode)
	if code != "" {
		reason += " " + mask(code, 60)
	}
	return &provider.Refusal{Reason: reason, Cause: errors.New(cmp.Or(mask(why, 500), "it does not say why"))}
}

func clip(s string, most int) string {
	if runes := []rune(s); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return s
}
