package limit

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"halley/internal/fault"
	"halley/internal/jsonx"
	"halley/internal/speech"
)

// The bounds of a limits object.
const (
	MaxBytes         = 16 << 10 // as JSON
	MaxCount   int64 = 1_000_000_000_000
	MaxPattern       = 256 // bytes of a model's name or pattern
	maxModels        = 200
)

// Limits are the rates of a key, an account or a group. nil is no limit; 0
// allows nothing. The JSON is how stores keep it: unset members are left out.
type Limits struct {
	RPM         *int64          `json:"rpm,omitzero"`         // requests in any 60 seconds
	RPD         *int64          `json:"rpd,omitzero"`         // requests in any 24 hours
	TPM         *int64          `json:"tpm,omitzero"`         // tokens in any 60 seconds, input and output
	TPMInput    *int64          `json:"tpm_input,omitzero"`   // of those, input
	TPMOutput   *int64          `json:"tpm_output,omitzero"`  // and output
	Concurrency *int64          `json:"concurrency,omitzero"` // requests at the same time
	PerModel    map[string]Rate `json:"per_model,omitzero"`   // by model pattern; all that match apply
}

// Rate is the limits of what matches one model pattern, taken together.
type Rate struct {
	RPM       *int64 `json:"rpm"`
	TPM       *int64 `json:"tpm"`
	TPMInput  *int64 `json:"tpm_input"`
	TPMOutput *int64 `json:"tpm_output"`
}

// none reports whether nothing is limited.
func (l *Limits) none() bool {
	return l == nil || (l.RPM == nil && l.RPD == nil && l.TPM == nil && l.TPMInput == nil && l.TPMOutput == nil && l.Concurrency == nil && len(l.PerModel) == 0)
}

// Patch is the rates as a caller sends them: absent members stay, null ones are
// removed, the others are replaced as a whole.
type Patch struct {
	RPM         jsonx.Opt[int64]                           `json:"rpm"`
	RPD         jsonx.Opt[int64]                           `json:"rpd"`
	TPM         jsonx.Opt[int64]                           `json:"tpm" doc:"Tokens in any 60 seconds, input and output together."`
	TPMInput    jsonx.Opt[int64]                           `json:"tpm_input"`
	TPMOutput   jsonx.Opt[int64]                           `json:"tpm_output"`
	Concurrency jsonx.Opt[int64]                           `json:"concurrency"`
	PerModel    jsonx.Opt[map[string]jsonx.Opt[RatePatch]] `json:"per_model"`
}

// RatePatch is one entry of per_model.
type RatePatch struct {
	RPM       jsonx.Opt[int64] `json:"rpm"`
	TPM       jsonx.Opt[int64] `json:"tpm"`
	TPMInput  jsonx.Opt[int64] `json:"tpm_input"`
	TPMOutput jsonx.Opt[int64] `json:"tpm_output"`
}

// Apply gives l changed and checked. What breaks a rule is a fault that names
// the member.
func (p Patch) Apply(l Limits) (Limits, error) {
	for _, count := range []struct {
		name string
		from jsonx.Opt[int64]
		to   **int64
	}{
		{"rpm", p.RPM, &l.RPM}, {"rpd", p.RPD, &l.RPD}, {"tpm", p.TPM, &l.TPM}, {"tpm_input", p.TPMInput, &l.TPMInput},
		{"tpm_output", p.TPMOutput, &l.TPMOutput}, {"concurrency", p.Concurrency, &l.Concurrency},
	} {
		if !count.from.Set {
			continue
		}
		if err := checkCount("limits."+count.name, count.from); err != nil {
			return l, err
		}
		*count.to = count.from.Ptr()
	}
	err := jsonx.Merge(&l.PerModel, p.PerModel, parsePerModel)
	return l, err
}

// CheckSize refuses a limits object that is too large to keep.
func CheckSize(limits any) error {
	text, err := jsonx.Marshal(limits)
	if err == nil && len(text) > MaxBytes {
		err = Invalid("limits", "must be at most %d bytes as JSON, it is %d.", MaxBytes, len(text))
	}
	return err
}

// Invalid is the fault of a member that breaks a rule of the limits object.
func Invalid(field, format string, args ...any) error {
	return fault.New(fault.Invalid, "invalid_limits", "%s %s", field, speech.Say(format, args...)).Field(field)
}

func checkCount(field string, o jsonx.Opt[int64]) error {
	if v := o.Ptr(); v != nil && (*v < 0 || *v > MaxCount) {
		return Invalid(field, "must be from 0 (none allowed) to %d, or null for no limit.", MaxCount)
	}
	return nil
}

func parsePerModel(from map[string]jsonx.Opt[RatePatch]) (map[string]Rate, error) {
	const field = "limits.per_model"
	if len(from) > maxModels {
		return nil, Invalid(field, "must have at most %d entries, it has %d.", maxModels, len(from))
	}
	rates := make(map[string]Rate, len(from))
	for _, pattern := range slices.Sorted(maps.Keys(from)) {
		rate := from[pattern]
		if err := rate.NotNull(field + "." + fault.Quote(pattern)); err != nil {
			return nil, err
		}
		name := strings.TrimSpace(pattern)
		if name == "" {
			return nil, Invalid(field, "must not have an empty model name.")
		}
		if why := PatternFault(name); why != "" {
			return nil, Invalid(field, "has the model %s, which %s.", fault.Quote(name), why)
		}
		if _, twice := rates[name]; twice {
			return nil, Invalid(field, "has the model %s twice.", fault.Quote(name))
		}
		checked, err := rate.Value.check(field)
		if err != nil {
			return nil, err
		}
		rates[name] = checked
	}
	return rates, nil
}

func (p RatePatch) check(field string) (Rate, error) {
	err := cmp.Or(
		checkCount(field+".rpm", p.RPM), checkCount(field+".tpm", p.TPM),
		checkCount(field+".tpm_input", p.TPMInput), checkCount(field+".tpm_output", p.TPMOutput),
	)
	return Rate{RPM: p.RPM.Ptr(), TPM: p.TPM.Ptr(), TPMInput: p.TPMInput.Ptr(), TPMOutput: p.TPMOutput.Ptr()}, err
}

// PatternFault says why text cannot be a model's name or pattern, "" when it
// can.
func PatternFault(text string) string {
	switch {
	case len(text) > MaxPattern:
		return "is longer than 256 bytes"
	case !utf8.ValidString(text) || strings.ContainsFunc(text, fault.Unprintable):
		return "contains control characters"
	}
	return ""
}
