package budget_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"halley/internal/budget"
)

func schedule(t testing.TB, period, zone string, anchor int64) budget.Schedule {
	t.Helper()
	s, err := budget.NewSchedule(period, zone, anchor)
	if err != nil {
		t.Fatalf("%s in %s: %v", period, zone, err)
	}
	return s
}

func TestAWindowBeginsAndEndsAtItsZonesBoundaries(t *testing.T) {
	t.Parallel()
	anchor := func(text string) int64 {
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		return at.Unix()
	}
	for name, row := range map[string]struct {
		period, zone string
		anchor       int64
		at           string
		start, end   string
	}{
		"a day":                              {"day", "UTC", 0, "2026-02-28T23:59:59Z", "2026-02-28T00:00:00Z", "2026-03-01T00:00:00Z"},
		"a day that begins":                  {"day", "UTC", 0, "2026-03-01T00:00:00Z", "2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z"},
		"a day of 23 hours":                  {"day", "Europe/Berlin", 0, "2026-03-29T12:00:00Z", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"},
		"a day of 25 hours":                  {"day", "Europe/Berlin", 0, "2026-10-25T12:00:00Z", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"},
		"a day without its midnight":         {"day", "Africa/Cairo", 0, "2024-04-26T10:00:00Z", "2024-04-25T22:00:00Z", "2024-04-26T21:00:00Z"},
		"the day before it":                  {"day", "Africa/Cairo", 0, "2024-04-25T21:59:59Z", "2024-04-24T22:00:00Z", "2024-04-25T22:00:00Z"},
		"a day with two midnights":           {"day", "America/Havana", 0, "2026-11-01T05:30:00Z", "2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z"},
		"a date that ends, returns, ends":    {"day", "America/St_Johns", 0, "2010-11-07T03:00:00Z", "2010-11-07T02:30:00Z", "2010-11-08T03:30:00Z"},
		"after a day that never was":         {"day", "Pacific/Apia", 0, "2011-12-30T10:00:00Z", "2011-12-30T10:00:00Z", "2011-12-31T10:00:00Z"},
		"a zone of quarter hours":            {"day", "Asia/Kathmandu", 0, "2026-01-01T00:00:00Z", "2025-12-31T18:15:00Z", "2026-01-01T18:15:00Z"},
		"a week":                             {"week", "UTC", 0, "2026-03-04T12:00:00Z", "2026-03-02T00:00:00Z", "2026-03-09T00:00:00Z"},
		"a Sunday":                           {"week", "UTC", 0, "2026-03-08T23:59:59Z", "2026-03-02T00:00:00Z", "2026-03-09T00:00:00Z"},
		"a week across summer time":          {"week", "America/New_York", 0, "2026-03-08T12:00:00Z", "2026-03-02T05:00:00Z", "2026-03-09T04:00:00Z"},
		"a month":                            {"month", "UTC", 0, "2026-02-15T00:00:00Z", "2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z"},
		"a leap February":                    {"month", "UTC", 0, "2028-02-29T23:00:00Z", "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z"},
		"a December":                         {"month", "Asia/Tokyo", 0, "2026-12-31T14:59:59Z", "2026-11-30T15:00:00Z", "2026-12-31T15:00:00Z"},
		"a month across summer time":         {"month", "Europe/Berlin", 0, "2026-03-31T21:59:59Z", "2026-02-28T23:00:00Z", "2026-03-31T22:00:00Z"},
		"five hours":                         {"hours:5", "UTC", 0, "1970-01-01T09:59:59Z", "1970-01-01T05:00:00Z", "1970-01-01T10:00:00Z"},
		"five hours anchored":                {"hours:5", "UTC", anchor("2030-01-01T01:30:00Z"), "2026-01-01T00:00:00Z", "2025-12-31T19:30:00Z", "2026-01-01T00:30:00Z"},
		"a month anchored on the 31st":       {"month", "UTC", anchor("2026-01-31T09:00:00Z"), "2026-02-28T09:00:00Z", "2026-02-28T09:00:00Z", "2026-03-31T09:00:00Z"},
		"before that":                        {"month", "UTC", anchor("2026-01-31T09:00:00Z"), "2026-02-28T08:59:59Z", "2026-01-31T09:00:00Z", "2026-02-28T09:00:00Z"},
		"a week anchored on a Thursday noon": {"week", "UTC", anchor("2026-01-01T12:00:00Z"), "2026-03-05T11:59:59Z", "2026-02-26T12:00:00Z", "2026-03-05T12:00:00Z"},
		"the last day of a leap year":        {"day", "America/New_York", 0, "2028-12-31T12:00:00Z", "2028-12-31T05:00:00Z", "2029-01-01T05:00:00Z"},
		"the year's end in Cairo":            {"month", "Africa/Cairo", 0, "2028-12-31T12:00:00Z", "2028-11-30T22:00:00Z", "2028-12-31T22:00:00Z"},
		"a day anchored in a lost hour":      {"day", "Europe/Berlin", anchor("2026-01-01T01:30:00Z"), "2026-03-29T00:59:59Z", "2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := time.Unix(anchor(row.at), 0)
			start, end := schedule(t, row.period, row.zone, row.anchor).Window(at)
			got := start.UTC().Format(time.RFC3339) + " – " + end.UTC().Format(time.RFC3339)
			if want := row.start + " – " + row.end; got != want {
				t.Errorf("%s lies in %s, want %s", row.at, got, want)
			}
		})
	}
}

func TestWindowsFollowEachOtherWithoutGapOrOverlap(t *testing.T) {
	t.Parallel()
	zones := []string{"UTC", "Europe/Berlin", "America/New_York", "America/Havana", "Africa/Cairo", "Asia/Beirut", "America/St_Johns", "Pacific/Apia", "Australia/Lord_Howe", "America/Sao_Paulo", "Africa/Casablanca"}
	rapid.Check(t, func(t *rapid.T) {
		zone := rapid.SampledFrom(zones).Draw(t, "zone")
		period := rapid.SampledFrom([]string{"day", "week", "month", "hours:1", "hours:7", "hours:8784"}).Draw(t, "period")
		anchor := rapid.OneOf(rapid.Just(int64(0)), rapid.Int64Range(1, 4_000_000_000)).Draw(t, "anchor")
		s, err := budget.NewSchedule(period, zone, anchor)
		if err != nil {
			t.Fatal(err)
		}
		at := time.UnixMilli(rapid.Int64Range(0, 4_000_000_000_000).Draw(t, "at"))
		start, end := s.Window(at)
		if at.Before(start) || !at.Before(end) {
			t.Fatalf("%v is not in %v – %v", at, start, end)
		}
		for _, in := range []time.Time{start, end.Add(-time.Millisecond)} {
			if b, e := s.Window(in); !b.Equal(start) || !e.Equal(end) {
				t.Fatalf("%v of the window %v – %v lies in %v – %v", in, start, end, b, e)
			}
		}
		if next, _ := s.Window(end); !next.Equal(end) {
			t.Fatalf("the window after %v begins at %v", end, next)
		}
		if _, e := s.Window(start.Add(-time.Millisecond)); !e.Equal(start) {
			t.Fatalf("the window before %v ends at %v", start, e)
		}
	})
}

func TestASchedulesPartsAreJudged(t *testing.T) {
	t.Parallel()
	for _, period := range []string{"", "year", "hours:", "hours:0", "hours:-1", "hours:+1", "hours:01", "hours:8785", "hours:1.5", "Day"} {
		if _, err := budget.NewSchedule(period, "UTC", 0); err != budget.ErrPeriod {
			t.Errorf("period %q: %v", period, err)
		}
	}
	for _, zone := range []string{"", "Local", "Mars/Olympus", "../etc/passwd"} {
		if _, err := budget.NewSchedule("day", zone, 0); err != budget.ErrTimeZone {
			t.Errorf("zone %q: %v", zone, err)
		}
	}
}
