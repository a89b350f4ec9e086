package adminapi

import (
	"net/http"
	"slices"
	"time"

	"halley/internal/money"
)

// Status is what this server says of itself to anybody.
type Status struct {
	Started time.Time
	Now     func() time.Time
	// Features are the parts that this build has, such as "chat" and
	// "embeddings".
	Features []string
	// LoginMethods are the ways into the console, such as "password".
	LoginMethods []string
}

func (s *Server) statusRoutes() []route {
	return []route{{
		method: http.MethodGet, path: "/api/status", access: public, handle: s.getStatus,
		summary: "Say what this server is", out: typeOf[statusView](),
	}}
}

type statusView struct {
	Version         string   `json:"version"`
	StartTime       int64    `json:"start_time"`
	Uptime          int64    `json:"uptime" doc:"In seconds."`
	QuotaPerUnit    int64    `json:"quota_per_unit" doc:"How many quota units are 1 USD."`
	Features        []string `json:"features"`
	LoginMethods    []string `json:"login_methods" doc:"password; passkey, where passkeys can be used."`
	RegisterEnabled bool     `json:"register_enabled"`
}

func (s *Server) getStatus(c *call) (any, error) {
	methods := s.Status.LoginMethods
	if _, err := s.site(c); err == nil {
		methods = append(slices.Clone(methods), "passkey")
	}
	return statusView{
		Version: s.base.Version, StartTime: s.Status.Started.Unix(), Uptime: int64(s.Status.Now().Sub(s.Status.Started) / time.Second),
		QuotaPerUnit: int64(money.USD / money.Unit), Features: s.Status.Features, LoginMethods: methods,
		RegisterEnabled: s.Options.Current().RegisterEnabled,
	}, nil
}
