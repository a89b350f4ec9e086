package cli

import (
	"fmt"
	"net/http"
	"net/url"
	"text/tabwriter"

	"halley/internal/jsonx"
)

// priceCommands show and set prices, in USD per 1M tokens.
type priceCommands struct {
	List  priceListCommand  `cmd:"" help:"List the prices."`
	Set   priceSetCommand   `cmd:"" help:"Set a model's price, over the catalog's."`
	Reset priceResetCommand `cmd:"" help:"Go back to the catalog's price."`
}

// priceRecord is what the commands show of a price; the figures are written as
// the server wrote them.
type priceRecord struct {
	Model   string      `json:"model"`
	Source  string      `json:"source"`
	Version string      `json:"version"`
	Input   jsonx.Value `json:"input"`
	Output  jsonx.Value `json:"output"`
}

type priceListCommand struct {
	serverFlags
	Keyword string `arg:"" optional:"" help:"Only models with this text in their name."`
}

// Run prints a table.
func (c priceListCommand) Run(r *run) error {
	a, err := c.connect(r)
	if err != nil {
		return err
	}
	defer a.finish()
	out := tabwriter.NewWriter(r.process.Stdout, 0, 4, 2, ' ', 0)
	_, _ = fmt.Fprintln(out, "MODEL\tINPUT\tOUTPUT\tSOURCE\tVERSION")
	for page := 1; ; page++ {
		var list struct {
			Total int           `json:"total"`
			Items []priceRecord `json:"items"`
		}
		query := url.Values{"p": {fmt.Sprint(page)}, "page_size": {"100"}, "keyword": {c.Keyword}}
		if err := a.call(r.ctx, http.MethodGet, "/api/price/", query, nil, &list); err != nil {
			return err
		}
		for _, p := range list.Items {
			_, _ = fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%s\n", p.Model, p.Input, p.Output, p.Source, p.Version)
		}
		if len(list.Items) == 0 || page*100 >= list.Total {
			return out.Flush()
		}
	}
}

type priceSetCommand struct {
	serverFlags
	Model      string `arg:"" help:"The model's name."`
	Input      string `required:"" help:"USD per 1M prompt tokens." placeholder:"USD"`
	Output     string `help:"USD per 1M output tokens." placeholder:"USD"`
	CacheRead  string `help:"USD per 1M prompt tokens read from a cache; as input when not given." placeholder:"USD"`
	PerRequest string `help:"USD per request." placeholder:"USD"`
	PerSearch  string `help:"USD for each search of the web that the provider runs." placeholder:"USD"`
	MaxOutput  int64  `help:"The most output tokens of one answer." placeholder:"TOKENS"`
}

// Run sets the whole price.
func (c priceSetCommand) Run(r *run) error {
	a, err := c.connect(r)
	if err != nil {
		return err
	}
	defer a.finish()
	body := map[string]any{}
	for name, value := range map[string]string{"input": c.Input, "output": c.Output, "cache_read": c.CacheRead, "per_request": c.PerRequest, "per_search": c.PerSearch} {
		if value != "" {
			body[name] = value
		}
	}
	if c.MaxOutput != 0 {
		body["max_output_tokens"] = c.MaxOutput
	}
	var p priceRecord
	if err := a.call(r.ctx, http.MethodPut, "/api/price/"+url.PathEscape(c.Model), nil, body, &p); err != nil {
		return err
	}
	r.print("%s costs %s in and %s out per 1M tokens from now on (%s)", p.Model, p.Input, p.Output, p.Version)
	return nil
}

type priceResetCommand struct {
	serverFlags
	Model string `arg:"" help:"The model's name."`
}

// Run drops the custom price.
func (c priceResetCommand) Run(r *run) error {
	a, err := c.connect(r)
	if err != nil {
		return err
	}
	defer a.finish()
	if err := a.call(r.ctx, http.MethodDelete, "/api/price/"+url.PathEscape(c.Model), nil, nil, nil); err != nil {
		return err
	}
	r.print("%s has the catalog's price again, if the catalog has one", c.Model)
	return nil
}
