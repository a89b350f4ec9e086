package demo

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"

	"halley/internal/jsonx"
)

// fingerprint stands in every answer.
const fingerprint = "fp_halley_demo"

// completion is an answer once it is worked out, streamed or not.
type completion struct {
	id      string
	created int64
	model   string
	choices []choice
	usage   usage
}

// choice is one of the answer's choices, capped.
type choice struct {
	pieces []string // of the text; nil when there are calls
	calls  []cappedCall
	finish string
}

type cappedCall struct {
	id     string
	name   string
	pieces []string // of the arguments
}

type usage struct {
	Prompt            int               `json:"prompt_tokens"`
	Completion        int               `json:"completion_tokens"`
	Total             int               `json:"total_tokens"`
	PromptDetails     promptDetails     `json:"prompt_tokens_details"`
	CompletionDetails completionDetails `json:"completion_tokens_details"`
}

type promptDetails struct {
	Cached int `json:"cached_tokens"`
	Audio  int `json:"audio_tokens"`
}

type completionDetails struct {
	Reasoning int `json:"reasoning_tokens"`
	Audio     int `json:"audio_tokens"`
	Accepted  int `json:"accepted_prediction_tokens"`
	Rejected  int `json:"rejected_prediction_tokens"`
}

func (p *Provider) chat(r *http.Request, body []byte) (*http.Response, error) {
	var q chatRequest
	if err := jsonx.Decode(body, &q); err != nil {
		return decodeProblem(r, err), nil
	}
	if param, text := q.fault(); text != "" {
		return badRequest(r, param, "%s", text), nil
	}
	b, known := of(q.Model)
	switch {
	case !known:
		return unknownModel(r, q.Model), nil
	case b == embed:
		return problem(r, http.StatusNotFound, "invalid_request_error", "", "model", "This is not a chat model and thus not supported in the chat completions endpoint."), nil
	}
	if resp, err := p.misbehave(r, q.Model, b); resp != nil || err != nil {
		return resp, err
	}
	c := q.complete(idOf("chatcmpl-", body), p.options.Now().Unix())
	if q.Stream != nil && *q.Stream {
		return p.stream(r, c, q.includeUsage(), b == cut), nil
	}
	return plain(r, c, b == cut), nil
}

func decodeProblem(r *http.Request, err error) *http.Response {
	param := ""
	if bad, ok := errors.AsType[*jsonx.DecodeError](err); ok {
		param = bad.Field
	}
	return badRequest(r, param, "We could not parse the JSON body of your request: %s.", err)
}

// complete works the answer out.
func (q *chatRequest) complete(id string, created int64) *completion {
	c := &completion{id: id, created: created, model: q.Model}
	said := q.reply()
	for range q.choices() {
		one, spent := said.capped(q.cap(), strings.TrimPrefix(id, "chatcmpl-"))
		c.choices = append(c.choices, one)
		c.usage.Completion += spent
	}
	c.usage.Prompt = q.promptTokens()
	c.usage.Total = c.usage.Prompt + c.usage.Completion
	return c
}

// capped cuts the reply to most tokens and counts what is left. A call's name
// counts, too.
func (said reply) capped(most int, id string) (choice, int) {
	if len(said.calls) == 0 {
		pieces := tokens(said.text)
		c := choice{pieces: pieces, finish: "stop"}
		if len(pieces) > most {
			c.pieces, c.finish = pieces[:most], "length"
		}
		return c, max(1, len(c.pieces))
	}
	c := choice{finish: "tool_calls"}
	spent := 0
	for i, called := range said.calls {
		spent += count(called.name)
		if spent > most {
			return cutShort(c, most)
		}
		pieces := tokens(called.arguments)
		fits := min(len(pieces), most-spent)
		c.calls = append(c.calls, cappedCall{id: "call_" + id + strconv.Itoa(i), name: called.name, pieces: pieces[:fits]})
		spent += fits
		if fits < len(pieces) {
			return cutShort(c, most)
		}
	}
	return c, spent
}

func cutShort(c choice, most int) (choice, int) {
	c.finish = "length"
	return c, most
}

type chatAnswer struct {
	ID          string       `json:"id"`
	Object      string       `json:"object"`
	Created     int64        `json:"created"`
	Model       string       `json:"model"`
	Choices     []chatChoice `json:"choices"`
	Usage       usage        `json:"usage"`
	ServiceTier string       `json:"service_tier"`
	Fingerprint string       `json:"system_fingerprint"`
}

type chatChoice struct {
	Index    int         `json:"index"`
	Message  chatMessage `json:"message"`
	Logprobs *struct{}   `json:"logprobs"`
	Finish   string      `json:"finish_reason"`
}

type chatMessage struct {
	Role      string     `json:"role"`
	Content   *string    `json:"content"`
	ToolCalls []toolCall `json:"tool_calls,omitempty"`
	Refusal   *string    `json:"refusal"`
}

type toolCall struct {
	Index    *int         `json:"index,omitzero"` // only in streams
	ID       string       `json:"id,omitempty"`
	Type     string       `json:"type,omitempty"`
	Function calledByName `json:"function"`
}

type calledByName struct {
	Name      string `json:"name,omitempty"`
	Arguments string `json:"arguments"`
}

func plain(r *http.Request, c *completion, broken bool) *http.Response {
	full := chatAnswer{
		ID: c.id, Object: "chat.completion", Created: c.created, Model: c.model, Usage: c.usage,
		ServiceTier: "default", Fingerprint: fingerprint,
	}
	for i, one := range c.choices {
		m := chatMessage{Role: "assistant"}
		for _, called := range one.calls {
			m.ToolCalls = append(m.ToolCalls, toolCall{ID: called.id, Type: "function", Function: calledByName{called.name, strings.Join(called.pieces, "")}})
		}
		if len(one.calls) == 0 {
			m.Content = new(strings.Join(one.pieces, ""))
		}
		full.Choices = append(full.Choices, chatChoice{Index: i, Message: m, Finish: one.finish})
	}
	resp := answerJSON(r, http.StatusOK, full)
	resp.Header.Set("X-Request-Id", "req_"+strings.TrimPrefix(c.id, "chatcmpl-"))
	if broken {
		resp.Body = halfOf(resp)
	}
	return resp
}

// halfOf is a body that ends before its announced length, as a lost connection
// makes it.
func halfOf(resp *http.Response) io.ReadCloser {
	var half bytes.Buffer
	_, _ = io.CopyN(&half, resp.Body, resp.ContentLength/2) // from memory: cannot fail
	return io.NopCloser(io.MultiReader(&half, lost{}))
}

// lost is a connection that breaks.
type lost struct{}

func (lost) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
