package gemini

import (
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"halley/internal/jsonx"
	"halley/internal/translate"
	"halley/internal/wire"
)

func itoa(n int) string { return strconv.Itoa(n) }

// openAILogprobs is a logprobsResult in OpenAI's words: {"content": [...]}, each
// token with the likeliest in its place. nil when there is none.
func openAILogprobs(v jsontext.Value) jsontext.Value {
	if v.Kind() != '{' {
		return nil
	}
	var top []jsontext.Value
	for list := range wire.Elements(wire.Get(v, "topCandidates")) {
		top = append(top, jsontext.Value(wire.Get(list, "candidates")).Clone())
	}
	var w jsonx.Writer
	w.Open('{')
	w.Name("content")
	w.Open('[')
	n := 0
	for token := range wire.Elements(wire.Get(v, "chosenCandidates")) {
		w.Open('{')
		writeToken(&w, token)
		w.Name("top_logprobs")
		w.Open('[')
		if n < len(top) {
			for other := range wire.Elements(top[n]) {
				w.Open('{')
				writeToken(&w, other)
				w.Close('}')
			}
		}
		w.Close(']')
		w.Close('}')
		n++
	}
	w.Close(']')
	w.Close('}')
	if n == 0 {
		return nil
	}
	return w.Out
}

func writeToken(w *jsonx.Writer, v jsontext.Value) {
	token := wire.Text(wire.Get(v, "token"))
	w.Text("token", token)
	logprob := jsontext.Value(wire.Get(v, "logProbability"))
	if logprob.Kind() != '0' {
		logprob = jsontext.Value("0") // which JSON protocol buffers leave out
	}
	w.Raw("logprob", logprob)
	w.Name("bytes")
	w.Open('[')
	for _, b := range []byte(token) {
		w.Value(jsontext.Value(strconv.Itoa(int(b))))
	}
	w.Close(']')
}

// writeLogprobs writes OpenAI's list of tokens as a logprobsResult.
func writeLogprobs(w *jsonx.Writer, tokens jsontext.Value) {
	if len(tokens) <= 2 || tokens[0] != '[' {
		return
	}
	w.Name("logprobsResult")
	w.Open('{')
	w.Name("chosenCandidates")
	w.Open('[')
	for token := range wire.Elements(tokens) {
		writeChosen(w, token)
	}
	w.Close(']')
	w.Name("topCandidates")
	w.Open('[')
	for token := range wire.Elements(tokens) {
		w.Open('{')
		w.Name("candidates")
		w.Open('[')
		top := jsontext.Value(wire.Get(token, "top_logprobs")).Clone()
		for other := range wire.Elements(top) {
			writeChosen(w, other)
		}
		w.Close(']')
		w.Close('}')
	}
	w.Close(']')
	w.Close('}')
}

func writeChosen(w *jsonx.Writer, v jsontext.Value) {
	w.Open('{')
	w.Raw("token", jsontext.Value(wire.Get(v, "token")))
	w.Raw("logProbability", jsontext.Value(wire.Get(v, "logprob")))
	w.Close('}')
}

// tokensOf is the list in a candidate's logprobs.
func tokensOf(logprobs jsontext.Value) jsontext.Value {
	if !translate.Given(logprobs) {
		return nil
	}
	return wire.Get(logprobs, "content")
}
