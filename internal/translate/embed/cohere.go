package embed

import (
	"halley/internal/jsonx"
	"halley/internal/translate"
	"halley/internal/translate/cohere"
	wire "halley/internal/wire/cohere"
)

// Cohere is Cohere's POST /v2/embed.
type Cohere struct{}

var _ Upstream = Cohere{}

// EncodeRequest implements Upstream.
func (Cohere) EncodeRequest(e *Request, to translate.Target) ([]byte, error) {
	if err := textsOnly(e); err != nil {
		return nil, err
	}
	var w jsonx.Writer
	w.Open('{')
	w.Text("model", to.Model)
	writeCohere(&w, e)
	w.Raw("embedding_types", jsonx.Value(`["float"]`))
	if e.Dimensions != nil {
		w.Int("output_dimension", *e.Dimensions)
	}
	w.Close('}')
	return w.Out, nil
}

// writeCohere writes what Cohere's models want on its own platform and on others'.
func writeCohere(w *jsonx.Writer, e *Request) {
	untitled(e)
	w.Text("input_type", inputType(e))
	w.Name("texts")
	w.Open('[')
	for _, text := range e.Texts {
		w.String(text)
	}
	w.Close(']')
}

// DecodeAnswer implements Upstream.
func (Cohere) DecodeAnswer(body []byte) (*Vectors, error) {
	v := &Vectors{}
	r := jsonx.Read(body)
	for r.Object(); r.Next('}'); {
		switch {
		case r.Is("embeddings"):
			v.readByType(r)
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

// readByType reads vectors that stand by their type, or alone.
func (v *Vectors) readByType(r *jsonx.Reader) {
	if r.Kind() == '[' {
		v.readLists(r)
		return
	}
	for r.Object(); r.Next('}'); {
		if r.Is("float") {
			v.readLists(r)
		} else {
			r.Skip()
		}
	}
}

func (v *Vectors) readLists(r *jsonx.Reader) {
	for r.Array(); r.Next(']'); {
		v.Values = append(v.Values, readNumbers(r))
	}
}

// DecodeFailure implements Upstream.
func (Cohere) DecodeFailure(status int, body []byte) translate.Failure {
	return cohere.Codec{}.DecodeFailure(status, body)
}
