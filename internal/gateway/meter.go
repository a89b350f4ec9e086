package gateway

import (
	"bytes"

	"halley/internal/usage"
)

// meter reads a stream's chunks once, as they pass, for what they cost.
type meter struct {
	usage     usage.Tokens // the last the provider reported
	hasUsage  bool
	chunks    int64 // chunks with output in them
	ascii     int   // bytes of output
	other     int
	told      struct{ ascii, other int } // of those, what had passed at the report
	finished  int64                      // how many finish_reasons have passed
	failed    bool                       // an error event has passed
	tierKnown bool                       // the service tier has passed

	// head is how the chunks of this stream begin, up to their choices: the
	// same bytes each time, read once.
	head [256]byte
	size int
}

// chunk counts a chunk's output, and reports whether the chunk says something
// beyond it that is worth a proper scan. It goes from string to string, so that
// nothing inside a text is mistaken for a member.
func (m *meter) chunk(data []byte) (scan bool) {
	before := m.ascii + m.other
	i := 0
	if m.size > 0 && bytes.HasPrefix(data, m.head[:m.size]) {
		i = m.size
	}
	for {
		quote := bytes.IndexByte(data[i:], '"')
		if quote < 0 {
			break
		}
		from := i + quote
		to := stringEnd(data, from)
		value := afterColon(data, to+1)
		if value < 0 { // a string that is no member's name
			i = min(to+1, len(data))
			continue
		}
		i = value
		switch first := data[value]; string(data[from+1 : to]) {
		case "content", "arguments", "reasoning_content", "reasoning", "refusal", "transcript":
			if first == '"' {
				end := stringEnd(data, value)
				m.count(data[value+1 : end])
				i = min(end+1, len(data))
			}
		case "finish_reason":
			if first == '"' && finishes(data[value:]) {
				m.finished++
			}
		case "usage", "error":
			scan = scan || first != 'n'
		case "choices":
			if !scan && from <= len(m.head) && m.ascii+m.other == before {
				m.size = copy(m.head[:], data[:from])
			}
		case "service_tier":
			scan = scan || (!m.tierKnown && first == '"')
		}
	}
	if m.ascii+m.other > before {
		m.chunks++
	}
	return scan
}

// finishes reports whether a finish_reason gives a reason; some servers have an
// empty one in every chunk.
func finishes(reason []byte) bool {
	return !bytes.HasPrefix(reason, []byte(`""`)) && !bytes.HasPrefix(reason, []byte(`"null"`))
}

// stringEnd is the offset of the quote that ends the JSON string at b[from];
// len(b) when it does not end.
func stringEnd(b []byte, from int) int {
	for i := from + 1; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return len(b)
}

// afterColon is the offset of the value when a colon stands at i; else -1.
func afterColon(b []byte, i int) int {
	i = skipBlanks(b, i)
	if i >= len(b) || b[i] != ':' {
		return -1
	}
	if i = skipBlanks(b, i+1); i >= len(b) {
		return -1
	}
	return i
}

func skipBlanks(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\n' || b[i] == '\r') {
		i++
	}
	return i
}

func (m *meter) count(text []byte) {
	for _, c := range text {
		if c < 0x80 {
			m.ascii++
		} else {
			m.other++
		}
	}
}

// report takes what the provider says was used so far.
func (m *meter) report(u usage.Tokens) {
	m.usage, m.hasUsage = u, true
	m.told.ascii, m.told.other = m.ascii, m.other
}

// total is what the stream used, given whether it is whole and what its prompt
// is estimated at. The provider's last word counts; output that passed after it
// comes on top, and all output where a stream that broke off was said to have
// none so far. ok is false when it broke off before any output.
func (m *meter) total(whole bool, prompt func() int64) (t usage.Tokens, source usage.Source, ok bool) {
	t, source = m.usage, usage.FromProvider
	since := textTokens(m.ascii-m.told.ascii, m.other-m.told.other)
	if m.hasUsage && since == 0 && (whole || t.Completion > 0) {
		return t, source, true
	}
	if t.Completion == 0 {
		since = m.tokens()
	}
	t.Completion += since
	switch {
	case since > 0:
		source = usage.Metered
	case m.finished > 0: // an answer without a word in it
		source = usage.Estimated
	default:
		return usage.Tokens{}, usage.NoUsage, false
	}
	if t.Prompt == 0 {
		t.Prompt = prompt()
	}
	return t, source, true
}

// tokens estimates the output: at least one for each chunk that had any is too
// much for servers that send letters and too little for those that send
// sentences, so the bytes decide.
func (m *meter) tokens() int64 { return textTokens(m.ascii, m.other) }

// most is an upper estimate of the output's tokens so far.
func (m *meter) most() int64 { return max(m.chunks, int64(m.ascii*4+m.other*7)/10) }
