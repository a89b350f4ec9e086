package gemini

import (
	"strconv"
	"strings"
)

// model is what a model's name tells about it.
type model struct {
	version float64 // 2.5; 3 for names that tell none, since those are new
	pro     bool
	lite    bool
	// special models make images or speech, or are no Gemini.
	special bool
}

// modelOf reads a model's name, with or without what stands before it in a path.
func modelOf(name string) model {
	name = name[strings.LastIndexByte(name, '/')+1:]
	m := model{version: 3, pro: strings.Contains(name, "pro"), lite: strings.Contains(name, "lite")}
	m.special = strings.HasPrefix(name, "gemma") || strings.HasPrefix(name, "learnlm")
	for _, word := range []string{"-image", "-tts", "-live", "-audio", "embedding", "computer-use"} {
		m.special = m.special || strings.Contains(name, word)
	}
	rest, ok := strings.CutPrefix(name, "gemini-")
	if !ok {
		return m
	}
	number, _, _ := strings.Cut(rest, "-")
	if v, err := strconv.ParseFloat(number, 64); err == nil && v > 0 {
		m.version = v
	}
	return m
}

// checksSignatures tells the models that refuse a call of an earlier turn without
// its thought signature, combine functions with structured output and with the
// provider's tools, and take media in what a function answers.
func (m model) checksSignatures() bool { return m.version >= 3 }

// thinks tells the models that take a thinkingConfig.
func (m model) thinks() bool { return m.version >= 2.5 && !m.special }

// level is the thinkingLevel of Gemini 3 that comes nearest to an effort; exact
// says whether it means the same. Pro models do not take the lowest, and the
// first of them only two.
func (m model) level(effort string) (level string, exact bool) {
	switch effort {
	case "none", "minimal":
		if m.pro {
			return "LOW", false
		}
		return "MINIMAL", effort == "minimal"
	case "low":
		return "LOW", true
	case "medium":
		if m.pro && m.version == 3 {
			return "HIGH", false
		}
		return "MEDIUM", true
	}
	return "HIGH", effort == "high"
}

// budget brings a thinkingBudget into the range that Google documents for the
// models of 2.5.
func (m model) budget(tokens int64) int64 {
	switch {
	case m.pro:
		return min(max(tokens, 128), 32768)
	case tokens == 0:
		return 0
	case m.lite:
		return min(max(tokens, 512), 24576)
	}
	return min(tokens, 24576)
}
