package adminapi

import (
	"net/http"

	"halley/internal/price"
)

func (s *Server) modelRoutes() []route {
	return []route{
		{method: http.MethodGet, path: "/api/user/self/models", access: anyUser, handle: s.listOwnModels, summary: "List the models that the caller may use", out: typeOf[[]string]()},
		{method: http.MethodGet, path: "/api/user/{id}/models", access: adminOnly, handle: s.listUserModels, summary: "List the models that a user may use", out: typeOf[[]string]()},
		{method: http.MethodGet, path: "/api/user/self/catalog", access: anyUser, handle: s.listOffers, summary: "List the models that the caller may use, with their prices and the groups that offer them", out: typeOf[[]offerView]()},
	}
}

// publicModels is the published answer of GET /api/models, which has the page's
// members beside data.
type publicModels struct {
	Success  bool                `json:"success"`
	Page     int64               `json:"page"`
	PageSize int64               `json:"page_size"`
	Total    int64               `json:"total"`
	Data     []price.PublicModel `json:"data"`
}

// listPublicModels is not paginated unless asked, and then says page 0 of size 0,
// which asks for the same: 0 is as good as missing.
func (s *Server) listPublicModels(c *call) (any, error) {
	all := s.Prices.Book().PublicModels()
	answer := publicModels{Success: true, Total: int64(len(all)), Data: all}
	number, errNumber := c.queryInt("p", 0)
	size, errSize := c.queryInt("page_size", 0)
	if err := firstError(errNumber, errSize); err != nil {
		return nil, err
	}
	if number == 0 && size == 0 {
		return bare{answer}, nil
	}
	p, err := c.page()
	if err != nil {
		return nil, err
	}
	one := pageOfSlice(p, all, func(m price.PublicModel) price.PublicModel { return m })
	answer.Page, answer.PageSize, answer.Data = one.Page, one.PageSize, one.Items
	return bare{answer}, nil
}

func (s *Server) listOwnModels(c *call) (any, error) {
	return append([]string{}, s.Snapshot().ModelsFor(c.who.User)...), nil
}

// listUserModels tells an administrator what the keys of a user may call.
func (s *Server) listUserModels(c *call) (any, error) {
	user, err := s.userInPath(c)
	if err != nil {
		return nil, err
	}
	return append([]string{}, s.Snapshot().ModelsFor(user)...), nil
}

// offerView is a model that the caller may use.
type offerView struct {
	Model  string      `json:"model"`
	Groups []string    `json:"groups" doc:"Those of the caller's that offer it, the caller's own first."`
	Price  *price.View `json:"price" doc:"Before the group's ratio; null when there is none. It may be that of another name, which the model is mapped to."`
}

func (s *Server) listOffers(c *call) (any, error) {
	offers := s.Snapshot().OffersFor(c.who.User)
	views := make([]offerView, 0, len(offers))
	for _, o := range offers {
		view := offerView{Model: o.Model, Groups: o.Groups}
		if o.Price != nil {
			priced := o.Price.View()
			view.Price = &priced
		}
		views = append(views, view)
	}
	return views, nil
}
