package hardening_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"halley/test/fakeprovider"
)

// mirrored are the ways in which mirror tells a client what it was sent, by the
// last part of the model's name, and the status that Halley must make of each
// when the request asks for a plain answer or for a stream.
var mirrored = map[string]struct{ plain, streamed int }{
	"error-400": {400, 400}, "error-403": {403, 403}, "error-404": {404, 404}, "error-413": {413, 413}, "error-422": {422, 422},
	"error-429": {429, 429}, "error-500": {500, 500}, "error-502": {502, 502}, "error-503": {503, 503}, "error-529": {529, 529},
	"error-401": {502, 502}, "error-402": {502, 502}, "refused-400": {502, 502}, "refused-403": {502, 502}, "refused-429": {502, 502},
	"escaped-400": {400, 400}, "late-400": {400, 400}, "late-401": {502, 502}, "text-400": {400, 400}, "html-500": {500, 500}, "html-401": {502, 502},
	"html-200": {502, 502}, "in-200": {502, 502}, "late-200": {502, 502}, "redirect-307": {502, 502}, "redirect-301": {502, 502},
	"garbage": {502, 502}, "bad-status": {502, 502}, "bad-header": {502, 502}, "silence": {504, 504}, "half": {502, 502},
	"fine": {200, 200}, "early-hints": {200, 200}, "more-than-asked": {200, 200},
	"stream-error-first": {502, 200}, "stream-error-late": {502, 200}, "stream-comment": {502, 200}, "stream-words": {502, 200}, "stream-stall": {504, 200},
}

// mirror is an upstream that repeats the credential it was sent wherever an
// upstream can say something.
func mirror() fakeprovider.Answer {
	return func(w http.ResponseWriter, r *http.Request, got *fakeprovider.Received) {
		var req struct{ Model string }
		_ = json.Unmarshal(got.Body, &req) // a request without a body is the doctor's
		m := reflection{w: w, r: r, authorization: got.Header.Get("Authorization"), model: req.Model}
		m.key = strings.TrimPrefix(m.authorization, "Bearer ")
		_, how, _ := strings.Cut(req.Model, "/")
		m.reflect(how)
	}
}

type reflection struct {
	w                         http.ResponseWriter
	r                         *http.Request
	authorization, key, model string
}

// words repeat the credential with and without its scheme.
func (m *reflection) words() string {
	return fmt.Sprintf("You sent Authorization: %s, and %s is not welcome here.", m.authorization, m.key)
}

// quoted is s as Go writes JSON, with the characters that HTML knows escaped.
func quoted(s string) string {
	text, err := json.Marshal(s)
	if err != nil {
		panic(err) // strings can be written
	}
	return string(text)
}

// late puts the credential where a cut at a round number of bytes goes through
// it, whatever stands before.
func (m *reflection) late() string {
	var b strings.Builder
	for b.Len() < 1100 {
		b.WriteString(m.key + " ")
	}
	return b.String()
}

func (m *reflection) reflect(how string) {
	kind, number, _ := cutLast(how)
	status, err := strconv.Atoi(number)
	if err != nil {
		kind, status = how, http.StatusOK
	}
	switch kind {
	case "error", "in":
		m.json(status, `{"error":{"message":`+quoted(m.words())+`,"type":"mirror_error","param":`+quoted(m.key)+`,"code":"mirrored"}}`)
	case "refused":
		m.json(status, `{"error":{"message":`+quoted(m.words())+`,"type":"mirror_error","param":null,"code":"invalid_api_key"}}`)
	case "escaped":
		m.json(status, `{"error":{"message":`+strings.ReplaceAll(quoted(m.words()), "/", `\/`)+`,"type":"mirror_error","code":"mirrored"}}`)
	case "late":
		m.json(status, `{"error":{"message":`+quoted(m.late())+`,"type":"mirror_error","code":"mirrored"}}`)
	case "text":
		m.send(status, "text/plain", m.words())
	case "html":
		m.send(status, "text/html; charset=utf-8", "<!doctype html><title>Sign in</title><p>"+m.words()+"\n")
	case "redirect":
		m.w.Header().Set("Location", "/elsewhere/v1?key="+m.key)
		m.json(status, `{"error":{"message":`+quoted(m.words())+`}}`)
	case "garbage":
		m.raw(m.words() + "\r\n\r\n")
	case "bad-status":
		m.raw("HTTP/1.1 " + m.key + " " + m.words() + "\r\n\r\n")
	case "bad-header":
		m.raw("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n" + m.key + " no colon\r\n\r\n{}")
	case "silence":
		<-m.r.Context().Done()
	case "half":
		m.w.Header().Set("Content-Length", "100000")
		m.json(status, `{"error":{"message":`+quoted(m.words()))
		panic(http.ErrAbortHandler)
	case "early-hints":
		m.w.Header().Set("Link", "</"+m.key+">; rel=preload")
		m.w.WriteHeader(http.StatusEarlyHints)
		m.fine()
	case "more-than-asked":
		body := m.chat()
		m.raw("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body + m.words())
	case "stream-error-first":
		m.events(`data: {"error":{"message":` + quoted(m.words()) + `,"type":"mirror_error"}}`)
	case "stream-error-late":
		m.events(m.chunk("one"), m.chunk("two"), `data: {"error":{"message":`+quoted(m.words())+`,"type":"mirror_error"}}`)
	case "stream-comment":
		m.events(m.chunk("one"), ": "+m.words(), "event: "+m.key+"\nid: "+m.key+"\n"+m.chunk("two"), "data: [DONE]")
	case "stream-words":
		m.events(m.chunk("one"), "data: "+m.words())
		panic(http.ErrAbortHandler)
	case "stream-stall":
		m.events(m.chunk("one"), ": "+m.words())
		<-m.r.Context().Done()
	default:
		m.fine()
	}
}

func cutLast(s string) (before, after string, found bool) {
	at := strings.LastIndexByte(s, '-')
	if at < 0 {
		return s, "", false
	}
	return s[:at], s[at+1:], true
}

// fine is an answer that is well but for its headers.
func (m *reflection) fine() {
	m.w.Header().Set("Trailer", "X-Trailing-Echo")
	m.json(http.StatusOK, m.chat())
	m.w.Header().Set("X-Trailing-Echo", m.key)
}

func (m *reflection) chat() string {
	return `{"id":"c","object":"chat.completion","created":1,"model":` + quoted(m.model) +
		`,"choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}`
}

func (m *reflection) chunk(word string) string {
	return `data: {"id":"c","object":"chat.completion.chunk","created":1,"model":` + quoted(m.model) + `,"choices":[{"index":0,"delta":{"content":"` + word + `"},"finish_reason":null}]}`
}

func (m *reflection) json(status int, body string) { m.send(status, "application/json", body) }

// send also repeats the credential in the headers that debugging proxies add.
func (m *reflection) send(status int, kind, body string) {
	h := m.w.Header()
	h.Set("Content-Type", kind)
	h.Set("X-Echo", m.key)
	h.Set("X-Echo-Authorization", m.authorization)
	h.Set("X-Request-Headers", quoted(m.authorization))
	h.Set("Www-Authenticate", `Bearer realm="`+m.authorization+`"`)
	h.Set("Set-Cookie", "echo="+m.key)
	m.w.WriteHeader(status)
	_, _ = m.w.Write([]byte(body))
	_ = http.NewResponseController(m.w).Flush()
}

func (m *reflection) events(events ...string) {
	m.send(http.StatusOK, "text/event-stream", strings.Join(events, "\n\n")+"\n\n")
}

// raw answers in its own bytes and leaves the connection open until the other
// side has had enough of it.
func (m *reflection) raw(text string) {
	conn, _, err := http.NewResponseController(m.w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer conn.Close()
	_, _ = conn.Write([]byte(text))
	_, _ = conn.Read(make([]byte, 1))
}
