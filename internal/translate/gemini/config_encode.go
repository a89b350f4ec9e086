package gemini

import (
	"math"
	"strings"

	"halley/internal/translate"
)

// writeConfig writes generationConfig, which is left out when it says nothing.
func (e *encoder) writeConfig() error {
	c, w := e.c, &e.w
	if !e.same {
		if err := e.refuse(); err != nil {
			return err
		}
	}
	before := len(w.Out)
	w.Name("generationConfig")
	w.Open('{')
	empty := len(w.Out)
	bound := c.MaxOutput
	if e.to.Cap > 0 {
		bound = &e.to.Cap
	}
	e.writeInt("maxOutputTokens", bound)
	e.writeInt("candidateCount", c.Candidates)
	w.Number("temperature", c.Temperature)
	w.Number("topP", c.TopP)
	e.writeInt("topK", c.TopK)
	e.writeInt("seed", e.seed())
	w.Number("presencePenalty", c.PresencePenalty)
	w.Number("frequencyPenalty", c.FrequencyPenalty)
	e.writeStrings("stopSequences", c.Stop)
	e.writeLogprobs()
	if err := e.writeFormat(); err != nil {
		return err
	}
	e.writeThinkingConfig()
	e.writeModalities()
	if e.same {
		w.Raw("speechConfig", c.Audio)
		writeExtraOf(w, c.Extra, ofConfig)
	}
	if len(w.Out) == empty {
		w.Out = w.Out[:before]
		return nil
	}
	w.Close('}')
	return nil
}

func (e *encoder) writeInt(name string, n *int64) {
	if n != nil {
		e.w.Int(name, *n)
	}
}

// seed is the seed in the 32 bits that the dialect has for it: another number for
// one that needs more, but always the same.
func (e *encoder) seed() *int64 {
	seed := e.c.Seed
	if seed == nil || e.same || *seed >= math.MinInt32 && *seed <= math.MaxInt32 {
		return seed
	}
	return new(int64(int32(*seed ^ *seed>>32))) //nolint:gosec // cutting it is the purpose
}

func (e *encoder) writeLogprobs() {
	c := e.c
	if c.Logprobs != nil && (*c.Logprobs || e.same) {
		e.w.Flag("responseLogprobs", *c.Logprobs)
	}
	if c.TopLogprobs != nil && (*c.TopLogprobs > 0 || e.same) {
		e.w.Int("logprobs", *c.TopLogprobs)
	}
}

// writeFormat writes how the text must be formed.
func (e *encoder) writeFormat() error {
	f := e.c.Format
	switch {
	case f == nil:
		return nil
	case e.same:
		for _, m := range translate.ExtraOf(f.Raw) {
			e.w.Raw(m.Name, m.Value)
		}
		return nil
	case f.Kind == translate.PlainText:
		return nil
	case f.Kind == translate.OtherFormat:
		return e.c.Refuse(translate.FeatureFormat, "The model's upstream does not know this kind of output format.")
	case len(e.c.Tools) > 0 && !e.model.checksSignatures():
		return e.c.Refuse(translate.FeatureFormat, "Gemini models before 3 cannot have tools and a JSON output format in one request.")
	}
	e.w.Text("responseMimeType", "application/json")
	if f.Kind == translate.JSONSchema {
		e.w.Raw("responseJsonSchema", clean(f.Schema))
	}
	return nil
}

// writeThinkingConfig writes how much the model shall think, in the words of its
// generation: tokens for 2.5, levels from 3 on. Thoughts are shown where the
// client's dialect has them in every answer that was thought about, and to Chat
// clients that say how much the model shall think: servers of that dialect show
// them in reasoning_content, and clients that do not know that leave it alone.
func (e *encoder) writeThinkingConfig() {
	t := e.c.Reasoning
	if t == nil {
		return
	}
	if e.same {
		e.w.Raw("thinkingConfig", t.Raw)
		return
	}
	if !e.model.thinks() {
		if !t.Off {
			e.c.Drop(translate.FeatureReasoning)
		}
		return
	}
	show := t.Summary != "" && t.Summary != "none" || e.c.From == translate.Messages || e.c.From == translate.Chat && t.EffortWord() != "none"
	if t.Show != nil {
		show = *t.Show
	}
	effort := t.EffortWord()
	e.w.Name("thinkingConfig")
	e.w.Open('{')
	if e.model.version >= 3 {
		if effort != "" {
			level, exact := e.model.level(effort)
			e.w.Text("thinkingLevel", level)
			if !exact {
				e.c.Drop(translate.FeatureReasoning)
			}
		}
	} else if tokens, ok := t.BudgetTokens(); ok {
		fitted := e.model.budget(tokens)
		e.w.Int("thinkingBudget", fitted)
		if tokens == 0 && fitted > 0 {
			e.c.Drop(translate.FeatureReasoning)
		}
	} else if t.Adaptive {
		e.w.Int("thinkingBudget", -1)
	}
	if show && !t.Off {
		e.w.Flag("includeThoughts", true)
	}
	e.w.Close('}')
}

func (e *encoder) writeModalities() {
	c := e.c
	if len(c.Modalities) == 0 || e.same && c.Extra.Get(ofConfig+"responseModalities") != nil {
		return
	}
	list := []string{"TEXT"}
	for _, m := range c.Modalities {
		list = append(list, strings.ToUpper(m))
	}
	e.writeStrings("responseModalities", list)
}

// maxStops is how many stop sequences Google takes.
const maxStops = 5

// refuse refuses what would change the answer if it were left out, and drops the
// rest that the dialect has no words for.
func (e *encoder) refuse() error {
	if len(e.c.Stop) > maxStops {
		return e.c.Refuse(translate.FeatureStop, "%s", "Gemini takes at most 5 stop sequences.")
	}
	return e.c.Without(
		translate.Lack{Feature: translate.FeatureLogitBias, Why: "Gemini does not take a bias for tokens."},
		translate.Lack{Feature: translate.FeatureModalities, Only: "audio", Why: "Gemini cannot be told how to speak in the words of another dialect."},
		translate.Lack{Feature: translate.FeatureAudio},
		translate.Lack{Feature: translate.FeatureVerbosity},
		translate.Lack{Feature: translate.FeatureEndUser},
		translate.Lack{Feature: translate.FeatureMetadata},
		translate.Lack{Feature: translate.FeatureCacheKey},
		translate.Lack{Feature: translate.FeatureStore},
	)
}
