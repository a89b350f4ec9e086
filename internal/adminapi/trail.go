package adminapi

import (
	"bytes"
	"context"
	"log/slog"

	"halley/internal/audit"
	"halley/internal/jsonx"
)

// trail notes a change that was made, as "record.verb" ("channel.update") of
// "record id" ("channel 7"); detail names fields, never a secret. A note that
// cannot be written does not undo the change, so that is only logged.
func (s *Server) trail(c *call, action, target, detail string) {
	s.trailChange(c, action, target, detail, nil, nil)
}

// trailChange is trail with the record as it was and as it is, as they are shown;
// nil where there was none. Only what differs is noted. Between reading and
// changing a record somebody else may change it, too: then what was is what they
// found.
func (s *Server) trailChange(c *call, action, target, detail string, before, after any) {
	entry := audit.Entry{Action: action, Target: target, Detail: detail, RequestID: requestID(c.request)}
	entry.Before, entry.After = difference(before, after)
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

// untold reports members that no trail has: values that open something, and
// those that change by themselves.
func untold(member string) bool {
	switch member {
	case "key", "token", "password", "client_secret":
		return true
	case "accessed_time", "used_quota", "held_quota", "request_count", "version":
		return true
	}
	return false
}

// longMember is the longest member that is noted, in bytes.
const longMember = 2000

// difference gives the members of two records that differ, as two JSON objects;
// "" for a record that is not there.
func difference(before, after any) (was, is string) {
	old, fresh := members(before), members(after)
	if old != nil && fresh != nil {
		for name, value := range old {
			if other, there := fresh[name]; there && bytes.Equal(value, other) {
				delete(old, name)
				delete(fresh, name)
			}
		}
	}
	return written(old), written(fresh)
}

// members are a record's members that may be told, in canonical form.
func members(record any) map[string]jsonx.Value {
	if record == nil {
		return nil
	}
	all := map[string]jsonx.Value{}
	text, err := jsonx.Marshal(record)
	if err != nil || jsonx.Unmarshal(text, &all) != nil {
		return map[string]jsonx.Value{} // records of our own can be written
	}
	for name, value := range all {
		switch {
		case untold(name):
			delete(all, name)
		case len(value) > longMember:
			all[name] = jsonx.Value(`"(long)"`)
		}
	}
	return all
}

func written(all map[string]jsonx.Value) string {
	if all == nil {
		return ""
	}
	text, err := jsonx.Marshal(all)
	if err != nil {
		return "" // see members
	}
	return string(text)
}
