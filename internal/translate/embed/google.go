package embed

import (
	"slices"
	"strconv"
	"strings"

	"halley/internal/jsonx"
	"halley/internal/translate"
	"halley/internal/translate/gemini"
)

// Gemini is Google's {model}:batchEmbedContents at AI Studio. Its failures, as
// those of the others of Google's, are those of generateContent.
type Gemini struct{ google }

// GeminiOne is {model}:embedContent at AI Studio, for clients.
type GeminiOne struct{ google }

// VertexContent is {model}:embedContent at Vertex AI, which its newer models have:
// one text a request.
type VertexContent struct{ google }

// VertexPredict is {model}:predict at Vertex AI, which its older models have.
type VertexPredict struct{ google }

var (
	_ Client   = Gemini{}
	_ Client   = GeminiOne{}
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

// EncodeFailure implements Client.
func (google) EncodeFailure(f translate.Failure, requestID string) []byte {
	return gemini.Codec{}.EncodeFailure(f, requestID)
}

// DecodeRequest implements Client.
func (Gemini) DecodeRequest(body []byte) (*Request, error) {
	e := &Request{field: "requests", purpose: "requests.taskType", title: "requests.title"}
	r := jsonx.Read(body)
	for r.Object(); r.Next('}'); {
		if name := r.Name(); name != "requests" {
			e.Left = append(e.Left, name)
			r.Skip()
			continue
		}
		for r.Array(); r.Next(']'); {
			e.readContent(r, "requests.")
		}
	}
	return e.read(r.End())
}

// DecodeRequest implements Client.
func (GeminiOne) DecodeRequest(body []byte) (*Request, error) {
	e := &Request{field: "content", purpose: "taskType", title: "title"}
	r := jsonx.Read(body)
	e.readContent(r, "")
	return e.read(r.End())
}

func (e *Request) read(err error) (*Request, error) {
	if err := translate.Undecodable(err); err != nil {
		return nil, err
	}
	if len(e.Texts) == 0 {
		return nil, translate.Malform(e.field, "%s is required.", e.field)
	}
	if !slices.ContainsFunc(e.Titles, func(title string) bool { return title != "" }) {
		e.Titles = nil
	}
	return e, nil
}

// readContent reads one content with what is wanted of it. Names may be in snake
// case, as always with Google.
func (e *Request) readContent(r *jsonx.Reader, at string) {
	purpose, title, text := "", "", ""
	var size *int64
	for r.Object(); r.Next('}'); {
		switch name := r.Name(); name {
		case "model": // which the path says
			r.Skip()
		case "content":
			text = e.readText(r, at+"content.parts")
		case "taskType", "task_type":
			if word := r.String(); word != "" && word != "TASK_TYPE_UNSPECIFIED" {
				if purpose = purposeOf(word); purpose == "" {
					e.leave(at + name)
				}
			}
		case "title":
			title = r.String()
		case "outputDimensionality", "output_dimensionality":
			size = readSize(r)
		default:
			e.leave(at + name)
			r.Skip()
		}
	}
	if len(e.Texts) == 0 {
		e.Purpose, e.Dimensions = purpose, size
	}
	switch {
	case purpose != e.Purpose:
		e.Odd = at + "taskType"
	case (size == nil) != (e.Dimensions == nil) || size != nil && *size != *e.Dimensions:
		e.Odd = at + "outputDimensionality"
	}
	e.Texts, e.Titles = append(e.Texts, text), append(e.Titles, title)
}

// readSize reads a whole number, which Google takes as a text as well.
func readSize(r *jsonx.Reader) *int64 {
	if r.Kind() != '"' {
		return r.IntOpt()
	}
	at := r.At()
	n, err := strconv.ParseInt(r.String(), 10, 32)
	if err != nil {
		r.Fault(at, "must be a whole number")
	}
	return &n
}

// leave notes a member that the neutral form has no place for.
func (e *Request) leave(name string) {
	if !slices.Contains(e.Left, name) {
		e.Left = append(e.Left, name)
	}
}

// readText is the text of a content: its parts make one vector.
func (e *Request) readText(r *jsonx.Reader, at string) string {
	var b strings.Builder
	for r.Object(); r.Next('}'); {
		if !r.Is("parts") {
			r.Skip() // a role
			continue
		}
		if r.Kind() == '{' { // one stands for a list of one
			e.readPart(r, at, &b)
			continue
		}
		for r.Array(); r.Next(']'); {
			e.readPart(r, at, &b)
		}
	}
	return b.String()
}

func (e *Request) readPart(r *jsonx.Reader, at string, b *strings.Builder) {
	for r.Object(); r.Next('}'); {
		if !r.Is("text") {
			e.Odd = at // a picture, say
			r.Skip()
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(r.String())
	}
}

// EncodeAnswer implements Client.
func (Gemini) EncodeAnswer(_ *Request, v *Vectors, _ string) ([]byte, error) {
	var w jsonx.Writer
	w.Open('{')
	w.Name("embeddings")
	w.Open('[')
	for _, values := range v.Values {
		w.Open('{')
		w.Name("values")
		writeNumbers(&w, values)
		w.Close('}')
	}
	w.Close(']')
	writeUsed(&w, v)
	w.Close('}')
	return w.Out, nil
}

// EncodeAnswer implements Client.
func (GeminiOne) EncodeAnswer(_ *Request, v *Vectors, _ string) ([]byte, error) {
	var w jsonx.Writer
	w.Open('{')
	w.Name("embedding")
	w.Open('{')
	w.Name("values")
	writeNumbers(&w, v.Values[0])
	w.Close('}')
	writeUsed(&w, v)
	w.Close('}')
	return w.Out, nil
}

func writeUsed(w *jsonx.Writer, v *Vectors) {
	if v.Tokens == nil {
		return
	}
	w.Name("usageMetadata")
	w.Open('{')
	w.Int("promptTokenCount", *v.Tokens)
	w.Close('}')
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
	for i, text := range e.Texts {
		w.Open('{')
		w.Text("model", "models/"+strings.TrimPrefix(to.Model, "models/"))
		writeContent(&w, e, i, text)
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
	writeContent(&w, e, 0, text)
	w.Close('}')
	return w.Out, nil
}

func writeContent(w *jsonx.Writer, e *Request, i int, text string) {
	w.Name("content")
	w.Open('{')
	w.Name("parts")
	w.Open('[')
	w.Open('{')
	w.Text("text", text)
	w.Close('}')
	w.Close(']')
	w.Close('}')
	w.TextIf("taskType", e.Purpose)
	w.TextIf("title", titleOf(e, i))
	if e.Dimensions != nil {
		w.Int("outputDimensionality", *e.Dimensions)
	}
}

// titleOf is a text's; "" when there is none.
func titleOf(e *Request, i int) string {
	if i < len(e.Titles) {
		return e.Titles[i]
	}
	return ""
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
	for i, text := range e.Texts {
		w.Open('{')
		w.Text("content", text)
		w.TextIf("task_type", e.Purpose)
		w.TextIf("title", titleOf(e, i))
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
