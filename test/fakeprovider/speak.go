package fakeprovider

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"
)

// Dialect is the API that an upstream speaks.
type Dialect string

// The dialects, each with a file of its own below speak_.
const (
	OpenAIChat        Dialect = "chat"
	OpenAIResponses   Dialect = "responses"
	AnthropicMessages Dialect = "messages"
	GoogleGenerate    Dialect = "gemini"
)

// Dialects are all of them, in the order that reports list them.
func Dialects() []Dialect {
	return []Dialect{OpenAIChat, OpenAIResponses, AnthropicMessages, GoogleGenerate}
}

// Asked is what a script needs to know of a request, in no dialect. It is read
// here and nowhere else, so that it can be held against what Halley wrote.
type Asked struct {
	Dialect Dialect
	Model   string
	Stream  bool
	Words   string // the user's last
	Images  []Picture
	// Tools are those that the model may call, by name, with their schemas;
	// Forced is the one that it must.
	Tools  map[string]json.RawMessage
	Forced string
	// Schema is what the text must be like; nil: anything.
	Schema json.RawMessage
	// Thinks says that the model shall think, Shown that it shall say what.
	Thinks, Shown bool
	// Called are the model's calls since the user's last words, and Results what
	// the tools answered.
	Called  []ToolCall
	Results []Result
	// Signatures are the proofs of thoughts that came back, of any turn.
	Signatures []string
	Usage      bool // a stream must end with usage; in all dialects but Chat it does

	// CallSignatures are the proofs that came back with Called, in their order; in
	// Gemini's dialect alone.
	CallSignatures []string
}

// Picture is an image of a request.
type Picture struct{ MIME, Base64, URL string }

// Result is what a tool answered. In Gemini's dialect the id may be missing; the
// name is missing in all others.
type Result struct{ ID, Name, Text string }

// Reply is what a script says, in no dialect.
type Reply struct {
	Thoughts  string
	Signature string // proof of Thoughts
	Text      string
	Calls     []ToolCall
	// Status above 0 is an error answer in place of all that.
	Status  int
	Message string
	// Of a stream, Endless repeats Text until the client leaves, and Broken has
	// the dialect's error event behind Text in place of an end.
	Endless bool
	Broken  bool
}

// Speak answers requests of one dialect from a script, plain and streamed. The
// usage is always ScriptPromptTokens and its like, by the dialect's own custom:
// Anthropic's input is without what was cached, Google's candidates are without
// thoughts.
func Speak(d Dialect, script func(Asked) Reply) Answer {
	s := map[Dialect]speech{
		OpenAIChat: chatSpeech{}, OpenAIResponses: responsesSpeech{}, AnthropicMessages: messagesSpeech{}, GoogleGenerate: geminiSpeech{},
	}[d]
	return func(w http.ResponseWriter, r *http.Request, got *Received) {
		var body any
		if err := json.Unmarshal(got.Body, &body); err != nil {
			writeJSON(w, 400, s.failure(400, "The body is not JSON: "+err.Error()))
			return
		}
		asked, known := s.read(got.Path, node{body})
		if !known {
			writeJSON(w, 404, s.failure(404, "The script has no "+got.Path+"."))
			return
		}
		asked.Dialect = d
		t := &turn{Asked: asked, Reply: script(asked)}
		if !t.Shown {
			t.Thoughts = ""
		}
		switch {
		case t.Status > 0:
			if t.Status == 429 || t.Status == 503 {
				w.Header().Set("Retry-After", "1")
			}
			writeJSON(w, t.Status, s.failure(t.Status, t.Message))
		case t.Stream:
			speakStream(w, r, s, t)
		default:
			writeJSON(w, 200, s.whole(t))
		}
	}
}

// brokenMessage is what a broken stream ends with.
const brokenMessage = "The script breaks off here."

// turn is a request with its answer, and how far that has come.
type turn struct {
	Asked
	Reply
	said   strings.Builder
	events int // so far, for dialects that count them
}

// speech is how a dialect says things.
type speech interface {
	// read understands a request; known is whether there is such an endpoint.
	read(path string, body node) (asked Asked, known bool)
	// whole is a plain answer's body.
	whole(t *turn) any
	// begin, say and end are the events of a streamed answer: begin gives what
	// comes before the text, say a piece of it.
	begin(t *turn) [][]byte
	say(t *turn, text string) []byte
	end(t *turn) [][]byte
	// failure is an error answer's body, broken the event that ends a stream.
	failure(status int, message string) any
	broken(t *turn) []byte
}

func speakStream(w http.ResponseWriter, r *http.Request, s speech, t *turn) {
	w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	send(w, s.begin(t))
	words := pieces(t.Text)
	if t.Endless {
		speakForever(w, r, s, t, words)
	}
	for _, word := range words {
		t.said.WriteString(word)
		send(w, [][]byte{s.say(t, word)})
	}
	if t.Broken {
		send(w, [][]byte{s.broken(t)})
		return
	}
	send(w, s.end(t))
}

// speakForever says words until the client leaves, or for a minute.
func speakForever(w http.ResponseWriter, r *http.Request, s speech, t *turn, words []string) {
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	limit := time.NewTimer(time.Minute)
	defer limit.Stop()
	for i := 0; ; i++ {
		send(w, [][]byte{s.say(t, words[i%len(words)])})
		select {
		case <-again.C:
		case <-r.Context().Done():
			panic(http.ErrAbortHandler)
		case <-limit.C:
			panic(http.ErrAbortHandler)
		}
	}
}

// object is a JSON object to write.
type object = map[string]any

// list is a JSON array to write.
type list = []any

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(marshal(body)) // it fails when the client has left
}

// marshal is JSON without the escapes that encoding/json adds for web pages.
func marshal(v any) []byte {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(err) // objects of texts and numbers always encode
	}
	return []byte(strings.TrimSuffix(b.String(), "\n"))
}

// event is a server-sent event; name "" has no line.
func event(name string, data any) []byte {
	text := "data: " + string(marshal(data)) + "\n\n"
	if name != "" {
		text = "event: " + name + "\n" + text
	}
	return []byte(text)
}

// node is a place in a request, absent ones included.
type node struct{ v any }

func (n node) at(names ...string) node {
	for _, name := range names {
		members, _ := n.v.(map[string]any)
		n = node{members[name]}
	}
	return n
}

func (n node) exists() bool { return n.v != nil }

func (n node) text() string {
	s, _ := n.v.(string)
	return s
}

func (n node) yes() bool {
	b, _ := n.v.(bool)
	return b
}

func (n node) elements() []node {
	values, _ := n.v.([]any)
	nodes := make([]node, len(values))
	for i, v := range values {
		nodes[i] = node{v}
	}
	return nodes
}

// raw is the JSON of the place, nil when it is absent.
func (n node) raw() json.RawMessage {
	if n.v == nil {
		return nil
	}
	return marshal(n.v)
}

// plain is what a text, or a list of parts with texts, says.
func (n node) plain() string {
	if n.text() != "" {
		return n.text()
	}
	var b strings.Builder
	for _, part := range n.elements() {
		b.WriteString(part.at("text").text())
	}
	return b.String()
}

// dataURL takes apart what may be a data: URL.
func dataURL(url string) Picture {
	rest, ok := strings.CutPrefix(url, "data:")
	head, data, whole := strings.Cut(rest, ",")
	mime, coded := strings.CutSuffix(head, ";base64")
	if !ok || !whole || !coded {
		return Picture{URL: url}
	}
	return Picture{MIME: mime, Base64: data}
}

// hear begins the part of a conversation behind new words of the user's.
func (a *Asked) hear(words string) {
	a.Words, a.Called, a.Results, a.CallSignatures = words, nil, nil, nil
}

func (a *Asked) offer(name string, schema json.RawMessage) {
	if a.Tools == nil {
		a.Tools = map[string]json.RawMessage{}
	}
	a.Tools[name] = schema
}

// forceAny is for requests that want any tool called: where there is only one,
// it is that.
func (a *Asked) forceAny() {
	for name := range a.Tools {
		if len(a.Tools) == 1 {
			a.Forced = name
		}
	}
}
