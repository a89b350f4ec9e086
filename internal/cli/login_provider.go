package cli

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"

	"halley/internal/fault"
)

// providerCommands manage identity providers: also for who has only a shell,
// when a provider is down or not to be trusted any more.
type providerCommands struct {
	List    providerListCommand    `cmd:"" help:"List the identity providers."`
	Add     providerAddCommand     `cmd:"" help:"Add an identity provider (OpenID Connect)."`
	Disable providerDisableCommand `cmd:"" help:"Let nobody sign in at an identity provider; sessions go on."`
	Enable  providerEnableCommand  `cmd:"" help:"Let people sign in at a disabled identity provider again."`
	Remove  providerRemoveCommand  `cmd:"" help:"Remove an identity provider; who its users are here stays known."`
}

// providerRecord is what the commands show of an identity provider.
type providerRecord struct {
	Name        string `json:"name"`
	Label       string `json:"label"`
	Issuer      string `json:"issuer"`
	ClientID    string `json:"client_id"`
	Enabled     bool   `json:"enabled"`
	CreateUsers bool   `json:"create_users"`
	GroupClaim  string `json:"group_claim"`
	RoleClaim   string `json:"role_claim"`
	CallbackURL string `json:"callback_url"`
}

type providerListCommand struct{ serverFlags }

// Run prints a table, by name.
func (c providerListCommand) Run(r *run) error {
	return c.with(r, func(a *api) error {
		table := tabwriter.NewWriter(r.process.Stdout, 0, 0, 2, ' ', 0)
		_, _ = fmt.Fprintln(table, "NAME\tLABEL\tSTATUS\tACCOUNTS\tGROUP CLAIM\tROLE CLAIM\tISSUER\tCLIENT ID") // Flush tells
		for page := 1; ; page++ {
			var list struct {
				PageSize int              `json:"page_size"`
				Items    []providerRecord `json:"items"`
			}
			query := url.Values{"p": {strconv.Itoa(page)}, "page_size": {"100"}}
			if err := a.call(r.ctx, http.MethodGet, "/api/login_provider/", query, nil, &list); err != nil {
				return err
			}
			for _, p := range list.Items {
				accounts := "linked"
				if p.CreateUsers {
					accounts = "made"
				}
				_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n",
					p.Name, p.Label, enabledWord(p.Enabled), accounts, orDash(p.GroupClaim), orDash(p.RoleClaim), p.Issuer, p.ClientID)
			}
			if len(list.Items) == 0 || len(list.Items) < list.PageSize {
				return table.Flush()
			}
		}
	})
}

type providerAddCommand struct {
	serverFlags
	Name        string   `arg:"" help:"Lower-case letters, digits and hyphens; part of the callback URL."`
	Issuer      string   `help:"As the provider writes it, such as https://id.example.com." required:"" placeholder:"URL"`
	ClientID    string   `name:"client-id" help:"Who Halley is there." required:"" placeholder:"ID"`
	SecretStdin bool     `name:"secret-stdin" help:"Read the client secret from standard input's first line; secrets on a command line would be seen by others."`
	Label       string   `help:"What the button says; otherwise the name." placeholder:"TEXT"`
	Scopes      []string `help:"What to ask for; openid, profile and email when left out." placeholder:"SCOPE,…"`
	CreateUsers bool     `name:"create-users" help:"Give who signs in for the first time an account."`
	GroupClaim  string   `name:"group-claim" help:"The claim that --groups is about." placeholder:"CLAIM"`
	Groups      []string `help:"The first whose value the claim has is the user's group." placeholder:"VALUE=GROUP,…"`
	RoleClaim   string   `name:"role-claim" help:"The claim that --admin-values is about." placeholder:"CLAIM"`
	AdminValues []string `name:"admin-values" help:"Who has one of these is an administrator, everybody else a user." placeholder:"VALUE,…"`
	Disabled    bool     `help:"Add it without letting anybody sign in yet."`
}

// Run adds the provider and says what has to be registered there.
func (c providerAddCommand) Run(r *run) error {
	body := map[string]any{
		"name": c.Name, "label": c.Label, "issuer": c.Issuer, "client_id": c.ClientID, "create_users": c.CreateUsers, "enabled": !c.Disabled,
		"group_claim": c.GroupClaim, "role_claim": c.RoleClaim,
	}
	if c.Label == "" {
		body["label"] = c.Name
	}
	if c.SecretStdin {
		secret, err := firstLine(r.process.Stdin, "the secret")
		if err != nil {
			return err
		}
		if secret == "" {
			return errors.New("standard input has no secret")
		}
		body["client_secret"] = secret
	}
	if len(c.Scopes) > 0 {
		body["scopes"] = c.Scopes
	}
	if len(c.AdminValues) > 0 {
		body["admin_values"] = c.AdminValues
	}
	// In their order, which a map would lose: the first that fits counts.
	groups := make([]map[string]string, 0, len(c.Groups))
	for _, pair := range c.Groups {
		value, group, ok := strings.Cut(pair, "=")
		if !ok {
			return fault.New(fault.Invalid, "invalid_groups", "--groups: %q is not VALUE=GROUP.", pair)
		}
		groups = append(groups, map[string]string{"value": value, "group": group})
	}
	body["groups"] = groups
	return c.with(r, func(a *api) error {
		var made providerRecord
		if err := a.call(r.ctx, http.MethodPost, "/api/login_provider/", nil, body, &made); err != nil {
			return err
		}
		r.print("Identity provider %s (%s) is %s.", made.Name, made.Issuer, enabledWord(made.Enabled))
		if made.CallbackURL == "" {
			r.print("Set HALLEY_PUBLIC_URL: browsers must know where to come back to.")
		} else {
			r.print("Register this callback URL there: %s", made.CallbackURL)
		}
		return nil
	})
}

type providerDisableCommand struct {
	serverFlags
	Name string `arg:"" help:"As in halley login-provider list."`
}

// Run turns the provider off.
func (c providerDisableCommand) Run(r *run) error {
	return turnProvider(r, c.serverFlags, c.Name, false)
}

type providerEnableCommand struct {
	serverFlags
	Name string `arg:"" help:"As in halley login-provider list."`
}

// Run turns the provider on.
func (c providerEnableCommand) Run(r *run) error { return turnProvider(r, c.serverFlags, c.Name, true) }

func turnProvider(r *run, at serverFlags, name string, on bool) error {
	return at.with(r, func(a *api) error {
		var p providerRecord
		if err := a.call(r.ctx, http.MethodPatch, providerPath(name), nil, map[string]any{"enabled": on}, &p); err != nil {
			return err
		}
		r.print("Identity provider %s is %s.", p.Name, enabledWord(p.Enabled))
		return nil
	})
}

type providerRemoveCommand struct {
	serverFlags
	Name string `arg:"" help:"As in halley login-provider list."`
}

// Run removes the provider.
func (c providerRemoveCommand) Run(r *run) error {
	return c.with(r, func(a *api) error {
		if err := a.call(r.ctx, http.MethodDelete, providerPath(c.Name), nil, nil, nil); err != nil {
			return err
		}
		r.print("Identity provider %s is removed.", c.Name)
		return nil
	})
}

func providerPath(name string) string { return "/api/login_provider/" + url.PathEscape(name) }
