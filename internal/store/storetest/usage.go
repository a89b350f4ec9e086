package storetest

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"halley/internal/account"
	"halley/internal/money"
	"halley/internal/store"
	"halley/internal/usage"
)

// RunUsage checks that a database takes usage in as usage.Store promises and
// answers as usage.QueryStore does.
func RunUsage(t *testing.T, open func(t *testing.T) *store.DB) {
	for name, check := range map[string]func(*testing.T, *store.DB){
		"a batch charges keys and accounts":            usageCharges,
		"a record is read back as it was applied":      usageReadBack,
		"a record is charged once, however often sent": usageOnce,
		"what strangers wrote never fails a charge":    usageOddText,
		"unknown keys and accounts are no error":       usageOrphans,
		"totals and lists agree with a plain count":    usageTotals,
		"series agree with a plain count in any zone":  usageSeries,
		"all of them in portions, each once":           usageInPortions,
		"a mean leaves errors out":                     usageMeans,
		"daily usage by key":                           usageDaily,
		"sums of parts agree with a plain count":       usageSumsBy,
		"charges are those of a range and model":       usageCharged,
		"the pace of the last minute":                  usagePace,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(t, open(t))
		})
	}
}

var usageStart = time.UnixMilli(1_766_000_000_123).UTC()

// spenders makes two users with two keys each.
func spenders(t *testing.T, db *store.DB) (users, keys []int64) {
	t.Helper()
	for u := range 2 {
		user := keyOwner(t, db, fmt.Sprint("user", u))
		users = append(users, user)
		for k := range 2 {
			keys = append(keys, insertKey(t, db, aKey(user, fmt.Sprintf("key %d of %d", k, u))).ID)
		}
	}
	return users, keys
}

func someRecord(i int, userID, keyID int64) usage.Record {
	return usage.Record{
		EventID: fmt.Sprintf("event-%06d", i), RequestID: fmt.Sprintf("request-%06d", i), Time: usageStart,
		KeyID: keyID, UserID: userID, KeyName: "name then", Model: "gpt-4o", ServedModel: "gpt-4o-2024-11-20", ChannelID: 3,
		Group: "default", Dialect: "openai", Endpoint: "chat", Stream: true, Status: 200, Attempts: 1, Source: usage.FromProvider,
		Tokens: usage.Tokens{Prompt: 10, CachedRead: 1, CacheWrite5m: 2, CacheWrite1h: 3, AudioIn: 4, ImageIn: 5, Completion: 20, Reasoning: 6, AudioOut: 7, ImageOut: 8, Searches: 9},
		Cost:   1001, Absorbed: 5, Held: 5000, PriceVersion: "catalog-1", Latency: 1500 * time.Millisecond, FirstByte: 250 * time.Millisecond,
		EndUser: "eve", IP: "192.0.2.7",
	}
}

func apply(t *testing.T, db *store.DB, batch ...usage.Record) {
	t.Helper()
	if err := db.ApplyUsage(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
}

func usageCharges(t *testing.T, db *store.DB) {
	users, keys := spenders(t, db)
	var batch []usage.Record
	for i := range 137 { // not a multiple of any portion
		r := someRecord(i, users[0], keys[i%2])
		r.Time = usageStart.Add(time.Duration(i) * time.Second)
		r.KeyGrantDelta, r.UserGrantDelta = 7, 9
		batch = append(batch, r)
	}
	refused := someRecord(1000, users[1], keys[2])
	refused.Status, refused.Cost, refused.Attempts, refused.ErrorCode, refused.Source = 403, 0, 0, "model_not_allowed", usage.NoUsage
	apply(t, db, append(batch, refused)...)

	granted := aKey(0, "").Granted
	accessed := aKey(0, "").Accessed
	for _, row := range []struct {
		key      int64
		requests money.Nano
		accessed time.Time
	}{
		{keys[0], 69, batch[136].Time}, {keys[1], 68, batch[135].Time}, {keys[2], 0, accessed}, {keys[3], 0, accessed},
	} {
		k, err := db.KeyByID(t.Context(), row.key)
		if err != nil {
			t.Fatal(err)
		}
		if k.Used != row.requests*1001 || k.Granted != granted+row.requests*7 || !k.Accessed.Equal(row.accessed) || k.Version != 1 {
			t.Errorf("key %d: used %d, granted %d, accessed %v, version %d", row.key, k.Used, k.Granted-granted, k.Accessed, k.Version)
		}
	}
	for i, want := range []account.User{{Used: 137 * 1001, Granted: 137 * 9, RequestCount: 137}, {RequestCount: 1}} {
		u, err := db.UserByID(t.Context(), users[i])
		if err != nil {
			t.Fatal(err)
		}
		if u.Used != want.Used || u.Granted != want.Granted || u.RequestCount != want.RequestCount || u.Version != 1 {
			t.Errorf("user %d: %+v", i, u)
		}
	}

	earlier := someRecord(2000, users[0], keys[0])
	earlier.Time = usageStart.Add(-time.Hour)
	apply(t, db, earlier)
	if k, _ := db.KeyByID(t.Context(), keys[0]); !k.Accessed.Equal(batch[136].Time) {
		t.Errorf("a late record turned the last use back to %v", k.Accessed)
	}
}

func usageReadBack(t *testing.T, db *store.DB) {
	users, keys := spenders(t, db)
	full := someRecord(1, users[0], keys[0])
	full.Cost, full.Held = money.Max, money.Max
	full.Trail = []usage.Try{{ChannelID: 3, Outcome: "failed", Detail: "status 503", Took: 40 * time.Millisecond}, {ChannelID: 4, Outcome: "success", Began: 45 * time.Millisecond, Took: time.Second}}
	bare := usage.Record{EventID: "bare", Time: usageStart.Add(time.Second), UserID: users[0], KeyID: keys[0]}
	apply(t, db, full, bare)
	got, err := db.UsageEntries(t.Context(), usage.Filter{}, 10, 0)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || got[0].ID == got[1].ID {
		t.Fatalf("read %+v", got)
	}
	for i, want := range []usage.Record{bare, full} { // newest first
		if diff := gocmp.Diff(want, got[i].Record); diff != "" {
			t.Errorf("(-applied +read):\n%s", diff)
		}
	}
}

func usageOnce(t *testing.T, db *store.DB) {
	users, keys := spenders(t, db)
	var batch []usage.Record
	for i := range 120 {
		batch = append(batch, someRecord(i, users[0], keys[0]))
	}
	apply(t, db, batch[:60]...)
	apply(t, db, batch[:60]...)                            // the same again
	apply(t, db, batch[30:90]...)                          // half of it
	apply(t, db, append(batch[90:120], batch[100:]...)...) // twice in one batch
	apply(t, db)                                           // nothing
	u, err := db.UserByID(t.Context(), users[0])
	if err != nil {
		t.Fatal(err)
	}
	k, err := db.KeyByID(t.Context(), keys[0])
	if err != nil {
		t.Fatal(err)
	}
	totals, err := db.UsageTotals(t.Context(), usage.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	entries, err := db.UsageEntries(t.Context(), usage.Filter{}, 1000, 0)
	if err != nil {
		t.Fatal(err)
	}
	const cost = 120 * 1001
	if u.Used != cost || k.Used != cost || totals.Cost != cost || u.RequestCount != 120 || totals.Requests != 120 || len(entries) != 120 {
		t.Errorf("account %d, key %d, rollups %d for %d, %d and %d requests, %d rows; want %d for 120", u.Used, k.Used, totals.Cost, cost, u.RequestCount, totals.Requests, len(entries), cost)
	}
}

func usageOddText(t *testing.T, db *store.DB) {
	users, keys := spenders(t, db)
	odd := []string{"nul\x00nul", "broken \xff\xfe utf-8", strings.Repeat("long", 1000), strings.Repeat("€", 200), "'; DROP TABLE keys; --", "line\nbreak", "🔑", "\xf0\x9f", strings.Repeat("a", 255) + "€"}
	var batch []usage.Record
	for i, text := range odd {
		r := someRecord(i, users[0], keys[0])
		r.RequestID, r.KeyName, r.Model, r.ServedModel, r.Group, r.ErrorCode, r.EndUser, r.IP, r.PriceVersion = text, text, text, text, text, text, text, text, text
		batch = append(batch, r)
	}
	apply(t, db, batch...)
	got, err := db.UsageEntries(t.Context(), usage.Filter{}, 100, 0)
	if err != nil || len(got) != len(odd) {
		t.Fatalf("%d rows of %d, %v", len(got), len(odd), err)
	}
	for _, text := range odd {
		for name, f := range map[string]usage.Filter{"model": {Model: text}, "request id": {RequestID: text}} {
			if totals, err := db.UsageTotals(t.Context(), f); err != nil || totals.Requests != 1 {
				t.Errorf("by %s %q: %+v, %v", name, text, totals, err)
			}
			if found, err := db.UsageEntries(t.Context(), f, 10, 0); err != nil || len(found) != 1 {
				t.Errorf("by %s %q: %d rows, %v", name, text, len(found), err)
			}
		}
	}
	for _, e := range got {
		if len(e.Model) > 256 || strings.ContainsRune(e.Model, 0) {
			t.Errorf("stored %q", e.Model)
		}
	}
}

func usageOrphans(t *testing.T, db *store.DB) {
	users, keys := spenders(t, db)
	apply(t, db, someRecord(1, 9999, 8888), someRecord(2, users[0], keys[0]))
	if k, _ := db.KeyByID(t.Context(), keys[0]); k.Used != 1001 {
		t.Errorf("the known key was charged %d", k.Used)
	}
}

// history is a random past of some days, applied in batches.
func history(t *testing.T, db *store.DB, n int) (users, keys []int64, all []usage.Record) {
	t.Helper()
	users, keys = spenders(t, db)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range n {
		k := random.IntN(4)
		r := someRecord(i, users[k/2], keys[k])
		// Around two midnights of every zone, some exactly on the hour.
		r.Time = time.UnixMilli(1_766_000_000_000 + random.Int64N(50*3_600_000)).UTC()
		if random.IntN(10) == 0 {
			r.Time = r.Time.Truncate(time.Hour)
		}
		r.Model = []string{"gpt-4o", "claude", "gemini"}[random.IntN(3)]
		r.ChannelID = random.Int64N(3)
		r.Status = []int{200, 200, 200, 429, 499, 500}[random.IntN(6)]
		r.Cost = money.Nano(random.Int64N(1_000_000))
		r.Tokens = usage.Tokens{Prompt: random.Int64N(1000), Completion: random.Int64N(1000)}
		all = append(all, r)
	}
	for batch := range slices.Chunk(all, 333) {
		apply(t, db, batch...)
	}
	return users, keys, all
}

func matches(f usage.Filter, r *usage.Record) bool {
	return (f.UserID == 0 || f.UserID == r.UserID) && (f.KeyID == 0 || f.KeyID == r.KeyID) && (f.ChannelID == 0 || f.ChannelID == r.ChannelID) && (f.Model == "" || f.Model == r.Model) &&
		(f.Status == 0 || f.Status == r.Status) && (!f.Errors || r.Status >= 400) && (f.RequestID == "" || f.RequestID == r.RequestID) &&
		(f.From.IsZero() || !r.Time.Before(f.From)) && (f.To.IsZero() || r.Time.Before(f.To))
}

func count(t *usage.Totals, r *usage.Record) {
	t.Requests++
	if r.Status >= 400 {
		t.Errors++
	} else {
		t.Latency += r.Latency
		t.FirstByte += r.FirstByte
	}
	t.TokensIn += r.Tokens.Prompt
	t.TokensOut += r.Tokens.Completion
	t.Cost += r.Cost
}

func usageTotals(t *testing.T, db *store.DB) {
	users, keys, all := history(t, db, 800)
	slices.SortStableFunc(all, func(a, b usage.Record) int { return b.Time.Compare(a.Time) })
	queries := usage.NewQueries(db)
	random := rand.New(rand.NewPCG(3, 4))
	some := func(set func()) {
		if random.IntN(3) == 0 {
			set()
		}
	}
	moment := func() time.Time {
		at := time.UnixMilli(1_766_000_000_000 + random.Int64N(50*3_600_000)).UTC()
		if random.IntN(3) == 0 {
			at = at.Truncate(time.Hour)
		}
		return at
	}
	for range 120 {
		var f usage.Filter
		some(func() { f.UserID = users[random.IntN(2)] })
		some(func() { f.KeyID = keys[random.IntN(4)] })
		some(func() { f.Model = []string{"gpt-4o", "claude", "none"}[random.IntN(3)] })
		some(func() { f.ChannelID = random.Int64N(3) })
		some(func() { f.Status = []int{200, 499, 418}[random.IntN(3)] })
		some(func() { f.Errors = true })
		some(func() { f.From = moment() })
		some(func() { f.To = moment() })
		some(func() {
			if !f.From.IsZero() {
				f.To = f.From.Add(time.Duration(random.Int64N(int64(2 * time.Hour))))
			}
		})
		if random.IntN(10) == 0 {
			f.RequestID = all[random.IntN(len(all))].RequestID
		}
		var want usage.Totals
		var events []string
		for i := range all {
			if matches(f, &all[i]) {
				count(&want, &all[i])
				events = append(events, all[i].EventID)
			}
		}
		got, err := db.UsageTotals(t.Context(), f)
		if err != nil {
			t.Fatalf("%+v: %v", f, err)
		}
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Fatalf("totals of %+v (-want +got):\n%s", f, diff)
		}
		limit, offset := 1+random.IntN(50), random.IntN(len(events)+2)
		page, total, err := queries.List(t.Context(), f, limit, offset)
		if err != nil {
			t.Fatalf("%+v: %v", f, err)
		}
		wantPage := events[min(offset, len(events)):min(offset+limit, len(events))]
		if total != int64(len(events)) || len(page) != len(wantPage) {
			t.Fatalf("list of %+v from %d: %d of %d, want %d of %d", f, offset, len(page), total, len(wantPage), len(events))
		}
		for i := 1; i < len(page); i++ {
			if cmp.Or(page[i].Time.Compare(page[i-1].Time), cmp.Compare(page[i].ID, page[i-1].ID)) >= 0 {
				t.Fatalf("list of %+v is not newest first", f)
			}
		}
	}
}

func usageSeries(t *testing.T, db *store.DB) {
	users, keys, all := history(t, db, 800)
	queries := usage.NewQueries(db)
	names := map[int64]string{}
	for i, id := range keys {
		names[id] = fmt.Sprintf("key %d of %d", i%2, i/2)
	}
	part := func(by usage.By, r *usage.Record) usage.Who {
		switch by {
		case usage.ByKey:
			return usage.Who{ID: r.KeyID, Name: names[r.KeyID]}
		case usage.ByUser:
			return usage.Who{ID: r.UserID, Name: fmt.Sprint("user", slices.Index(users, r.UserID))}
		case usage.ByChannel:
			if r.ChannelID == 0 {
				return usage.Who{}
			}
			return usage.Who{ID: r.ChannelID, Name: fmt.Sprint("#", r.ChannelID)}
		default:
			return usage.Who{Name: r.Model}
		}
	}
	for _, zoneName := range []string{"UTC", "Asia/Kathmandu", "America/St_Johns"} {
		zone, err := time.LoadLocation(zoneName)
		if err != nil {
			t.Fatal(err)
		}
		for _, by := range []usage.By{usage.ByModel, usage.ByKey, usage.ByChannel, usage.ByUser} {
			for _, bucket := range []usage.Bucket{usage.Hourly, usage.Daily} {
				for _, of := range []usage.Whose{{}, {UserID: users[1]}, {KeyID: keys[1]}, {UserID: users[0], KeyID: keys[0]}, {UserID: users[1], KeyID: keys[0]}} {
					s := usage.Series{Whose: of, By: by, Bucket: bucket, Zone: zone, From: time.UnixMilli(1_766_020_000_000), To: time.UnixMilli(1_766_140_000_000)}
					start := func(at time.Time) time.Time {
						if bucket == usage.Hourly {
							return at.Truncate(time.Hour).UTC()
						}
						y, m, d := at.In(zone).Date()
						return time.Date(y, m, d, 0, 0, 0, 0, zone).UTC()
					}
					type slot struct {
						at time.Time
						usage.Who
					}
					sums := map[slot]usage.Totals{}
					for i := range all {
						at := start(all[i].Time)
						if at.Before(start(s.From)) || at.After(start(s.To.Add(-1))) || (of.UserID != 0 && all[i].UserID != of.UserID) || (of.KeyID != 0 && all[i].KeyID != of.KeyID) {
							continue
						}
						sum := sums[slot{at, part(by, &all[i])}]
						count(&sum, &all[i])
						sums[slot{at, part(by, &all[i])}] = sum
					}
					got, err := queries.Series(t.Context(), s)
					if err != nil {
						t.Fatal(err)
					}
					gotSums := map[slot]usage.Totals{}
					for _, p := range got {
						gotSums[slot{p.Time, p.Who}] = p.Totals
					}
					if diff := gocmp.Diff(sums, gotSums); diff != "" || len(got) != len(sums) {
						t.Fatalf("%s by %s per %s of %+v (-want +got):\n%s", zoneName, by, bucket, of, diff)
					}
					if !slices.IsSortedFunc(got, func(a, b usage.Point) int {
						return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.Name, b.Name))
					}) {
						t.Fatal("not in the order of time, then name")
					}
				}
			}
		}
	}
}

// usageInPortions has many records of one moment, so that portions end among
// them.
func usageInPortions(t *testing.T, db *store.DB) {
	users, keys := spenders(t, db)
	var batch []usage.Record
	for i := range 1203 {
		r := someRecord(i, users[i%2], keys[0])
		r.Time = usageStart.Add(time.Duration(i/400) * time.Millisecond)
		if i%3 == 0 {
			r.Status = 500
		}
		batch = append(batch, r)
	}
	apply(t, db, batch...)
	for _, f := range []usage.Filter{{}, {UserID: users[1]}, {Errors: true}, {From: usageStart.Add(time.Millisecond)}, {To: usageStart}} {
		want := 0
		for i := range batch {
			if matches(f, &batch[i]) {
				want++
			}
		}
		total, all, err := usage.NewQueries(db).All(t.Context(), f)
		if err != nil || total != int64(want) {
			t.Fatalf("%+v: %d in all, %v, want %d", f, total, err, want)
		}
		got := 0
		var last usage.Place
		for e, err := range all {
			if err != nil {
				t.Fatal(err)
			}
			if got++; got > 1 && cmp.Or(e.Time.Compare(last.Time), cmp.Compare(e.ID, last.ID)) >= 0 {
				t.Fatalf("%+v: record %d does not come after the one before", f, got)
			}
			if last = e.Place(); !matches(f, &e.Record) {
				t.Fatalf("%+v gave %+v", f, e.Record)
			}
		}
		if got != want {
			t.Errorf("%+v: %d records, want %d", f, got, want)
		}
	}
}

func usageMeans(t *testing.T, db *store.DB) {
	users, keys := spenders(t, db)
	good, other, bad := someRecord(1, users[0], keys[0]), someRecord(2, users[0], keys[0]), someRecord(3, users[0], keys[0])
	other.Latency, other.FirstByte = 500*time.Millisecond, 150*time.Millisecond
	bad.Status, bad.Latency = 504, time.Minute
	apply(t, db, good, other, bad)
	for name, f := range map[string]usage.Filter{"rollups": {}, "records": {From: usageStart, To: usageStart.Add(time.Second)}} {
		got, err := db.UsageTotals(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		if got.MeanLatency() != time.Second || got.MeanFirstByte() != 200*time.Millisecond {
			t.Errorf("from %s: %v, first byte %v", name, got.MeanLatency(), got.MeanFirstByte())
		}
	}
	if none := (&usage.Totals{Requests: 1, Errors: 1}); none.MeanLatency() != 0 {
		t.Error("a mean of nothing")
	}
}

func usageDaily(t *testing.T, db *store.DB) {
	users, keys := spenders(t, db)
	zone := time.FixedZone("", 5*3600+1800)
	day := func(d, h, m int) time.Time { return time.Date(2026, 3, d, h, m, 0, 0, zone) }
	var batch []usage.Record
	for i, row := range []struct {
		at  time.Time
		key int
	}{
		{day(1, 23, 59), 0}, {day(2, 0, 0), 0}, {day(2, 0, 29), 1}, {day(2, 23, 59), 0}, {day(3, 0, 0), 0}, {day(4, 0, 0), 1}, {day(2, 12, 0), 2},
	} {
		r := someRecord(i, users[row.key/2], keys[row.key])
		r.Time = row.at.UTC()
		batch = append(batch, r)
	}
	apply(t, db, batch...)
	got, err := usage.NewQueries(db).DailyByKey(t.Context(), users[0], day(2, 0, 0), day(3, 0, 0), zone)
	if err != nil {
		t.Fatal(err)
	}
	totals := func(n int64) usage.Totals {
		return usage.Totals{Requests: n, TokensIn: 10 * n, TokensOut: 20 * n, Cost: money.Nano(1001 * n), Latency: time.Duration(n) * 1500 * time.Millisecond, FirstByte: time.Duration(n) * 250 * time.Millisecond}
	}
	want := []usage.KeyDay{
		{Date: "2026-03-02", KeyID: keys[0], KeyName: "key 0 of 0", Totals: totals(2)},
		{Date: "2026-03-02", KeyID: keys[1], KeyName: "key 1 of 0", Totals: totals(1)},
		{Date: "2026-03-03", KeyID: keys[0], KeyName: "key 0 of 0", Totals: totals(1)},
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func usagePace(t *testing.T, db *store.DB) {
	users, keys := spenders(t, db)
	now := usageStart.Add(time.Hour)
	var batch []usage.Record
	for i, before := range []time.Duration{0, 30 * time.Second, 59 * time.Second, time.Minute, 61 * time.Second, time.Hour} {
		r := someRecord(i, users[0], keys[0])
		r.Time = now.Add(-before)
		batch = append(batch, r)
	}
	apply(t, db, batch...)
	got, err := usage.NewQueries(db).Stat(t.Context(), usage.Filter{KeyID: keys[0], To: now.Add(-time.Minute)}, now)
	if err != nil {
		t.Fatal(err)
	}
	want := usage.Stat{Totals: usage.Totals{Requests: 2, TokensIn: 20, TokensOut: 40, Cost: 2002, Latency: 3 * time.Second, FirstByte: 500 * time.Millisecond}, RPM: 4, TPM: 120}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func usageSumsBy(t *testing.T, db *store.DB) {
	_, _, all := history(t, db, 400)
	queries := usage.NewQueries(db)
	random := rand.New(rand.NewPCG(5, 6))
	for range 60 {
		from := time.UnixMilli(1_766_000_000_000 + random.Int64N(50*3_600_000)).UTC()
		to := from.Add(time.Duration(random.Int64N(int64(30 * time.Hour))))
		if random.IntN(3) == 0 {
			from, to = from.Truncate(time.Hour), to.Truncate(time.Hour)
		}
		want := map[int64]usage.Totals{}
		for i := range all {
			if r := &all[i]; !r.Time.Before(from) && r.Time.Before(to) {
				sum := want[r.ChannelID]
				count(&sum, r)
				want[r.ChannelID] = sum
			}
		}
		parts, err := queries.SumsBy(t.Context(), usage.ByChannel, from, to)
		if err != nil {
			t.Fatal(err)
		}
		got := map[int64]usage.Totals{}
		for _, p := range parts {
			got[p.ID] = p.Totals
		}
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Fatalf("from %s to %s (-want +got):\n%s", from, to, diff)
		}
	}
}

func usageCharged(t *testing.T, db *store.DB) {
	free := someRecord(1, 1, 1)
	free.Source, free.Tokens, free.Cost = usage.NoUsage, usage.Tokens{}, 0
	mini := someRecord(2, 1, 1)
	mini.Model, mini.Absorbed = "mini", 5
	late := someRecord(3, 1, 1)
	late.Time = usageStart.Add(time.Hour)
	apply(t, db, free, mini, late, someRecord(4, 1, 1))
	charge := func(r usage.Record) usage.Charge {
		return usage.Charge{Model: r.Model, ServedModel: r.ServedModel, Group: r.Group, Tokens: r.Tokens, Cost: r.Cost, Absorbed: r.Absorbed}
	}
	for _, row := range []struct {
		model    string
		from, to time.Time
		want     []usage.Charge
	}{
		{"", usageStart, usageStart.Add(time.Hour), []usage.Charge{charge(mini), charge(someRecord(4, 1, 1))}},
		{"gpt-4o", usageStart, usageStart.Add(2 * time.Hour), []usage.Charge{charge(late), charge(someRecord(4, 1, 1))}},
		{"mini", usageStart.Add(time.Millisecond), usageStart.Add(time.Hour), nil},
	} {
		var got []usage.Charge
		for c, err := range usage.NewQueries(db).Charges(t.Context(), row.model, row.from, row.to) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, c)
		}
		slices.SortFunc(got, func(a, b usage.Charge) int {
			return cmp.Or(cmp.Compare(b.Model, a.Model), cmp.Compare(a.Absorbed, b.Absorbed))
		})
		if diff := gocmp.Diff(row.want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", row.model, diff)
		}
	}
}
