// Package channel owns upstream channels: a provider's address and sealed
// credentials, the models it offers, the groups it serves, its order and its
// time limits. It must not know HTTP handlers, SQL or routing.
package channel

import (
	"cmp"
	"time"
)

// Kind names the provider package that speaks to a channel.
type Kind string

// The kinds there are.
const (
	OpenAI    Kind = "openai"    // any OpenAI-compatible server
	Azure     Kind = "azure"     // Azure OpenAI: deployments, or its v1 API
	Anthropic Kind = "anthropic" // Anthropic's API
	Gemini    Kind = "gemini"    // Google's Gemini API (AI Studio)
	Vertex    Kind = "vertex"    // Google's Vertex AI: Gemini, Claude and others
	Cohere    Kind = "cohere"    // Cohere's API
	Bedrock   Kind = "bedrock"   // Amazon Bedrock
	Demo      Kind = "demo"      // the built-in provider, in-process
)

// Status is whether a channel takes requests.
type Status int

// The statuses.
const (
	Enabled  Status = 1
	Disabled Status = 2
)

// OnDisconnect is what happens to the upstream call when the client leaves.
type OnDisconnect string

// The choices.
const (
	Cancel OnDisconnect = "cancel" // stop the upstream at once
	Drain  OnDisconnect = "drain"  // read on to learn the true usage
)

// API is which of OpenAI's text endpoints an upstream of that dialect has.
type API string

// The choices; the empty API is ChatOnly.
const (
	ChatOnly         API = "chat"
	ChatAndResponses API = "chat+responses"
	ResponsesOnly    API = "responses"
)

// Timeouts bound the parts of an upstream call; 0 means the default. Drain only
// matters on channels that drain.
type Timeouts struct {
	Connect   time.Duration
	FirstByte time.Duration
	Idle      time.Duration
	Total     time.Duration
	Drain     time.Duration // how long it is read on after the client has left
}

// Or fills in what is unset with the operator's defaults.
func (t Timeouts) Or(defaults Timeouts) Timeouts {
	return Timeouts{
		Connect:   cmp.Or(t.Connect, defaults.Connect),
		FirstByte: cmp.Or(t.FirstByte, defaults.FirstByte),
		Idle:      cmp.Or(t.Idle, defaults.Idle),
		Total:     cmp.Or(t.Total, defaults.Total),
		Drain:     cmp.Or(t.Drain, defaults.Drain),
	}
}

// Credential is one upstream key. The value never leaves the process but
// towards the channel's own base URL.
type Credential struct {
	ID     string `json:"id"` // stable, made when the credential is added
	Sealed []byte `json:"-"`
	Value  string `json:"-"` // opened; empty in what a Store gives
	Last4  string `json:"last4"`
}

// String and GoString keep the value out of whatever prints a channel.
func (c Credential) String() string { return "credential " + c.ID + " …" + c.Last4 }

// GoString is String.
func (c Credential) GoString() string { return c.String() }

// Channel is one upstream. A *Channel handed out is shared and must not be
// changed.
type Channel struct {
	ID           int64
	Name         string
	Kind         Kind
	BaseURL      string // what an SDK would be given, without a trailing slash
	Credentials  []Credential
	Models       []string // patterns of public names
	ModelMapping *Mapping // public name → upstream name
	Groups       []string
	Priority     int64 // higher is tried first
	Weight       int64 // share inside a priority, 0 counts as never unless alone
	Status       Status
	Tag          string
	Timeouts     Timeouts
	OnDisconnect OnDisconnect
	API          API        // of the kinds openai and azure
	Overrides    *Overrides // of headers and bodies that it is sent
	Caps         Caps
	Azure        AzureSettings
	Vertex       VertexSettings
	AWS          AWSSettings
	Checks       Checks
	Network      Network
	Created      time.Time
	Version      int64
}

// UpstreamModel is the name the upstream knows the public model by.
func (c *Channel) UpstreamModel(public string) string { return c.ModelMapping.Upstream(public) }
