package openai

import (
	"strings"
	"testing"

	"halley/internal/wire"
)

func TestTheMeterReadsOutputAndNothingElse(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		chunk    string
		bytes    int
		finished bool
		scan     bool
	}{
		"content":                  {`{"choices":[{"delta":{"content":"hello"},"finish_reason":null}],"usage":null}`, 5, false, false},
		"with blanks":              {`{ "choices" : [ { "delta" : { "content" : "hello" } , "finish_reason" : "stop" } ] }`, 5, true, false},
		"escapes count as written": {`{"content":"a\"b\\"}`, 6, false, false},
		"tool arguments":           {`{"delta":{"tool_calls":[{"function":{"name":"f","arguments":"{\"a\":1}"}}]}}`, 9, false, false},
		"reasoning":                {`{"delta":{"reasoning_content":"hm","reasoning":"hm"}}`, 4, false, false},
		"speech":                   {`{"delta":{"audio":{"data":"AAAA","transcript":"hi"}}}`, 2, false, false},
		"no reason to finish":      {`{"delta":{"content":"hello"},"finish_reason":""}`, 5, false, false},
		"nor a null that is text":  {`{"delta":{"content":"hello"},"finish_reason":"null"}`, 5, false, false},
		"null content":             {`{"delta":{"content":null,"refusal":null}}`, 0, false, false},
		"members quoted in a text": {`{"delta":{"content":"\"finish_reason\":\"stop\",\"usage\":{}"}}`, 39, false, false},
		"usage":                    {`{"choices":[],"usage":{"prompt_tokens":1}}`, 0, false, true},
		"error":                    {`{"error":{"message":"x"}}`, 0, false, true},
		"tier":                     {`{"service_tier":"flex"}`, 0, false, true},
		"a value called usage":     {`{"x":"usage","y":"error"}`, 0, false, false},
		"broken":                   {`{"content":"abc`, 3, false, false},
		"broken name":              {`{"content`, 0, false, false},
		"colon at the end":         {`{"content":`, 0, false, false},
		"backslash at the end":     {`{"content":"a\`, 2, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var m Stream
			scan := m.chunk([]byte(row.chunk))
			if m.p.Text.Total() != row.bytes || (m.p.Finished > 0) != row.finished || scan != row.scan {
				t.Errorf("%d bytes, finished %v, scan %v", m.p.Text.Total(), m.p.Finished, scan)
			}
		})
	}
}

func TestARepeatedBeginningIsReadTheSame(t *testing.T) {
	t.Parallel()
	const head = `{"id":"1","service_tier":"default","choices":[{"delta":{"content":"`
	m := Stream{p: wire.Progress{Tier: "default"}}
	for range 3 {
		m.chunk([]byte(head + `abc"}}],"usage":null}`))
	}
	if scan := m.chunk([]byte(head + `"}}],"usage":{}}`)); m.p.Text.ASCII != 9 || m.p.Chunks != 3 || !scan {
		t.Errorf("%d bytes in %d chunks, scan %v", m.p.Text.ASCII, m.p.Chunks, scan)
	}
	if m.chunk([]byte(`{"id":"2","choices":[{"delta":{"content":"xy"}}]}`)); m.p.Text.ASCII != 11 {
		t.Errorf("%d bytes after another beginning", m.p.Text.ASCII)
	}
}

func FuzzTheMeterTakesAnything(f *testing.F) {
	f.Add([]byte(`{"content":"a\`))
	f.Add([]byte(`"":"`))
	f.Fuzz(func(_ *testing.T, data []byte) {
		var m Stream
		m.chunk(data)
	})
}

func TestMeteringAllocatesNothing(t *testing.T) {
	data := []byte(`{"id":"chatcmpl-1","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"content":" word"},"finish_reason":null}],"usage":null}`)
	var m Stream
	if n := testing.AllocsPerRun(100, func() { m.chunk(data) }); n != 0 {
		t.Errorf("%v allocations a chunk", n)
	}
}

func BenchmarkMeter(b *testing.B) {
	data := []byte(`{"id":"chatcmpl-` + strings.Repeat("x", 24) + `","object":"chat.completion.chunk","created":1795416582,"model":"gpt-4o","service_tier":"default","system_fingerprint":"fp_44709d6fcb","choices":[{"index":0,"delta":{"content":" word"},"logprobs":null,"finish_reason":null}],"usage":null}`)
	m := Stream{p: wire.Progress{Tier: "default"}}
	b.ReportAllocs()
	for b.Loop() {
		m.chunk(data)
	}
}

func TestAnErrorInAResponsesStreamNeedsNoType(t *testing.T) {
	t.Parallel()
	for event, failed := range map[string]bool{
		`{"error":{"message":"bad gateway"}}`:                          true,
		`{"error":null}`:                                               false,
		`{"type":"error","message":"m"}`:                               true,
		`{"type":"response.some_tool.failed","error":{"message":"m"}}`: false,
	} {
		s := Responses{}.Stream(wire.StreamOptions{Choices: 1})
		if s.Take(nil, []byte("data: "+event+"\n\n")); s.Progress().Failed != failed {
			t.Errorf("%s: failed is %v", event, !failed)
		}
	}
}
