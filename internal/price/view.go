package price

import (
	"time"

	"halley/internal/jsonx"
	"halley/internal/money"
)

// View is a price as the management API shows it: the definition's members,
// numbers exactly as they count, and where it comes from. Members that were not
// set are left out, so what was read can be sent back.
type View struct {
	Model       string `json:"model"`
	Version     string `json:"version"`
	Source      Source `json:"source"`
	UpdatedTime int64  `json:"updated_time"` // Unix seconds
	DefinitionView
}

// DefinitionView is how a definition is written in JSON: USD per 1M tokens,
// per_request and per_search in USD. ParseDefinition reads it.
type DefinitionView struct {
	Vendor            string              `json:"vendor,omitzero"`
	Mode              string              `json:"mode,omitzero"`
	Input             Decimal             `json:"input,omitzero"`
	Output            Decimal             `json:"output,omitzero"`
	CacheRead         Decimal             `json:"cache_read,omitzero"`
	CacheWrite5m      Decimal             `json:"cache_write_5m,omitzero"`
	CacheWrite1h      Decimal             `json:"cache_write_1h,omitzero"`
	AudioInput        Decimal             `json:"audio_input,omitzero"`
	AudioOutput       Decimal             `json:"audio_output,omitzero"`
	ImageInput        Decimal             `json:"image_input,omitzero"`
	ImageOutput       Decimal             `json:"image_output,omitzero"`
	ReasoningOutput   Decimal             `json:"reasoning_output,omitzero"`
	PerRequest        Decimal             `json:"per_request,omitzero"`
	PerSearch         Decimal             `json:"per_search,omitzero"`
	AbovePromptTokens []TierView          `json:"above_prompt_tokens,omitempty"`
	ServiceTiers      map[string]TierView `json:"service_tiers,omitempty"`
	MaxInputTokens    int64               `json:"max_input_tokens,omitzero"`
	MaxOutputTokens   int64               `json:"max_output_tokens,omitzero"`
	Created           int64               `json:"created,omitzero"`
	Features          []string            `json:"features,omitempty"`
}

// TierView is the prices of a long-prompt tier (Over is its threshold) or of a
// service tier (Over is 0).
type TierView struct {
	Over            int64   `json:"over,omitzero"`
	Input           Decimal `json:"input,omitzero"`
	Output          Decimal `json:"output,omitzero"`
	CacheRead       Decimal `json:"cache_read,omitzero"`
	CacheWrite5m    Decimal `json:"cache_write_5m,omitzero"`
	CacheWrite1h    Decimal `json:"cache_write_1h,omitzero"`
	AudioInput      Decimal `json:"audio_input,omitzero"`
	AudioOutput     Decimal `json:"audio_output,omitzero"`
	ImageInput      Decimal `json:"image_input,omitzero"`
	ImageOutput     Decimal `json:"image_output,omitzero"`
	ReasoningOutput Decimal `json:"reasoning_output,omitzero"`
}

// View shows the price.
func (p *Price) View() View {
	v := View{
		Model:          p.Model,
		Version:        p.Version,
		Source:         p.Source,
		UpdatedTime:    seconds(p.Updated),
		DefinitionView: p.definition.View(),
	}
	// What the definition leaves to the catalog is part of the price.
	v.Vendor, v.Mode, v.Features = p.Vendor, p.Mode, p.Features
	v.MaxInputTokens, v.MaxOutputTokens = p.MaxInputTokens, p.MaxOutputTokens
	v.Created = seconds(p.Created)
	return v
}

// View shows the definition.
func (d Definition) View() DefinitionView {
	t := d.Rates.view()
	v := DefinitionView{
		Vendor: d.Vendor, Mode: d.Mode, Features: d.Features, Created: d.Created,
		Input: t.Input, Output: t.Output, CacheRead: t.CacheRead,
		CacheWrite5m: t.CacheWrite5m, CacheWrite1h: t.CacheWrite1h,
		AudioInput: t.AudioInput, AudioOutput: t.AudioOutput,
		ImageInput: t.ImageInput, ImageOutput: t.ImageOutput,
		ReasoningOutput: t.ReasoningOutput,
		PerRequest:      usd(d.PerRequest), PerSearch: usd(d.PerSearch),
		MaxInputTokens: d.MaxInputTokens, MaxOutputTokens: d.MaxOutputTokens,
	}
	for _, l := range d.LongPrompts {
		t := l.Rates.view()
		t.Over = l.Over
		v.AbovePromptTokens = append(v.AbovePromptTokens, t)
	}
	for _, s := range d.ServiceTiers {
		if v.ServiceTiers == nil {
			v.ServiceTiers = make(map[string]TierView, len(d.ServiceTiers))
		}
		v.ServiceTiers[s.Name] = s.Rates.view()
	}
	return v
}

// usd is a fee in USD, "" when there is none.
func usd(fee *money.Nano) Decimal {
	if fee == nil {
		return ""
	}
	return Decimal(fee.USDString())
}

// encode writes the definition as it is stored.
func (d Definition) encode() ([]byte, error) { return jsonx.Marshal(d.View()) }

func (r Rates) view() TierView {
	var v TierView
	for k, at := range map[Kind]*Decimal{
		Input: &v.Input, Output: &v.Output, CacheRead: &v.CacheRead,
		CacheWrite5m: &v.CacheWrite5m, CacheWrite1h: &v.CacheWrite1h,
		AudioInput: &v.AudioInput, AudioOutput: &v.AudioOutput,
		ImageInput: &v.ImageInput, ImageOutput: &v.ImageOutput,
		ReasoningOutput: &v.ReasoningOutput,
	} {
		*at = r.decimal(k)
	}
	return v
}

// decimal is the kind's price in USD per 1M tokens, "" when it has none.
func (r Rates) decimal(k Kind) Decimal {
	if p, ok := r.Get(k); ok {
		return usdPerMillion(p)
	}
	return ""
}

func usdPerMillion(p money.Pico) Decimal { return Decimal(p.String()) }

func seconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}
