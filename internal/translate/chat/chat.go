// Package chat is OpenAI's Chat Completions dialect, as OpenAI and the many
// servers that are compatible with it speak it. Facts are from OpenAI's
// published API reference and from recorded traffic of some twenty servers.
package chat

import (
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"halley/internal/jsonx"
	"halley/internal/translate"
	"halley/internal/wire"
)

// Codec is the dialect; it has no state.
type Codec struct{}

var _ translate.Codec = Codec{}

// request is the body of POST /chat/completions: see readRequest and append.
type request struct {
	Model               string
	Messages            []message
	Tools               []tool
	ToolChoice          jsontext.Value
	ParallelToolCalls   *bool
	Functions           []function // before tools
	FunctionCall        jsontext.Value
	ResponseFormat      jsontext.Value
	Stream              *bool
	StreamOptions       jsontext.Value
	MaxTokens           *int64
	MaxCompletionTokens *int64
	Temperature         *float64
	TopP                *float64
	TopK                *int64 // not OpenAI's
	FrequencyPenalty    *float64
	PresencePenalty     *float64
	Seed                *int64
	Stop                jsontext.Value // a string or a list
	N                   *int64
	Logprobs            *bool
	TopLogprobs         *int64
	LogitBias           jsontext.Value
	Verbosity           string
	ReasoningEffort     string
	User                string
	SafetyIdentifier    string
	Metadata            map[string]string
	PromptCacheKey      string
	ServiceTier         string
	Modalities          []string
	Audio               jsontext.Value
	Store               *bool
	WebSearchOptions    jsontext.Value
	Extra               translate.Extra // what stands beside these
}

// message is one of a request's, or that of an answer's choice.
type message struct {
	Role             string         `json:"role,omitzero"`
	Content          jsontext.Value `json:"content,omitzero"` // a string, a list of parts, or null
	Name             string         `json:"name,omitzero"`
	ToolCallID       string         `json:"tool_call_id,omitzero"`
	ToolCalls        []toolCall     `json:"tool_calls,omitempty"`
	FunctionCall     *called        `json:"function_call,omitzero"` // before tools
	Refusal          string         `json:"refusal,omitzero"`
	Annotations      jsontext.Value `json:"annotations,omitzero"`
	Audio            jsontext.Value `json:"audio,omitzero"`
	Images           jsontext.Value `json:"images,omitzero"`            // OpenRouter: what the model made
	ReasoningContent jsontext.Value `json:"reasoning_content,omitzero"` // DeepSeek and many others
	Reasoning        jsontext.Value `json:"reasoning,omitzero"`         // Groq, OpenRouter, vLLM
	ReasoningDetails jsontext.Value `json:"reasoning_details,omitzero"` // OpenRouter
	Rest             jsontext.Value `json:",embed"`

	// said is what is written for a content, as one string where joined allows it.
	said   []part
	joined bool
	// Of a request that was read: text is a content that is a string, extra is Rest.
	text  string
	plain bool
	extra translate.Extra
}

type toolCall struct {
	Index    *int           `json:"index,omitzero"`
	ID       string         `json:"id,omitzero"`
	Type     string         `json:"type,omitzero"`
	Function *called        `json:"function,omitzero"`
	Custom   *custom        `json:"custom,omitzero"`
	Extra    *extraContent  `json:"extra_content,omitzero"` // Google's
	Rest     jsontext.Value `json:",embed"`

	extra translate.Extra // Rest, of a request that was read
}

// extraContent is where Google's OpenAI endpoint puts a thought signature.
type extraContent struct {
	Google struct {
		ThoughtSignature string `json:"thought_signature,omitzero"`
	} `json:"google"`
}

type called struct {
	Name      string       `json:"name"`
	Arguments argumentText `json:"arguments"`
}

// called reports whether there is a call: some servers write an empty one.
func (c *called) called() bool { return c != nil && (c.Name != "" || c.Arguments != "") }

type custom struct {
	Name  string `json:"name"`
	Input string `json:"input"`
}

type tool struct {
	Type     string         `json:"type"`
	Function *function      `json:"function,omitzero"`
	Rest     jsontext.Value `json:",embed"`
}

type function struct {
	Name        string         `json:"name"`
	Description string         `json:"description,omitzero"`
	Parameters  jsontext.Value `json:"parameters,omitzero"`
	Strict      *bool          `json:"strict,omitzero"`
	Rest        jsontext.Value `json:",embed"`
}

// argumentText is JSON text in a string. Some servers write the object itself.
type argumentText string

// UnmarshalJSONFrom takes both.
func (a *argumentText) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	v, err := dec.ReadValue()
	if err != nil {
		return err
	}
	switch v.Kind() {
	case '"':
		*a = argumentText(wire.Text(v))
	case 'n':
	default:
		*a = argumentText(v)
	}
	return nil
}

// seconds are a time. Some servers write it with a fraction or as a text, and none
// is worth an answer.
type seconds int64

// UnmarshalJSONFrom takes all of these.
func (s *seconds) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	v, err := dec.ReadValue()
	if err != nil {
		return err
	}
	text := string(v)
	if v.Kind() == '"' {
		text = wire.Text(v)
	}
	if f, err := strconv.ParseFloat(text, 64); err == nil && f > 0 && f < 1<<53 {
		*s = seconds(f)
	}
	return nil
}

// part is a content part.
type part struct {
	Type         string         `json:"type"`
	Text         *string        `json:"text,omitzero"`
	Refusal      string         `json:"refusal,omitzero"`
	ImageURL     jsontext.Value `json:"image_url,omitzero"` // an object, or a string with some servers
	InputAudio   *inputAudio    `json:"input_audio,omitzero"`
	File         *file          `json:"file,omitzero"`
	Thinking     jsontext.Value `json:"thinking,omitzero"` // Mistral: a list of text parts
	CacheControl jsontext.Value `json:"cache_control,omitzero"`
	Rest         jsontext.Value `json:",embed"`
}

type imageURL struct {
	URL    string         `json:"url"`
	Detail string         `json:"detail,omitzero"`
	Rest   jsontext.Value `json:",embed"`
}

type inputAudio struct {
	Data   string `json:"data"`
	Format string `json:"format"`
}

type file struct {
	FileID   string         `json:"file_id,omitzero"`
	FileData string         `json:"file_data,omitzero"`
	Filename string         `json:"filename,omitzero"`
	Rest     jsontext.Value `json:",embed"`
}

// annotation says where words of an answer come from.
type annotation struct {
	Type        string       `json:"type"`
	URLCitation *urlCitation `json:"url_citation,omitzero"`
}

type urlCitation struct {
	Start   int    `json:"start_index"`
	End     int    `json:"end_index"`
	Title   string `json:"title"`
	URL     string `json:"url"`
	Content string `json:"content,omitzero"` // OpenRouter: the words of the source
}

// answer is a whole answer, or a chunk of one.
type answer struct {
	ID          string         `json:"id"`
	Object      string         `json:"object"`
	Created     seconds        `json:"created"`
	Model       string         `json:"model"`
	Choices     []choice       `json:"choices"`
	Usage       jsontext.Value `json:"usage,omitzero"`
	ServiceTier string         `json:"service_tier,omitzero"`
	Error       jsontext.Value `json:"error,omitzero"`
	Rest        jsontext.Value `json:",embed"`
}

type choice struct {
	Index        int            `json:"index"`
	Message      *message       `json:"message,omitzero"`
	Delta        *message       `json:"delta,omitzero"`
	Logprobs     jsontext.Value `json:"logprobs,omitzero"`
	FinishReason *string        `json:"finish_reason"`
	Rest         jsontext.Value `json:",embed"`
}

// finishReason is the dialect's word for a stop.
func finishReason(s translate.Stop) string {
	switch s {
	case translate.AtMaxOutput, translate.AtContext:
		return "length"
	case translate.ToCallTools:
		return "tool_calls"
	case translate.Filtered, translate.Refused:
		return "content_filter"
	case translate.NotStopped, translate.EndOfTurn, translate.AtStopText, translate.Paused, translate.Broken:
	}
	return "stop"
}

// stopOf is what a finish_reason says. Some servers say "stop" where tools are to
// be called.
func stopOf(word string, calls bool) translate.Stop {
	switch word {
	case "":
		return translate.NotStopped
	case "length", "max_tokens", "model_length":
		return translate.AtMaxOutput
	case "tool_calls", "function_call":
		return translate.ToCallTools
	case "content_filter":
		return translate.Filtered
	case "error":
		return translate.Broken
	}
	if calls {
		return translate.ToCallTools
	}
	return translate.EndOfTurn
}

// LooksLikeResponses reports whether a body that was sent to this dialect's
// address is one of the Responses dialect: Cursor sends such.
func LooksLikeResponses(body []byte) bool {
	return wire.Find(body, "input").Present() && !wire.Find(body, "messages").Present()
}

// text is what a JSON string holds; "" for anything else.
func text(v jsontext.Value) string { return wire.Text(v) }

func marshal(v any) jsontext.Value {
	out, err := jsonx.Marshal(v)
	if err != nil {
		return nil // a text that is not UTF-8; decoders give none
	}
	return out
}
