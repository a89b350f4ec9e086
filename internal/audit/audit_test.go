package audit_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"halley/internal/audit"
	"halley/internal/fault"
	"halley/internal/store/storetest"
)

func TestEntriesAreKeptAsTextThatAnyDatabaseTakes(t *testing.T) {
	t.Parallel()
	db := storetest.Open(t, "sqlite:"+filepath.Join(t.TempDir(), "halley.db"))
	at := time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)
	s := audit.NewService(db, testMaster(t), func() time.Time { return at })
	if err := s.Record(t.Context(), audit.Entry{Actor: 7, Action: "key.update", Target: "key\x00 1\xff", Detail: strings.Repeat("é", 3000), IP: "192.0.2.1"}); err != nil {
		t.Fatal(err)
	}
	records, total, err := s.List(t.Context(), audit.Filter{Limit: 10})
	if err != nil || total != 1 {
		t.Fatalf("%d entries, %v", total, err)
	}
	if len(records[0].Hash) != 32 {
		t.Errorf("its hash is %x", records[0].Hash)
	}
	records[0].Hash = nil
	want := []*audit.Record{{ID: 1, Time: at, Entry: audit.Entry{Actor: 7, Action: "key.update", Target: "key 1", Detail: strings.Repeat("é", 2000), IP: "192.0.2.1"}}}
	if diff := cmp.Diff(want, records); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestATrailThatCannotBeKeptSaysSo(t *testing.T) {
	t.Parallel()
	db := storetest.Open(t, "sqlite:"+filepath.Join(t.TempDir(), "halley.db"))
	s := audit.NewService(db, testMaster(t), time.Now)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Record(t.Context(), audit.Entry{Action: "x"}); !fault.Is(err, fault.Unavailable) || fault.Code(err) != "store_unavailable" {
		t.Errorf("Record: %v", err)
	}
	if _, _, err := s.List(t.Context(), audit.Filter{Limit: 1}); !fault.Is(err, fault.Unavailable) {
		t.Errorf("List: %v", err)
	}
}
