package adminapi

import (
	"context"
	"net/http"
	"time"

	"halley/internal/account"
	"halley/internal/budget"
	"halley/internal/fault"
	"halley/internal/gateway"
	"halley/internal/key"
	"halley/internal/money"
	"halley/internal/usage"
)

// KeyHolders finds out who shows an API key; it does not judge its state.
type KeyHolders interface {
	Authenticate(ctx context.Context, credentials []string) (*key.Key, *account.User, error)
}

// Balances gives live balances.
type Balances interface {
	Balance(ctx context.Context, s budget.Subject) (budget.Balance, error)
}

// DailyUsage tells what each key of a user used on each day from from's to to's
// in the zone, both included.
type DailyUsage interface {
	DailyByKey(ctx context.Context, userID int64, from, to time.Time, zone *time.Location) ([]usage.KeyDay, error)
}

// The calls that take an API key instead of a personal access token: what may I
// still spend?
func (s *Server) keySelfRoutes() []route {
	return []route{
		{
			method: http.MethodGet, path: "/api/usage/token", access: ownCredential, handle: s.keyUsage, summary: "What the API key that asks has used and has left",
			out: typeOf[keyUsageBody](), plain: true,
		},
		{
			method: http.MethodGet, path: quotaPath, access: ownCredential, handle: s.userQuota, summary: "What the account of the API key that asks has used and has left, in USD",
			out: typeOf[quotaRecord](), plain: true, query: []string{"key", "start_date", "end_date"},
		},
	}
}

// keyUsageRecord has totals in quota units; those of an unlimited key are its
// parent's, or the account's when no parent's quota bounds it either.
type keyUsageRecord struct {
	Object             string          `json:"object"`
	Name               string          `json:"name"`
	TotalGranted       int64           `json:"total_granted"`
	TotalUsed          int64           `json:"total_used"`
	TotalAvailable     int64           `json:"total_available" doc:"Of a child no more than its parent has left."`
	UnlimitedQuota     bool            `json:"unlimited_quota" doc:"Whether neither the key's quota nor its parent's bounds it."`
	ModelLimits        map[string]bool `json:"model_limits"`
	ModelLimitsEnabled bool            `json:"model_limits_enabled"`
	ExpiresAt          int64           `json:"expires_at" doc:"0 is never."`
}

// keyUsageBody is the published envelope of this one call.
type keyUsageBody struct {
	Code    bool           `json:"code"`
	Message string         `json:"message"`
	Data    keyUsageRecord `json:"data"`
}

func (s *Server) keyUsage(c *call) (any, error) {
	h, err := s.keyHolder(c, "")
	if err != nil {
		return nil, err
	}
	totals, bound, err := s.balancesOf(c.ctx, h)
	if err != nil {
		return nil, err
	}
	unlimited := bound.Unlimited
	if unlimited {
		if totals, err = s.Balances.Balance(c.ctx, budget.Subject{Kind: budget.User, ID: h.owner.ID}); err != nil {
			return nil, err
		}
		bound = totals
	}
	remaining, used, held := totals.Units()
	models, limited := key.AllowedModels(h.key, h.parent)
	record := keyUsageRecord{
		Object: "token_usage", Name: h.key.Name, TotalGranted: remaining + used + held, TotalUsed: used, TotalAvailable: bound.Remaining().FloorUnits(),
		UnlimitedQuota: unlimited, ModelLimits: map[string]bool{}, ModelLimitsEnabled: limited,
	}
	for _, model := range models {
		record.ModelLimits[model] = true
	}
	if at := key.EndsAt(h.key, h.parent); at != key.Never {
		record.ExpiresAt = at
	}
	return bare{keyUsageBody{Code: true, Message: "ok", Data: record}}, nil
}

// balancesOf are the balance that a key's totals are told of, its own unless it
// has no quota and its parent has, and the one that bounds it.
func (s *Server) balancesOf(ctx context.Context, h holder) (totals, bound budget.Balance, err error) {
	own, err := s.Balances.Balance(ctx, budget.Subject{Kind: budget.Key, ID: h.key.ID})
	if err != nil || h.parent == nil {
		return own, own, err
	}
	parent, err := s.Balances.Balance(ctx, budget.Subject{Kind: budget.Key, ID: h.parent.ID})
	bound = key.Tighter(own, &parent)
	if own.Unlimited {
		return bound, bound, err
	}
	return own, bound, err
}

// holder is who shows an API key.
type holder struct {
	key    *key.Key
	parent *key.Key // nil for a key that none issued
	owner  *account.User
}

// keyHolder is whose API key the request shows. Keys that are expired or
// exhausted may ask, disabled ones may not. inQuery is the query's key, "" where
// none counts.
func (s *Server) keyHolder(c *call, inQuery string) (holder, error) {
	credentials, err := gateway.Credentials(c.request.Header, inQuery)
	if err != nil {
		return holder{}, err
	}
	k, owner, err := s.KeyHolders.Authenticate(c.ctx, credentials)
	if err != nil {
		return holder{}, err
	}
	parent, err := s.Keys.Parent(c.ctx, k)
	if err != nil {
		return holder{}, err
	}
	h := holder{k, parent, owner}
	if owner.Status != account.Enabled {
		return h, fault.New(fault.Unauthenticated, "account_disabled", "The account that this API key belongs to is disabled.")
	}
	for _, each := range []*key.Key{k, parent} {
		switch {
		case each == nil:
		case each.Status == key.Disabled:
			return h, key.Admissible(k, parent, time.Time{})
		case !each.AllowsIP(c.ip):
			return h, fault.New(fault.Forbidden, "ip_not_allowed", "This API key may not be used from this address.")
		}
	}
	return h, nil
}

// quotaRecord is in USD; -1 is unlimited.
type quotaRecord struct {
	Username       string                `json:"username"`
	TotalQuota     float64               `json:"total_quota" doc:"What is left, in USD; -1 is unlimited."`
	TotalUsedQuota float64               `json:"total_used_quota"`
	RequestCount   int64                 `json:"request_count"`
	Keys           []quotaKey            `json:"keys"`
	DailyQuota     map[string][]quotaDay `json:"daily_quota,omitzero" doc:"By date, in the owner's time zone; only when both dates are given."`
}

type quotaKey struct {
	Name        string  `json:"name"`
	RemainQuota float64 `json:"remain_quota" doc:"In USD; -1 is unlimited. Of a child no more than its parent has left."`
	UsedQuota   float64 `json:"used_quota"`
}

type quotaDay struct {
	TokenName    string  `json:"token_name"`
	QuotaUsed    float64 `json:"quota_used"`
	RequestCount int64   `json:"request_count"`
}

// quotaPath is the published call outside /api: no envelope, errors in OpenAI's
// shape.
const quotaPath = "/user/quota"

func (s *Server) userQuota(c *call) (any, error) {
	record, err := s.quotaOf(c)
	if err != nil {
		return nil, err
	}
	return bare{record}, nil
}

func (s *Server) quotaOf(c *call) (*quotaRecord, error) {
	h, err := s.keyHolder(c, c.query.Get("key"))
	if err != nil {
		return nil, err
	}
	owner := h.owner
	days, err := quotaDays(c, owner)
	if err != nil {
		return nil, err
	}
	holder, err := s.Accounts.Get(c.ctx, owner.ID)
	if err != nil {
		return nil, err
	}
	record := &quotaRecord{
		Username: holder.Username, TotalQuota: leftUSD(holder.Balance), TotalUsedQuota: holder.Balance.Used.Float(),
		RequestCount: holder.RequestCount, Keys: []quotaKey{},
	}
	// Everything the account has: the call has no pages.
	views, _, err := s.Keys.List(c.ctx, key.Query{UserID: owner.ID, Limit: maxQuotaKeys})
	if err != nil {
		return nil, err
	}
	for _, v := range views {
		record.Keys = append(record.Keys, quotaKey{Name: v.Key.Name, RemainQuota: leftUSD(key.Tighter(v.Balance, v.Parent)), UsedQuota: v.Balance.Used.Float()})
	}
	if days == nil {
		return record, nil
	}
	used, err := s.DailyUsage.DailyByKey(c.ctx, owner.ID, days.from, days.to, days.zone)
	if err != nil {
		return nil, err
	}
	record.DailyQuota = map[string][]quotaDay{}
	for _, d := range used {
		record.DailyQuota[d.Date] = append(record.DailyQuota[d.Date], quotaDay{TokenName: d.KeyName, QuotaUsed: d.Cost.Float(), RequestCount: d.Requests})
	}
	return record, nil
}

// maxQuotaKeys bounds the answer, far above what an account may have.
const maxQuotaKeys = 100_000

// maxQuotaDays bounds what one call may ask for.
const maxQuotaDays = 366

func leftUSD(b budget.Balance) float64 {
	if b.Unlimited {
		return -1
	}
	return max(b.Remaining(), money.Nano(0)).Float()
}

// daySpan is the days from from's to to's in the zone.
type daySpan struct {
	from, to time.Time
	zone     *time.Location
}

// quotaDays reads start_date and end_date in the owner's time zone; nil when
// not both are given.
func quotaDays(c *call, owner *account.User) (*daySpan, error) {
	zone, err := time.LoadLocation(owner.TimeZone)
	if err != nil { // known when it was set; the zone database may be another by now
		zone = time.UTC
	}
	start, end := c.query.Get("start_date"), c.query.Get("end_date")
	if start == "" || end == "" {
		return nil, nil
	}
	span := &daySpan{zone: zone}
	for _, date := range []struct {
		name, text string
		to         *time.Time
	}{{"start_date", start, &span.from}, {"end_date", end, &span.to}} {
		// Noon is on its day in every zone, whatever the clocks do at midnight.
		day, err := time.ParseInLocation(time.DateOnly+" 15", date.text+" 12", zone)
		if err != nil {
			return nil, fault.New(fault.Invalid, "invalid_date", "%s must be a date such as 2026-01-31.", date.name).Field(date.name)
		}
		*date.to = day
	}
	if span.to.Before(span.from) {
		return nil, fault.New(fault.Invalid, "invalid_date", "end_date must not be before start_date.").Field("end_date")
	}
	if span.to.Sub(span.from) > maxQuotaDays*24*time.Hour {
		return nil, fault.New(fault.Invalid, "invalid_date", "end_date must be at most %d days after start_date.", maxQuotaDays).Field("end_date")
	}
	return span, nil
}
