package usage

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"time"

	"halley/internal/fault"
	"halley/internal/money"
)

// Filter narrows the records asked for; a zero member narrows nothing.
type Filter struct {
	UserID    int64
	KeyID     int64
	Model     string
	Status    int
	RequestID string
	From      time.Time // inclusive
	To        time.Time // exclusive
}

// Entry is a record as the store has it.
type Entry struct {
	ID int64
	Record
}

// Totals are sums over requests.
type Totals struct {
	Requests  int64
	Errors    int64 // answered with a status of 400 or more, 499 included
	TokensIn  int64
	TokensOut int64
	Cost      money.Nano
}

func (t *Totals) add(o Totals, sign int64) {
	t.Requests += sign * o.Requests
	t.Errors += sign * o.Errors
	t.TokensIn += sign * o.TokensIn
	t.TokensOut += sign * o.TokensOut
	t.Cost += money.Nano(sign) * o.Cost
}

// By is what a series is split by.
type By string

// The splits.
const (
	ByModel   By = "model"
	ByKey     By = "key"
	ByChannel By = "channel"
	ByUser    By = "user"
)

// Who is one part of a split: a model has a name only, a channel, key or user
// also an id. A channel of id 0 stands for requests that reached none.
type Who struct {
	ID   int64
	Name string
}

// HourSums are the totals of one part in one hour that begins at Hour.
type HourSums struct {
	Hour time.Time
	Who
	Totals
}

// QueryStore answers what Queries ask.
type QueryStore interface {
	// UsageEntries gives records, newest first.
	UsageEntries(ctx context.Context, f Filter, limit, offset int) ([]Entry, error)
	// UsageTotals sums up the records that the filter leaves.
	UsageTotals(ctx context.Context, f Filter) (Totals, error)
	// UsageHours gives the sums of the UTC hours that begin in [from, to), of one
	// user or, with 0, of all.
	UsageHours(ctx context.Context, by By, userID int64, from, to time.Time) iter.Seq2[HourSums, error]
	// UsageBetween sums up the records of [from, to) by part; it is meant for
	// stretches shorter than an hour. Hour is from.
	UsageBetween(ctx context.Context, by By, userID int64, from, to time.Time) iter.Seq2[HourSums, error]
}

// Queries answers questions about usage.
type Queries struct {
	store QueryStore
}

// NewQueries makes them.
func NewQueries(store QueryStore) *Queries { return &Queries{store} }

// List gives a page of records, newest first, and how many there are in all.
// Counting is cheap (from the rollups) unless the filter names a status or a
// request id, which are counted one by one.
func (q *Queries) List(ctx context.Context, f Filter, limit, offset int) ([]Entry, int64, error) {
	totals, err := q.store.UsageTotals(ctx, f)
	if err != nil {
		return nil, 0, err
	}
	if int64(offset) >= totals.Requests {
		return nil, totals.Requests, nil
	}
	entries, err := q.store.UsageEntries(ctx, f, limit, offset)
	return entries, totals.Requests, err
}

// Stat is totals and the pace of the last 60 seconds.
type Stat struct {
	Totals
	RPM int64 // requests
	TPM int64 // tokens, in and out
}

// Stat sums up. The pace looks at the same key, model, user and status, but at
// the minute before now whatever the filter's times.
func (q *Queries) Stat(ctx context.Context, f Filter, now time.Time) (Stat, error) {
	totals, err := q.store.UsageTotals(ctx, f)
	if err != nil {
		return Stat{}, err
	}
	f.From, f.To = now.Add(-time.Minute), time.Time{}
	minute, err := q.store.UsageTotals(ctx, f)
	if err != nil {
		return Stat{}, err
	}
	return Stat{totals, minute.Requests, minute.TokensIn + minute.TokensOut}, nil
}

// Bucket is the width of a series' steps.
type Bucket string

// The buckets.
const (
	Hourly Bucket = "hour"
	Daily  Bucket = "day"
)

// The longest ranges of a series: 31 days of hours, two years of days.
const (
	maxHours = 31 * 24
	maxDays  = 2 * 366
)

// Series asks for totals over time.
type Series struct {
	UserID int64 // 0 for all users
	By     By
	Bucket Bucket
	From   time.Time      // rounded down to a bucket's beginning
	To     time.Time      // exclusive, rounded up
	Zone   *time.Location // whose days; hours are UTC's
}

// Point is one part's totals in one bucket. Buckets without requests have none.
type Point struct {
	Time time.Time // when the bucket begins
	Who
	Totals
}

// Series gives the points in the order of time, then name. A range that is too
// long for the bucket is a fault.
func (q *Queries) Series(ctx context.Context, s Series) ([]Point, error) {
	starts, err := s.starts()
	if err != nil || len(starts) < 2 {
		return nil, err
	}
	sums := map[slot]Totals{}
	add := func(bucket int, who Who, t Totals, sign int64) {
		if bucket < 0 || bucket >= len(starts)-1 {
			return
		}
		sum := sums[slot{bucket, who}]
		sum.add(t, sign)
		sums[slot{bucket, who}] = sum
	}
	bucketOf := func(at time.Time) int {
		i, found := slices.BinarySearchFunc(starts, at, time.Time.Compare)
		if !found {
			i--
		}
		return i
	}
	first := starts[0].Truncate(time.Hour)
	for h, err := range q.store.UsageHours(ctx, s.By, s.UserID, first, starts[len(starts)-1]) {
		if err != nil {
			return nil, err
		}
		add(bucketOf(h.Hour), h.Who, h.Totals, 1)
	}
	// Where days do not begin on UTC's hours (India, Nepal, Newfoundland…) the
	// hour around midnight has been counted to the day before. What came after
	// midnight belongs to the next.
	for i, start := range starts {
		hour := start.Truncate(time.Hour)
		if hour.Equal(start) {
			continue
		}
		for h, err := range q.store.UsageBetween(ctx, s.By, s.UserID, start, hour.Add(time.Hour)) {
			if err != nil {
				return nil, err
			}
			add(i-1, h.Who, h.Totals, -1)
			add(i, h.Who, h.Totals, 1)
		}
	}
	points := make([]Point, 0, len(sums))
	for at, t := range sums {
		if t.Requests > 0 {
			points = append(points, Point{starts[at.bucket], at.who.named(s.By), t})
		}
	}
	slices.SortFunc(points, func(a, b Point) int {
		return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
	})
	return points, nil
}

type slot struct {
	bucket int
	who    Who
}

// named makes up a name for what is gone.
func (w Who) named(by By) Who {
	if w.Name == "" && w.ID != 0 && by != ByModel {
		w.Name = "#" + strconv.FormatInt(w.ID, 10)
	}
	return w
}

// starts is where the buckets begin; the last one is the end of the range.
func (s Series) starts() ([]time.Time, error) {
	if !s.From.Before(s.To) {
		return nil, nil
	}
	if s.Bucket == Hourly {
		from, to := s.From.UTC().Truncate(time.Hour), s.To.UTC().Add(time.Hour-1).Truncate(time.Hour)
		if to.Sub(from) > maxHours*time.Hour {
			return nil, fault.New(fault.Invalid, "range_too_long", "from and to may be at most %d days apart for hours; ask for days instead.", maxHours/24).Field("from")
		}
		var starts []time.Time
		for at := from; !at.After(to); at = at.Add(time.Hour) {
			starts = append(starts, at)
		}
		return starts, nil
	}
	if s.To.Sub(s.From) > maxDays*24*time.Hour {
		return nil, fault.New(fault.Invalid, "range_too_long", "from and to may be at most %d days apart.", maxDays).Field("from")
	}
	starts := []time.Time{startOfDay(s.From, s.Zone, 0)}
	for n := 1; starts[len(starts)-1].Before(s.To); n++ {
		starts = append(starts, startOfDay(s.From, s.Zone, n))
	}
	return starts, nil
}

// startOfDay is when the n-th day after at's begins. Where the clocks skip
// midnight it is the first moment of that day.
func startOfDay(at time.Time, zone *time.Location, n int) time.Time {
	year, month, day := at.In(zone).Date()
	start := time.Date(year, month, day+n, 0, 0, 0, 0, zone)
	want := time.Date(year, month, day+n, 12, 0, 0, 0, zone).YearDay()
	if start.YearDay() != want {
		// time.Date used the offset before the gap, and so fell into the evening.
		_, end := start.ZoneBounds()
		start = end
	}
	return start.UTC()
}

// KeyDay is what one key used on one day.
type KeyDay struct {
	Date    string // 2006-01-02
	KeyID   int64
	KeyName string
	Totals
}

// DailyByKey gives what each of the user's keys used on each day from from's to
// to's, both included, in the order of time, then name.
func (q *Queries) DailyByKey(ctx context.Context, userID int64, from, to time.Time, zone *time.Location) ([]KeyDay, error) {
	if userID == 0 {
		return nil, fmt.Errorf("daily usage needs a user")
	}
	points, err := q.Series(ctx, Series{UserID: userID, By: ByKey, Bucket: Daily, From: startOfDay(from, zone, 0), To: startOfDay(to, zone, 1), Zone: zone})
	if err != nil {
		return nil, err
	}
	days := make([]KeyDay, len(points))
	for i, p := range points {
		days[i] = KeyDay{p.Time.In(zone).Format(time.DateOnly), p.ID, p.Name, p.Totals}
	}
	return days, nil
}
