package embed

import (
	"cmp"
	"slices"

	"halley/internal/jsonx"
	"halley/internal/translate"
	"halley/internal/translate/chat"
	wire "halley/internal/wire/openai"
)

// OpenAI is OpenAI's POST /v1/embeddings.
type OpenAI struct{}

var (
	_ Client   = OpenAI{}
	_ Upstream = OpenAI{}
)

// DecodeRequest implements Client. Beyond OpenAI's own members it knows
// input_type, by which others of the form say what the vectors are for.
func (OpenAI) DecodeRequest(body []byte) (*Request, error) {
	e := &Request{field: "input", purpose: "input_type"}
	r := jsonx.Read(body)
	for r.Object(); r.Next('}'); {
		switch name := r.Name(); name {
		case "model":
			r.Skip()
		case "input":
			readInput(r, e)
		case "dimensions":
			e.Dimensions = r.IntOpt()
		case "encoding_format":
			e.Base64 = r.String() == "base64"
		case "input_type":
			if e.Purpose = purposeOf(r.String()); e.Purpose == "" {
				e.Left = append(e.Left, name)
			}
		default: // user
			e.Left = append(e.Left, name)
			r.Skip()
		}
	}
	if err := translate.Undecodable(r.End()); err != nil {
		return nil, err
	}
	if len(e.Texts) == 0 && !e.TokenIDs {
		return nil, translate.Malform("input", "input is required.")
	}
	return e, nil
}

// readInput reads a text, a list of them, or one or many lists of token ids.
func readInput(r *jsonx.Reader, e *Request) {
	if r.Kind() == '"' {
		e.Texts = []string{r.String()}
		return
	}
	for r.Array(); r.Next(']'); {
		if r.Kind() != '"' {
			e.TokenIDs = true
			r.Skip()
			continue
		}
		e.Texts = append(e.Texts, r.String())
	}
}

// EncodeAnswer implements Client.
func (OpenAI) EncodeAnswer(e *Request, v *Vectors, model string) ([]byte, error) {
	var w jsonx.Writer
	w.Open('{')
	w.Text("object", "list")
	w.Name("data")
	w.Open('[')
	for i, values := range v.Values {
		w.Open('{')
		w.Text("object", "embedding")
		w.Int("index", int64(i))
		w.Name("embedding")
		if e.Base64 {
			w.Out = append(append(append(w.Out, '"'), packed(values)...), '"')
		} else {
			writeNumbers(&w, values)
		}
		w.Close('}')
	}
	w.Close(']')
	w.Text("model", model)
	tokens := int64(0)
	if v.Tokens != nil {
		tokens = *v.Tokens
	}
	w.Name("usage")
	w.Open('{')
	w.Int("prompt_tokens", tokens)
	w.Int("total_tokens", tokens)
	w.Close('}')
	w.Close('}')
	return w.Out, nil
}

// EncodeFailure implements Client.
func (OpenAI) EncodeFailure(f translate.Failure, requestID string) []byte {
	return chat.Codec{}.EncodeFailure(f, requestID)
}

// EncodeRequest implements Upstream.
func (OpenAI) EncodeRequest(e *Request, to translate.Target) ([]byte, error) {
	if err := textsOnly(e); err != nil {
		return nil, err
	}
	untitled(e)
	if e.Purpose != "" {
		e.drop(e.purpose)
	}
	var w jsonx.Writer
	w.Open('{')
	w.Text("model", to.Model)
	w.Name("input")
	w.Open('[')
	for _, text := range e.Texts {
		w.String(text)
	}
	w.Close(']')
	if e.Dimensions != nil {
		w.Int("dimensions", *e.Dimensions)
	}
	w.Close('}')
	return w.Out, nil
}

// DecodeAnswer implements Upstream. Vectors stand where their index says.
func (OpenAI) DecodeAnswer(body []byte) (*Vectors, error) {
	v := &Vectors{}
	var all []indexed
	r := jsonx.Read(body)
	for r.Object(); r.Next('}'); {
		switch {
		case r.Is("data"):
			for r.Array(); r.Next(']'); {
				all = append(all, readIndexed(r))
			}
		case r.Is("usage"):
			if used, ok := wire.ParseUsage(r.Value()); ok {
				v.Tokens = &used.Prompt
			}
		default:
			r.Skip()
		}
	}
	slices.SortStableFunc(all, func(a, b indexed) int { return cmp.Compare(a.index, b.index) })
	for _, one := range all {
		v.Values = append(v.Values, one.values)
	}
	return whole(v, r.End())
}

// indexed is a vector with its place.
type indexed struct {
	index  int64
	values []float64
}

func readIndexed(r *jsonx.Reader) (one indexed) {
	for r.Object(); r.Next('}'); {
		switch {
		case r.Is("embedding"):
			one.values = readNumbers(r)
		case r.Is("index"):
			if n := r.IntOpt(); n != nil {
				one.index = *n
			}
		default:
			r.Skip()
		}
	}
	return one
}

// DecodeFailure implements Upstream.
func (OpenAI) DecodeFailure(status int, body []byte) translate.Failure {
	return chat.Codec{}.DecodeFailure(status, body)
}
