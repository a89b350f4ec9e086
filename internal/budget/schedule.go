package budget

import (
	"errors"
	"sort"
	"strconv"
	"strings"
	"time"
)

// Schedule says when a renewing budget comes back: at midnight, on Monday's
// midnight or on the first of the month in its time zone, or every so many
// hours since 1970. An anchor moves the boundary to its own time of day,
// weekday or day of the month (the last one of shorter months), or lets the
// hours count from it.
type Schedule struct {
	period string
	zone   *time.Location // of the name it was made with
	anchor int64          // Unix seconds, 0 for none
	hours  int64          // of hours:N
}

// MaxPeriodHours is the longest hours:N: a leap year.
const MaxPeriodHours = 8784

// What NewSchedule can refuse.
var (
	ErrPeriod   = errors.New("the period is not day, week, month or hours:N")
	ErrTimeZone = errors.New("the time zone is not known")
)

// NewSchedule reads a period (day, week, month or hours:N), the IANA name of a
// time zone, and an anchor in Unix seconds, 0 for none.
func NewSchedule(period, zone string, anchor int64) (Schedule, error) {
	s := Schedule{period: period, anchor: anchor}
	switch digits, counted := strings.CutPrefix(period, "hours:"); {
	case counted:
		n, err := strconv.ParseInt(digits, 10, 64)
		if err != nil || n < 1 || n > MaxPeriodHours || strconv.FormatInt(n, 10) != digits {
			return s, ErrPeriod
		}
		s.hours = n
	case period != "day" && period != "week" && period != "month":
		return s, ErrPeriod
	}
	if zone == "" || zone == "Local" { // the machine's own has no name
		return s, ErrTimeZone
	}
	var err error
	if s.zone, err = time.LoadLocation(zone); err != nil {
		return s, ErrTimeZone
	}
	return s, nil
}

// Text names the schedule: two with the same text are the same.
func (s Schedule) Text() string {
	zone := s.zone.String()
	if s.hours > 0 {
		zone = ""
	}
	return s.period + "|" + zone + "|" + strconv.FormatInt(s.anchor, 10)
}

// same reports whether two schedules have the same boundaries by definition.
func (s Schedule) same(o Schedule) bool {
	return s.period == o.period && s.anchor == o.anchor && (s.hours > 0 || s.zone.String() == o.zone.String())
}

// Window is the period that at lies in: start ≤ at < end. The windows of a
// schedule follow each other without gap or overlap, whatever the clocks of its
// time zone do.
func (s Schedule) Window(at time.Time) (start, end time.Time) {
	if s.hours > 0 {
		span := s.hours * 3600
		since := at.Unix() - s.anchor
		n := since / span
		if since < 0 && since%span != 0 {
			n--
		}
		return time.Unix(s.anchor+n*span, 0), time.Unix(s.anchor+(n+1)*span, 0)
	}
	n := s.number(at)
	start, end = s.begins(n), s.begins(n+1)
	// The local date may lie on either side of a boundary that is not midnight,
	// or that the clocks were turned at.
	for at.Before(start) {
		n--
		start, end = s.begins(n), start
	}
	for !at.Before(end) {
		n++
		start, end = end, s.begins(n+1)
	}
	return start, end
}

// number counts the periods by the local date of at: days since 1970, the
// weeks or the months.
func (s Schedule) number(at time.Time) int {
	y, m, d := at.In(s.zone).Date()
	if s.period == "month" {
		return y*12 + int(m) - 1
	}
	days := int(time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix() / 86_400)
	if s.period == "week" {
		return floorDiv(days-s.weekday(), 7)
	}
	return days
}

// begins is the first instant of the period with that number.
func (s Schedule) begins(n int) time.Time {
	var clock time.Duration
	day := 1
	if s.anchor != 0 {
		a := time.Unix(s.anchor, 0).In(s.zone)
		clock = time.Duration(a.Hour())*time.Hour + time.Duration(a.Minute())*time.Minute + time.Duration(a.Second())*time.Second
		day = a.Day()
	}
	switch s.period {
	case "month":
		y, m := floorDiv(n, 12), time.Month(n-12*floorDiv(n, 12)+1)
		last := time.Date(y, m+1, 0, 0, 0, 0, 0, time.UTC).Day()
		return s.reaches(time.Date(y, m, min(day, last), 0, 0, 0, 0, time.UTC).Add(clock))
	case "week":
		n = 7*n + s.weekday()
	}
	return s.reaches(time.Unix(int64(n)*86_400, 0).UTC().Add(clock))
}

// weekday is the first day of each week as days after Thursday, 1 January 1970:
// a Monday, or the anchor's weekday.
func (s Schedule) weekday() int {
	if s.anchor == 0 {
		return 4
	}
	return (int(time.Unix(s.anchor, 0).In(s.zone).Weekday()) + 3) % 7
}

// reaches is the first instant at which the zone's clocks show the reading or a
// later one. Clocks that jump over it reach it when they jump; of two readings
// the first counts.
func (s Schedule) reaches(reading time.Time) time.Time {
	at := reading.Unix() - 26*3600 // before it in every zone
	for {
		offset := s.offset(at)
		moment := reading.Unix() - offset
		if moment <= at {
			return time.Unix(at, 0)
		}
		if s.offset(moment) == offset {
			return time.Unix(moment, 0)
		}
		at = s.turned(at, moment)
	}
}

// offset is how far the zone's clocks are ahead of UTC, in seconds.
func (s Schedule) offset(at int64) int64 {
	_, seconds := time.Unix(at, 0).In(s.zone).Zone()
	return int64(seconds)
}

// turned is the first second after from at which the clocks go otherwise, no
// later than to, where they do. Clocks are not turned twice in so short a time.
// (Time.ZoneBounds would tell, but on 31 December of leap years it gives an end
// that has passed.)
func (s Schedule) turned(from, to int64) int64 {
	before := s.offset(from)
	return from + 1 + int64(sort.Search(int(to-from-1), func(i int) bool { return s.offset(from+1+int64(i)) != before }))
}

func floorDiv(a, b int) int {
	if a < 0 && a%b != 0 {
		return a/b - 1
	}
	return a / b
}
