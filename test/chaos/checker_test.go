package chaos_test

import (
	"strings"
	"testing"
	"time"
)

// at is an instant of the made-up run below.
func at(seconds int) time.Time {
	return time.Unix(1_800_000_000, 0).Add(time.Duration(seconds) * time.Second)
}

// honestRun is a run in which all is well: one request of each end, on two keys
// of one account, and a node that was killed.
func honestRun() record {
	account := &purse{subject: subject{user, 1}, Name: "account", Initial: 100_000}
	limited := &purse{subject: subject{key, 2}, Name: "limited", Initial: 50_000, added: []grant{{10_000, true}, {20_000, false}}, Allowances: []allowance{{Units: 10_000, Anchor: at(60).Unix()}}}
	open := &purse{subject: subject{key, 3}, Name: "open", Unlimited: true}
	r := record{
		Served: map[string][]*serving{}, Purses: []*purse{account, limited, open},
		Faults: []fault{{Kind: killed, Node: 1, Begin: at(50), End: at(55)}},
	}
	add := func(s seen, up *serving, w *row) {
		s.Prompt, s.LeaveAfter = 30, -1
		if s.Manner == "" {
			s.Manner = honest
		}
		if s.End.IsZero() {
			s.Begin, s.End = at(10), at(11)
		}
		r.Seen = append(r.Seen, s)
		if up != nil {
			up.script = s.script
			r.Served[s.ID] = []*serving{up}
		}
		if w == nil {
			return
		}
		w.RequestID, w.KeyID, w.UserID, w.Prompt, w.TimeMS = s.ID, s.Key.id, 1, 30, s.Begin.UnixMilli()
		if w.Source == "" {
			w.Source = "provider"
		}
		if w.Source == "none" {
			w.Prompt = 0
		} else {
			w.Cost = price(w.Prompt, w.Completion) - w.Absorbed
			w.Held = 2 * price(w.Prompt, w.Completion)
		}
		if s.Key == open {
			w.KeyGrant = w.Cost
		}
		r.Books.Rows = append(r.Books.Rows, *w)
	}
	r.Books = &books{}
	ask := func(id string, k *purse) order { return order{script: script{ID: id}, Key: k} }
	add(seen{order: ask("answered", limited), Status: 200, Tokens: 20, Whole: true}, &serving{Written: 20, Reported: true, Completion: 20, Whole: true}, &row{Status: 200, Completion: 20})
	omitting := ask("omitted", open)
	omitting.Manner = omits
	add(seen{order: omitting, Status: 200, Tokens: 20, Whole: true}, &serving{Written: 20, Completion: 20, Whole: true}, &row{Status: 200, Completion: 20, Source: "metered"})
	lying := ask("overstated", limited)
	lying.Manner = overstates
	add(seen{order: lying, Status: 200, Tokens: 20, Whole: true}, &serving{Written: 20, Reported: true, Completion: 900, Whole: true}, &row{Status: 200, Completion: 900, Absorbed: 40_000_000})
	add(seen{order: ask("cut", limited), Status: 200, Tokens: 12, Whole: true}, &serving{Written: 16, Gone: true}, &row{Status: 200, Completion: 12, Source: "metered", ErrorCode: "key_quota_exhausted"})
	add(seen{order: ask("refused", limited), Status: 402, Code: "key_quota_exhausted"}, nil, &row{Status: 402, Source: "none"})
	add(seen{order: ask("failed", open), Status: 200, Tokens: 8, ErrorEvent: true}, &serving{Written: 8}, &row{Status: 502, Completion: 8, Source: "metered"})
	add(seen{order: ask("left", open), Status: 200, Tokens: 4, Left: true}, &serving{Written: 6, Gone: true}, &row{Status: 499, Completion: 5, Source: "metered"})
	killedOrder := ask("broken", open)
	killedOrder.Node = 1
	add(seen{order: killedOrder, Tokens: 4, Begin: at(49), End: at(50)}, &serving{Written: 6, Gone: true}, nil)
	r.tally()
	return r
}

// tally makes the balances what the records say.
func (r *record) tally() {
	b := r.Books
	b.Keys, b.Users, b.Hourly = map[int64]balance{}, map[int64]balance{}, map[int64]int64{}
	for _, w := range b.Rows {
		k, u := b.Keys[w.KeyID], b.Users[w.UserID]
		k.Used += w.Cost
		k.Granted += w.KeyGrant
		u.Used += w.Cost
		b.Keys[w.KeyID], b.Users[w.UserID] = k, u
		b.Hourly[w.KeyID] += w.Cost
	}
	for _, p := range r.Purses {
		lines := b.Keys
		if p.kind == user {
			lines = b.Users
		}
		line := lines[p.id]
		line.Granted += p.Initial * unit
		for _, a := range p.added {
			line.Granted += a.Units * unit
		}
		lines[p.id] = line
	}
}

func (r *record) row(id string) *row {
	for i := range r.Books.Rows {
		if r.Books.Rows[i].RequestID == id {
			return &r.Books.Rows[i]
		}
	}
	panic(id)
}

func (r *record) saw(id string) *seen {
	for i := range r.Seen {
		if r.Seen[i].ID == id {
			return &r.Seen[i]
		}
	}
	panic(id)
}

func (r *record) drop(id string) {
	for i := range r.Books.Rows {
		if r.Books.Rows[i].RequestID == id {
			r.Books.Rows = append(r.Books.Rows[:i:i], r.Books.Rows[i+1:]...)
			return
		}
	}
	panic(id)
}

func TestTheJudgeHasNothingToSayAboutAnHonestRun(t *testing.T) {
	t.Parallel()
	v := judge(honestRun())
	for _, finding := range v.findings {
		t.Error(finding)
	}
	for _, end := range []outcome{answered, ranOut, refused, failed, left, broken} {
		if v.total.outcomes[end] == 0 {
			t.Errorf("no request was %s: %v", end, v.total.outcomes)
		}
	}
	if v.purses != 3 || v.windows != 1 || v.overspent != 0 {
		t.Errorf("%d purses and %d windows looked at, %d nano-USD overspent", v.purses, v.windows, v.overspent)
	}
	if v.total.served != v.total.charged+v.total.absorbed || v.total.served == 0 {
		t.Errorf("served %d, charged %d, absorbed %d", v.total.served, v.total.charged, v.total.absorbed)
	}
}

// TestTheJudgeFindsWhatIsWrong doctors the honest run. What a wrong charge would
// do to the balances is done to them as well, so that it must be found where it
// was made.
func TestTheJudgeFindsWhatIsWrong(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		doctor func(*record)
		want   string
	}{
		{"an answer is not charged", func(r *record) { r.drop("answered") }, "answered, and no record"},
		{"an answer is charged twice", func(r *record) { r.Books.Rows = append(r.Books.Rows, *r.row("answered")) }, "2 records"},
		{"a nano-USD too much", func(r *record) { r.row("answered").Cost++ }, "instead of"},
		{"a nano-USD too little", func(r *record) { r.row("answered").Cost-- }, "instead of"},
		{"tokens that nobody reported", func(r *record) { r.row("answered").Completion++; r.row("answered").Cost = price(30, 21) }, "not what the upstream reported"},
		{"metered where usage was reported", func(r *record) { r.row("answered").Source = "metered" }, "not charged by what the upstream reported"},
		{"more than the upstream sent", func(r *record) { r.row("omitted").Completion = 21; r.row("omitted").Cost = price(30, 21) }, "metered 21"},
		{"less than the client got", func(r *record) { r.row("omitted").Completion = 19; r.row("omitted").Cost = price(30, 19) }, "metered 19"},
		{"a prompt out of thin air", func(r *record) { r.row("omitted").Prompt = 60; r.row("omitted").Cost = price(60, 20) }, "estimated a prompt"},
		{"an answer for nothing", func(r *record) { w := r.row("answered"); w.Source, w.Cost, w.Prompt, w.Completion = "none", 0, 0, 0 }, "served for nothing"},
		{"an honest answer is absorbed", func(r *record) { w := r.row("answered"); w.Absorbed, w.Cost = 1, w.Cost-1 }, "absorbed"},
		{"too little was held", func(r *record) { r.row("answered").Held = 1 }, "were held"},
		{"a refusal is charged", func(r *record) {
			w := r.row("refused")
			w.Source, w.Prompt, w.Completion, w.Cost, w.Held = "metered", 30, 0, price(30, 0), price(30, 0)
			r.Served["refused"] = []*serving{{}}
		}, "a refusal was charged"},
		{"a refusal without a record", func(r *record) { r.drop("refused") }, "refused, and no record"},
		{"a failure without a record", func(r *record) { r.drop("failed") }, "failed, and no record"},
		{"a client that left without a record", func(r *record) { r.drop("left") }, "left, and no record"},
		{"another key is charged", func(r *record) { r.row("answered").KeyID = 3 }, "charged to the key 3"},
		{"a parent is forgotten", func(r *record) { r.saw("answered").Key.parent = &purse{subject: subject{key, 9}} }, "and its parent 0 instead of 2 and 9"},
		{"a record of no request", func(r *record) {
			w := *r.row("refused")
			w.RequestID = "nobody's"
			r.Books.Rows = append(r.Books.Rows, w)
		}, "never made"},
		{"half an answer told as a whole one", func(r *record) { r.saw("answered").Tokens = 10 }, "is not"},
		{"a known key is unknown", func(r *record) { r.saw("refused").Status = 401 }, "a known key is unknown"},
		{"the server's own fault", func(r *record) { s := r.saw("failed"); s.Code = "internal_error" }, "an internal error"},
		{"a connection breaks by itself", func(r *record) { r.Faults[0].Node = 0 }, "the connection broke"},
		{"sent to the upstream twice", func(r *record) { r.Served["answered"] = append(r.Served["answered"], r.Served["answered"][0]) }, "was asked 2 times"},
		{"a clock that jumps in the measure of time", func(r *record) { r.row("answered").LatencyMS = -600_000 }, "it took"},
		{"a window overspent", func(r *record) { r.Purses[1].Allowances[0].Units = 100 }, "OVERSPENT"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := honestRun()
			test.doctor(&r)
			r.tally()
			expectFinding(t, judge(r), test.want)
		})
	}
}

func TestTheJudgeFindsWrongBalances(t *testing.T) {
	t.Parallel()
	change := func(lines map[int64]balance, id int64, do func(*balance)) {
		line := lines[id]
		do(&line)
		lines[id] = line
	}
	tests := []struct {
		name   string
		doctor func(*record)
		want   string
	}{
		{"a key's spending is lost", func(r *record) { change(r.Books.Keys, 2, func(b *balance) { b.Used-- }) }, "its records say"},
		{"an account is charged for more", func(r *record) { change(r.Books.Users, 1, func(b *balance) { b.Used++ }) }, "its records say"},
		{"a key is overspent", func(r *record) { change(r.Books.Keys, 2, func(b *balance) { b.Granted = b.Used - 1 }) }, "OVERSPENT"},
		{"a grant is lost", func(r *record) { change(r.Books.Keys, 2, func(b *balance) { b.Granted -= 10_000 * unit }) }, "was given"},
		{"a grant comes twice", func(r *record) { change(r.Books.Keys, 2, func(b *balance) { b.Granted += 10_000 * unit }) }, "was given"},
		{"an unlimited key's grant does not follow", func(r *record) { change(r.Books.Keys, 3, func(b *balance) { b.Granted++ }) }, "was given"},
		{"a rollup differs", func(r *record) { r.Books.Hourly[2]++ }, "in the rollups"},
		{"a key is gone", func(r *record) { delete(r.Books.Keys, 2) }, "has no line"},
		{"a lease is left", func(r *record) { r.Books.Leases = 1 }, "leases"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := honestRun()
			test.doctor(&r)
			expectFinding(t, judge(r), test.want)
		})
	}
	t.Run("a grant of which it is not known whether it was made", func(t *testing.T) {
		t.Parallel()
		r := honestRun()
		change(r.Books.Keys, 2, func(b *balance) { b.Granted -= 20_000 * unit })
		for _, finding := range judge(r).findings {
			t.Error(finding)
		}
	})
}

func expectFinding(t *testing.T, v *verdict, want string) {
	t.Helper()
	if want == "OVERSPENT" && v.overspent <= 0 {
		t.Errorf("%d nano-USD overspent", v.overspent)
	}
	for _, finding := range v.findings {
		if strings.Contains(finding, want) {
			return
		}
	}
	t.Errorf("no finding says %q: %q", want, v.findings)
}
