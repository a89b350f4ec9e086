package messages

import (
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"halley/internal/jsonx"
	"halley/internal/translate"
	"halley/internal/wire"
)

// DefaultMaxTokens is the output bound when neither the request nor the target
// has one: what every Claude model can give. The dialect demands a bound.
const DefaultMaxTokens = 4096

// encoder writes one request.
type encoder struct {
	codec Codec
	c     *translate.Conversation
	to    translate.Target
	model model
	same  bool // the request was made in this dialect
	w     jsonx.Writer
	// formats says that the model has structured output, within bounds.
	formats bool

	format   formatPlan
	thinking thinkingPlan
	max      int64
}

func (codec Codec) encoder(c *translate.Conversation, to translate.Target) *encoder {
	m := modelOf(to.Model)
	return &encoder{codec: codec, c: c, to: to, model: m, same: c.From == translate.Messages, formats: m.formats(codec.Platform)}
}

// EncodeRequest implements translate.Upstream. A request that was made in this
// dialect is written as it was, but for the model and the output bound; one of
// another is fitted to what the model takes.
func (codec Codec) EncodeRequest(c *translate.Conversation, to translate.Target) ([]byte, error) {
	e := codec.encoder(c, to)
	e.w.Out = make([]byte, 0, c.Size())
	e.w.Open('{')
	switch codec.Platform {
	case Direct:
		e.w.Text("model", to.Model)
	case Vertex, Bedrock:
		e.w.Text("anthropic_version", codec.Platform.version())
	}
	if codec.Platform == Bedrock && len(codec.Betas) > 0 {
		e.writeStrings("anthropic_beta", codec.Betas)
	}
	if err := e.plan(); err != nil {
		return nil, err
	}
	e.w.Int("max_tokens", e.max)
	if err := e.writePrompt(); err != nil {
		return nil, err
	}
	if err := e.writeSettings(); err != nil {
		return nil, err
	}
	if c.Stream && codec.Platform != Bedrock {
		e.w.Flag("stream", true)
	}
	e.w.Close('}')
	return e.w.Out, nil
}

// EncodeCount writes the request that asks how many tokens the prompt has,
// POST /v1/messages/count_tokens: the request without what only concerns the
// answer. On Vertex AI it names the model, unlike other requests there.
func (codec Codec) EncodeCount(c *translate.Conversation, to translate.Target) ([]byte, error) {
	e := codec.encoder(c, to)
	e.w.Open('{')
	e.w.Text("model", to.Model)
	if err := e.plan(); err != nil {
		return nil, err
	}
	if err := e.writePrompt(); err != nil {
		return nil, err
	}
	e.writeRest()
	e.w.Close('}')
	return e.w.Out, nil
}

// plan decides what several members depend on.
func (e *encoder) plan() error {
	var err error
	if !e.same {
		if e.format, err = e.planFormat(); err != nil {
			return err
		}
	}
	e.planThinking()
	return nil
}

// writePrompt writes all that the model reads.
func (e *encoder) writePrompt() error {
	if err := e.writeMessages(); err != nil {
		return err
	}
	if err := e.writeTools(); err != nil {
		return err
	}
	e.writeToolChoice()
	e.thinking.write(&e.w)
	e.writeOutputConfig()
	return nil
}

// writeOutputConfig writes the effort, the format, and what else a request of
// this dialect has there.
func (e *encoder) writeOutputConfig() {
	rest := e.restOf("output_config")
	native := e.format.native
	if e.same && e.c.Format != nil {
		native = formatObject(e.c.Format)
		if e.c.Field(translate.FeatureFormat) == "output_format" {
			e.w.Raw("output_format", native)
			native = nil
		}
	}
	if e.thinking.effort == "" && native == nil && rest == nil {
		return
	}
	e.w.Name("output_config")
	e.w.Open('{')
	e.w.TextIf("effort", e.thinking.effort)
	e.w.Raw("format", native)
	writeExtra(&e.w, rest, "")
	e.w.Close('}')
}

// restOf is what a request of this dialect has in an object besides what has a
// place of its own.
func (e *encoder) restOf(name string) translate.Extra {
	if !e.same {
		return nil
	}
	return translate.ExtraOf(e.c.Extra.Get(name))
}

// writeSettings writes what concerns the answer alone, and drops or refuses what
// the dialect has no words for.
func (e *encoder) writeSettings() error {
	if e.same {
		e.w.Number("temperature", e.c.Temperature)
		e.w.Number("top_p", e.c.TopP)
		if e.c.TopK != nil {
			e.w.Int("top_k", *e.c.TopK)
		}
		e.w.TextIf("service_tier", e.c.ServiceTier)
	} else {
		e.writeSampling()
		e.writeServiceTier()
		if err := e.refuse(); err != nil {
			return err
		}
	}
	if len(e.c.Stop) > 0 {
		for _, s := range e.c.Stop {
			if !e.same && strings.TrimSpace(s) == "" {
				return e.c.Refuse(translate.FeatureStop, "Claude does not stop at white space alone.")
			}
		}
		e.writeStrings("stop_sequences", e.c.Stop)
	}
	e.writeEndUser()
	e.writeRest()
	return nil
}

// writeRest writes the members that have no place of their own.
func (e *encoder) writeRest() {
	if !e.same {
		e.c.DropExtra()
		return
	}
	for _, m := range e.c.Extra {
		if m.Name != "output_config" && m.Name != "metadata" {
			e.w.Raw(m.Name, m.Value)
		}
	}
}

// writeSampling fits the sampling parameters to the model. Those of others reach
// up to a temperature of 2, which Anthropic's own layer for OpenAI clients caps
// at 1, as is done here. While a model thinks it takes a temperature of 1 and a
// top_p from 0.95 only; newer models take none at all.
func (e *encoder) writeSampling() {
	temperature, topP, topK := e.sampling()
	e.w.Number("temperature", temperature)
	e.w.Number("top_p", topP)
	if topK != nil {
		e.w.Int("top_k", *topK)
	}
}

func (e *encoder) sampling() (temperature, topP *float64, topK *int64) {
	c := e.c
	temperature, topP, topK = c.Temperature, c.TopP, c.TopK
	if temperature != nil && *temperature > 1 {
		temperature = new(1.0)
		c.Drop(translate.FeatureTemperature)
	}
	narrow := !e.model.samples() || e.thinking.on()
	if temperature != nil && narrow {
		if *temperature != 1 {
			c.Drop(translate.FeatureTemperature)
		}
		temperature = nil
	}
	if topP != nil && *topP == 1 {
		topP = nil // the same as saying nothing
	}
	if topP != nil && (!e.model.samples() || narrow && *topP < 0.95 || temperature != nil && e.model.oneSampler()) {
		c.Drop(translate.FeatureTopP)
		topP = nil
	}
	if topK != nil && narrow {
		c.Drop(translate.FeatureTopK)
		topK = nil
	}
	return temperature, topP, topK
}

// writeServiceTier translates OpenAI's words. There is no way to ask for its
// flex and priority tiers: priority is what an organization has bought.
func (e *encoder) writeServiceTier() {
	switch e.c.ServiceTier {
	case "":
	case "auto":
		e.w.Text("service_tier", "auto")
	case "default", "standard", "standard_only":
		e.w.Text("service_tier", "standard_only")
	default:
		e.c.Drop(translate.FeatureServiceTier)
	}
}

// writeEndUser writes metadata. Anthropic takes at most 256 characters and
// refuses what looks like an e-mail address or a phone number.
func (e *encoder) writeEndUser() {
	rest := e.restOf("metadata")
	id := e.c.EndUser
	if !e.same && (len(id) > 256 || strings.Contains(id, "@") || isPhone(id)) {
		e.c.Drop(translate.FeatureEndUser)
		id = ""
	}
	if id == "" && rest == nil {
		return
	}
	e.w.Name("metadata")
	e.w.Open('{')
	e.w.TextIf("user_id", id)
	writeExtra(&e.w, rest, "")
	e.w.Close('}')
}

func isPhone(id string) bool {
	digits := 0
	for _, c := range id {
		switch {
		case c >= '0' && c <= '9':
			digits++
		case !strings.ContainsRune("+-() ", c):
			return false
		}
	}
	return digits >= 7
}

// refuse refuses what would change the answer if it were left out, and drops the
// rest that the dialect has no words for.
func (e *encoder) refuse() error {
	return e.c.Without(
		translate.Lack{Feature: translate.FeatureCandidates, Why: "Claude gives one answer to a request."},
		translate.Lack{Feature: translate.FeatureLogprobs, Why: "Claude does not give log probabilities."},
		translate.Lack{Feature: translate.FeatureTopLogprobs, Why: "Claude does not give log probabilities."},
		translate.Lack{Feature: translate.FeatureLogitBias, Why: "Claude does not take a bias for tokens."},
		translate.Lack{Feature: translate.FeatureModalities, Only: "audio", Why: "Claude does not speak."},
		translate.Lack{Feature: translate.FeatureModalities, Only: "image", Why: "Claude does not make images."},
		translate.Lack{Feature: translate.FeatureFrequencyPenalty},
		translate.Lack{Feature: translate.FeaturePresencePenalty},
		translate.Lack{Feature: translate.FeatureSeed},
		translate.Lack{Feature: translate.FeatureVerbosity},
		translate.Lack{Feature: translate.FeatureMetadata},
		translate.Lack{Feature: translate.FeatureCacheKey},
		translate.Lack{Feature: translate.FeatureStore},
	)
}

func (e *encoder) writeStrings(name string, list []string) {
	e.w.Name(name)
	e.w.Open('[')
	for _, s := range list {
		e.w.String(s)
	}
	e.w.Close(']')
}

// writeTools writes tools and mcp_servers.
func (e *encoder) writeTools() error {
	var servers []translate.Tool
	open := false
	for i := range e.c.Tools {
		t := &e.c.Tools[i]
		if t.Kind == translate.MCP && e.same {
			servers = append(servers, *t)
			continue
		}
		if !e.allowed(t) {
			continue
		}
		if !open {
			e.w.Name("tools")
			e.w.Open('[')
			open = true
		}
		if err := e.writeTool(t); err != nil {
			return err
		}
	}
	if e.format.tool != "" {
		if !open {
			e.w.Name("tools")
			e.w.Open('[')
			open = true
		}
		e.format.writeTool(&e.w)
	}
	if open {
		e.w.Close(']')
	}
	if len(servers) > 0 {
		e.w.Name("mcp_servers")
		e.w.Open('[')
		for _, s := range servers {
			e.w.Value(s.Raw)
		}
		e.w.Close(']')
	}
	return nil
}

// allowed says whether the choice leaves a tool to the model: this dialect can
// only narrow it by leaving the others out.
func (e *encoder) allowed(t *translate.Tool) bool {
	choice := e.c.ToolChoice
	return choice == nil || len(choice.Allowed) == 0 || slices.Contains(choice.Allowed, t.Name)
}

func (e *encoder) writeTool(t *translate.Tool) error {
	w := &e.w
	if e.same && t.Kind != translate.Function {
		w.Value(t.Raw)
		return nil
	}
	if t.Kind == translate.Custom { // others are functions by now, see Conversation.Fit
		return e.c.Refuse(translate.FeatureCustomTool, "The tool %q takes free text, which Claude's tools do not.", t.Name)
	}
	if t.Kind != translate.Function {
		if why := e.codec.lacks(t); why != "" {
			return e.c.Refuse(translate.FeatureServerTool, "%s", why)
		}
		if t.Kind == translate.WebSearch {
			e.writeWebSearch(t)
		} else {
			e.writeServerTool(t)
		}
		return nil
	}
	w.Open('{')
	if e.same {
		w.TextIf("type", typeOf(t.Extra, ""))
	}
	w.Text("name", t.Name)
	w.TextIf("description", t.Description)
	if e.same {
		w.Raw("input_schema", t.Schema)
	} else {
		w.Raw("input_schema", InputSchema(t.Schema))
	}
	switch {
	case t.Strict == nil:
	case e.same:
		w.Flag("strict", *t.Strict)
	case *t.Strict:
		e.c.DropField("tools.strict") // it would refuse schemas that other dialects' strict takes
	}
	writeCacheMark(w, t.Cache)
	if e.same {
		writeExtra(w, t.Extra, "type")
	}
	w.Close('}')
	return nil
}

func toolName(t *translate.Tool) string {
	if t.Name != "" {
		return t.Name
	}
	if kind := wire.Text(wire.Find(t.Raw, "type").Of(t.Raw)); kind != "" {
		return kind
	}
	return string(t.Kind)
}

// InputSchema is a tool's schema, which must be that of an object; others allow
// none, or one that leaves that out.
func InputSchema(schema jsontext.Value) jsontext.Value {
	switch {
	case schema.Kind() != '{' || len(translate.ExtraOf(schema)) == 0:
		return jsontext.Value(`{"type":"object","properties":{}}`)
	case !wire.Find(schema, "type").Present():
		var w jsonx.Writer
		w.Open('{')
		w.Text("type", "object")
		writeExtra(&w, translate.ExtraOf(schema), "")
		w.Close('}')
		return w.Out
	}
	return schema
}

// writeWebSearch asks for Anthropic's web search in its first version, which all
// models take. OpenAI's bound of a request's searches is one of this tool, where
// it is the only one that it bounds.
func (e *encoder) writeWebSearch(t *translate.Tool) {
	w, b := &e.w, t.Web()
	w.Open('{')
	w.Text("type", "web_search_20250305")
	w.Text("name", "web_search")
	w.Raw("allowed_domains", b.Allowed)
	w.Raw("blocked_domains", b.Blocked)
	uses := b.MaxUses
	if uses == 0 && e.c.MaxServerCalls != nil {
		uses = *e.c.MaxServerCalls
	}
	if uses > 0 {
		w.Int("max_uses", uses)
	}
	if p := b.Place; p != nil {
		w.Name("user_location")
		w.Open('{')
		w.Text("type", "approximate")
		w.TextIf("city", p.City)
		w.TextIf("region", p.Region)
		w.TextIf("country", p.Country)
		w.TextIf("timezone", p.Timezone)
		w.Close('}')
	}
	w.Close('}')
	if b.Size != "" {
		e.c.DropWish("search_context_size")
	}
}

// writeServerTool asks for web fetching or code execution.
func (e *encoder) writeServerTool(t *translate.Tool) {
	dated := "web_fetch_20250910"
	if t.Kind == translate.CodeExecution {
		dated = "code_execution_20250825"
	}
	e.w.Open('{')
	e.w.Text("type", dated)
	e.w.Text("name", string(t.Kind))
	e.w.Close('}')
}

// writeToolChoice writes tool_choice, where there is a tool to choose.
func (e *encoder) writeToolChoice() {
	choice := e.c.ToolChoice
	if e.same && choice != nil && len(choice.Raw) > 0 {
		e.w.Raw("tool_choice", choice.Raw)
		return
	}
	if e.format.tool == "" && !e.same && !slices.ContainsFunc(e.c.Tools, func(t translate.Tool) bool { return e.allowed(&t) }) {
		return
	}
	kind, name := "", ""
	switch {
	case e.format.tool != "":
		kind, name = e.format.choice()
	case choice != nil:
		kind, name = choiceWord(choice)
	}
	alone := e.c.ParallelTools != nil && !*e.c.ParallelTools
	if kind == "" && alone {
		kind = "auto"
	}
	if kind == "" {
		return
	}
	e.w.Name("tool_choice")
	e.w.Open('{')
	e.w.Text("type", kind)
	e.w.TextIf("name", name)
	if alone && kind != "none" {
		e.w.Flag("disable_parallel_tool_use", true)
	}
	e.w.Close('}')
}

func choiceWord(choice *translate.ToolChoice) (kind, name string) {
	switch choice.Mode {
	case translate.ChooseNone:
		return "none", ""
	case translate.ChooseAny:
		return "any", ""
	case translate.ChooseNamed:
		return "tool", choice.Name
	case translate.ChooseAuto:
	}
	return "auto", ""
}

// forced says whether the request makes the model call a tool.
func (e *encoder) forced() bool {
	if e.format.tool != "" {
		return true
	}
	choice := e.c.ToolChoice
	return choice != nil && len(e.c.Tools) > 0 && (choice.Mode == translate.ChooseAny || choice.Mode == translate.ChooseNamed)
}

// CallID fits a call's id to the alphabet that the dialect allows,
// ^[a-zA-Z0-9_-]+$: an id with other characters is written in base64url, the
// same for the call and its result. The upstream never says it again, so nothing
// has to turn it back.
func CallID(id string) string {
	for _, c := range []byte(id) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_', c == '-':
		default:
			return "hly_" + encodeURL(id)
		}
	}
	if id == "" {
		return "hly_"
	}
	return id
}

// bound is the largest output that is asked for.
func (e *encoder) bound(thinkingBudget int64) int64 {
	bound := e.to.MaxOutput
	switch {
	case e.c.MaxOutput != nil:
		bound = *e.c.MaxOutput
		if !e.same && e.to.MaxOutput > 0 { // more than the model can give is an error
			bound = min(bound, e.to.MaxOutput)
		}
	case bound <= 0:
		bound = DefaultMaxTokens + thinkingBudget
	}
	if e.to.Cap > 0 {
		bound = e.to.Cap
	}
	return bound
}

// EncodeCountAnswer writes the answer to a token count.
func EncodeCountAnswer(tokens int64) []byte {
	return append(strconv.AppendInt([]byte(`{"input_tokens":`), tokens, 10), '}')
}

// DecodeCountAnswer reads the answer to a token count; ok is false when it is
// none.
func DecodeCountAnswer(body []byte) (tokens int64, ok bool) {
	var answer struct {
		Input *int64 `json:"input_tokens"`
	}
	if err := jsonx.Decode(body, &answer); err != nil || answer.Input == nil || *answer.Input < 0 {
		return 0, false
	}
	return *answer.Input, true
}
