package wire_test

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"

	"halley/internal/fault"
	"halley/internal/sse"
	"halley/internal/usage"
	"halley/internal/wire"
	"halley/internal/wire/anthropic"
	"halley/internal/wire/gemini"
	"halley/internal/wire/openai"
	"halley/test/fakeprovider"
)

// dialect is a format, and what its recordings say of usage, worked out in
// another way.
type dialect struct {
	api    string
	format func(in fakeprovider.Interaction) wire.Format
	// tokens are the usage of a last JSON object that reports some; nil for none.
	tokens func(object map[string]any) *usage.Tokens
}

func dialects() []dialect {
	return []dialect{
		{"anthropic.messages", func(fakeprovider.Interaction) wire.Format { return anthropic.Messages{} }, anthropicTokens},
		{"openai.responses", func(fakeprovider.Interaction) wire.Format { return openai.Responses{} }, responsesTokens},
		{"gemini.generateContent", func(in fakeprovider.Interaction) wire.Format {
			return gemini.Generate{Model: in.Model, Streamed: in.Stream}
		}, geminiTokens},
	}
}

func number(object map[string]any, path ...string) int64 {
	for _, name := range path[:len(path)-1] {
		object, _ = object[name].(map[string]any)
	}
	n, _ := object[path[len(path)-1]].(float64)
	return int64(n)
}

func anthropicTokens(o map[string]any) *usage.Tokens {
	if m, ok := o["message"].(map[string]any); ok {
		o = m
	}
	u, ok := o["usage"].(map[string]any)
	if !ok {
		return nil
	}
	t := usage.Tokens{
		CachedRead: number(u, "cache_read_input_tokens"), CacheWrite1h: number(u, "cache_creation", "ephemeral_1h_input_tokens"),
		Completion: number(u, "output_tokens"), Reasoning: number(u, "output_tokens_details", "thinking_tokens"),
	}
	t.CacheWrite5m = number(u, "cache_creation_input_tokens") - t.CacheWrite1h
	t.Prompt = number(u, "input_tokens") + t.CachedRead + t.CacheWrite5m + t.CacheWrite1h
	t.Searches = number(u, "server_tool_use", "web_search_requests")
	iterations, _ := u["iterations"].([]any)
	for _, each := range iterations {
		if one, _ := each.(map[string]any); one["type"] == "compaction" || one["type"] == "advisor_message" {
			t.Prompt += number(one, "input_tokens") + number(one, "cache_read_input_tokens") + number(one, "cache_creation_input_tokens")
			t.CachedRead += number(one, "cache_read_input_tokens")
			t.CacheWrite5m += number(one, "cache_creation_input_tokens")
			t.Completion += number(one, "output_tokens")
		}
	}
	return &t
}

func responsesTokens(o map[string]any) *usage.Tokens {
	if r, ok := o["response"].(map[string]any); ok {
		o = r
	}
	u, ok := o["usage"].(map[string]any)
	if !ok {
		return nil
	}
	searches := int64(0)
	items, _ := o["output"].([]any)
	for _, each := range items {
		item, _ := each.(map[string]any)
		action, acts := item["action"].(map[string]any)
		if item["type"] == "web_search_call" && (!acts || action["type"] == "search") {
			searches++
		}
	}
	return &usage.Tokens{
		Searches: searches,
		Prompt:   number(u, "input_tokens"), CachedRead: number(u, "input_tokens_details", "cached_tokens"), CacheWrite5m: number(u, "input_tokens_details", "cache_write_tokens"),
		Completion: number(u, "output_tokens"), Reasoning: number(u, "output_tokens_details", "reasoning_tokens"),
	}
}

func geminiTokens(o map[string]any) *usage.Tokens {
	u, ok := o["usageMetadata"].(map[string]any)
	if !ok {
		return nil
	}
	t := usage.Tokens{
		Prompt: number(u, "promptTokenCount") + number(u, "toolUsePromptTokenCount"), CachedRead: number(u, "cachedContentTokenCount"),
		Completion: number(u, "candidatesTokenCount") + number(u, "thoughtsTokenCount"), Reasoning: number(u, "thoughtsTokenCount"),
	}
	details := func(name, modality string) (sum int64) {
		list, _ := u[name].([]any)
		for _, each := range list {
			if one, _ := each.(map[string]any); one["modality"] == modality {
				sum += number(one, "tokenCount")
			}
		}
		return sum
	}
	candidates, _ := o["candidates"].([]any)
	for _, each := range candidates {
		c, _ := each.(map[string]any)
		grounding, _ := c["groundingMetadata"].(map[string]any)
		searched, _ := grounding["webSearchQueries"].([]any)
		t.Searches += int64(len(searched))
	}
	if model, _ := o["modelVersion"].(string); strings.HasPrefix(model, "gemini-2") {
		t.Searches = min(t.Searches, 1)
	}
	t.AudioIn, t.ImageIn = details("promptTokensDetails", "AUDIO"), details("promptTokensDetails", "IMAGE")
	t.AudioOut, t.ImageOut = details("candidatesTokensDetails", "AUDIO"), details("candidatesTokensDetails", "IMAGE")
	return &t
}

func recordings(t *testing.T, d dialect, stream bool) []fakeprovider.Interaction {
	t.Helper()
	all := fakeprovider.Fixtures(t).MustLoad(t, func(m fakeprovider.Meta) bool {
		return m.API == d.api && m.Status == 200 && m.Stream == stream && m.Authenticity == "recorded"
	})
	if len(all) == 0 {
		t.Fatal("no recordings")
	}
	return all
}

func TestRequestsOfEveryDialectAreReadAndCappedInPlace(t *testing.T) {
	t.Parallel()
	for _, d := range dialects() {
		for _, stream := range []bool{false, true} {
			for _, in := range recordings(t, d, stream) {
				if len(in.Request.Body) == 0 || in.Request.Body[0] != '{' {
					continue
				}
				format := d.format(in)
				r, err := format.ScanRequest(in.Request.Body)
				if bytes.Contains(in.Request.Body, []byte(`"background":true`)) {
					if fault.From(err).Param != "background" {
						t.Errorf("%s: runs on without us: %v", in.File, err)
					}
					continue
				}
				if err != nil {
					t.Errorf("%s: %v", in.File, err)
					continue
				}
				if edits := r.Edits(wire.Changes{Model: r.Facts().Model}); len(edits) > 0 {
					t.Errorf("%s: edited for nothing", in.File)
				}
				edited := wire.Apply(nil, in.Request.Body, r.Edits(wire.Changes{Model: "another", OutputCap: 17}))
				again, err := format.ScanRequest(edited)
				if err != nil {
					t.Errorf("%s: edited into %s: %v", in.File, edited, err)
					continue
				}
				want := *r.Facts()
				want.Cap = 17
				if d.api != "gemini.generateContent" { // there it stands in the path
					want.Model = "another"
				}
				got := *again.Facts()
				if at := got.CacheKeyAt; string(at.Of(edited)) != string(want.CacheKeyAt.Of(in.Request.Body)) {
					t.Errorf("%s: prompt_cache_key is %s", in.File, at.Of(edited))
				}
				if at := got.MetadataAt; string(at.Of(edited)) != string(want.MetadataAt.Of(in.Request.Body)) {
					t.Errorf("%s: metadata is %s", in.File, at.Of(edited))
				}
				got.CacheKeyAt, got.MetadataAt = want.CacheKeyAt, want.MetadataAt // they may have moved
				if got != want {
					t.Errorf("%s: %+v, want %+v", in.File, got, want)
				}
			}
		}
	}
}

func TestPlainAnswersOfEveryDialectAreMeteredAsRecorded(t *testing.T) {
	t.Parallel()
	for _, d := range dialects() {
		for _, in := range recordings(t, d, false) {
			var object map[string]any
			if err := json.Unmarshal(in.Response.Body, &object); err != nil {
				continue
			}
			a, ok := d.format(in).ScanAnswer(in.Response.Body)
			want := d.tokens(object)
			switch {
			case !ok || a.IsError:
				t.Errorf("%s: not taken for an answer", in.File)
			case a.HasUsage != (want != nil && *want != usage.Tokens{}):
				t.Errorf("%s: reports usage: %v", in.File, a.HasUsage)
			case a.HasUsage && a.Usage != *want:
				t.Errorf("%s: %+v, want %+v", in.File, a.Usage, *want)
			}
		}
	}
}

// pass takes a recorded stream through a Stream, event by event.
func pass(t *testing.T, s wire.Stream, body []byte) []byte {
	t.Helper()
	var out []byte
	events := sse.NewReader(bytes.NewReader(body), nil, 16<<20)
	for {
		err := events.Fill()
		for e := events.Buffered(); e != nil; e = events.Buffered() {
			out = s.Take(out, e)
		}
		if err != nil {
			if rest := events.Rest(); err == io.EOF && s.Complete(rest) {
				out = s.Take(out, rest)
			}
			return s.AppendEnd(out)
		}
	}
}

func TestStreamsOfEveryDialectPassAsTheyAreAndAreMetered(t *testing.T) {
	t.Parallel()
	for _, d := range dialects() {
		for _, in := range recordings(t, d, true) {
			if !in.Response.IsSSE() {
				continue
			}
			s := d.format(in).Stream(wire.StreamOptions{Model: "public", Choices: 1, WantUsage: true})
			if out := pass(t, s, in.Response.Body); !bytes.Equal(bytes.TrimSpace(out), bytes.TrimSpace(in.Response.Body)) {
				t.Errorf("%s: changed on the way", in.File)
			}
			want := &usage.Tokens{}
			for line := range strings.Lines(string(in.Response.Body)) {
				var object map[string]any
				if data, ok := strings.CutPrefix(line, "data:"); ok && json.Unmarshal([]byte(data), &object) == nil {
					if reported := d.tokens(object); reported != nil {
						want = merged(want, reported, d.api)
					}
				}
			}
			p := s.Progress()
			if p.Usage != *want {
				t.Errorf("%s: %+v, want %+v", in.File, p.Usage, want)
			}
			if p.Finished == 0 && !p.Done && !p.Failed {
				t.Errorf("%s: came to no end", in.File)
			}
			renamed := d.format(in).Stream(wire.StreamOptions{Model: "public", Rename: true, Choices: 1})
			out := pass(t, renamed, in.Response.Body)
			if in.Model != "" && bytes.Contains(out, []byte(`"model":"`+in.Model+`"`)) {
				t.Errorf("%s: the upstream's name shows", in.File)
			}
		}
	}
}

// merged is a later report of one stream put over an earlier one: Anthropic's
// last report may leave out what its first said.
func merged(first, then *usage.Tokens, api string) *usage.Tokens {
	if api != "anthropic.messages" || then.Prompt > 0 {
		return then
	}
	both := *first
	both.Completion, both.Reasoning = then.Completion, then.Reasoning
	return &both
}

func TestAStreamThatIsCutEndsAsItsDialectSays(t *testing.T) {
	t.Parallel()
	f := fault.New(fault.BadGateway, "upstream_error", "It broke off.")
	for _, d := range dialects() {
		for _, in := range recordings(t, d, true) {
			if !in.Response.IsSSE() {
				continue
			}
			for _, array := range []bool{false, true} {
				format := d.format(in)
				if array {
					g, ok := format.(gemini.Generate)
					if !ok {
						continue
					}
					g.Array = true
					format = g
				}
				half := in.Response.Body[:len(in.Response.Body)/2]
				for _, end := range []func(s wire.Stream) []byte{
					func(s wire.Stream) []byte { return s.AppendLengthEnd(nil, &usage.Tokens{Prompt: 3, Completion: 4}) },
					func(s wire.Stream) []byte { return s.AppendFault(nil, f, "req-1") },
				} {
					s := format.Stream(wire.StreamOptions{Model: "public", Choices: 1, WantUsage: true})
					whole := events(s, half)
					last := end(s)
					if array {
						if all := append(whole, last...); !json.Valid(all) {
							t.Errorf("%s: not an array: %.300s", in.File, all)
						}
						continue
					}
					for line := range strings.Lines(string(last)) {
						if data, ok := strings.CutPrefix(line, "data: "); ok && !json.Valid([]byte(data)) {
							t.Errorf("%s: %s", in.File, data)
						}
					}
				}
			}
		}
	}
}

// events takes the whole events of a stream through s.
func events(s wire.Stream, body []byte) (out []byte) {
	r := sse.NewReader(bytes.NewReader(body), nil, 16<<20)
	for {
		err := r.Fill()
		for e := r.Buffered(); e != nil; e = r.Buffered() {
			out = s.Take(out, e)
		}
		if err != nil {
			return out
		}
	}
}

func FuzzAStreamTakesAnything(f *testing.F) {
	f.Add([]byte("data: {\"type\":\"content_block_delta\",\"delta\":{\"text\":\"x\"}}\n\n"))
	f.Add([]byte("data: {\"candidates\":[{\"finishReason\":\"STOP\",\"content\":{\"parts\":[{\"text\":\"a\"}]}}]}\n\n"))
	f.Add([]byte("data: {\"type\":\"response.completed\",\"response\":{\"model\":\"m\",\"usage\":{\"input_tokens\":1}}}\n\n"))
	f.Fuzz(func(_ *testing.T, body []byte) {
		for _, format := range []wire.Format{anthropic.Messages{}, openai.Responses{}, openai.Format{}, gemini.Generate{}, gemini.Generate{Array: true}} {
			s := format.Stream(wire.StreamOptions{Model: "public", Rename: true, Choices: 1})
			events(s, body)
			s.AppendLengthEnd(nil, nil)
			format.ScanAnswer(body)
			format.OutputText(body)
			if r, err := format.ScanRequest(body); err == nil {
				wire.Apply(nil, body, r.Edits(wire.Changes{Model: "m", OutputCap: 1}))
			}
		}
	})
}

func BenchmarkStreamEvent(b *testing.B) {
	for name, c := range map[string]struct {
		format wire.Format
		event  string
	}{
		"messages":  {anthropic.Messages{}, "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\" word\"}}\n\n"},
		"responses": {openai.Responses{}, "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"sequence_number\":9,\"item_id\":\"msg_1\",\"output_index\":0,\"content_index\":0,\"delta\":\" word\",\"logprobs\":[]}\n\n"},
		"gemini":    {gemini.Generate{}, "data: {\"candidates\": [{\"content\": {\"parts\": [{\"text\": \" word\"}],\"role\": \"model\"},\"index\": 0}],\"usageMetadata\": {\"promptTokenCount\": 8,\"candidatesTokenCount\": 12,\"totalTokenCount\": 20},\"modelVersion\": \"gemini-3-flash-preview\",\"responseId\": \"x\"}\n\n"},
	} {
		b.Run(name, func(b *testing.B) {
			s, event, out := c.format.Stream(wire.StreamOptions{Choices: 1}), []byte(c.event), make([]byte, 0, 1024)
			b.ReportAllocs()
			for b.Loop() {
				out = s.Take(out[:0], event)
			}
		})
	}
}
