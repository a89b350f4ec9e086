package demo

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"

	"halley/internal/jsonx"
)

// The sizes of a vector.
const (
	defaultDimensions = 256
	maxDimensions     = 3072
	maxInputs         = 2048
	// maxWords bounds the work for one input; what follows does not change
	// its vector.
	maxWords = 2000
)

type embeddingRequest struct {
	Model      string      `json:"model"`
	Input      jsonx.Value `json:"input"`
	Dimensions *int64      `json:"dimensions"`
	Format     *string     `json:"encoding_format"`
}

// input is one text to embed, or one given as token ids.
type input struct {
	words  []string
	tokens int
}

type embeddingAnswer struct {
	Object string          `json:"object"`
	Data   []embedding     `json:"data"`
	Model  string          `json:"model"`
	Usage  embeddingTokens `json:"usage"`
}

type embedding struct {
	Object string `json:"object"`
	Index  int    `json:"index"`
	// Embedding is a list of numbers or, when asked for, the base64 of their
	// little-endian float32s.
	Embedding any `json:"embedding"`
}

type embeddingTokens struct {
	Prompt int `json:"prompt_tokens"`
	Total  int `json:"total_tokens"`
}

func (p *Provider) embeddings(r *http.Request, body []byte) (*http.Response, error) {
	var q embeddingRequest
	if err := jsonx.Decode(body, &q); err != nil {
		return decodeProblem(r, err), nil
	}
	b, known := of(q.Model)
	inputs := q.inputs()
	switch {
	case q.Model == "":
		return badRequest(r, "model", "you must provide a model parameter"), nil
	case !known:
		return unknownModel(r, q.Model), nil
	case len(inputs) == 0:
		return badRequest(r, "input", "'$.input' is invalid: expected a text, a list of up to %d texts, or token ids, none of them empty.", maxInputs), nil
	case q.Dimensions != nil && (*q.Dimensions < 1 || *q.Dimensions > maxDimensions):
		return badRequest(r, "dimensions", "Invalid 'dimensions': expected a value from 1 to %d.", maxDimensions), nil
	case q.Format != nil && *q.Format != "float" && *q.Format != "base64":
		return badRequest(r, "encoding_format", "Invalid 'encoding_format': expected float or base64."), nil
	}
	if resp, err := p.misbehave(r, q.Model, b); resp != nil || err != nil {
		return resp, err
	}
	resp := answerJSON(r, http.StatusOK, q.answer(inputs))
	if b == cut {
		resp.Body = halfOf(resp)
	}
	return resp, nil
}

func (q *embeddingRequest) answer(inputs []input) embeddingAnswer {
	dimensions := defaultDimensions
	if q.Dimensions != nil {
		dimensions = int(*q.Dimensions)
	}
	full := embeddingAnswer{Object: "list", Model: q.Model}
	for i, in := range inputs {
		full.Usage.Prompt += in.tokens
		e := embedding{Object: "embedding", Index: i}
		if v := vector(in.words, dimensions); q.Format != nil && *q.Format == "base64" {
			e.Embedding = packed(v)
		} else {
			e.Embedding = v
		}
		full.Data = append(full.Data, e)
	}
	full.Usage.Total = full.Usage.Prompt
	return full
}

// inputs reads the input's four forms; none when it is of no form, or holds
// something empty.
func (q *embeddingRequest) inputs() []input {
	var text string
	if jsonx.Unmarshal(q.Input, &text) == nil {
		return texts([]string{text})
	}
	var list []string
	if jsonx.Unmarshal(q.Input, &list) == nil {
		return texts(list)
	}
	var ids []int64
	if jsonx.Unmarshal(q.Input, &ids) == nil {
		return tokenIDs([][]int64{ids})
	}
	var lists [][]int64
	if jsonx.Unmarshal(q.Input, &lists) == nil {
		return tokenIDs(lists)
	}
	return nil
}

func texts(list []string) []input {
	if len(list) > maxInputs {
		return nil
	}
	var inputs []input
	for _, text := range list {
		if text == "" {
			return nil
		}
		inputs = append(inputs, input{words: strings.Fields(strings.ToLower(text)), tokens: count(text)})
	}
	return inputs
}

func tokenIDs(lists [][]int64) []input {
	if len(lists) > maxInputs {
		return nil
	}
	var inputs []input
	for _, ids := range lists {
		if len(ids) == 0 {
			return nil
		}
		in := input{tokens: len(ids)}
		for _, id := range ids {
			in.words = append(in.words, strconv.FormatInt(id, 10))
		}
		inputs = append(inputs, in)
	}
	return inputs
}

// vector is the sum of the words' own directions, scaled to length 1: equal
// texts give equal vectors and texts that share words lie close.
func vector(words []string, dimensions int) []float32 {
	if len(words) == 0 {
		words = []string{""}
	}
	sum := make([]float64, dimensions)
	for _, w := range words[:min(len(words), maxWords)] {
		random := rand.New(rand.NewChaCha8(sha256.Sum256([]byte(w))))
		for i := range sum {
			sum[i] += random.NormFloat64()
		}
	}
	var square float64
	for _, x := range sum {
		square += x * x
	}
	v := make([]float32, dimensions)
	for i, x := range sum {
		v[i] = float32(x / math.Sqrt(square))
	}
	return v
}

func packed(v []float32) string {
	b := make([]byte, 0, 4*len(v))
	for _, x := range v {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
	}
	return base64.StdEncoding.EncodeToString(b)
}

func number(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }
