package embed

import (
	"halley/internal/jsonx"
	"halley/internal/translate"
	"halley/internal/translate/chat"
)

// OpenAI is OpenAI's POST /v1/embeddings, for clients. Its upstreams are spoken to
// by their own clients as they are.
type OpenAI struct{}

var _ Client = OpenAI{}

// DecodeRequest implements Client. Beyond OpenAI's own members it knows
// input_type, by which others of the form say what the vectors are for.
func (OpenAI) DecodeRequest(body []byte) (*Request, error) {
	e := &Request{}
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
			e.Purpose = r.String()
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
