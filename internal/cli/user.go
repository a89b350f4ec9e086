package cli

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"

	"halley/internal/fault"
)

// userCommands manage accounts.
type userCommands struct {
	List     userListCommand     `cmd:"" help:"List the accounts."`
	Create   userCreateCommand   `cmd:"" help:"Make an account."`
	Password userPasswordCommand `cmd:"" help:"Give an account a new password and end its sessions."`
	Disable  userDisableCommand  `cmd:"" help:"Stop an account, its sessions, tokens and keys."`
	Enable   userEnableCommand   `cmd:"" help:"Let a disabled account work again."`
	Quota    userQuotaCommand    `cmd:"" help:"Add to or set an account's balance."`
	Reset    userResetCommand    `cmd:"" name:"reset-factors" help:"Take its second factors from an account whose owner has lost them, and end its sessions."`
}

// userRecord is what the commands show of an account.
type userRecord struct {
	ID             int64  `json:"id"`
	Username       string `json:"username"`
	Role           string `json:"role"`
	Status         int64  `json:"status"`
	Group          string `json:"group"`
	Quota          int64  `json:"quota"`
	UnlimitedQuota bool   `json:"unlimited_quota"`
	UsedQuota      int64  `json:"used_quota"`
	RequestCount   int64  `json:"request_count"`
}

// balance is what the account can spend, in words.
func (u userRecord) balance() string {
	if u.UnlimitedQuota {
		return "unlimited"
	}
	return strconv.FormatInt(u.Quota, 10)
}

type userListCommand struct {
	serverFlags
	Keyword string `help:"Only accounts whose username, display name or e-mail address has this text." placeholder:"TEXT"`
}

// Run prints a table, newest first.
func (c userListCommand) Run(r *run) error {
	return c.with(r, func(a *api) error {
		table := tabwriter.NewWriter(r.process.Stdout, 0, 0, 2, ' ', 0)
		_, _ = fmt.Fprintln(table, "ID\tUSERNAME\tROLE\tSTATUS\tGROUP\tBALANCE\tUSED\tREQUESTS") // Flush tells
		err := a.eachUser(r, c.Keyword, func(u userRecord) bool {
			_, _ = fmt.Fprintf(table, "%d\t%s\t%s\t%s\t%s\t%s\t%d\t%d\n", u.ID, u.Username, u.Role, enabledWord(u.Status == 1), u.Group, u.balance(), u.UsedQuota, u.RequestCount)
			return true
		})
		return errors.Join(err, table.Flush())
	})
}

type userCreateCommand struct {
	serverFlags
	Username      string `arg:"" help:"Letters, digits and . _ - @, at most 64."`
	Role          string `help:"What the account may do: user or admin." enum:"user,admin" default:"user"`
	Group         string `help:"The account's group." placeholder:"GROUP"`
	Quota         *int64 `help:"The balance to start with, in quota units (500,000 are 1 USD); otherwise the option new_user_quota." placeholder:"UNITS"`
	Unlimited     bool   `help:"Let the account spend without limit."`
	DisplayName   string `help:"The name to show." placeholder:"NAME"`
	Email         string `help:"The account's e-mail address." placeholder:"ADDRESS"`
	PasswordStdin bool   `name:"password-stdin" help:"Read the password from standard input's first line; otherwise one is made up and shown once."`
}

// Run makes the account and shows the password when it was made up.
func (c userCreateCommand) Run(r *run) error {
	password, generated, err := choosePassword(r.process.Stdin, c.PasswordStdin)
	if err != nil {
		return err
	}
	body := map[string]any{
		"username": c.Username, "password": password, "role": c.Role, "display_name": c.DisplayName, "email": c.Email, "unlimited_quota": c.Unlimited,
	}
	if c.Group != "" {
		body["group"] = c.Group
	}
	if c.Quota != nil {
		body["quota"] = *c.Quota
	}
	return c.with(r, func(a *api) error {
		var made userRecord
		if err := a.call(r.ctx, http.MethodPost, "/api/user/", nil, body, &made); err != nil {
			return err
		}
		r.print("Account %d (%s, %s) is in the group %s with a balance of %s.", made.ID, made.Username, made.Role, made.Group, made.balance())
		r.showPassword(password, generated)
		return nil
	})
}

type userPasswordCommand struct {
	serverFlags
	User          string `arg:"" help:"Username, or id."`
	PasswordStdin bool   `name:"password-stdin" help:"Read the password from standard input's first line; otherwise one is made up and shown once."`
}

// Run sets the password and shows it when it was made up.
func (c userPasswordCommand) Run(r *run) error {
	password, generated, err := choosePassword(r.process.Stdin, c.PasswordStdin)
	if err != nil {
		return err
	}
	return c.with(r, func(a *api) error {
		u, err := a.patchUser(r, c.User, map[string]any{"password": password})
		if err != nil {
			return err
		}
		r.print("Account %d (%s) has a new password; its sessions have ended.", u.ID, u.Username)
		r.showPassword(password, generated)
		return nil
	})
}

type userDisableCommand struct {
	serverFlags
	User string `arg:"" help:"Username, or id."`
}

// Run disables the account.
func (c userDisableCommand) Run(r *run) error {
	return c.with(r, func(a *api) error {
		u, err := a.patchUser(r, c.User, map[string]any{"status": 2})
		if err == nil {
			r.print("Account %d (%s) is disabled.", u.ID, u.Username)
		}
		return err
	})
}

type userEnableCommand struct {
	serverFlags
	User string `arg:"" help:"Username, or id."`
}

// Run enables the account.
func (c userEnableCommand) Run(r *run) error {
	return c.with(r, func(a *api) error {
		u, err := a.patchUser(r, c.User, map[string]any{"status": 1})
		if err == nil {
			r.print("Account %d (%s) is enabled.", u.ID, u.Username)
		}
		return err
	})
}

type userResetCommand struct {
	serverFlags
	User string `arg:"" help:"Username, or id."`
}

// Run resets the second factors.
func (c userResetCommand) Run(r *run) error {
	return c.with(r, func(a *api) error {
		u, err := a.findUser(r, c.User)
		if err != nil {
			return err
		}
		if err := a.call(r.ctx, http.MethodPost, userPath(u.ID)+"/reset_second_factors", nil, nil, nil); err != nil {
			return err
		}
		r.print("Account %d (%s) has no second factors any more; its sessions have ended.", u.ID, u.Username)
		return nil
	})
}

type userQuotaCommand struct {
	serverFlags
	User string `arg:"" help:"Username, or id."`
	Add  *int64 `help:"Quota units to add; negative ones (--add=-5) take away." placeholder:"UNITS" xor:"change" required:""`
	Set  *int64 `help:"Quota units that the balance becomes." placeholder:"UNITS" xor:"change" required:""`
}

// Run changes the balance and says what it is now.
func (c userQuotaCommand) Run(r *run) error {
	body := map[string]any{}
	if c.Add != nil {
		body["add"] = *c.Add
	}
	if c.Set != nil {
		body["set"] = *c.Set
	}
	return c.with(r, func(a *api) error {
		u, err := a.findUser(r, c.User)
		if err != nil {
			return err
		}
		if err := a.call(r.ctx, http.MethodPost, userPath(u.ID)+"/quota", nil, body, &u); err != nil {
			return err
		}
		r.print("Account %d (%s) now has a balance of %d.", u.ID, u.Username, u.Quota)
		return nil
	})
}

func (a *api) patchUser(r *run, name string, body map[string]any) (userRecord, error) {
	u, err := a.findUser(r, name)
	if err != nil {
		return userRecord{}, err
	}
	err = a.call(r.ctx, http.MethodPatch, userPath(u.ID), nil, body, &u)
	return u, err
}

// findUser finds an account by its username or, when nobody is called that, by
// its id.
func (a *api) findUser(r *run, name string) (userRecord, error) {
	var found userRecord
	err := a.eachUser(r, name, func(u userRecord) bool {
		if strings.EqualFold(u.Username, name) {
			found = u
		}
		return found.ID == 0
	})
	if err != nil || found.ID != 0 {
		return found, err
	}
	id, err := strconv.ParseInt(name, 10, 64)
	if err != nil {
		return userRecord{}, fault.New(fault.NotFound, "user_not_found", "there is no account called %q", name)
	}
	err = a.call(r.ctx, http.MethodGet, userPath(id), nil, nil, &found)
	return found, err
}

// eachUser calls do for every account that has the keyword, newest first, until
// it says false.
func (a *api) eachUser(r *run, keyword string, do func(userRecord) bool) error {
	for page := 1; ; page++ {
		var list struct {
			PageSize int          `json:"page_size"`
			Items    []userRecord `json:"items"`
		}
		query := url.Values{"p": {strconv.Itoa(page)}, "page_size": {"100"}, "keyword": {keyword}}
		if err := a.call(r.ctx, http.MethodGet, "/api/user/", query, nil, &list); err != nil {
			return err
		}
		for _, u := range list.Items {
			if !do(u) {
				return nil
			}
		}
		if len(list.Items) == 0 || len(list.Items) < list.PageSize {
			return nil
		}
	}
}

// choosePassword reads the first line of standard input, or makes a password
// up. None is taken from the command line, where others could see it.
func choosePassword(stdin io.Reader, fromStdin bool) (password string, generated bool, err error) {
	if !fromStdin {
		return strings.ToLower(rand.Text()), true, nil
	}
	if password, err = firstLine(stdin, "the password"); err != nil {
		return "", false, err
	}
	if password == "" {
		return "", false, errors.New("standard input has no password")
	}
	return password, false, nil
}

func (r *run) showPassword(password string, generated bool) {
	if generated {
		r.print("Its password, shown only now, is to be changed at the first sign-in:\n\n    %s\n", password)
	}
}

func userPath(id int64) string { return "/api/user/" + strconv.FormatInt(id, 10) }
