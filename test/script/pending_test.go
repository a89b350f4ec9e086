package script

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"halley/test/fakeprovider"
)

// pending is a request under way.
type pending struct {
	cancel context.CancelFunc
	first  chan struct{} // closed when the body's first line is here
	done   chan struct{} // closed when the answer has ended
	answer *answer       // read after done
	err    error
}

// cmdBegin NAME METHOD PATH… starts a request in the background. With -wait
// before METHOD it returns when the first line of the answer's body has come,
// otherwise at once.
func (s *session) cmdBegin(ts *testscript.TestScript, args []string) {
	if len(args) < 3 || s.pending[args[0]] != nil {
		ts.Fatalf("usage: begin NAME [-wait] METHOD PATH [options of http], each NAME once")
	}
	name, args := args[0], args[1:]
	wait := args[0] == "-wait"
	if wait {
		args = args[1:]
	}
	request, err := s.request(ts, args)
	ts.Check(err)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	p := &pending{cancel: cancel, first: make(chan struct{}), done: make(chan struct{})}
	s.pending[name] = p
	go p.run(request.WithContext(ctx))
	if !wait {
		return
	}
	select {
	case <-p.first:
	case <-p.done:
		ts.Fatalf("the answer ended before its first line: %v %+v", p.err, p.answer)
	}
}

func (p *pending) run(r *http.Request) {
	defer close(p.done)
	defer p.cancel()
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
	if err != nil {
		p.err = err
		return
	}
	defer resp.Body.Close()
	p.answer = &answer{status: resp.StatusCode, header: resp.Header}
	body := bufio.NewReader(resp.Body)
	line, err := body.ReadBytes('\n')
	p.answer.body = line
	if err == nil {
		close(p.first)
		var rest []byte
		rest, err = io.ReadAll(body)
		p.answer.body = append(p.answer.body, rest...)
	}
	if err != io.EOF {
		p.err = err
	}
}

// cmdFinish NAME STATUS waits for the end of a request and checks its status.
func (s *session) cmdFinish(ts *testscript.TestScript, args []string) {
	if len(args) != 2 || s.pending[args[0]] == nil {
		ts.Fatalf("usage: finish NAME STATUS, after begin NAME")
	}
	p := s.pending[args[0]]
	<-p.done
	ts.Check(p.err)
	s.accept(ts, p.answer, args[1])
}

// cmdAbandon NAME breaks a request off, as a client does that leaves.
func (s *session) cmdAbandon(ts *testscript.TestScript, args []string) {
	if len(args) != 1 || s.pending[args[0]] == nil {
		ts.Fatalf("usage: abandon NAME, after begin NAME")
	}
	p := s.pending[args[0]]
	p.cancel()
	<-p.done
}

// cmdUpstream VAR starts an OpenAI-compatible upstream and puts its base URL
// into the variable. It streams half of its answer, and the rest after release.
func (s *session) cmdUpstream(ts *testscript.TestScript, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: upstream VAR")
	}
	gate := s.gate
	provider := fakeprovider.Start(s.env.T().(testing.TB))
	half := func(w http.ResponseWriter, r *http.Request, _ *fakeprovider.Received) {
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, chunk(`{"index":0,"delta":{"role":"assistant","content":"first half, "},"finish_reason":null}`, ""))
		_ = http.NewResponseController(w).Flush() // a client that has left is no matter here
		select {
		case <-gate:
		case <-r.Context().Done():
			return
		}
		fmt.Fprint(w, chunk(`{"index":0,"delta":{"content":"second half"},"finish_reason":"stop"}`, ""),
			chunk("", `"usage":{"prompt_tokens":10,"completion_tokens":20,"total_tokens":30}`), "data: [DONE]\n\n")
	}
	endpoint := provider.Queue(slices.Repeat([]fakeprovider.Answer{half}, 16)...)
	ts.Setenv(args[0], endpoint.BaseURL)
}

// cmdRelease lets every upstream of the script finish.
func (s *session) cmdRelease(*testscript.TestScript, []string) { close(s.gate) }

// chunk is one event of a chat completion's stream.
func chunk(choice, member string) string {
	if member != "" {
		member = "," + member
	}
	return fmt.Sprintf("data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":%d,\"model\":\"patient\",\"choices\":[%s]%s}\n\n",
		time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Unix(), choice, member)
}
