package main

import (
	"bytes"
	"fmt"
	"strings"
)

// The models that the stand-in lists; it answers for any other name too.
const (
	chatModel  = "bench-chat"
	embedModel = "bench-embed"
)

const plainWords = 120 // of about 7 bytes: a plain answer of about 1 KB

const created = 1766188800 // a fixed instant: answers are the same in every run

// answers holds every byte that the stand-in sends, but for the prompt's token
// count, which sits between the two halves of a template.
type answers struct {
	plain     template
	chunks    [][]byte // without a usage member
	asked     [][]byte // with "usage":null, as OpenAI sends them when usage was asked for
	usage     template // the final, usage-only chunk
	done      []byte
	embedding template
	models    []byte
}

// template is an answer with one gap for the usage object's token counts.
type template struct {
	before, after    []byte
	completionTokens int
}

// fill appends the answer to dst with promptTokens in its usage object.
func (t template) fill(dst []byte, promptTokens int) []byte {
	dst = append(dst, t.before...)
	dst = fmt.Appendf(dst, `"prompt_tokens":%d,`, promptTokens)
	if t.completionTokens > 0 {
		dst = fmt.Appendf(dst, `"completion_tokens":%d,`, t.completionTokens)
	}
	dst = fmt.Appendf(dst, `"total_tokens":%d`, promptTokens+t.completionTokens)
	return append(dst, t.after...)
}

// render makes the answers, with n chunks in a stream.
func render(n int) *answers {
	head := fmt.Sprintf(`"created":%d,"model":%q,"system_fingerprint":"fp_bench"`, created, chatModel)
	chunkHead := `data: {"id":"chatcmpl-bench-stream","object":"chat.completion.chunk",` + head + `,`
	a := &answers{
		done: []byte("data: [DONE]\n\n"),
		models: fmt.Appendf(nil, `{"object":"list","data":[`+
			`{"id":%q,"object":"model","created":%d,"owned_by":"bench"},`+
			`{"id":%q,"object":"model","created":%d,"owned_by":"bench"}]}`, chatModel, created, embedModel, created),
	}
	a.plain = split(`{"id":"chatcmpl-bench-plain","object":"chat.completion",`+head+
		`,"choices":[{"index":0,"message":{"role":"assistant","content":"`+words(plainWords)+
		`","refusal":null},"logprobs":null,"finish_reason":"stop"}],"usage":{`, `}}`, plainWords)
	a.usage = split(chunkHead+`"choices":[],"usage":{`, "}}\n\n", n-2)
	a.embedding = split(fmt.Sprintf(`{"object":"list","data":[{"object":"embedding","index":0,"embedding":[%s]}],"model":%q,"usage":{`,
		vector(256), embedModel), `}}`, 0)
	for i := range n {
		choice := fmt.Sprintf(`{"index":0,"delta":{"content":" word%d"},"logprobs":null,"finish_reason":null}`, i)
		switch i {
		case 0:
			choice = `{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}`
		case n - 1:
			choice = `{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}`
		}
		a.chunks = append(a.chunks, []byte(chunkHead+`"choices":[`+choice+"]}\n\n"))
		a.asked = append(a.asked, []byte(chunkHead+`"choices":[`+choice+`],"usage":null}`+"\n\n"))
	}
	return a
}

func split(before, after string, completionTokens int) template {
	return template{before: []byte(before), after: []byte(after), completionTokens: completionTokens}
}

func words(n int) string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("word%d", i)
	}
	return strings.Join(list, " ")
}

func vector(n int) string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("%.6f", float64(i-n/2)/float64(8*n))
	}
	return strings.Join(list, ",")
}

// isTrue says whether body has the member name set to true. It looks for the
// text instead of parsing: the benchmark writes the prompts, and none of them
// quotes a member name.
func isTrue(body []byte, name string) bool {
	_, rest, found := bytes.Cut(body, []byte(`"`+name+`"`))
	if !found {
		return false
	}
	rest, found = bytes.CutPrefix(bytes.TrimLeft(rest, " \t\r\n"), []byte(":"))
	return found && bytes.HasPrefix(bytes.TrimLeft(rest, " \t\r\n"), []byte("true"))
}
