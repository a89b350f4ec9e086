package config

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"halley/internal/limit/redis"
	"halley/internal/seal"
)

// The bounds of what makes sense.
const (
	minBody  Size = 1 << 10
	maxBody  Size = 1 << 30
	maxFlush      = 200 * time.Millisecond
	maxFsync      = 10 * time.Second
	maxTime       = 24 * time.Hour
	minTerm       = 10 * time.Second
)

// Validate checks a Config that was made by hand; Load does it by itself. The
// error is Problems.
func (c *Config) Validate() error {
	if problems := validate(c); len(problems) > 0 {
		return problems
	}
	return nil
}

func validate(c *Config) Problems {
	v := validator{}
	v.address("listen", c.Listen)
	v.public(c.PublicURL)
	v.database(c.Database.URL)
	v.check(c.DataDir != "", "data_dir", "must name a folder")
	if c.MasterKey != "" {
		_, err := seal.ParseMaster(c.MasterKey.Reveal())
		v.check(err == nil, "master_key", "%v", err)
	}
	if c.Metrics.Listen != "" {
		v.address("metrics.listen", c.Metrics.Listen)
		v.check(c.Metrics.Listen != c.Listen || strings.HasSuffix(c.Listen, ":0"), "metrics.listen",
			"is the main listener's address; leave it out to serve /metrics there")
	}
	v.check(c.MaxBodyBytes >= minBody && c.MaxBodyBytes <= maxBody, "max_body_bytes", "must be from %v to %v", minBody, maxBody)
	v.check(c.Usage.FlushInterval > 0 && c.Usage.FlushInterval <= maxFlush, "usage.flush_interval", "must be above 0 and at most %v", maxFlush)
	v.check(c.Usage.FsyncInterval >= 0 && c.Usage.FsyncInterval <= maxFsync, "usage.fsync_interval", "must be from 0s to %v", maxFsync)
	v.check(c.Cluster.LeaseTerm >= minTerm && c.Cluster.LeaseTerm <= maxTime, "cluster.lease_term", "must be from %v to %v", minTerm, maxTime)
	if c.Redis.URL != "" {
		err := redis.CheckURL(c.Redis.URL.Reveal())
		v.check(err == nil, "redis.url", "%v", err)
	}
	v.check(c.DrainTimeout >= 0 && c.DrainTimeout <= maxTime, "drain_timeout", "must be from 0s to %v", maxTime)
	v.fields(c)
	return v.problems
}

type validator struct{ problems Problems }

func (v *validator) check(ok bool, key, format string, args ...any) {
	if !ok {
		v.problems = append(v.problems, Problem{Key: key, Message: fmt.Sprintf(format, args...)})
	}
}

func (v *validator) address(key, text string) {
	_, port, err := net.SplitHostPort(text)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	v.check(err == nil, key, "must be HOST:PORT such as 127.0.0.1:8080, not %q", text)
}

// public wants an origin that browsers give passkeys to: a name, not an address,
// and over HTTPS but for the machine itself.
func (v *validator) public(text string) {
	if text == "" {
		return
	}
	const key = "public_url"
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || text != u.Scheme+"://"+strings.ToLower(u.Host) {
		v.check(false, key, "must be an origin such as https://halley.example.com (lower case, no path, no slash at the end), not %q", text)
		return
	}
	name := u.Hostname()
	_, err = netip.ParseAddr(name)
	v.check(err != nil, key, "must have a host name, not the address %s: browsers give no passkeys to addresses", name)
	local := name == "localhost" || strings.HasSuffix(name, ".localhost")
	v.check(u.Scheme == "https" || local, key, "must begin with https:// (http:// is for localhost)")
}

func (v *validator) database(u DatabaseURL) {
	const key = "database.url"
	if path, ok := strings.CutPrefix(string(u), "sqlite:"); ok {
		v.check(path != "", key, "must name a file: sqlite:PATH")
		return
	}
	if !strings.HasPrefix(string(u), "postgres://") && !strings.HasPrefix(string(u), "postgresql://") {
		v.check(false, key, "must be sqlite:PATH or postgres://user:password@host/database")
		return
	}
	_, err := url.Parse(string(u))
	v.check(err == nil, key, "is not a URL; special characters of the password must be percent-encoded")
}

// fields checks what the fields' tags and types say.
func (v *validator) fields(c *Config) {
	root := reflect.ValueOf(c).Elem()
	walk(root.Type(), "", nil, func(o Option, index []int) {
		field := root.FieldByIndex(index)
		if len(o.Values) > 0 {
			v.check(slices.Contains(o.Values, field.String()), o.Key, "must be %s, not %q", strings.Join(o.Values, " or "), field.String())
		}
		if isDuration(field.Type()) && o.Key != "drain_timeout" && o.Key != "usage.flush_interval" && o.Key != "usage.fsync_interval" {
			d := time.Duration(field.Int())
			v.check(d > 0 && d <= maxTime, o.Key, "must be above 0s and at most %v", maxTime)
		}
	})
}

func isDuration(t reflect.Type) bool { return t == reflect.TypeFor[time.Duration]() }
