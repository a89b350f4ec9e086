package adminapi

import (
	"net/http"
	"strconv"
	"time"

	"halley/internal/fault"
	"halley/internal/usage"
)

// usagePointView is one part's usage in one bucket that begins at time. Several
// keys, channels or users of one name have a point each.
type usagePointView struct {
	Time      int64   `json:"time"`
	ID        int64   `json:"id" doc:"Of the key, channel or user; 0 for a model."`
	Name      string  `json:"name"`
	Requests  int64   `json:"requests"`
	TokensIn  int64   `json:"tokens_in"`
	TokensOut int64   `json:"tokens_out"`
	USD       float64 `json:"usd"`
	Errors    int64   `json:"errors"`
	Latency   int64   `json:"latency_ms" doc:"The mean of those that are no errors."`
	FirstByte int64   `json:"first_byte_ms" doc:"Likewise."`
}

func (s *Server) dataRoutes() []route {
	query := []string{"key_id", "from", "to", "bucket", "by", "time_zone"}
	return []route{
		{
			method: http.MethodGet, path: "/api/data/self", access: anyUser, handle: s.ownData, summary: "The caller's usage over time",
			out: typeOf[[]usagePointView](), query: query,
		},
		{
			method: http.MethodGet, path: "/api/data/", access: adminOnly, handle: s.allData, summary: "Everybody's usage over time",
			out: typeOf[[]usagePointView](), query: append([]string{"user_id"}, query...),
		},
	}
}

func (s *Server) ownData(c *call) (any, error) {
	series, err := c.series(time.Now())
	if err != nil {
		return nil, err
	}
	series.UserID = c.who.User.ID
	return s.data(c, series)
}

func (s *Server) allData(c *call) (any, error) {
	series, err := c.series(time.Now())
	if err != nil {
		return nil, err
	}
	if series.UserID, err = c.queryInt("user_id", 0); err != nil {
		return nil, err
	}
	return s.data(c, series)
}

func (s *Server) data(c *call, series usage.Series) (any, error) {
	points, err := s.Usage.Series(c.ctx, series)
	if err != nil {
		return nil, err
	}
	view := make([]usagePointView, 0, len(points))
	for _, p := range points {
		name := p.Name
		if series.By == usage.ByChannel && p.ID != 0 && !c.who.Admin() {
			name = "#" + strconv.FormatInt(p.ID, 10) // what operators call their channels is theirs
		}
		view = append(view, usagePointView{
			Time: p.Time.Unix(), ID: p.ID, Name: name, Requests: p.Requests, TokensIn: p.TokensIn, TokensOut: p.TokensOut, USD: p.Cost.Float(), Errors: p.Errors,
			Latency: p.MeanLatency().Milliseconds(), FirstByte: p.MeanFirstByte().Milliseconds(),
		})
	}
	return view, nil
}

// series reads what is asked for: by default days by model, the last 30 of them
// or, of hours, the last 24. Days are those of the zone that
// is asked for, else the caller's own.
func (c *call) series(now time.Time) (usage.Series, error) {
	series := usage.Series{By: usage.ByModel, Bucket: usage.Daily, Zone: time.UTC}
	if by := c.query.Get("by"); by != "" {
		series.By = usage.By(by)
	}
	switch series.By {
	case usage.ByModel, usage.ByKey, usage.ByChannel, usage.ByUser:
	default:
		return series, fault.New(fault.Invalid, "invalid_by", "by must be model, key, channel or user.").Field("by")
	}
	if bucket := c.query.Get("bucket"); bucket != "" {
		series.Bucket = usage.Bucket(bucket)
	}
	back := 30 * 24 * time.Hour
	switch series.Bucket {
	case usage.Daily:
	case usage.Hourly:
		back = 24 * time.Hour
	default:
		return series, fault.New(fault.Invalid, "invalid_bucket", "bucket must be hour or day.").Field("bucket")
	}
	if name := c.query.Get("time_zone"); name != "" {
		zone, err := time.LoadLocation(name)
		if err != nil || name == "Local" {
			return series, fault.New(fault.Invalid, "invalid_time_zone", "time_zone must be a time zone's name, such as Europe/Berlin.").Field("time_zone")
		}
		series.Zone = zone
	} else if zone, err := time.LoadLocation(c.who.User.TimeZone); err == nil { // one that this machine does not know is UTC
		series.Zone = zone
	}
	var err error
	if series.KeyID, err = c.queryInt("key_id", 0); err != nil {
		return series, err
	}
	if series.From, series.To, err = c.queryRange(); err != nil {
		return series, err
	}
	if series.To.IsZero() {
		series.To = now.Add(time.Second)
		if series.From.After(now) {
			series.To = series.From
		}
	}
	if series.From.IsZero() {
		series.From = series.To.Add(-back)
	}
	return series, nil
}
