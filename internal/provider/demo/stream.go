package demo

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"halley/internal/jsonx"
)

type chunk struct {
	ID          string        `json:"id"`
	Object      string        `json:"object"`
	Created     int64         `json:"created"`
	Model       string        `json:"model"`
	ServiceTier string        `json:"service_tier"`
	Fingerprint string        `json:"system_fingerprint"`
	Choices     []chunkChoice `json:"choices"`
	// Usage is absent unless asked for; then null but in the last chunk.
	Usage jsonx.Opt[usage] `json:"usage,omitzero"`
}

type chunkChoice struct {
	Index    int       `json:"index"`
	Delta    delta     `json:"delta"`
	Logprobs *struct{} `json:"logprobs"`
	Finish   *string   `json:"finish_reason"`
}

// delta's members are absent unless set; content is null before calls.
type delta struct {
	Role      string            `json:"role,omitempty"`
	Content   jsonx.Opt[string] `json:"content,omitzero"`
	ToolCalls []toolCall        `json:"tool_calls,omitempty"`
	Refusal   jsonx.Opt[string] `json:"refusal,omitzero"`
}

func (p *Provider) stream(r *http.Request, c *completion, includeUsage, broken bool) *http.Response {
	body := &streamBody{
		ctx: r.Context(), pace: p.options.Pace, closed: make(chan struct{}),
		completion: c, includeUsage: includeUsage, steps: c.steps(), end: io.EOF,
	}
	if broken {
		body.steps, body.end = body.steps[:len(body.steps)/2], io.ErrUnexpectedEOF
	} else if includeUsage {
		body.steps = append(body.steps, step{kind: tallies}, step{kind: done})
	} else {
		body.steps = append(body.steps, step{kind: done})
	}
	resp := head(r, http.StatusOK, "text/event-stream; charset=utf-8")
	resp.Header.Set("Cache-Control", "no-cache")
	resp.Header.Set("X-Request-Id", "req_"+strings.TrimPrefix(c.id, "chatcmpl-"))
	resp.Body = body
	return resp
}

// step is one event of a stream, not yet written.
type step struct {
	kind   stepKind
	choice int
	call   int
	text   string
}

type stepKind uint8

const (
	opens    stepKind = iota // the role
	says                     // text
	calls                    // a call's name
	argues                   // a part of its arguments
	finishes                 // the finish reason
	tallies                  // the usage
	done                     // [DONE]
)

// steps are the events of all choices.
func (c *completion) steps() []step {
	var list []step
	for i, one := range c.choices {
		list = append(list, step{kind: opens, choice: i})
		for _, piece := range one.pieces {
			list = append(list, step{kind: says, choice: i, text: piece})
		}
		for j, called := range one.calls {
			list = append(list, step{kind: calls, choice: i, call: j})
			for _, piece := range called.pieces {
				list = append(list, step{kind: argues, choice: i, call: j, text: piece})
			}
		}
		list = append(list, step{kind: finishes, choice: i})
	}
	return list
}

// streamBody writes events as they are read, so a reader that stops reading
// stops the stream and nothing runs beside it.
type streamBody struct {
	ctx          context.Context
	pace         time.Duration
	completion   *completion
	includeUsage bool
	steps        []step // still to come
	end          error  // what Read gives after them
	text         []byte // of the current event, not yet read
	begun        bool

	closing sync.Once
	closed  chan struct{}
}

// Read gives at most one event, and waits before each but the first.
func (b *streamBody) Read(p []byte) (int, error) {
	if len(b.text) == 0 {
		if err := b.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, b.text)
	b.text = b.text[n:]
	return n, nil
}

// Close ends the stream and a Read that is waiting.
func (b *streamBody) Close() error {
	b.closing.Do(func() { close(b.closed) })
	return nil
}

func (b *streamBody) next() error {
	pace := b.pace
	// What closes a stream follows its last chunk at once.
	if !b.begun || len(b.steps) == 0 || b.steps[0].kind >= finishes {
		pace = 0
	}
	if err := wait(b.ctx, b.closed, pace); err != nil {
		return err
	}
	if len(b.steps) == 0 {
		return b.end
	}
	text, err := b.event(b.steps[0])
	if err != nil {
		return err
	}
	b.begun, b.steps, b.text = true, b.steps[1:], text
	return nil
}

func (b *streamBody) event(s step) ([]byte, error) {
	if s.kind == done {
		return []byte("data: [DONE]\n\n"), nil
	}
	c := b.completion
	out := chunk{
		ID: c.id, Object: "chat.completion.chunk", Created: c.created, Model: c.model,
		ServiceTier: "default", Fingerprint: fingerprint, Choices: []chunkChoice{},
		Usage: jsonx.Opt[usage]{Set: b.includeUsage, Null: b.includeUsage},
	}
	if s.kind == tallies {
		out.Usage = jsonx.Some(c.usage)
	} else {
		out.Choices = append(out.Choices, c.choices[s.choice].chunk(s))
	}
	text, err := jsonx.Marshal(out)
	if err != nil {
		return nil, err
	}
	return append(append([]byte("data: "), text...), "\n\n"...), nil
}

// chunk is the choice's part of an event.
func (one choice) chunk(s step) chunkChoice {
	out := chunkChoice{Index: s.choice}
	switch s.kind {
	case opens:
		out.Delta = delta{Role: "assistant", Content: jsonx.Opt[string]{Set: true, Null: len(one.calls) > 0}, Refusal: jsonx.Opt[string]{Set: true, Null: true}}
	case says:
		out.Delta.Content = jsonx.Some(s.text)
	case calls:
		called := one.calls[s.call]
		out.Delta.ToolCalls = []toolCall{{Index: &s.call, ID: called.id, Type: "function", Function: calledByName{Name: called.name}}}
	case argues:
		out.Delta.ToolCalls = []toolCall{{Index: &s.call, Function: calledByName{Arguments: s.text}}}
	case finishes:
		out.Finish = new(one.finish)
	case tallies, done:
	}
	return out
}
