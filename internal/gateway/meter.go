package gateway

import (
	"bytes"

	"halley/internal/channel"
	"halley/internal/usage"
)

// meter reads a stream's chunks once, as they pass, for what they cost.
type meter struct {
	usage     usage.Tokens // the last the provider reported
	hasUsage  bool
	chunks    int64 // chunks with output in them
	ascii     int   // bytes of output
	other     int
	finished  bool // a finish_reason has passed
	failed    bool // an error event has passed
	tierKnown bool // the service tier has passed
}

// outputMembers are the members of a chunk whose strings are output.
//
//nolint:gochecknoglobals // a constant table
var outputMembers = [...][]byte{[]byte(`"content":`), []byte(`"arguments":`), []byte(`"reasoning_content":`), []byte(`"reasoning":`), []byte(`"refusal":`)}

// chunk counts a chunk's output.
func (m *meter) chunk(data []byte) {
	if m.text(data) {
		m.chunks++
	}
	if !m.finished {
		m.finished = finishes(data)
	}
}

// text counts the bytes of every output string in a chunk or an answer.
func (m *meter) text(data []byte) (found bool) {
	for _, name := range outputMembers {
		rest := data
		for {
			at := bytes.Index(rest, name)
			if at < 0 {
				break
			}
			rest = bytes.TrimLeft(rest[at+len(name):], " \t\r\n")
			if len(rest) == 0 || rest[0] != '"' {
				continue
			}
			end := stringEnd(rest)
			for _, c := range rest[1:end] {
				if c < 0x80 {
					m.ascii++
				} else {
					m.other++
				}
			}
			found = found || end > 1
			rest = rest[end:]
		}
	}
	return found
}

// stringEnd is the offset of the quote that ends the JSON string at b[0].
func stringEnd(b []byte) int {
	for i := 1; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return len(b)
}

// finishes reports whether a chunk carries a finish_reason that is not null.
func finishes(data []byte) bool {
	name := []byte(`"finish_reason":`)
	for {
		at := bytes.Index(data, name)
		if at < 0 {
			return false
		}
		data = bytes.TrimLeft(data[at+len(name):], " \t\r\n")
		if len(data) > 0 && data[0] == '"' {
			return true
		}
	}
}

// worthAScan reports whether a chunk may say something beyond its text.
func (m *meter) worthAScan(data []byte) bool {
	return says(data, []byte(`"usage":`)) || says(data, []byte(`"error":`)) || (!m.tierKnown && says(data, []byte(`"service_tier":`)))
}

// says reports whether data holds the member with a value that is not null.
func says(data, name []byte) bool {
	for {
		at := bytes.Index(data, name)
		if at < 0 {
			return false
		}
		data = bytes.TrimLeft(data[at+len(name):], " \t\r\n")
		if len(data) > 0 && data[0] != 'n' {
			return true
		}
	}
}

// tokens estimates the output: at least one for each chunk that had any is too
// much for servers that send letters and too little for those that send
// sentences, so the bytes decide.
func (m *meter) tokens() int64 { return textTokens(m.ascii, m.other) }

// drains reports whether the upstream is read on when the client leaves.
func (p *plan) drains() bool { return p.channel.OnDisconnect == channel.Drain }
