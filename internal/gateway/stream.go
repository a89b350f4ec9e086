package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"halley/internal/fault"
	"halley/internal/health"
	"halley/internal/sse"
	"halley/internal/upstream"
	"halley/internal/usage"
	"halley/internal/wire"
	"halley/internal/wire/openai"
)

// maxEvent bounds one event of a stream, and with it a stream's memory.
const maxEvent = 16 << 20

// afterDone is how long the upstream may take to end its answer once it has
// said that the stream is complete; ending it lets the connection be used again.
const afterDone = 250 * time.Millisecond

// buffers are the read and write buffers of streams.
//
//nolint:gochecknoglobals // a pool is the one kind of shared state that holds nothing
var buffers = sync.Pool{New: func() any { return &streamBuffers{in: make([]byte, 0, 16<<10), out: make([]byte, 0, 4<<10)} }}

type streamBuffers struct{ in, out []byte }

// relay is one stream on its way through.
type relay struct {
	t         *ticket
	a         *ask
	tether    tether
	meter     meter
	done      bool // the upstream said that the stream is complete
	gone      bool // the client has left and the upstream is read on
	unended   bool // the last event forwarded lacks its empty line
	opened    bool // an event has come that is more than a prelude
	prelude   []byte
	rename    []byte
	wantUsage bool
}

// stream forwards the upstream's events as they arrive. Nothing is sent before
// the first event is here; after that, an end that is not the stream's own is
// told with an error event.
func (t *ticket) stream(ctx context.Context, tether tether, call *upstream.Call, a *ask, p *plan) ending {
	b := buffers.Get().(*streamBuffers) //nolint:forcetypeassert // the pool holds nothing else
	defer func() {
		if cap(b.in) <= 256<<10 && cap(b.out) <= 256<<10 {
			buffers.Put(b)
		}
	}()
	r := &relay{t: t, a: a, tether: tether, wantUsage: a.head.IncludeUsage}
	t.relay = r
	if t.record.ServedModel != a.head.Model {
		r.rename = openai.Quote(a.head.Model)
	}
	events := sse.NewReader(call, b.in, maxEvent)
	var err error
	for err == nil {
		err = events.Fill()
		out, paid := append(b.out[:0], r.prelude...), true
		for e := events.Buffered(); e != nil && paid; e = events.Buffered() {
			out = r.take(out, e)
			paid = r.paid()
		}
		if errors.Is(err, io.EOF) && paid && complete(events.Rest()) {
			out, r.unended = r.take(out, events.Rest()), true
			paid = r.paid()
		}
		b.out = out[:0]
		if len(out) == 0 {
			continue
		}
		if !r.opened && !r.done && !r.meter.failed {
			r.prelude = bytes.Clone(out)
			continue
		}
		r.prelude = nil
		if left(ctx) {
			r.leave()
		}
		if !paid {
			return r.cut(call, out)
		}
		if r.refused() && t.canMove(a) {
			t.theirs = &theirs{plan: p, status: http.StatusOK, header: call.Header, body: bytes.Clone(out), secret: t.secret}
			return ending{again: true, outcome: health.Outcome{Class: health.Failed, Detail: "an error as the first event"}}
		}
		if r.done && !t.settled {
			r.settle()
			call.Linger(afterDone)
		}
		if r.send(call, out) != nil && !r.leave() {
			err = ErrClientGone
		}
	}
	return r.finish(ctx, call, err)
}

// refused reports whether the upstream has said nothing yet but that it failed.
func (r *relay) refused() bool {
	return !r.t.started && !r.gone && r.meter.failed && r.meter.chunks == 0 && r.meter.finished == 0
}

// paid reports whether there is money for what has passed. It is asked after each
// event, as one read may bring many of a fast upstream, the end among them.
func (r *relay) paid() bool {
	return r.done || r.meter.finished >= r.a.head.Choices || r.t.covers(r.meter.most())
}

// isPrelude reports whether a chunk has no choices. Azure begins streams with one
// that says how it has filtered the prompt; it is kept back until the model says
// something, so that a stream which then fails can still be had elsewhere.
func isPrelude(chunk []byte) bool { return bytes.Contains(chunk, []byte(`"choices":[]`)) }

// complete reports whether what stands after the last event is one that only
// lacks its empty line; half an event is nothing, as clients see it too.
func complete(rest []byte) bool {
	from, to, ok := sse.DataSpan(rest)
	if !ok {
		return false
	}
	_, whole := openai.ScanAnswer(rest[from:to])
	return whole || isDone(rest[from:to])
}

func isDone(data []byte) bool { return bytes.Equal(bytes.TrimSpace(data), []byte("[DONE]")) }

// take meters one event and appends to out what the client gets of it.
func (r *relay) take(out, event []byte) []byte {
	event = r.t.masked(event)
	from, to, ok := sse.DataSpan(event)
	if !ok {
		r.opened = true
		return append(out, event...)
	}
	data := event[from:to]
	r.opened = r.opened || !isPrelude(data)
	if isDone(data) {
		r.done = true
		return append(out, event...)
	}
	if scan := r.meter.chunk(data); r.rename == nil && !scan {
		return append(out, event...)
	}
	answer, ok := openai.ScanAnswer(data)
	if !ok {
		return append(out, event...) // same-dialect chunks are not validated
	}
	if answer.IsError {
		r.meter.failed = true
	}
	if answer.ServiceTier != "" {
		r.t.tier, r.meter.tierKnown = answer.ServiceTier, true
	}
	if answer.HasUsage {
		r.meter.report(answer.Usage)
		if answer.NoChoices && !r.wantUsage {
			return out // the chunk that we asked for and the client did not
		}
	}
	if r.rename != nil && answer.ModelAt.Present() {
		at := wire.Span{From: from + answer.ModelAt.From, To: from + answer.ModelAt.To}
		return wire.Apply(out, event, []wire.Edit{{At: at, With: r.rename}})
	}
	return append(out, event...)
}

// send passes events on to the client, the answer's head with the first.
func (r *relay) send(call *upstream.Call, out []byte) error {
	if r.gone {
		return nil
	}
	if !r.t.started {
		r.t.copyAnswerHeader(call.Header)
		r.t.sink.Header().Set("Cache-Control", "no-cache")
		r.t.sink.Header().Set("X-Accel-Buffering", "no") // nginx must not collect a stream
		r.t.begin(http.StatusOK)
		r.t.try.FirstByte(r.t.gateway.Now())
	}
	if _, err := r.t.sink.Write(out); err != nil {
		return err
	}
	return r.t.sink.Flush()
}

// leave notes that the client has gone, and reports whether the upstream is
// read on.
func (r *relay) leave() bool {
	if r.gone {
		return true
	}
	r.t.gone()
	r.tether.startLimit() // a client that does not read is still connected
	r.gone = r.tether.drains
	return r.gone
}

// cut ends a stream whose money has run out: the client gets what has passed and
// a proper end, the upstream is let go, and what was metered is charged.
func (r *relay) cut(call *upstream.Call, out []byte) ending {
	call.Close() // it works no more for money that is not there
	if r.t.record.Status != statusClientGone {
		r.t.record.Status, r.t.record.ErrorCode = http.StatusOK, r.t.hold.Scarce()
	}
	r.settle()
	var reported *usage.Tokens
	if r.wantUsage {
		reported = &r.t.record.Tokens
	}
	if r.unended {
		out = append(out, "\n\n"...)
	}
	out = openai.AppendLengthEnd(out, r.meter.head[:r.meter.size], r.a.head.Model, int(r.a.head.Choices), reported)
	_ = r.send(call, out) // the client may be gone; everything is settled
	return served()
}

// finish settles and, when the stream was cut, says so.
func (r *relay) finish(ctx context.Context, call *upstream.Call, err error) ending {
	t := r.t
	switch whole := r.done || (errors.Is(err, io.EOF) && (r.meter.finished > 0 || r.meter.failed)); {
	case whole:
		r.settle()
		if !t.started && t.record.Status != statusClientGone {
			_ = r.send(call, nil) // the client may be gone; everything is settled
		}
		if r.meter.failed {
			return ending{outcome: health.Outcome{Class: health.Failed, Detail: "an error event"}}
		}
		return served()
	case t.record.Status == statusClientGone || left(ctx):
		t.gone()
		r.settle()
		if !t.started {
			return leftAlone(clientGone())
		}
		r.tell(clientGone())
		return leftAlone(nil)
	case t.started:
		f := interrupted(ctx, err)
		t.refuse(f)
		r.settle()
		r.tell(f)
		if shutDown(ctx) {
			return leftAlone(nil)
		}
		return ending{outcome: health.Outcome{Class: health.Failed, Detail: "the stream broke off"}}
	case errors.Is(err, io.EOF):
		// Nothing has been sent: an honest error answer is still possible.
		return unusable("the stream ended before its first event", errors.New("the upstream ended the stream before its first event"))
	}
	return broken(err)
}

// tell ends an answer that has begun and will not be complete.
func (r *relay) tell(f *fault.Error) {
	event := []byte("data: ")
	if r.unended {
		event = []byte("\n\ndata: ")
	}
	event = append(event, openai.Error(f, r.t.in.RequestID)...)
	if _, err := r.t.sink.Write(append(event, "\n\n"...)); err == nil {
		_ = r.t.sink.Flush() // the client may be gone
	}
}

func interrupted(ctx context.Context, err error) *fault.Error {
	switch {
	case shutDown(ctx):
		return fault.From(shuttingDown())
	case errors.Is(err, upstream.ErrTotal):
		return fault.Wrap(err, fault.GatewayTimeout, "upstream_error", "The upstream took too long altogether; the answer is not complete.")
	case upstream.IsTimeout(err):
		return fault.Wrap(err, fault.GatewayTimeout, "upstream_error", "The upstream stopped sending; the answer is not complete.")
	}
	return fault.Wrap(fmt.Errorf("the upstream cut the stream: %w", err), fault.BadGateway, "upstream_error", "The upstream broke off; the answer is not complete.")
}

// settle charges what the stream is known to have used, and gives it its status
// when nothing else has.
func (r *relay) settle() {
	m, t := &r.meter, r.t
	if t.settled {
		return
	}
	if t.record.ErrorCode == "" {
		t.record.Status = http.StatusOK
		if m.failed { // in the upstream's own words
			t.record.ErrorCode = "upstream_error"
		}
	}
	tokens, source, ok := m.total(r.done || m.finished > 0, func() int64 { return promptEstimate(r.a) })
	if !ok {
		t.refund()
		return
	}
	t.settle(tokens, source)
}
