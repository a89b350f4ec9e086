package dialects_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/google/go-cmp/cmp"

	"halley/internal/translate"
	"halley/internal/translate/embed"
	"halley/internal/wire/cohere"
	"halley/test/fakeprovider"
)

// embedForm is a form of embeddings: what clients speak of it, and upstreams.
type embedForm struct {
	api      string
	client   embed.Client
	upstream embed.Upstream
}

func embedForms() []embedForm {
	return []embedForm{
		{"openai.embeddings", embed.OpenAI{}, embed.OpenAI{}},
		{"gemini.batchEmbedContents", embed.Gemini{}, embed.Gemini{}},
		{"gemini.embedContent", embed.GeminiOne{}, embed.VertexContent{}},
		{"vertex.predict", nil, embed.VertexPredict{}},
		{"cohere.embed_v2", nil, embed.Cohere{}},
	}
}

// rerankAPI goes through as it is.
const rerankAPI = "cohere.rerank_v2"

// vectors makes the checks of an interaction with embeddings.
func (j *judge) vectors(own embedForm) {
	if j.in.Response.Status >= 400 {
		j.try(same, "", func() error { return j.embedFailure(own) })
		return
	}
	if own.client != nil && json.Valid(j.in.Request.Body) && strings.HasPrefix(string(j.in.Request.Body), "{") {
		for _, far := range embedForms() {
			c := through
			if far.api == own.api {
				c = same
			}
			j.try(c, far.api, func() error { return j.embedRequest(own, far) })
		}
	}
	j.try(same, "", func() error {
		_, err := own.upstream.DecodeAnswer(j.in.Response.Body)
		return err
	})
	for _, far := range embedForms() {
		if back, ok := far.client.(embed.Upstream); ok {
			j.try(through, far.api, func() error { return j.embedAnswer(own, far.client, back) })
		}
	}
}

// embedRequest wants the texts, and how large the vectors shall be, to get to an
// upstream.
func (j *judge) embedRequest(own, far embedForm) error {
	e, err := own.client.DecodeRequest(j.in.Request.Body)
	if err != nil {
		return err
	}
	if e.TokenIDs && far.api == own.api {
		return nil // they go as they are
	}
	out, err := far.upstream.EncodeRequest(e, translate.Target{Model: j.in.Model})
	if err != nil {
		return err
	}
	for _, text := range e.Texts {
		quoted, err := json.Marshal(text)
		if err != nil {
			return err
		}
		v, err := parse(out)
		if err != nil {
			return err
		}
		if !holds(v, text) {
			return fmt.Errorf("%s is not in %s", quoted, out)
		}
	}
	if e.Dimensions != nil && !strings.Contains(string(out), fmt.Sprint(*e.Dimensions)) {
		return fmt.Errorf("%d dimensions are not asked for in %s", *e.Dimensions, out)
	}
	return nil
}

// embedAnswer wants the vectors and what was used to get to a client.
func (j *judge) embedAnswer(own embedForm, client embed.Client, back embed.Upstream) error {
	v, err := own.upstream.DecodeAnswer(j.in.Response.Body)
	if err != nil {
		return err
	}
	if _, one := client.(embed.GeminiOne); one && len(v.Values) > 1 {
		return nil // it is asked for one
	}
	out, err := client.EncodeAnswer(&embed.Request{}, v, j.in.Model)
	if err != nil {
		return err
	}
	again, err := back.DecodeAnswer(out)
	if err != nil {
		return err
	}
	if diff := cmp.Diff(v.Values, again.Values); diff != "" {
		return errors.New(diff)
	}
	if v.Tokens != nil && (again.Tokens == nil || *again.Tokens != *v.Tokens) {
		return fmt.Errorf("%d tokens became %v", *v.Tokens, again.Tokens)
	}
	return nil
}

func (j *judge) embedFailure(own embedForm) error {
	f := own.upstream.DecodeFailure(j.in.Response.Status, j.in.Response.Body)
	v, err := parse(j.in.Response.Body)
	if err != nil {
		return err
	}
	if f.Message == "" || !holds(v, f.Message) {
		return fmt.Errorf("%q is not what %s says", f.Message, j.in.Response.Body)
	}
	return nil
}

// reranked wants a request and its answer to be read for what is metered; both go
// through as they are.
func (j *judge) reranked() {
	j.try(same, "", func() error {
		r, err := cohere.Rerank{}.ScanRequest(j.in.Request.Body)
		if err != nil {
			return err
		}
		if r.Facts().Model == "" {
			return errors.New("no model")
		}
		if a, ok := (cohere.Rerank{}).ScanAnswer(j.in.Response.Body); !ok || a.IsError {
			return errors.New("no answer")
		}
		return nil
	})
}

// others takes what is no text.
func (r *report) others(lib *fakeprovider.Library, take func(*judge)) error {
	for _, own := range embedForms() {
		all, err := lib.Load(fakeprovider.OfAPI(own.api))
		if err != nil {
			return err
		}
		for _, in := range all {
			j := &judge{in: in, own: &dialect{name: translate.Dialect(own.api)}, other: "embeddings"}
			j.vectors(own)
			take(j)
		}
	}
	all, err := lib.Load(fakeprovider.OfAPI(rerankAPI))
	if err != nil {
		return err
	}
	for _, in := range all {
		j := &judge{in: in, own: &dialect{name: rerankAPI}, other: "rerank"}
		j.reranked()
		take(j)
	}
	return nil
}
