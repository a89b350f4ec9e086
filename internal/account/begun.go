package account

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"time"

	"halley/internal/fault"
	"halley/internal/jsonx"
)

// begunLasts is how long there is to finish what was begun.
const begunLasts = 10 * time.Minute

// begun is something that takes two requests: what the second must fit. It goes
// to the browser sealed and comes back from it, so that any server can finish it
// and nobody fills a table by beginning.
type begun[T any] struct {
	Value   T      `json:"value"`
	UserID  int64  `json:"user_id,omitempty"`
	Session []byte `json:"session,omitempty"` // whose hash; nil for none
	Ends    int64  `json:"ends"`              // Unix seconds
	Chance  []byte `json:"chance"`            // tells two that are alike apart
}

// begin seals the first half. purpose tells one kind of thing from another.
func begin[T any](s *Service, purpose string, b begun[T]) (string, error) {
	b.Ends, b.Chance = s.now().Add(begunLasts).Unix(), randomBytes(8)
	text, err := jsonx.Marshal(b)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(s.begun.Seal(text, []byte(purpose))), nil
}

// resume opens what begin sealed, unless it is too old.
func resume[T any](s *Service, purpose, state string) (begun[T], error) {
	b, err := unseal[T](s, purpose, state)
	if err == nil && s.now().Unix() >= b.Ends {
		err = begunIsOver()
	}
	return b, err
}

// unseal opens what begin sealed, however old.
func unseal[T any](s *Service, purpose, state string) (b begun[T], err error) {
	sealed, err := base64.RawURLEncoding.DecodeString(state)
	if err != nil {
		return b, begunIsOver()
	}
	text, err := s.begun.Open(sealed, []byte(purpose))
	if err != nil {
		return b, begunIsOver()
	}
	if err := jsonx.Unmarshal(text, &b); err != nil {
		return b, err
	}
	return b, nil
}

// finish makes sure that what was begun is finished once.
func (s *Service) finish(ctx context.Context, state string) error {
	hash := sha256.Sum256([]byte(state))
	now := s.now()
	err := s.store.SpendState(ctx, hash[:], now, now.Add(begunLasts))
	if errors.Is(err, ErrThere) {
		return begunIsOver()
	}
	return unavailable(err)
}

func begunIsOver() error {
	return fault.New(fault.Invalid, "invalid_state", "This took too long, or was finished already; begin again.").Field("state")
}
