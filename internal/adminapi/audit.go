package adminapi

import (
	"bufio"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strconv"
	"time"

	"halley/internal/audit"
	"halley/internal/fault"
	"halley/internal/jsonx"
)

type auditView struct {
	ID     int64  `json:"id"`
	Time   int64  `json:"time"`
	Actor  int64  `json:"actor" doc:"A user's id; 0 is the system itself."`
	Action string `json:"action"`
	Target string `json:"target"`
	Detail string `json:"detail" doc:"What was asked for."`
	// Before and After are null where there is nothing to tell.
	Before    *map[string]any `json:"before" doc:"What the change has changed, as it was; null where nothing was, or is told. Never a secret."`
	After     *map[string]any `json:"after" doc:"The same as it became."`
	RequestID string          `json:"request_id"`
	IP        string          `json:"ip" doc:"Empty over the local socket."`
	Hash      string          `json:"hash" doc:"Covers the record and the hash of the one before it; halley audit verify checks it. Empty in records from before there were hashes."`
}

func (s *Server) auditRoutes() []route {
	return []route{
		{
			method: http.MethodGet, path: "/api/audit/", access: adminOnly, handle: s.listAudit, summary: "Who changed what; an action without a dot, such as channel, is every action on such records",
			out: typeOf[pageOf[auditView]](), query: append(auditFilters(), "p", "page_size"),
		},
		{
			method: http.MethodGet, path: "/api/audit/export", access: adminOnly, handle: s.exportAudit, summary: "All records of the trail that the filters leave, newest first, as a file",
			out: typeOf[[]auditView](), plain: true, files: []string{csvType}, query: append(auditFilters(), "format"),
		},
		{
			method: http.MethodGet, path: "/api/audit/chain", access: adminOnly, handle: s.checkAudit, summary: "Check that no record of the trail was changed or taken away; noted is an earlier head",
			out: typeOf[auditChainView](), query: []string{"noted"},
		},
	}
}

func auditFilters() []string {
	return []string{"actor", "action", "target", "target_kind", "request_id", "from", "to"}
}

// auditChainView is what a check of the trail's chain found.
type auditChainView struct {
	Records int64           `json:"records" doc:"So many follow each other."`
	Anchor  int64           `json:"anchor" doc:"The id of the record that the check begins after; 0 is the beginning."`
	Head    string          `json:"head" doc:"The newest record, to be noted down elsewhere: noted proves later that it is still there."`
	Broken  *auditBreakView `json:"broken" doc:"Null when the chain holds."`
}

type auditBreakView struct {
	ID  int64  `json:"id" doc:"Of the first record that is not right."`
	Why string `json:"why"`
}

func (s *Server) checkAudit(c *call) (any, error) {
	report, err := s.Audit.Verify(c.ctx, c.query.Get("noted"))
	if err != nil {
		return nil, err
	}
	view := auditChainView{Records: report.Records, Anchor: report.Anchor.ID, Head: report.HeadText()}
	if report.Broken != nil {
		view.Broken = &auditBreakView{ID: report.Broken.ID, Why: report.Broken.Why}
	}
	return view, nil
}

func (s *Server) listAudit(c *call) (any, error) {
	p, err := c.page()
	if err != nil {
		return nil, err
	}
	filter, err := c.auditFilter()
	if err != nil {
		return nil, err
	}
	filter.Offset, filter.Limit = p.Offset(), p.Size
	records, total, err := s.Audit.List(c.ctx, filter)
	if err != nil {
		return nil, err
	}
	items := make([]auditView, 0, len(records))
	for _, r := range records {
		view, err := viewAudit(r)
		if err != nil {
			return nil, err
		}
		items = append(items, view)
	}
	return newPage(p, total, items), nil
}

// auditFilter is what the query narrows the trail to.
func (c *call) auditFilter() (audit.Filter, error) {
	filter := audit.Filter{
		Action: c.query.Get("action"), Target: c.query.Get("target"), TargetKind: c.query.Get("target_kind"), RequestID: c.query.Get("request_id"),
	}
	if c.query.Get("actor") != "" {
		actor, err := c.queryInt("actor", 0)
		if err != nil {
			return filter, err
		}
		filter.Actor = &actor
	}
	var err error
	if filter.From, err = c.queryInstant("from"); err != nil {
		return filter, err
	}
	filter.To, err = c.queryInstant("to")
	return filter, err
}

func viewAudit(r *audit.Record) (auditView, error) {
	view := auditView{
		ID: r.ID, Time: r.Time.Unix(), Actor: r.Actor, Action: r.Action, Target: r.Target, Detail: r.Detail,
		RequestID: r.RequestID, IP: r.IP, Hash: hex.EncodeToString(r.Hash),
	}
	if err := errors.Join(object(r.Before, &view.Before), object(r.After, &view.After)); err != nil {
		return view, fmt.Errorf("read audit record %d: %w", r.ID, err)
	}
	return view, nil
}

// exportAudit answers like exportUsage.
func (s *Server) exportAudit(c *call) (any, error) {
	format, err := c.exportFormat()
	if err != nil {
		return nil, err
	}
	filter, err := c.auditFilter()
	if err != nil {
		return nil, err
	}
	total, all, err := s.Audit.All(c.ctx, filter)
	if err != nil {
		return nil, err
	}
	return s.exported("audit", format, total, func(out io.Writer) error {
		if format == "csv" {
			return writeAuditCSV(out, all)
		}
		return writeJSONLines(out, viewed(all), func(v auditView) any { return v })
	}), nil
}

// viewed are records as the API shows them.
func viewed(all iter.Seq2[*audit.Record, error]) iter.Seq2[auditView, error] {
	return func(yield func(auditView, error) bool) {
		for r, err := range all {
			var view auditView
			if err == nil {
				view, err = viewAudit(r)
			}
			if !yield(view, err) || err != nil {
				return
			}
		}
	}
}

// writeAuditCSV writes a header and a line per record. What was before and after
// is JSON in a cell.
func writeAuditCSV(to io.Writer, all iter.Seq2[*audit.Record, error]) error {
	buffer := bufio.NewWriterSize(to, exportBuffer)
	out := csv.NewWriter(buffer)
	if err := out.Write([]string{"id", "time", "actor", "action", "target", "detail", "before", "after", "request_id", "ip", "hash"}); err != nil {
		return err
	}
	for r, err := range all {
		if err != nil {
			return err
		}
		if err := out.Write([]string{
			strconv.FormatInt(r.ID, 10), r.Time.UTC().Format(time.RFC3339), strconv.FormatInt(r.Actor, 10), harmless(r.Action), harmless(r.Target), harmless(r.Detail),
			harmless(r.Before), harmless(r.After), harmless(r.RequestID), harmless(r.IP), hex.EncodeToString(r.Hash),
		}); err != nil {
			return err
		}
	}
	if out.Flush(); out.Error() != nil {
		return out.Error()
	}
	return buffer.Flush()
}

// object reads what a trail's record has of another record, if anything.
func object(text string, into **map[string]any) error {
	if text == "" {
		return nil
	}
	*into = &map[string]any{}
	return jsonx.Unmarshal([]byte(text), *into)
}

// queryInstant is a query parameter in Unix seconds; missing is the zero time.
func (c *call) queryInstant(name string) (time.Time, error) {
	seconds, err := c.queryInt(name, 0)
	if err != nil || seconds == 0 {
		return time.Time{}, err
	}
	if seconds > maxInstant {
		return time.Time{}, fault.New(fault.Invalid, "invalid_"+name, "%s must be a Unix time in seconds before the year 10000.", name).Field(name)
	}
	return time.Unix(seconds, 0), nil
}

// maxInstant is the last second of the year 9999.
const maxInstant = 253402300799
