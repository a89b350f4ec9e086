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

	"halley/internal/fault"
	"halley/internal/key"
	"halley/internal/tokenfmt"
)

// keyCommands manage API keys.
type keyCommands struct {
	Create  keyCreateCommand  `cmd:"" help:"Make an API key and show its value."`
	List    keyListCommand    `cmd:"" help:"List an account's API keys."`
	Show    keyShowCommand    `cmd:"" help:"Show one API key."`
	Inspect keyInspectCommand `cmd:"" help:"Tell whether a value is a whole Halley key, without asking anybody."`
	Rotate  keyRotateCommand  `cmd:"" help:"Give an API key a new value and show it; the old one works until the grace has passed."`
	Disable keyDisableCommand `cmd:"" help:"Stop an API key; it can be enabled again."`
}

// keyRecord is what the commands show of a key.
type keyRecord struct {
	ID                 int64   `json:"id"`
	UserID             int64   `json:"user_id"`
	Key                string  `json:"key"`
	Status             int64   `json:"status"`
	Name               string  `json:"name"`
	CreatedTime        int64   `json:"created_time"`
	AccessedTime       int64   `json:"accessed_time"`
	ExpiredTime        int64   `json:"expired_time"`
	RemainQuota        int64   `json:"remain_quota"`
	UnlimitedQuota     bool    `json:"unlimited_quota"`
	ModelLimitsEnabled bool    `json:"model_limits_enabled"`
	ModelLimits        string  `json:"model_limits"`
	AllowIPs           *string `json:"allow_ips"`
	UsedQuota          int64   `json:"used_quota"`
	Group              string  `json:"group"`
	HeldQuota          int64   `json:"held_quota"`
	Version            int64   `json:"version"`
	Limits             struct {
		ParentID *int64 `json:"parent_id"`
	} `json:"limits"`
}

// ownerFlag says whose keys a command is about.
type ownerFlag struct {
	User string `help:"Whose keys: username, or id. Otherwise the keys of whoever runs the command (on the server itself: root)." placeholder:"USER"`
}

// query names the owner in a request.
func (f ownerFlag) query(r *run, a *api) (url.Values, error) {
	if f.User == "" {
		return url.Values{}, nil
	}
	owner, err := a.findUser(r, f.User)
	if err != nil {
		return nil, err
	}
	return url.Values{"user_id": {strconv.FormatInt(owner.ID, 10)}}, nil
}

// explain adds to "no such key" what to do about it.
func (f ownerFlag) explain(err error) error {
	if f.User == "" && fault.Code(err) == "key_not_found" {
		return fault.New(fault.NotFound, "key_not_found", "%s Name the owner of another account's key with --user.", err)
	}
	return err
}

type keyCreateCommand struct {
	serverFlags
	ownerFlag
	Name      string   `arg:"" help:"A name for people, at most 50 characters."`
	Quota     int64    `help:"What it may spend, in quota units (500,000 are 1 USD)." placeholder:"UNITS"`
	Unlimited bool     `help:"Let it spend as much as the account has."`
	Expires   string   `help:"When it ends: a duration from now (720h, 30d), a date or an RFC 3339 time." placeholder:"WHEN"`
	Models    []string `help:"The only models it may use, names or patterns such as gpt-5*." placeholder:"MODEL,…"`
	AllowIPs  []string `name:"allow-ips" help:"The only addresses and networks it may be used from." placeholder:"ADDRESS,…"`
	Group     string   `help:"Its group, or auto for automatic routing; otherwise the account's own, or its parent's." placeholder:"GROUP"`
	Parent    int64    `help:"The key that issues it: what it spends counts for both, and it ends with its parent." placeholder:"ID"`
}

// Run makes the key; the value is the output's last line.
func (c keyCreateCommand) Run(r *run) error {
	body := map[string]any{"name": c.Name, "remain_quota": c.Quota, "unlimited_quota": c.Unlimited}
	if c.Group != "" {
		body["group"] = c.Group
	}
	if c.Expires != "" {
		at, err := parseWhen(c.Expires, time.Now())
		if err != nil {
			return err
		}
		body["expired_time"] = at.Unix()
	}
	if len(c.Models) > 0 {
		body["model_limits_enabled"], body["model_limits"] = true, strings.Join(c.Models, ",")
	}
	if len(c.AllowIPs) > 0 {
		body["allow_ips"] = strings.Join(c.AllowIPs, "\n")
	}
	return c.with(r, func(a *api) error {
		query, err := c.query(r, a)
		if err != nil {
			return err
		}
		path := "/api/token/"
		if c.Parent != 0 {
			path = keyPath(c.Parent) + "/children"
		}
		var made keyRecord
		if err := a.call(r.ctx, http.MethodPost, path, query, body, &made); err != nil {
			return c.explain(err)
		}
		r.print("Key %d (%s) of account %d can spend %s.", made.ID, made.Name, made.UserID, made.remaining())
		r.print("%s", made.Key)
		return nil
	})
}

type keyListCommand struct {
	serverFlags
	ownerFlag
	Keyword string `help:"Only keys whose name has this text." placeholder:"TEXT"`
	Parent  int64  `help:"Only the children of this key." placeholder:"ID"`
	Status  string `help:"Only keys in this state: enabled, disabled, expired or exhausted." enum:"enabled,disabled,expired,exhausted," default:""`
}

// Run prints a table, newest first. Values are masked, for screens are seen.
func (c keyListCommand) Run(r *run) error {
	return c.with(r, func(a *api) error {
		query, err := c.query(r, a)
		if err != nil {
			return err
		}
		query.Set("keyword", c.Keyword)
		query.Set("parent_id", strconv.FormatInt(c.Parent, 10))
		query.Set("page_size", "100")
		for status, name := range keyStates() {
			if name == c.Status {
				query.Set("status", strconv.Itoa(status+1))
			}
		}
		table := tabwriter.NewWriter(r.process.Stdout, 0, 0, 2, ' ', 0)
		_, _ = fmt.Fprintln(table, "ID\tNAME\tSTATUS\tKEY\tREMAINING\tUSED\tEXPIRES\tGROUP\tPARENT") // Flush tells
		for page := 1; ; page++ {
			query.Set("p", strconv.Itoa(page))
			var list struct {
				PageSize int         `json:"page_size"`
				Items    []keyRecord `json:"items"`
			}
			if err := a.call(r.ctx, http.MethodGet, "/api/token/", query, nil, &list); err != nil {
				return err
			}
			for _, k := range list.Items {
				_, _ = fmt.Fprintf(table, "%d\t%s\t%s\t%s\t%s\t%d\t%s\t%s\t%s\n", k.ID, k.Name, k.state(), k.masked(), k.remaining(), k.UsedQuota, k.expiry(), orDash(k.Group), k.parent())
			}
			if len(list.Items) == 0 || len(list.Items) < list.PageSize {
				return table.Flush()
			}
		}
	})
}

type keyShowCommand struct {
	serverFlags
	ownerFlag
	ID     int64 `arg:"" help:"The key's id, as in halley key list."`
	Reveal bool  `help:"Show the value in full, where the server lets it be read again."`
}

// Run prints one line per field.
func (c keyShowCommand) Run(r *run) error {
	return c.with(r, func(a *api) error {
		query, err := c.query(r, a)
		if err != nil {
			return err
		}
		var k keyRecord
		if err := a.call(r.ctx, http.MethodGet, keyPath(c.ID), query, nil, &k); err != nil {
			return c.explain(err)
		}
		value := k.masked()
		if c.Reveal {
			value = k.Key
		}
		models, addresses := "any", "any"
		if k.ModelLimitsEnabled {
			models = k.ModelLimits
		}
		if k.AllowIPs != nil {
			addresses = strings.ReplaceAll(*k.AllowIPs, "\n", ", ")
		}
		table := tabwriter.NewWriter(r.process.Stdout, 0, 0, 2, ' ', 0)
		for _, line := range [][2]string{
			{"id", strconv.FormatInt(k.ID, 10)}, {"name", k.Name}, {"account", strconv.FormatInt(k.UserID, 10)}, {"status", k.state()}, {"key", value},
			{"remaining", k.remaining()}, {"used", strconv.FormatInt(k.UsedQuota, 10)}, {"held", strconv.FormatInt(k.HeldQuota, 10)},
			{"expires", k.expiry()}, {"created", instantText(k.CreatedTime)}, {"last used", instantText(k.AccessedTime)},
			{"group", orDash(k.Group)}, {"parent", k.parent()}, {"models", models}, {"addresses", addresses}, {"version", strconv.FormatInt(k.Version, 10)},
		} {
			_, _ = fmt.Fprintf(table, "%s\t%s\n", line[0], line[1]) // Flush tells
		}
		return table.Flush()
	})
}

type keyDisableCommand struct {
	serverFlags
	ownerFlag
	ID int64 `arg:"" help:"The key's id, as in halley key list."`
}

// Run disables the key.
func (c keyDisableCommand) Run(r *run) error {
	return c.with(r, func(a *api) error {
		query, err := c.query(r, a)
		if err != nil {
			return err
		}
		query.Set("status_only", "true")
		var k keyRecord
		body := map[string]any{"id": c.ID, "status": int64(key.Disabled)}
		if err := a.call(r.ctx, http.MethodPut, "/api/token/", query, body, &k); err != nil {
			return c.explain(err)
		}
		r.print("Key %d (%s) of account %d is disabled.", k.ID, k.Name, k.UserID)
		return nil
	})
}

type keyRotateCommand struct {
	serverFlags
	ownerFlag
	ID    int64         `arg:"" help:"The key's id."`
	Grace time.Duration `help:"How long the old value works on, such as 24h; without it the old value ends at once." placeholder:"DURATION"`
}

// Run rotates; the new value is the output's last line.
func (c keyRotateCommand) Run(r *run) error {
	if c.Grace%time.Second != 0 {
		return errors.New("--grace must be whole seconds")
	}
	return c.with(r, func(a *api) error {
		query, err := c.query(r, a)
		if err != nil {
			return err
		}
		var made keyRecord
		body := map[string]any{"grace_seconds": int64(c.Grace / time.Second)}
		if err := a.call(r.ctx, http.MethodPost, keyPath(c.ID)+"/rotate", query, body, &made); err != nil {
			return c.explain(err)
		}
		if c.Grace > 0 {
			r.print("Key %d (%s) has a new value; the old one works until %s.", made.ID, made.Name, instantText(time.Now().Add(c.Grace).Unix()))
		} else {
			r.print("Key %d (%s) has a new value; the old one has ended.", made.ID, made.Name)
		}
		r.print("%s", made.Key)
		return nil
	})
}

type keyInspectCommand struct {
	Value string `arg:"" optional:"" help:"The value. Better left out and given on standard input, where no process list shows it."`
}

// Run judges the value by its shape and checksum alone; it fails unless the
// value is whole.
func (c keyInspectCommand) Run(r *run) error {
	value := c.Value
	if value == "" {
		line, err := firstLine(r.process.Stdin, "the value")
		if err != nil {
			return err
		}
		value = strings.TrimSpace(line)
	}
	if value == "" {
		return errors.New("give a value as argument or on standard input")
	}
	if strings.HasPrefix(value, "hpat_") {
		if !tokenfmt.Shaped(value, "hpat_", 40) || !tokenfmt.ChecksumOK(value) {
			return errors.New("this begins like a personal access token, but its length or checksum is wrong: it was not copied whole, or was changed")
		}
		r.print("This is a whole personal access token: it calls the management API, and no model.")
		return nil
	}
	switch key.Check(value) {
	case key.Ours:
		r.print("This is a whole Halley key. Whether it is still in force, the server knows.")
		return nil
	case key.BadChecksum:
		return errors.New("this looks like a Halley key, but its checksum is wrong: it was changed, or is made up")
	case key.Foreign:
	}
	if strings.HasPrefix(value, key.Prefix) {
		return errors.New("this begins like a Halley key, but its length or characters are wrong: it was not copied whole")
	}
	return errors.New("this is no key that Halley makes; it may still be one that was imported")
}

func keyPath(id int64) string { return "/api/token/" + strconv.FormatInt(id, 10) }

// keyStates are the names of the statuses 1, 2, 3 and 4.
func keyStates() []string { return []string{"enabled", "disabled", "expired", "exhausted"} }

func (k keyRecord) state() string {
	if k.Status < 1 || k.Status > 4 {
		return strconv.FormatInt(k.Status, 10)
	}
	return keyStates()[k.Status-1]
}

func (k keyRecord) remaining() string {
	if k.UnlimitedQuota {
		return "unlimited"
	}
	return strconv.FormatInt(k.RemainQuota, 10)
}

func (k keyRecord) expiry() string {
	if k.ExpiredTime == key.Never {
		return "never"
	}
	return instantText(k.ExpiredTime)
}

func (k keyRecord) parent() string {
	if k.Limits.ParentID == nil {
		return "-"
	}
	return strconv.FormatInt(*k.Limits.ParentID, 10)
}

// masked is the value as lists show it, whether or not the server masked it.
func (k keyRecord) masked() string {
	if strings.Contains(k.Key, "…") || len(k.Key) < 4 {
		return k.Key
	}
	return key.Mask(key.Check(k.Key), k.Key[len(k.Key)-4:])
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

func instantText(unix int64) string { return time.Unix(unix, 0).UTC().Format(time.RFC3339) }

// parseWhen reads a duration from now, with d for days, a date (its first
// moment, UTC) or an RFC 3339 time.
func parseWhen(text string, now time.Time) (time.Time, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.ParseInt(days, 10, 32); err == nil && n > 0 {
			return now.Add(time.Duration(n) * 24 * time.Hour), nil
		}
	}
	if d, err := time.ParseDuration(text); err == nil && d > 0 {
		return now.Add(d), nil
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if at, err := time.Parse(layout, text); err == nil {
			return at, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no time: give a duration such as 720h or 30d, a date such as 2027-01-31, or an RFC 3339 time", text)
}
