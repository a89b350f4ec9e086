package embed

import (
	"halley/internal/jsonx"
	"halley/internal/translate"
	"halley/internal/translate/gemini"
)

// Gemini is Google's {model}:batchEmbedContents at AI Studio. Its failures, as
// those of the other two of Google's, are those of generateContent.
type Gemini struct{ google }

// VertexContent is {model}:embedContent at Vertex AI, which its newer models have:
// one text a request.
type VertexContent struct{ google }

// VertexPredict is {model}:predict at Vertex AI, which its older models have.
type VertexPredict struct{ google }

var (
	_ Upstream = Gemini{}
	_ Upstream = VertexContent{}
	_ Upstream = VertexPredict{}
)

// google is what the forms of Google's have in common.
type google struct{}

// DecodeFailure implements Upstream.
func (google) DecodeFailure(status int, body []byte) translate.Failure {
	return gemini.Codec{}.DecodeFailure(status, body)
}

// EncodeRequest implements Upstream.
func (Gemini) EncodeRequest(e *Request, to translate.Target) ([]byte, error) {
	if err := textsOnly(e); err != nil {
		return nil, err
	}
	var w jsonx.Writer
	w.Open('{')
	w.Name("requests")
	w.Open('[')
	for _, text := range e.Texts {
		w.Open('{')
		w.Text("model", "models/"+to.Model)
		writeContent(&w, e, text)
		w.Close('}')
	}
	w.Close(']')
	w.Close('}')
	return w.Out, nil
}

// EncodeRequest implements Upstream.
func (VertexContent) EncodeRequest(e *Request, to translate.Target) ([]byte, error) {
	text, err := one(e, to.Model)
	if err != nil {
		return nil, err
	}
	var w jsonx.Writer
	w.Open('{')
	writeContent(&w, e, text)
	w.Close('}')
	return w.Out, nil
}

func writeContent(w *jsonx.Writer, e *Request, text string) {
	w.Name("content")
	w.Open('{')
	w.Name("parts")
	w.Open('[')
	w.Open('{')
	w.Text("text", text)
	w.Close('}')
	w.Close(']')
	w.Close('}')
	w.TextIf("taskType", taskType(e.Purpose))
	if e.Dimensions != nil {
		w.Int("outputDimensionality", *e.Dimensions)
	}
}

// DecodeAnswer implements Upstream.
func (Gemini) DecodeAnswer(body []byte) (*Vectors, error) { return readContents(body) }

// DecodeAnswer implements Upstream.
func (VertexContent) DecodeAnswer(body []byte) (*Vectors, error) { return readContents(body) }

func readContents(body []byte) (*Vectors, error) {
	v := &Vectors{}
	r := jsonx.Read(body)
	for r.Object(); r.Next('}'); {
		switch {
		case r.Is("embedding"):
			v.Values = append(v.Values, readMember(r, "values"))
		case r.Is("embeddings"):
			for r.Array(); r.Next(']'); {
				v.Values = append(v.Values, readMember(r, "values"))
			}
		case r.Is("usageMetadata") && r.Kind() == '{':
			for r.Object(); r.Next('}'); {
				if r.Is("promptTokenCount") {
					v.Tokens = r.IntOpt()
				} else {
					r.Skip()
				}
			}
		default:
			r.Skip()
		}
	}
	return whole(v, r.End())
}

// EncodeRequest implements Upstream. Several texts are several instances; its
// newest model, gemini-embedding-001, takes one.
//
// https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api
func (VertexPredict) EncodeRequest(e *Request, to translate.Target) ([]byte, error) {
	if err := textsOnly(e); err != nil {
		return nil, err
	}
	if to.Model == "gemini-embedding-001" {
		if _, err := one(e, to.Model); err != nil {
			return nil, err
		}
	}
	var w jsonx.Writer
	w.Open('{')
	w.Name("instances")
	w.Open('[')
	for _, text := range e.Texts {
		w.Open('{')
		w.Text("content", text)
		w.TextIf("task_type", taskType(e.Purpose))
		w.Close('}')
	}
	w.Close(']')
	if e.Dimensions != nil {
		w.Name("parameters")
		w.Open('{')
		w.Int("outputDimensionality", *e.Dimensions)
		w.Close('}')
	}
	w.Close('}')
	return w.Out, nil
}

// DecodeAnswer implements Upstream.
func (VertexPredict) DecodeAnswer(body []byte) (*Vectors, error) {
	v := &Vectors{}
	r := jsonx.Read(body)
	for r.Object(); r.Next('}'); {
		if !r.Is("predictions") {
			r.Skip()
			continue
		}
		for r.Array(); r.Next(']'); {
			for r.Object(); r.Next('}'); {
				if r.Is("embeddings") {
					v.readPrediction(r)
				} else {
					r.Skip()
				}
			}
		}
	}
	return whole(v, r.End())
}

func (v *Vectors) readPrediction(r *jsonx.Reader) {
	for r.Object(); r.Next('}'); {
		switch {
		case r.Is("values"):
			v.Values = append(v.Values, readNumbers(r))
		case r.Is("statistics") && r.Kind() == '{':
			for r.Object(); r.Next('}'); {
				if !r.Is("token_count") {
					r.Skip()
					continue
				}
				if n := r.IntOpt(); n != nil {
					if v.Tokens == nil {
						v.Tokens = new(int64)
					}
					*v.Tokens += *n
				}
			}
		default:
			r.Skip()
		}
	}
}
