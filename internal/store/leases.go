package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"halley/internal/budget"
	"halley/internal/fault"
	"halley/internal/money"
	"halley/internal/usage"
)

// Leases is what one node of several that share a PostgreSQL has leased. It
// implements budget.Leases; the node's signs of life are here, too.
type Leases struct {
	db   *DB
	node int64
	// nodes is how many are at work, as last seen.
	nodes atomic.Int64
}

var _ budget.Leases = (*Leases)(nil)

// Node is the node's id.
func (l *Leases) Node() int64 { return l.node }

// RecallChannel is where a node hears that others want what it does not use. The
// payload is the subject, see RecalledSubject.
const RecallChannel = "halley_recall"

// Rows of leases are locked in the order of their primary key wherever a
// statement may meet several, so that no two transactions wait for each other.
const (
	leaseColumns   = `purse, start_ms, end_ms, taken_nano, landed_nano, held_nano`
	leaseOfSubject = ` FROM leases WHERE kind = $1 AND subject_id = $2`

	sqlLeasesOwn     = `SELECT ` + leaseColumns + leaseOfSubject + ` AND node_id = $3 ORDER BY purse, start_ms`
	sqlLeasesAll     = `SELECT node_id, ` + leaseColumns + leaseOfSubject
	sqlLeasePut      = `INSERT INTO leases (kind, subject_id, purse, start_ms, node_id, end_ms, taken_nano, landed_nano, held_nano) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (kind, subject_id, purse, start_ms, node_id) DO UPDATE SET taken_nano = excluded.taken_nano, held_nano = excluded.held_nano`
	sqlLeaseKeep     = `UPDATE leases SET taken_nano = $1, held_nano = $2, answered = recalls WHERE kind = $3 AND subject_id = $4 AND purse = $5 AND start_ms = $6 AND node_id = $7`
	sqlLeaseEnd      = `DELETE FROM leases WHERE kind = $1 AND subject_id = $2 AND purse = $3 AND start_ms = $4 AND node_id = $5`
	sqlLeasesDrop    = `DELETE` + leaseOfSubject + ` AND node_id = $3`
	sqlLeasesDropAll = `DELETE FROM leases WHERE node_id = $1`
	sqlLeasesTidy    = `DELETE FROM leases WHERE node_id = $1 AND (end_ms < $2 OR taken_nano <= landed_nano AND held_nano = 0 AND purse <> '' OR kind = 1 AND subject_id IN (SELECT id FROM keys WHERE deleted_ms > 0) OR kind = 2 AND subject_id IN (SELECT id FROM users WHERE deleted_ms > 0))`
	sqlLeasesAsked   = `SELECT DISTINCT kind, subject_id FROM leases WHERE node_id = $1 AND recalls > answered`
	sqlLeasesOpen    = `SELECT COUNT(DISTINCT l.node_id) FROM leases l JOIN lease_nodes n ON n.id = l.node_id WHERE l.kind = $1 AND l.subject_id = $2 AND l.node_id <> $3 AND l.recalls > l.answered AND n.seen_ms > $4`

	sqlWindowLeased = `SELECT CAST(COALESCE(SUM(CASE WHEN taken_nano > landed_nano THEN taken_nano - landed_nano ELSE 0 END), 0) AS BIGINT)` + leaseOfSubject + ` AND purse = $3 AND start_ms = $4`
	leasedOf        = `(SELECT CAST(COALESCE(SUM(CASE WHEN taken_nano > landed_nano THEN taken_nano - landed_nano ELSE 0 END), 0) AS BIGINT) FROM leases WHERE purse = '' AND subject_id = $1 AND kind = `
	sqlKeyUnleased  = `SELECT granted_nano - used_nano - ` + leasedOf + `1) FROM keys WHERE id = $1`
	sqlUserUnleased = `SELECT granted_nano - used_nano - ` + leasedOf + `2) FROM users WHERE id = $1`

	sqlLeaseNodes     = `SELECT id, beats FROM lease_nodes`
	sqlLeaseNodeLapse = `DELETE FROM lease_nodes WHERE id = $1 AND beats = $2`
	sqlLeaseNodeLeave = `DELETE FROM lease_nodes WHERE id = $1`
)

// These are PostgreSQL's own.
const (
	pgClock = `CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)`

	// pgLeaseTurn makes those who decide about a subject wait for each other, and
	// nobody else.
	pgLeaseTurn   = `SELECT pg_advisory_xact_lock($1)`
	pgLeaseTerm   = `SELECT term FROM lease_nodes WHERE id = $1 FOR KEY SHARE`
	pgLeaseBeat   = `INSERT INTO lease_nodes (id, term, beats, seen_ms) VALUES ($1, ` + pgClock + `, 1, ` + pgClock + `) ON CONFLICT (id) DO UPDATE SET beats = lease_nodes.beats + 1, seen_ms = excluded.seen_ms RETURNING term`
	pgLeasesLock  = `SELECT purse, start_ms` + leaseOfSubject + ` AND node_id = $3 ORDER BY purse, start_ms FOR UPDATE`
	pgLeaseRecall = `WITH wanted AS (SELECT purse, start_ms, node_id` + leaseOfSubject + ` AND node_id <> $3 AND taken_nano > landed_nano AND EXISTS (SELECT 1 FROM lease_nodes n WHERE n.id = leases.node_id AND n.seen_ms > $4) ORDER BY purse, start_ms, node_id FOR UPDATE)
UPDATE leases l SET recalls = l.recalls + 1 FROM wanted w WHERE l.kind = $1 AND l.subject_id = $2 AND l.purse = w.purse AND l.start_ms = w.start_ms AND l.node_id = w.node_id RETURNING l.node_id`
	pgLeaseNotify = `SELECT pg_notify('` + RecallChannel + `', $1)`

	pgHeldElsewhere = `SELECT subject_id, CAST(SUM(held_nano) AS BIGINT) FROM leases WHERE kind = $1 AND purse = '' AND node_id <> $2 AND subject_id = ANY($3::bigint[]) GROUP BY subject_id`

	// $2 to $6 are lists of the same length: what is held of which lease.
	pgLeaseHeld = `WITH held AS (SELECT * FROM unnest($2::bigint[], $3::bigint[], $4::text[], $5::bigint[], $6::bigint[]) AS v(kind, subject_id, purse, start_ms, held)),
locked AS (SELECT l.kind, l.subject_id, l.purse, l.start_ms, v.held FROM leases l JOIN held v ON v.kind = l.kind AND v.subject_id = l.subject_id AND v.purse = l.purse AND v.start_ms = l.start_ms WHERE l.node_id = $1 ORDER BY l.kind, l.subject_id, l.purse, l.start_ms FOR UPDATE OF l)
UPDATE leases l SET held_nano = k.held FROM locked k WHERE l.node_id = $1 AND l.kind = k.kind AND l.subject_id = k.subject_id AND l.purse = k.purse AND l.start_ms = k.start_ms`

	// $2 to $6 are lists of the same length: who was charged at which instant how
	// much, on the quota and in all.
	pgLeaseLand = `WITH charged AS (SELECT * FROM unnest($2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[]) AS v(kind, subject_id, at_ms, quota, whole)),
sums AS (SELECT l.kind, l.subject_id, l.purse, l.start_ms, CAST(SUM(CASE WHEN l.purse = '' THEN v.quota ELSE v.whole END) AS BIGINT) AS amount FROM leases l JOIN charged v ON v.kind = l.kind AND v.subject_id = l.subject_id AND v.at_ms >= l.start_ms AND v.at_ms < l.end_ms WHERE l.node_id = $1 GROUP BY l.kind, l.subject_id, l.purse, l.start_ms),
locked AS (SELECT l.kind, l.subject_id, l.purse, l.start_ms, s.amount FROM leases l JOIN sums s ON s.kind = l.kind AND s.subject_id = l.subject_id AND s.purse = l.purse AND s.start_ms = l.start_ms WHERE l.node_id = $1 ORDER BY l.kind, l.subject_id, l.purse, l.start_ms FOR UPDATE OF l)
UPDATE leases l SET landed_nano = l.landed_nano + k.amount FROM locked k WHERE l.node_id = $1 AND l.kind = k.kind AND l.subject_id = k.subject_id AND l.purse = k.purse AND l.start_ms = k.start_ms`
)

// aliveFor is how long after its last sign of life a node is still asked for
// what it does not use.
const aliveFor = 10 * time.Second

// Join makes this process the node with that id, which must stay with its usage
// journal. Usage that is applied from now on is taken off the node's leases.
// It fails on SQLite, which nobody shares.
func (db *DB) Join(ctx context.Context, node int64) (*Leases, int64, error) {
	if db.engine != Postgres {
		return nil, 0, errors.New("only PostgreSQL can be shared")
	}
	l := &Leases{db: db, node: node}
	l.nodes.Store(1)
	term, err := l.Beat(ctx)
	if err != nil {
		return nil, 0, err
	}
	db.node.Store(node)
	return l, term, nil
}

// Onlooker is the leases as somebody sees them who takes none.
func (db *DB) Onlooker() *Leases { return &Leases{db: db} }

// Beat is a sign of life; it gives the node's term.
func (l *Leases) Beat(ctx context.Context) (term int64, err error) {
	if err := l.db.w.QueryRowContext(ctx, pgLeaseBeat, l.node).Scan(&term); err != nil {
		return 0, fmt.Errorf("give a sign of life: %w", err)
	}
	return term, nil
}

// Beats are the counts of all nodes by their ids.
func (l *Leases) Beats(ctx context.Context) (map[int64]int64, error) {
	rows, err := l.db.w.QueryContext(ctx, sqlLeaseNodes)
	if err != nil {
		return nil, fmt.Errorf("look after the other nodes: %w", err)
	}
	defer rows.Close()
	beats := map[int64]int64{}
	for rows.Next() {
		var id, count int64
		if err := rows.Scan(&id, &count); err != nil {
			return nil, fmt.Errorf("look after the other nodes: %w", err)
		}
		beats[id] = count
	}
	return beats, rows.Err()
}

// Lapse takes everything from a node that has shown no sign of life since that
// count; false when it has.
func (l *Leases) Lapse(ctx context.Context, node, beats int64) (bool, error) {
	lapsed := false
	err := l.db.tx(ctx, func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, sqlLeaseNodeLapse, node, beats)
		if err != nil {
			return err
		}
		if lapsed, err = changedRow(result); err != nil || !lapsed {
			return err
		}
		_, err = tx.ExecContext(ctx, sqlLeasesDropAll, node)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("take a dead node's leases: %w", err)
	}
	return lapsed, nil
}

// Empty gives up everything this node has leased. Nothing may be spent of it any
// more, and all that was must be in the store.
func (l *Leases) Empty(ctx context.Context) error {
	if _, err := l.db.w.ExecContext(ctx, sqlLeasesDropAll, l.node); err != nil {
		return fmt.Errorf("give up all leases: %w", err)
	}
	return nil
}

// Leave is Empty, and the node's end.
func (l *Leases) Leave(ctx context.Context) error {
	if err := l.Empty(ctx); err != nil {
		return err
	}
	if _, err := l.db.w.ExecContext(ctx, sqlLeaseNodeLeave, l.node); err != nil {
		return fmt.Errorf("take the node's line away: %w", err)
	}
	return nil
}

// Tidy deletes leases of this node that are of no use any more: of windows that
// ended before then, and of what was deleted.
func (l *Leases) Tidy(ctx context.Context, before time.Time) error {
	if _, err := l.db.w.ExecContext(ctx, sqlLeasesTidy, l.node, millis(before)); err != nil {
		return fmt.Errorf("tidy leases: %w", err)
	}
	return nil
}

// SetNodes says how many nodes are at work.
func (l *Leases) SetNodes(n int) { l.nodes.Store(int64(n)) }

// Nodes implements budget.Leases.
func (l *Leases) Nodes() int { return int(l.nodes.Load()) }

// OwnLeases implements budget.Leases.
func (l *Leases) OwnLeases(ctx context.Context, s budget.Subject) ([]budget.Lease, error) {
	rows, err := l.db.w.QueryContext(ctx, sqlLeasesOwn, int64(s.Kind), s.ID, l.node)
	if err != nil {
		return nil, fmt.Errorf("read leases: %w", err)
	}
	defer rows.Close()
	var own []budget.Lease
	for rows.Next() {
		lease, err := scanLease(rows)
		if err != nil {
			return nil, err
		}
		own = append(own, lease)
	}
	return own, rows.Err()
}

func scanLease(rows *sql.Rows, before ...any) (budget.Lease, error) {
	var o budget.Lease
	if err := rows.Scan(append(before, &o.Purse, &o.Start, &o.End, &o.Taken, &o.Landed, &o.Held)...); err != nil {
		return o, fmt.Errorf("read a lease: %w", err)
	}
	return o, nil
}

// turn is the number that stands for deciding about a subject.
func turn(s budget.Subject) int64 { return s.ID<<2 | int64(s.Kind) }

// TakeLease implements budget.Leases.
func (l *Leases) TakeLease(ctx context.Context, s budget.Subject, term int64, asked []budget.Lease, decide func(budget.Position) []budget.Lease) error {
	return l.db.tx(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, pgLeaseTurn, turn(s)); err != nil {
			return fmt.Errorf("wait for the turn to lease: %w", err)
		}
		if err := l.inTerm(ctx, tx, term); err != nil {
			return err
		}
		at, err := l.position(ctx, tx, s, asked)
		if err != nil {
			return err
		}
		leases := slices.SortedFunc(slices.Values(decide(at)), byPurse)
		if len(leases) > 1 {
			if _, err := tx.ExecContext(ctx, pgLeasesLock, int64(s.Kind), s.ID, l.node); err != nil {
				return fmt.Errorf("lock leases: %w", err)
			}
		}
		for _, o := range leases {
			if _, err := tx.ExecContext(ctx, sqlLeasePut, int64(s.Kind), s.ID, o.Purse, o.Start, l.node, o.End, int64(o.Taken), int64(o.Landed), int64(o.Held)); err != nil {
				return fmt.Errorf("write a lease: %w", err)
			}
		}
		return nil
	})
}

func byPurse(a, b budget.Lease) int {
	return cmp.Or(cmp.Compare(a.Purse, b.Purse), cmp.Compare(a.Start, b.Start))
}

// inTerm is budget.ErrLapsed unless the node's term is the given one, which then
// cannot end before the transaction does.
func (l *Leases) inTerm(ctx context.Context, tx *sql.Tx, term int64) error {
	now, err := nodeTerm(ctx, tx, l.node)
	if err == nil && now != term {
		err = budget.ErrLapsed
	}
	return err
}

// nodeTerm is the node's present term, which cannot end before the transaction
// does; 0 when the node has none.
func nodeTerm(ctx context.Context, tx *sql.Tx, node int64) (term int64, err error) {
	err = tx.QueryRowContext(ctx, pgLeaseTerm, node).Scan(&term)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read the node's term: %w", err)
	}
	return term, nil
}

// Position implements budget.Leases.
func (l *Leases) Position(ctx context.Context, s budget.Subject, asked []budget.Lease) (budget.Position, error) {
	return l.position(ctx, l.db.w, s, asked)
}

// position reads leases first and what was charged afterwards: a charge that
// lands in between then counts twice, which is the safe side.
func (l *Leases) position(ctx context.Context, q querier, s budget.Subject, asked []budget.Lease) (budget.Position, error) {
	var at budget.Position
	rows, err := q.QueryContext(ctx, sqlLeasesAll, int64(s.Kind), s.ID)
	if err != nil {
		return at, fmt.Errorf("read leases: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var node int64
		lease, err := scanLease(rows, &node)
		if err != nil {
			return at, err
		}
		if node == l.node {
			at.Own = append(at.Own, lease)
		} else {
			at.Others = append(at.Others, lease)
		}
	}
	if err := rows.Err(); err != nil {
		return at, fmt.Errorf("read leases: %w", err)
	}
	_ = rows.Close()
	b, err := loadBalance(ctx, q, s)
	if err != nil {
		return at, err
	}
	at.Granted, at.Used, at.Unlimited = b.Granted, b.Used, b.Unlimited
	if at.Allowances, err = loadAllowances(ctx, q, s); err != nil {
		return at, err
	}
	at.Spent = make([]money.Nano, len(asked))
	for i, ask := range asked {
		if ask.Purse == "" {
			continue
		}
		spent, err := spentSince(ctx, q, s, []time.Time{time.UnixMilli(ask.Start)})
		if err != nil {
			return at, err
		}
		at.Spent[i] = spent[0]
	}
	return at, nil
}

// KeepLeases implements budget.Leases.
func (l *Leases) KeepLeases(ctx context.Context, s budget.Subject, term int64, leases []budget.Lease) error {
	return l.db.tx(ctx, func(tx *sql.Tx) error {
		if err := l.inTerm(ctx, tx, term); err != nil {
			return err
		}
		rows, err := tx.QueryContext(ctx, pgLeasesLock, int64(s.Kind), s.ID, l.node)
		if err != nil {
			return fmt.Errorf("lock leases: %w", err)
		}
		defer rows.Close()
		var stored []budget.Lease
		for rows.Next() {
			var o budget.Lease
			if err := rows.Scan(&o.Purse, &o.Start); err != nil {
				return fmt.Errorf("lock leases: %w", err)
			}
			stored = append(stored, o)
		}
		if err := rows.Err(); err != nil {
			return fmt.Errorf("lock leases: %w", err)
		}
		_ = rows.Close()
		for _, o := range stored {
			i := slices.IndexFunc(leases, func(k budget.Lease) bool { return byPurse(k, o) == 0 })
			if i < 0 { // of a window that is over
				_, err = tx.ExecContext(ctx, sqlLeaseEnd, int64(s.Kind), s.ID, o.Purse, o.Start, l.node)
			} else {
				_, err = tx.ExecContext(ctx, sqlLeaseKeep, int64(leases[i].Taken), int64(leases[i].Held), int64(s.Kind), s.ID, o.Purse, o.Start, l.node)
			}
			if err != nil {
				return fmt.Errorf("write what is left of a lease: %w", err)
			}
		}
		return nil
	})
}

// DropLeases implements budget.Leases.
func (l *Leases) DropLeases(ctx context.Context, s budget.Subject) error {
	if _, err := l.db.w.ExecContext(ctx, sqlLeasesDrop, int64(s.Kind), s.ID, l.node); err != nil {
		return fmt.Errorf("give up leases: %w", err)
	}
	return nil
}

// RecallLeases implements budget.Leases.
func (l *Leases) RecallLeases(ctx context.Context, s budget.Subject) (int, error) {
	asked := map[int64]bool{}
	err := l.db.tx(ctx, func(tx *sql.Tx) error {
		since, err := l.aliveSince(ctx, tx)
		if err != nil {
			return err
		}
		rows, err := tx.QueryContext(ctx, pgLeaseRecall, int64(s.Kind), s.ID, l.node, since)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var node int64
			if err := rows.Scan(&node); err != nil {
				return err
			}
			asked[node] = true
		}
		if err := rows.Err(); err != nil || len(asked) == 0 {
			return err
		}
		_ = rows.Close()
		_, err = tx.ExecContext(ctx, pgLeaseNotify, subjectText(s))
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("recall leases: %w", err)
	}
	return len(asked), nil
}

// aliveSince is the instant, by the database's clock, since which a node must
// have shown a sign of life to be asked for anything.
func (l *Leases) aliveSince(ctx context.Context, q querier) (since int64, err error) {
	err = q.QueryRowContext(ctx, `SELECT `+pgClock).Scan(&since)
	return since - aliveFor.Milliseconds(), err
}

// UnansweredRecalls implements budget.Leases.
func (l *Leases) UnansweredRecalls(ctx context.Context, s budget.Subject) (int, error) {
	since, err := l.aliveSince(ctx, l.db.w)
	var n int
	if err == nil {
		err = l.db.w.QueryRowContext(ctx, sqlLeasesOpen, int64(s.Kind), s.ID, l.node, since).Scan(&n)
	}
	if err != nil {
		return 0, fmt.Errorf("wait for recalled leases: %w", err)
	}
	return n, nil
}

// WaitingRecalls implements budget.Leases.
func (l *Leases) WaitingRecalls(ctx context.Context) ([]budget.Subject, error) {
	rows, err := l.db.w.QueryContext(ctx, sqlLeasesAsked, l.node)
	if err != nil {
		return nil, fmt.Errorf("look for recalls: %w", err)
	}
	defer rows.Close()
	var list []budget.Subject
	for rows.Next() {
		var kind, id int64
		if err := rows.Scan(&kind, &id); err != nil {
			return nil, fmt.Errorf("look for recalls: %w", err)
		}
		list = append(list, budget.Subject{Kind: budget.Kind(kind), ID: id}) //nolint:gosec // written from a Kind
	}
	return list, rows.Err()
}

// ReportHeld implements budget.Leases.
func (l *Leases) ReportHeld(ctx context.Context, held []budget.HeldLease) error {
	n := len(held)
	kinds, ids, purses, starts, amounts := make([]int64, n), make([]int64, n), make([]string, n), make([]int64, n), make([]int64, n)
	for i, h := range held {
		kinds[i], ids[i], purses[i], starts[i], amounts[i] = int64(h.Kind), h.ID, h.Purse, h.Start, int64(h.Held)
	}
	if _, err := l.db.w.ExecContext(ctx, pgLeaseHeld, l.node, kinds, ids, purses, starts, amounts); err != nil {
		return fmt.Errorf("report what is held: %w", err)
	}
	return nil
}

// HeldElsewhere implements budget.Leases.
func (l *Leases) HeldElsewhere(ctx context.Context, kind budget.Kind, ids []int64) (map[int64]money.Nano, error) {
	rows, err := l.db.w.QueryContext(ctx, pgHeldElsewhere, int64(kind), l.node, ids)
	if err != nil {
		return nil, fmt.Errorf("read what others hold: %w", err)
	}
	defer rows.Close()
	held := map[int64]money.Nano{}
	for rows.Next() {
		var id int64
		var amount money.Nano
		if err := rows.Scan(&id, &amount); err != nil {
			return nil, fmt.Errorf("read what others hold: %w", err)
		}
		held[id] = amount
	}
	return held, rows.Err()
}

// LockLeases implements budget.Leases. The lock goes with its connection, so a
// process that dies keeps nobody waiting.
func (l *Leases) LockLeases(ctx context.Context, s budget.Subject) (unlock func(), err error) {
	tx, err := l.db.w.BeginTx(ctx, nil)
	if err != nil {
		return nil, fmt.Errorf("begin: %w", err)
	}
	if _, err := tx.ExecContext(ctx, pgLeaseTurn, turn(s)); err != nil {
		return nil, errors.Join(fmt.Errorf("wait for the turn to edit: %w", err), tx.Rollback())
	}
	return func() { _ = tx.Rollback() }, nil // nothing was written
}

func subjectText(s budget.Subject) string {
	return strconv.FormatInt(int64(s.Kind), 10) + ":" + strconv.FormatInt(s.ID, 10)
}

// RecalledSubject reads the payload of a notice on RecallChannel.
func RecalledSubject(payload string) (budget.Subject, bool) {
	var s budget.Subject
	n, err := fmt.Sscanf(payload, "%d:%d", &s.Kind, &s.ID)
	return s, err == nil && n == 2 && (s.Kind == budget.Key || s.Kind == budget.User)
}

// landLeases takes the charges of the node's term off its leases.
func (db *DB) landLeases(ctx context.Context, tx *sql.Tx, batch []*usage.Record, term int64) error {
	if term == 0 {
		return nil
	}
	type charged struct{ kind, id, second int64 }
	type sums struct{ quota, whole int64 }
	all := map[charged]sums{}
	add := func(kind budget.Kind, id int64, r *usage.Record, grant money.Nano) {
		if id == 0 || r.Cost == 0 {
			return
		}
		// Windows begin and end with whole seconds.
		at := charged{int64(kind), id, millis(r.Time) / 1000 * 1000}
		s := all[at]
		s.quota += int64(r.Cost - grant)
		s.whole += int64(r.Cost)
		all[at] = s
	}
	for _, r := range batch {
		if r.Term != term {
			continue
		}
		add(budget.Key, r.KeyID, r, r.KeyGrantDelta)
		add(budget.Key, r.ParentID, r, r.ParentGrantDelta)
		add(budget.User, r.UserID, r, r.UserGrantDelta)
	}
	if len(all) == 0 {
		return nil
	}
	var kinds, ids, times, quotas, wholes []int64
	for at, s := range all {
		kinds, ids, times, quotas, wholes = append(kinds, at.kind), append(ids, at.id), append(times, at.second), append(quotas, s.quota), append(wholes, s.whole)
	}
	if _, err := tx.ExecContext(ctx, pgLeaseLand, db.node.Load(), kinds, ids, times, quotas, wholes); err != nil {
		return fmt.Errorf("take charges off leases: %w", err)
	}
	return nil
}

// bear cuts a charge whose lease has lapsed down to what its payers can bear, and
// keeps others from leasing that meanwhile.
func (db *DB) bear(ctx context.Context, tx *sql.Tx, r *usage.Record) error {
	left := r.Cost
	for _, payer := range []struct {
		subject budget.Subject
		grant   money.Nano
	}{
		{budget.Subject{Kind: budget.User, ID: r.UserID}, r.UserGrantDelta},
		{budget.Subject{Kind: budget.Key, ID: r.ParentID}, r.ParentGrantDelta},
		{budget.Subject{Kind: budget.Key, ID: r.KeyID}, r.KeyGrantDelta},
	} {
		if payer.subject.ID == 0 {
			continue
		}
		if _, err := tx.ExecContext(ctx, pgLeaseTurn, turn(payer.subject)); err != nil {
			return fmt.Errorf("wait for the turn to charge: %w", err)
		}
		if payer.grant == 0 { // the quota of an unlimited one bears all
			unleased, err := db.unleased(ctx, tx, payer.subject)
			if err != nil {
				return err
			}
			left = min(left, max(0, unleased))
		}
		unspent, err := unspentAt(ctx, tx, payer.subject, r.Time)
		if err != nil {
			return err
		}
		left = min(left, max(0, unspent))
	}
	r.Absorbed += r.Cost - left
	r.Cost, r.KeyGrantDelta, r.ParentGrantDelta, r.UserGrantDelta = left, min(r.KeyGrantDelta, left), min(r.ParentGrantDelta, left), min(r.UserGrantDelta, left)
	return nil
}

// unspentAt is the least that nobody has leased or spent of the windows of the
// subject's renewing budgets that the instant lies in.
func unspentAt(ctx context.Context, tx *sql.Tx, s budget.Subject, at time.Time) (money.Nano, error) {
	least := money.Nano(math.MaxInt64)
	allowances, err := loadAllowances(ctx, tx, s)
	if fault.Is(err, fault.NotFound) {
		return least, nil // deleted, and its budgets with it
	}
	if err != nil {
		return 0, err
	}
	for _, a := range allowances {
		start, end := a.Schedule.Window(at)
		var leased money.Nano
		if err := tx.QueryRowContext(ctx, sqlWindowLeased, int64(s.Kind), s.ID, a.Schedule.Text(), start.UnixMilli()).Scan(&leased); err != nil {
			return 0, fmt.Errorf("read what is leased of a window: %w", err)
		}
		spent, err := spentSince(ctx, tx, s, []time.Time{start, end})
		if err != nil {
			return 0, err
		}
		least = min(least, a.Amount-(spent[0]-spent[1])-leased)
	}
	return least, nil
}

// unleased is what nobody has leased of a quota, be its subject deleted or not.
func (db *DB) unleased(ctx context.Context, tx *sql.Tx, s budget.Subject) (left money.Nano, err error) {
	query := sqlKeyUnleased
	if s.Kind == budget.User {
		query = sqlUserUnleased
	}
	if err := tx.QueryRowContext(ctx, query, s.ID).Scan(&left); err != nil {
		return 0, fmt.Errorf("read what is left of a lapsed lease's quota: %w", err)
	}
	return left, nil
}
