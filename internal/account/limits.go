package account

import (
	"context"

	"halley/internal/budget"
	"halley/internal/fault"
	"halley/internal/jsonx"
	"halley/internal/limit"
)

// Limits bind all keys of an account together. The JSON is how the store keeps
// them.
type Limits struct {
	limit.Limits
	Budgets []budget.Renewing `json:"budgets,omitzero"`
}

// LimitsPatch is the limits as a caller sends them: absent members stay, null
// ones are removed, the others are replaced as a whole.
type LimitsPatch struct {
	limit.Patch
	Budgets jsonx.Opt[[]jsonx.Opt[budget.RenewingPatch]] `json:"budgets"`
}

// budgets are those of u changed and checked. A time zone that is not named is
// the user's own.
func (s *Service) budgets(u *User, p *LimitsPatch) ([]budget.Renewing, error) {
	list := u.Limits.Budgets
	err := jsonx.Merge(&list, p.Budgets, func(from []jsonx.Opt[budget.RenewingPatch]) ([]budget.Renewing, error) {
		return budget.ParseRenewing(from, budget.RenewingRules{Now: s.now(), Zone: u.TimeZone, Before: u.Limits.Budgets})
	})
	return list, err
}

// apply gives l with the rates changed and checked, and these budgets.
func (p *LimitsPatch) apply(l Limits, budgets []budget.Renewing) (Limits, error) {
	rates, err := p.Patch.Apply(l.Limits)
	l = Limits{Limits: rates, Budgets: budgets}
	if err == nil {
		err = limit.CheckSize(l)
	}
	return l, err
}

// addBudgets adds what is spent of the budgets, which are loaded if need be.
func (s *Service) addBudgets(ctx context.Context, a *Account) error {
	if len(a.Limits.Budgets) == 0 {
		return nil
	}
	states, err := s.ledger.Allowances(ctx, subject(a.ID))
	switch {
	case fault.Is(err, fault.NotFound): // deleted meanwhile
	case err != nil:
		return unavailable(err)
	case len(states) == len(a.Limits.Budgets):
		a.Budgets = states
	}
	return nil
}
