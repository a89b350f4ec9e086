package messages

import "strings"

// model is what a model's name says about what it can do. Names come as
// Anthropic writes them (claude-opus-4-6, claude-3-7-sonnet-20250219), as the
// clouds do (us.anthropic.claude-sonnet-4-5-20250929-v1:0,
// claude-sonnet-4-5@20250929) and as resellers do (anthropic/claude-opus-4.6).
//
// The facts below each method are of Anthropic's pages on thinking, effort,
// structured outputs and of its migration guides, as of October 2026. They are
// written as version bounds, so that a new model of a line is taken for one like
// the last.
type model struct {
	claude  bool
	family  string // "opus", "sonnet", "haiku", "fable", "mythos"; "" when it is not in the name
	version int    // 45 for 4.5; 0 when it is not in the name
}

func modelOf(name string) (m model) {
	_, after, ok := strings.Cut(strings.ToLower(name), "claude")
	if !ok {
		return m
	}
	m.claude = true
	numbers := 0
	last := -1 // where the last number stood
	for i, word := range strings.FieldsFunc(after, func(r rune) bool { return strings.ContainsRune("-_.@:/ ", r) }) {
		switch word {
		case "opus", "sonnet", "haiku", "fable", "mythos":
			m.family = word
			continue
		}
		n, isNumber := smallNumber(word)
		switch {
		case !isNumber:
		case numbers == 0:
			m.version, numbers, last = 10*n, 1, i
		case numbers == 1 && last == i-1 && n < 10:
			m.version, numbers = m.version+n, 2
		}
	}
	if m.version == 0 && (m.family == "fable" || m.family == "mythos") {
		m.version = 51 // such as claude-mythos-preview, which has the limits of those
	}
	return m
}

// smallNumber is a number of one or two digits; dates are longer.
func smallNumber(word string) (n int, ok bool) {
	if len(word) > 2 {
		return 0, false
	}
	for _, c := range word {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + int(c-'0')
	}
	return n, word != ""
}

// known tells a Claude model of a known version from all that only speak the
// dialect: of those, nothing is assumed.
func (m model) known() bool { return m.claude && m.version > 0 }

// thinks: from Claude 3.7 on.
func (m model) thinks() bool { return !m.known() || m.version >= 37 }

// adaptive: thinking {"type": "adaptive"} and output_config.effort, from 4.6 on;
// before, thinking has a budget.
func (m model) adaptive() bool { return m.known() && m.version >= 46 }

// thinksUnasked: thinking is on when the request does not say, from 5 on.
func (m model) thinksUnasked() bool { return m.known() && m.version >= 50 }

// cannotStop: {"type": "disabled"} is refused, by Fable and Mythos and from 5.5
// on.
func (m model) cannotStop() bool {
	return m.family == "fable" || m.family == "mythos" || m.known() && m.version >= 55
}

// effort is the word that the model knows for an effort: low, medium, high and
// max from 4.6 on (a recorded error of Opus 4.6 lists them), xhigh from 4.7 on.
func (m model) effort(word string) string {
	switch word {
	case "none", "minimal":
		return "low"
	case "xhigh":
		if m.version < 47 {
			return "max"
		}
	}
	return word
}

// samples: temperature, top_p and top_k are taken, until 4.7.
func (m model) samples() bool { return !m.known() || m.version < 47 }

// oneSampler: temperature and top_p exclude each other, from 4.1 on.
func (m model) oneSampler() bool { return m.known() && m.version >= 41 }

// forcible: tool_choice any and tool are taken, until Fable 5.1.
func (m model) forcible() bool { return !m.known() || m.version < 51 }

// formats: output_config.format is taken, from 4.5 on. Bedrock refuses it for
// Opus 4.7, and on Vertex AI an organization's policy forbids it unless it was
// allowed, so there it is used only with models that cannot be forced instead.
func (m model) formats(p Platform) bool {
	switch {
	case !m.known() || m.version < 45:
		return false
	case p == Vertex:
		return !m.forcible()
	case p == Bedrock:
		return m.family != "opus" || m.version != 47
	}
	return true
}

// hearsSystem: a message of the role system may stand behind one of the user,
// from Opus 4.8 on.
func (m model) hearsSystem() bool { return m.known() && m.version >= 48 }
