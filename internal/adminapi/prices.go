package adminapi

import (
	"net/http"
	"strings"

	"halley/internal/fault"
	"halley/internal/price"
)

func (s *Server) priceRoutes() []route {
	data := typeOf[price.View]()
	return []route{
		{method: http.MethodGet, path: "/api/price/", access: adminOnly, handle: s.listPrices, summary: "List the prices in force, by model", out: typeOf[pageOf[price.View]](), query: []string{"p", "page_size", "keyword", "source"}},
		{method: http.MethodGet, path: "/api/price/{model...}", access: adminOnly, handle: s.getPrice, summary: "Read a model's price", out: data},
		{method: http.MethodPut, path: "/api/price/{model...}", access: adminOnly, handle: s.putPrice, summary: "Replace a model's whole price", in: typeOf[price.DefinitionView](), out: data},
		{method: http.MethodDelete, path: "/api/price/{model...}", access: adminOnly, handle: s.deletePrice, summary: "End a model's custom price; the catalog's counts again"},
		{method: http.MethodGet, path: "/api/models", access: public, handle: s.listPublicModels, summary: "List models and their prices", out: typeOf[publicModels](), plain: true, query: []string{"p", "page_size"}},
	}
}

func (s *Server) listPrices(c *call) (any, error) {
	p, err := c.page()
	if err != nil {
		return nil, err
	}
	source := price.Source(c.query.Get("source"))
	if source != "" && source != price.FromCatalog && source != price.Custom {
		return nil, fault.New(fault.Invalid, "invalid_source", "source must be %q or %q.", price.FromCatalog, price.Custom).Field("source")
	}
	keyword := strings.ToLower(strings.TrimSpace(c.query.Get("keyword")))
	var matching []*price.Price
	for _, one := range s.Prices.Book().All() {
		if (source == "" || one.Source == source) && strings.Contains(strings.ToLower(one.Model), keyword) {
			matching = append(matching, one)
		}
	}
	return pageOfSlice(p, matching, (*price.Price).View), nil
}

func (s *Server) getPrice(c *call) (any, error) {
	found, ok := s.Prices.Book().Lookup(pricedModel(c))
	if !ok {
		return nil, fault.New(fault.NotFound, "price_not_found", "The model %q has no price.", pricedModel(c)).Field("model")
	}
	return found.View(), nil
}

func (s *Server) putPrice(c *call) (any, error) {
	model := pricedModel(c)
	body, err := c.object()
	if err != nil {
		return nil, err
	}
	before := s.priceBefore(model)
	set, err := s.Prices.Put(c.ctx, model, body)
	if err != nil {
		return nil, err
	}
	view := set.View()
	s.trailChange(c, "price.update", "price "+model, detail(map[string]any{"version": view.Version, "definition": view.DefinitionView}), before, view)
	return view, nil
}

func (s *Server) deletePrice(c *call) (any, error) {
	model := pricedModel(c)
	before := s.priceBefore(model)
	if err := s.Prices.Delete(c.ctx, model); err != nil {
		return nil, err
	}
	s.trailChange(c, "price.delete", "price "+model, "", before, s.priceBefore(model))
	return noData{}, nil
}

// priceBefore is a model's price as it is, for the audit trail.
func (s *Server) priceBefore(model string) any {
	found, ok := s.Prices.Book().Lookup(model)
	if !ok {
		return nil
	}
	return found.View()
}

// pricedModel is the model's name, which may have slashes, with or without the
// closing slash that every path may have.
func pricedModel(c *call) string { return strings.TrimSuffix(c.path("model"), "/") }
