package adminapi

import (
	"bytes"
	"net/http"
	"strconv"

	"halley/internal/account"
)

// sessionView is somebody's signed-in browser.
type sessionView struct {
	ID          int64  `json:"id"`
	CreatedTime int64  `json:"created_time"`
	SeenTime    int64  `json:"seen_time" doc:"The last use, to the minute."`
	ExpiresAt   int64  `json:"expires_at" doc:"When it ends, however much it is used; unused it ends earlier."`
	IP          string `json:"ip" doc:"Where it was opened from."`
	UserAgent   string `json:"user_agent"`
	Method      string `json:"method" doc:"How its owner signed in, such as password."`
	Current     bool   `json:"current" doc:"Whether this very request is made with it."`
}

func (s *Server) sessionRoutes() []route {
	return []route{
		{
			method: http.MethodGet, path: "/api/user/session", access: anyUser, handle: s.listSessions, summary: "One's own sessions, the last used first",
			out: typeOf[pageOf[sessionView]](), query: []string{"p", "page_size"},
		},
		{
			method: http.MethodDelete, path: "/api/user/session", access: anyUser, handle: s.endOtherSessions, summary: "End all of one's other sessions; the data is how many there were",
			out: typeOf[int64](),
		},
		{
			method: http.MethodDelete, path: "/api/user/session/{id}", access: anyUser, handle: s.endSession, summary: "End one of one's own sessions",
		},
		{
			method: http.MethodGet, path: "/api/user/{id}/session", access: adminOnly, handle: s.listSessionsOf, summary: "A user's sessions, the last used first",
			out: typeOf[pageOf[sessionView]](), query: []string{"p", "page_size"},
		},
		{
			method: http.MethodDelete, path: "/api/user/{id}/session/{session}", access: adminOnly, handle: s.endSessionOf, summary: "End a user's session",
		},
		{
			method: http.MethodPost, path: "/api/user/{id}/logout", access: adminOnly, handle: s.endSessionsOf, summary: "End all of a user's sessions; the data is how many there were",
			out: typeOf[int64](),
		},
	}
}

func (s *Server) listSessions(c *call) (any, error) {
	p, err := c.page()
	if err != nil {
		return nil, err
	}
	sessions, err := s.Accounts.Sessions(c.ctx, c.who)
	if err != nil {
		return nil, err
	}
	return pageOfSlice(p, sessions, c.viewSession), nil
}

func (s *Server) listSessionsOf(c *call) (any, error) {
	id, err := c.pathID("id")
	if err != nil {
		return nil, err
	}
	p, err := c.page()
	if err != nil {
		return nil, err
	}
	sessions, err := s.Accounts.SessionsOf(c.ctx, c.who, id)
	if err != nil {
		return nil, err
	}
	return pageOfSlice(p, sessions, c.viewSession), nil
}

func (c *call) viewSession(session *account.Session) sessionView {
	return sessionView{
		ID: session.ID, CreatedTime: session.Created.Unix(), SeenTime: session.Seen.Unix(), ExpiresAt: session.Ends.Unix(),
		IP: session.IP, UserAgent: session.UserAgent, Method: string(session.Method), Current: bytes.Equal(session.Hash, c.who.Session),
	}
}

func (s *Server) endSession(c *call) (any, error) {
	id, err := c.pathID("id")
	if err != nil {
		return nil, err
	}
	if err := s.Accounts.EndSession(c.ctx, c.who, id); err != nil {
		return nil, err
	}
	s.trail(c, "session.end", sessionTarget(id), "")
	return noData{}, nil
}

func (s *Server) endOtherSessions(c *call) (any, error) {
	n, err := s.Accounts.EndOtherSessions(c.ctx, c.who)
	if err != nil {
		return nil, err
	}
	s.trail(c, "user.end_sessions", userTarget(c.who.User.ID), detail(map[string]any{"sessions": n}))
	return n, nil
}

func (s *Server) endSessionOf(c *call) (any, error) {
	userID, err := c.pathID("id")
	if err != nil {
		return nil, err
	}
	id, err := c.pathID("session")
	if err != nil {
		return nil, err
	}
	if err := s.Accounts.EndSessionOf(c.ctx, c.who, userID, id); err != nil {
		return nil, err
	}
	s.trail(c, "session.end", sessionTarget(id), detail(map[string]any{"user_id": userID}))
	return noData{}, nil
}

func (s *Server) endSessionsOf(c *call) (any, error) {
	id, err := c.pathID("id")
	if err != nil {
		return nil, err
	}
	n, err := s.Accounts.EndSessionsOf(c.ctx, c.who, id)
	if err != nil {
		return nil, err
	}
	s.trail(c, "user.end_sessions", userTarget(id), detail(map[string]any{"sessions": n}))
	return n, nil
}

func sessionTarget(id int64) string { return "session " + strconv.FormatInt(id, 10) }
