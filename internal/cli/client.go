package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"halley/internal/app"
	"halley/internal/fault"
	"halley/internal/jsonx"
)

// api is the management API as commands call it.
type api struct {
	base  string
	token string // empty over the local socket and in this process
	http  *http.Client
	close func() error
}

// serverFlags say which server a command is for; none means the database of the
// configuration.
type serverFlags struct {
	Server string `help:"Address of a running server, such as https://halley.example.com; needs --token." placeholder:"URL" env:"HALLEY_SERVER"`
	Token  string `help:"Personal access token for --server." placeholder:"TOKEN" env:"HALLEY_TOKEN"`
}

// connect finds the server: the one named, the one that runs on the
// configuration's database, or one in this process on that database.
func (f serverFlags) connect(r *run) (*api, error) {
	if f.Server != "" {
		if f.Token == "" {
			return nil, errors.New("--server needs --token (or HALLEY_TOKEN), a personal access token")
		}
		return &api{base: strings.TrimSuffix(f.Server, "/"), token: f.Token, http: &http.Client{Timeout: time.Minute}, close: func() error { return nil }}, nil
	}
	cfg, err := r.config()
	if err != nil {
		return nil, err
	}
	if a := overSocket(r.ctx, filepath.Join(cfg.DataDir, app.SocketName)); a != nil {
		return a, nil
	}
	built, err := app.Build(r.ctx, cfg, app.Options{Version: r.process.Version, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	a, err := inProcess(r.ctx, built)
	if err != nil {
		return nil, errors.Join(err, built.Close(context.WithoutCancel(r.ctx)))
	}
	return a, nil
}

// overSocket speaks to the server behind a socket file; nil when none answers.
func overSocket(ctx context.Context, file string) *api {
	dial := func(ctx context.Context) (net.Conn, error) { return (&net.Dialer{}).DialContext(ctx, "unix", file) }
	probe, err := dial(ctx)
	if err != nil {
		return nil
	}
	_ = probe.Close()
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) }}
	return &api{base: "http://halley", http: &http.Client{Transport: transport, Timeout: time.Minute}, close: func() error { transport.CloseIdleConnections(); return nil }}
}

// inProcess speaks to the built server directly, unless another one is alive on
// the same database: two would not hear of each other's changes.
func inProcess(ctx context.Context, built *app.App) (*api, error) {
	nodes, err := built.LiveNodes(ctx)
	if err != nil {
		return nil, err
	}
	closing := func() error { return built.Close(context.WithoutCancel(ctx)) }
	for _, n := range nodes {
		if a := overSocket(ctx, n.Socket); a != nil {
			a.close = closing
			return a, nil
		}
		if built.SameHost(n) {
			continue // it died without saying so: its socket does not answer
		}
		return nil, fmt.Errorf("a server runs on this database on the host %s (%s); run the command there, or name it with --server and --token", n.Hostname, n.Listen)
	}
	handler, err := built.Local()
	if err != nil {
		return nil, err
	}
	return &api{base: "http://halley", http: &http.Client{Transport: direct{handler}}, close: closing}, nil
}

// call sends a request and reads the envelope's data into out, which may be nil.
// A refusal is an error with the server's message.
func (a *api) call(ctx context.Context, method, path string, query url.Values, body, out any) error {
	var payload io.Reader
	if body != nil {
		text, err := jsonx.Marshal(body)
		if err != nil {
			return fmt.Errorf("write the request: %w", err)
		}
		payload = bytes.NewReader(text)
	}
	target := a.base + path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, target, payload)
	if err != nil {
		return fmt.Errorf("make the request: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	if a.token != "" {
		req.Header.Set("Authorization", a.token)
	}
	resp, err := a.http.Do(req)
	if err != nil {
		return fmt.Errorf("reach the server: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("read the server's answer: %w", err)
	}
	var envelope struct {
		Success bool        `json:"success"`
		Message string      `json:"message"`
		Code    string      `json:"code"`
		Data    jsonx.Value `json:"data"`
	}
	if err := jsonx.Unmarshal(text, &envelope); err != nil {
		return fmt.Errorf("the server answered %s with something that is not the management API's: %w", resp.Status, err)
	}
	if !envelope.Success {
		return &fault.Error{Kind: fault.Invalid, Code: envelope.Code, Message: envelope.Message}
	}
	if out == nil || len(envelope.Data) == 0 {
		return nil
	}
	if err := jsonx.Unmarshal(envelope.Data, out); err != nil {
		return fmt.Errorf("read the server's answer: %w", err)
	}
	return nil
}

// direct sends requests to a handler in this process.
type direct struct{ handler http.Handler }

// RoundTrip runs the handler and gives what it wrote.
func (d direct) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body == nil {
		req.Body = http.NoBody
	}
	w := &written{header: http.Header{}, status: http.StatusOK}
	d.handler.ServeHTTP(w, req)
	return &http.Response{
		StatusCode: w.status, Status: http.StatusText(w.status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.header, Body: io.NopCloser(&w.body), ContentLength: int64(w.body.Len()), Request: req,
	}, nil
}

type written struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header is the answer's header.
func (w *written) Header() http.Header { return w.header }

// WriteHeader notes the status.
func (w *written) WriteHeader(status int) { w.status = status }

// Write keeps the body.
func (w *written) Write(p []byte) (int, error) { return w.body.Write(p) }

// finish lets go of the server; what it would fail at is of no consequence to
// a command that is done.
func (a *api) finish() { _ = a.close() }
