package messages

import (
	"github.com/go-json-experiment/json/jsontext"

	"halley/internal/jsonx"
	"halley/internal/translate"
)

// Fitted is what a request asks of a model besides what it says to it, fitted to
// what the model takes: for Amazon's Converse, which has the same settings in
// places of its own.
type Fitted struct {
	MaxTokens   int64 // 0 when the request does not say and the model is no Claude
	Temperature *float64
	TopP        *float64
	TopK        *int64
	// Fields are members of Anthropic's own request that have no other place:
	// thinking and output_config, without the format.
	Fields translate.Extra

	// Schema is that of the answer where the model has structured output.
	Schema jsontext.Value
	// Tool is the one whose input is the answer where it has not: its name is one
	// that AnswerText knows, and it must be called unless Others may be instead.
	Tool        string
	About       string
	ToolSchema  jsontext.Value
	Others      bool
	Words       string // to be said at the end of the system text
	Signed      bool   // the model takes thoughts that Claude signed
	LongerCache bool   // the model takes a cache's lifetime of an hour
}

// Fit fits a request of another dialect to a model on Bedrock, Claude or not.
// Formats says that a model that is no Claude has structured output. It drops and
// refuses like EncodeRequest.
func Fit(c *translate.Conversation, to translate.Target, formats bool) (*Fitted, error) {
	e := Codec{Platform: Bedrock}.encoder(c, to)
	e.same = false
	if !e.model.claude {
		e.formats = formats
		return e.fitOther()
	}
	if err := e.plan(); err != nil {
		return nil, err
	}
	f := e.fittedFormat()
	f.MaxTokens = e.max
	f.Temperature, f.TopP, f.TopK = e.sampling()
	f.Signed, f.LongerCache = e.model.thinks(), e.model.known() && e.model.version >= 45
	var w jsonx.Writer
	w.Open('{')
	e.thinking.write(&w)
	if e.thinking.effort != "" {
		w.Name("output_config")
		w.Open('{')
		w.Text("effort", e.thinking.effort)
		w.Close('}')
	}
	w.Close('}')
	f.Fields = translate.ExtraOf(w.Out)
	return f, nil
}

// fitOther is Fit for a model that is no Claude: of how it thinks and samples
// this package knows nothing.
func (e *encoder) fitOther() (f *Fitted, err error) {
	if e.format, err = e.planFormat(); err != nil {
		return nil, err
	}
	f = e.fittedFormat()
	f.Temperature, f.TopP, f.TopK = e.c.Temperature, e.c.TopP, e.c.TopK
	if e.c.MaxOutput != nil || e.to.Cap > 0 {
		f.MaxTokens = e.bound(0)
	}
	return f, nil
}

func (e *encoder) fittedFormat() *Fitted {
	p := &e.format
	f := &Fitted{Tool: p.tool, ToolSchema: p.schema, Others: p.others, Words: p.words}
	if p.native != nil {
		f.Schema = e.c.Format.Schema
	}
	if p.tool != "" {
		f.About = p.description()
	}
	return f
}

// AnswerText is the answer in the input of a tool with a reserved name; ok is
// false for any other tool.
func AnswerText(tool string, input []byte) (text string, ok bool) {
	if !isAnswerTool(tool) {
		return "", false
	}
	return answerText(tool, input), true
}

// WholeInput says whether AnswerText needs the whole input of a tool with a
// reserved name, so that a stream of it cannot be given piece by piece.
func WholeInput(tool string) bool { return tool == valueTool }
