package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"sync"
	"time"

	"halley/internal/exchange"
	"halley/internal/fault"
	"halley/internal/health"
	"halley/internal/provider"
	"halley/internal/sse"
	"halley/internal/upstream"
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
	wire.Stream
	p       *wire.Progress
	t       *ticket
	a       *ask
	tether  tether
	spoken  bool        // an event that says something has come
	void    bool        // the first event was the end
	said    []byte      // the event by which the upstream has said that it failed, before the answer began
	silence []byte      // what came before that
	gone    bool        // the client has left and the upstream is read on
	unended bool        // the last event forwarded lacks its empty line
	header  http.Header // what of the upstream's goes to the client
	plan    *plan
	native  bool // the upstream speaks the client's dialect
}

// stream forwards the upstream's events as they arrive. Nothing is sent before
// the first event is here; after that, an end that is not the stream's own is
// told with an error event.
func (t *ticket) stream(ctx context.Context, tether tether, call *upstream.Call, a *ask, p *plan, prov provider.Provider, x exchange.Exchange) ending {
	b := buffers.Get().(*streamBuffers) //nolint:forcetypeassert // the pool holds nothing else
	defer func() {
		if cap(b.in) <= 256<<10 && cap(b.out) <= 256<<10 {
			buffers.Put(b)
		}
	}()
	r := &relay{t: t, a: a, tether: tether, Stream: x.Stream(), header: answerHeader(call.Header, x), plan: p, native: !x.Translated()}
	r.p = r.Progress()
	t.relay = r
	events := sse.NewReader(call, b.in, maxEvent)
	var err error
	for err == nil {
		err = events.Fill()
		out, paid := b.out[:0], true
		for e := events.Buffered(); e != nil && paid; e = events.Buffered() {
			out = r.take(out, e)
			paid = r.paid()
		}
		if errors.Is(err, io.EOF) && paid && r.Complete(events.Rest()) {
			out, r.unended = r.take(out, events.Rest()), true
			paid = r.paid()
		}
		b.out = out[:0]
		if len(out) == 0 {
			continue
		}
		if left(ctx) {
			r.leave()
		}
		if !paid {
			return r.cut(call, out)
		}
		if r.silent() {
			if end := r.useless(prov, out); end.again {
				return end
			}
		}
		if r.p.Done && !t.settled {
			r.settle()
			r.keep(out)
			call.Linger(afterDone)
		}
		if r.send(out) != nil && !r.leave() {
			err = ErrClientGone
		}
	}
	return r.finish(ctx, call, err)
}

// silent reports whether the upstream has said nothing yet but that it failed, or
// that this was it.
func (r *relay) silent() bool {
	return !r.t.started && !r.gone && (r.p.Failed || r.void) && r.p.Chunks == 0 && r.p.Finished == 0
}

// useless is the ending of a stream that is silent. An error in the upstream's own
// words goes to the client where there is nowhere else to go, unless it is about
// our credential.
func (r *relay) useless(prov provider.Provider, out []byte) ending {
	t := r.t
	switch {
	case r.p.Unreadable:
		return unusable("a first event that cannot be read", errors.New("the upstream began its stream with something that cannot be read"))
	case !r.p.Failed:
		return unusable("a stream without an answer", errors.New("the upstream ended its stream without an answer"))
	}
	o, ours := ourFault(prov, r.said, "an error as the first event")
	if ours {
		return t.turnedAway(r.plan, prov, o, r.said)
	}
	if o.Class = health.Failed; !t.canMove(r.a, o) {
		return ending{}
	}
	t.theirs = &theirs{plan: r.plan, status: http.StatusOK, header: r.head(), body: r.AppendEnd(bytes.Clone(out)), secret: t.secret}
	return ending{again: true, outcome: o}
}

// head is the header that the answer goes to the client with.
func (r *relay) head() http.Header {
	kind := r.ContentType()
	switch {
	case kind != "":
	case isEventStream(r.header):
		return r.header
	default:
		kind = "text/event-stream"
	}
	h := maps.Clone(r.header)
	h.Set("Content-Type", kind)
	return h
}

// paid reports whether there is money for what has passed. It is asked after each
// event, as one read may bring many of a fast upstream, the end among them.
func (r *relay) paid() bool {
	return r.p.Done || r.p.Finished >= r.a.head.Choices || r.t.covers(most(r.p))
}

// take meters one event and appends to out what the client gets of it.
// Comments before the first event are no answer yet, nor is data that nobody can
// read: as long as nothing else has come, another upstream may still serve. They
// wait, as many as are kept.
func (r *relay) take(out, event []byte) []byte {
	event = r.t.masked(event)
	first := !r.spoken && r.speaks(event)
	if first {
		r.spoken = true
		out, r.silence = append(out, r.silence...), nil
	}
	if r.spoken {
		out = r.Take(out, event)
		r.void = r.void || first && r.p.Done && r.p.Finished == 0
		if r.p.Failed && !r.t.started && r.said == nil {
			r.said = bytes.Clone(event)
		}
		return out
	}
	if len(r.silence)+len(event) <= maxSilence {
		r.silence = r.Take(r.silence, event)
	}
	return out
}

// speaks reports whether an event says something that a client can read.
func (r *relay) speaks(event []byte) bool {
	data, _ := sse.Data(event)
	if len(data) > 0 && (!r.native || isObject(data)) {
		return true
	}
	return r.Complete(event) // an error may stand bare
}

// maxSilence bounds what is kept of what comes before a stream's first event.
const maxSilence = 4 << 10

// send passes events on to the client, the answer's head with the first.
func (r *relay) send(out []byte) error {
	if r.gone {
		return nil
	}
	if !r.t.started {
		r.t.copyAnswerHeader(r.head())
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

// keep keeps the response that stands at the end of the events, before its client
// can know of it.
func (r *relay) keep(events []byte) {
	if r.p.Failed || !r.t.gateway.keepsResponse(r.a) {
		return
	}
	if response := openai.FinalResponse(events); response != nil {
		r.t.keep(r.a, r.plan, r.native, response)
	}
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
	if r.unended {
		out = append(out, "\n\n"...)
	}
	out = r.AppendLengthEnd(out, &r.t.record.Tokens)
	_ = r.send(out) // the client may be gone; everything is settled
	return served()
}

// finish settles and, when the stream was cut, says so.
func (r *relay) finish(ctx context.Context, call *upstream.Call, err error) ending {
	t := r.t
	switch whole := r.p.Done || (errors.Is(err, io.EOF) && (r.p.Finished > 0 || r.p.Failed)); {
	case whole:
		r.settle()
		end := r.AppendEnd(nil)
		r.keep(end)
		if (!t.started || end != nil) && t.record.Status != statusClientGone {
			_ = r.send(end) // the client may be gone; everything is settled
		}
		if r.p.Failed {
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
	var event []byte
	if r.unended {
		event = []byte("\n\n")
	}
	if _, err := r.t.sink.Write(r.AppendFault(event, f, r.t.in.RequestID)); err == nil {
		_ = r.t.sink.Flush() // the client may be gone
	}
}

func interrupted(ctx context.Context, err error) *fault.Error {
	switch {
	case shutDown(ctx):
		return fault.From(shuttingDown())
	case errors.Is(err, upstream.ErrTotal):
		return fault.Wrap(err, fault.GatewayTimeout, codeUpstream, "The upstream took too long altogether; the answer is not complete.")
	case upstream.IsTimeout(err):
		return fault.Wrap(err, fault.GatewayTimeout, codeUpstream, "The upstream stopped sending; the answer is not complete.")
	}
	return fault.Wrap(fmt.Errorf("the upstream cut the stream: %w", err), fault.BadGateway, codeUpstream, "The upstream broke off; the answer is not complete.")
}

// settle charges what the stream is known to have used, and gives it its status
// when nothing else has.
func (r *relay) settle() {
	t := r.t
	if t.settled {
		return
	}
	if t.record.ErrorCode == "" {
		t.record.Status = http.StatusOK
		switch {
		case r.p.Unreadable:
			t.record.Status, t.record.ErrorCode = http.StatusBadGateway, codeUpstream
		case r.p.Failed: // in the upstream's own words
			t.record.ErrorCode = codeUpstream
		}
	}
	if r.p.Tier != "" {
		t.tier = r.p.Tier
	}
	whole := !r.p.Unreadable && (r.p.Done || r.p.Finished > 0)
	tokens, source, ok := total(r.p, whole, func() int64 { return promptEstimate(r.a) })
	if !ok {
		t.refund()
		return
	}
	t.settle(tokens, source)
}
