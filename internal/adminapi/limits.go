package adminapi

import (
	"time"

	"halley/internal/budget"
	"halley/internal/limit"
)

// ratesRecord is what the limits of keys, users and groups have in common;
// unset members are null.
type ratesRecord struct {
	RPM         *int64                 `json:"rpm"`
	RPD         *int64                 `json:"rpd"`
	TPM         *int64                 `json:"tpm" doc:"Tokens in any 60 seconds, input and output together."`
	TPMInput    *int64                 `json:"tpm_input"`
	TPMOutput   *int64                 `json:"tpm_output"`
	Concurrency *int64                 `json:"concurrency"`
	PerModel    *map[string]limit.Rate `json:"per_model"`
}

func newRatesRecord(l limit.Limits) ratesRecord {
	r := ratesRecord{RPM: l.RPM, RPD: l.RPD, TPM: l.TPM, TPMInput: l.TPMInput, TPMOutput: l.TPMOutput, Concurrency: l.Concurrency}
	if l.PerModel != nil {
		r.PerModel = &l.PerModel
	}
	return r
}

type budgetRecord struct {
	Amount   int64  `json:"amount"`
	Period   string `json:"period"`
	TimeZone string `json:"time_zone"`
	Anchor   int64  `json:"anchor,omitzero"`
	Used     int64  `json:"used"`
	RenewsAt int64  `json:"renews_at"`
}

// newBudgetRecords shows budgets with their live states, where they are known.
func newBudgetRecords(budgets []budget.Renewing, states []budget.AllowanceState, now func() time.Time) *[]budgetRecord {
	if budgets == nil {
		return nil
	}
	records := make([]budgetRecord, 0, len(budgets))
	for i, b := range budgets {
		record := budgetRecord{Amount: b.Amount, Period: b.Period, TimeZone: b.TimeZone, Anchor: b.Anchor}
		if states != nil {
			record.Used, record.RenewsAt = states[i].Used.CeilUnits(), states[i].Renews.Unix()
		} else {
			record.RenewsAt = b.RenewsAt(now()).Unix()
		}
		records = append(records, record)
	}
	return &records
}
