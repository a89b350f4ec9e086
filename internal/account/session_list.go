package account

import (
	"bytes"
	"context"
	"errors"

	"halley/internal/fault"
)

// Sessions are the caller's sessions that have not expired, the last used
// first.
func (s *Service) Sessions(ctx context.Context, who *Identity) ([]*Session, error) {
	return s.listSessions(ctx, who.User.ID)
}

// EndSession ends one of the caller's sessions, at once.
func (s *Service) EndSession(ctx context.Context, who *Identity, id int64) error {
	return s.endSession(ctx, who.User.ID, id)
}

// EndOtherSessions ends all of the caller's sessions but the one they call
// with, and tells how many there were.
func (s *Service) EndOtherSessions(ctx context.Context, who *Identity) (int64, error) {
	return s.endSessions(ctx, who.User.ID, who.Session)
}

// SessionsOf is Sessions for an administrator who looks at a user's.
func (s *Service) SessionsOf(ctx context.Context, by *Identity, userID int64) ([]*Session, error) {
	if err := s.manages(ctx, by, userID); err != nil {
		return nil, err
	}
	return s.listSessions(ctx, userID)
}

// EndSessionOf is EndSession for an administrator.
func (s *Service) EndSessionOf(ctx context.Context, by *Identity, userID, id int64) error {
	if err := s.manages(ctx, by, userID); err != nil {
		return err
	}
	return s.endSession(ctx, userID, id)
}

// EndSessionsOf ends all sessions of a user on an administrator's behalf, and
// tells how many there were.
func (s *Service) EndSessionsOf(ctx context.Context, by *Identity, userID int64) (int64, error) {
	if err := s.manages(ctx, by, userID); err != nil {
		return 0, err
	}
	return s.endSessions(ctx, userID, nil)
}

// manages refuses whoever may not manage the user.
func (s *Service) manages(ctx context.Context, by *Identity, userID int64) error {
	target, err := s.Owner(ctx, userID)
	if err != nil {
		return err
	}
	return mayManage(by, target)
}

func (s *Service) listSessions(ctx context.Context, userID int64) ([]*Session, error) {
	now := s.now()
	sessions, err := s.store.ListSessions(ctx, userID, SessionsExpired{At: now, IdleSince: now.Add(-sessionIdle)})
	return sessions, unavailable(err)
}

func (s *Service) endSession(ctx context.Context, userID, id int64) error {
	hash, err := s.store.DeleteSessionOf(ctx, userID, id)
	if errors.Is(err, ErrNotFound) {
		return fault.New(fault.NotFound, "session_not_found", "There is no session %d; it may have ended.", id)
	}
	if err != nil {
		// A commit whose answer was lost may have happened.
		s.sessions.dropIf(func(l *liveSession) bool { return l.session.ID == id })
		return unavailable(err)
	}
	s.sessions.drop([32]byte(hash))
	return nil
}

func (s *Service) endSessions(ctx context.Context, userID int64, keep []byte) (int64, error) {
	defer s.sessions.dropIf(func(l *liveSession) bool {
		return l.session.UserID == userID && !bytes.Equal(l.session.Hash, keep)
	})
	n, err := s.store.DeleteOtherSessions(ctx, userID, keep)
	return n, unavailable(err)
}
