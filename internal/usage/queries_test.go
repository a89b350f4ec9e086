package usage

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestADayBeginsWithItsFirstMoment(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ zone, at, want string }{
		{"UTC", "2026-03-02T23:59:59Z", "2026-03-02T00:00:00Z"},
		{"Europe/Berlin", "2026-03-29T12:00:00Z", "2026-03-28T23:00:00Z"},
		{"Asia/Kolkata", "2026-03-02T18:30:00Z", "2026-03-02T18:30:00Z"},
		{"Asia/Kolkata", "2026-03-02T18:29:59Z", "2026-03-01T18:30:00Z"},
		{"America/Sao_Paulo", "2018-11-04T12:00:00Z", "2018-11-04T03:00:00Z"}, // midnight was skipped
		{"America/Havana", "2025-11-02T04:30:00Z", "2025-11-02T04:00:00Z"},    // midnight came twice
		{"America/Havana", "2025-11-02T05:30:00Z", "2025-11-02T04:00:00Z"},
		{"Asia/Beirut", "2025-03-30T12:00:00Z", "2025-03-29T22:00:00Z"},
	} {
		zone, err := time.LoadLocation(row.zone)
		if err != nil {
			t.Fatal(err)
		}
		at, _ := time.Parse(time.RFC3339, row.at)
		if got := startOfDay(at, zone, 0).Format(time.RFC3339); got != row.want {
			t.Errorf("%s in %s: the day begins at %s, want %s", row.at, row.zone, got, row.want)
		}
	}
}

func TestEveryMomentIsInItsDay(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		zone, err := time.LoadLocation(rapid.SampledFrom([]string{
			"UTC", "America/Sao_Paulo", "America/Havana", "Asia/Beirut", "Asia/Kathmandu", "Australia/Lord_Howe", "Africa/Cairo", "America/St_Johns", "Atlantic/Azores",
		}).Draw(t, "zone"))
		if err != nil {
			t.Fatal(err)
		}
		at := time.Unix(rapid.Int64Range(1_400_000_000, 1_900_000_000).Draw(t, "at"), 0)
		start := startOfDay(at, zone, 0)
		if start.After(at) || start.In(zone).YearDay() != at.In(zone).YearDay() || at.Sub(start) > 26*time.Hour {
			t.Fatalf("%v is in the day that begins at %v", at.In(zone), start.In(zone))
		}
		if before := start.Add(-1).In(zone); before.YearDay() == at.In(zone).YearDay() {
			t.Fatalf("%v is not the first moment of its day", start.In(zone))
		}
	})
}
