package converse

import (
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"halley/internal/jsonx"
	"halley/internal/translate"
	"halley/internal/translate/messages"
)

// encoder writes one request.
type encoder struct {
	c     *translate.Conversation
	to    translate.Target
	model model
	same  bool // the request was made in this dialect
	fit   *messages.Fitted
	w     jsonx.Writer

	documents int // names that were given
}

// EncodeRequest implements translate.Upstream. A request that was made in this
// dialect is written as it was, but for the output bound; one of another is fitted
// to what the model takes. The model stands in the path.
func (Codec) EncodeRequest(c *translate.Conversation, to translate.Target) ([]byte, error) {
	e := &encoder{c: c, to: to, model: modelOf(to.Model), same: c.From == translate.Converse, fit: &messages.Fitted{}}
	if !e.same {
		if err := e.refuse(); err != nil {
			return nil, err
		}
		var err error
		if e.fit, err = messages.Fit(c, to, e.model.formats()); err != nil {
			return nil, err
		}
	}
	e.w.Out = make([]byte, 0, sizeOf(c))
	e.w.Open('{')
	if err := e.writeMessages(); err != nil {
		return nil, err
	}
	e.writeInference()
	if err := e.writeToolConfig(); err != nil {
		return nil, err
	}
	e.writeOutputConfig()
	e.writeModelFields()
	e.writeMetadata()
	e.writeTier()
	e.writeRest()
	e.w.Close('}')
	return e.w.Out, nil
}

// sizeOf is about the length of a request, so that its text is not copied as it
// grows.
func sizeOf(c *translate.Conversation) int {
	size := 512
	for i := range c.Tools {
		size += 128 + len(c.Tools[i].Description) + len(c.Tools[i].Schema)
	}
	for i := range c.Messages {
		for _, p := range c.Messages[i].Parts {
			size += 80
			switch p := p.(type) {
			case *translate.Text:
				size += len(p.Text) + len(p.Text)/16
			case *translate.Media:
				size += len(p.Data)
			case *translate.ToolCall:
				size += len(p.Args)
			case *translate.Thinking:
				size += len(p.Text) + len(p.Signature)
			}
		}
	}
	return size
}

// refuse refuses what would change the answer if it were left out, and drops the
// rest that the dialect has no words for.
func (e *encoder) refuse() error {
	return e.c.Without(
		translate.Lack{Feature: translate.FeatureCandidates, Why: "Amazon Bedrock gives one answer to a request."},
		translate.Lack{Feature: translate.FeatureLogprobs, Why: "Amazon Bedrock does not give log probabilities."},
		translate.Lack{Feature: translate.FeatureTopLogprobs, Why: "Amazon Bedrock does not give log probabilities."},
		translate.Lack{Feature: translate.FeatureLogitBias, Why: "Amazon Bedrock does not take a bias for tokens."},
		translate.Lack{Feature: translate.FeatureModalities, Only: "audio", Why: "Models on Amazon Bedrock do not speak here."},
		translate.Lack{Feature: translate.FeatureModalities, Only: "image", Why: "Models on Amazon Bedrock do not make images here."},
		translate.Lack{Feature: translate.FeatureFrequencyPenalty},
		translate.Lack{Feature: translate.FeaturePresencePenalty},
		translate.Lack{Feature: translate.FeatureSeed},
		translate.Lack{Feature: translate.FeatureVerbosity},
		translate.Lack{Feature: translate.FeatureEndUser},
		translate.Lack{Feature: translate.FeatureCacheKey},
		translate.Lack{Feature: translate.FeatureStore},
		translate.Lack{Feature: translate.FeatureParallelTools},
	)
}

// writeInference writes inferenceConfig, whose temperature and topP end at 1.
func (e *encoder) writeInference() {
	c, f := e.c, e.fit
	bound, temperature, topP := f.MaxTokens, f.Temperature, f.TopP
	if e.same {
		temperature, topP = c.Temperature, c.TopP
		if c.MaxOutput != nil {
			bound = *c.MaxOutput
		}
		if e.to.Cap > 0 {
			bound = e.to.Cap
		}
	} else if temperature != nil && *temperature > 1 {
		temperature = new(1.0)
		c.Drop(translate.FeatureTemperature)
	}
	rest := e.restOf("inferenceConfig")
	if bound <= 0 && temperature == nil && topP == nil && len(c.Stop) == 0 && rest == nil {
		return
	}
	w := &e.w
	w.Name("inferenceConfig")
	w.Open('{')
	if bound > 0 {
		w.Int("maxTokens", bound)
	}
	w.Number("temperature", temperature)
	w.Number("topP", topP)
	if len(c.Stop) > 0 {
		w.Name("stopSequences")
		w.Open('[')
		for _, s := range c.Stop {
			w.String(s)
		}
		w.Close(']')
	}
	writeExtra(w, rest)
	w.Close('}')
}

// restOf is what a request of this dialect has in an object besides what has a
// place of its own.
func (e *encoder) restOf(name string) translate.Extra {
	if !e.same {
		return nil
	}
	return translate.ExtraOf(e.c.Extra.Get(name))
}

// writeOutputConfig writes the format, whose schema is a text here.
func (e *encoder) writeOutputConfig() {
	w, f := &e.w, e.c.Format
	rest := e.restOf("outputConfig")
	native := e.fit.Schema != nil
	if !native && (!e.same || f == nil) && rest == nil {
		return
	}
	w.Name("outputConfig")
	w.Open('{')
	switch {
	case native:
		w.Name("textFormat")
		w.Open('{')
		w.Text("type", "json_schema")
		w.Name("structure")
		w.Open('{')
		w.Name("jsonSchema")
		w.Open('{')
		w.Text("schema", string(e.fit.Schema))
		w.TextIf("name", f.Name)
		w.TextIf("description", f.Description)
		w.Close('}')
		w.Close('}')
		w.Close('}')
	case f != nil:
		w.Raw("textFormat", f.Raw)
	}
	writeExtra(w, rest)
	w.Close('}')
}

// writeModelFields writes what only some models take.
func (e *encoder) writeModelFields() {
	const name = "additionalModelRequestFields"
	if e.same {
		e.w.Raw(name, e.c.Extra.Get(name))
		return
	}
	more := slices.Clone(e.fit.Fields)
	if k := e.fit.TopK; k != nil {
		switch {
		case e.model.claude():
			more = append(more, number("top_k", *k))
		case e.model.nova():
			more = append(more, translate.Member{Name: "inferenceConfig", Value: translate.Extra{number("topK", *k)}.Object()})
		default:
			e.c.Drop(translate.FeatureTopK)
		}
	}
	if r := e.c.Reasoning; r != nil && !e.model.claude() {
		more = append(more, e.reasoning(r)...)
	}
	e.w.Raw(name, more.Object())
}

func number(name string, n int64) translate.Member {
	var w jsonx.Writer
	w.Open('{')
	w.Int(name, n)
	w.Close('}')
	return translate.ExtraOf(w.Out)[0]
}

// reasoning is how a model that is no Claude is told how much to think.
//
// https://docs.aws.amazon.com/nova/latest/nova2-userguide/extended-thinking.html
func (e *encoder) reasoning(r *translate.Reasoning) translate.Extra {
	effort := r.EffortWord()
	switch {
	case e.model.is("amazon.nova-2"):
		if effort == "none" {
			return translate.Extra{{Name: "reasoningConfig", Value: jsontext.Value(`{"type":"disabled"}`)}}
		}
		return translate.Extra{{Name: "reasoningConfig", Value: jsontext.Value(`{"type":"enabled","maxReasoningEffort":"` + threeEfforts(effort) + `"}`)}}
	case e.model.is("openai.gpt-oss"):
		return translate.Extra{{Name: "reasoning_effort", Value: jsontext.Value(`"` + threeEfforts(effort) + `"`)}}
	}
	e.c.Drop(translate.FeatureReasoning)
	return nil
}

// threeEfforts is an effort in the words of models that know three.
func threeEfforts(effort string) string {
	switch effort {
	case "none", "minimal", "low":
		return "low"
	case "high", "xhigh", "max":
		return "high"
	}
	return "medium"
}

// writeMetadata writes requestMetadata, which stands in Amazon's invocation logs
// as OpenAI's metadata does in its own. It takes 16 of up to 256 characters out of
// an alphabet.
//
// https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
func (e *encoder) writeMetadata() {
	m := e.c.Metadata
	if len(m) == 0 {
		return
	}
	names := make([]string, 0, len(m))
	fits := len(m) <= 16
	for name, value := range m {
		names = append(names, name)
		fits = fits && name != "" && logged(name) && logged(value)
	}
	if !fits && !e.same {
		e.c.Drop(translate.FeatureMetadata)
		return
	}
	slices.Sort(names)
	e.w.Name("requestMetadata")
	e.w.Open('{')
	for _, name := range names {
		e.w.Text(name, m[name])
	}
	e.w.Close('}')
}

func logged(s string) bool {
	return len(s) <= 256 && !strings.ContainsFunc(s, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune(" \t\n:_@$#=/+,-.", r))
	})
}

// writeTier writes the service tier: default, flex and priority are words of
// OpenAI's, too.
func (e *encoder) writeTier() {
	tier := e.c.ServiceTier
	switch {
	case tier == "":
		return
	case e.same, tier == "default", tier == "flex", tier == "priority":
		e.w.Name("serviceTier")
		e.w.Open('{')
		e.w.Text("type", tier)
		e.w.Close('}')
	case tier != "auto":
		e.c.Drop(translate.FeatureServiceTier)
	}
}

// passes are members of this dialect that clients of others send along, as their
// SDKs let them: a guardrail has to watch whoever asks.
var passes = [...]string{"guardrailConfig", "performanceConfig"}

// writeRest writes the members that have no place of their own.
func (e *encoder) writeRest() {
	if e.same {
		writeExtra(&e.w, e.c.Extra, "inferenceConfig", "toolConfig", "outputConfig", "additionalModelRequestFields")
		return
	}
	for _, m := range e.c.Extra {
		if slices.Contains(passes[:], m.Name) {
			e.w.Raw(m.Name, m.Value)
		} else {
			e.c.DropField(m.Name)
		}
	}
}
