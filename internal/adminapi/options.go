package adminapi

import (
	"net/http"

	"halley/internal/fault"
	"halley/internal/jsonx"
	"halley/internal/option"
)

type optionView struct {
	Name    string `json:"name"`
	Value   any    `json:"value"`
	Default any    `json:"default"`
	Type    string `json:"type" enum:"list,integer,boolean,string"`
	Help    string `json:"help"`
}

// optionBody is how the body is described: the value's type is the option's.
type optionBody struct {
	Value any `json:"value"`
}

func (s *Server) optionRoutes() []route {
	return []route{
		{
			method: http.MethodGet, path: "/api/option/", access: rootOnly, handle: s.listOptions, summary: "Options that can be changed while Halley runs",
			out: typeOf[pageOf[optionView]](), query: []string{"p", "page_size"},
		},
		{
			method: http.MethodPut, path: "/api/option/{name}", access: rootOnly, handle: s.putOption, summary: "Change an option",
			in: typeOf[optionBody](), out: typeOf[optionView](),
		},
	}
}

func (s *Server) listOptions(c *call) (any, error) {
	p, err := c.page()
	if err != nil {
		return nil, err
	}
	return pageOfSlice(p, s.Options.List(), viewOption), nil
}

func (s *Server) putOption(c *call) (any, error) {
	body, err := decode[struct {
		Value jsonx.Opt[jsonx.Value] `json:"value"`
	}](c)
	if err != nil {
		return nil, err
	}
	if err := notNull("value", body.Value); err != nil {
		return nil, err
	}
	if !body.Value.Set {
		return nil, fault.New(fault.Invalid, "value_required", "value must be given.").Field("value")
	}
	var before any
	for _, o := range s.Options.List() {
		if o.Name == c.path("name") {
			before = map[string]any{"value": o.Value}
		}
	}
	o, err := s.Options.Set(c.ctx, c.path("name"), body.Value.Value)
	if err != nil {
		return nil, err
	}
	now := map[string]any{"value": o.Value}
	s.trailChange(c, "option.update", "option "+o.Name, detail(now), before, now)
	return viewOption(o), nil
}

func viewOption(o option.Option) optionView {
	return optionView{Name: o.Name, Value: o.Value, Default: o.Default, Type: o.Type, Help: o.Help}
}
