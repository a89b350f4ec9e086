package storetest

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"halley/internal/audit"
	"halley/internal/store"
)

// RunAudit holds a store to audit.Store.
func RunAudit(t *testing.T, open func(t *testing.T) *store.DB) {
	t.Run("entries are filtered and paged, newest first", func(t *testing.T) {
		t.Parallel()
		db := open(t)
		var all []*audit.Record
		for i, e := range []audit.Entry{
			{Actor: 1, Action: "key.create", Target: "key 1", Detail: `{"name":"😀"}`, IP: "2001:db8::1"},
			{Actor: 2, Action: "key.update", Target: "key 1", RequestID: "r2"},
			{Actor: 0, Action: "key.update", Target: "key 2"},
			{Actor: 1, Action: "key.delete", Target: "key 1"},
		} {
			r := &audit.Record{Time: noon.Add(time.Duration(i) * time.Hour), Entry: e}
			if err := db.InsertAudit(t.Context(), r, func([]byte) []byte { return hash(9) }); err != nil {
				t.Fatal(err)
			}
			all = append(all, r)
		}
		for _, tc := range []struct {
			name   string
			filter audit.Filter
			want   []*audit.Record
			total  int64
		}{
			{"all", audit.Filter{Limit: 10}, []*audit.Record{all[3], all[2], all[1], all[0]}, 4},
			{"a page", audit.Filter{Limit: 2, Offset: 1}, []*audit.Record{all[2], all[1]}, 4},
			{"past the end", audit.Filter{Limit: 2, Offset: 9}, nil, 4},
			{"by actor", audit.Filter{Limit: 10, Actor: new(int64(1))}, []*audit.Record{all[3], all[0]}, 2},
			{"by the system", audit.Filter{Limit: 10, Actor: new(int64(0))}, []*audit.Record{all[2]}, 1},
			{"by action", audit.Filter{Limit: 10, Action: "key.update"}, []*audit.Record{all[2], all[1]}, 2},
			{"by target", audit.Filter{Limit: 10, Target: "key 1"}, []*audit.Record{all[3], all[1], all[0]}, 3},
			{"from, inclusive", audit.Filter{Limit: 10, From: all[2].Time}, []*audit.Record{all[3], all[2]}, 2},
			{"to, exclusive", audit.Filter{Limit: 10, To: all[2].Time}, []*audit.Record{all[1], all[0]}, 2},
			{"everything at once", audit.Filter{Limit: 10, Actor: new(int64(2)), Action: "key.update", Target: "key 1", From: noon, To: noon.Add(24 * time.Hour)}, []*audit.Record{all[1]}, 1},
			{"by kind of record", audit.Filter{Limit: 2, Action: "key"}, []*audit.Record{all[3], all[2]}, 4},
			{"by kind of target", audit.Filter{Limit: 10, TargetKind: "key"}, []*audit.Record{all[3], all[2], all[1], all[0]}, 4},
			{"by half a kind", audit.Filter{Limit: 10, TargetKind: "ke"}, nil, 0},
			{"by more than a kind", audit.Filter{Limit: 10, TargetKind: "key 1"}, nil, 0},
			{"by kind, in another case", audit.Filter{Limit: 10, TargetKind: "Key"}, nil, 0},
			{"by request", audit.Filter{Limit: 10, RequestID: "r2"}, []*audit.Record{all[1]}, 1},
			{"by half a request's id", audit.Filter{Limit: 10, RequestID: "r"}, nil, 0},
			{"before a record", audit.Filter{Limit: 10, Before: all[2].ID, Actor: new(int64(1))}, []*audit.Record{all[0]}, 1},
			{"nothing", audit.Filter{Limit: 10, Action: "ke"}, nil, 0},
			{"another case", audit.Filter{Limit: 10, Action: "Key"}, nil, 0},
			{"what no database keeps", audit.Filter{Limit: 10, Action: "key\x00.update", Target: "\xff", TargetKind: "k\x00", RequestID: "\xff"}, nil, 0},
		} {
			got, total, err := db.ListAudit(t.Context(), tc.filter)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" || total != tc.total {
				t.Errorf("%s: total %d, want %d (-want +got):\n%s", tc.name, total, tc.total, diff)
			}
			page, err := db.AuditPage(t.Context(), tc.filter)
			if diff := cmp.Diff(got, page); diff != "" || err != nil {
				t.Errorf("%s, without counting: %v (-want +got):\n%s", tc.name, err, diff)
			}
		}
	})
}
