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
	Version         string        `json:"version"`
	StartTime       int64         `json:"start_time"`
	Uptime          int64         `json:"uptime" doc:"In seconds."`
	QuotaPerUnit    int64         `json:"quota_per_unit" doc:"How many quota units are 1 USD."`
	Features        []string      `json:"features"`
	LoginMethods    []string      `json:"login_methods" doc:"password; passkey, where passkeys can be used; oidc, where there are login_providers."`
	LoginProviders  []loginButton `json:"login_providers" doc:"Identity providers to sign in at."`
	RegisterEnabled bool          `json:"register_enabled"`
}

// loginButton is an identity provider on the sign-in page.
type loginButton struct {
	Name  string `json:"name"`
	Label string `json:"label"`
	URL   string `json:"url" doc:"Where the browser is sent; return_to may be added."`
}

func (s *Server) loginButtons() []loginButton {
	var buttons []loginButton
	if s.Accounts == nil {
		return nil
	}
	for _, p := range s.Accounts.LoginProviders() {
		if p.Enabled {
			buttons = append(buttons, loginButton{Name: p.Name, Label: p.Label, URL: "/api/user/oidc/" + p.Name + "/begin"})
		}
	}
	return buttons
}

func (s *Server) getStatus(c *call) (any, error) {
	methods, buttons := s.Status.LoginMethods, []loginButton{}
	if _, err := s.site(c); err == nil {
		methods = append(slices.Clone(methods), "passkey")
		buttons = append(buttons, s.loginButtons()...)
	}
	if len(buttons) > 0 {
		methods = append(methods, "oidc")
	}
	return statusView{
		Version: s.base.Version, StartTime: s.Status.Started.Unix(), Uptime: int64(s.Status.Now().Sub(s.Status.Started) / time.Second),
		QuotaPerUnit: int64(money.USD / money.Unit), Features: s.Status.Features, LoginMethods: methods, LoginProviders: buttons,
		RegisterEnabled: s.Options.Current().RegisterEnabled,
	}, nil
}
