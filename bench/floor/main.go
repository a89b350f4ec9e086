// Command floor is the least that a Go program can do between a client and an
// upstream: httputil.ReverseProxy with a tuned transport, and nothing else. It
// knows no keys, no money, no logs. Every other target is measured in
// multiples of what it costs.
package main

import (
	"flag"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8099", "address to listen on")
	upstream := flag.String("upstream", "", "URL to forward to, without the request's path")
	flag.Parse()
	target, err := url.Parse(*upstream)
	if err != nil || target.Host == "" {
		log.Fatalf("floor: -upstream %q is not a URL with a host", *upstream)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil
	transport.MaxIdleConns = 0 // no limit over all hosts: there is only one
	transport.MaxIdleConnsPerHost = 512
	transport.DisableCompression = true
	proxy := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:     transport,
		FlushInterval: -1, // every chunk at once, as a stream of tokens needs it
	}
	// Without full duplex the server takes the rest of the request away from the
	// transport when the answer begins, and a fast upstream's stream breaks.
	handler := func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex()
		proxy.ServeHTTP(w, r)
	}
	log.Fatal(http.ListenAndServe(*listen, http.HandlerFunc(handler)))
}
