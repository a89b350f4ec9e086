package adminapi

import (
	"net/http"
	"strings"
	"time"

	"halley/internal/fault"
	"halley/internal/jsonx"
	"halley/internal/money"
	"halley/internal/price"
	"halley/internal/usage"
)

func (s *Server) priceRoutes() []route {
	data := typeOf[price.View]()
	return []route{
		{method: http.MethodGet, path: "/api/price/", access: adminOnly, handle: s.listPrices, summary: "List the prices in force, by model", out: typeOf[pageOf[price.View]](), query: []string{"p", "page_size", "keyword", "source"}},
		{method: http.MethodGet, path: "/api/price/{model...}", access: adminOnly, handle: s.getPrice, summary: "Read a model's price", out: data},
		{method: http.MethodPut, path: "/api/price/{model...}", access: adminOnly, handle: s.putPrice, summary: "Replace a model's whole price", in: typeOf[price.DefinitionView](), out: data},
		{method: http.MethodDelete, path: "/api/price/{model...}", access: adminOnly, handle: s.deletePrice, summary: "End a model's custom price; the catalog's counts again"},
		{method: http.MethodGet, path: "/api/price-version/", access: adminOnly, handle: s.listPriceVersions, summary: "List the versions of custom prices, newest first", out: typeOf[pageOf[priceVersionView]](), query: []string{"model", "p", "page_size"}},
		{method: http.MethodPost, path: "/api/price-rerate", access: adminOnly, handle: s.ratePast, readScope: true, summary: "Say what past requests would have cost with other prices, at the groups' present ratios; at most 32 days at once", in: typeOf[rerateBody](), out: typeOf[rerateView](), needs: []string{"from", "to"}},
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

// priceVersionView is one change of a custom price.
type priceVersionView struct {
	Model       string      `json:"model"`
	Version     string      `json:"version"`
	CreatedTime int64       `json:"created_time" doc:"Unix seconds."`
	Price       *price.View `json:"price" doc:"Null where the custom price ended and the catalog's counts."`
}

func (s *Server) listPriceVersions(c *call) (any, error) {
	p, err := c.page()
	if err != nil {
		return nil, err
	}
	changes, total, err := s.Prices.History(c.ctx, c.query.Get("model"), p.Size, p.Offset())
	if err != nil {
		return nil, err
	}
	views := make([]priceVersionView, 0, len(changes))
	for _, change := range changes {
		view := priceVersionView{Model: change.Model, Version: change.Version, CreatedTime: change.At.Unix()}
		if change.Price != nil {
			view.Price = new(change.Price.View())
		}
		views = append(views, view)
	}
	return newPage(p, total, views), nil
}

// rerateBody says which requests are rated again, and with what: price and
// version are of model; without them the prices in force.
type rerateBody struct {
	From    jsonx.Opt[int64]       `json:"from" doc:"Unix seconds."`
	To      jsonx.Opt[int64]       `json:"to" doc:"Unix seconds, exclusive."`
	Model   jsonx.Opt[string]      `json:"model" doc:"Only requests for this model; all without it."`
	Price   jsonx.Opt[jsonx.Value] `json:"price" doc:"A price as it is put, to try out."`
	Version jsonx.Opt[string]      `json:"version" doc:"A version of the model's price, in the place of price."`
}

type rerateView struct {
	From   int64         `json:"from" doc:"Unix seconds."`
	To     int64         `json:"to" doc:"Unix seconds, exclusive."`
	Models []reratedView `json:"models" doc:"What cost most comes first."`
}

// reratedView is about the requests for one model that consumed anything.
type reratedView struct {
	Model        string `json:"model"`
	Requests     int64  `json:"requests"`
	TokensIn     int64  `json:"tokens_in"`
	TokensOut    int64  `json:"tokens_out"`
	ChargedNano  int64  `json:"charged_nano" doc:"What callers were charged, in nano-USD."`
	AbsorbedNano int64  `json:"absorbed_nano" doc:"What they cost beyond that, because a grant was used up; in nano-USD."`
	RatedNano    int64  `json:"rated_nano" doc:"What they would have cost, in nano-USD; at standard service tiers, which records do not have."`
	Unpriced     int64  `json:"unpriced" doc:"Requests that are not in rated_nano, because there is no price for them."`
}

// maxRerated is how much is rated at once: a month, whatever its clocks do.
const maxRerated = 32 * 24 * time.Hour

func (s *Server) ratePast(c *call) (any, error) {
	body, err := decode[rerateBody](c)
	if err != nil {
		return nil, err
	}
	if err := firstError(notNull("from", body.From), notNull("to", body.To), notNull("model", body.Model), notNull("price", body.Price), notNull("version", body.Version)); err != nil {
		return nil, err
	}
	from, to, model := body.From.Value, body.To.Value, strings.TrimSpace(body.Model.Value)
	switch {
	case !body.From.Set || from < 0:
		return nil, fault.New(fault.Invalid, "invalid_from", "from must be a Unix time in seconds.").Field("from")
	case !body.To.Set || to < from || to > maxInstant:
		return nil, fault.New(fault.Invalid, "invalid_to", "to must be a Unix time in seconds, not before from.").Field("to")
	case to-from > int64(maxRerated/time.Second):
		return nil, fault.New(fault.Invalid, "range_too_long", "At most 32 days can be rated at once.").Field("to")
	case body.Price.Set && body.Version.Set:
		return nil, fault.New(fault.Invalid, "invalid_price", "Give either price or version.").Field("version")
	case (body.Price.Set || body.Version.Set) && model == "":
		return nil, fault.New(fault.Invalid, "model_required", "model must be given: it says what the price is of.").Field("model")
	}
	priceOf, err := s.otherPrices(c, &body, model)
	if err != nil {
		return nil, err
	}
	groups := s.Groups.Current()
	rated, err := price.Rerate(s.Usage.Charges(c.ctx, model, time.Unix(from, 0), time.Unix(to, 0)), priceOf, func(name string) money.Ratio {
		if g, ok := groups.Get(name); ok {
			return g.Ratio
		}
		return money.One // of a group that is gone
	})
	if err != nil {
		return nil, err
	}
	view := rerateView{From: from, To: to, Models: make([]reratedView, 0, len(rated))}
	for _, r := range rated {
		view.Models = append(view.Models, reratedView{
			Model: r.Model, Requests: r.Requests, TokensIn: r.TokensIn, TokensOut: r.TokensOut,
			ChargedNano: int64(r.Charged), AbsorbedNano: int64(r.Absorbed), RatedNano: int64(r.Rated), Unpriced: r.Unpriced,
		})
	}
	return view, nil
}

// otherPrices is what a request is rated with: the price to try out, the version,
// or the price in force of the model or else of what served it.
func (s *Server) otherPrices(c *call, body *rerateBody, model string) (func(*usage.Charge) (*price.Price, bool), error) {
	var one *price.Price
	var err error
	switch {
	case body.Price.Set:
		one, err = s.Prices.Draft(model, body.Price.Value)
	case body.Version.Set:
		one, err = s.Prices.Trace(c.ctx, model, body.Version.Value)
	default:
		book := s.Prices.Book()
		return func(charge *usage.Charge) (*price.Price, bool) {
			if p, ok := book.Lookup(charge.Model); ok {
				return p, true
			}
			return book.Lookup(charge.ServedModel)
		}, nil
	}
	return func(*usage.Charge) (*price.Price, bool) { return one, true }, err
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
