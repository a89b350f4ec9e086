// Package kept owns responses that their clients may ask for again and go on
// from: whose they are, how long and how much of them is kept, and that the
// database alone cannot read them. It must not know what items look like, SQL,
// or the request that made a response.
package kept

import (
	"bytes"
	"compress/flate"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"halley/internal/fault"
	"halley/internal/jsonx"
	"halley/internal/seal"
)

// Response is one response with what it answered. Only its own turn is in it:
// what came before is in the response that Previous names.
type Response struct {
	KeyID int64
	ID    string
	// Previous is the response that this one goes on from, "" for none.
	Previous string
	// Root is the first response of the conversation, this one's own id when it is.
	Root string
	// Channel is the upstream that keeps it as well, under the same id, and
	// Credential whose it is there; 0 when none does.
	Channel    int64
	Credential string
	Created    time.Time
	// Input are the items that were new with it, a JSON list.
	Input jsonx.Value
	// Body is the response as its client got it.
	Body jsonx.Value
	// Items are the ids of its output's items, by which later input may refer to
	// them. They are written, not read.
	Items []string
}

// Row is a response as it is stored.
type Row struct {
	Response         // without Input and Body
	Content   []byte // sealed
	ExpiresAt time.Time
}

// ErrNotFound is what a Store says of a response that is not there.
var ErrNotFound = errors.New("no such response")

// Store keeps rows.
type Store interface {
	// InsertKept adds a row, lets all of its conversation last about as long as it
	// does, and drops the oldest of the key's until their content is at most most bytes.
	// An id that the key has already stays what it was.
	InsertKept(ctx context.Context, r *Row, most int64) error
	// Kept gives a row, ErrNotFound when the key has none of that id or it has
	// expired.
	Kept(ctx context.Context, keyID int64, id string, now time.Time) (*Row, error)
	// KeptThread gives the rows of the conversation with that root, in any order.
	KeptThread(ctx context.Context, keyID int64, root string, now time.Time) ([]*Row, error)
	// KeptWithItem gives the row with an item of that id, or ErrNotFound.
	KeptWithItem(ctx context.Context, keyID int64, item string, now time.Time) (*Row, error)
	// DeleteKept reports whether there was one.
	DeleteKept(ctx context.Context, keyID int64, id string) (bool, error)
	// DropKept drops at most limit rows that have expired or whose key is gone, and
	// says how many.
	DropKept(ctx context.Context, now time.Time, limit int) (int64, error)
}

// Rules are how much is kept.
type Rules struct {
	// For is how long; 0 keeps nothing.
	For time.Duration
	// PerKey bounds the content of one key's, in bytes as stored.
	PerKey int64
}

// Service keeps responses.
type Service struct {
	store Store
	box   *seal.Box
	rules func() Rules
	now   func() time.Time
}

// NewService makes the service. The box seals what was said.
func NewService(store Store, box *seal.Box, rules func() Rules, now func() time.Time) *Service {
	return &Service{store: store, box: box, rules: rules, now: now}
}

// On reports whether anything is kept.
func (s *Service) On() bool { return s.rules().For > 0 }

// maxThread bounds how many responses a conversation may go back.
const maxThread = 10_000

// Keep stores a response of now. One that is larger than all that a key may keep
// is a TooLarge fault.
func (s *Service) Keep(ctx context.Context, r *Response) error {
	rules := s.rules()
	if rules.For <= 0 {
		return nil
	}
	sealed, err := s.seal(r)
	if err != nil {
		return err
	}
	if int64(len(sealed)) > rules.PerKey {
		return fault.New(fault.TooLarge, "response_too_large", "The response is larger than what one key may keep.")
	}
	row := &Row{Response: *r, Content: sealed, ExpiresAt: r.Created.Add(rules.For)}
	return unavailable(s.store.InsertKept(ctx, row, rules.PerKey))
}

// Get gives a response of the key's; another's is a NotFound fault, too.
func (s *Service) Get(ctx context.Context, keyID int64, id string) (*Response, error) {
	row, err := s.store.Kept(ctx, keyID, id, s.now())
	return s.opened(row, err, id)
}

// WithItem gives the key's response that has an item of that id in its output.
func (s *Service) WithItem(ctx context.Context, keyID int64, item string) (*Response, error) {
	row, err := s.store.KeptWithItem(ctx, keyID, item, s.now())
	if errors.Is(err, ErrNotFound) {
		return nil, fault.New(fault.NotFound, "item_not_found", "Item with id '%s' not found.", clip(item))
	}
	return s.opened(row, err, item)
}

// Thread gives the conversation up to the response, from its beginning. A
// NotFound fault names what of it is missing.
func (s *Service) Thread(ctx context.Context, keyID int64, id string) ([]*Response, error) {
	last, err := s.Get(ctx, keyID, id)
	if err != nil || last.Previous == "" {
		return []*Response{last}, err
	}
	rows, err := s.store.KeptThread(ctx, keyID, last.Root, s.now())
	if err != nil {
		return nil, unavailable(err)
	}
	byID := make(map[string]*Row, len(rows))
	for _, row := range rows {
		byID[row.ID] = row
	}
	thread := []*Response{last}
	delete(byID, id)
	for previous := last.Previous; previous != ""; {
		row := byID[previous]
		if row == nil || len(thread) == maxThread {
			return nil, notFound(previous)
		}
		r, err := s.opened(row, nil, previous)
		if err != nil {
			return nil, err
		}
		delete(byID, previous) // no conversation goes in circles
		thread, previous = append(thread, r), r.Previous
	}
	for i, j := 0, len(thread)-1; i < j; i, j = i+1, j-1 {
		thread[i], thread[j] = thread[j], thread[i]
	}
	return thread, nil
}

// Delete drops a response of the key's.
func (s *Service) Delete(ctx context.Context, keyID int64, id string) error {
	there, err := s.store.DeleteKept(ctx, keyID, id)
	if err != nil {
		return unavailable(err)
	}
	if !there {
		return notFound(id)
	}
	return nil
}

// dropAtOnce is how many rows one statement drops, so that nobody waits for it.
const dropAtOnce = 500

// Sweep drops what has expired and what belonged to keys that are gone.
func (s *Service) Sweep(ctx context.Context) error {
	for {
		n, err := s.store.DropKept(ctx, s.now(), dropAtOnce)
		if err != nil || n < dropAtOnce {
			return err
		}
	}
}

func (s *Service) opened(row *Row, err error, id string) (*Response, error) {
	if errors.Is(err, ErrNotFound) {
		return nil, notFound(id)
	}
	if err != nil {
		return nil, unavailable(err)
	}
	r := row.Response
	if err := s.open(&r, row.Content); err != nil {
		return nil, fmt.Errorf("read the kept response %s: %w", id, err)
	}
	return &r, nil
}

// content is what is sealed.
type content struct {
	Input jsonx.Value `json:"input"`
	Body  jsonx.Value `json:"body"`
}

// bound ties the content to its row.
func bound(r *Response) []byte { return []byte(strconv.FormatInt(r.KeyID, 10) + " " + r.ID) }

func (s *Service) seal(r *Response) ([]byte, error) {
	text, err := jsonx.Marshal(content{r.Input, r.Body})
	if err != nil {
		return nil, fmt.Errorf("write a response: %w", err)
	}
	var small bytes.Buffer
	w, err := flate.NewWriter(&small, flate.BestSpeed)
	if err == nil {
		_, err = w.Write(text)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("compress a response: %w", err)
	}
	return s.box.Seal(small.Bytes(), bound(r)), nil
}

// maxContent bounds what a stored response may grow to when it is read.
const maxContent = 256 << 20

func (s *Service) open(r *Response, sealed []byte) error {
	small, err := s.box.Open(sealed, bound(r))
	if err != nil {
		return err
	}
	text, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(small)), maxContent))
	if err != nil {
		return err
	}
	var c content
	if err := jsonx.Unmarshal(text, &c); err != nil {
		return err
	}
	r.Input, r.Body = c.Input, c.Body
	return nil
}

func notFound(id string) error {
	return fault.New(fault.NotFound, "response_not_found", "Response with id '%s' not found.", clip(id))
}

// clip bounds how much of a client's text an error repeats.
func clip(id string) string {
	const most = 100
	if len(id) > most {
		return id[:most] + "…"
	}
	return id
}

func unavailable(err error) error {
	if err == nil {
		return nil
	}
	return fault.Wrap(err, fault.Unavailable, "store_unavailable", "The database cannot be reached right now; try again shortly.").Retry(2 * time.Second)
}
