package adminapi

import (
	"net/http"

	"halley/internal/price"
)

func (s *Server) modelRoutes() []route {
	return []route{
		{method: http.MethodGet, path: "/api/user/self/models", access: anyUser, handle: s.listOwnModels, summary: "List the models that the caller may use", out: typeOf[[]string]()},
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

// listPublicModels is not paginated unless asked, and then says page 0.
func (s *Server) listPublicModels(c *call) (any, error) {
	all := s.Prices.Book().PublicModels()
	answer := publicModels{Success: true, Total: int64(len(all)), Data: all}
	if c.query.Get("p") == "" && c.query.Get("page_size") == "" {
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
