package adminapi

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"halley/internal/account"
	"halley/internal/budget"
	"halley/internal/fault"
	"halley/internal/jsonx"
	"halley/internal/key"
)

func (s *Server) keyRoutes() []route {
	body, data, list := typeOf[keyBody](), typeOf[keyRecord](), typeOf[pageOf[keyRecord]]()
	return []route{
		{
			method: http.MethodGet, path: "/api/token/", access: anyUser, handle: s.listKeys, summary: "One's own API keys, newest first unless sort says otherwise",
			out: list, query: []string{"p", "page_size", "keyword", "status", "group", "parent_id", "sort", "user_id"},
		},
		{
			method: http.MethodGet, path: "/api/token/watch", access: anyUser, handle: s.watchKeys, summary: "One's own API keys that expire or run out soon, and those with renewing budgets",
			out: typeOf[watchedKeys](), query: []string{"user_id"},
		},
		{
			method: http.MethodGet, path: "/api/token/search", access: anyUser, handle: s.searchKeys, summary: "API keys by name, value or the value's last characters",
			out: list, query: []string{"keyword", "token", "parent_id", "p", "page_size", "user_id"},
		},
		{
			method: http.MethodGet, path: "/api/token/{id}", access: anyUser, handle: s.getKey, summary: "One API key",
			out: data, query: []string{"user_id"},
		},
		{
			method: http.MethodPost, path: "/api/token/", access: anyUser, handle: s.createKey, summary: "Make an API key",
			in: body, out: data, needs: []string{"name"}, query: []string{"user_id"},
		},
		{
			method: http.MethodPost, path: "/api/token/{id}/children", access: anyUser, handle: s.createChildKey, summary: "Make an API key that this one issues: it spends from both, and ends with it",
			in: body, out: data, needs: []string{"name"}, query: []string{"user_id"},
		},
		{
			method: http.MethodPut, path: "/api/token/", access: anyUser, handle: s.updateKey, summary: "Change an API key; what is left out stays",
			in: body, out: data, needs: []string{"id"}, ifMatch: true, query: []string{"status_only", "user_id"},
		},
		{
			method: http.MethodDelete, path: "/api/token/{id}", access: anyUser, handle: s.deleteKey, summary: "End an API key for good, and its children with it",
			query: []string{"user_id"},
		},
		{
			method: http.MethodPost, path: "/api/token/batch", access: anyUser, handle: s.deleteKeys, summary: "End up to 100 API keys for good, and their children with them; gives how many of those listed",
			in: typeOf[keyBatchBody](), out: typeOf[int64](), query: []string{"user_id"},
		},
		{
			method: http.MethodPost, path: "/api/token/{id}/quota", access: anyUser, handle: s.changeKeyQuota, summary: "Add to or set an API key's remaining quota",
			in: typeOf[keyQuotaBody](), out: data, query: []string{"user_id"},
		},
		{
			method: http.MethodPost, path: "/api/token/{id}/rotate", access: anyUser, handle: s.rotateKey, summary: "Give an API key a new value; the old one works until the grace has passed",
			in: typeOf[keyRotateBody](), out: data, query: []string{"user_id"},
		},
		{
			method: http.MethodGet, path: "/api/token/{id}/values", access: anyUser, handle: s.listKeyValues, summary: "The values an API key has had, newest first",
			out: typeOf[pageOf[keyValueRecord]](), query: []string{"p", "page_size", "user_id"},
		},
		{
			method: http.MethodDelete, path: "/api/token/{id}/values/{value_id}", access: anyUser, handle: s.endKeyValue, summary: "End an older value of an API key before its grace has passed",
			query: []string{"user_id"},
		},
	}
}

// keyRecord is a key as the contract publishes it: sixteen fields in their
// order, then Halley's own three. Money is in quota units, instants are Unix
// seconds.
type keyRecord struct {
	ID                 int64   `json:"id"`
	UserID             int64   `json:"user_id"`
	Key                string  `json:"key" doc:"The value, or sk-hly…last4 for those who may not see it."`
	Status             int64   `json:"status" enum:"1,2,3,4" doc:"What is true now, of the key and of its parent: 1 enabled, 2 disabled, 3 expired, 4 exhausted."`
	Name               string  `json:"name"`
	CreatedTime        int64   `json:"created_time"`
	AccessedTime       int64   `json:"accessed_time"`
	ExpiredTime        int64   `json:"expired_time" doc:"-1 is never."`
	RemainQuota        int64   `json:"remain_quota" doc:"What can be spent now, net of what requests in flight reserve. The parent of a child may have less left."`
	UnlimitedQuota     bool    `json:"unlimited_quota" doc:"Whether the key has no quota of its own: the owner's balance bounds it, and a child's parent."`
	ModelLimitsEnabled bool    `json:"model_limits_enabled"`
	ModelLimits        string  `json:"model_limits" doc:"Names and patterns such as gpt-5*, with commas between them."`
	AllowIPs           *string `json:"allow_ips" doc:"Addresses and CIDRs, one a line; null is no restriction."`
	UsedQuota          int64   `json:"used_quota"`
	Group              string  `json:"group" doc:"Empty is the owner's own group, auto the automatic order."`
	CrossGroupRetry    bool    `json:"cross_group_retry"`

	HeldQuota int64           `json:"held_quota" doc:"Reserved by requests in flight."`
	Limits    keyLimitsRecord `json:"limits"`
	Version   int64           `json:"version" doc:"Goes up with every change; the ETag has it."`
}

// keyLimitsRecord is the limits object; unset members are null.
type keyLimitsRecord struct {
	ratesRecord
	Budgets    *[]budgetRecord    `json:"budgets"`
	Endpoints  *[]string          `json:"endpoints" enum:"endpoints"`
	AutoGroups *[]string          `json:"auto_groups"`
	ParentID   *int64             `json:"parent_id" doc:"The key that issued this one. Read-only."`
	Metadata   *map[string]string `json:"metadata"`
}

// newKeyRecord shows a key with the value as given.
func newKeyRecord(v key.View, value string, now time.Time) keyRecord {
	k := v.Key
	remaining, used, held := v.Balance.Units()
	record := keyRecord{
		ID: k.ID, UserID: k.UserID, Key: value, Status: int64(v.Status), Name: k.Name,
		CreatedTime: k.Created.Unix(), AccessedTime: v.Accessed().Unix(), ExpiredTime: k.ExpiresAt,
		RemainQuota: remaining, UnlimitedQuota: v.Balance.Unlimited,
		ModelLimitsEnabled: k.ModelLimitsEnabled, ModelLimits: strings.Join(k.Models, ","),
		UsedQuota: used, Group: k.Group, CrossGroupRetry: k.CrossGroupRetry, HeldQuota: held, Version: k.Version,
		Limits: keyLimitsRecord{
			ratesRecord: newRatesRecord(k.Limits.Limits), Budgets: newBudgetRecords(k.Limits.Budgets, v.Budgets, func() time.Time { return now }), ParentID: k.Limits.ParentID,
		},
	}
	if len(k.AllowIPs) > 0 {
		record.AllowIPs = new(key.FormatAddresses(k.AllowIPs))
	}
	l := &record.Limits
	if k.Limits.Endpoints != nil {
		l.Endpoints = &k.Limits.Endpoints
	}
	if k.Limits.AutoGroups != nil {
		l.AutoGroups = &k.Limits.AutoGroups
	}
	if k.Limits.Metadata != nil {
		l.Metadata = &k.Limits.Metadata
	}
	return record
}

// keyBody creates or changes a key. What else a record has is read-only and not
// read.
type keyBody struct {
	ID                 jsonx.Opt[int64]           `json:"id" doc:"Of the key to change."`
	UserID             jsonx.Opt[int64]           `json:"user_id" doc:"The owner, when an administrator asks for somebody else."`
	Status             jsonx.Opt[int64]           `json:"status" enum:"1,2,3,4"`
	Name               jsonx.Opt[string]          `json:"name"`
	ExpiredTime        jsonx.Opt[int64]           `json:"expired_time" doc:"-1 is never."`
	RemainQuota        jsonx.Opt[int64]           `json:"remain_quota" doc:"What can be spent from now on."`
	UnlimitedQuota     jsonx.Opt[bool]            `json:"unlimited_quota"`
	ModelLimitsEnabled jsonx.Opt[bool]            `json:"model_limits_enabled"`
	ModelLimits        jsonx.Opt[string]          `json:"model_limits" doc:"Names and patterns such as gpt-5*, with commas between them."`
	AllowIPs           jsonx.Opt[string]          `json:"allow_ips" nullable:"true" doc:"Addresses and CIDRs, one a line; null is no restriction."`
	Group              jsonx.Opt[string]          `json:"group"`
	CrossGroupRetry    jsonx.Opt[bool]            `json:"cross_group_retry"`
	Limits             jsonx.Opt[key.LimitsPatch] `json:"limits" doc:"Merged member by member; null takes a member away."`
}

// keyStatusBody is all that status_only reads.
type keyStatusBody struct {
	ID     jsonx.Opt[int64] `json:"id"`
	UserID jsonx.Opt[int64] `json:"user_id"`
	Status jsonx.Opt[int64] `json:"status"`
}

type keyBatchBody struct {
	IDs    jsonx.Opt[[]jsonx.Opt[int64]] `json:"ids" required:"true"`
	UserID jsonx.Opt[int64]              `json:"user_id"`
}

// keyQuotaBody has one of the two, in quota units.
type keyQuotaBody struct {
	Add jsonx.Opt[int64] `json:"add" doc:"May be negative. Either add or set."`
	Set jsonx.Opt[int64] `json:"set" doc:"What can be spent from now on. Either add or set."`
}

// patch is the body as the domain takes it, asked for by somebody. Only
// allow_ips may be null: no restriction.
func (b *keyBody) patch(by budget.Cause) (key.Patch, error) {
	p := key.Patch{
		Name: b.Name.Ptr(), ExpiresAt: b.ExpiredTime.Ptr(), RemainQuota: b.RemainQuota.Ptr(), Unlimited: b.UnlimitedQuota.Ptr(),
		ModelLimitsEnabled: b.ModelLimitsEnabled.Ptr(), ModelLimits: b.ModelLimits.Ptr(), AllowIPs: b.AllowIPs.Ptr(),
		Group: b.Group.Ptr(), CrossGroupRetry: b.CrossGroupRetry.Ptr(), Limits: b.Limits.Ptr(), Cause: by,
	}
	if b.Status.Set {
		p.Status = new(key.Status(b.Status.Value))
	}
	if b.AllowIPs.Null {
		p.AllowIPs = new("")
	}
	return p, firstError(
		notNull("status", b.Status), notNull("name", b.Name), notNull("expired_time", b.ExpiredTime), notNull("remain_quota", b.RemainQuota),
		notNull("unlimited_quota", b.UnlimitedQuota), notNull("model_limits_enabled", b.ModelLimitsEnabled), notNull("model_limits", b.ModelLimits),
		notNull("group", b.Group), notNull("cross_group_retry", b.CrossGroupRetry), notNull("limits", b.Limits),
	)
}

// changes are the members that were sent, for the audit trail.
func (b *keyBody) changes() map[string]any {
	changes := map[string]any{}
	note(changes, "status", b.Status)
	note(changes, "name", b.Name)
	note(changes, "expired_time", b.ExpiredTime)
	note(changes, "remain_quota", b.RemainQuota)
	note(changes, "unlimited_quota", b.UnlimitedQuota)
	note(changes, "model_limits_enabled", b.ModelLimitsEnabled)
	note(changes, "model_limits", b.ModelLimits)
	note(changes, "allow_ips", b.AllowIPs)
	note(changes, "group", b.Group)
	note(changes, "cross_group_retry", b.CrossGroupRetry)
	if b.Limits.Set {
		changes["limits"] = "changed"
	}
	return changes
}

func keyTarget(id int64) string { return "key " + strconv.FormatInt(id, 10) }

// keyOwner is whose keys a call is about: the caller's own, or those of the user
// that an administrator names in the query or the body. What is done for an
// administrator or root takes root, as everywhere: a key made for root spends
// root's balance.
func (s *Server) keyOwner(c *call, inBody jsonx.Opt[int64], changing bool) (int64, error) {
	if err := notNull("user_id", inBody); err != nil {
		return 0, err
	}
	self := c.who.User.ID
	wanted, err := c.queryInt("user_id", inBody.Value)
	if err != nil || wanted == 0 || wanted == self {
		return self, err
	}
	if !c.who.Admin() {
		return 0, fault.New(fault.Forbidden, "admin_required", "Only an administrator may name another user's user_id.").Field("user_id")
	}
	owner, err := s.Accounts.Owner(c.ctx, wanted)
	if err != nil {
		return 0, err
	}
	if changing && owner.Role != account.RoleUser && !c.who.Root() {
		return 0, fault.New(fault.Forbidden, "root_required", "Only root may change an administrator's or root's keys.").Field("user_id")
	}
	return wanted, nil
}

// keyPath is the owner and the key that the path names.
func (s *Server) keyPath(c *call, changing bool) (owner, id int64, err error) {
	if owner, err = s.keyOwner(c, jsonx.Opt[int64]{}, changing); err != nil {
		return 0, 0, err
	}
	id, err = keyInPath(c)
	return owner, id, err
}

func keyInPath(c *call) (int64, error) {
	id, err := c.pathID("id")
	if err != nil {
		return 0, fault.New(fault.NotFound, "key_not_found", "There is no key with the id %q.", c.path("id")).Field("id")
	}
	return id, nil
}

// revealsTo reports whether the caller may see the values of the owner's keys.
func revealsTo(c *call, owner int64) bool {
	return c.who.Scope == account.ScopeFull && c.who.User.ID == owner
}

// shownKey is the answer of everything but making a key.
func (s *Server) shownKey(c *call, v key.View) (any, error) {
	value, err := s.Keys.Shown(v.Key, revealsTo(c, v.Key.UserID))
	if err != nil {
		return nil, err
	}
	c.setVersion(v.Key.Version)
	return newKeyRecord(v, value, s.Keys.Now()), nil
}

func (s *Server) shownKeys(c *call, p page, views []key.View, total int64) (any, error) {
	items, err := s.keyRecords(c, views)
	if err != nil {
		return nil, err
	}
	return newPage(p, total, items), nil
}

func (s *Server) keyRecords(c *call, views []key.View) ([]keyRecord, error) {
	items := make([]keyRecord, 0, len(views))
	for _, v := range views {
		value, err := s.Keys.Shown(v.Key, revealsTo(c, v.Key.UserID))
		if err != nil {
			return nil, err
		}
		items = append(items, newKeyRecord(v, value, s.Keys.Now()))
	}
	return items, nil
}

func (s *Server) listKeys(c *call) (any, error) {
	p, query, err := s.keyQuery(c)
	if err != nil {
		return nil, err
	}
	views, total, err := s.Keys.List(c.ctx, query)
	if err != nil {
		return nil, err
	}
	return s.shownKeys(c, p, views, total)
}

func (s *Server) searchKeys(c *call) (any, error) {
	p, query, err := s.keyQuery(c)
	if err != nil {
		return nil, err
	}
	views, total, err := s.Keys.Search(c.ctx, query, c.query.Get("token"), revealsTo(c, query.UserID))
	if err != nil {
		return nil, err
	}
	return s.shownKeys(c, p, views, total)
}

// watchedKeys are at most ten keys of each kind.
type watchedKeys struct {
	Expiring   []keyRecord `json:"expiring" doc:"Enabled ones that expire within two weeks, the soonest first."`
	RunningOut []keyRecord `json:"running_out" doc:"A tenth of their quota or less is left; the least first. Those with nothing left are there for a week after their last use."`
	Budgets    []keyRecord `json:"budgets" doc:"Those with renewing budgets that were used last, the most used up first."`
}

func (s *Server) watchKeys(c *call) (any, error) {
	owner, err := s.keyOwner(c, jsonx.Opt[int64]{}, false)
	if err != nil {
		return nil, err
	}
	watched, err := s.Keys.Watch(c.ctx, owner)
	if err != nil {
		return nil, err
	}
	var answer watchedKeys
	for _, kind := range []struct {
		views []key.View
		items *[]keyRecord
	}{{watched.Expiring, &answer.Expiring}, {watched.RunningOut, &answer.RunningOut}, {watched.Budgeted, &answer.Budgets}} {
		if *kind.items, err = s.keyRecords(c, kind.views); err != nil {
			return nil, err
		}
	}
	return answer, nil
}

func (s *Server) keyQuery(c *call) (page, key.Query, error) {
	owner, err := s.keyOwner(c, jsonx.Opt[int64]{}, false)
	if err != nil {
		return page{}, key.Query{}, err
	}
	p, err := c.page()
	if err != nil {
		return page{}, key.Query{}, err
	}
	status, err := c.queryInt("status", 0)
	if err != nil {
		return page{}, key.Query{}, err
	}
	parent, err := c.queryInt("parent_id", 0)
	if err != nil {
		return page{}, key.Query{}, err
	}
	return p, key.Query{
		UserID: owner, Keyword: c.query.Get("keyword"), Status: key.Status(status), Group: c.query.Get("group"), ParentID: parent, Sort: key.Sort(c.query.Get("sort")), Offset: p.Offset(), Limit: p.Size,
	}, nil
}

func (s *Server) getKey(c *call) (any, error) {
	owner, id, err := s.keyPath(c, false)
	if err != nil {
		return nil, err
	}
	v, err := s.Keys.Get(c.ctx, owner, id)
	if err != nil {
		return nil, err
	}
	return s.shownKey(c, v)
}

func (s *Server) createKey(c *call) (any, error) {
	body, patch, owner, err := s.keyToMake(c)
	if err != nil {
		return nil, err
	}
	v, value, err := s.Keys.Create(c.ctx, owner, patch)
	if err != nil {
		return nil, err
	}
	return s.createdKey(c, v, value, body.changes()), nil
}

func (s *Server) createChildKey(c *call) (any, error) {
	parent, err := keyInPath(c)
	if err != nil {
		return nil, err
	}
	body, patch, owner, err := s.keyToMake(c)
	if err != nil {
		return nil, err
	}
	v, value, err := s.Keys.CreateChild(c.ctx, owner, parent, patch)
	if err != nil {
		return nil, err
	}
	changes := body.changes()
	changes["parent_id"] = parent
	return s.createdKey(c, v, value, changes), nil
}

// keyToMake reads what a key is to be, and whose.
func (s *Server) keyToMake(c *call) (body keyBody, patch key.Patch, owner int64, err error) {
	if body, err = decode[keyBody](c); err != nil {
		return body, key.Patch{}, 0, err
	}
	if patch, err = body.patch(c.who.Cause()); err != nil {
		return body, key.Patch{}, 0, err
	}
	owner, err = s.keyOwner(c, body.UserID, true)
	return body, patch, owner, err
}

// createdKey notes a key that was made and shows it, with its value.
func (s *Server) createdKey(c *call, v key.View, value string, changes map[string]any) keyRecord {
	changes["user_id"] = v.Key.UserID
	s.trailChange(c, "key.create", keyTarget(v.Key.ID), detail(changes), nil, newKeyRecord(v, "", s.Keys.Now()))
	c.setVersion(v.Key.Version)
	return newKeyRecord(v, value, s.Keys.Now())
}

func (s *Server) updateKey(c *call) (any, error) {
	statusOnly, err := c.queryFlag("status_only")
	if err != nil {
		return nil, err
	}
	ifVersion, err := c.ifMatch()
	if err != nil {
		return nil, err
	}
	if statusOnly {
		return s.setKeyStatus(c, ifVersion)
	}
	body, err := decode[keyBody](c)
	if err != nil {
		return nil, err
	}
	patch, err := body.patch(c.who.Cause())
	if err != nil {
		return nil, err
	}
	owner, id, err := s.keyInBody(c, body.ID, body.UserID)
	if err != nil {
		return nil, err
	}
	before := s.keyBefore(c, owner, id)
	v, err := s.Keys.Update(c.ctx, owner, id, patch, ifVersion)
	if err != nil {
		return nil, err
	}
	s.trailChange(c, "key.update", keyTarget(id), detail(body.changes()), before, newKeyRecord(v, "", s.Keys.Now()))
	return s.shownKey(c, v)
}

func (s *Server) setKeyStatus(c *call, ifVersion *int64) (any, error) {
	body, err := decode[keyStatusBody](c)
	if err != nil {
		return nil, err
	}
	owner, id, err := s.keyInBody(c, body.ID, body.UserID)
	if err != nil {
		return nil, err
	}
	if err := notNull("status", body.Status); err != nil {
		return nil, err
	}
	if !body.Status.Set {
		return nil, fault.New(fault.Invalid, "status_required", "status must be given.").Field("status")
	}
	before := s.keyBefore(c, owner, id)
	v, err := s.Keys.SetStatus(c.ctx, owner, id, key.Status(body.Status.Value), ifVersion)
	if err != nil {
		return nil, err
	}
	s.trailChange(c, "key.update", keyTarget(id), detail(map[string]any{"status": body.Status.Value}), before, newKeyRecord(v, "", s.Keys.Now()))
	return s.shownKey(c, v)
}

// keyInBody is the owner and the key that a body names.
func (s *Server) keyInBody(c *call, id, userID jsonx.Opt[int64]) (int64, int64, error) {
	if err := notNull("id", id); err != nil {
		return 0, 0, err
	}
	if !id.Set {
		return 0, 0, fault.New(fault.Invalid, "id_required", "id must be given: it says which key to change.").Field("id")
	}
	owner, err := s.keyOwner(c, userID, true)
	return owner, id.Value, err
}

// queryFlag is a query parameter that is true or false, false when missing or
// empty.
func (c *call) queryFlag(name string) (bool, error) {
	text := c.query.Get(name)
	if text == "" {
		return false, nil
	}
	v, err := strconv.ParseBool(text)
	if err != nil {
		return false, fault.New(fault.Invalid, "invalid_"+name, "%s must be true or false.", name).Field(name)
	}
	return v, nil
}

func (s *Server) deleteKey(c *call) (any, error) {
	owner, id, err := s.keyPath(c, true)
	if err != nil {
		return nil, err
	}
	before := map[int64]any{id: s.keyBefore(c, owner, id)}
	deleted, err := s.Keys.Delete(c.ctx, owner, id)
	if err != nil {
		return nil, err
	}
	s.trailDeleted(c, deleted, before)
	return noData{}, nil
}

func (s *Server) deleteKeys(c *call) (any, error) {
	body, err := decode[keyBatchBody](c)
	if err != nil {
		return nil, err
	}
	if err := notNull("ids", body.IDs); err != nil {
		return nil, err
	}
	ids := make([]int64, 0, len(body.IDs.Value))
	for i, id := range body.IDs.Value {
		if err := notNull("ids."+strconv.Itoa(i), id); err != nil {
			return nil, err
		}
		ids = append(ids, id.Value)
	}
	owner, err := s.keyOwner(c, body.UserID, true)
	if err != nil {
		return nil, err
	}
	before := make(map[int64]any, len(ids))
	for _, id := range ids {
		before[id] = s.keyBefore(c, owner, id)
	}
	deleted, err := s.Keys.DeleteBatch(c.ctx, owner, ids)
	if err != nil {
		return nil, err
	}
	s.trailDeleted(c, deleted, before)
	return int64(len(deleted.Asked)), nil
}

// keyBefore is a key as it is before a change, for the audit trail, without its
// value; nil when that cannot be told, which the change itself will find.
func (s *Server) keyBefore(c *call, owner, id int64) any {
	v, err := s.Keys.Get(c.ctx, owner, id)
	if err != nil {
		return nil
	}
	return newKeyRecord(v, "", s.Keys.Now())
}

func (s *Server) trailDeleted(c *call, deleted key.Deleted, before map[int64]any) {
	for _, id := range deleted.Asked {
		s.trailChange(c, "key.delete", keyTarget(id), "", before[id], nil)
	}
	for _, id := range deleted.Children {
		s.trail(c, "key.delete", keyTarget(id), detail(map[string]any{"with": "parent"}))
	}
}

func (s *Server) changeKeyQuota(c *call) (any, error) {
	owner, id, err := s.keyPath(c, true)
	if err != nil {
		return nil, err
	}
	body, err := decode[keyQuotaBody](c)
	if err != nil {
		return nil, err
	}
	if err := firstError(notNull("add", body.Add), notNull("set", body.Set)); err != nil {
		return nil, err
	}
	before := s.keyBefore(c, owner, id)
	var v key.View
	switch {
	case body.Add.Set == body.Set.Set:
		return nil, fault.New(fault.Invalid, "invalid_quota_change", "Give either add or set, in quota units.")
	case body.Add.Set:
		v, err = s.Keys.AddQuota(c.ctx, owner, id, body.Add.Value, c.who.Cause())
	default:
		v, err = s.Keys.SetQuota(c.ctx, owner, id, body.Set.Value, c.who.Cause())
	}
	if err != nil {
		return nil, err
	}
	changes := map[string]any{}
	note(changes, "add", body.Add)
	note(changes, "set", body.Set)
	s.trailChange(c, "key.quota", keyTarget(id), detail(changes), before, newKeyRecord(v, "", s.Keys.Now()))
	return s.shownKey(c, v)
}
