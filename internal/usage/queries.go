package usage

import (
	"cmp"
	"context"
	"errors"
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
	ChannelID int64
	Model     string
	Status    int
	Errors    bool // only those of a status of 400 or more
	RequestID string
	From      time.Time // inclusive
	To        time.Time // exclusive
	After     Place     // of lists: only what comes after it
}

// Place is where a record stands in the list of all, newest first.
type Place struct {
	Time time.Time
	ID   int64
}

// Entry is a record as the store has it.
type Entry struct {
	ID int64
	Record
}

// Place is where the entry stands.
func (e *Entry) Place() Place { return Place{e.Time, e.ID} }

// Totals are sums over requests.
type Totals struct {
	Requests  int64
	Errors    int64 // answered with a status of 400 or more, 499 included
	TokensIn  int64
	TokensOut int64
	Cost      money.Nano
	Latency   time.Duration // summed over the requests that are no errors
	FirstByte time.Duration // likewise
}

// MeanLatency and MeanFirstByte are how long requests took that are no errors;
// 0 when there were none.
func (t *Totals) MeanLatency() time.Duration { return t.mean(t.Latency) }

// MeanFirstByte is described with MeanLatency.
func (t *Totals) MeanFirstByte() time.Duration { return t.mean(t.FirstByte) }

func (t *Totals) mean(sum time.Duration) time.Duration {
	if n := t.Requests - t.Errors; n > 0 {
		return sum / time.Duration(n)
	}
	return 0
}

func (t *Totals) add(o Totals, sign int64) {
	t.Requests += sign * o.Requests
	t.Errors += sign * o.Errors
	t.TokensIn += sign * o.TokensIn
	t.TokensOut += sign * o.TokensOut
	t.Cost += money.Nano(sign) * o.Cost
	t.Latency += time.Duration(sign) * o.Latency
	t.FirstByte += time.Duration(sign) * o.FirstByte
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
	// UsageHours gives the sums of the UTC hours that begin in [from, to).
	UsageHours(ctx context.Context, by By, of Whose, from, to time.Time) iter.Seq2[HourSums, error]
	// UsageBetween sums up the records of [from, to) by part; it is meant for
	// stretches shorter than an hour. Hour is from.
	UsageBetween(ctx context.Context, by By, of Whose, from, to time.Time) iter.Seq2[HourSums, error]
	// UsageCharges gives what the requests of [from, to) consumed, of one model
	// or, with "", of all, in no order. Requests that consumed nothing are left out.
	UsageCharges(ctx context.Context, model string, from, to time.Time) iter.Seq2[Charge, error]
}

// Charge is what one request consumed and was charged.
type Charge struct {
	Model       string
	ServedModel string
	Group       string
	Tokens      Tokens
	Cost        money.Nano
	Absorbed    money.Nano
}

// Queries answers questions about usage.
type Queries struct {
	store QueryStore
}

// NewQueries makes them.
func NewQueries(store QueryStore) *Queries { return &Queries{store} }

// List gives a page of records, newest first, and how many there are in all.
// Counting is cheap (from the rollups) unless the filter names a status,
// errors or a request id, which are counted one by one.
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

// eachPortion is how many records All asks for at once.
const eachPortion = 500

// All gives every record that the filter leaves, newest first, and how many
// there were when it began. It holds one portion at a time and no transaction,
// however many there are and however slowly they are taken. What is newer than
// the first is left out.
func (q *Queries) All(ctx context.Context, f Filter) (int64, iter.Seq2[*Entry, error], error) {
	totals, err := q.store.UsageTotals(ctx, f)
	if err != nil {
		return 0, nil, err
	}
	portion, err := q.store.UsageEntries(ctx, f, eachPortion, 0)
	if err != nil {
		return 0, nil, err
	}
	return totals.Requests, func(yield func(*Entry, error) bool) {
		for {
			for i := range portion {
				if !yield(&portion[i], nil) {
					return
				}
			}
			if len(portion) < eachPortion {
				return
			}
			f.After = portion[len(portion)-1].Place()
			if portion, err = q.store.UsageEntries(ctx, f, eachPortion, 0); err != nil {
				yield(nil, err)
				return
			}
		}
	}, nil
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

// Sum is the totals of what the filter leaves.
func (q *Queries) Sum(ctx context.Context, f Filter) (Totals, error) {
	return q.store.UsageTotals(ctx, f)
}

// SumsBy is the totals of each part in [from, to), in the order of ids, then
// names. Whole hours come from the rollups, the rest from the records.
func (q *Queries) SumsBy(ctx context.Context, by By, from, to time.Time) ([]HourSums, error) {
	if !from.Before(to) {
		return nil, nil
	}
	sums := map[Who]Totals{}
	gather := func(part iter.Seq2[HourSums, error]) error {
		for h, err := range part {
			if err != nil {
				return err
			}
			sum := sums[h.Who]
			sum.add(h.Totals, 1)
			sums[h.Who] = sum
		}
		return nil
	}
	first, last := from.UTC().Add(time.Hour-1).Truncate(time.Hour), to.UTC().Truncate(time.Hour)
	var err error
	if first.After(last) { // within one hour
		err = gather(q.store.UsageBetween(ctx, by, Whose{}, from, to))
	} else {
		err = errors.Join(
			gather(q.store.UsageBetween(ctx, by, Whose{}, from, first)),
			gather(q.store.UsageHours(ctx, by, Whose{}, first, last)),
			gather(q.store.UsageBetween(ctx, by, Whose{}, last, to)),
		)
	}
	if err != nil {
		return nil, err
	}
	list := make([]HourSums, 0, len(sums))
	for who, sum := range sums {
		list = append(list, HourSums{Hour: from, Who: who.named(by), Totals: sum})
	}
	slices.SortFunc(list, func(a, b HourSums) int { return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.Name, b.Name)) })
	return list, nil
}

// Charges gives what the requests of [from, to) consumed, of one model or, with
// "", of all, in no order.
func (q *Queries) Charges(ctx context.Context, model string, from, to time.Time) iter.Seq2[Charge, error] {
	return q.store.UsageCharges(ctx, model, from, to)
}

// Bucket is the width of a series' steps.
type Bucket string

// The buckets.
const (
	Hourly Bucket = "hour"
	Daily  Bucket = "day"
)

// maxPoints bounds a series: about ten megabytes as JSON.
const maxPoints = 100_000

// Whose usage is looked at: a user's, a key's, or with zeros everybody's.
type Whose struct {
	UserID int64
	KeyID  int64
}

// Series asks for totals over time.
type Series struct {
	Whose
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

// Series gives the points in the order of time, then name. One of more than
// 100,000 points is a fault.
func (q *Queries) Series(ctx context.Context, s Series) ([]Point, error) {
	if !s.From.Before(s.To) {
		return nil, nil
	}
	sums := seriesSums{series: s, totals: map[slot]Totals{}, days: map[int64]hourPlace{}}
	first, end := sums.starts(s.From), sums.ends(s.To)
	for h, err := range q.store.UsageHours(ctx, s.By, s.Whose, first.Truncate(time.Hour), end) {
		if err != nil {
			return nil, err
		}
		place := sums.place(h.Hour)
		sums.add(place.bucket, h.Who, h.Totals, 1)
		if len(sums.totals) > maxPoints {
			return nil, fault.New(fault.Invalid, "range_too_long", "That would be more than %d figures; ask for a shorter range, or for days instead of hours.", maxPoints).Field("from")
		}
	}
	// Where days do not begin on UTC's hours (India, Nepal, Newfoundland…) the
	// hour around midnight has been counted to the day before. What came after
	// midnight belongs to the next.
	for hour, place := range sums.days {
		if place.next.IsZero() {
			continue
		}
		for h, err := range q.store.UsageBetween(ctx, s.By, s.Whose, place.next, time.Unix(hour, 0).Add(time.Hour)) {
			if err != nil {
				return nil, err
			}
			sums.add(place.bucket, h.Who, h.Totals, -1)
			sums.add(place.next, h.Who, h.Totals, 1)
		}
	}
	points := make([]Point, 0, len(sums.totals))
	for at, t := range sums.totals {
		if t.Requests > 0 && !at.start.Before(first) && at.start.Before(end) {
			points = append(points, Point{at.start, at.who.named(s.By), t})
		}
	}
	slices.SortFunc(points, func(a, b Point) int {
		return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
	})
	return points, nil
}

// seriesSums gathers a series.
type seriesSums struct {
	series Series
	totals map[slot]Totals
	days   map[int64]hourPlace // by the hour's Unix seconds
}

type slot struct {
	start time.Time
	who   Who
}

// hourPlace is the bucket of an hour and, when the next one begins within that
// hour, the next.
type hourPlace struct{ bucket, next time.Time }

func (s *seriesSums) add(start time.Time, who Who, t Totals, sign int64) {
	at := slot{start, who}
	sum := s.totals[at]
	sum.add(t, sign)
	s.totals[at] = sum
}

// starts is the beginning of at's bucket.
func (s *seriesSums) starts(at time.Time) time.Time {
	if s.series.Bucket == Hourly {
		return at.UTC().Truncate(time.Hour)
	}
	return startOfDay(at, s.series.Zone, 0)
}

// ends is the end of the last bucket before the end of the range.
func (s *seriesSums) ends(to time.Time) time.Time {
	if s.series.Bucket == Hourly {
		return to.UTC().Add(time.Hour - 1).Truncate(time.Hour)
	}
	return startOfDay(to.Add(-1), s.series.Zone, 1)
}

func (s *seriesSums) place(hour time.Time) hourPlace {
	if s.series.Bucket == Hourly {
		return hourPlace{bucket: hour}
	}
	place, ok := s.days[hour.Unix()]
	if !ok {
		place.bucket = startOfDay(hour, s.series.Zone, 0)
		if next := startOfDay(hour.Add(time.Hour-1), s.series.Zone, 0); next.After(hour) {
			place.next = next
		}
		s.days[hour.Unix()] = place
	}
	return place
}

// named makes up a name for what is gone.
func (w Who) named(by By) Who {
	if w.Name == "" && w.ID != 0 && by != ByModel {
		w.Name = "#" + strconv.FormatInt(w.ID, 10)
	}
	return w
}

// startOfDay is the first moment of the n-th day after at's.
func startOfDay(at time.Time, zone *time.Location, n int) time.Time {
	year, month, day := at.In(zone).Date()
	noon := time.Date(year, month, day+n, 12, 0, 0, 0, zone)
	start := time.Date(year, month, day+n, 0, 0, 0, 0, zone)
	if start.YearDay() != noon.YearDay() {
		// The clocks skip midnight, and this is the evening before.
		_, start = start.ZoneBounds()
	} else if before := start.Add(-1); before.YearDay() == noon.YearDay() {
		// The clocks strike midnight twice, and this is the second time.
		_, offset := start.Zone()
		_, earlier := before.Zone()
		start = start.Add(time.Duration(offset-earlier) * time.Second)
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
	points, err := q.Series(ctx, Series{Whose: Whose{UserID: userID}, By: ByKey, Bucket: Daily, From: startOfDay(from, zone, 0), To: startOfDay(to, zone, 1), Zone: zone})
	if err != nil {
		return nil, err
	}
	days := make([]KeyDay, len(points))
	for i, p := range points {
		days[i] = KeyDay{p.Time.In(zone).Format(time.DateOnly), p.ID, p.Name, p.Totals}
	}
	return days, nil
}
