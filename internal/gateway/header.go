package gateway

import (
	"net/http"
	"strings"
)

// forwardedHeader is what of the client's header goes to the upstream: all but
// what belongs to the connection, to this server, or names the client.
func forwardedHeader(client http.Header) http.Header {
	h := make(http.Header, len(client)+2)
	for name, values := range client {
		if !dropFromRequest(name) {
			h[name] = values
		}
	}
	dropNamed(h, client)
	silenceAgent(h)
	return h
}

// silenceAgent keeps the transport from writing a User-Agent of its own where
// there is none.
func silenceAgent(h http.Header) {
	if h["User-Agent"] == nil {
		h["User-Agent"] = []string{""}
	}
}

// copyAnswerHeader adds what of the upstream's header goes to the client.
func copyAnswerHeader(to, from http.Header) {
	for name, values := range from {
		if !dropFromAnswer(name) {
			to[name] = values
		}
	}
	dropNamed(to, from)
}

// dropNamed removes what the sender's Connection header says is for the next
// hop only.
func dropNamed(h, from http.Header) {
	for _, line := range from["Connection"] {
		for name := range strings.SplitSeq(line, ",") {
			h.Del(strings.TrimSpace(name))
		}
	}
}

func dropFromRequest(name string) bool {
	switch name {
	case "Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
		"Authorization", "X-Api-Key", "Api-Key", "X-Goog-Api-Key", "Cookie",
		"Host", "Content-Length", "Accept-Encoding", "Expect", "Forwarded", "Via", "X-Real-Ip", "X-Request-Id", "Origin", "Referer":
		return true
	}
	return strings.HasPrefix(name, "X-Forwarded-") || strings.HasPrefix(name, "Sec-") || strings.HasPrefix(name, "Cf-")
}

func dropFromAnswer(name string) bool {
	switch name {
	case "Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
		"Content-Length", "Set-Cookie", "X-Request-Id", "Server", "Date", "Alt-Svc", "Strict-Transport-Security", "X-Halley-Attempts":
		return true
	}
	// The upstream's limits are the operator's account's, not this key's.
	return strings.HasPrefix(name, "X-Ratelimit-") || strings.HasPrefix(name, "Access-Control-") || strings.HasPrefix(name, "Cf-")
}
