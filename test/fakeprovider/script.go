package fakeprovider

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// The models that Script knows. Any other answers like ScriptChat.
const (
	ScriptChat  = "script-chat"  // says ScriptText
	ScriptTools = "script-tools" // calls two tools, ScriptToolCalls
	ScriptEmbed = "script-embed" // one vector of ScriptVector an input
	// ScriptForever streams the words of ScriptText over and over until the
	// client leaves (or for a minute).
	ScriptForever = "script-forever"
	// ScriptError and a status ("script-error-429") answers that status with
	// the code "scripted_429" and, for 429 and 503, Retry-After: 1.
	ScriptError = "script-error-"
)

// ScriptText is what the script says. It has characters of two, three and four
// bytes, and two of them are needed for one flag.
const ScriptText = "Halley’s comet returns in 2061 – voilà ☄️ 🇩🇪."

// ScriptVector is the embedding of every input.
func ScriptVector() []float64 { return []float64{0.5, -0.25, 0.125} }

// ToolCall is a call that ScriptTools makes.
type ToolCall struct{ ID, Name, Arguments string }

// ScriptToolCalls are the two calls, with ids and argument texts that a careful
// passage leaves alone: key order, spacing, escapes and large numbers.
func ScriptToolCalls() []ToolCall {
	return []ToolCall{
		{"call_A1b2-C3_d4.e5", "get_weather", `{"city": "Zürich",  "unit":"\u00b0C", "n": 12345678901234567890}`},
		{"call_f6", "get_time", `{"zone":"Europe/Zurich","exact":1.10}`},
	}
}

// What every chat answer of the script reports as its usage.
const (
	ScriptPromptTokens     = 19
	ScriptCachedTokens     = 4
	ScriptCompletionTokens = 23
	ScriptReasoningTokens  = 5
)

// Script answers OpenAI-shaped requests from nothing but the request itself:
// the model's name says what happens. Usage is reported plainly, and in streams
// only when stream_options.include_usage asks for it.
func Script() Answer {
	return func(w http.ResponseWriter, r *http.Request, got *Received) {
		var req struct {
			Model         string          `json:"model"`
			Stream        bool            `json:"stream"`
			Input         json.RawMessage `json:"input"`
			StreamOptions struct {
				IncludeUsage bool `json:"include_usage"`
			} `json:"stream_options"`
		}
		if err := json.Unmarshal(got.Body, &req); err != nil {
			writeError(w, 400, "invalid_json", "The body is not JSON: "+err.Error())
			return
		}
		if status, ok := strings.CutPrefix(req.Model, ScriptError); ok {
			code, err := strconv.Atoi(status)
			if err != nil || code < 400 || code > 599 {
				code = 500
			}
			if code == 429 || code == 503 {
				w.Header().Set("Retry-After", "1")
			}
			writeError(w, code, "scripted_"+strconv.Itoa(code), "The script answers with this error.")
			return
		}
		switch {
		case strings.HasSuffix(got.Path, "/embeddings"):
			writeEmbeddings(w, req.Model, req.Input)
		case !strings.HasSuffix(got.Path, "/chat/completions"):
			writeError(w, 404, "unknown_url", "The script has no "+got.Path+".")
		case req.Model == ScriptForever:
			streamForever(w, r, req.Model)
		case req.Stream:
			streamScript(w, req.Model, req.StreamOptions.IncludeUsage)
		default:
			writeScript(w, req.Model)
		}
	}
}

const (
	scriptID      = "chatcmpl-script"
	scriptCreated = 1766188800
)

// writeScript is the plain chat answer.
func writeScript(w http.ResponseWriter, model string) {
	message, finish := `{"role":"assistant","content":`+quote(ScriptText)+`,"refusal":null}`, "stop"
	if model == ScriptTools {
		var calls []string
		for _, c := range ScriptToolCalls() {
			calls = append(calls, fmt.Sprintf(`{"id":%s,"type":"function","function":{"name":%s,"arguments":%s}}`, quote(c.ID), quote(c.Name), quote(c.Arguments)))
		}
		message, finish = `{"role":"assistant","content":null,"tool_calls":[`+strings.Join(calls, ",")+`]}`, "tool_calls"
	}
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"id":%q,"object":"chat.completion","created":%d,"model":%s,"choices":[{"index":0,"message":%s,"logprobs":null,"finish_reason":%q}],"usage":%s}`,
		scriptID, scriptCreated, quote(model), message, finish, scriptUsage())
}

// streamScript is the streamed chat answer: a role, the words or the tools'
// arguments in pieces, the finish, the usage if asked for, [DONE].
func streamScript(w http.ResponseWriter, model string, usage bool) {
	deltas := []string{`{"role":"assistant","content":""}`}
	finish := "stop"
	if model == ScriptTools {
		finish = "tool_calls"
		for i, c := range ScriptToolCalls() {
			deltas = append(deltas, fmt.Sprintf(`{"tool_calls":[{"index":%d,"id":%s,"type":"function","function":{"name":%s,"arguments":""}}]}`, i, quote(c.ID), quote(c.Name)))
			for _, piece := range pieces(c.Arguments) {
				deltas = append(deltas, fmt.Sprintf(`{"tool_calls":[{"index":%d,"function":{"arguments":%s}}]}`, i, quote(piece)))
			}
		}
	} else {
		for _, piece := range pieces(ScriptText) {
			deltas = append(deltas, `{"content":`+quote(piece)+`}`)
		}
	}
	member := ""
	if usage {
		member = `,"usage":null`
	}
	w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	var events [][]byte
	for _, d := range deltas {
		events = append(events, scriptChunk(model, `[{"index":0,"delta":`+d+`,"logprobs":null,"finish_reason":null}]`, member))
	}
	events = append(events, scriptChunk(model, `[{"index":0,"delta":{},"logprobs":null,"finish_reason":"`+finish+`"}]`, member))
	if usage {
		events = append(events, scriptChunk(model, `[]`, `,"usage":`+scriptUsage()))
	}
	send(w, append(events, []byte("data: [DONE]\n\n")))
}

// streamForever sends a word every few milliseconds until the client leaves.
func streamForever(w http.ResponseWriter, r *http.Request, model string) {
	w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	words := pieces(ScriptText)
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	limit := time.NewTimer(time.Minute)
	defer limit.Stop()
	for i := 0; ; i++ {
		send(w, [][]byte{scriptChunk(model, `[{"index":0,"delta":{"content":`+quote(words[i%len(words)])+`},"finish_reason":null}]`, "")})
		select {
		case <-again.C:
		case <-r.Context().Done():
			panic(http.ErrAbortHandler)
		case <-limit.C:
			panic(http.ErrAbortHandler)
		}
	}
}

// writeEmbeddings answers one vector for each input.
func writeEmbeddings(w http.ResponseWriter, model string, input json.RawMessage) {
	n := 1
	var several []json.RawMessage
	if json.Unmarshal(input, &several) == nil {
		n = len(several)
	}
	vector, err := json.Marshal(ScriptVector())
	if err != nil {
		panic(err) // three numbers always marshal
	}
	data := make([]string, n)
	for i := range data {
		data[i] = fmt.Sprintf(`{"object":"embedding","index":%d,"embedding":%s}`, i, vector)
	}
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"object":"list","data":[%s],"model":%s,"usage":{"prompt_tokens":%d,"total_tokens":%d}}`,
		strings.Join(data, ","), quote(model), 3*n, 3*n)
}

// writeError answers with an error in the OpenAI shape.
func writeError(w http.ResponseWriter, status int, code, message string) {
	kind := "invalid_request_error"
	if status >= 500 || status < 400 {
		kind = "server_error"
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"error":{"message":%s,"type":%q,"param":null,"code":%q}}`, quote(message), kind, code)
}

// scriptUsage is the usage object of the script's chat answers.
func scriptUsage() string {
	return fmt.Sprintf(`{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d,"prompt_tokens_details":{"cached_tokens":%d,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":%d,"audio_tokens":0}}`,
		ScriptPromptTokens, ScriptCompletionTokens, ScriptPromptTokens+ScriptCompletionTokens, ScriptCachedTokens, ScriptReasoningTokens)
}

// scriptChunk is one event of the script's streams; members go after choices.
func scriptChunk(model, choices, members string) []byte {
	return fmt.Appendf(nil, "data: {\"id\":%q,\"object\":\"chat.completion.chunk\",\"created\":%d,\"model\":%s,\"choices\":%s%s}\n\n",
		scriptID, scriptCreated, quote(model), choices, members)
}

// pieces cuts a text into tokens of up to three characters.
func pieces(text string) []string {
	var out []string
	for text != "" {
		n := 0
		for range 3 {
			_, size := utf8.DecodeRuneInString(text[n:])
			n += size
		}
		out = append(out, text[:n])
		text = text[n:]
	}
	return out
}

// quote is a text as a JSON string, without the escapes that encoding/json
// adds for web pages.
func quote(text string) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(text); err != nil {
		panic(err) // a string always encodes
	}
	return strings.TrimSuffix(b.String(), "\n")
}
