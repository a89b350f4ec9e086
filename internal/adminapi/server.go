// Package adminapi is the management API under /api: one file per resource,
// routes.go is the route table. It turns requests into calls of the domains'
// services and faults into the envelope. It must not know SQL, and holds no
// rule that a domain could hold.
package adminapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"path"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"halley/internal/account"
	"halley/internal/clientip"
	"halley/internal/fault"
	"halley/internal/speech"
)

// MaxBody caps a management request's body.
const MaxBody = 1 << 20

// Authenticator finds out who is calling.
type Authenticator interface {
	AuthenticateToken(ctx context.Context, value string) (*account.Identity, error)
	AuthenticateSession(ctx context.Context, value string) (*account.Identity, error)
}

// Base is what every handler needs.
type Base struct {
	Log  *slog.Logger
	Auth Authenticator
	// LocalIdentity is who calls over the Unix socket, where the file's
	// permissions are the credential.
	LocalIdentity func(ctx context.Context) (*account.Identity, error)
	ClientIP      *clientip.Resolver
	// AllowedOrigins may call from a browser with CORS; none by default.
	AllowedOrigins []string
	// PublicURL is where browsers see this server, as an origin; "" when nobody
	// has said.
	PublicURL string
	Version   string
}

// Server serves the management API.
type Server struct {
	Services
	base   Base
	routes []route
	mux    *http.ServeMux
	origin *http.CrossOriginProtection
	// document is the OpenAPI document, made when somebody first asks.
	document func() ([]byte, error)
	// languages are those in which people are told what went wrong.
	languages *speech.Languages
}

// New builds the server from the services it speaks for.
func New(base Base, services Services) (*Server, error) {
	s := &Server{Services: services, base: base, mux: http.NewServeMux(), origin: http.NewCrossOriginProtection(), languages: speech.New()}
	for _, origin := range base.AllowedOrigins {
		if origin == "*" {
			continue // any page may call with a token; a session stays the console's own
		}
		if err := s.origin.AddTrustedOrigin(origin); err != nil {
			return nil, errors.Join(errors.New("cors.allowed_origins: "+origin), err)
		}
	}
	s.routes = s.table()
	s.document = sync.OnceValues(s.renderOpenAPI)
	for _, rt := range s.routes {
		for _, pattern := range rt.patterns() {
			s.mux.Handle(pattern, s.handler(rt))
		}
	}
	s.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.fail(w, r, fault.New(fault.NotFound, "not_found", "There is no %s %s.", r.Method, r.URL.Path))
	})
	return s, nil
}

// ServeHTTP serves callers who show a personal access token or a session.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodOptions {
		s.cors(w, r)
		w.WriteHeader(http.StatusNoContent)
		return
	}
	s.cors(w, r)
	if clean := path.Clean(r.URL.Path); clean != strings.TrimSuffix(r.URL.Path, "/") {
		// ServeMux would redirect, which drops bodies.
		s.fail(w, r, fault.New(fault.NotFound, "not_found", "There is no %s %s.", r.Method, r.URL.Path))
		return
	}
	s.mux.ServeHTTP(w, r)
}

// Local serves the Unix socket: whoever can open it acts as root.
func (s *Server) Local() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), localKey{}, true)))
	})
}

// localKey marks a request that came over the Unix socket; it is the
// connection's fact, not the request's, so no header can forge it.
type localKey struct{}

func (s *Server) cors(w http.ResponseWriter, r *http.Request) {
	origin := r.Header.Get("Origin")
	if origin == "" || len(s.base.AllowedOrigins) == 0 {
		return
	}
	h := w.Header()
	h.Add("Vary", "Origin")
	for _, allowed := range s.base.AllowedOrigins {
		if origin != allowed && allowed != "*" {
			continue
		}
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, If-Match")
		h.Set("Access-Control-Allow-Methods", "GET, POST, PUT, PATCH, DELETE")
		h.Set("Access-Control-Expose-Headers", "ETag, X-Request-Id")
	}
}

// handler runs one route: body, credential, role, handler, answer.
func (s *Server) handler(rt route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := &call{ctx: r.Context(), request: r, ip: s.base.ClientIP.Of(r), languageOf: s.languageOf}
		result, err := s.safely(rt, c, w)
		if err != nil {
			s.fail(w, r, err)
			return
		}
		for name, values := range c.header {
			w.Header()[name] = values
		}
		s.succeed(w, r, result)
	})
}

// safely turns a panic of a handler into an answer; net/http would only cut the
// connection.
func (s *Server) safely(rt route, c *call, w http.ResponseWriter) (result any, err error) {
	defer func() {
		if reason := recover(); reason != nil {
			s.base.Log.LogAttrs(c.ctx, slog.LevelError, "panic while serving a request",
				slog.String("request_id", requestID(c.request)), slog.String("panic", fmt.Sprint(reason)), slog.String("stack", string(debug.Stack())))
			result, err = nil, fault.New(fault.Internal, "internal_error", "Something went wrong on our side.")
		}
	}()
	return s.run(rt, c, w)
}

func (s *Server) run(rt route, c *call, w http.ResponseWriter) (any, error) {
	r := c.request
	if len(r.Header.Values("Authorization")) > 1 {
		return nil, fault.New(fault.Malformed, "repeated_header", "The Authorization header is given more than once.").Field("Authorization")
	}
	// A parameter that cannot be read must not count as one that is missing:
	// status_only=true; would change everything, keyword=100% list everything.
	// The library's error quotes the text, which may be a key.
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, fault.New(fault.Malformed, "invalid_query", "The query cannot be read: a percent sign or a semicolon in a parameter must be percent-encoded.")
	}
	c.query = query
	if rt.access != public && rt.access != ownCredential {
		who, err := s.identify(r)
		if err != nil {
			return nil, err
		}
		if err := permit(rt, r.Method, who); err != nil {
			return nil, err
		}
		in := *who
		in.RequestID = requestID(r)
		c.who = &in
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		body, err := readBody(w, r)
		if err != nil {
			return nil, err
		}
		c.body = body
	}
	return rt.handle(c)
}

// readBody reads the whole body, unless it is too large, and then lifts the read
// deadline that the server has set for it.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	tooLarge := fault.New(fault.TooLarge, "request_too_large", "The body is larger than %d bytes.", MaxBody)
	if r.ContentLength > MaxBody {
		return nil, tooLarge
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	if _, over := errors.AsType[*http.MaxBytesError](err); over {
		return nil, tooLarge
	}
	if err != nil {
		return nil, fault.Wrap(err, fault.Malformed, "invalid_body", "The body could not be read to its end.")
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{}) // not every writer has one
	return body, nil
}
