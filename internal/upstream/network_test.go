package upstream_test

import (
	"bufio"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"halley/internal/upstream"
)

// secureServer answers over TLS, with a certificate that only ca vouches for.
func secureServer(t *testing.T) (server *httptest.Server, ca string) {
	t.Helper()
	server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) }))
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	return server, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
}

// forwardProxy is an HTTP proxy that wants a name and a password. It notes what
// it was asked for.
type forwardProxy struct {
	*httptest.Server
	mu    sync.Mutex
	asked []string
	hold  chan struct{} // not nil: tunnels wait for it
}

func newForwardProxy(t *testing.T) *forwardProxy {
	t.Helper()
	p := &forwardProxy{}
	p.Server = httptest.NewServer(p)
	t.Cleanup(p.Close)
	return p
}

func (p *forwardProxy) url() string {
	return strings.Replace(p.URL, "http://", "http://name:pass%40word@", 1)
}

func (p *forwardProxy) seen() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked
}

func (p *forwardProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.asked = append(p.asked, r.Method+" "+r.Host)
	p.mu.Unlock()
	authorized := &http.Request{Header: http.Header{"Authorization": r.Header["Proxy-Authorization"]}}
	if name, password, _ := authorized.BasicAuth(); name != "name" || password != "pass@word" {
		w.WriteHeader(http.StatusProxyAuthRequired)
		return
	}
	if r.Method != http.MethodConnect {
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer resp.Body.Close()
		_, _ = io.Copy(w, resp.Body)
		return
	}
	if p.hold != nil {
		select {
		case <-p.hold:
		case <-r.Context().Done():
		}
		return
	}
	target, err := (&net.Dialer{}).DialContext(r.Context(), "tcp", r.Host)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	defer target.Close()
	client, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer client.Close()
	_, _ = io.WriteString(client, "HTTP/1.1 200 OK\r\n\r\n")
	var both sync.WaitGroup
	both.Go(func() { _, _ = io.Copy(target, client); _ = target.Close() })
	_, _ = io.Copy(client, target)
	_ = client.Close()
	both.Wait()
}

// over calls the URL over the network and gives the answer's body.
func over(t *testing.T, ways *upstream.Transports, n upstream.Network, url string) (string, error) {
	t.Helper()
	way, err := ways.For(n)
	if err != nil {
		return "", err
	}
	call, err := send(t, way, url, []byte("{}"))
	if err != nil {
		return "", err
	}
	defer call.Close()
	body, err := io.ReadAll(call)
	return string(body), err
}

func waysOf(t *testing.T, p upstream.AddressPolicy, used ...upstream.Network) *upstream.Transports {
	t.Helper()
	ways := upstream.NewTransports(p)
	t.Cleanup(ways.Close)
	if err := ways.Keep(used); err != nil {
		t.Fatal(err)
	}
	return ways
}

func TestExtraCertificatesAreTrustedOnlyWhereTheyAreSet(t *testing.T) {
	t.Parallel()
	server, ca := secureServer(t)
	ways := waysOf(t, policy(true), upstream.Network{CA: ca})
	if body, err := over(t, ways, upstream.Network{CA: ca}, server.URL); err != nil || body != "HTTP/2.0" {
		t.Errorf("with its authority: %q, %v", body, err)
	}
	if _, err := over(t, ways, upstream.Network{}, server.URL); !errors.Is(err, upstream.ErrConnect) || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("without: %v", err)
	}
}

func TestAProxyIsSpokenToWithItsPasswordAndTheUpstreamBehindIt(t *testing.T) {
	t.Parallel()
	secure, ca := secureServer(t)
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "plain") }))
	defer plain.Close()
	proxy := newForwardProxy(t)
	n := upstream.Network{Proxy: proxy.url(), CA: ca}
	for _, kept := range []bool{true, false} { // without Keep as well: a channel that is tried out
		var used []upstream.Network
		if kept {
			used = append(used, n)
		}
		ways := waysOf(t, policy(true), used...)
		if body, err := over(t, ways, n, secure.URL); err != nil || !strings.HasPrefix(body, "HTTP/") {
			t.Errorf("through the tunnel: %q, %v", body, err)
		}
		if body, err := over(t, ways, n, plain.URL); err != nil || body != "plain" {
			t.Errorf("by forwarding: %q, %v", body, err)
		}
	}
	want := []string{"CONNECT " + secure.Listener.Addr().String(), "POST " + plain.Listener.Addr().String()}
	if got := strings.Join(proxy.seen(), ", "); got != strings.Join(append(want, want...), ", ") {
		t.Errorf("the proxy was asked for %s", got)
	}
	wrong := upstream.Network{Proxy: strings.Replace(proxy.url(), "name", "nobody", 1), CA: ca}
	_, err := over(t, waysOf(t, policy(true)), wrong, secure.URL)
	if !errors.Is(err, upstream.ErrConnect) || strings.Contains(err.Error(), "pass") {
		t.Errorf("a proxy that refuses us: %v", err)
	}
}

// socksProxy is a SOCKS5 proxy without authentication. It gives the host it was
// asked for.
func socksProxy(t *testing.T) (address string, asked <-chan string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	hosts := make(chan string, 8)
	var done sync.WaitGroup
	done.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			done.Go(func() { serveSOCKS(client, hosts) })
		}
	})
	t.Cleanup(func() { _ = listener.Close(); done.Wait() })
	return listener.Addr().String(), hosts
}

func serveSOCKS(client net.Conn, hosts chan<- string) {
	defer client.Close()
	in := bufio.NewReader(client)
	hello := make([]byte, 2)
	if _, err := io.ReadFull(in, hello); err != nil {
		return
	}
	_, _ = io.CopyN(io.Discard, in, int64(hello[1]))
	_, _ = client.Write([]byte{5, 0})
	head := make([]byte, 5) // version, connect, reserved, kind, first byte of the address
	if _, err := io.ReadFull(in, head); err != nil {
		return
	}
	host := ""
	if head[3] == 3 { // a name, of so many bytes
		name := make([]byte, head[4])
		_, _ = io.ReadFull(in, name)
		host = string(name)
	} else {
		rest := make([]byte, 3)
		_, _ = io.ReadFull(in, rest)
		host = netip.AddrFrom4([4]byte{head[4], rest[0], rest[1], rest[2]}).String()
	}
	port := make([]byte, 2)
	_, _ = io.ReadFull(in, port)
	hosts <- host
	target, err := net.DialTCP("tcp", nil, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: int(port[0])<<8 | int(port[1])})
	if err != nil {
		return
	}
	defer func() { _ = target.Close() }()
	_, _ = client.Write([]byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0})
	var back sync.WaitGroup
	back.Go(func() { _, _ = io.Copy(client, target); _ = client.Close() })
	_, _ = io.Copy(target, in)
	_ = target.Close()
	back.Wait()
}

func TestASOCKSProxyLooksUpTheUpstreamsName(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Host) }))
	defer server.Close()
	address, asked := socksProxy(t)
	target := strings.Replace(server.URL, "127.0.0.1", "upstream.example", 1)
	body, err := over(t, waysOf(t, policy(true)), upstream.Network{Proxy: "socks5://" + address}, target)
	if err != nil || !strings.HasPrefix(body, "upstream.example:") || <-asked != "upstream.example" {
		t.Errorf("%q, %v", body, err)
	}
}

// near allows loopback addresses, but as literals only those that are listed.
type near struct{ hosts string }

func (n near) Allowed(addr netip.Addr) bool { return addr.IsLoopback() }
func (n near) AllowedHost(host string) bool { return host == n.hosts }

func TestAProxyIsNoWayAroundTheAddressPolicy(t *testing.T) {
	t.Parallel()
	server, ca := secureServer(t)
	proxy := newForwardProxy(t)
	n := upstream.Network{Proxy: proxy.url(), CA: ca}
	if _, err := over(t, waysOf(t, near{"example.com"}, n), n, server.URL); !errors.Is(err, upstream.ErrAddress) {
		t.Errorf("an upstream that is not allowed: %v", err)
	}
	if len(proxy.seen()) != 0 {
		t.Errorf("the proxy was asked for %q", proxy.seen())
	}
	if _, err := over(t, waysOf(t, policyHosts{}, n), n, "https://example.com"); !errors.Is(err, upstream.ErrAddress) {
		t.Errorf("a proxy at an address that is not allowed: %v", err)
	}
}

// policyHosts allows every name and no address.
type policyHosts struct{}

func (policyHosts) Allowed(netip.Addr) bool { return false }
func (policyHosts) AllowedHost(string) bool { return true }

// mute accepts connections and says nothing.
func mute(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	return listener.Addr().String() // the kernel accepts
}

func TestTheConnectLimitCoversTheHandshakeAndTheTunnel(t *testing.T) {
	t.Parallel()
	_, ca := secureServer(t)
	stuck := newForwardProxy(t)
	stuck.hold = make(chan struct{})
	defer close(stuck.hold)
	working := newForwardProxy(t)
	silent := mute(t)
	for name, row := range map[string]struct {
		network upstream.Network
		url     string
	}{
		"a handshake":                  {upstream.Network{}, "https://" + silent},
		"a handshake, own authorities": {upstream.Network{CA: ca}, "https://" + silent},
		"a tunnel that does not open":  {upstream.Network{Proxy: stuck.url()}, "https://" + silent},
		"a handshake in the tunnel":    {upstream.Network{Proxy: working.url()}, "https://" + silent},
		"a proxy that says nothing":    {upstream.Network{Proxy: "http://" + silent}, "https://example.com"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			way, err := waysOf(t, policy(true), row.network).For(row.network)
			if err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			limits := times(time.Minute)
			limits.Connect = 50 * time.Millisecond
			_, err = upstream.Do(t.Context(), way, upstream.Request{Method: http.MethodGet, URL: row.url, Header: http.Header{}, Times: limits})
			if !errors.Is(err, upstream.ErrConnect) || time.Since(began) > 5*time.Second {
				t.Errorf("after %s: %v", time.Since(began), err)
			}
		})
	}
}

func TestATransportIsSharedAndClosedWhenNobodyUsesIt(t *testing.T) {
	t.Parallel()
	closed := make(chan struct{})
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }))
	var once sync.Once
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateClosed {
			once.Do(func() { close(closed) })
		}
	}
	server.StartTLS()
	defer server.Close()
	ca := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	n := upstream.Network{CA: ca}
	ways := waysOf(t, policy(true), n, n)
	first, err := ways.For(n)
	if err != nil {
		t.Fatal(err)
	}
	if err := ways.Keep([]upstream.Network{n}); err != nil {
		t.Fatal(err)
	}
	if second, err := ways.For(n); err != nil || first != second {
		t.Errorf("the transport is %p and then %p, %v", first, second, err)
	}
	if _, err := over(t, ways, n, server.URL); err != nil {
		t.Fatal(err)
	}
	if err := ways.Keep(nil); err != nil {
		t.Fatal(err)
	}
	<-closed
	if direct, err := ways.For(upstream.Network{}); err != nil || direct != ways.Direct() {
		t.Error("a channel without anything special has a transport of its own")
	}
}

func TestANetworkThatCannotBeUsedIsToldAndLeavesTheOthers(t *testing.T) {
	t.Parallel()
	server, ca := secureServer(t)
	bad := upstream.Network{CA: "none"}
	secret := upstream.Network{Proxy: "http://name:pass\x7fword@proxy"}
	ways := upstream.NewTransports(policy(true))
	t.Cleanup(ways.Close)
	if err := ways.Keep([]upstream.Network{bad, secret, {CA: ca}}); err == nil || strings.Contains(err.Error(), "word") {
		t.Errorf("err = %v", err)
	}
	if _, err := over(t, ways, bad, server.URL); err == nil {
		t.Error("a network without certificates serves")
	}
	if _, err := over(t, ways, upstream.Network{CA: ca}, server.URL); err != nil {
		t.Error(err)
	}
	if _, err := url.Parse(secret.Proxy); err == nil {
		t.Error("the proxy's URL is fine after all")
	}
}
