package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"halley/internal/app"
	"halley/internal/config"
	"halley/internal/provider/demo"
)

// demoCommand is a server that needs nothing: SQLite, a built-in provider, an
// account, a token and a key.
type demoCommand struct {
	Listen string `help:"Address to listen on; any free port when it is taken." default:"127.0.0.1:8080" placeholder:"HOST:PORT" env:"HALLEY_LISTEN"`
	Dir    string `help:"Where the demo keeps its data." default:"./data/demo" placeholder:"DIR"`
}

// Run seeds the demo on its first start and serves.
func (c demoCommand) Run(r *run) error {
	listen, err := freeAddress(r.ctx, c.Listen)
	if err != nil {
		return err
	}
	password, err := rememberedPassword(c.Dir)
	if err != nil {
		return err
	}
	cfg, err := r.config(
		config.Override{Key: "listen", Value: listen}, config.Override{Key: "data_dir", Value: c.Dir},
		config.Override{Key: "database.url", Value: "sqlite:" + filepath.Join(c.Dir, "halley.db")},
		config.Override{Key: "root_password", Value: password}, config.Override{Key: "log.format", Value: "text"})
	if err != nil {
		return err
	}
	return r.serve(cfg, 25*time.Millisecond, func(a *app.App) error {
		handler, err := a.Local()
		if err != nil {
			return err
		}
		seed := demoSeed{api: &api{base: "http://halley", http: &http.Client{Transport: direct{handler}}}}
		if err := seed.plant(r.ctx); err != nil {
			return fmt.Errorf("set the demo up: %w", err)
		}
		r.print("%s", seed.welcome(a.URL(), password))
		return nil
	})
}

// demoSeed is what the demo starts with.
type demoSeed struct {
	api   *api
	token string
	key   struct {
		ID  int64  `json:"id"`
		Key string `json:"key"`
	}
}

// plant makes what is missing. The token is made anew at every start, because
// its value cannot be read again.
func (s *demoSeed) plant(ctx context.Context) error {
	const name = "demo"
	var channels struct {
		Items []struct {
			Name string `json:"name"`
		} `json:"items"`
	}
	if err := s.api.call(ctx, http.MethodGet, "/api/channel/", nil, nil, &channels); err != nil {
		return err
	}
	if len(channels.Items) == 0 {
		body := map[string]any{"name": name, "kind": "demo", "models": demo.Models(), "groups": []string{"default"}}
		if err := s.api.call(ctx, http.MethodPost, "/api/channel/", nil, body, nil); err != nil {
			return err
		}
	}
	var keys struct {
		Items []struct {
			ID   int64  `json:"id"`
			Key  string `json:"key"`
			Name string `json:"name"`
		} `json:"items"`
	}
	if err := s.api.call(ctx, http.MethodGet, "/api/token/", map[string][]string{"keyword": {name}}, nil, &keys); err != nil {
		return err
	}
	for _, k := range keys.Items {
		if k.Name == name {
			s.key.ID, s.key.Key = k.ID, k.Key
		}
	}
	if s.key.ID == 0 {
		body := map[string]any{"name": name, "remain_quota": 2_500_000, "model_limits_enabled": true, "model_limits": "demo-*"}
		if err := s.api.call(ctx, http.MethodPost, "/api/token/", nil, body, &s.key); err != nil {
			return err
		}
	}
	return s.plantToken(ctx, name)
}

func (s *demoSeed) plantToken(ctx context.Context, name string) error {
	var tokens struct {
		Items []struct {
			ID   int64  `json:"id"`
			Name string `json:"name"`
		} `json:"items"`
	}
	if err := s.api.call(ctx, http.MethodGet, "/api/user/token", nil, nil, &tokens); err != nil {
		return err
	}
	for _, t := range tokens.Items {
		if t.Name == name {
			if err := s.api.call(ctx, http.MethodDelete, fmt.Sprintf("/api/user/token/%d", t.ID), nil, nil, nil); err != nil {
				return err
			}
		}
	}
	var made struct {
		Token string `json:"token"`
	}
	err := s.api.call(ctx, http.MethodPost, "/api/user/token", nil, map[string]any{"name": name, "scope": "full", "expires_at": -1}, &made)
	s.token = made.Token
	return err
}

func (s *demoSeed) welcome(url, password string) string {
	return fmt.Sprintf(`
Halley demo is ready at %[1]s

  console login    root / %[2]s
  access token     %[3]s
  API key          %[4]s   (models demo-*, worth 5 USD)

Try it:

# a streamed chat completion
curl -N %[1]s/v1/chat/completions -H 'Authorization: Bearer %[4]s' -H 'Content-Type: application/json' -d '{"model":"demo-echo","stream":true,"messages":[{"role":"user","content":"Tell me about comets."}]}'

# the key's record, with what it has left
curl %[1]s/api/token/%[5]d -H 'Authorization: %[3]s'

# the same key, refused for a model outside its list
curl %[1]s/v1/chat/completions -H 'Authorization: Bearer %[4]s' -H 'Content-Type: application/json' -d '{"model":"gpt-4o","messages":[{"role":"user","content":"Hi"}]}'

Other models to try: %[6]s
Stop with Ctrl-C; the data stays until you delete it.
`, url, password, s.token, s.key.Key, s.key.ID, strings.Join(demo.Models(), ", "))
}

// freeAddress is the address, or the same host with any free port when somebody
// else listens there.
func freeAddress(ctx context.Context, address string) (string, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err == nil {
		return address, listener.Close()
	}
	host, _, splitErr := net.SplitHostPort(address)
	if splitErr != nil {
		return "", fmt.Errorf("--listen must be HOST:PORT: %w", splitErr)
	}
	return net.JoinHostPort(host, "0"), nil
}

// rememberedPassword is the demo's root password: made on the first start and
// kept beside the data, so that a later start can show it again.
func rememberedPassword(dir string) (string, error) {
	file := filepath.Join(dir, "root-password")
	text, err := os.ReadFile(file) //nolint:gosec // the user's own directory
	if err == nil {
		return strings.TrimSpace(string(text)), nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("read the demo's password: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("make the demo's directory: %w", err)
	}
	password := rand.Text()[:16]
	if err := os.WriteFile(file, []byte(password+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("keep the demo's password: %w", err)
	}
	return password, nil
}
