package price

import (
	_ "embed" // for catalog.json
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"halley/internal/jsonx"
)

//go:embed catalog.json
var catalogFile []byte

// Catalog is the set of prices that ships with Halley.
type Catalog struct {
	version string
	prices  map[string]*Price
}

// catalogJSON is the shape of catalog.json.
type catalogJSON struct {
	Date   string        `json:"date"` // of most of the facts, YYYY-MM-DD
	Models []jsonx.Value `json:"models"`
}

// LoadCatalog reads the catalog that is part of the program.
func LoadCatalog() (*Catalog, error) { return ParseCatalog(catalogFile) }

// ParseCatalog reads a catalog file: {"date": "YYYY-MM-DD", "models": [{"model":
// name, …}]}, each model with the members of a definition, vendor, mode and a
// complete price among them, and a date of its own where its facts are of
// another day.
func ParseCatalog(file []byte) (*Catalog, error) {
	var raw catalogJSON
	if err := jsonx.Unmarshal(file, &raw); err != nil {
		return nil, fmt.Errorf("read the price catalog: %w", err)
	}
	if _, err := time.Parse(time.DateOnly, raw.Date); err != nil {
		return nil, fmt.Errorf("read the price catalog's date: %w", err)
	}
	c := &Catalog{prices: make(map[string]*Price, len(raw.Models))}
	dates := map[string]bool{}
	for _, text := range raw.Models {
		p, err := parseEntry(text, raw.Date)
		if err != nil {
			return nil, fmt.Errorf("read the price catalog: %w", err)
		}
		if c.prices[p.Model] != nil {
			return nil, fmt.Errorf("read the price catalog: %s is there twice", p.Model)
		}
		c.prices[p.Model] = p
		dates[p.Updated.Format(time.DateOnly)] = true
	}
	delete(dates, raw.Date)
	c.version = strings.Join(append([]string{"catalog-" + raw.Date}, slices.Sorted(maps.Keys(dates))...), "_")
	for _, p := range c.prices {
		p.Version = c.version
	}
	return c, nil
}

// Version names the catalog by the days its facts are of, its own day first:
// "catalog-2026-07-24_2026-11-23".
func (c *Catalog) Version() string { return c.version }

// parseEntry reads one model of a catalog of the given day.
func parseEntry(text []byte, day string) (*Price, error) {
	entry := struct {
		Model string `json:"model"`
		Date  string `json:"date"`
	}{Date: day}
	if err := jsonx.Unmarshal(text, &entry); err != nil {
		return nil, err
	}
	if err := CheckModel(entry.Model); err != nil {
		return nil, fmt.Errorf("%q: %w", entry.Model, err)
	}
	date, err := time.Parse(time.DateOnly, entry.Date)
	if err != nil {
		return nil, fmt.Errorf("%s: date: %w", entry.Model, err)
	}
	d, err := ParseDefinition(text)
	if err == nil {
		err = d.Complete(d.Mode)
	}
	if err == nil && (d.Mode == "" || d.Vendor == "") {
		err = fmt.Errorf("mode and vendor are required")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", entry.Model, err)
	}
	p := newPrice(entry.Model, d)
	p.Source, p.Updated = FromCatalog, date
	return p, nil
}

// custom makes an operator's price. It replaces every price of the catalog's
// entry for the model; what it does not say about the model itself (vendor,
// mode, features, token limits) stays as the entry says.
func (c *Catalog) custom(s Stored) (*Price, error) {
	d, err := ParseDefinition(s.Definition)
	if err != nil {
		return nil, err
	}
	p := newPrice(s.Model, d)
	p.Source, p.Version, p.Updated = Custom, customVersion(s.Version), s.Created
	if base := c.prices[s.Model]; base != nil {
		inherit(&p.Vendor, base.Vendor)
		inherit(&p.Mode, base.Mode)
		inherit(&p.MaxInputTokens, base.MaxInputTokens)
		inherit(&p.MaxOutputTokens, base.MaxOutputTokens)
		inherit(&p.Created, base.Created)
		if p.Features == nil {
			p.Features = base.Features
		}
	}
	inherit(&p.Vendor, "custom")
	inherit(&p.Mode, guessMode(s.Model))
	inherit(&p.Created, s.Created)
	return p, nil
}

// mode is what kind of model a definition for it is about.
func (c *Catalog) mode(model string, d Definition) string {
	mode := d.Mode
	if base := c.prices[model]; base != nil {
		inherit(&mode, base.Mode)
	}
	inherit(&mode, guessMode(model))
	return mode
}

// guessMode goes by the name: embedding models are called so everywhere.
func guessMode(model string) string {
	if strings.Contains(strings.ToLower(model), "embed") {
		return ModeEmbedding
	}
	return "chat"
}

func inherit[T comparable](v *T, from T) {
	if *v == *new(T) {
		*v = from
	}
}

func newPrice(model string, d Definition) *Price {
	p := &Price{
		Model: model, Vendor: d.Vendor, Mode: d.Mode, Features: d.Features,
		MaxInputTokens: d.MaxInputTokens, MaxOutputTokens: d.MaxOutputTokens,
		definition: d,
	}
	if d.Created != 0 {
		p.Created = time.Unix(d.Created, 0).UTC()
	}
	p.compile()
	return p
}
