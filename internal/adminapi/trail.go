package adminapi

import (
	"context"
	"log/slog"

	"halley/internal/audit"
)

// trail notes a change that was made, as "record.verb" ("channel.update") of
// "record id" ("channel 7"); detail names fields, never a secret. A note that
// cannot be written does not undo the change, so that is only logged.
func (s *Server) trail(c *call, action, target, detail string) {
	entry := audit.Entry{Action: action, Target: target, Detail: detail}
	if c.who != nil {
		entry.Actor = c.who.User.ID
	}
	if c.ip.IsValid() {
		entry.IP = c.ip.String()
	}
	// The caller may have left, but the change is made.
	if err := s.Audit.Record(context.WithoutCancel(c.ctx), entry); err != nil {
		s.base.Log.LogAttrs(c.ctx, slog.LevelError, "a change could not be noted in the audit trail",
			slog.String("request_id", requestID(c.request)), slog.String("action", action), slog.String("target", target), slog.String("error", err.Error()))
	}
}
