package store

import (
	"context"
	"fmt"
	"iter"
	"math"
	"strconv"
	"strings"
	"time"

	"halley/internal/usage"
)

var _ usage.QueryStore = (*DB)(nil)

// Statements over usage are put together from these, as the filters ask; a test
// prepares everything that can come out.
const (
	// The inner statement finds the page by an index alone, however deep it is.
	usageEntriesHead = `SELECT id, ` + usageColumns + ` FROM usage_records WHERE id IN (SELECT id FROM usage_records`
	usageEntriesTail = ` ORDER BY time_ms DESC, id DESC LIMIT $1 OFFSET $2) ORDER BY time_ms DESC, id DESC`

	usageSums   = `CAST(COALESCE(SUM(requests), 0) AS BIGINT), CAST(COALESCE(SUM(errors), 0) AS BIGINT), CAST(COALESCE(SUM(tokens_in), 0) AS BIGINT), CAST(COALESCE(SUM(tokens_out), 0) AS BIGINT), CAST(COALESCE(SUM(cost_nano), 0) AS BIGINT), CAST(COALESCE(SUM(latency_ms), 0) AS BIGINT), CAST(COALESCE(SUM(first_byte_ms), 0) AS BIGINT)`
	usageCounts = `COUNT(*) AS requests, COALESCE(SUM(CASE WHEN status >= 400 THEN 1 ELSE 0 END), 0) AS errors, COALESCE(SUM(prompt_tokens), 0) AS tokens_in, COALESCE(SUM(completion_tokens), 0) AS tokens_out, COALESCE(SUM(cost_nano), 0) AS cost_nano, ` +
		`COALESCE(SUM(CASE WHEN status < 400 THEN latency_ms ELSE 0 END), 0) AS latency_ms, COALESCE(SUM(CASE WHEN status < 400 THEN first_byte_ms ELSE 0 END), 0) AS first_byte_ms`
	// Without a model, of all of them.
	sqlUsageCharges = `SELECT model, served_model, grp, prompt_tokens, cached_tokens, write_5m_tokens, write_1h_tokens, completion_tokens, reasoning_tokens, audio_in_tokens, audio_out_tokens, image_in_tokens, image_out_tokens, searches, cost_nano, absorbed_nano
FROM usage_records WHERE time_ms >= $1 AND time_ms < $2 AND usage_source <> 'none' AND ($3 = '' OR model = $3)`

	usageOfKey = ` AND user_id = (SELECT user_id FROM keys WHERE id = `
)

// UsageEntries implements usage.QueryStore.
func (db *DB) UsageEntries(ctx context.Context, f usage.Filter, limit, offset int) ([]usage.Entry, error) {
	text, args := entriesText(f, limit, offset)
	rows, err := db.r.QueryContext(ctx, text, args...)
	if err != nil {
		return nil, fmt.Errorf("select usage: %w", err)
	}
	defer rows.Close()
	var entries []usage.Entry
	for rows.Next() {
		var e usage.Entry
		var at, stream, latency, firstByte int64
		var trail string
		t := &e.Tokens
		err := rows.Scan(&e.ID, &e.EventID, &at, &e.RequestID, &e.KeyID, &e.KeyName, &e.UserID, &e.Model, &e.ServedModel, &e.ChannelID, &e.Group, &e.Dialect, &e.Endpoint, &stream, &e.Status, &e.ErrorCode,
			&t.Prompt, &t.CachedRead, &t.CacheWrite5m, &t.CacheWrite1h, &t.Completion, &t.Reasoning, &t.AudioIn, &t.AudioOut, &t.ImageIn, &t.ImageOut, &t.Searches,
			&e.Cost, &e.Absorbed, &e.Held, &e.PriceVersion, &latency, &firstByte, &e.Attempts, &trail, &e.Source, &e.EndUser, &e.IP,
			&e.ParentID, &e.KeyGrantDelta, &e.ParentGrantDelta, &e.UserGrantDelta)
		if err != nil {
			return nil, fmt.Errorf("scan usage: %w", err)
		}
		e.EventID = strings.TrimPrefix(e.EventID, eventID(e.RequestID, ""))
		e.Time, e.Stream = instant(at), stream != 0
		e.Latency, e.FirstByte = time.Duration(latency)*time.Millisecond, time.Duration(firstByte)*time.Millisecond
		if e.Trail, err = readTrail(trail); err != nil {
			return nil, fmt.Errorf("usage record %d: %w", e.ID, err)
		}
		entries = append(entries, e)
	}
	return entries, rows.Err()
}

// UsageTotals implements usage.QueryStore. Whole hours come from the rollups,
// the rest of the range from the records, in one statement so that both are of
// the same moment.
func (db *DB) UsageTotals(ctx context.Context, f usage.Filter) (usage.Totals, error) {
	text, args := totalsText(f)
	var t usage.Totals
	var latency, firstByte int64
	err := db.r.QueryRowContext(ctx, text, args...).Scan(&t.Requests, &t.Errors, &t.TokensIn, &t.TokensOut, &t.Cost, &latency, &firstByte)
	if err != nil {
		return t, fmt.Errorf("sum up usage: %w", err)
	}
	t.Latency, t.FirstByte = time.Duration(latency)*time.Millisecond, time.Duration(firstByte)*time.Millisecond
	return t, nil
}

// UsageHours implements usage.QueryStore.
func (db *DB) UsageHours(ctx context.Context, by usage.By, of usage.Whose, from, to time.Time) iter.Seq2[usage.HourSums, error] {
	text, args := hoursText(by, of, from, to)
	return db.hourSums(ctx, text, args)
}

// UsageBetween implements usage.QueryStore.
func (db *DB) UsageBetween(ctx context.Context, by usage.By, of usage.Whose, from, to time.Time) iter.Seq2[usage.HourSums, error] {
	text, args := betweenText(by, of, from, to)
	return db.hourSums(ctx, text, args)
}

func (db *DB) hourSums(ctx context.Context, text string, args []any) iter.Seq2[usage.HourSums, error] {
	return func(yield func(usage.HourSums, error) bool) {
		rows, err := db.r.QueryContext(ctx, text, args...)
		if err != nil {
			yield(usage.HourSums{}, fmt.Errorf("select usage hours: %w", err))
			return
		}
		defer rows.Close()
		for rows.Next() {
			var h usage.HourSums
			var at, latency, firstByte int64
			if err := rows.Scan(&at, &h.ID, &h.Name, &h.Requests, &h.Errors, &h.TokensIn, &h.TokensOut, &h.Cost, &latency, &firstByte); err != nil {
				yield(usage.HourSums{}, fmt.Errorf("scan usage hours: %w", err))
				return
			}
			h.Hour = instant(at)
			h.Latency, h.FirstByte = time.Duration(latency)*time.Millisecond, time.Duration(firstByte)*time.Millisecond
			if !yield(h, nil) {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(usage.HourSums{}, fmt.Errorf("select usage hours: %w", err))
		}
	}
}

// UsageCharges implements usage.QueryStore.
func (db *DB) UsageCharges(ctx context.Context, model string, from, to time.Time) iter.Seq2[usage.Charge, error] {
	return func(yield func(usage.Charge, error) bool) {
		rows, err := db.r.QueryContext(ctx, sqlUsageCharges, millis(from), upTo(to), stored(model, maxModel))
		if err != nil {
			yield(usage.Charge{}, fmt.Errorf("select charges: %w", err))
			return
		}
		defer rows.Close()
		for rows.Next() {
			var c usage.Charge
			t := &c.Tokens
			if err := rows.Scan(&c.Model, &c.ServedModel, &c.Group, &t.Prompt, &t.CachedRead, &t.CacheWrite5m, &t.CacheWrite1h, &t.Completion, &t.Reasoning, &t.AudioIn, &t.AudioOut, &t.ImageIn, &t.ImageOut, &t.Searches, &c.Cost, &c.Absorbed); err != nil {
				yield(usage.Charge{}, fmt.Errorf("scan charges: %w", err))
				return
			}
			if !yield(c, nil) {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(usage.Charge{}, fmt.Errorf("select charges: %w", err))
		}
	}
}

// where gathers conditions and their arguments.
type where struct {
	text strings.Builder
	args []any
}

func (w *where) and(condition string, arg any) {
	w.text.WriteString(" AND ")
	w.text.WriteString(condition)
	w.text.WriteString(w.arg(arg))
}

func (w *where) arg(v any) string {
	w.args = append(w.args, v)
	return "$" + strconv.Itoa(len(w.args))
}

// narrow adds what the filter says beside times.
func (w *where) narrow(f usage.Filter) {
	if f.UserID != 0 {
		w.and("user_id = ", f.UserID)
	}
	if f.KeyID != 0 {
		w.and("key_id = ", f.KeyID)
	}
	if f.ChannelID != 0 {
		w.and("channel_id = ", f.ChannelID)
	}
	if f.Model != "" {
		w.and("model = ", stored(f.Model, maxModel))
	}
	if f.Status != 0 {
		w.and("status = ", int64(f.Status))
	}
	if f.Errors {
		w.text.WriteString(" AND status >= 400")
	}
	if f.RequestID != "" {
		// The event id begins with the request id and a dot, which sorts just
		// before a slash: its index finds the rows.
		id := stored(f.RequestID, maxWord)
		w.and("event_id >= ", id+".")
		w.and("event_id < ", id+"/")
		w.and("request_id = ", id)
	}
}

func (w *where) between(column string, from, to int64) {
	w.and(column+" >= ", from)
	w.and(column+" < ", to)
}

func entriesText(f usage.Filter, limit, offset int) (string, []any) {
	w := &where{args: []any{int64(limit), int64(offset)}}
	w.narrow(f)
	if !f.From.IsZero() || !f.To.IsZero() {
		w.between("time_ms", millis(f.From), upTo(f.To))
	}
	if p := f.After; p.ID != 0 {
		// Apart, so that the time's index leads to the place.
		w.and("time_ms <= ", p.Time.UnixMilli())
		w.and("(time_ms < ", p.Time.UnixMilli())
		w.text.WriteString(" OR id < " + w.arg(p.ID) + ")")
	}
	return usageEntriesHead + firstWhere(w.text.String()) + usageEntriesTail, w.args
}

// totalsText sums up [from, to) as the records before the first whole hour, the
// rollups of the whole hours, and the records after the last.
func totalsText(f usage.Filter) (string, []any) {
	from, to := millis(f.From), upTo(f.To)
	w := &where{}
	if f.Status != 0 || f.Errors || f.RequestID != "" { // the rollups do not know these
		w.narrow(f)
		if from > 0 || to < math.MaxInt64 {
			w.between("time_ms", from, to)
		}
		return "SELECT " + usageSums + " FROM (SELECT " + usageCounts + " FROM usage_records" + firstWhere(w.text.String()) + ") AS parts", w.args
	}
	first, last := (from+hour-1)/hour*hour, to-to%hour
	if first > last { // within one hour
		first, last = from, from
	}
	raw := func(from, to int64) string {
		w.text.Reset()
		w.narrow(f)
		w.between("time_ms", from, to)
		return "SELECT " + usageCounts + " FROM usage_records" + firstWhere(w.text.String())
	}
	parts := []string{}
	if first > from {
		parts = append(parts, raw(from, first))
	}
	w.text.Reset()
	w.narrow(f)
	if f.KeyID != 0 && f.UserID == 0 {
		w.text.WriteString(usageOfKey + w.arg(f.KeyID) + ")") // so that the index serves
	}
	w.between("hour_ms", first, last)
	parts = append(parts, "SELECT requests, errors, tokens_in, tokens_out, cost_nano, latency_ms, first_byte_ms FROM usage_hours"+firstWhere(w.text.String()))
	if last < to && to < math.MaxInt64 {
		parts = append(parts, raw(last, to))
	}
	return "SELECT " + usageSums + " FROM (" + strings.Join(parts, " UNION ALL ") + ") AS parts", w.args
}

// split is how a series' part is selected and grouped.
type split struct{ who, join, group string }

func splitBy(by usage.By) split {
	switch by {
	case usage.ByKey:
		return split{"u.key_id, COALESCE(n.name, '')", "LEFT JOIN keys n ON n.id = u.key_id", "u.key_id, n.name"}
	case usage.ByChannel:
		return split{"u.channel_id, COALESCE(n.name, '')", "LEFT JOIN channels n ON n.id = u.channel_id", "u.channel_id, n.name"}
	case usage.ByUser:
		return split{"u.user_id, COALESCE(n.username, '')", "LEFT JOIN users n ON n.id = u.user_id", "u.user_id, n.username"}
	default:
		return split{"0, u.model", "", "u.model"}
	}
}

func hoursText(by usage.By, of usage.Whose, from, to time.Time) (string, []any) {
	w, s := &where{}, splitBy(by)
	w.between("u.hour_ms", millis(from), upTo(to))
	if of.UserID != 0 {
		w.and("u.user_id = ", of.UserID)
	}
	if of.KeyID != 0 {
		w.and("u.key_id = ", of.KeyID)
	}
	return "SELECT u.hour_ms, " + s.who + ", " + sums("u.requests", "u.errors", "u.tokens_in", "u.tokens_out", "u.cost_nano", "u.latency_ms", "u.first_byte_ms") +
		" FROM usage_hours u " + s.join + firstWhere(w.text.String()) + " GROUP BY u.hour_ms, " + s.group, w.args
}

func betweenText(by usage.By, of usage.Whose, from, to time.Time) (string, []any) {
	w, s := &where{}, splitBy(by)
	start := "CAST(" + w.arg(millis(from)) + " AS BIGINT)"
	w.between("u.time_ms", millis(from), upTo(to))
	if of.UserID != 0 {
		w.and("u.user_id = ", of.UserID)
	}
	if of.KeyID != 0 {
		w.and("u.key_id = ", of.KeyID)
	}
	return "SELECT " + start + ", " + s.who + ", " + sums("1", "CASE WHEN u.status >= 400 THEN 1 ELSE 0 END", "u.prompt_tokens", "u.completion_tokens", "u.cost_nano",
		"CASE WHEN u.status < 400 THEN u.latency_ms ELSE 0 END", "CASE WHEN u.status < 400 THEN u.first_byte_ms ELSE 0 END") +
		" FROM usage_records u " + s.join + firstWhere(w.text.String()) + " GROUP BY " + s.group, w.args
}

// sums adds up columns in the width of our integers: PostgreSQL makes them wider.
func sums(columns ...string) string {
	for i, c := range columns {
		columns[i] = "CAST(SUM(" + c + ") AS BIGINT)"
	}
	return strings.Join(columns, ", ")
}

func firstWhere(conditions string) string {
	return strings.Replace(conditions, " AND ", " WHERE ", 1)
}

// upTo is the end of a range; there is none at the zero time.
func upTo(t time.Time) int64 {
	if t.IsZero() {
		return math.MaxInt64
	}
	return t.UnixMilli()
}
