package chaos_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// order is a request that a client makes.
type order struct {
	script
	Key    *purse
	Node   int
	Model  string
	Stream bool
	Cap    int64 // max_tokens
	// LeaveAfter is the number of output tokens after which the client hangs up,
	// of a plain answer the time that so many take; negative for never.
	LeaveAfter int64
}

// body is the request's. Its prompt is what a token has four bytes of.
func (o *order) body() string {
	return fmt.Sprintf(`{"model":%q,"stream":%t,"max_tokens":%d,"messages":[{"role":"user","content":"Tell me more about comets, %s."}]}`, o.Model, o.Stream, o.Cap, o.ID)
}

// seen is what the client saw of its request.
type seen struct {
	order
	Begin, End time.Time
	Status     int    // 0 when no answer came
	Code       string // of an error answer
	Tokens     int64  // of output that arrived
	Finish     string // finish_reason
	Whole      bool   // the answer ended as its dialect says
	ErrorEvent bool   // the stream ended with an error event
	Left       bool   // the client hung up
	Err        error  // what broke the connection
}

// client sends requests, each on a connection of its own, so that what a dead
// process leaves in a pool is no part of the test.
type client struct {
	http *http.Client
	urls []string // of the nodes
}

func newClient(urls []string) *client {
	return &client{urls: urls, http: &http.Client{
		Timeout:   time.Minute,
		Transport: &http.Transport{DisableKeepAlives: true},
	}}
}

// send makes the request and follows it to its end.
func (c *client) send(ctx context.Context, o order) (s seen) {
	s = seen{order: o, Begin: time.Now()}
	defer func() { s.End = time.Now() }()
	body := o.body()
	s.Prompt = int64(len(body)+3) / 4
	about, err := json.Marshal(s.script)
	if err != nil {
		panic(err) // strings and numbers always marshal
	}
	ctx, hangUp := context.WithCancel(ctx)
	defer hangUp()
	leave := func() {
		s.Left = true
		hangUp()
	}
	if o.LeaveAfter == 0 || (!o.Stream && o.LeaveAfter > 0) {
		// At once, or in the middle of a plain answer: before anything is here.
		timer := time.AfterFunc(time.Duration(o.LeaveAfter/o.Chunk)*o.Pace, hangUp)
		defer timer.Stop()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.urls[o.Node]+"/v1/chat/completions", strings.NewReader(body))
	if err != nil {
		panic(err) // the nodes' addresses are well-formed
	}
	req.Header = http.Header{
		"Content-Type": {"application/json"}, "Authorization": {"Bearer " + o.Key.Value},
		"X-Request-Id": {o.ID}, scriptHeader: {string(about)},
	}
	resp, err := c.http.Do(req)
	if err != nil {
		s.fail(ctx, err)
		return s
	}
	defer resp.Body.Close()
	s.Status = resp.StatusCode
	if o.Stream && resp.StatusCode == http.StatusOK {
		s.readStream(ctx, resp.Body, leave)
		return s
	}
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		s.fail(ctx, err)
		return s
	}
	s.readPlain(text)
	return s
}

// fail notes why there is no more; a client that hung up has itself to blame.
func (s *seen) fail(ctx context.Context, err error) {
	if ctx.Err() != nil {
		s.Left = true
		return
	}
	s.Err = err
}

func (s *seen) readPlain(text []byte) {
	var answer struct {
		Choices []struct {
			Message      struct{ Content string }
			FinishReason string `json:"finish_reason"`
		}
		Error struct{ Code string }
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		s.Err = fmt.Errorf("status %d is no JSON: %w", s.Status, err)
		return
	}
	if s.Code = answer.Error.Code; s.Code != "" || len(answer.Choices) == 0 {
		return
	}
	s.Tokens = int64(len(answer.Choices[0].Message.Content) / len(word))
	s.Finish, s.Whole = answer.Choices[0].FinishReason, true
}

func (s *seen) readStream(ctx context.Context, body io.Reader, leave func()) {
	lines := bufio.NewReader(body)
	for {
		line, err := lines.ReadSlice('\n')
		if err != nil {
			if !s.Whole && !s.ErrorEvent {
				s.fail(ctx, err)
			}
			return
		}
		data, ok := bytes.CutPrefix(line, []byte("data: "))
		switch {
		case !ok:
		case bytes.HasPrefix(data, []byte("[DONE]")):
			s.Whole = true
		case bytes.Contains(data, []byte(`"error":{`)):
			s.ErrorEvent = true
			_, code, _ := bytes.Cut(data, []byte(`"code":"`))
			code, _, _ = bytes.Cut(code, []byte(`"`))
			s.Code = string(code)
		default:
			s.Tokens += int64(bytes.Count(data, []byte(word)))
			if _, reason, found := bytes.Cut(data, []byte(`"finish_reason":"`)); found {
				reason, _, _ = bytes.Cut(reason, []byte(`"`))
				s.Finish = string(reason)
			}
		}
		if s.LeaveAfter > 0 && s.Tokens >= s.LeaveAfter && !s.Whole && !s.ErrorEvent {
			leave()
			return
		}
	}
}
