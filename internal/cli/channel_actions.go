package cli

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// channelPath is a channel's place in the API, or that of one of its actions.
func channelPath(id int64, action string) string {
	return "/api/channel/" + strconv.FormatInt(id, 10) + "/" + action
}

type channelPresetsCommand struct{ serverFlags }

// Run prints a table.
func (c channelPresetsCommand) Run(r *run) error {
	return c.with(r, func(a *api) error {
		var presets []struct {
			ID      string `json:"id"`
			Name    string `json:"name"`
			Kind    string `json:"kind"`
			BaseURL string `json:"base_url"`
			Example string `json:"example"`
		}
		if err := a.call(r.ctx, http.MethodGet, "/api/channel/presets", nil, nil, &presets); err != nil {
			return err
		}
		table := tabwriter.NewWriter(r.process.Stdout, 0, 0, 2, ' ', 0)
		_, _ = fmt.Fprintln(table, "PRESET\tNAME\tKIND\tBASE URL") // Flush tells
		for _, p := range presets {
			if p.BaseURL == "" && p.Example != "" {
				p.BaseURL = "--base-url, such as " + p.Example
			}
			_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", p.ID, p.Name, p.Kind, p.BaseURL)
		}
		return table.Flush()
	})
}

type channelModelsCommand struct {
	serverFlags
	ID int64 `arg:"" help:"The channel's id, as in halley channel list."`
}

// Run prints one model a line.
func (c channelModelsCommand) Run(r *run) error {
	return c.with(r, func(a *api) error {
		var list struct {
			Models []string `json:"models"`
		}
		if err := a.call(r.ctx, http.MethodGet, channelPath(c.ID, "models"), nil, nil, &list); err != nil {
			return err
		}
		for _, model := range list.Models {
			r.print("%s", model)
		}
		return nil
	})
}

type channelSpendCommand struct {
	serverFlags
	ID   int64 `arg:"" help:"The channel's id, as in halley channel list."`
	Days int64 `help:"How many days to look back." default:"30"`
}

// Run prints the sums.
func (c channelSpendCommand) Run(r *run) error {
	if c.Days < 1 {
		return errors.New("--days must be at least 1")
	}
	return c.with(r, func(a *api) error {
		var sum struct {
			Requests  int64   `json:"requests"`
			Errors    int64   `json:"errors"`
			TokensIn  int64   `json:"tokens_in"`
			TokensOut int64   `json:"tokens_out"`
			USD       float64 `json:"usd"`
		}
		from := time.Now().AddDate(0, 0, -int(min(c.Days, 36500))).Unix()
		query := url.Values{"from": {strconv.FormatInt(max(0, from), 10)}}
		if err := a.call(r.ctx, http.MethodGet, channelPath(c.ID, "spend"), query, nil, &sum); err != nil {
			return err
		}
		r.print("Channel %d in %d days: %d requests, %d of them failed, %d tokens in, %d out, %s USD.", c.ID, c.Days, sum.Requests, sum.Errors, sum.TokensIn, sum.TokensOut, strconv.FormatFloat(sum.USD, 'f', -1, 64))
		return nil
	})
}

type channelDuplicateCommand struct {
	serverFlags
	ID int64 `arg:"" help:"The channel's id, as in halley channel list."`
}

// Run copies the channel and says the copy's id.
func (c channelDuplicateCommand) Run(r *run) error {
	return c.with(r, func(a *api) error {
		var made channelRecord
		if err := a.call(r.ctx, http.MethodPost, channelPath(c.ID, "duplicate"), nil, nil, &made); err != nil {
			return err
		}
		r.print("Channel %d (%s) is a copy of channel %d, disabled. Enable it: halley channel enable %d", made.ID, made.Name, c.ID, made.ID)
		return nil
	})
}

// someChannels are those that a command is for.
type someChannels struct {
	serverFlags
	IDs []int64 `arg:"" optional:"" help:"The channels' ids, as in halley channel list."`
	Tag string  `help:"All channels with this tag."`
}

func (c someChannels) do(r *run, action string) error {
	return c.with(r, func(a *api) error {
		var result struct {
			Changed []int64 `json:"changed"`
		}
		body := map[string]any{"action": action, "ids": c.IDs, "tag": c.Tag}
		if err := a.call(r.ctx, http.MethodPost, "/api/channel/bulk", nil, body, &result); err != nil {
			return err
		}
		if len(result.Changed) == 0 {
			r.print("Nothing to %s.", action)
			return nil
		}
		ids := make([]string, len(result.Changed))
		for i, id := range result.Changed {
			ids[i] = strconv.FormatInt(id, 10)
		}
		r.print("%sd: %s", strings.ToUpper(action[:1])+action[1:], strings.Join(ids, ", "))
		return nil
	})
}

type channelEnableCommand struct{ someChannels }

// Run enables them.
func (c channelEnableCommand) Run(r *run) error { return c.do(r, "enable") }

type channelDisableCommand struct{ someChannels }

// Run disables them.
func (c channelDisableCommand) Run(r *run) error { return c.do(r, "disable") }

type channelDeleteCommand struct{ someChannels }

// Run deletes them.
func (c channelDeleteCommand) Run(r *run) error { return c.do(r, "delete") }
