// Package embed translates requests for embeddings and their answers: a file for
// each form there is of them. It does no I/O.
package embed

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"

	"halley/internal/jsonx"
	"halley/internal/translate"
)

// Request is a request for embeddings in no dialect. Encoders only read it, but
// for what they Drop.
type Request struct {
	Texts []string
	// Titles are those of the texts, where they were given; else nil.
	Titles     []string
	TokenIDs   bool // the input is numbers of a tokenizer, which no other upstream knows
	Dimensions *int64
	// Purpose is what the vectors are for, in Google's words; "" when that was not
	// said. Models that tell queries from documents want it.
	Purpose string
	// Base64 says that the client wants vectors as base64 of 32-bit floats.
	Base64 bool
	// Odd is a member that asks for what no other upstream does: something besides
	// text, or another purpose or size for each text.
	Odd string
	// Left are members that the neutral form has no place for, by their names.
	Left []string

	// What the client's form calls texts, their purpose and their titles.
	field, purpose, title string
	dropped               []string
}

// drop notes that the upstream has no words for a member.
func (e *Request) drop(name string) { e.dropped = append(e.dropped, name) }

// TakeDropped gives what no upstream is told of, and what the last was not.
func (e *Request) TakeDropped() []string {
	dropped := slices.Concat(e.Left, e.dropped)
	e.dropped = nil
	return dropped
}

// Vectors are an answer in no dialect.
type Vectors struct {
	Values [][]float64
	// Tokens is how many the texts had; nil when the upstream does not say.
	Tokens *int64
}

// Client is the side of a form that faces who asked.
type Client interface {
	// DecodeRequest reads a request body. What is wrong with it is a
	// *translate.Malformed.
	DecodeRequest(body []byte) (*Request, error)
	// EncodeAnswer writes the answer to the request e; model is the public name.
	EncodeAnswer(e *Request, v *Vectors, model string) ([]byte, error)
	// EncodeFailure writes an error answer's body.
	EncodeFailure(f translate.Failure, requestID string) []byte
}

// Upstream is the side of a form that faces who answers.
type Upstream interface {
	// EncodeRequest writes a request body. What the upstream has no words for is a
	// *translate.Unsupported.
	EncodeRequest(e *Request, to translate.Target) ([]byte, error)
	// DecodeAnswer reads an answer's body. An error means that it is none.
	DecodeAnswer(body []byte) (*Vectors, error)
	// DecodeFailure reads the body of an answer with an error status.
	DecodeFailure(status int, body []byte) translate.Failure
}

// purposes are what vectors may be for: in Google's words, and in Cohere's, which
// has fewer.
var purposes = [...]struct{ google, cohere string }{
	{"RETRIEVAL_DOCUMENT", "search_document"},
	{"RETRIEVAL_QUERY", "search_query"},
	{"CLASSIFICATION", "classification"},
	{"CLUSTERING", "clustering"},
	{"QUESTION_ANSWERING", "search_query"},
	{"FACT_VERIFICATION", "search_query"},
	{"CODE_RETRIEVAL_QUERY", "search_query"},
	{"SEMANTIC_SIMILARITY", ""},
}

// purposeOf is a purpose by the words of Google, Cohere and those of others of
// OpenAI's form; "" when it has none.
func purposeOf(word string) string {
	for _, p := range purposes {
		if word != "" && (p.google == word || p.cohere == word) {
			return p.google
		}
	}
	switch word {
	case "query":
		return "RETRIEVAL_QUERY"
	case "document", "passage":
		return "RETRIEVAL_DOCUMENT"
	}
	return ""
}

// inputType is the request's purpose in Cohere's words, whose models must be told.
// Where the client does not say, the texts are documents to be found.
func inputType(e *Request) string {
	for _, p := range purposes {
		if p.google == e.Purpose && p.cohere != "" {
			return p.cohere
		}
	}
	if e.Purpose != "" {
		e.drop(e.purpose)
	}
	return "search_document"
}

// untitled drops the titles.
func untitled(e *Request) {
	if e.Titles != nil {
		e.drop(e.title)
	}
}

// textsOnly refuses what is not text.
func textsOnly(e *Request) error {
	switch {
	case e.TokenIDs:
		return translate.Unsupport(e.field, "The model's upstream embeds text, and does not know the token ids of another's tokenizer.")
	case e.Odd != "":
		return translate.Unsupport(e.Odd, "The model's upstream embeds texts, all of a request for the same purpose and in the same size.")
	}
	return nil
}

// one is the only text, for upstreams that take one at a time.
func one(e *Request, model string) (string, error) {
	if err := textsOnly(e); err != nil {
		return "", err
	}
	if len(e.Texts) != 1 {
		return "", translate.Unsupport(e.field, "The upstream of the model %q embeds one text a request, not %d.", model, len(e.Texts))
	}
	return e.Texts[0], nil
}

// whole is an answer that has been read, or why it is none.
func whole(v *Vectors, err error) (*Vectors, error) {
	switch {
	case err != nil:
		return nil, fmt.Errorf("read embeddings: %w", err)
	case len(v.Values) == 0:
		return nil, errors.New("read embeddings: there are none")
	}
	return v, nil
}

// readMember reads the list of numbers that is a member of an object.
func readMember(r *jsonx.Reader, member string) (list []float64) {
	for r.Object(); r.Next('}'); {
		if r.Is(member) {
			list = readNumbers(r)
		} else {
			r.Skip()
		}
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

func packed(values []float64) string {
	raw := make([]byte, 0, 4*len(values))
	for _, f := range values {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(float32(f)))
	}
	return base64.StdEncoding.EncodeToString(raw)
}
