package embed

import (
	"strings"

	"halley/internal/jsonx"
	"halley/internal/translate"
	"halley/internal/translate/converse"
)

// Titan is Amazon's own models on Bedrock, which take one text a request.
//
// https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-titan-embed-text.html
type Titan struct{ amazon }

// BedrockCohere is Cohere's models on Bedrock.
//
// https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-embed.html
type BedrockCohere struct{ amazon }

var (
	_ Upstream = Titan{}
	_ Upstream = BedrockCohere{}
)

// amazon is what InvokeModel's forms have in common.
type amazon struct{}

// DecodeFailure implements Upstream.
func (amazon) DecodeFailure(status int, body []byte) translate.Failure {
	return converse.Codec{}.DecodeFailure(status, body)
}

// EncodeRequest implements Upstream. The first models have one size.
func (Titan) EncodeRequest(e *Request, to translate.Target) ([]byte, error) {
	text, err := one(e, to.Model)
	if err != nil {
		return nil, err
	}
	untitled(e)
	if e.Purpose != "" {
		e.drop(e.purpose)
	}
	var w jsonx.Writer
	w.Open('{')
	w.Text("inputText", text)
	if e.Dimensions != nil {
		if strings.Contains(to.Model, "titan-embed-image") {
			w.Name("embeddingConfig")
			w.Open('{')
			w.Int("outputEmbeddingLength", *e.Dimensions)
			w.Close('}')
		} else {
			w.Int("dimensions", *e.Dimensions)
		}
	}
	w.Close('}')
	return w.Out, nil
}

// DecodeAnswer implements Upstream.
func (Titan) DecodeAnswer(body []byte) (*Vectors, error) {
	v := &Vectors{}
	r := jsonx.Read(body)
	for r.Object(); r.Next('}'); {
		switch {
		case r.Is("embedding"):
			v.Values = append(v.Values, readNumbers(r))
		case r.Is("inputTextTokenCount"):
			v.Tokens = r.IntOpt()
		default: // embeddingsByType says it again
			r.Skip()
		}
	}
	return whole(v, r.End())
}

// EncodeRequest implements Upstream.
func (BedrockCohere) EncodeRequest(e *Request, _ translate.Target) ([]byte, error) {
	if err := textsOnly(e); err != nil {
		return nil, err
	}
	var w jsonx.Writer
	w.Open('{')
	writeCohere(&w, e)
	if e.Dimensions != nil {
		w.Int("output_dimension", *e.Dimensions)
	}
	w.Close('}')
	return w.Out, nil
}

// DecodeAnswer implements Upstream. The body does not say what was used.
func (BedrockCohere) DecodeAnswer(body []byte) (*Vectors, error) {
	v := &Vectors{}
	r := jsonx.Read(body)
	for r.Object(); r.Next('}'); {
		if r.Is("embeddings") {
			v.readByType(r)
		} else {
			r.Skip()
		}
	}
	return whole(v, r.End())
}
