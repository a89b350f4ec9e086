package gateway

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"halley/internal/health"
	"halley/internal/usage"
)

// note keeps what became of an attempt that did not serve, as far as there is room
// in the record beside the last one, of which see trail. Attempts that an upstream
// has no words for are as many as there are channels.
func (t *ticket) note(p *plan, o health.Outcome, began time.Time) {
	if len(t.tries) < usage.MaxTries-1 {
		t.tries = append(t.tries, t.recall(p, o, began, t.gateway.Now()))
	}
}

func (t *ticket) recall(p *plan, o health.Outcome, began, ended time.Time) usage.Try {
	return usage.Try{ChannelID: p.channel.ID, Outcome: o.Class.String(), Detail: o.Detail, Began: began.Sub(t.in.Start), Took: ended.Sub(began)}
}

// trail is what became of each attempt, for the record, which is written before
// the last one has ended; nil where the only one served.
func (t *ticket) trail(now time.Time) []usage.Try {
	if !t.trying {
		return t.tries
	}
	c := t.seems()
	if c == health.Success && len(t.tries) == 0 {
		return nil
	}
	return append(t.tries[:len(t.tries):len(t.tries)], t.recall(t.plan, health.Outcome{Class: c}, t.tried, now))
}

// seems is what the attempt under way comes to, by the record.
func (t *ticket) seems() health.Class {
	r := &t.record
	switch {
	case r.Status == statusClientGone:
		return health.ClientGone
	case r.Status >= http.StatusInternalServerError, r.Status == http.StatusOK && r.ErrorCode == codeUpstream:
		return health.Failed
	case r.Status >= http.StatusBadRequest:
		return health.ClientFault
	}
	return health.Success
}

// tellAttempts shows administrators, and nobody else, who was tried.
func (t *ticket) tellAttempts(status int) {
	if t.who.owner == nil || !t.who.owner.Administers() || t.record.Attempts == 0 {
		return
	}
	var trail strings.Builder
	tell := func(channel int64, outcome string) {
		if trail.Len() > 0 {
			trail.WriteString(", ")
		}
		trail.WriteString(strconv.FormatInt(channel, 10) + "=" + outcome)
	}
	for _, one := range t.tries {
		tell(one.ChannelID, one.Outcome)
	}
	if t.trying {
		c := health.Success
		if status != http.StatusOK {
			c = health.ClientFault
		}
		tell(t.plan.channel.ID, c.String())
	}
	t.sink.Header().Set("X-Halley-Attempts", trail.String())
}
