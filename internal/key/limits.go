package key

import (
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"halley/internal/budget"
	"halley/internal/fault"
	"halley/internal/jsonx"
	"halley/internal/limit"
)

// The bounds of the limits object beside those of rates and budgets.
const (
	maxAutoGroups   = 100
	maxMetadata     = 64
	maxMetadataName = 64  // characters
	maxMetadataText = 512 // characters
)

// Endpoints lists the endpoint names that limits.endpoints may hold.
func Endpoints() []string {
	return []string{"chat", "responses", "messages", "gemini", "embeddings", "images", "audio", "rerank", "moderations", "videos", "realtime"}
}

// LimitsPatch is the limits object as a caller sends it: absent members stay,
// null ones are removed, the others are replaced as a whole. Read-only members
// (parent_id, a budget's used and renews_at) are not read at all.
type LimitsPatch struct {
	limit.Patch
	Budgets    jsonx.Opt[[]jsonx.Opt[budget.RenewingPatch]] `json:"budgets"`
	Endpoints  jsonx.Opt[[]jsonx.Opt[string]]               `json:"endpoints"`
	AutoGroups jsonx.Opt[[]jsonx.Opt[string]]               `json:"auto_groups"`
	Metadata   jsonx.Opt[map[string]jsonx.Opt[string]]      `json:"metadata"`
}

// apply gives l changed and checked.
func (p LimitsPatch) apply(l Limits, j judge) (Limits, error) {
	var err error
	keep := func(e error) {
		if err == nil {
			err = e
		}
	}
	rates, e := p.Patch.Apply(l.Limits)
	l.Limits = rates
	keep(e)
	keep(jsonx.Merge(&l.Budgets, p.Budgets, func(list []jsonx.Opt[budget.RenewingPatch]) ([]budget.Renewing, error) {
		return budget.ParseRenewing(list, budget.RenewingRules{Now: j.now, Zone: j.zone, Before: l.Budgets})
	}))
	keep(jsonx.Merge(&l.Endpoints, p.Endpoints, parseEndpoints))
	keep(jsonx.Merge(&l.AutoGroups, p.AutoGroups, func(list []jsonx.Opt[string]) ([]string, error) {
		return parseAutoGroups(list, l.AutoGroups, j)
	}))
	keep(jsonx.Merge(&l.Metadata, p.Metadata, parseMetadata))
	if err == nil {
		err = limit.CheckSize(l)
	}
	return l, err
}

func parseEndpoints(from []jsonx.Opt[string]) ([]string, error) {
	const field = "limits.endpoints"
	list := make([]string, 0, len(Endpoints()))
	for i, e := range from {
		if err := e.NotNull(field + "." + strconv.Itoa(i)); err != nil {
			return nil, err
		}
		if !slices.Contains(Endpoints(), e.Value) {
			return nil, limit.Invalid(field, "has %s; it may hold %s.", fault.Quote(e.Value), strings.Join(Endpoints(), ", "))
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
		return nil, limit.Invalid(field, "must have at most %d entries, it has %d.", maxAutoGroups, len(from))
	}
	list := make([]string, 0, len(from))
	for i, g := range from {
		if err := g.NotNull(field + "." + strconv.Itoa(i)); err != nil {
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
		return nil, limit.Invalid(field, "must have at most %d entries, it has %d.", maxMetadata, len(from))
	}
	metadata := make(map[string]string, len(from))
	for _, name := range slices.Sorted(maps.Keys(from)) {
		text := from[name]
		if err := text.NotNull(field + "." + fault.Quote(name)); err != nil {
			return nil, err
		}
		switch n := utf8.RuneCountInString(name); {
		case n == 0 || n > maxMetadataName || strings.ContainsFunc(name, fault.Unprintable):
			return nil, limit.Invalid(field, "has the name %s; names have 1 to %d characters and no control characters.", fault.Quote(name), maxMetadataName)
		case utf8.RuneCountInString(text.Value) > maxMetadataText:
			return nil, limit.Invalid(field, "has more than %d characters at %s.", maxMetadataText, fault.Quote(name))
		case strings.ContainsRune(text.Value, 0):
			return nil, limit.Invalid(field, "has a NUL character at %s.", fault.Quote(name))
		}
		metadata[name] = text.Value
	}
	return metadata, nil
}

func sameLimits(a, b Limits) bool { return reflect.DeepEqual(a, b) }
