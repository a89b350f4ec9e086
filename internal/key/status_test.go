package key

import (
	"strings"
	"testing"
	"time"

	"halley/internal/budget"
	"halley/internal/fault"
	"halley/internal/money"
)

func TestStatusIsWhatIsTrueNow(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	for name, row := range map[string]struct {
		key      Key
		balance  budget.Balance
		want     Status
		refusals string // Admissible's code
	}{
		"plain":                     {Key{Status: Enabled, ExpiresAt: Never}, budget.Balance{Granted: money.Unit}, Enabled, ""},
		"expires next second":       {Key{Status: Enabled, ExpiresAt: 1001}, budget.Balance{Granted: money.Unit}, Enabled, ""},
		"expires now":               {Key{Status: Enabled, ExpiresAt: 1000}, budget.Balance{Granted: money.Unit}, Expired, "key_expired"},
		"set expired":               {Key{Status: Expired, ExpiresAt: Never}, budget.Balance{Granted: money.Unit}, Expired, "key_expired"},
		"nothing left":              {Key{Status: Enabled, ExpiresAt: Never}, budget.Balance{Granted: 10 * money.Unit, Used: 10 * money.Unit}, Exhausted, ""},
		"less than a unit left":     {Key{Status: Enabled, ExpiresAt: Never}, budget.Balance{Granted: money.Unit, Used: 1}, Exhausted, ""},
		"nothing left, but held":    {Key{Status: Enabled, ExpiresAt: Never}, budget.Balance{Granted: money.Unit, Held: money.Unit}, Enabled, ""},
		"unlimited, nothing left":   {Key{Status: Enabled, ExpiresAt: Never}, budget.Balance{Unlimited: true}, Enabled, ""},
		"set exhausted":             {Key{Status: Exhausted, ExpiresAt: Never}, budget.Balance{Unlimited: true}, Exhausted, "key_quota_exhausted"},
		"disabled before expired":   {Key{Status: Disabled, ExpiresAt: 1}, budget.Balance{}, Disabled, "key_disabled"},
		"expired before exhausted":  {Key{Status: Enabled, ExpiresAt: 1}, budget.Balance{}, Expired, "key_expired"},
		"expired before set to 4":   {Key{Status: Exhausted, ExpiresAt: 1}, budget.Balance{}, Expired, "key_expired"},
		"set expired, nothing left": {Key{Status: Expired, ExpiresAt: Never}, budget.Balance{}, Expired, "key_expired"},
	} {
		if got := row.key.Effective(row.balance, now); got != row.want {
			t.Errorf("%s: %d, want %d", name, got, row.want)
		}
		if got := fault.Code(Admissible(&row.key, nil, now)); got != row.refusals {
			t.Errorf("%s: admission says %q, want %q", name, got, row.refusals)
		}
	}
}

func TestTheStricterOfAKeyAndItsParentCounts(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	states := []struct {
		status Status
		code   string
		key    Key
	}{ // the strictest first
		{Disabled, "key_disabled", Key{Status: Disabled, ExpiresAt: 1}},
		{Expired, "key_expired", Key{Status: Enabled, ExpiresAt: 1000}},
		{Exhausted, "key_quota_exhausted", Key{Status: Exhausted, ExpiresAt: Never}},
		{Enabled, "", Key{Status: Enabled, ExpiresAt: 1001}},
	}
	for i, own := range states {
		for j, parent := range states {
			want := states[min(i, j)]
			if got := stricter(own.status, parent.status); got != want.status {
				t.Errorf("%d under %d reads %d", own.status, parent.status, got)
			}
			err := Admissible(&own.key, &parent.key, now)
			if fault.Code(err) != want.code || (err != nil && strings.Contains(err.Error(), "parent") != (j < i)) {
				t.Errorf("%d under %d: %v", own.status, parent.status, err)
			}
		}
	}
}
