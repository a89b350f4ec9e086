package translate

import (
	"github.com/go-json-experiment/json/jsontext"
)

// Answer is an answer in no dialect.
type Answer struct {
	From       Dialect
	ID         string
	Model      string // as the upstream names it
	Created    int64  // Unix seconds; 0 when the dialect does not say
	Candidates []Candidate
	Usage      *Usage // nil when the upstream does not say
	// UsageRaw is the usage in From's words, for the same dialect.
	UsageRaw    jsontext.Value
	ServiceTier string
	Extra       Extra
}

// Candidate is one of the answers that were asked for.
type Candidate struct {
	Index int
	Parts []Part // of an assistant's message
	Stop  Stop
	// StopWord is the upstream's own name for Stop; StopText the stop sequence
	// that was met.
	StopWord string
	StopText string
	Logprobs jsontext.Value // in OpenAI's words: {"content": [...]}
	Extra    Extra
}

// Stop is why a candidate ends.
type Stop uint8

// The reasons.
const (
	NotStopped  Stop = iota // it goes on, or nobody says
	EndOfTurn               // the model was done
	AtStopText              // a stop sequence was met
	AtMaxOutput             // the output bound was met
	AtContext               // the context window was full
	ToCallTools             // tools are to be run
	Filtered                // a content filter stepped in
	Refused                 // the model refused
	Paused                  // a long turn is to be continued (Anthropic pause_turn)
	Broken                  // the model's output was unusable (Gemini MALFORMED_FUNCTION_CALL)
)

// EventKind is what an Event says.
type EventKind uint8

// The kinds. A stream is Begin, then for each part PartBegin, deltas and
// PartEnd, then a Finish for each candidate, a Use, and Done. Parts of one
// candidate do not overlap. Use may come several times; each replaces the last.
const (
	Begin         EventKind = iota // ID, Model, Created
	PartBegin                      // Part: its kind and what is known at once, without what deltas bring
	TextDelta                      // Text: of the open part, whatever it is: words, thoughts, arguments, refusal
	SignDelta                      // Text: Signature of the open *Thinking, *ToolCall or *Text, whole
	CiteDelta                      // Citation: of the open *Text
	PartEnd                        // the open part is whole
	Finish                         // Stop, StopWord, StopText
	LogprobsDelta                  // Raw: in OpenAI's words, the "content" tokens of the last delta
	Use                            // Usage, UsageRaw
	Ping                           // the upstream is still there
	Whole                          // Part: a whole part at once, in place of PartBegin to PartEnd
	Done                           // nothing comes any more
	Fault                          // Failure: the upstream said in its stream that it failed; nothing comes any more
)

// Event is a step of a streamed answer. Its members are those of its Kind; the
// rest is zero. Decoders make new ones; an encoder may keep what it is given.
type Event struct {
	Kind      EventKind
	Candidate int
	ID        string
	Model     string
	Created   int64
	Tier      string // service tier, with Begin or Use
	Part      Part
	Text      string
	Citation  *Citation
	Stop      Stop
	StopWord  string
	StopText  string
	Usage     *Usage
	UsageRaw  jsontext.Value
	Raw       jsontext.Value
	Failure   *Failure
	From      Dialect
	Extra     Extra
}
