package translatetest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"halley/internal/awsstream"
	"halley/internal/sse"
	"halley/internal/translate"
	"halley/test/fakeprovider"
)

// maxEvent bounds one event of a recording.
const maxEvent = 16 << 20

// Happening is an event of a stream as it came: its name and its data.
type Happening struct {
	Name string
	Data []byte
}

// Happenings are the events of a recorded stream in whatever frames it: server-sent
// events, a JSON array, an AWS event stream.
func Happenings(in fakeprovider.Interaction) ([]Happening, error) {
	body := in.Response.Body
	switch {
	case strings.HasPrefix(in.API, "bedrock."):
		return ofAmazon(body)
	case len(body) > 0 && body[0] == '[':
		var elements []json.RawMessage
		if err := json.Unmarshal(body, &elements); err != nil {
			return nil, err
		}
		var list []Happening
		for _, e := range elements {
			list = append(list, Happening{Data: e})
		}
		return list, nil
	}
	return OfSSE(body)
}

// OfSSE are the events of an SSE body, read as the gateway reads them.
func OfSSE(body []byte) (list []Happening, err error) {
	take := func(e []byte) {
		if data, ok := sse.Data(e); ok {
			list = append(list, Happening{string(sse.Name(e)), bytes.Clone(data)})
		}
	}
	r := sse.NewReader(bytes.NewReader(body), nil, maxEvent)
	for {
		err := r.Fill()
		for e := r.Buffered(); e != nil; e = r.Buffered() {
			take(e)
		}
		if errors.Is(err, io.EOF) {
			take(r.Rest())
			return list, nil
		}
		if err != nil {
			return list, err
		}
	}
}

// ofAmazon are the messages of an AWS event stream; InvokeModel's hold the
// model's own events.
func ofAmazon(body []byte) (list []Happening, err error) {
	r := awsstream.NewReader(bytes.NewReader(body), maxEvent)
	for {
		m, err := r.Next()
		if errors.Is(err, io.EOF) {
			return list, nil
		}
		if err != nil {
			return list, err
		}
		data := bytes.Clone(m.Payload)
		if m.Name == "chunk" {
			var chunk struct{ Bytes string }
			if err := json.Unmarshal(data, &chunk); err != nil {
				return list, err
			}
			if data, err = base64.StdEncoding.DecodeString(chunk.Bytes); err != nil {
				return list, err
			}
			list = append(list, Happening{Data: data})
			continue
		}
		list = append(list, Happening{m.Name, data})
	}
}

// Run decodes a stream and ends it.
func Run(d translate.StreamDecoder, list []Happening) (events []translate.Event, err error) {
	emit := func(e translate.Event) { events = append(events, e) }
	for _, h := range list {
		if err := d.Decode(h.Name, h.Data, emit); err != nil {
			return events, err
		}
	}
	return events, d.End(emit)
}

// Written are events in the words of an encoder.
func Written(s translate.StreamEncoder, events []translate.Event) (out []byte) {
	for _, e := range events {
		out = s.Encode(out, e)
	}
	return out
}

// Assembled puts events together.
func Assembled(events []translate.Event) (a *translate.Answer, whole bool, fault *translate.Failure) {
	var y translate.Assembler
	for _, e := range events {
		y.Add(e)
	}
	return y.Answer()
}

// object is a JSON text that must be an object.
func object(text []byte) (v map[string]any, err error) {
	if err := json.Unmarshal(text, &v); err != nil {
		return nil, fmt.Errorf("%w: %s", err, text)
	}
	return v, nil
}
