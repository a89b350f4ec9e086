package adminapi

import (
	"net/http"
	"strconv"

	"halley/internal/account"
	"halley/internal/jsonx"
)

// accessTokenView is a personal access token without its value.
type accessTokenView struct {
	ID           int64  `json:"id"`
	Name         string `json:"name"`
	Scope        string `json:"scope" enum:"full,read"`
	Last4        string `json:"last4"`
	CreatedTime  int64  `json:"created_time"`
	AccessedTime int64  `json:"accessed_time"`
	ExpiresAt    int64  `json:"expires_at" doc:"-1 is never."`
}

// accessTokenOnceView is the one answer that has the value.
type accessTokenOnceView struct {
	ID           int64  `json:"id"`
	Name         string `json:"name"`
	Scope        string `json:"scope" enum:"full,read"`
	Token        string `json:"token" doc:"The value, shown only here."`
	Last4        string `json:"last4"`
	CreatedTime  int64  `json:"created_time"`
	AccessedTime int64  `json:"accessed_time"`
	ExpiresAt    int64  `json:"expires_at" doc:"-1 is never."`
}

type accessTokenBody struct {
	Name      jsonx.Opt[string] `json:"name" required:"true"`
	Scope     jsonx.Opt[string] `json:"scope" enum:"full,read" doc:"full when left out."`
	ExpiresAt jsonx.Opt[int64]  `json:"expires_at" doc:"-1 is never, as when left out. A token that expires makes none that expires later, and left out the same."`
}

func (s *Server) accessTokenRoutes() []route {
	return []route{
		{
			method: http.MethodPost, path: "/api/user/token", access: anyUser, handle: s.createAccessToken, summary: "Make a personal access token; its value is shown only now",
			in: typeOf[accessTokenBody](), out: typeOf[accessTokenOnceView](),
		},
		{
			method: http.MethodGet, path: "/api/user/token", access: anyUser, handle: s.listAccessTokens, summary: "One's own personal access tokens, newest first",
			out: typeOf[pageOf[accessTokenView]](), query: []string{"p", "page_size"},
		},
		{
			method: http.MethodDelete, path: "/api/user/token/{id}", access: anyUser, handle: s.deleteAccessToken, summary: "End a personal access token",
		},
		{
			method: http.MethodGet, path: "/api/user/{id}/token", access: adminOnly, handle: s.listAccessTokensOf, summary: "A user's personal access tokens, newest first",
			out: typeOf[pageOf[accessTokenView]](), query: []string{"p", "page_size"},
		},
		{
			method: http.MethodDelete, path: "/api/user/{id}/token/{token}", access: adminOnly, handle: s.deleteAccessTokenOf, summary: "End a user's personal access token",
		},
	}
}

func (s *Server) createAccessToken(c *call) (any, error) {
	body, err := decode[accessTokenBody](c)
	if err != nil {
		return nil, err
	}
	if err := firstError(notNull("name", body.Name), notNull("scope", body.Scope), notNull("expires_at", body.ExpiresAt)); err != nil {
		return nil, err
	}
	n := account.NewToken{Name: body.Name.Value, Scope: account.ScopeFull, ExpiresAt: c.who.LongestToken()}
	if body.Scope.Set {
		n.Scope = account.Scope(body.Scope.Value)
	}
	if body.ExpiresAt.Set {
		n.ExpiresAt = body.ExpiresAt.Value
	}
	value, t, err := s.Accounts.CreateToken(c.ctx, c.who, n)
	if err != nil {
		return nil, err
	}
	s.trail(c, "access_token.create", accessTokenTarget(t.ID), detail(map[string]any{"name": t.Name, "scope": t.Scope, "expires_at": t.ExpiresAt, "last4": t.Last4}))
	return accessTokenOnceView{
		ID: t.ID, Name: t.Name, Scope: string(t.Scope), Token: value, Last4: t.Last4,
		CreatedTime: t.Created.Unix(), AccessedTime: t.Accessed.Unix(), ExpiresAt: t.ExpiresAt,
	}, nil
}

func (s *Server) listAccessTokens(c *call) (any, error) {
	p, err := c.page()
	if err != nil {
		return nil, err
	}
	tokens, total, err := s.Accounts.Tokens(c.ctx, c.who, p.Offset(), p.Size)
	if err != nil {
		return nil, err
	}
	return newPage(p, total, viewAccessTokens(tokens)), nil
}

func (s *Server) listAccessTokensOf(c *call) (any, error) {
	id, err := c.pathID("id")
	if err != nil {
		return nil, err
	}
	p, err := c.page()
	if err != nil {
		return nil, err
	}
	tokens, total, err := s.Accounts.TokensOf(c.ctx, c.who, id, p.Offset(), p.Size)
	if err != nil {
		return nil, err
	}
	return newPage(p, total, viewAccessTokens(tokens)), nil
}

func viewAccessTokens(tokens []*account.Token) []accessTokenView {
	items := make([]accessTokenView, 0, len(tokens))
	for _, t := range tokens {
		items = append(items, accessTokenView{
			ID: t.ID, Name: t.Name, Scope: string(t.Scope), Last4: t.Last4,
			CreatedTime: t.Created.Unix(), AccessedTime: t.Accessed.Unix(), ExpiresAt: t.ExpiresAt,
		})
	}
	return items
}

func (s *Server) deleteAccessToken(c *call) (any, error) {
	id, err := c.pathID("id")
	if err != nil {
		return nil, err
	}
	if err := s.Accounts.DeleteToken(c.ctx, c.who, id); err != nil {
		return nil, err
	}
	s.trail(c, "access_token.delete", accessTokenTarget(id), "")
	return noData{}, nil
}

func (s *Server) deleteAccessTokenOf(c *call) (any, error) {
	userID, err := c.pathID("id")
	if err != nil {
		return nil, err
	}
	id, err := c.pathID("token")
	if err != nil {
		return nil, err
	}
	if err := s.Accounts.DeleteTokenOf(c.ctx, c.who, userID, id); err != nil {
		return nil, err
	}
	s.trail(c, "access_token.delete", accessTokenTarget(id), detail(map[string]any{"user_id": userID}))
	return noData{}, nil
}

func accessTokenTarget(id int64) string { return "access token " + strconv.FormatInt(id, 10) }
