package adminapi

import (
	"time"

	"halley/internal/fault"
	"halley/internal/jsonx"
	"halley/internal/key"
)

// keyRotateBody asks for a new value; without grace_seconds the old one ends at
// once.
type keyRotateBody struct {
	GraceSeconds jsonx.Opt[int64] `json:"grace_seconds"`
}

// keyValueRecord is one of the values a key has had. Values are numbered from 1;
// the key is always masked.
type keyValueRecord struct {
	ID          int64  `json:"id"`
	Key         string `json:"key"`
	Status      string `json:"status"` // current, grace or ended
	CreatedTime int64  `json:"created_time"`
	LastUsed    *int64 `json:"last_used"` // null when never
	EndsAt      int64  `json:"ends_at"`   // -1 for the current one
}

func newKeyValueRecord(v key.ValueView, now time.Time) keyValueRecord {
	record := keyValueRecord{ID: v.Number, Key: v.Masked, Status: "current", CreatedTime: v.Created.Unix(), EndsAt: key.Never}
	if !v.Used.IsZero() {
		record.LastUsed = new(v.Used.Unix())
	}
	if !v.Ends.IsZero() {
		record.Status, record.EndsAt = "ended", v.Ends.Unix()
		if v.InForce(now) {
			record.Status = "grace"
		}
	}
	return record
}

func (s *Server) rotateKey(c *call) (any, error) {
	owner, id, err := s.keyPath(c, true)
	if err != nil {
		return nil, err
	}
	body, err := decode[keyRotateBody](c)
	if err != nil {
		return nil, err
	}
	if err := notNull("grace_seconds", body.GraceSeconds); err != nil {
		return nil, err
	}
	// The domain refuses what is out of bounds; what would overflow is.
	grace := min(max(body.GraceSeconds.Value, -1), int64(key.MaxGrace/time.Second)+1)
	v, value, err := s.Keys.Rotate(c.ctx, owner, id, time.Duration(grace)*time.Second)
	if err != nil {
		return nil, err
	}
	s.trail(c, "key.rotate", keyTarget(id), detail(map[string]any{"grace_seconds": grace}))
	c.setVersion(v.Key.Version)
	return newKeyRecord(v, value, s.Keys.Now()), nil
}

func (s *Server) listKeyValues(c *call) (any, error) {
	owner, id, err := s.keyPath(c, false)
	if err != nil {
		return nil, err
	}
	p, err := c.page()
	if err != nil {
		return nil, err
	}
	values, total, err := s.Keys.ListValues(c.ctx, owner, id, p.Size, p.Offset())
	if err != nil {
		return nil, err
	}
	items := make([]keyValueRecord, 0, len(values))
	for _, v := range values {
		items = append(items, newKeyValueRecord(v, s.Keys.Now()))
	}
	return newPage(p, total, items), nil
}

func (s *Server) endKeyValue(c *call) (any, error) {
	owner, id, err := s.keyPath(c, true)
	if err != nil {
		return nil, err
	}
	number, err := c.pathID("value_id")
	if err != nil {
		return nil, fault.New(fault.NotFound, "value_not_found", "There is no value with the id %q.", c.path("value_id")).Field("value_id")
	}
	if err := s.Keys.EndValue(c.ctx, owner, id, number); err != nil {
		return nil, err
	}
	s.trail(c, "key.value.end", keyTarget(id), detail(map[string]any{"value_id": number}))
	return noData{}, nil
}
