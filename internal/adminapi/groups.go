package adminapi

import (
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"halley/internal/fault"
	"halley/internal/group"
	"halley/internal/jsonx"
	"halley/internal/limit"
)

func (s *Server) groupRoutes() []route {
	data := typeOf[groupView]()
	return []route{
		{method: http.MethodPost, path: "/api/group/", access: adminOnly, handle: s.createGroup, summary: "Add a group", in: typeOf[groupBody](), out: data, needs: []string{"name"}},
		{method: http.MethodGet, path: "/api/group/", access: adminOnly, handle: s.listGroups, summary: "List groups, default first", out: typeOf[pageOf[groupView]](), query: []string{"p", "page_size"}},
		{method: http.MethodGet, path: "/api/group/{name}", access: adminOnly, handle: s.getGroup, summary: "Read a group", out: data},
		{method: http.MethodPatch, path: "/api/group/{name}", access: adminOnly, handle: s.updateGroup, summary: "Change a group; what is left out stays", in: typeOf[groupBody](), out: data, ifMatch: true},
		{method: http.MethodDelete, path: "/api/group/{name}", access: adminOnly, handle: s.deleteGroup, summary: "Delete a group that nothing uses"},
		{method: http.MethodGet, path: "/api/user/self/groups", access: anyUser, handle: s.listOwnGroups, summary: "List the groups that the caller may use", out: typeOf[map[string]ownGroup]()},
	}
}

// groupBody creates or changes a group. The ratio is a decimal in a string, so
// that it stays exact.
type groupBody struct {
	Name     jsonx.Opt[string]   `json:"name"`
	Ratio    jsonx.Opt[string]   `json:"ratio" doc:"A decimal number, such as 1.25; costs are multiplied by it."`
	Desc     jsonx.Opt[string]   `json:"desc"`
	UsableBy jsonx.Opt[usableBy] `json:"usable_by"`

	Limits jsonx.Opt[limit.Patch] `json:"limits" doc:"Merged member by member; null takes a member away."`
}

type groupView struct {
	Name     string   `json:"name"`
	Ratio    string   `json:"ratio" doc:"A decimal number, such as 1.25; costs are multiplied by it."`
	Desc     string   `json:"desc"`
	UsableBy usableBy `json:"usable_by"`
	Version  int64    `json:"version"`

	Limits ratesRecord `json:"limits" doc:"They bind all requests that are routed in the group, together."`
}

func viewGroup(g *group.Group) groupView {
	return groupView{Name: g.Name, Ratio: g.Ratio.String(), Desc: g.Desc, UsableBy: usableBy{groups: g.UsableBy}, Version: g.Version, Limits: newRatesRecord(g.Limits)}
}

// usableBy is "all" or a list of user groups.
type usableBy struct {
	groups []string // nil for all
	bad    error    // why the JSON was neither
}

// MarshalJSON writes "all" or the list.
func (u usableBy) MarshalJSON() ([]byte, error) {
	if u.groups == nil {
		return []byte(`"all"`), nil
	}
	return jsonx.Marshal(u.groups)
}

// UnmarshalJSON reads either; what is neither is kept in bad, for a message that
// says so.
func (u *usableBy) UnmarshalJSON(text []byte) error {
	*u = usableBy{}
	var word string
	if jsonx.Decode(text, &word) == nil {
		if word != "all" {
			u.bad = fault.New(fault.Invalid, "invalid_usable_by", `usable_by must be "all" or a list of user groups.`).Field("usable_by")
		}
		return nil
	}
	u.groups = []string{}
	if err := jsonx.Decode(text, &u.groups); err != nil {
		reason := `must be "all" or a list of strings`
		if at, ok := errors.AsType[*jsonx.DecodeError](err); ok && at.Field != "" {
			reason += " (look at entry " + at.Field + ", counted from 0)"
		}
		u.bad = fault.New(fault.Malformed, "invalid_type", "usable_by %s.", reason).Field("usable_by")
	}
	return nil
}

// Schema describes both forms.
func (usableBy) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{OneOf: []*huma.Schema{
		{Type: huma.TypeString, Enum: []any{"all"}},
		{Type: huma.TypeArray, Items: &huma.Schema{Type: huma.TypeString}},
	}}
}

func (b *groupBody) change() (group.Change, error) {
	change := group.Change{Ratio: b.Ratio.Ptr(), Desc: b.Desc.Ptr(), Limits: b.Limits.Ptr()}
	if by := b.UsableBy.Ptr(); by != nil {
		change.UsableBy = &by.groups
	}
	return change, firstError(
		notNull("name", b.Name), notNull("ratio", b.Ratio), notNull("desc", b.Desc), notNull("usable_by", b.UsableBy), notNull("limits", b.Limits), b.UsableBy.Value.bad,
	)
}

// changes are the members that were sent, as they are now, for the audit trail.
func (b *groupBody) changes(now groupView) map[string]any {
	changes := map[string]any{}
	if b.Ratio.Set {
		changes["ratio"] = now.Ratio
	}
	if b.Desc.Set {
		changes["desc"] = now.Desc
	}
	if b.UsableBy.Set {
		changes["usable_by"] = now.UsableBy
	}
	if b.Limits.Set {
		changes["limits"] = now.Limits
	}
	return changes
}

func groupTarget(name string) string { return "group " + name }

func (s *Server) createGroup(c *call) (any, error) {
	body, err := decode[groupBody](c)
	if err != nil {
		return nil, err
	}
	change, err := body.change()
	if err != nil {
		return nil, err
	}
	made, err := s.Groups.Create(c.ctx, body.Name.Value, change)
	if err != nil {
		return nil, err
	}
	view := viewGroup(made)
	s.trail(c, "group.create", groupTarget(made.Name), detail(body.changes(view)))
	c.setVersion(made.Version)
	return view, nil
}

func (s *Server) updateGroup(c *call) (any, error) {
	name := c.path("name")
	ifVersion, err := c.ifMatch()
	if err != nil {
		return nil, err
	}
	body, err := decode[groupBody](c)
	if err != nil {
		return nil, err
	}
	change, err := body.change()
	if err != nil {
		return nil, err
	}
	if body.Name.Set && body.Name.Value != name {
		return nil, fault.New(fault.Invalid, "invalid_name", "name cannot be changed: keys, users and channels refer to it.").Field("name")
	}
	changed, err := s.Groups.Update(c.ctx, name, change, ifVersion)
	if err != nil {
		return nil, err
	}
	view := viewGroup(changed)
	s.trail(c, "group.update", groupTarget(name), detail(body.changes(view)))
	c.setVersion(changed.Version)
	return view, nil
}

func (s *Server) getGroup(c *call) (any, error) {
	found, ok := s.Groups.Current().Get(c.path("name"))
	if !ok {
		return nil, group.NotFound(c.path("name"))
	}
	c.setVersion(found.Version)
	return viewGroup(found), nil
}

func (s *Server) deleteGroup(c *call) (any, error) {
	name := c.path("name")
	if err := s.Groups.Delete(c.ctx, name); err != nil {
		return nil, err
	}
	s.trail(c, "group.delete", groupTarget(name), "")
	return noData{}, nil
}

func (s *Server) listGroups(c *call) (any, error) {
	p, err := c.page()
	if err != nil {
		return nil, err
	}
	return pageOfSlice(p, s.Groups.Current().All(), viewGroup), nil
}

type ownGroup struct {
	Ratio string `json:"ratio"`
	Desc  string `json:"desc"`
}

func (s *Server) listOwnGroups(c *call) (any, error) {
	own := map[string]ownGroup{}
	for _, g := range s.Groups.Current().For(c.who.User.Group) {
		own[g.Name] = ownGroup{Ratio: g.Ratio.String(), Desc: g.Desc}
	}
	return own, nil
}
