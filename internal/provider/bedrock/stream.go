package bedrock

import (
	"encoding/base64"
	"fmt"

	"halley/internal/awsstream"
	"halley/internal/jsonx"
	"halley/internal/translate/converse"
	"halley/internal/translate/messages"
	"halley/internal/wire"
)

// plainly makes events of ConverseStream's messages. An error of the framing
// itself, which has no payload, becomes like the exceptions.
func plainly(dst []byte, m awsstream.Message) ([]byte, error) {
	if m.Type == "error" {
		m.Name = "error"
	}
	return awsstream.Append(dst, m.Name, saying(m)), nil
}

// saying is the payload, or, of an error of the framing itself, what would be one.
func saying(m awsstream.Message) []byte {
	if m.Type != "error" {
		return m.Payload
	}
	var w jsonx.Writer
	w.Open('{')
	w.Text("message", m.Text)
	w.Close('}')
	return w.Out
}

// unwrap makes events of Anthropic's Messages out of the chunks that
// InvokeModelWithResponseStream puts them in, and of exceptions its error event.
//
// https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_InvokeModelWithResponseStream.html
func unwrap(dst []byte, m awsstream.Message) ([]byte, error) {
	if m.Type != "event" {
		failure := converse.Exception(m.Name, saying(m))
		return awsstream.Append(dst, "error", messages.Codec{}.EncodeFailure(failure, "")), nil
	}
	coded := wire.Find(m.Payload, "bytes").Of(m.Payload)
	if len(coded) < 2 || coded[0] != '"' {
		return dst, nil // what is yet to come
	}
	data, err := base64.StdEncoding.AppendDecode(nil, coded[1:len(coded)-1])
	if err != nil {
		return dst, fmt.Errorf("a chunk of the stream is not base64: %w", err)
	}
	return awsstream.Append(dst, kindOf(data), data), nil
}

// kindOf is the event's type, which Anthropic's streams have as its name, too.
func kindOf(data []byte) string { return wire.Text(wire.Get(data, "type")) }
