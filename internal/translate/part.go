package translate

import (
	"github.com/go-json-experiment/json/jsontext"
)

// Part is a piece of a message: *Text, *Media, *ToolCall, *ToolResult,
// *Thinking, *Refusal or *Other.
type Part interface{ part() }

func (*Text) part()       {}
func (*Media) part()      {}
func (*ToolCall) part()   {}
func (*ToolResult) part() {}
func (*Thinking) part()   {}
func (*Refusal) part()    {}
func (*Other) part()      {}

// Text is words.
type Text struct {
	Text string
	// Citations say where the words come from.
	Citations []Citation
	// Phase is the Responses dialect's phase of a message.
	// Signature is what a Gemini model signs a text part with.
	Signature string
	Cache     *CacheMark
	Extra     Extra
}

// Citation says where a part of a text comes from.
type Citation struct {
	// Start and End are the cited range of the text, in runes; both 0 when the
	// dialect gives none.
	Start, End int
	URL        string
	Title      string
	Quote      string         // the words of the source
	Raw        jsontext.Value // in the words of the dialect it came in
}

// MediaKind is what a Media is.
type MediaKind uint8

// The kinds.
const (
	Image MediaKind = iota
	Document
	AudioClip
	Video
)

// Media is something that is not text. It is given by one of Data, URL, FileID
// and, for plain documents, Text.
type Media struct {
	Kind   MediaKind
	MIME   string // such as image/png; "" when it is not known
	Data   string // base64
	URL    string
	FileID string
	Text   string // a document that is text
	Name   string // file name or title
	Detail string // OpenAI image detail
	// Thought says that the model made it while thinking: it is no part of the
	// answer.
	Thought bool
	Cache   *CacheMark
	// Raw is the part in the words of the dialect it came in, when it is more
	// than these say.
	Raw   jsontext.Value
	Extra Extra
}

// ToolCall is the model's wish to have a tool run.
type ToolCall struct {
	ID   string // as the client must answer it
	Name string
	// Namespace is that of the tool's definition, if it has one.
	Namespace string
	// Args is JSON text for functions, and free text with Custom. Empty stands
	// for no arguments.
	Args   string
	Custom bool
	// Search says that the client is to look for tools: see ToolSearch.
	Search bool
	// ItemID is the Responses dialect's id of the item, beside the call's.
	ItemID string
	// Signature is what a Gemini model signs a call with; it must come back.
	Signature string
	// Server says that the provider runs it itself; the client only sees it.
	Server ToolKind
	Cache  *CacheMark
	Extra  Extra
}

// ToolResult is what a tool answered.
type ToolResult struct {
	CallID string
	Name   string // of the tool; "" in dialects that do not repeat it, see Conversation.CallName
	Parts  []Part // Text and Media
	Failed bool
	Custom bool
	// Search says that it answers a Search; Tools are what was found.
	Search bool
	Tools  []Tool
	ItemID string
	// Server says that the provider ran it itself.
	Server ToolKind
	Cache  *CacheMark
	// Raw is the result in the words of the dialect it came in, when it is more
	// than parts.
	Raw   jsontext.Value
	Extra Extra
}

// Thinking is what the model thought, as far as it is shown.
type Thinking struct {
	Text    string   // the thoughts, or a summary
	Summary []string // the Responses dialect's summary parts, when Text was made of them
	// Signature proves the thoughts to the provider that made them, and Sealed
	// are thoughts that only it can read; both must come back unchanged, and mean
	// nothing to others.
	Signature string
	Sealed    string
	// Origin is the dialect that Signature and Sealed are of.
	Origin Dialect
	ID     string // the Responses dialect's item id
	Extra  Extra
}

// Refusal is the model's saying no, in dialects that mark it.
type Refusal struct {
	Text  string
	Extra Extra
}

// Other is a part that only its own dialect has words for.
type Other struct {
	Kind string // the dialect's name for it
	Raw  jsontext.Value
	// Tools are tools that it offers, for kinds that do nothing else.
	Tools []Tool
}

// CacheMark asks for the prompt up to here to be cached.
type CacheMark struct {
	TTL string         // "5m", "1h" or "" for the default
	Raw jsontext.Value // the mark in the words it came in
}

// CallName is the name of the tool that the call of that id is to, for dialects
// whose results repeat it; "" when there is no such call.
func (c *Conversation) CallName(id string) string {
	for _, m := range c.Messages {
		for _, p := range m.Parts {
			if call, ok := p.(*ToolCall); ok && call.ID == id {
				return call.Name
			}
		}
	}
	return ""
}
