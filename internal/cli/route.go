package cli

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"halley/internal/jsonx"
)

// routeCommands say where requests go.
type routeCommands struct {
	Explain routeExplainCommand `cmd:"" help:"Say where a request would go, in which order and why."`
}

type routeExplainCommand struct {
	serverFlags
	Key      string `required:"" help:"The API key: its id, as in halley key list, or its value." placeholder:"KEY"`
	Model    string `required:"" help:"The model that is asked for." placeholder:"MODEL"`
	Endpoint string `help:"The endpoint that is called, such as chat." placeholder:"ENDPOINT"`
	IP       string `help:"The address that the request comes from." placeholder:"ADDRESS"`
	JSON     bool   `help:"Print what the server answers."`
}

// explanation is what the command shows of the server's.
type explanation struct {
	Allowed bool   `json:"allowed"`
	Code    string `json:"code"`
	Message string `json:"message"`
	Key     struct {
		ID     int64  `json:"id"`
		Name   string `json:"name"`
		UserID int64  `json:"user_id"`
	} `json:"key"`
	Groups          []string        `json:"groups"`
	CrossGroupRetry bool            `json:"cross_group_retry"`
	MaxAttempts     int             `json:"max_attempts"`
	Plan            []explainedStep `json:"plan"`
	PassedOver      []struct {
		ChannelID int64  `json:"channel_id"`
		Name      string `json:"name"`
		Group     string `json:"group"`
		Why       string `json:"why"`
	} `json:"passed_over"`
}

type explainedStep struct {
	ChannelID int64  `json:"channel_id"`
	Name      string `json:"name"`
	Group     string `json:"group"`
	Ratio     string `json:"ratio"`
	Strategy  string `json:"strategy"`
	Priority  int64  `json:"priority"`
	Weight    int64  `json:"weight"`
	State     string `json:"state"`
	OutUntil  *int64 `json:"out_until"`
	Reason    string `json:"reason"`
}

// Run asks the server, which knows how its upstreams are doing.
func (c routeExplainCommand) Run(r *run) error {
	return c.with(r, func(a *api) error {
		var answer jsonx.Value
		if err := a.call(r.ctx, http.MethodPost, "/api/route/explain", nil, c.body(), &answer); err != nil {
			return err
		}
		if c.JSON {
			r.print("%s", answer)
			return nil
		}
		var e explanation
		if err := jsonx.Unmarshal(answer, &e); err != nil {
			return fmt.Errorf("read the server's answer: %w", err)
		}
		return e.print(r, c.Model)
	})
}

func (c routeExplainCommand) body() map[string]any {
	body := map[string]any{"model": c.Model}
	if id, err := strconv.ParseInt(c.Key, 10, 64); err == nil {
		body["key_id"] = id
	} else {
		body["key"] = c.Key
	}
	if c.Endpoint != "" {
		body["endpoint"] = c.Endpoint
	}
	if c.IP != "" {
		body["ip"] = c.IP
	}
	return body
}

func (e *explanation) print(r *run, model string) error {
	if e.Allowed {
		r.print("Key %d (%s) of account %d may ask for %s.", e.Key.ID, e.Key.Name, e.Key.UserID, model)
	} else {
		r.print("Key %d (%s) of account %d may not ask for %s: %s (%s)", e.Key.ID, e.Key.Name, e.Key.UserID, model, e.Message, e.Code)
	}
	if len(e.Groups) > 0 {
		then := "the first that has a usable channel is the only one"
		if e.CrossGroupRetry {
			then = "one that is used up is followed by the next"
		}
		r.print("Groups: %s; %s. At most %d attempts.", strings.Join(e.Groups, ", "), then, e.MaxAttempts)
	}
	table := tabwriter.NewWriter(r.process.Stdout, 0, 0, 2, ' ', 0)
	if len(e.Plan) > 0 {
		_, _ = fmt.Fprintln(table, "\n#\tCHANNEL\tGROUP\tRATIO\tSTRATEGY\tPRIORITY\tWEIGHT\tSTATE\tOUT UNTIL\tREASON") // Flush tells
	}
	for i, s := range e.Plan {
		until := "-"
		if s.OutUntil != nil {
			until = time.Unix(*s.OutUntil, 0).UTC().Format(time.RFC3339)
		}
		_, _ = fmt.Fprintf(table, "%d\t%d %s\t%s\t%s\t%s\t%d\t%d\t%s\t%s\t%s\n",
			i+1, s.ChannelID, s.Name, s.Group, s.Ratio, s.Strategy, s.Priority, s.Weight, s.State, until, orDash(s.Reason))
	}
	if len(e.PassedOver) > 0 {
		_, _ = fmt.Fprintln(table, "\nLEFT OUT\tGROUP\tWHY")
	}
	for _, p := range e.PassedOver {
		_, _ = fmt.Fprintf(table, "%d %s\t%s\t%s\n", p.ChannelID, p.Name, p.Group, p.Why)
	}
	return table.Flush()
}
