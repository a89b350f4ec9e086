// Package config is the bootstrap configuration: what must be known before the
// database is open. It reads a YAML file, HALLEY_ environment variables and
// overrides from the command line into one typed Config, strictly and with all
// errors at once. What operators change at run time (channels, prices, options)
// lives in the database and is none of its business. The package keeps no
// state.
package config

import (
	"time"
)

//go:generate go run ./gen ../../docs/configuration.md help.go

// Config is every option of `halley serve`. An option is one field: its yaml
// tags make its name in the file ("database.url"), in the environment
// (HALLEY_DATABASE_URL) and as a flag (--database-url); its doc comment is its
// entry in docs/configuration.md.
type Config struct {
	// Listen is the address of the main listener, HOST:PORT. It serves the model endpoints, the management API and the console. Without a host it listens on every interface; put a proxy with TLS in front before you do that.
	Listen string `yaml:"listen" default:"127.0.0.1:8080" example:"0.0.0.0:8080"`

	// PublicURL is the address at which browsers see Halley, scheme and host and nothing more. Passkeys belong to its host name and are lost when that changes; sign-in at identity providers comes back to it. When it is not set, both work at `http://localhost` only.
	PublicURL string `yaml:"public_url" example:"https://halley.example.com"`

	Database Database `yaml:"database"`

	// DataDir is the folder of the usage journal, the generated `master.key`, what counts for rate limits over a restart, and the socket that `halley` commands reach a running server through. It is made with mode 0700 when it is missing. One server per folder.
	DataDir string `yaml:"data_dir" default:"./data" example:"/var/lib/halley"`

	// MasterKey seals API keys and upstream credentials at rest: 32 random bytes in base64. When it is not set, the file `master.key` in the data folder is used, and made with mode 0600 on first start. Keep a copy: without it, sealed values cannot be read again. Nodes that share a database must share it.
	MasterKey Secret `yaml:"master_key" example:"the output of: head -c 32 /dev/urandom | base64"`

	// RootPassword is what the account `root` gets when the database is empty. When it is not set, a one-time password is made and printed once. Later starts ignore it.
	RootPassword Secret `yaml:"root_password"`

	// TrustedProxies are the networks whose `X-Forwarded-For` is believed. A header from anybody else is ignored, so that nobody can borrow an address that a key allows.
	TrustedProxies Prefixes `yaml:"trusted_proxies" example:"[10.0.0.0/8, 127.0.0.1]"`

	// AllowPrivateUpstreams lets channels call private, loopback and link-local addresses: `true` for all of them, or the networks that are allowed. By default they are refused, so that a channel cannot be turned on the network that Halley runs in.
	AllowPrivateUpstreams Upstreams `yaml:"allow_private_upstreams" default:"false" example:"[10.1.2.0/24]"`

	Keys     Keys     `yaml:"keys"`
	Log      Log      `yaml:"log"`
	Metrics  Metrics  `yaml:"metrics"`
	CORS     CORS     `yaml:"cors"`
	Server   Server   `yaml:"server"`
	Upstream Upstream `yaml:"upstream"`
	Usage    Usage    `yaml:"usage"`
	Cluster  Cluster  `yaml:"cluster"`
	Redis    Redis    `yaml:"redis"`

	// MaxBodyBytes is how large the body of a model request may be; above it the answer is 413. Bodies are held in memory while they are routed.
	MaxBodyBytes Size `yaml:"max_body_bytes" default:"64MiB" example:"16MiB"`

	// DrainTimeout is how long a stopping server lets requests in flight finish; new ones get 503 meanwhile. Give the service manager a few seconds more.
	DrainTimeout time.Duration `yaml:"drain_timeout" default:"30s"`
}

// Database says where the data is.
type Database struct {
	// URL is `sqlite:PATH` or `postgres://user:password@host/database`. Several nodes share one PostgreSQL; SQLite serves one node. When it is not set it is `halley.db` in the data folder.
	URL DatabaseURL `yaml:"url" default:"sqlite:./data/halley.db" example:"postgres://halley:secret@db.internal/halley?sslmode=verify-full"`
}

// Keys says how API keys are handled.
type Keys struct {
	// Reveal says whether the management API shows a key's value again: `always` shows it to its owner on every read, `once` only when it is created or rotated.
	Reveal string `yaml:"reveal" default:"always" values:"always,once"`
}

// Log says what is logged and how. Logs go to standard error.
type Log struct {
	// Format is `json` for machines or `text` for people.
	Format string `yaml:"format" default:"json" values:"json,text"`

	// Level is the least important level that is logged. Every request is one line at `info`.
	Level string `yaml:"level" default:"info" values:"debug,info,warn,error"`
}

// Metrics says who may read the Prometheus metrics.
type Metrics struct {
	// Listen is an address of its own for `/metrics`, HOST:PORT. When it is not set the main listener serves it.
	Listen string `yaml:"listen" example:"127.0.0.1:9090"`

	// Token is what a scraper must send as `Authorization: Bearer …`. When it is not set anybody who reaches the listener may read the metrics; they hold no secret, but say what is going on.
	Token Secret `yaml:"token"`
}

// CORS says which web pages may call Halley.
type CORS struct {
	// AllowedOrigins are the origins of web pages that may call Halley from a browser, or `*` for any (credentials such as the console's cookie are never allowed for `*`). By default there are no CORS headers at all.
	AllowedOrigins Origins `yaml:"allowed_origins" example:"[https://chat.example.com]"`
}

// Server bounds what a client may do to a connection.
type Server struct {
	// HeaderTimeout is how long a client may take to send a request's headers.
	HeaderTimeout time.Duration `yaml:"header_timeout" default:"10s"`

	// ReadTimeout is how long a client may take to send a whole request, the body included.
	ReadTimeout time.Duration `yaml:"read_timeout" default:"2m"`

	// IdleTimeout is how long a connection without a request is kept open.
	IdleTimeout time.Duration `yaml:"idle_timeout" default:"2m"`
}

// Upstream has the time limits of upstream calls for channels that set none.
type Upstream struct {
	// ConnectTimeout is how long a connection to an upstream may take, TLS included.
	ConnectTimeout time.Duration `yaml:"connect_timeout" default:"10s"`

	// FirstByteTimeout is how long an upstream may take from the request to the first byte of its answer.
	FirstByteTimeout time.Duration `yaml:"first_byte_timeout" default:"2m"`

	// IdleTimeout is how long an upstream may be silent in the middle of an answer.
	IdleTimeout time.Duration `yaml:"idle_timeout" default:"1m"`

	// TotalTimeout is how long a whole answer may take.
	TotalTimeout time.Duration `yaml:"total_timeout" default:"15m"`

	// DrainTimeout is how long an upstream is read on for its true usage after the client has left, on channels with `on_disconnect: drain`. What it costs after that is not learned: a stream is charged for what came, a plain request nothing.
	DrainTimeout time.Duration `yaml:"drain_timeout" default:"30s"`
}

// Cluster is about servers that share one PostgreSQL.
type Cluster struct {
	// LeaseTerm is how long a server that shows no sign of life keeps what it has leased of keys' and accounts' money; then the others get it. It is also how long a server that cannot reach the database goes on spending what it has leased. All servers on one database must have the same.
	LeaseTerm time.Duration `yaml:"lease_term" default:"5m" example:"10m"`
}

// Redis is where servers that share one PostgreSQL count together.
type Redis struct {
	// URL is a Redis or Valkey server at which rate limits are counted for all servers on the database together, exactly: `redis://user:password@host:6379/0`, `rediss://` for TLS, `unix:///path`; further nodes of a cluster or Sentinels as `?addr=HOST:PORT`. When it is not set, or while it does not answer, each server takes its share of every limit. One server alone needs none. Installations of Halley that share a Redis need a database number each.
	URL Secret `yaml:"url" example:"redis://:secret@redis.internal:6379/0"`
}

// Usage says how usage is written.
type Usage struct {
	// FlushInterval is how long usage rows and counters may wait to be written together, at most 200ms.
	FlushInterval time.Duration `yaml:"flush_interval" default:"100ms"`

	// FsyncInterval is how much of the usage journal a machine that loses power may lose: usage is in the journal before the client has its whole answer, and on the disk after this interval. `0s` waits for the disk with every request. A process that dies loses nothing either way.
	FsyncInterval time.Duration `yaml:"fsync_interval" default:"50ms"`
}
