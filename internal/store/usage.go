package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"

	"halley/internal/budget"
	"halley/internal/money"
	"halley/internal/usage"
)

var _ usage.Store = (*DB)(nil)

// The statements of a batch are a head, one parenthesis of parameters per row,
// and a tail; see bulk.
const (
	usageColumns = `event_id, time_ms, request_id, key_id, key_name, user_id, model, served_model, channel_id, grp, dialect, endpoint, stream, status, error_code, ` +
		`prompt_tokens, cached_tokens, write_5m_tokens, write_1h_tokens, completion_tokens, reasoning_tokens, audio_in_tokens, audio_out_tokens, image_in_tokens, image_out_tokens, searches, ` +
		`cost_nano, absorbed_nano, held_nano, price_version, latency_ms, first_byte_ms, attempts, trail, usage_source, end_user, ip, parent_id, key_grant_nano, parent_grant_nano, user_grant_nano`

	insertUsageHead = `INSERT INTO usage_records (` + usageColumns + `) VALUES `
	insertUsageTail = ` ON CONFLICT (event_id) DO NOTHING`

	// VALUES names its columns column1, column2… on both engines.
	updateKeysHead = `UPDATE keys SET used_nano = used_nano + v.column2, granted_nano = granted_nano + v.column3, accessed_ms = CASE WHEN accessed_ms < v.column4 THEN v.column4 ELSE accessed_ms END FROM (VALUES `
	updateKeysTail = `) AS v WHERE keys.id = v.column1`

	updateUsersHead = `UPDATE users SET used_nano = used_nano + v.column2, granted_nano = granted_nano + v.column3, request_count = request_count + v.column4 FROM (VALUES `
	updateUsersTail = `) AS v WHERE users.id = v.column1`

	upsertHoursHead = `INSERT INTO usage_hours (hour_ms, user_id, key_id, model, channel_id, requests, errors, tokens_in, tokens_out, cost_nano, key_grant_nano, parent_grant_nano, user_grant_nano, latency_ms, first_byte_ms) VALUES `
	upsertHoursTail = ` ON CONFLICT (hour_ms, user_id, key_id, model, channel_id) DO UPDATE SET requests = usage_hours.requests + excluded.requests, errors = usage_hours.errors + excluded.errors, ` +
		`tokens_in = usage_hours.tokens_in + excluded.tokens_in, tokens_out = usage_hours.tokens_out + excluded.tokens_out, cost_nano = usage_hours.cost_nano + excluded.cost_nano, ` +
		`key_grant_nano = usage_hours.key_grant_nano + excluded.key_grant_nano, parent_grant_nano = usage_hours.parent_grant_nano + excluded.parent_grant_nano, user_grant_nano = usage_hours.user_grant_nano + excluded.user_grant_nano, ` +
		`latency_ms = usage_hours.latency_ms + excluded.latency_ms, first_byte_ms = usage_hours.first_byte_ms + excluded.first_byte_ms`
)

// bulk is a statement that takes several rows.
type bulk struct {
	head, tail string
	columns    int
	cast       bool           // spell out that the parameters are integers
	texts      map[int]string // by the number of rows
	prepared   *sql.Stmt      // for one row, on SQLite
}

func newBulks() []*bulk {
	return []*bulk{
		insertUsage: {head: insertUsageHead, tail: insertUsageTail, columns: strings.Count(usageColumns, ",") + 1},
		updateKeys:  {head: updateKeysHead, tail: updateKeysTail, columns: 4, cast: true},
		updateUsers: {head: updateUsersHead, tail: updateUsersTail, columns: 4, cast: true},
		upsertHours: {head: upsertHoursHead, tail: upsertHoursTail, columns: 15},
	}
}

const (
	insertUsage = iota
	updateKeys
	updateUsers
	upsertHours
)

// text is the statement for so many rows. SQLite gets bare parameters: it takes
// $n for a name and looks it up from the front of a list each time it is bound,
// which costs 2 µs on a row of 35 and grows with the square of the rows.
func (b *bulk) text(rows int, numbered bool) string {
	if text, ok := b.texts[rows]; ok {
		return text
	}
	parameter := func(int) string { return "?" }
	if numbered {
		parameter = func(i int) string { return "$" + strconv.Itoa(i+1) }
	}
	var s strings.Builder
	s.WriteString(b.head)
	for i := range rows * b.columns {
		switch {
		case i > 0 && i%b.columns == 0:
			s.WriteString("), (")
		case i > 0:
			s.WriteString(", ")
		default:
			s.WriteString("(")
		}
		if b.cast {
			s.WriteString("CAST(" + parameter(i) + " AS BIGINT)")
		} else {
			s.WriteString(parameter(i))
		}
	}
	s.WriteString(")")
	s.WriteString(b.tail)
	if b.texts == nil {
		b.texts = map[int]string{}
	}
	b.texts[rows] = s.String()
	return b.texts[rows]
}

// rowsPerStatement are the portions that rows are written in. PostgreSQL pays
// per round trip; on SQLite rows cost the same alone as in company.
func (db *DB) rowsPerStatement() []int {
	if db.engine == Postgres {
		return []int{50, 10, 1}
	}
	return []int{1}
}

// usageWriter is what writing batches needs over and over: the prepared
// statements and room for arguments and sums.
type usageWriter struct {
	mu    sync.Mutex
	bulks []*bulk
	args  []any
	fresh []*usage.Record // new to the store
	keys  map[int64]keySums
	users map[int64]userSums
	hours map[hourKey]hourSums
}

type keySums struct {
	used, granted money.Nano
	accessed      int64
}

type userSums struct {
	used, granted money.Nano
	requests      int64
}

type hourKey struct {
	hour, user, key int64
	model           string
	channel         int64
}

type hourSums struct {
	requests, errors, in, out int64
	latency, firstByte        int64 // milliseconds, of those that are no errors
	cost                      money.Nano
	byKey, byParent, byUser   money.Nano // what grants rose by
}

// errSeenBefore says that a statement with many rows met some that are there.
var errSeenBefore = errors.New("some of the records are in the store already")

// ApplyUsage implements usage.Store. A failure that comes of what the records
// hold wraps usage.ErrRejected.
func (db *DB) ApplyUsage(ctx context.Context, batch []usage.Record) error {
	w := &db.usage
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := db.readyUsage(ctx, w); err != nil {
		return err
	}
	err := db.applyUsage(ctx, w, batch, db.rowsPerStatement())
	if errors.Is(err, errSeenBefore) {
		// Row by row it shows which ones: those must not be charged again.
		err = db.applyUsage(ctx, w, batch, []int{1})
	}
	if errors.Is(err, budget.ErrLapsed) {
		err = db.applyLapsed(ctx, w, batch)
	}
	if err != nil && rejected(err) {
		return fmt.Errorf("%w: %w", usage.ErrRejected, err)
	}
	return err
}

// readyUsage prepares the statements once. SQLite's have to be prepared outside
// the transaction, which has the only writer connection; pgx prepares its own.
func (db *DB) readyUsage(ctx context.Context, w *usageWriter) error {
	if w.bulks == nil {
		w.bulks = newBulks()
		w.keys, w.users, w.hours = map[int64]keySums{}, map[int64]userSums{}, map[hourKey]hourSums{}
	}
	for _, b := range w.bulks {
		if db.engine == Postgres || b.prepared != nil {
			continue
		}
		stmt, err := db.w.PrepareContext(ctx, b.text(1, false))
		if err != nil {
			return fmt.Errorf("prepare for usage: %w", err)
		}
		b.prepared = stmt // ends with the connection
	}
	return nil
}

// applyUsage writes the batch in one transaction. It is budget.ErrLapsed when the
// leases of some have lapsed.
func (db *DB) applyUsage(ctx context.Context, w *usageWriter, batch []usage.Record, sizes []int) error {
	return db.tx(ctx, func(tx *sql.Tx) error {
		term, err := db.termOf(ctx, tx, batch)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(batch, func(r usage.Record) bool { return leased(r) && r.Term != term }) {
			return budget.ErrLapsed
		}
		return db.writeUsage(ctx, tx, w, batch, sizes, term)
	})
}

func leased(r usage.Record) bool { return r.Term != 0 }

// termOf is this node's term if any of the batch was leased, else 0.
func (db *DB) termOf(ctx context.Context, tx *sql.Tx, batch []usage.Record) (int64, error) {
	if !slices.ContainsFunc(batch, leased) {
		return 0, nil
	}
	return nodeTerm(ctx, tx, db.node.Load())
}

// applyLapsed writes a batch in which the leases of some records have lapsed: what
// they were held for may have been spent by others since. Each of those is
// charged, in a transaction of its own, as far as its payers can bear it. The
// batch is changed accordingly.
func (db *DB) applyLapsed(ctx context.Context, w *usageWriter, batch []usage.Record) error {
	for i := range batch {
		one := []usage.Record{batch[i]}
		err := db.tx(ctx, func(tx *sql.Tx) error {
			term, err := db.termOf(ctx, tx, one)
			if err != nil {
				return err
			}
			if leased(one[0]) && one[0].Term != term {
				if err := db.bear(ctx, tx, &one[0]); err != nil {
					return err
				}
			}
			return db.writeUsage(ctx, tx, w, one, []int{1}, term)
		})
		if err != nil {
			return err
		}
		batch[i] = one[0]
	}
	return nil
}

// writeUsage writes records and everything that they change. Those of the term
// are taken off the node's leases.
func (db *DB) writeUsage(ctx context.Context, tx *sql.Tx, w *usageWriter, batch []usage.Record, sizes []int, term int64) error {
	w.reset()
	err := db.inBulk(ctx, tx, w, insertUsage, sizes, len(batch), func(args []any, i int) []any {
		return usageArgs(args, &batch[i])
	}, func(first, rows, changed int) error {
		if changed < rows && rows > 1 {
			return errSeenBefore
		}
		if changed == rows {
			for i := first; i < first+rows; i++ {
				w.add(&batch[i])
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("insert usage: %w", err)
	}
	// Sorted, so that nodes lock the rows they share in the same order.
	keys := slices.Sorted(maps.Keys(w.keys))
	err = db.inBulk(ctx, tx, w, updateKeys, sizes, len(keys), func(args []any, i int) []any {
		s := w.keys[keys[i]]
		return append(args, keys[i], int64(s.used), int64(s.granted), s.accessed)
	}, nil)
	if err != nil {
		return fmt.Errorf("charge keys: %w", err)
	}
	users := slices.Sorted(maps.Keys(w.users))
	err = db.inBulk(ctx, tx, w, updateUsers, sizes, len(users), func(args []any, i int) []any {
		s := w.users[users[i]]
		return append(args, users[i], int64(s.used), int64(s.granted), s.requests)
	}, nil)
	if err != nil {
		return fmt.Errorf("charge accounts: %w", err)
	}
	hours := slices.SortedFunc(maps.Keys(w.hours), func(a, b hourKey) int {
		return cmp.Or(cmp.Compare(a.hour, b.hour), cmp.Compare(a.user, b.user), cmp.Compare(a.key, b.key), cmp.Compare(a.model, b.model), cmp.Compare(a.channel, b.channel))
	})
	err = db.inBulk(ctx, tx, w, upsertHours, sizes, len(hours), func(args []any, i int) []any {
		h, s := hours[i], w.hours[hours[i]]
		return append(args, h.hour, h.user, h.key, h.model, h.channel, s.requests, s.errors, s.in, s.out, int64(s.cost), int64(s.byKey), int64(s.byParent), int64(s.byUser), s.latency, s.firstByte)
	}, nil)
	if err != nil {
		return fmt.Errorf("roll usage up: %w", err)
	}
	return db.landLeases(ctx, tx, w.fresh, term)
}

// inBulk runs the statement over n rows, in the largest portions of sizes that
// fit; done hears of each how many rows it changed.
func (db *DB) inBulk(ctx context.Context, tx *sql.Tx, w *usageWriter, which int, sizes []int, n int, row func([]any, int) []any, done func(first, rows, changed int) error) error {
	if n == 0 {
		return nil
	}
	b := w.bulks[which]
	exec := func(rows int) (sql.Result, error) { return tx.ExecContext(ctx, b.text(rows, true), w.args...) }
	if b.prepared != nil {
		// A context that can end costs the driver a goroutine per statement, and
		// these take microseconds.
		ctx := context.WithoutCancel(ctx)
		stmt := tx.StmtContext(ctx, b.prepared)
		defer func() { _ = stmt.Close() }()
		exec = func(int) (sql.Result, error) { return stmt.ExecContext(ctx, w.args...) }
	}
	for at := 0; at < n; {
		rows := 1
		for _, size := range sizes {
			if at+size <= n {
				rows = size
				break
			}
		}
		w.args = w.args[:0]
		for i := range rows {
			w.args = row(w.args, at+i)
		}
		result, err := exec(rows)
		if err != nil {
			return err
		}
		if done != nil {
			changed, err := result.RowsAffected()
			if err != nil {
				return err
			}
			if err := done(at, rows, int(changed)); err != nil {
				return err
			}
		}
		at += rows
	}
	return nil
}

func (w *usageWriter) reset() {
	clear(w.fresh)
	w.fresh = w.fresh[:0]
	clear(w.keys)
	clear(w.users)
	clear(w.hours)
}

const hour = int64(time.Hour / time.Millisecond)

// add counts a record that is new to the store.
func (w *usageWriter) add(r *usage.Record) {
	w.fresh = append(w.fresh, r)
	at := millis(r.Time)
	w.charge(r.KeyID, r, r.KeyGrantDelta)
	if r.ParentID != 0 {
		w.charge(r.ParentID, r, r.ParentGrantDelta)
	}

	u := w.users[r.UserID]
	u.used += r.Cost
	u.granted += r.UserGrantDelta
	u.requests++
	w.users[r.UserID] = u

	id := hourKey{at - at%hour, r.UserID, r.KeyID, stored(r.Model, maxModel), r.ChannelID}
	h := w.hours[id]
	h.requests++
	if r.Status >= 400 {
		h.errors++
	} else {
		h.latency += r.Latency.Milliseconds()
		h.firstByte += r.FirstByte.Milliseconds()
	}
	h.in += r.Tokens.Prompt
	h.out += r.Tokens.Completion
	h.cost += r.Cost
	h.byKey += r.KeyGrantDelta
	h.byParent += r.ParentGrantDelta
	h.byUser += r.UserGrantDelta
	w.hours[id] = h
}

// charge counts a record on the key or on its parent.
func (w *usageWriter) charge(id int64, r *usage.Record, grant money.Nano) {
	k := w.keys[id]
	k.used += r.Cost
	k.granted += grant
	if r.Settled || r.Attempts > 0 { // a refusal is no use of the key
		k.accessed = max(k.accessed, millis(r.Time))
	}
	w.keys[id] = k
}

// eventID is a record's event as it is stored: behind its request id and a dot,
// so that one index serves both.
func eventID(request, event string) string { return request + "." + event }

func usageArgs(args []any, r *usage.Record) []any {
	t := &r.Tokens
	request := stored(r.RequestID, maxWord)
	return append(args, eventID(request, r.EventID), millis(r.Time), request, r.KeyID, stored(r.KeyName, maxWord), r.UserID,
		stored(r.Model, maxModel), stored(r.ServedModel, maxModel), r.ChannelID, stored(r.Group, maxWord), r.Dialect, r.Endpoint, flag(r.Stream), int64(r.Status), stored(r.ErrorCode, maxWord),
		t.Prompt, t.CachedRead, t.CacheWrite5m, t.CacheWrite1h, t.Completion, t.Reasoning, t.AudioIn, t.AudioOut, t.ImageIn, t.ImageOut, t.Searches,
		int64(r.Cost), int64(r.Absorbed), int64(r.Held), stored(r.PriceVersion, maxWord), r.Latency.Milliseconds(), r.FirstByte.Milliseconds(), int64(r.Attempts), trailText(r.Trail), string(r.Source), stored(r.EndUser, maxWord), stored(r.IP, maxWord),
		r.ParentID, int64(r.KeyGrantDelta), int64(r.ParentGrantDelta), int64(r.UserGrantDelta))
}

// What strangers wrote is kept up to so many bytes.
const (
	maxModel = 256
	maxWord  = 256
)

// stored makes text fit for both engines: valid UTF-8, no NUL, not too long. A
// charge must never fail over what somebody wrote in a field.
func stored(s string, most int) string {
	if len(s) <= most && utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 {
		return s
	}
	s = strings.ReplaceAll(strings.ToValidUTF8(s[:min(len(s), most)], "\ufffd"), "\x00", "\ufffd")
	for len(s) > most {
		_, size := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-size]
	}
	return s
}

// rejected reports whether the database refused the data rather than failed:
// trying again would end the same.
func rejected(err error) bool {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		switch e.Code() & 0xff {
		case 18, 19, 20, 25: // TOOBIG, CONSTRAINT, MISMATCH, RANGE
			return true
		}
		return false
	}
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		// 22: data exception, 23: integrity constraint violation.
		return strings.HasPrefix(e.Code, "22") || strings.HasPrefix(e.Code, "23")
	}
	return false
}
