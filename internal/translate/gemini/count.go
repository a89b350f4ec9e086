package gemini

import (
	"halley/internal/jsonx"
	"halley/internal/translate"
)

// DecodeCount reads the request of {model}:countTokens: contents, or a whole
// request in generateContentRequest.
func (codec Codec) DecodeCount(body []byte) (*translate.Conversation, error) {
	r := jsonx.Read(body)
	for r.Object(); r.Next('}'); {
		if name := nameOf(r); name == "generateContentRequest" && r.Kind() == '{' {
			return codec.DecodeRequest(r.Value())
		}
		r.Skip()
	}
	return codec.DecodeRequest(body)
}

// EncodeCount writes the request that asks how many tokens the prompt has:
// without what only concerns the answer. AI Studio takes more than contents only
// within a whole request, which names its model; Vertex AI takes it as it is.
func (codec Codec) EncodeCount(c *translate.Conversation, to translate.Target) ([]byte, error) {
	e := codec.encoder(c, to)
	e.w.Open('{')
	if !codec.Vertex {
		e.w.Name("generateContentRequest")
		e.w.Open('{')
		e.w.Text("model", "models/"+to.Model)
	}
	if err := e.writePrompt(); err != nil {
		return nil, err
	}
	if !codec.Vertex {
		e.w.Close('}')
	}
	e.w.Close('}')
	return e.w.Out, nil
}

// DecodeCountAnswer reads the number of tokens; ok is false when there is none.
func DecodeCountAnswer(body []byte) (tokens int64, ok bool) {
	r := jsonx.Read(body)
	for r.Object(); r.Next('}'); {
		if !r.Is("totalTokens") {
			r.Skip()
			continue
		}
		if n := readInt(r); n != nil && *n >= 0 {
			tokens, ok = *n, true
		}
	}
	return tokens, ok && r.End() == nil
}

// EncodeCountAnswer writes a number of tokens.
func EncodeCountAnswer(tokens int64) []byte {
	var w jsonx.Writer
	w.Open('{')
	w.Int("totalTokens", tokens)
	w.Close('}')
	return w.Out
}
