// The gen program writes the price catalog from two lists of price facts:
//
//	go run ./gen -facts FACTS.json -date DATE -more more.json -more-date DATE -today DATE -out catalog.json
//
// A list has one object per model: model, vendor, mode, usd_per_1m_tokens
// {input, output, cache_read, …}, above_prompt_tokens, service_tiers,
// max_input_tokens, max_output_tokens, released, retires, can. FACTS.json is
// not part of this project. more.json, which is, has what that list lacks, and
// in seen where each fact was found; about a model that both name, FACTS.json
// is right. -date and -more-date are the days the facts were read off, -today
// the day on which retired models are left out. The same input gives the same
// file, byte for byte. No number passes through a float.
//
// What the program decides, it decides here: which models are left out
// (usable), how vendors are called (vendorName), which facts cannot be right
// (mend), and what the built-in demo provider costs (demoModels).
package main

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"halley/internal/jsonx"
	"halley/internal/price"
)

func main() {
	facts := flag.String("facts", "", "the list of price facts, a JSON file")
	date := flag.String("date", "", "the day those facts are of, YYYY-MM-DD")
	more := flag.String("more", "", "a second list, of models that the first one lacks")
	moreDate := flag.String("more-date", "", "the day of the second list's facts, YYYY-MM-DD")
	today := flag.String("today", "", "models retired by this day are left out, YYYY-MM-DD")
	out := flag.String("out", "catalog.json", "the catalog to write")
	flag.Parse()
	if err := run([]source{{*facts, *date}, {*more, *moreDate}}, *today, *out); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

// source is where a list of facts is, and the day they are of.
type source struct{ path, date string }

func run(sources []source, today, out string) error {
	var lists []list
	for _, s := range sources {
		text, err := os.ReadFile(s.path)
		if err != nil {
			return err
		}
		l, err := parseList(text, s.date)
		if err != nil {
			return fmt.Errorf("%s: %w", s.path, err)
		}
		lists = append(lists, l)
	}
	catalog, err := generate(lists, today)
	if err != nil {
		return err
	}
	return os.WriteFile(out, catalog, 0o644)
}

// list is the facts of one day.
type list struct {
	date  time.Time
	facts []fact
}

// fact is one entry of the list.
type fact struct {
	Model           string                 `json:"model"`
	Vendor          string                 `json:"vendor"`
	Mode            string                 `json:"mode"`
	Rates           map[string]jsonx.Value `json:"usd_per_1m_tokens"`
	Long            []jsonx.Value          `json:"above_prompt_tokens"`
	Tiers           map[string]jsonx.Value `json:"service_tiers"`
	Searches        map[string]jsonx.Value `json:"usd_per_search"` // by the size of what is searched for
	MaxInputTokens  int64                  `json:"max_input_tokens"`
	MaxOutputTokens int64                  `json:"max_output_tokens"`
	Released        string                 `json:"released"` // YYYY-MM-DD
	Retires         string                 `json:"retires"`  // YYYY-MM-DD
	Can             []string               `json:"can"`
}

// entry is one model of the catalog. Date is the day its facts are of, where
// that is not the catalog's own.
type entry struct {
	Model string `json:"model"`
	Date  string `json:"date,omitzero"`
	price.DefinitionView
}

// parseList reads a list of facts; a model is in it once.
func parseList(text []byte, date string) (list, error) {
	var l list
	var err error
	if l.date, err = time.Parse(time.DateOnly, date); err != nil {
		return l, err
	}
	if err := jsonx.Decode(text, &l.facts); err != nil {
		return l, err
	}
	named := map[string]bool{}
	for _, f := range l.facts {
		if named[f.Model] {
			return l, fmt.Errorf("%s is there twice", f.Model)
		}
		named[f.Model] = true
	}
	return l, nil
}

// generate makes the catalog file, which is of the first list's day. The first
// list to name a model decides about it, even that it is left out.
func generate(lists []list, today string) ([]byte, error) {
	if _, err := time.Parse(time.DateOnly, today); err != nil {
		return nil, err
	}
	entries, decided := map[string]entry{}, map[string]bool{}
	for i, l := range lists {
		added := map[string]entry{}
		for _, f := range l.facts {
			if decided[f.Model] {
				continue
			}
			decided[f.Model] = true
			e, ok, err := enter(f, today)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", f.Model, err)
			}
			if !ok {
				continue
			}
			if i > 0 {
				e.Date = l.date.Format(time.DateOnly)
			}
			added[f.Model] = e
		}
		if i == 0 {
			for _, e := range demoModels() {
				added[e.Model] = e
			}
		}
		created(added, l.date)
		maps.Copy(entries, added)
	}
	return write(lists[0].date.Format(time.DateOnly), entries)
}

// enter makes the entry for a fact; ok is false when the model is left out.
func enter(f fact, today string) (e entry, ok bool, err error) {
	if f.Retires != "" && f.Retires <= today {
		return e, false, nil
	}
	d, err := define(f)
	if err != nil || !usable(d) {
		return e, false, err
	}
	if f.Released != "" {
		day, err := time.Parse(time.DateOnly, f.Released)
		if err != nil {
			return e, false, err
		}
		d.Created = day.Unix()
	}
	return entry{Model: f.Model, DefinitionView: d.View()}, true, nil
}

// define reads a fact as a price, with what cannot be right mended.
func define(f fact) (price.Definition, error) {
	raw := map[string]any{}
	for kind, usd := range f.Rates {
		raw[kind] = usd
	}
	if len(f.Long) > 0 {
		raw["above_prompt_tokens"] = f.Long
	}
	if len(f.Tiers) > 0 {
		raw["service_tiers"] = f.Tiers
	}
	if usd, ok := f.Searches["medium"]; ok { // what is searched for unless the request says more
		raw["per_search"] = usd
	}
	text, err := jsonx.Marshal(raw)
	if err != nil {
		return price.Definition{}, err
	}
	d, err := price.ParseDefinition(text)
	if err != nil {
		return price.Definition{}, err
	}
	d.Vendor, d.Mode = vendorName(f.Vendor), f.Mode
	d.MaxInputTokens, d.MaxOutputTokens = f.MaxInputTokens, f.MaxOutputTokens
	d.Features = features(f.Can)
	return mend(f.Model, d), nil
}

// usable reports whether the facts say what the model costs. Where they have
// no price by tokens, or only zeros (such models are priced by the image, the
// second or the character), the model is better unpriced than free.
func usable(d price.Definition) bool {
	input, ok := d.Rates.Get(price.Input)
	return ok && input > 0 && d.Complete(d.Mode) == nil
}

// mend corrects and tidies a definition.
func mend(model string, d price.Definition) price.Definition {
	if d.Mode == price.ModeEmbedding {
		d.Rates = d.Rates.Without(price.Output)
	} else if _, ok := d.Rates.Get(price.Output); !ok {
		// An image model whose whole output is images.
		if images, ok := d.Rates.Get(price.ImageOutput); ok {
			d.Rates = d.Rates.With(price.Output, images)
		}
	}
	// A vendor's page that the list misread.
	if model == "claude-3-haiku-20240307" {
		// $6 is the 1-hour price of Sonnet models; Anthropic's is twice the input.
		d.Rates = d.Rates.With(price.CacheWrite1h, 500_000)
	}
	d.Rates = withoutRepeats(withoutCheapWrites(d.Rates))
	for i := range d.LongPrompts {
		long := &d.LongPrompts[i].Rates
		*long = withoutCheapWrites(*long)
		_, base := d.Rates.Get(price.CacheWrite1h)
		if _, ok := long.Get(price.CacheWrite1h); base && !ok {
			// Anthropic's 1-hour write is twice the input on every length.
			if input, ok := long.Get(price.Input); ok {
				*long = long.With(price.CacheWrite1h, 2*input)
			}
		}
	}
	// A tier that prices one side only is a misread too: the list has one at 50
	// times the input price, of a model the vendor has no such tier for.
	d.ServiceTiers = slices.DeleteFunc(d.ServiceTiers, func(t price.ServiceTier) bool {
		_, in := t.Rates.Get(price.Input)
		_, out := t.Rates.Get(price.Output)
		return !in || !out
	})
	for i := range d.ServiceTiers {
		d.ServiceTiers[i].Rates = withoutCheapWrites(d.ServiceTiers[i].Rates)
	}
	return d
}

// withoutCheapWrites drops cache writes under the input price: a write reads the
// tokens fresh first, and the list has 0 or the price of a read where the vendor
// has no such charge.
func withoutCheapWrites(r price.Rates) price.Rates {
	input, _ := r.Get(price.Input)
	for _, k := range []price.Kind{price.CacheWrite5m, price.CacheWrite1h} {
		if p, ok := r.Get(k); ok && p < input {
			r = r.Without(k)
		}
	}
	return r
}

// withoutRepeats drops prices that say nothing, being what the kind costs
// anyway. Left in they would do harm: a tier that raises the output price would
// leave reasoning at the old one.
func withoutRepeats(r price.Rates) price.Rates {
	for k, as := range map[price.Kind]price.Kind{
		price.CacheWrite5m:    price.Input,
		price.CacheWrite1h:    price.Input,
		price.AudioInput:      price.Input,
		price.ImageInput:      price.Input,
		price.ReasoningOutput: price.Output,
		price.AudioOutput:     price.Output,
		price.ImageOutput:     price.Output,
	} {
		p, ok := r.Get(k)
		if same, _ := r.Get(as); ok && p == same {
			r = r.Without(k)
		}
	}
	return r
}

// vendorName is the maker's own name for what the list files under a product.
func vendorName(listed string) string {
	switch {
	case listed == "gemini", strings.HasPrefix(listed, "vertex_ai-"):
		return "google"
	case listed == "text-completion-openai":
		return "openai"
	case listed == "bedrock": // only models of Anthropic's are listed so
		return "anthropic"
	}
	return listed
}

// features keeps the abilities that help to choose a model.
func features(can []string) []string {
	known := []string{
		"function_calling", "parallel_function_calling", "response_schema", "reasoning", "prompt_caching",
		"vision", "pdf_input", "audio_input", "audio_output", "video_input", "web_search", "url_context", "computer_use",
	}
	return slices.DeleteFunc(known, func(f string) bool { return !slices.Contains(can, f) })
}

var dated = regexp.MustCompile(`-(20\d\d)-?([01]\d)-?([0-3]\d)(-|$)`)

// created dates the models that have no date: by the one in the name, else by
// the oldest dated version of the same name, else by the facts' own.
func created(entries map[string]entry, fallback time.Time) {
	oldest := map[string]int64{}
	for model, e := range entries {
		at := dated.FindStringSubmatchIndex(model)
		if at == nil {
			continue
		}
		parts := dated.FindStringSubmatch(model)
		day, err := time.Parse(time.DateOnly, strings.Join(parts[1:4], "-"))
		if err != nil {
			continue
		}
		if e.Created == 0 {
			e.Created = day.Unix()
			entries[model] = e
		}
		if alias := model[:at[0]]; oldest[alias] == 0 || e.Created < oldest[alias] {
			oldest[alias] = e.Created
		}
	}
	for model, e := range entries {
		if e.Created == 0 {
			e.Created = oldest[model]
		}
		if e.Created == 0 {
			e.Created = fallback.Unix()
		}
		entries[model] = e
	}
}

// demoModels are the built-in provider's.
func demoModels() []entry {
	var all []entry
	for _, name := range []string{"echo", "slow", "500", "429", "401", "cut", "hang", "empty", "html"} {
		all = append(all, entry{Model: "demo-" + name, DefinitionView: price.DefinitionView{
			Vendor: "demo", Mode: "chat", Input: "1", Output: "2", CacheRead: "0.5", MaxOutputTokens: 4096,
		}})
	}
	return append(all, entry{Model: "demo-embed", DefinitionView: price.DefinitionView{Vendor: "demo", Mode: price.ModeEmbedding, Input: "0.1"}})
}

// write lays the file out with one line per model, so that a change of a price
// is a change of a line.
func write(date string, entries map[string]entry) ([]byte, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "{\"date\":%q,\"models\":[\n", date)
	for i, model := range slices.Sorted(maps.Keys(entries)) {
		line, err := jsonx.Marshal(entries[model])
		if err != nil {
			return nil, err
		}
		b.Write(line)
		if i < len(entries)-1 {
			b.WriteByte(',')
		}
		b.WriteByte('\n')
	}
	b.WriteString("]}\n")
	if _, err := price.ParseCatalog(b.Bytes()); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
