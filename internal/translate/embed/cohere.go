package embed

import (
	"cmp"

	"halley/internal/jsonx"
	"halley/internal/translate"
	"halley/internal/translate/cohere"
	wire "halley/internal/wire/cohere"
)

// Cohere is Cohere's POST /v2/embed.
type Cohere struct{}

var _ Upstream = Cohere{}

// EncodeRequest implements Upstream. Its models must be told what the vectors are
// for; where the client does not say, they are of documents to be found.
func (Cohere) EncodeRequest(e *Request, to translate.Target) ([]byte, error) {
	if err := textsOnly(e); err != nil {
		return nil, err
	}
	var w jsonx.Writer
	w.Open('{')
	w.Text("model", to.Model)
	w.Text("input_type", cmp.Or(e.Purpose, "search_document"))
	w.Name("texts")
	w.Open('[')
	for _, text := range e.Texts {
		w.String(text)
	}
	w.Close(']')
	w.Raw("embedding_types", jsonx.Value(`["float"]`))
	if e.Dimensions != nil {
		w.Int("output_dimension", *e.Dimensions)
	}
	w.Close('}')
	return w.Out, nil
}

// DecodeAnswer implements Upstream.
func (Cohere) DecodeAnswer(body []byte) (*Vectors, error) {
	v := &Vectors{}
	r := jsonx.Read(body)
	for r.Object(); r.Next('}'); {
		switch {
		case r.Is("embeddings"):
			for r.Object(); r.Next('}'); {
				if !r.Is("float") {
					r.Skip()
					continue
				}
				for r.Array(); r.Next(']'); {
					v.Values = append(v.Values, readNumbers(r))
				}
			}
		case r.Is("meta"):
			if used, ok := wire.Usage(r.Value()); ok {
				v.Tokens = &used.Prompt
			}
		default:
			r.Skip()
		}
	}
	return whole(v, r.End())
}

// DecodeFailure implements Upstream.
func (Cohere) DecodeFailure(status int, body []byte) translate.Failure {
	return cohere.Codec{}.DecodeFailure(status, body)
}
