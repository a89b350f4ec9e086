package converse

import "strings"

// model is what a model's name says about what it takes in this dialect. Names
// are ids (amazon.nova-2-lite-v1:0), with the prefix of an inference profile
// (us.amazon.…), or ARNs that end in either; what an application inference profile
// stands for, its name does not tell, and nothing is assumed of it.
type model struct{ name string }

func modelOf(name string) model { return model{strings.ToLower(name)} }

func (m model) is(words ...string) bool {
	for _, word := range words {
		if strings.Contains(m.name, word) {
			return true
		}
	}
	return false
}

func (m model) claude() bool { return m.is("claude") }
func (m model) nova() bool   { return m.is("amazon.nova") }

// formats: outputConfig.textFormat is taken, by open-weight models among others.
// Of Claude models package messages knows. Amazon's page on structured outputs
// names the families, and there are recordings of all but the last two.
//
// https://docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html
func (m model) formats() bool {
	return m.is("google.gemma", "minimax.", "mistral.mistral-large-3", "mistral.ministral", "mistral.magistral", "mistral.voxtral",
		"nvidia.nemotron", "qwen.", "zai.glm", "openai.gpt-oss", "deepseek.v3", "moonshot")
}

// caches: cachePoint is taken.
//
// https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html
func (m model) caches() bool { return m.claude() || m.nova() }

// cachesTools: cachePoint is taken among tools; not by Nova.
func (m model) cachesTools() bool { return m.claude() }
