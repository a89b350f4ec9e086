package fakeprovider

import (
	"bytes"
	"unicode/utf8"
)

// Events cuts an event stream into its events, each with the blank line that
// ends it, so that the pieces joined are the stream again. What follows the last
// blank line is a piece of its own. Comments and lone blank lines go with the
// event they stand before.
func Events(stream []byte) [][]byte {
	var events [][]byte
	start, content := 0, false
	for at := 0; at < len(stream); {
		line := stream[at:]
		if end := bytes.IndexByte(line, '\n'); end >= 0 {
			line = line[:end+1]
		}
		at += len(line)
		if blank := len(bytes.TrimRight(line, "\r\n")) == 0; !blank {
			content = true
		} else if content {
			events = append(events, stream[start:at])
			start, content = at, false
		}
	}
	if start < len(stream) {
		events = append(events, stream[start:])
	}
	return events
}

// EventData is the data of one event: its data lines joined by line feeds. An
// event without a data line, such as a comment, has none.
func EventData(event []byte) ([]byte, bool) {
	var data [][]byte
	for line := range bytes.Lines(event) {
		line = bytes.TrimRight(line, "\r\n")
		if rest, ok := bytes.CutPrefix(line, []byte("data:")); ok {
			data = append(data, bytes.TrimPrefix(rest, []byte(" ")))
		}
	}
	return bytes.Join(data, []byte("\n")), data != nil
}

// Chunking is how a body is cut into separately flushed writes.
type Chunking string

// The chunkings.
const (
	// ByEvent flushes after every event of a stream and sends anything else
	// whole: how a well-behaved provider writes.
	ByEvent Chunking = "by-event"
	// Whole sends the body in one write.
	Whole Chunking = "whole"
	// ByByte flushes after every byte.
	ByByte Chunking = "by-byte"
	// InsideRunes flushes inside every character of several bytes.
	InsideRunes Chunking = "inside-runes"
	// InsideLines flushes in the middle of every line and between the two line
	// feeds that end an event.
	InsideLines Chunking = "inside-lines"
)

// Chunkings are all of them, for tests that go through each.
func Chunkings() []Chunking {
	return []Chunking{ByEvent, Whole, ByByte, InsideRunes, InsideLines}
}

// Cut cuts a body; the pieces joined are the body.
func (c Chunking) Cut(body []byte, sse bool) [][]byte {
	switch c {
	case ByByte:
		return cutBefore(body, func(int) bool { return true })
	case InsideRunes:
		return cutBefore(body, func(i int) bool { return !utf8.RuneStart(body[i]) })
	case InsideLines:
		middle := make(map[int]bool)
		at := 0
		for line := range bytes.Lines(body) {
			middle[at+len(line)/2] = true
			at += len(line)
		}
		return cutBefore(body, func(i int) bool { return middle[i] })
	case Whole:
		return [][]byte{body}
	}
	if sse {
		return Events(body)
	}
	return [][]byte{body}
}

// cutBefore cuts before every index that at picks.
func cutBefore(body []byte, at func(int) bool) [][]byte {
	var pieces [][]byte
	start := 0
	for i := 1; i < len(body); i++ {
		if at(i) {
			pieces = append(pieces, body[start:i])
			start = i
		}
	}
	return append(pieces, body[start:])
}
