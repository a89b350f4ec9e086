// Package gemini is Google's generateContent dialect, as AI Studio and Vertex AI
// speak it, between its wire shapes and the neutral conversation: requests,
// answers, streams, errors, token counts and embeddings, for clients and for
// upstreams. It also knows what each Gemini model can do. Facts are from Google's
// two API references and recorded traffic. It does no I/O.
//
// Conventions of its own:
//
//   - Bodies are protocol buffers in JSON: a member may be spelt in camel or in
//     snake case, a whole number or an enum may be a string or a number, base64
//     may have either alphabet, and one value may stand for a list of one.
//   - Gemini models before 3 give calls no ids. Such a call gets one, made of the
//     answer's id and the call's place, and carries a mark in its Extra by which
//     the same dialect leaves the id out again.
//   - A cached prefix (cachedContent) is a part of a system message, since a
//     conversation without it would be another.
//   - What other providers signed thoughts with is base64 around translate.Carry's
//     text here, since clients decode a thoughtSignature.
package gemini

import (
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"halley/internal/jsonx"
	"halley/internal/translate"
)

// Codec knows the dialect. What it does not read from a body stands in the
// request's path and query.
type Codec struct {
	// Model and Streamed are what a client's path asks for.
	Model    string
	Streamed bool
	// Array says that the client reads its stream as a JSON array: it did not ask
	// for server-sent events with alt=sse. Upstreams are always asked for events.
	Array bool
	// Vertex says that the upstream is Vertex AI, whose requests differ in a few
	// members from those of AI Studio.
	Vertex bool
}

var _ translate.Codec = Codec{}

// The roles of the dialect.
const (
	roleUser  = "user"
	roleModel = "model"
)

// nameOf is the name of the member that comes, in camel case.
func nameOf(r *jsonx.Reader) string { return camel(r.Name()) }

// camel is the name that JSON protocol buffers prefer.
func camel(name string) string {
	if strings.IndexByte(name, '_') < 0 {
		return name
	}
	out := make([]byte, 0, len(name))
	for i := 0; i < len(name); i++ {
		c := name[i]
		if c == '_' && i+1 < len(name) && name[i+1] >= 'a' && name[i+1] <= 'z' && i > 0 {
			i++
			c = name[i] - 'a' + 'A'
		}
		out = append(out, c)
	}
	return string(out)
}

// each goes through a list, or the one object that stands for a list of it.
func each(r *jsonx.Reader, read func()) {
	switch r.Kind() {
	case 'n':
		r.Skip()
	case '{':
		read()
	default:
		for r.Array(); r.Next(']'); {
			read()
		}
	}
}

// member is the member that comes, for an Extra.
func member(r *jsonx.Reader) translate.Member {
	return translate.Member{Name: r.Name(), Value: r.Value()}
}

// readInt is a whole number, which may be a string; null is nil.
func readInt(r *jsonx.Reader) *int64 {
	if r.Kind() != '"' {
		return r.IntOpt()
	}
	at := r.At()
	n, err := strconv.ParseInt(r.String(), 10, 64)
	if err != nil {
		r.Fault(at, "must be a whole number")
		return nil
	}
	return &n
}

// readWord is an enum's value, which may be its number.
func readWord(r *jsonx.Reader) string {
	if r.Kind() == '0' {
		return string(r.Value())
	}
	return r.String()
}

func readStrings(r *jsonx.Reader) (list []string) {
	if r.Null() {
		return nil
	}
	if r.Kind() == '"' {
		return []string{r.String()}
	}
	for r.Array(); r.Next(']'); {
		list = append(list, r.String())
	}
	return list
}

// standard is base64 in the alphabet that other dialects want, padded.
func standard(data string) string {
	if strings.ContainsAny(data, "-_") {
		data = strings.NewReplacer("-", "+", "_", "/").Replace(data)
	}
	if n := len(data) % 4; n > 1 {
		data += "=="[:4-n]
	}
	return data
}

// noID marks a call, or a result, that came without an id.
const noID = "came without an id"

func marked(e translate.Extra) translate.Extra {
	return append(e, translate.Member{Name: noID, Value: jsontext.Value("null")})
}

func isMarked(e translate.Extra) bool { return e.Get(noID) != nil }

// Names in an Extra that begin so are members of an object in what it is of.
const (
	ofConfig = "generationConfig."
	ofCall   = "functionCall."
	ofResult = "functionResponse."
	ofInline = "inlineData."
	ofFile   = "fileData."
)

// writeExtra writes the members of an Extra that are no mark and belong to no
// object within.
func writeExtra(w *jsonx.Writer, e translate.Extra) {
	for _, m := range e {
		if m.Name != noID && !isWithin(m.Name) {
			w.Raw(m.Name, m.Value)
		}
	}
}

func isWithin(name string) bool {
	for _, object := range [...]string{ofConfig, ofCall, ofResult, ofInline, ofFile} {
		if strings.HasPrefix(name, object) {
			return true
		}
	}
	return false
}

// writeExtraOf writes the members of an Extra that belong to the object of that
// name, with its dot.
func writeExtraOf(w *jsonx.Writer, e translate.Extra, object string) {
	for _, m := range e {
		if name, ok := strings.CutPrefix(m.Name, object); ok {
			w.Raw(name, m.Value)
		}
	}
}
