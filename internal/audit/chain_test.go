package audit_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"halley/internal/audit"
	"halley/internal/seal"
	"halley/internal/store/storetest"
)

var noon = time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)

func testMaster(t testing.TB) *seal.Master {
	t.Helper()
	m, err := seal.ParseMaster(strings.Repeat("A", 43))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// trail is a service over a database, with a clock that goes on by an hour with
// each entry.
type trail struct {
	*audit.Service
	mu sync.Mutex
	at time.Time
}

func (tr *trail) now() time.Time {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.at = tr.at.Add(time.Hour)
	return tr.at
}

func newTrail(t *testing.T, url string, entries int) *trail {
	t.Helper()
	tr := &trail{at: noon}
	tr.Service = audit.NewService(storetest.Open(t, url), testMaster(t), tr.now)
	tr.add(t, entries)
	return tr
}

func (tr *trail) add(t *testing.T, entries int) {
	t.Helper()
	for i := range entries {
		e := audit.Entry{Actor: int64(i), Action: "key.update", Target: fmt.Sprint("key ", i), Detail: `{"name":"é"}`, Before: `{"name":"a"}`, After: `{"name":"é"}`, RequestID: "r", IP: "192.0.2.1"}
		if err := tr.Record(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
}

// verify checks the chain; want is "" or where it is broken.
func (tr *trail) verify(t *testing.T, what, want string) audit.Report {
	t.Helper()
	report, err := tr.Verify(t.Context(), "")
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	got := ""
	if report.Broken != nil {
		got = report.Broken.String()
	}
	if (want == "") != (got == "") || !strings.HasPrefix(got, want) {
		t.Errorf("%s: broken at %q, want %q", what, got, want)
	}
	return report
}

func TestTamperingWithTheTrailShows(t *testing.T) {
	t.Parallel()
	storetest.URLs(t, func(t *testing.T, url func(*testing.T) string) {
		for _, tc := range []struct{ name, statement, want string }{
			{"nothing", `UPDATE audit_records SET actor = actor`, ""},
			{"another actor", `UPDATE audit_records SET actor = 99 WHERE id = 3`, "record 3: it was changed"},
			{"another time", `UPDATE audit_records SET time_ms = time_ms + 1 WHERE id = 3`, "record 3: it was changed"},
			{"another action", `UPDATE audit_records SET action = 'key.create' WHERE id = 3`, "record 3: it was changed"},
			{"another target", `UPDATE audit_records SET target = 'key 99' WHERE id = 3`, "record 3: it was changed"},
			{"another detail", `UPDATE audit_records SET detail = '' WHERE id = 3`, "record 3: it was changed"},
			{"another before", `UPDATE audit_records SET before = '' WHERE id = 3`, "record 3: it was changed"},
			{"another after", `UPDATE audit_records SET after = '{}' WHERE id = 3`, "record 3: it was changed"},
			{"before and after changed places", `UPDATE audit_records SET before = after, after = before WHERE id = 3`, "record 3: it was changed"},
			{"text moved to its neighbour", `UPDATE audit_records SET action = 'key.updatek', target = 'ey 2' WHERE id = 3`, "record 3: it was changed"},
			{"another request", `UPDATE audit_records SET request_id = 'x' WHERE id = 3`, "record 3: it was changed"},
			{"another address", `UPDATE audit_records SET ip = '' WHERE id = 3`, "record 3: it was changed"},
			{"another hash", `UPDATE audit_records SET hash = (SELECT hash FROM audit_records WHERE id = 2) WHERE id = 3`, "record 3: it was changed"},
			{"no hash", `UPDATE audit_records SET hash = (SELECT anchor_mac FROM audit_chain) WHERE id = 3`, "record 3: it was changed"},
			{"one deleted", `DELETE FROM audit_records WHERE id = 3`, "record 3: it is missing"},
			{"the first deleted", `DELETE FROM audit_records WHERE id = 1`, "record 1: it is missing"},
			{"the last deleted", `DELETE FROM audit_records WHERE id = 5`, "record 5: it is missing"},
			{"all deleted", `DELETE FROM audit_records`, "record 1: it is missing"},
			{"the oldest taken for pruned", `UPDATE audit_chain SET anchor_id = 2, anchor_hash = (SELECT hash FROM audit_records WHERE id = 2)`, "record 2: the anchor"},
			{"the oldest taken for those before there were hashes", `UPDATE audit_chain SET anchor_id = 2`, "record 3: it was changed"},
			{"a record of another's", `INSERT INTO audit_records (id, time_ms, actor, action, target, detail, ip, hash) SELECT 6, time_ms, actor, action, target, detail, ip, hash FROM audit_records WHERE id = 5`, "record 6: it is not of the chain"},
			{"a record far beyond the head", `INSERT INTO audit_records (id, time_ms, actor, action, target, detail, ip) VALUES (99, 1, 0, 'a', 't', '', '')`, "record 99: it is not of the chain"},
			{"a record from before the beginning", `INSERT INTO audit_records (id, time_ms, actor, action, target, detail, ip) VALUES (-1, 1, 0, 'a', 't', '', '')`, "record -1: it is not of the chain"},
			{"a record of another's at the head", `UPDATE audit_chain SET head_id = 6`, "record 6: it is missing"},
		} {
			t.Run(tc.name, func(t *testing.T) {
				t.Parallel()
				where := url(t)
				tr := newTrail(t, where, 5)
				if _, err := storetest.Raw(t, where).ExecContext(t.Context(), tc.statement); err != nil {
					t.Fatal(err)
				}
				tr.verify(t, tc.name, tc.want)
			})
		}
	})
}

func TestAnotherMasterKeyMakesNoChain(t *testing.T) {
	t.Parallel()
	storetest.URLs(t, func(t *testing.T, url func(*testing.T) string) {
		where := url(t)
		tr := newTrail(t, where, 2)
		other, err := seal.ParseMaster(strings.Repeat("B", 42) + "A")
		if err != nil {
			t.Fatal(err)
		}
		forged := audit.NewService(storetest.Open(t, where), other, tr.now)
		if err := forged.Record(t.Context(), audit.Entry{Action: "key.create"}); err != nil {
			t.Fatal(err)
		}
		tr.verify(t, "a record by who has the database only", "record 3: it was changed")
	})
}

func TestManyServersWriteOneChain(t *testing.T) {
	t.Parallel()
	storetest.URLs(t, func(t *testing.T, url func(*testing.T) string) {
		where := url(t)
		first := newTrail(t, where, 0)
		servers := []*audit.Service{first.Service}
		if strings.HasPrefix(where, "postgres") { // SQLite has one
			for range 2 {
				servers = append(servers, audit.NewService(storetest.Open(t, where), testMaster(t), first.now))
			}
		}
		var wg sync.WaitGroup
		for _, server := range servers {
			for range 4 {
				wg.Go(func() {
					for range 5 {
						if err := server.Record(t.Context(), audit.Entry{Action: "key.update"}); err != nil {
							t.Error(err)
						}
					}
				})
			}
		}
		wg.Wait()
		if report := first.verify(t, "written at once", ""); report.Records != int64(20*len(servers)) {
			t.Errorf("%d records", report.Records)
		}
	})
}

func TestPruningLeavesAChainThatCanBeChecked(t *testing.T) {
	t.Parallel()
	storetest.URLs(t, func(t *testing.T, url func(*testing.T) string) {
		where := url(t)
		tr := newTrail(t, where, 10)
		noted := tr.verify(t, "before", "").HeadText()
		if n, err := tr.Prune(t.Context(), noon.Add(-time.Hour)); n != 0 || err != nil {
			t.Errorf("nothing is older, but %d went, %v", n, err)
		}
		n, err := tr.Prune(t.Context(), noon.Add(5*time.Hour))
		if n != 4 || err != nil {
			t.Fatalf("%d went, %v", n, err)
		}
		report := tr.verify(t, "pruned", "")
		if report.Anchor.ID != 4 || report.Records != 7 { // 5 to 10, and that it was pruned
			t.Errorf("checked %d records after %d", report.Records, report.Anchor.ID)
		}
		records, _, err := tr.List(t.Context(), audit.Filter{Limit: 1})
		if err != nil || records[0].Action != "audit.prune" || records[0].Target != "audit record 4" {
			t.Errorf("the trail has %+v, %v", records, err)
		}
		if report, err := tr.Verify(t.Context(), noted); err != nil || report.Broken != nil {
			t.Errorf("what was noted is gone: %v, %v", report.Broken, err)
		}
		if n, err := tr.Prune(t.Context(), tr.now().Add(time.Hour)); n != 7 || err != nil {
			t.Fatalf("%d went in the end, %v", n, err)
		}
		if report := tr.verify(t, "all pruned", ""); report.Records != 1 {
			t.Errorf("%d are left", report.Records)
		}
		if report, err := tr.Verify(t.Context(), noted); err != nil || report.Broken == nil {
			t.Errorf("what was noted is still there: %v", err)
		}
		raw := storetest.Raw(t, where)
		if _, err := raw.ExecContext(t.Context(), `INSERT INTO audit_records (id, time_ms, actor, action, target, detail, ip) VALUES (7, 1, 0, 'a', 't', '', '')`); err != nil {
			t.Fatal(err)
		}
		tr.verify(t, "a record put among those that were pruned", "record 7: it is not of the chain")
		if _, err := raw.ExecContext(t.Context(), `DELETE FROM audit_records WHERE id = 7`); err != nil {
			t.Fatal(err)
		}
		if _, err := raw.ExecContext(t.Context(), `UPDATE audit_chain SET anchor_id = anchor_id - 1`); err != nil {
			t.Fatal(err)
		}
		tr.verify(t, "an anchor that was moved", "record 10: the anchor")
	})
}

func TestRecordsFromBeforeThereWereHashesAreLeftAlone(t *testing.T) {
	t.Parallel()
	storetest.URLs(t, func(t *testing.T, url func(*testing.T) string) {
		where := url(t)
		tr := newTrail(t, where, 0)
		raw := storetest.Raw(t, where)
		for _, statement := range []string{
			`INSERT INTO audit_records (id, time_ms, actor, action, target, detail, ip) VALUES (1, 1, 0, 'a', 't', '', ''), (2, 2, 0, 'a', 't', '', '')`,
			`UPDATE audit_chain SET head_id = 2, anchor_id = 2`, // as the migration does
		} {
			if _, err := raw.ExecContext(t.Context(), statement); err != nil {
				t.Fatal(err)
			}
		}
		tr.add(t, 3)
		if report := tr.verify(t, "begun late", ""); report.Records != 3 || report.Anchor.ID != 2 {
			t.Errorf("checked %d records after %d", report.Records, report.Anchor.ID)
		}
		if n, err := tr.Prune(t.Context(), time.UnixMilli(2)); n != 1 || err != nil {
			t.Fatalf("%d went, %v", n, err)
		}
		tr.verify(t, "one of the old was pruned", "")
		if n, err := tr.Prune(t.Context(), noon.Add(2*time.Hour)); n != 2 || err != nil {
			t.Fatalf("%d went, %v", n, err)
		}
		tr.verify(t, "old and new were pruned", "")
	})
}

func TestANotedHeadProvesThatTheNewestAreThere(t *testing.T) {
	t.Parallel()
	storetest.URLs(t, func(t *testing.T, url func(*testing.T) string) {
		where := url(t)
		tr := newTrail(t, where, 5)
		noted := tr.verify(t, "before", "").HeadText()
		raw := storetest.Raw(t, where)
		for _, statement := range []string{
			`DELETE FROM audit_records WHERE id > 3`,
			`UPDATE audit_chain SET head_id = 3, head_hash = (SELECT hash FROM audit_records WHERE id = 3)`,
		} {
			if _, err := raw.ExecContext(t.Context(), statement); err != nil {
				t.Fatal(err)
			}
		}
		tr.verify(t, "cut off with its head, by who wrote what is gone", "record 5: this server wrote it")
		restarted := &trail{Service: audit.NewService(storetest.Open(t, where), testMaster(t), tr.now)}
		restarted.verify(t, "cut off with its head, which the chain cannot show", "")
		if report, err := restarted.Verify(t.Context(), noted); err != nil || report.Broken == nil || !strings.Contains(report.Broken.Why, "noted") {
			t.Errorf("with what was noted: %v, %v", report.Broken, err)
		}
		// Others go on from there, but not with the same.
		restarted.add(t, 4)
		restarted.verify(t, "gone on by another", "")
		tr.verify(t, "gone on by another, by who wrote what is gone", "record 5: this server wrote it")
		// What was pruned since is gone for a reason.
		if n, err := restarted.Prune(t.Context(), noon.Add(1000*time.Hour)); n != 7 || err != nil {
			t.Fatalf("%d went, %v", n, err)
		}
		tr.verify(t, "pruned by another", "")
	})
}

// Whatever entries say, they make a chain that holds.
func TestAnyEntriesMakeAChain(t *testing.T) {
	t.Parallel()
	tr := newTrail(t, "sqlite:"+t.TempDir()+"/halley.db", 0)
	rapid.Check(t, func(rt *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.StringN(0, 20, 100_000), rapid.SampledFrom([]string{"", "\x00", "\xff\xfe", strings.Repeat("é", 9000)}))
		e := audit.Entry{
			Actor: rapid.Int64().Draw(rt, "actor"), Action: text.Draw(rt, "action"), Target: text.Draw(rt, "target"), Detail: text.Draw(rt, "detail"),
			Before: text.Draw(rt, "before"), After: text.Draw(rt, "after"), RequestID: text.Draw(rt, "request"), IP: text.Draw(rt, "ip"),
		}
		if err := tr.Record(t.Context(), e); err != nil {
			rt.Fatal(err)
		}
	})
	tr.verify(t, "any entries", "")
}
