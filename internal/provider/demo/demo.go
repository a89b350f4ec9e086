// Package demo is the built-in provider: an OpenAI-compatible upstream in
// process, without a network, that answers deterministically with honest usage
// figures and misbehaves when the model's name asks for it. It stands where an
// HTTP transport would, and must not know anything of Halley but that.
package demo

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"halley/internal/jsonx"
)

// The pace at which a person likes to watch, for Options.
const (
	HumanPace     = 25 * time.Millisecond
	SlowFirstByte = 2 * time.Second
)

// MaxOutputTokens is where an answer ends when the request sets no lower cap.
const MaxOutputTokens = 4096

// Options is the provider's pace. Zero durations do not wait.
type Options struct {
	Pace          time.Duration    // between two chunks of a stream
	SlowFirstByte time.Duration    // before demo-slow answers
	Now           func() time.Time // nil for the machine's clock
}

// Provider answers requests as an http.RoundTripper. It has no state, starts no
// goroutine and is safe for concurrent use.
type Provider struct{ options Options }

var _ http.RoundTripper = (*Provider)(nil)

// New makes a provider.
func New(options Options) *Provider {
	if options.Now == nil {
		options.Now = time.Now
	}
	return &Provider{options}
}

// behaviour is what a model's name asks for.
type behaviour string

const (
	echo   behaviour = "demo-echo"  // answers
	slow   behaviour = "demo-slow"  // answers after SlowFirstByte
	fail   behaviour = "demo-500"   // 500
	limit  behaviour = "demo-429"   // 429 with Retry-After: 2
	refuse behaviour = "demo-401"   // 401, as for a wrong upstream key
	cut    behaviour = "demo-cut"   // breaks off in the middle
	hang   behaviour = "demo-hang"  // never answers
	empty  behaviour = "demo-empty" // 200 without a body
	html   behaviour = "demo-html"  // 200 with a web page
	embed  behaviour = "demo-embed" // embeddings
)

func behaviours() []behaviour {
	return []behaviour{echo, slow, fail, limit, refuse, cut, hang, empty, html, embed}
}

// Models is the name of every model there is.
func Models() []string {
	var names []string
	for _, b := range behaviours() {
		names = append(names, string(b))
	}
	return names
}

// of gives what the model's name asks for: any name outside the demo's own
// answers as demo-echo does, so that a channel can pose as whatever it likes.
func of(model string) (behaviour, bool) {
	for _, b := range behaviours() {
		if model == string(b) {
			return b, true
		}
	}
	return echo, !strings.HasPrefix(model, "demo-")
}

// RoundTrip answers the request. The context ends every wait, also those of the
// answer's body.
func (p *Provider) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := readBody(r)
	if err != nil {
		return nil, err
	}
	if err := r.Context().Err(); err != nil {
		return nil, context.Cause(r.Context())
	}
	endpoint := ""
	for _, suffix := range []string{"/chat/completions", "/embeddings", "/models"} {
		if strings.HasSuffix(r.URL.Path, suffix) {
			endpoint = suffix
		}
	}
	switch {
	case endpoint == "/models" && r.Method == http.MethodGet:
		return p.models(r), nil
	case endpoint == "/chat/completions" && r.Method == http.MethodPost:
		return p.chat(r, body)
	case endpoint == "/embeddings" && r.Method == http.MethodPost:
		return p.embeddings(r, body)
	}
	return problem(r, http.StatusNotFound, "invalid_request_error", "unknown_url", "", fmt.Sprintf("Unknown request URL: %s %s.", r.Method, r.URL.Path)), nil
}

func readBody(r *http.Request) ([]byte, error) {
	if r.Body == nil {
		return nil, nil
	}
	body, err := io.ReadAll(r.Body)
	return body, errors.Join(err, r.Body.Close())
}

// misbehave gives the answer of the models that fail before they answer; nil
// for the others, demo-slow once it has waited.
func (p *Provider) misbehave(r *http.Request, model string, b behaviour) (*http.Response, error) {
	switch b {
	case fail:
		return problem(r, http.StatusInternalServerError, "server_error", "", "", "The demo provider fails, as the model demo-500 asks for."), nil
	case limit:
		resp := problem(r, http.StatusTooManyRequests, "requests", "rate_limit_exceeded", "", "Rate limit reached for demo-429. Please try again in 2s.")
		resp.Header.Set("Retry-After", "2")
		return resp, nil
	case refuse:
		return problem(r, http.StatusUnauthorized, "invalid_request_error", "invalid_api_key", "", "Incorrect API key provided, as the model demo-401 asks for."), nil
	case empty:
		return answer(r, http.StatusOK, "application/json", nil), nil
	case html:
		return answer(r, http.StatusOK, "text/html; charset=utf-8", []byte("<!DOCTYPE html>\n<html><head><title>Welcome</title></head><body><h1>It works!</h1><p>But it is no API.</p></body></html>\n")), nil
	case hang:
		<-r.Context().Done()
		return nil, context.Cause(r.Context())
	case slow:
		return nil, wait(r.Context(), nil, p.options.SlowFirstByte)
	case echo, cut, embed:
	}
	return nil, nil
}

// errClosed is what reading a body gives after it was closed.
var errClosed = errors.New("demo: read of a closed body")

// wait returns after d, or with the reason why not: the context's end, or
// closed being closed.
func wait(ctx context.Context, closed <-chan struct{}, d time.Duration) error {
	select {
	case <-closed:
		return errClosed
	default:
	}
	if d <= 0 || ctx.Err() != nil {
		return context.Cause(ctx)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-closed:
		return errClosed
	}
}

type modelList struct {
	Object string      `json:"object"`
	Data   []modelInfo `json:"data"`
}

type modelInfo struct {
	ID      string `json:"id"`
	Object  string `json:"object"`
	Created int64  `json:"created"`
	OwnedBy string `json:"owned_by"`
}

func (p *Provider) models(r *http.Request) *http.Response {
	list := modelList{Object: "list"}
	for _, name := range Models() {
		list.Data = append(list.Data, modelInfo{ID: name, Object: "model", Created: modelsCreated, OwnedBy: "halley-demo"})
	}
	return answerJSON(r, http.StatusOK, list)
}

// modelsCreated is 1 January 2026, Unix seconds.
const modelsCreated = 1767225600

type problemBody struct {
	Error problemDetail `json:"error"`
}

type problemDetail struct {
	Message string  `json:"message"`
	Type    string  `json:"type"`
	Param   *string `json:"param"`
	Code    *string `json:"code"`
}

// problem is an error answer in the OpenAI shape; empty code and param are null.
func problem(r *http.Request, status int, kind, code, param, message string) *http.Response {
	orNull := func(s string) *string {
		if s == "" {
			return nil
		}
		return &s
	}
	return answerJSON(r, status, problemBody{problemDetail{Message: message, Type: kind, Param: orNull(param), Code: orNull(code)}})
}

func badRequest(r *http.Request, param, format string, args ...any) *http.Response {
	return problem(r, http.StatusBadRequest, "invalid_request_error", "", param, fmt.Sprintf(format, args...))
}

func unknownModel(r *http.Request, model string) *http.Response {
	return problem(r, http.StatusNotFound, "invalid_request_error", "model_not_found", "model", fmt.Sprintf("The model `%s` does not exist or you do not have access to it.", model))
}

func answerJSON(r *http.Request, status int, v any) *http.Response {
	body, err := jsonx.Marshal(v)
	if err != nil {
		return answer(r, http.StatusInternalServerError, "text/plain; charset=utf-8", []byte(err.Error()))
	}
	return answer(r, status, "application/json", body)
}

func answer(r *http.Request, status int, contentType string, body []byte) *http.Response {
	resp := head(r, status, contentType)
	resp.Header.Set("Content-Length", strconv.Itoa(len(body)))
	resp.ContentLength = int64(len(body))
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp
}

func head(r *http.Request, status int, contentType string) *http.Response {
	return &http.Response{
		Status: strconv.Itoa(status) + " " + http.StatusText(status), StatusCode: status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {contentType}}, Request: r, ContentLength: -1,
	}
}

// idOf names an answer after the request it answers.
func idOf(prefix string, body []byte) string {
	sum := sha256.Sum256(body)
	return prefix + hex.EncodeToString(sum[:12])
}
