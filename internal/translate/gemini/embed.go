package gemini

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"halley/internal/jsonx"
	"halley/internal/translate"
)

// Embedding is a request for embeddings, of this dialect or OpenAI's.
type Embedding struct {
	Model      string
	Texts      []string
	Dimensions *int64
	// Batch says that it is a batchEmbedContents, whose answer is a list.
	Batch bool
	// Base64 says that an OpenAI client wants vectors as base64 of 32-bit floats.
	Base64 bool
	// Left are members that the other side has no words for, such as taskType.
	Left []string
}

// Vectors is an answer with embeddings: each a list of numbers, as the upstream
// wrote it.
type Vectors struct {
	Values [][]float64
	// Tokens is what the texts have; nil when the upstream does not say.
	Tokens *int64
}

// DecodeEmbed reads the body of {model}:embedContent, or of batchEmbedContents.
func (codec Codec) DecodeEmbed(body []byte, batch bool) (*Embedding, error) {
	e := &Embedding{Model: codec.Model, Batch: batch}
	r := jsonx.Read(body)
	if !batch {
		e.read(r)
	} else {
		for r.Object(); r.Next('}'); {
			if r.Is("requests") {
				each(r, func() { e.read(r) })
			} else {
				r.Skip()
			}
		}
	}
	if err := malformed(r.End()); err != nil {
		return nil, err
	}
	if len(e.Texts) == 0 {
		return nil, translate.Malform("content", "There must be a content to embed.")
	}
	return e, nil
}

// read reads one content to embed. All of a batch have the same settings in the
// neutral form: those of the last.
func (e *Embedding) read(r *jsonx.Reader) {
	var text strings.Builder
	for r.Object(); r.Next('}'); {
		switch name := nameOf(r); name {
		case "content":
			at := r.At()
			m := readContent(r)
			for _, p := range m.Parts {
				t, ok := p.(*translate.Text)
				if !ok {
					r.Fault(at, "must be text for this model's upstream")
					continue
				}
				text.WriteString(t.Text)
			}
		case "model":
			if name := strings.TrimPrefix(r.String(), "models/"); e.Model == "" {
				e.Model = name
			}
		case "outputDimensionality":
			e.Dimensions = readInt(r)
		default: // taskType, title
			e.Left = append(e.Left, name)
			r.Skip()
		}
	}
	e.Texts = append(e.Texts, text.String())
}

// EncodeEmbed writes the body of {model}:batchEmbedContents.
func EncodeEmbed(e *Embedding, to translate.Target) []byte {
	var w jsonx.Writer
	w.Open('{')
	w.Name("requests")
	w.Open('[')
	for _, text := range e.Texts {
		w.Open('{')
		w.Text("model", "models/"+to.Model)
		e.writeContent(&w, text)
		w.Close('}')
	}
	w.Close(']')
	w.Close('}')
	return w.Out
}

// EncodeEmbedOne writes the body of {model}:embedContent for the text at a place,
// which is what Vertex AI has for its newer models; it has no batches.
func EncodeEmbedOne(e *Embedding, at int) []byte {
	var w jsonx.Writer
	w.Open('{')
	e.writeContent(&w, e.Texts[at])
	w.Close('}')
	return w.Out
}

func (e *Embedding) writeContent(w *jsonx.Writer, text string) {
	w.Name("content")
	w.Open('{')
	w.Name("parts")
	w.Open('[')
	writeText(w, text)
	w.Close(']')
	w.Close('}')
	if e.Dimensions != nil {
		w.Int("outputDimensionality", *e.Dimensions)
	}
}

// DecodeVectors reads the answer of embedContent or batchEmbedContents.
func DecodeVectors(body []byte) (*Vectors, error) {
	v := &Vectors{}
	r := jsonx.Read(body)
	for r.Object(); r.Next('}'); {
		switch {
		case r.Is("embedding"), r.Is("embeddings"):
			each(r, func() { v.Values = append(v.Values, readVector(r, "values")) })
		case r.Is("usageMetadata"):
			for r.Object(); r.Next('}'); {
				if r.Is("promptTokenCount") {
					v.Tokens = readInt(r)
				} else {
					r.Skip()
				}
			}
		default:
			r.Skip()
		}
	}
	if err := r.End(); err != nil {
		return nil, fmt.Errorf("read embeddings: %w", err)
	}
	if len(v.Values) == 0 {
		return nil, errors.New("read embeddings: there are none")
	}
	return v, nil
}

func readVector(r *jsonx.Reader, member string) (list []float64) {
	for r.Object(); r.Next('}'); {
		if !r.Is(member) {
			r.Skip()
			continue
		}
		list = readNumbers(r)
	}
	return list
}

// readNumbers reads a list of numbers, or base64 of 32-bit floats, little end
// first, which is OpenAI's other form.
func readNumbers(r *jsonx.Reader) (list []float64) {
	if r.Kind() == '"' {
		at := r.At()
		raw, err := base64.StdEncoding.DecodeString(r.String())
		if err != nil || len(raw)%4 != 0 {
			r.Fault(at, "must be a list of numbers or base64 of 32-bit floats")
			return nil
		}
		for i := 0; i < len(raw); i += 4 {
			list = append(list, float64(math.Float32frombits(binary.LittleEndian.Uint32(raw[i:]))))
		}
		return list
	}
	for r.Array(); r.Next(']'); {
		if n := r.FloatOpt(); n != nil {
			list = append(list, *n)
		}
	}
	return list
}

// EncodeVectors writes an answer for a client of this dialect.
func EncodeVectors(v *Vectors, batch bool) []byte {
	var w jsonx.Writer
	w.Open('{')
	if batch {
		w.Name("embeddings")
		w.Open('[')
		for _, values := range v.Values {
			writeVector(&w, values)
		}
		w.Close(']')
	} else {
		w.Name("embedding")
		writeVector(&w, v.Values[0])
	}
	if v.Tokens != nil {
		w.Name("usageMetadata")
		w.Open('{')
		w.Int("promptTokenCount", *v.Tokens)
		w.Close('}')
	}
	w.Close('}')
	return w.Out
}

func writeVector(w *jsonx.Writer, values []float64) {
	w.Open('{')
	w.Name("values")
	writeNumbers(w, values)
	w.Close('}')
}

func writeNumbers(w *jsonx.Writer, values []float64) {
	w.Open('[')
	for i, f := range values {
		if i > 0 {
			w.Out = append(w.Out, ',')
		}
		w.Out = strconv.AppendFloat(w.Out, f, 'g', -1, 64)
	}
	w.Close(']')
}

// DecodeOpenAIEmbed reads the body of OpenAI's POST /embeddings.
func DecodeOpenAIEmbed(body []byte) (*Embedding, error) {
	e := &Embedding{Batch: true}
	r := jsonx.Read(body)
	for r.Object(); r.Next('}'); {
		switch name := r.Name(); name {
		case "model":
			e.Model = r.String()
		case "input":
			at := r.At()
			if r.Kind() == '"' {
				e.Texts = []string{r.String()}
				continue
			}
			for r.Array(); r.Next(']'); {
				if r.Kind() != '"' {
					r.Fault(at, "must be text: this model's upstream does not know the tokens of another")
					break
				}
				e.Texts = append(e.Texts, r.String())
			}
		case "dimensions":
			e.Dimensions = r.IntOpt()
		case "encoding_format":
			e.Base64 = r.String() == "base64"
		default: // user
			e.Left = append(e.Left, name)
			r.Skip()
		}
	}
	if err := malformed(r.End()); err != nil {
		return nil, err
	}
	if len(e.Texts) == 0 {
		return nil, translate.Malform("input", "input is required.")
	}
	return e, nil
}

// EncodeOpenAIEmbed writes the body of OpenAI's POST /embeddings.
func EncodeOpenAIEmbed(e *Embedding, to translate.Target) []byte {
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
	return w.Out
}

// DecodeOpenAIVectors reads the answer of OpenAI's POST /embeddings.
func DecodeOpenAIVectors(body []byte) (*Vectors, error) {
	v := &Vectors{}
	r := jsonx.Read(body)
	for r.Object(); r.Next('}'); {
		switch {
		case r.Is("data"):
			each(r, func() { v.Values = append(v.Values, readVector(r, "embedding")) })
		case r.Is("usage") && r.Kind() == '{':
			for r.Object(); r.Next('}'); {
				if r.Is("prompt_tokens") {
					v.Tokens = r.IntOpt()
				} else {
					r.Skip()
				}
			}
		default:
			r.Skip()
		}
	}
	if err := r.End(); err != nil {
		return nil, fmt.Errorf("read embeddings: %w", err)
	}
	if len(v.Values) == 0 {
		return nil, errors.New("read embeddings: there are none")
	}
	return v, nil
}

// EncodeOpenAIVectors writes an answer for a client of OpenAI's dialect.
func EncodeOpenAIVectors(e *Embedding, v *Vectors) []byte {
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
			w.String(packed(values))
		} else {
			writeNumbers(&w, values)
		}
		w.Close('}')
	}
	w.Close(']')
	w.Text("model", e.Model)
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
	return w.Out
}

func packed(values []float64) string {
	raw := make([]byte, 0, 4*len(values))
	for _, f := range values {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(float32(f)))
	}
	return base64.StdEncoding.EncodeToString(raw)
}
