package adminapi

import (
	"net/http"

	"halley/internal/account"
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
		{method: http.MethodDelete, path: "/api/group/{name}", access: adminOnly, handle: s.deleteGroup, summary: "Delete a group that nothing uses, or have those that use it use another one", query: []string{"move_to"}},
		{method: http.MethodGet, path: "/api/user/self/groups", access: anyUser, handle: s.listOwnGroups, summary: "List the groups that the caller may use", out: typeOf[map[string]ownGroup]()},
		{method: http.MethodGet, path: "/api/user/{id}/groups", access: adminOnly, handle: s.listUserGroups, summary: "List the groups that a user may use", out: typeOf[map[string]ownGroup]()},
	}
}

// groupBody creates or changes a group. The ratio is a decimal in a string, so
// that it stays exact.
type groupBody struct {
	Name     jsonx.Opt[string]   `json:"name"`
	Ratio    jsonx.Opt[string]   `json:"ratio" doc:"A decimal number, such as 1.25; costs are multiplied by it."`
	Desc     jsonx.Opt[string]   `json:"desc"`
	UsableBy jsonx.Opt[usableBy] `json:"usable_by"`
	Strategy jsonx.Opt[string]   `json:"strategy" enum:"strategies" doc:"How the group chooses among its channels of the same priority."`

	Limits jsonx.Opt[limit.Patch] `json:"limits" doc:"Merged member by member; null takes a member away."`
}

type groupView struct {
	Name     string   `json:"name"`
	Ratio    string   `json:"ratio" doc:"A decimal number, such as 1.25; costs are multiplied by it."`
	Desc     string   `json:"desc"`
	UsableBy usableBy `json:"usable_by"`
	Strategy string   `json:"strategy" enum:"strategies" doc:"How the group chooses among its channels of the same priority."`
	Version  int64    `json:"version"`

	Limits ratesRecord `json:"limits" doc:"They bind all requests that are routed in the group, together."`
}

func viewGroup(g *group.Group) groupView {
	return groupView{Name: g.Name, Ratio: g.Ratio.String(), Desc: g.Desc, UsableBy: usableBy{audience: g.UsableBy}, Strategy: string(g.Strategy), Version: g.Version, Limits: newRatesRecord(g.Limits)}
}

func (b *groupBody) change() (group.Change, error) {
	change := group.Change{Ratio: b.Ratio.Ptr(), Desc: b.Desc.Ptr(), Limits: b.Limits.Ptr()}
	if by := b.UsableBy.Ptr(); by != nil {
		change.UsableBy = &by.audience
	}
	if b.Strategy.Set {
		change.Strategy = new(group.Strategy(b.Strategy.Value))
	}
	return change, firstError(
		notNull("name", b.Name), notNull("ratio", b.Ratio), notNull("desc", b.Desc), notNull("usable_by", b.UsableBy), b.UsableBy.Value.bad, notNull("strategy", b.Strategy), notNull("limits", b.Limits),
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
	if b.Strategy.Set {
		changes["strategy"] = now.Strategy
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
	s.trailChange(c, "group.create", groupTarget(made.Name), detail(body.changes(view)), nil, view)
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
	before := s.groupBefore(name)
	changed, err := s.Groups.Update(c.ctx, name, change, ifVersion)
	if err != nil {
		return nil, err
	}
	view := viewGroup(changed)
	s.trailChange(c, "group.update", groupTarget(name), detail(body.changes(view)), before, view)
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
	to := c.query.Get("move_to")
	if c.query.Has("move_to") && to == "" {
		return nil, fault.New(fault.Invalid, "invalid_group", "move_to must name the group that is to be used instead.").Field("move_to")
	}
	before := s.groupBefore(name)
	moved, err := s.Groups.Delete(c.ctx, name, to)
	if err != nil && moved.None() {
		return nil, err
	}
	if to == "" {
		s.trailChange(c, "group.delete", groupTarget(name), "", before, nil)
		return noData{}, nil
	}
	s.trailChange(c, "group.delete", groupTarget(name), detail(map[string]any{
		"move_to": to, "keys": len(moved.Keys), "users": len(moved.Users), "channels": len(moved.Channels), "auto_groups": moved.AutoGroups,
	}), before, nil)
	return noData{}, err // deleted, though not all of it may be in memory yet
}

// groupBefore is a group as it is before a change, for the audit trail.
func (s *Server) groupBefore(name string) any {
	found, ok := s.Groups.Current().Get(name)
	if !ok {
		return nil
	}
	return viewGroup(found)
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

func (s *Server) listOwnGroups(c *call) (any, error) { return s.groupsFor(c.who.User), nil }

// listUserGroups tells an administrator which groups the keys of a user may have.
func (s *Server) listUserGroups(c *call) (any, error) {
	user, err := s.userInPath(c)
	if err != nil {
		return nil, err
	}
	return s.groupsFor(user), nil
}

func (s *Server) groupsFor(user *account.User) map[string]ownGroup {
	usable := map[string]ownGroup{}
	for _, g := range s.Groups.Current().For(group.User{ID: user.ID, Group: user.Group}) {
		usable[g.Name] = ownGroup{Ratio: g.Ratio.String(), Desc: g.Desc}
	}
	return usable
}
