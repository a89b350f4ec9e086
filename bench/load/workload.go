// Package load is the benchmark's client: it sends one kind of request over a
// fixed number of connections, in a closed loop (the next request follows the
// answer) or an open one (at a given rate), checks every answer to its end and
// keeps the latencies. It owns requests, the reading of answers and the
// figures of one run. It must not know what it measures: targets, processes
// and comparisons belong to the runner.
//
// It speaks HTTP/1.1 on bare connections, because on a machine that it shares
// with what it measures every microsecond of its own is taken from the other.
package load

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// Model is the model that the chat workloads ask for.
const Model = "bench-chat"

// Workload is one kind of request and what a whole answer to it looks like.
type Workload struct {
	Name   string
	Path   string // below the target's base path
	Body   string // JSON
	Chunks int    // SSE events of a whole stream before [DONE]; 0 for a plain answer
}

// Workloads lists what the benchmark measures.
//
// The stream does not ask for usage, as most clients do not. A gateway that
// meters has to ask upstream and to take the usage chunk out again, so the
// count of chunks also shows whether it did.
func Workloads() []Workload {
	const path = "/chat/completions"
	return []Workload{
		{Name: "plain1k", Path: path, Body: chat(1<<10, "")},
		{Name: "stream100", Path: path, Body: chat(1<<10, `"stream":true,`), Chunks: 100},
		{Name: "prompt100k", Path: path, Body: chat(100<<10, "")},
	}
}

// Named finds a workload by its name.
func Named(name string) (Workload, error) {
	all := Workloads()
	i := slices.IndexFunc(all, func(w Workload) bool { return w.Name == name })
	if i < 0 {
		return Workload{}, fmt.Errorf("no workload is called %q", name)
	}
	return all[i], nil
}

// chat renders a chat request of exactly size bytes, always the same.
func chat(size int, members string) string {
	const head, tail = `{"model":"` + Model + `",%s"messages":[{"role":"system","content":"Answer briefly."},{"role":"user","content":"`, `"}],"temperature":0.7}`
	const text = `The gateway reads a \"prompt\" and sends it on to whoever answers, chunk by chunk;\nnobody should notice it. `
	words := strings.SplitAfter(text, " ")
	rng := rand.New(rand.NewPCG(1, 2))
	var b strings.Builder
	fmt.Fprintf(&b, head, members)
	room := func() int { return size - len(tail) - b.Len() }
	for word := words[0]; len(word) <= room(); word = words[rng.IntN(len(words))] {
		b.WriteString(word)
	}
	b.WriteString(strings.Repeat(".", room()))
	b.WriteString(tail)
	return b.String()
}
