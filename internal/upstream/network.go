package upstream

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"net/url"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// AddressPolicy says which addresses may be called.
type AddressPolicy interface {
	Allowed(addr netip.Addr) bool
	// AllowedHost judges a host as it is written, for calls whose address somebody
	// else looks up: a proxy.
	AllowedHost(host string) bool
}

// Network is how an upstream is reached; the zero Network is directly, trusting
// the system's certificate authorities.
type Network struct {
	Proxy string // URL of an http, https or socks5 proxy, with its credentials
	CA    string // certificates in PEM that are trusted besides the system's
}

// Transports are the ways to upstreams: one for each network that is in use.
type Transports struct {
	policy AddressPolicy
	direct *http.Transport

	mu   sync.RWMutex
	made map[Network]*indirect
}

// NewTransports makes them; nothing but the direct way is there before Keep.
func NewTransports(policy AddressPolicy) *Transports {
	return &Transports{policy: policy, direct: NewTransport(policy)}
}

// Direct is the way of the zero Network.
func (t *Transports) Direct() http.RoundTripper { return t.direct }

// For gives the way over the network. One that Keep does not know of, such as
// that of a channel which is only tried out, is made for the occasion and keeps
// no connection.
func (t *Transports) For(n Network) (http.RoundTripper, error) {
	if n == (Network{}) {
		return t.direct, nil
	}
	t.mu.RLock()
	made := t.made[n]
	t.mu.RUnlock()
	if made != nil {
		return made, nil
	}
	once, err := newIndirect(t.policy, n)
	if err != nil {
		return nil, err
	}
	once.DisableKeepAlives = true
	return once, nil
}

// Keep makes the transports of the networks that are in use now and closes the
// others; calls that are under way on those go on to their end. It returns what
// is wrong with networks that cannot be used.
func (t *Transports) Keep(used []Network) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	var wrong []error
	kept := make(map[Network]*indirect, len(used))
	for _, n := range used {
		if n == (Network{}) || kept[n] != nil {
			continue
		}
		made := t.made[n]
		if made == nil {
			var err error
			if made, err = newIndirect(t.policy, n); err != nil {
				wrong = append(wrong, err)
				continue
			}
		}
		kept[n] = made
	}
	for n, made := range t.made {
		if kept[n] == nil {
			made.CloseIdleConnections()
		}
	}
	t.made = kept
	return errors.Join(wrong...)
}

// Close lets go of every idle connection.
func (t *Transports) Close() {
	_ = t.Keep(nil) // keeps nothing, so nothing can be wrong
	t.direct.CloseIdleConnections()
}

// NewTransport makes the transport for HTTP upstreams: no proxying by
// environment, no transparent compression, so that bytes pass as they are.
func NewTransport(policy AddressPolicy) *http.Transport {
	d := &dialer{policy: policy}
	return d.transport()
}

// rootsWith gives the system's authorities and those in the PEM.
func rootsWith(pem string) (*x509.CertPool, error) {
	roots, err := x509.SystemCertPool()
	if err != nil { // there are systems without
		roots = x509.NewCertPool()
	}
	if !roots.AppendCertsFromPEM([]byte(pem)) {
		return nil, errors.New("there is no certificate in it")
	}
	return roots, nil
}

// dialer makes connections to allowed addresses within the connect limit.
type dialer struct {
	policy AddressPolicy
	tls    *tls.Config // nil for the defaults
}

func (d *dialer) transport() *http.Transport {
	return &http.Transport{
		DialContext:           d.dial,
		DialTLSContext:        d.dialTLS,
		TLSClientConfig:       d.tls,
		ForceAttemptHTTP2:     true,
		DisableCompression:    true,
		MaxIdleConns:          4096,
		MaxIdleConnsPerHost:   1024,
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   10 * time.Second, // behind proxies, where a dial is not only ours
		ExpectContinueTimeout: time.Second,
		// Answers' headers go on to clients, few of which take more than a fraction of this.
		MaxResponseHeaderBytes: 128 << 10,
	}
}

// dial connects, asking the policy about the address that is really dialed,
// after DNS.
func (d *dialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := withinConnectLimit(ctx)
	defer cancel()
	dialer := &net.Dialer{
		KeepAlive: 30 * time.Second,
		Control: func(_, address string, _ syscall.RawConn) error {
			ap, err := netip.ParseAddrPort(address)
			if err != nil || !d.policy.Allowed(ap.Addr().Unmap().WithZone("")) {
				return ErrAddress
			}
			return nil
		},
	}
	conn, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConnect, err)
	}
	return &pooledConn{conn}, nil
}

// dialTLS connects and shakes hands: the connect limit covers both, which a
// transport's own limit for the handshake would not.
func (d *dialer) dialTLS(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := withinConnectLimit(ctx)
	defer cancel()
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConnect, err)
	}
	conn, err := d.dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if d.tls != nil {
		config = d.tls.Clone()
	}
	config.ServerName, config.NextProtos = host, []string{"h2", "http/1.1"}
	secure := tls.Client(conn, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("%w: TLS: %w", ErrConnect, err)
	}
	return secure, nil
}

// connectKey carries a channel's connect limit, a time.Duration, to the dialer.
type connectKey struct{}

// ConnectWithin bounds how long connections take that are made for what runs
// under the context, as Do does by itself.
func ConnectWithin(ctx context.Context, limit time.Duration) context.Context {
	return context.WithValue(ctx, connectKey{}, limit)
}

func withinConnectLimit(ctx context.Context) (context.Context, context.CancelFunc) {
	limit, ok := ctx.Value(connectKey{}).(time.Duration)
	if !ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, limit)
}

// indirect is the transport over a network that is not the zero one.
type indirect struct {
	*http.Transport
	proxied bool
}

// newIndirect makes it. The proxy's own address is judged like any other when it
// is dialed; behind it only what is written in the URL can be.
func newIndirect(policy AddressPolicy, n Network) (*indirect, error) {
	d := &dialer{policy: policy}
	if n.CA != "" {
		roots, err := rootsWith(n.CA)
		if err != nil {
			return nil, fmt.Errorf("use the extra certificate authorities: %w", err)
		}
		d.tls = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}
	}
	t := d.transport()
	if n.Proxy == "" {
		return &indirect{Transport: t}, nil
	}
	proxy, err := url.Parse(n.Proxy)
	if err != nil {
		return nil, errors.New("use the proxy: its URL cannot be read") // the error would quote its password
	}
	t.Proxy = func(r *http.Request) (*url.URL, error) {
		if !policy.AllowedHost(r.URL.Hostname()) {
			return nil, ErrAddress
		}
		return proxy, nil
	}
	return &indirect{Transport: t, proxied: true}, nil
}

// RoundTrip sends the request. Through a proxy a connection takes more than the
// dialer sees (the tunnel, the handshake behind it), so the connect limit is a
// timer here, until there is one.
func (t *indirect) RoundTrip(r *http.Request) (*http.Response, error) {
	limit, ok := r.Context().Value(connectKey{}).(time.Duration)
	if !ok || !t.proxied {
		return t.Transport.RoundTrip(r)
	}
	// The answer's body needs this context, which ends with the call's own.
	ctx, cancel := context.WithCancelCause(r.Context())
	tooLong := fmt.Errorf("%w: no connection through the proxy within %s", ErrConnect, limit)
	waiting := time.AfterFunc(limit, func() { cancel(tooLong) })
	defer waiting.Stop()
	var connected atomic.Bool
	resp, err := t.Transport.RoundTrip(r.WithContext(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { connected.Store(true); waiting.Stop() },
	})))
	if err == nil {
		return resp, nil
	}
	cause := context.Cause(ctx)
	cancel(nil)
	switch {
	case errors.Is(cause, tooLong):
		return nil, tooLong
	case connected.Load() || errors.Is(err, ErrAddress):
		return nil, err
	}
	return nil, fmt.Errorf("%w through the proxy: %w", ErrConnect, err)
}
