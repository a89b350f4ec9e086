package wire

import (
	"bytes"
	"strings"

	"halley/internal/fault"
	"halley/internal/usage"
)

// Format is how the bodies of one endpoint look, for who forwards them as they
// are: what routing and metering need is read off them without decoding the
// rest, and what must change is edited in place.
type Format interface {
	Dialect() Dialect
	// ScanRequest reads a request body. What is wrong with it is a fault of kind
	// Malformed with the code invalid_request and the member.
	ScanRequest(body []byte) (Request, error)
	// ScanAnswer reads the top level of an answer with the status 200; ok is false
	// when it is not a JSON object.
	ScanAnswer(body []byte) (a Answer, ok bool)
	// OutputText counts the text that the model wrote in an answer, for servers
	// that do not say what they used.
	OutputText(body []byte) TextBytes
	// Stream begins a streamed answer.
	Stream(o StreamOptions) Stream
	// Error writes a fault of Halley's own as an answer's body.
	Error(f *fault.Error, requestID string) []byte
}

// Counter is a Format that can say how many tokens a prompt has.
type Counter interface {
	// Count writes the answer to who asked for a count.
	Count(tokens int64) []byte
}

// Request is a request body that has been scanned.
type Request interface {
	Facts() *Head
	// Edits are the changes as edits of the body, in order and apart.
	Edits(c Changes) []Edit
}

// Head is what routing, holding and metering need of a request.
type Head struct {
	Model       string
	Stream      bool
	Cap         int64 // most output tokens, per choice; 0 when not given
	Choices     int64 // at least 1
	ServiceTier string
	EndUser     string
	// IncludeUsage says that the client wants usage in its stream, in dialects
	// where that must be asked for.
	IncludeUsage bool
	Media        int // parts that are not text, at most
	// Searches is how often the provider may search the web for the request, by
	// its bounds, or AssumedSearches where it has none.
	Searches int64
	// Foreign says that the body is not of the endpoint's own dialect.
	Foreign bool
	// Where what names the conversation besides EndUser stands, for who asks for it:
	// the values of prompt_cache_key and metadata.
	CacheKeyAt, MetadataAt Span
}

// AssumedSearches is how often a provider is taken to search the web at most for
// a request that does not bound it. Models seldom search as often in one answer;
// what they search beyond that is charged all the same.
const AssumedSearches = 10

// SearchTools is how often the provider may search the web, by a list of tools in
// any dialect of which each may bound its uses.
func SearchTools(tools []byte) (searches int64) {
	if !bytes.Contains(tools, []byte(`"web_search`)) && !bytes.Contains(tools, []byte(`"google`)) {
		return 0
	}
	for t := range Elements(tools) {
		found, uses := false, int64(0)
		for name, v := range Members(t) {
			switch Text(name) {
			case "type":
				found = found || strings.HasPrefix(Text(v), "web_search")
			case "googleSearch", "google_search", "googleSearchRetrieval", "google_search_retrieval":
				found = true
			case "max_uses":
				var c Count
				c.Read(v)
				uses = c.Tokens
			}
		}
		switch {
		case !found:
		case uses > 0:
			searches = min(searches+uses, MaxChoices)
		default:
			searches += AssumedSearches
		}
	}
	return searches
}

// MaxChoices is more than any server gives. Times the largest cap it fits into
// 64 bits, so that no number in a request makes its worst case look small.
const MaxChoices = 1 << 20

// MaxTokens is more than any model gives.
const MaxTokens = 1 << 40

// Changes are what Halley may do to a request that it otherwise forwards byte
// for byte.
type Changes struct {
	Model        string // the upstream's name; "" leaves it
	IncludeUsage bool   // ask for usage in the stream, where that must be asked for
	OutputCap    int64  // lower the cap to this; 0 leaves it
}

// Answer is what metering and editing need of an answer.
type Answer struct {
	ModelAt     Span // the model's name with its quotes
	Usage       usage.Tokens
	HasUsage    bool
	IsError     bool // it is an error in spite of its status
	ServiceTier string
}

// StreamOptions are what a Stream needs to know of the request.
type StreamOptions struct {
	Model string // the public name
	// Rename says that the upstream knows the model by another name, which is to
	// be replaced.
	Rename bool
	// WantUsage says that the client asked for usage; see Head.IncludeUsage.
	WantUsage bool
	Choices   int64
}

// Stream is one streamed answer on its way through, event by event. Its methods
// do not keep what they are given.
type Stream interface {
	// Take meters one event of the upstream's and appends to out what the client
	// gets of it.
	Take(out, event []byte) []byte
	// Complete reports whether what stands after the upstream's last event is one
	// that only lacks its empty line.
	Complete(rest []byte) bool
	// Progress is what has passed so far.
	Progress() *Progress
	// ContentType is the media type of what the client gets; "" is the
	// upstream's.
	ContentType() string
	// AppendEnd appends what stands at the end of a stream that has come to its
	// own end; mostly nothing.
	AppendEnd(out []byte) []byte
	// AppendLengthEnd appends the events that end the stream at its length, with
	// the usage where the client wants it.
	AppendLengthEnd(out []byte, tokens *usage.Tokens) []byte
	// AppendFault appends the event that tells of a fault, behind which nothing
	// comes.
	AppendFault(out []byte, f *fault.Error, requestID string) []byte
}

// Progress is what a stream is known to have brought.
type Progress struct {
	Usage    usage.Tokens // the last the provider reported
	HasUsage bool
	Chunks   int64 // events with output in them
	Text     TextBytes
	Told     TextBytes // of Text, what had passed at the report
	Finished int64     // how many choices have ended
	Failed   bool      // an error event has passed
	// Unreadable says that the error event is our own: what the upstream sent
	// cannot be read.
	Unreadable bool
	Done       bool   // the upstream has said that the stream is complete
	Tier       string // the service tier, once it has passed
}

// TextBytes counts the bytes of text by kind, for estimates of its tokens.
type TextBytes struct{ ASCII, Other int }

// Total is all bytes.
func (b TextBytes) Total() int { return b.ASCII + b.Other }

// Count adds a text's bytes.
func (b *TextBytes) Count(text []byte) {
	for _, c := range text {
		if c < 0x80 {
			b.ASCII++
		} else {
			b.Other++
		}
	}
}

// Report takes what the provider says was used so far.
func (p *Progress) Report(u usage.Tokens) {
	p.Usage, p.HasUsage, p.Told = u, true, p.Text
}
