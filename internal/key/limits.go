package key

import (
	"cmp"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"halley/internal/budget"
	"halley/internal/fault"
	"halley/internal/jsonx"
	"halley/internal/money"
)

// The bounds of the limits object.
const (
	MaxLimits             = 16 << 10 // bytes as JSON
	MaxCount        int64 = 1_000_000_000_000
	maxPerModel           = 200
	maxBudgets            = 16
	maxAutoGroups         = 100
	maxMetadata           = 64
	maxMetadataName       = 64  // characters
	maxMetadataText       = 512 // characters
)

// Endpoints lists the endpoint names that limits.endpoints may hold.
func Endpoints() []string {
	return []string{"chat", "responses", "messages", "gemini", "embeddings", "images", "audio", "rerank", "moderations", "videos", "realtime"}
}

// LimitsPatch is the limits object as a caller sends it: absent members stay,
// null ones are removed, the others are replaced as a whole. Read-only members
// (parent_id, a budget's used and renews_at) are not read at all.
type LimitsPatch struct {
	RPM         jsonx.Opt[int64]                           `json:"rpm"`
	RPD         jsonx.Opt[int64]                           `json:"rpd"`
	TPM         jsonx.Opt[int64]                           `json:"tpm"`
	Concurrency jsonx.Opt[int64]                           `json:"concurrency"`
	PerModel    jsonx.Opt[map[string]jsonx.Opt[RatePatch]] `json:"per_model"`
	Budgets     jsonx.Opt[[]jsonx.Opt[BudgetPatch]]        `json:"budgets"`
	Endpoints   jsonx.Opt[[]jsonx.Opt[string]]             `json:"endpoints"`
	AutoGroups  jsonx.Opt[[]jsonx.Opt[string]]             `json:"auto_groups"`
	Metadata    jsonx.Opt[map[string]jsonx.Opt[string]]    `json:"metadata"`
}

// RatePatch is one entry of per_model.
type RatePatch struct {
	RPM jsonx.Opt[int64] `json:"rpm"`
	TPM jsonx.Opt[int64] `json:"tpm"`
}

// BudgetPatch is one entry of budgets; the time zone is the owner's when left
// out, and the anchor may be null.
type BudgetPatch struct {
	Amount   jsonx.Opt[int64]  `json:"amount"`
	Period   jsonx.Opt[string] `json:"period"`
	TimeZone jsonx.Opt[string] `json:"time_zone"`
	Anchor   jsonx.Opt[int64]  `json:"anchor"`
}

func invalidLimits(field, format string, args ...any) error {
	return invalid(field, "invalid_limits", field+" "+format, args...)
}

// notNull refuses null where only the whole member may be null.
func notNull[T any](field string, o jsonx.Opt[T]) error {
	if o.Set && o.Null {
		return fault.New(fault.Malformed, "invalid_type", "%s must not be null.", field).Field(field)
	}
	return nil
}

// apply gives l changed and checked.
func (p LimitsPatch) apply(l Limits, j judge) (Limits, error) {
	var err error
	keep := func(e error) {
		if err == nil {
			err = e
		}
	}
	for _, count := range []struct {
		name string
		from jsonx.Opt[int64]
		to   **int64
	}{{"rpm", p.RPM, &l.RPM}, {"rpd", p.RPD, &l.RPD}, {"tpm", p.TPM, &l.TPM}, {"concurrency", p.Concurrency, &l.Concurrency}} {
		if count.from.Set {
			*count.to = count.from.Ptr()
			keep(checkCount("limits."+count.name, count.from))
		}
	}
	keep(merge(&l.PerModel, p.PerModel, parsePerModel))
	keep(merge(&l.Budgets, p.Budgets, func(list []jsonx.Opt[BudgetPatch]) ([]RenewingBudget, error) {
		return parseBudgets(list, l.Budgets, j)
	}))
	keep(merge(&l.Endpoints, p.Endpoints, parseEndpoints))
	keep(merge(&l.AutoGroups, p.AutoGroups, func(list []jsonx.Opt[string]) ([]string, error) {
		return parseAutoGroups(list, l.AutoGroups, j)
	}))
	keep(merge(&l.Metadata, p.Metadata, parseMetadata))
	if err != nil {
		return l, err
	}
	text, err := jsonx.Marshal(l)
	if err != nil {
		return l, err
	}
	if len(text) > MaxLimits {
		return l, invalidLimits("limits", "must be at most %d bytes as JSON, it is %d.", MaxLimits, len(text))
	}
	return l, nil
}

// merge replaces, removes or leaves one member.
func merge[From, To any](to *To, from jsonx.Opt[From], parse func(From) (To, error)) error {
	if !from.Set {
		return nil
	}
	var unset To
	if from.Null {
		*to = unset
		return nil
	}
	parsed, err := parse(from.Value)
	if err == nil {
		*to = parsed
	}
	return err
}

func checkCount(field string, o jsonx.Opt[int64]) error {
	if v := o.Ptr(); v != nil && (*v < 0 || *v > MaxCount) {
		return invalidLimits(field, "must be from 0 (none allowed) to %d, or null for no limit.", MaxCount)
	}
	return nil
}

func parsePerModel(from map[string]jsonx.Opt[RatePatch]) (map[string]RateLimit, error) {
	if len(from) > maxPerModel {
		return nil, invalidLimits("limits.per_model", "must have at most %d entries, it has %d.", maxPerModel, len(from))
	}
	rates := make(map[string]RateLimit, len(from))
	for _, pattern := range slices.Sorted(maps.Keys(from)) {
		rate, field := from[pattern], "limits.per_model"
		if err := notNull(field+"."+quoted(pattern), rate); err != nil {
			return nil, err
		}
		name := strings.TrimSpace(pattern)
		if name == "" {
			return nil, invalidLimits(field, "must not have an empty model name.")
		}
		if why := modelFault(name); why != "" {
			return nil, invalidLimits(field, "has the model %s, which %s.", quoted(name), why)
		}
		if _, twice := rates[name]; twice {
			return nil, invalidLimits(field, "has the model %s twice.", quoted(name))
		}
		if err := checkCount(field+".rpm", rate.Value.RPM); err != nil {
			return nil, err
		}
		if err := checkCount(field+".tpm", rate.Value.TPM); err != nil {
			return nil, err
		}
		rates[name] = RateLimit{RPM: rate.Value.RPM.Ptr(), TPM: rate.Value.TPM.Ptr()}
	}
	return rates, nil
}

func parseBudgets(from []jsonx.Opt[BudgetPatch], before []RenewingBudget, j judge) ([]RenewingBudget, error) {
	if len(from) > maxBudgets {
		return nil, invalidLimits("limits.budgets", "must have at most %d entries, it has %d.", maxBudgets, len(from))
	}
	budgets := make([]RenewingBudget, 0, len(from))
	for i, entry := range from {
		field := "limits.budgets." + strconv.Itoa(i)
		b, err := parseBudget(field, entry, before, j)
		if err != nil {
			return nil, err
		}
		budgets = append(budgets, b)
	}
	return budgets, nil
}

func parseBudget(field string, entry jsonx.Opt[BudgetPatch], before []RenewingBudget, j judge) (RenewingBudget, error) {
	from := entry.Value
	for _, err := range []error{
		notNull(field, entry), notNull(field+".amount", from.Amount), notNull(field+".period", from.Period), notNull(field+".time_zone", from.TimeZone),
	} {
		if err != nil {
			return RenewingBudget{}, err
		}
	}
	b := RenewingBudget{Amount: from.Amount.Value, Period: from.Period.Value, TimeZone: from.TimeZone.Value, Anchor: from.Anchor.Value}
	if !from.Amount.Set || b.Amount < 0 || b.Amount > money.MaxUnits {
		return b, invalidLimits(field+".amount", "must be from 0 to %d quota units.", money.MaxUnits)
	}
	if !from.TimeZone.Set {
		b.TimeZone = cmp.Or(j.zone, "UTC")
	}
	switch _, err := budget.NewSchedule(b.Period, b.TimeZone, b.Anchor); {
	case errors.Is(err, budget.ErrPeriod):
		return b, invalidLimits(field+".period", "must be day, week, month or hours:N with N from 1 to %d.", budget.MaxPeriodHours)
	case err != nil:
		return b, invalidLimits(field+".time_zone", "must be the name of a time zone such as Europe/Berlin, which %s is not.", quoted(b.TimeZone))
	}
	if err := checkAnchor(field+".anchor", b, from.Anchor, before, j); err != nil {
		return b, err
	}
	return b, nil
}

// checkAnchor judges the anchor of b. One that stood already may have passed
// since.
func checkAnchor(field string, b RenewingBudget, anchor jsonx.Opt[int64], before []RenewingBudget, j judge) error {
	if !anchor.Set || anchor.Null || slices.ContainsFunc(before, func(o RenewingBudget) bool { return o.Anchor == b.Anchor }) {
		return nil
	}
	if b.Anchor <= j.now.Unix() || b.Anchor > MaxExpiresAt {
		return invalidLimits(field, "must be in the future, in Unix seconds, or null for none.")
	}
	return nil
}

// schedule is when the budget comes back. Stored budgets were judged when they
// were made; one whose time zone this machine does not know counts in UTC.
func (b RenewingBudget) schedule() budget.Schedule {
	s, err := budget.NewSchedule(b.Period, b.TimeZone, b.Anchor)
	if errors.Is(err, budget.ErrTimeZone) {
		s, err = budget.NewSchedule(b.Period, "UTC", b.Anchor)
	}
	if err != nil {
		s, _ = budget.NewSchedule("day", "UTC", 0) // cannot fail
	}
	return s
}

// RenewsAt is the end of the window that now lies in.
func (b RenewingBudget) RenewsAt(now time.Time) time.Time {
	_, end := b.schedule().Window(now)
	return end
}

// Allowances are the budgets in the ledger's terms.
func (l Limits) Allowances() []budget.Allowance {
	list := make([]budget.Allowance, 0, len(l.Budgets))
	for _, b := range l.Budgets {
		list = append(list, budget.Allowance{Amount: money.FromUnits(b.Amount), Schedule: b.schedule()})
	}
	return list
}

func parseEndpoints(from []jsonx.Opt[string]) ([]string, error) {
	const field = "limits.endpoints"
	list := make([]string, 0, len(Endpoints()))
	for i, e := range from {
		if err := notNull(field+"."+strconv.Itoa(i), e); err != nil {
			return nil, err
		}
		if !slices.Contains(Endpoints(), e.Value) {
			return nil, invalidLimits(field, "has %s; it may hold %s.", quoted(e.Value), strings.Join(Endpoints(), ", "))
		}
		if !slices.Contains(list, e.Value) {
			list = append(list, e.Value)
		}
	}
	return list, nil
}

// parseAutoGroups reads the order of groups; those that stood already are not
// judged again.
func parseAutoGroups(from []jsonx.Opt[string], before []string, j judge) ([]string, error) {
	const field = "limits.auto_groups"
	if len(from) > maxAutoGroups {
		return nil, invalidLimits(field, "must have at most %d entries, it has %d.", maxAutoGroups, len(from))
	}
	list := make([]string, 0, len(from))
	for i, g := range from {
		if err := notNull(field+"."+strconv.Itoa(i), g); err != nil {
			return nil, err
		}
		if slices.Contains(list, g.Value) {
			continue
		}
		if !slices.Contains(before, g.Value) {
			if err := checkGroup(field, g.Value, false, j); err != nil {
				return nil, err
			}
		}
		list = append(list, g.Value)
	}
	return list, nil
}

func parseMetadata(from map[string]jsonx.Opt[string]) (map[string]string, error) {
	const field = "limits.metadata"
	if len(from) > maxMetadata {
		return nil, invalidLimits(field, "must have at most %d entries, it has %d.", maxMetadata, len(from))
	}
	metadata := make(map[string]string, len(from))
	for _, name := range slices.Sorted(maps.Keys(from)) {
		text := from[name]
		if err := notNull(field+"."+quoted(name), text); err != nil {
			return nil, err
		}
		switch n := utf8.RuneCountInString(name); {
		case n == 0 || n > maxMetadataName || strings.ContainsFunc(name, unprintable):
			return nil, invalidLimits(field, "has the name %s; names have 1 to %d characters and no control characters.", quoted(name), maxMetadataName)
		case utf8.RuneCountInString(text.Value) > maxMetadataText:
			return nil, invalidLimits(field, "has more than %d characters at %s.", maxMetadataText, quoted(name))
		case strings.ContainsRune(text.Value, 0):
			return nil, invalidLimits(field, "has a NUL character at %s.", quoted(name))
		}
		metadata[name] = text.Value
	}
	return metadata, nil
}

func sameLimits(a, b Limits) bool { return reflect.DeepEqual(a, b) }
