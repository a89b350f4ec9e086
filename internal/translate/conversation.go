package translate

import (
	"slices"

	"github.com/go-json-experiment/json/jsontext"
)

// Conversation is a request in no dialect. Encoders only read it, but for what
// they Drop.
type Conversation struct {
	From  Dialect // the one it was made in
	Model string  // as the client named it

	// Received is when the request came, in Unix seconds, for dialects whose
	// answers say when they were made.
	Received int64

	// Messages are in order; system and developer text stands where it stood.
	Messages []Message

	Tools      []Tool
	ToolChoice *ToolChoice // nil: not said
	// ParallelTools is whether several calls may be made in one turn; nil: not said.
	ParallelTools *bool
	// MaxServerCalls is how often tools that the provider runs may be called in
	// one answer, all together; nil: not said.
	MaxServerCalls *int64

	Format *Format // how the text must be formed; nil: freely

	Stream bool
	// IncludeUsage says that the client wants usage in a stream of a dialect where
	// that must be asked for.
	IncludeUsage bool

	MaxOutput        *int64 // tokens, reasoning included
	Temperature      *float64
	TopP             *float64
	TopK             *int64
	FrequencyPenalty *float64
	PresencePenalty  *float64
	Seed             *int64
	Stop             []string
	Candidates       *int64 // how many answers; nil: one
	Logprobs         *bool
	TopLogprobs      *int64
	LogitBias        jsontext.Value // an object: token id → bias
	Verbosity        string         // "low", "medium", "high"

	Reasoning *Reasoning

	EndUser     string            // OpenAI user or safety_identifier, Anthropic metadata.user_id
	Metadata    map[string]string // OpenAI metadata
	CacheKey    string            // OpenAI prompt_cache_key
	ServiceTier string            // in From's words

	// Modalities are what the answer may be made of besides text, in lower case:
	// "audio", "image".
	Modalities []string
	Audio      jsontext.Value // how audio shall sound, in From's words

	// PreviousResponse is the Responses dialect's previous_response_id; what it
	// stands for is among the messages already.
	PreviousResponse string
	Store            *bool
	// Kept says whether the gateway keeps the answer for its client; nil is what
	// Store says.
	Kept *bool

	// Extra are members of the request's top level that none of these say. They
	// go to upstreams of the same dialect and are dropped for others.
	Extra Extra

	// Fields tell how From calls what a feature stands for, when it was given:
	// "seed" may be "generationConfig.seed". See Field.
	Fields map[Feature]string

	dropped []string
}

// Feature names a part of a Conversation that a dialect may have no words for.
type Feature string

// The features. Their values are used as field names where a decoder has noted
// none.
const (
	FeatureTools            Feature = "tools"
	FeatureServerTool       Feature = "tools.server"
	FeatureCustomTool       Feature = "tools.custom"
	FeatureToolChoice       Feature = "tool_choice"
	FeatureParallelTools    Feature = "parallel_tool_calls"
	FeatureFormat           Feature = "response_format"
	FeatureMaxOutput        Feature = "max_tokens"
	FeatureTemperature      Feature = "temperature"
	FeatureTopP             Feature = "top_p"
	FeatureTopK             Feature = "top_k"
	FeatureFrequencyPenalty Feature = "frequency_penalty"
	FeaturePresencePenalty  Feature = "presence_penalty"
	FeatureSeed             Feature = "seed"
	FeatureStop             Feature = "stop"
	FeatureCandidates       Feature = "n"
	FeatureLogprobs         Feature = "logprobs"
	FeatureTopLogprobs      Feature = "top_logprobs"
	FeatureLogitBias        Feature = "logit_bias"
	FeatureVerbosity        Feature = "verbosity"
	FeatureReasoning        Feature = "reasoning"
	FeatureEndUser          Feature = "user"
	FeatureMetadata         Feature = "metadata"
	FeatureCacheKey         Feature = "prompt_cache_key"
	FeatureCacheControl     Feature = "cache_control"
	FeatureServiceTier      Feature = "service_tier"
	FeatureModalities       Feature = "modalities"
	FeatureAudio            Feature = "audio"
	FeatureImage            Feature = "image"
	FeatureDocument         Feature = "document"
	FeatureVideo            Feature = "video"
	FeatureThinking         Feature = "thinking" // reasoning of earlier turns
	FeatureCitations        Feature = "citations"
	FeaturePreviousResponse Feature = "previous_response_id"
	FeatureStore            Feature = "store"
)

// Name notes what From calls a feature.
func (c *Conversation) Name(f Feature, field string) {
	if c.Fields == nil {
		c.Fields = map[Feature]string{}
	}
	c.Fields[f] = field
}

// Field is what From calls a feature.
func (c *Conversation) Field(f Feature) string {
	if name, ok := c.Fields[f]; ok {
		return name
	}
	return string(f)
}

// Drop notes that something was left out because the upstream has no words for
// it and the answer does not depend on it.
func (c *Conversation) Drop(f Feature) { c.DropField(c.Field(f)) }

// DropField is Drop for a field by its name in From.
func (c *Conversation) DropField(name string) {
	if !slices.Contains(c.dropped, name) {
		c.dropped = append(c.dropped, name)
	}
}

// DropExtra drops every member of Extra, for an encoder of another dialect.
func (c *Conversation) DropExtra() {
	for _, m := range c.Extra {
		c.DropField(m.Name)
	}
}

// Refuse is the Unsupported of a feature.
func (c *Conversation) Refuse(f Feature, format string, args ...any) *Unsupported {
	return Unsupport(c.Field(f), format, args...)
}

// TakeDropped gives what was dropped since the last time, each once, in order.
func (c *Conversation) TakeDropped() []string {
	dropped := c.dropped
	c.dropped = nil
	return dropped
}

// Extra are members that the neutral form has no place for, in the order they
// came.
type Extra []Member

// Member is a member of an object.
type Member struct {
	Name  string
	Value jsontext.Value
}

// Get is a member's value, nil when there is none.
func (e Extra) Get(name string) jsontext.Value {
	for _, m := range e {
		if m.Name == name {
			return m.Value
		}
	}
	return nil
}

// Role is who speaks.
type Role uint8

// The roles. What a tool says stands in a message of the user as ToolResult.
const (
	System Role = iota
	Developer
	User
	Assistant
)

// Message is what somebody says in one turn. Several in a row may have the same
// role: encoders join or split them as their dialect wants it.
type Message struct {
	Role  Role
	Name  string // of the participant; mostly ""
	ID    string // the Responses dialect's item id
	Parts []Part
	Extra Extra
}

// Tool is something that the model may call.
type Tool struct {
	// Kind is "function" for what the client runs with JSON arguments, "custom"
	// for what it runs with free text, and otherwise the name of a tool that the
	// provider runs (ServerTool) or knows.
	Kind        ToolKind
	Name        string
	Description string
	Schema      jsontext.Value // JSON schema of the arguments; nil: none
	Strict      *bool
	Cache       *CacheMark
	// Tools are those of a Namespace.
	Tools []Tool
	// Grammar bounds the text of a Custom tool; nil: none.
	Grammar *Grammar
	// Raw is the whole definition in From's words, for kinds but Function.
	Raw   jsontext.Value
	Extra Extra
}

// Grammar is which texts a tool takes.
type Grammar struct {
	Syntax     string // "lark", "regex"
	Definition string
}

// ToolKind is what kind of tool it is.
type ToolKind string

// The kinds that have counterparts; others are a dialect's own and have Raw.
const (
	Function      ToolKind = "function"
	Custom        ToolKind = "custom"
	WebSearch     ToolKind = "web_search"
	WebFetch      ToolKind = "web_fetch"
	CodeExecution ToolKind = "code_execution"
	MCP           ToolKind = "mcp" // a remote MCP server whose tools the provider calls
	// Namespace is a bundle of tools of the client under one name.
	Namespace ToolKind = "namespace"
	// ToolSearch finds tools that the model is not told of at first: the client
	// runs it when it has a Schema, else the provider does.
	ToolSearch ToolKind = "tool_search"
	OtherTool  ToolKind = "other"
)

// ToolChoice is which tools must be called.
type ToolChoice struct {
	Mode ChoiceMode
	Name string // with ChooseNamed
	// Namespace is that of the named tool, if it was said.
	Namespace string
	// Allowed are the only tools that may be called; empty: all.
	Allowed []string
	// Raw is the choice in From's words when it says more than this.
	Raw jsontext.Value
}

// ChoiceMode is how free the model is.
type ChoiceMode uint8

// The modes.
const (
	ChooseAuto ChoiceMode = iota
	ChooseNone
	ChooseAny   // some tool
	ChooseNamed // this one
)

// Format is how the text of the answer must be formed.
type Format struct {
	Kind        FormatKind
	Name        string
	Description string
	Schema      jsontext.Value // with JSONSchema
	Strict      *bool
	Raw         jsontext.Value // in From's words, for kinds that are its own
}

// FormatKind is a kind of Format.
type FormatKind uint8

// The kinds.
const (
	PlainText FormatKind = iota
	JSONObject
	JSONSchema
	OtherFormat
)

// Reasoning is how much the model shall think.
type Reasoning struct {
	// Effort is "none", "minimal", "low", "medium", "high", "xhigh" or "max"; ""
	// when it was given otherwise.
	Effort string
	// Budget is a number of tokens; nil when it was given otherwise, -1 when the
	// model decides.
	Budget *int64
	// Adaptive leaves it to the model, Off forbids it.
	Adaptive, Off bool
	// Show asks for the thoughts, or a summary of them, in the answer: nil when
	// that was not said. Summary is "auto", "concise" or "detailed".
	Show    *bool
	Summary string
	// Encrypted asks for reasoning that the client can bring back.
	Encrypted bool
	// Raw is the wish in From's words when it says more than this.
	Raw jsontext.Value
}

// efforts are the words from least to most, and the budget that stands for
// each: the figures that Google documents for its OpenAI endpoint, with what
// lies beyond them in proportion.
var efforts = [...]struct {
	word   string
	budget int64
}{{"none", 0}, {"minimal", 512}, {"low", 1024}, {"medium", 8192}, {"high", 24576}, {"xhigh", 32768}, {"max", 65536}}

// BudgetTokens is the budget that was asked for, in words or tokens; ok is false
// when the model is to decide.
func (r *Reasoning) BudgetTokens() (tokens int64, ok bool) {
	switch {
	case r.Off:
		return 0, true
	case r.Budget != nil:
		return *r.Budget, *r.Budget >= 0
	}
	for _, e := range efforts {
		if e.word == r.Effort {
			return e.budget, true
		}
	}
	return 0, false
}

// EffortWord is the effort that was asked for, in words or tokens; "" when the
// model is to decide.
func (r *Reasoning) EffortWord() string {
	switch {
	case r.Off:
		return "none"
	case r.Effort != "":
		return r.Effort
	case r.Budget == nil || *r.Budget < 0:
		return ""
	}
	for _, e := range efforts[:5] { // what every dialect knows
		if *r.Budget <= e.budget {
			return e.word
		}
	}
	return "high"
}
