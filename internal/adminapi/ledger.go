package adminapi

import (
	"net/http"

	"halley/internal/budget"
	"halley/internal/fault"
	"halley/internal/reconcile"
)

// ledgerCheckView is what a check of the books found.
type ledgerCheckView struct {
	CheckedKeys      int64            `json:"checked_keys" doc:"Deleted ones are checked, too."`
	CheckedUsers     int64            `json:"checked_users"`
	CheckedHours     int64            `json:"checked_hours" doc:"Hourly rollups that were compared with their usage records."`
	TotalDifferences int64            `json:"total_differences"`
	Differences      []differenceView `json:"differences" doc:"The first 100."`
}

type differenceView struct {
	Kind     string `json:"kind" enum:"key,user,hour,node" doc:"What id is of; of an hour it is the start in Unix seconds."`
	ID       int64  `json:"id"`
	What     string `json:"what" doc:"Which figure; money is in nano-USD. overdrawn and leased are more, stored, than there may be, expected."`
	Expected int64  `json:"expected" doc:"As the rows have it."`
	Stored   int64  `json:"stored"`
}

// grantView is one change of what a key or an account may spend in all.
type grantView struct {
	ID        int64  `json:"id"`
	Time      int64  `json:"time"`
	Kind      string `json:"kind" enum:"key,user"`
	SubjectID int64  `json:"subject_id"`
	DeltaNano int64  `json:"delta_nano" doc:"In nano-USD; a quota unit is 2,000."`
	Reason    string `json:"reason" enum:"opening,created,imported,registered,first_start,edited,quota,unlimited,limited"`
	Actor     int64  `json:"actor" doc:"A user's id; 0 is the system itself."`
	RequestID string `json:"request_id" doc:"Of the management call; empty outside one."`
}

func (s *Server) ledgerRoutes() []route {
	return []route{
		{
			method: http.MethodGet, path: "/api/ledger/", access: adminOnly, handle: s.listGrants, summary: "Every change of a key's or a user's grant, newest first",
			out: typeOf[pageOf[grantView]](), query: []string{"kind", "id", "p", "page_size"},
		},
		{
			method: http.MethodGet, path: "/api/ledger/check", access: adminOnly, handle: s.checkLedger, summary: "Work every balance out again from its rows and tell what differs",
			out: typeOf[ledgerCheckView](),
		},
	}
}

func (s *Server) listGrants(c *call) (any, error) {
	p, err := c.page()
	if err != nil {
		return nil, err
	}
	var of budget.Subject
	kind := c.query.Get("kind")
	switch kind {
	case string(reconcile.Key):
		of.Kind = budget.Key
	case string(reconcile.User):
		of.Kind = budget.User
	default:
		return nil, fault.New(fault.Invalid, "invalid_kind", "kind must be key or user.").Field("kind")
	}
	if of.ID, err = c.queryInt("id", 0); err != nil {
		return nil, err
	}
	if of.ID == 0 {
		return nil, fault.New(fault.Invalid, "id_required", "id must be given: it says whose grants to list.").Field("id")
	}
	rows, total, err := s.Books.Grants(c.ctx, of, p.Offset(), p.Size)
	if err != nil {
		return nil, err
	}
	items := make([]grantView, 0, len(rows))
	for _, r := range rows {
		items = append(items, grantView{
			ID: r.ID, Time: r.Cause.At.Unix(), Kind: kind, SubjectID: r.Subject.ID, DeltaNano: int64(r.Delta),
			Reason: string(r.Cause.Reason), Actor: r.Cause.Actor, RequestID: r.Cause.RequestID,
		})
	}
	return newPage(p, total, items), nil
}

func (s *Server) checkLedger(c *call) (any, error) {
	report, err := s.Books.Check(c.ctx)
	if err != nil {
		return nil, err
	}
	view := ledgerCheckView{
		CheckedKeys: report.Keys, CheckedUsers: report.Users, CheckedHours: report.Hours, TotalDifferences: report.Total,
		Differences: make([]differenceView, 0, len(report.Differences)),
	}
	for _, d := range report.Differences {
		view.Differences = append(view.Differences, differenceView{Kind: string(d.Kind), ID: d.ID, What: d.What, Expected: d.Expected, Stored: d.Stored})
	}
	return view, nil
}
