package gemini_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"halley/internal/translate"
	"halley/internal/translate/gemini"
	"halley/test/translatetest"
)

// ask is a conversation of one question, in OpenAI's dialect.
func ask(change func(c *translate.Conversation)) *translate.Conversation {
	c := &translate.Conversation{From: translate.Responses, Messages: []translate.Message{{Role: translate.User, Parts: []translate.Part{&translate.Text{Text: "hi"}}}}}
	change(c)
	return c
}

func function(name string, strict *bool) translate.Tool {
	return translate.Tool{Kind: translate.Function, Name: name, Strict: strict, Schema: jsontext.Value(`{"type":"object","properties":{"a":{"$ref":"#/$defs/A","description":"x"}},"$defs":{"A":{"type":"string"}}}`)}
}

// TestRequestsOfOthersAreFittedToTheModel looks at what stands in the request
// beside the contents.
func TestRequestsOfOthersAreFittedToTheModel(t *testing.T) {
	t.Parallel()
	const declared = `"tools":[{"functionDeclarations":[{"name":"f","parametersJsonSchema":{"type":"object","properties":{"a":{"$ref":"#/$defs/A"}},"$defs":{"A":{"type":"string"}}}}]}]`
	for _, tc := range []struct {
		name    string
		model   string
		vertex  bool
		change  func(c *translate.Conversation)
		want    string // members
		dropped string
	}{
		{"effort is a level from Gemini 3 on", "gemini-3-flash-preview", false, func(c *translate.Conversation) { c.Reasoning = &translate.Reasoning{Effort: "medium"} },
			`"generationConfig":{"thinkingConfig":{"thinkingLevel":"MEDIUM"}}`, ""},
		{"the first Gemini 3 Pro has no middle", "gemini-3-pro-preview", false, func(c *translate.Conversation) { c.Reasoning = &translate.Reasoning{Effort: "medium"} },
			`"generationConfig":{"thinkingConfig":{"thinkingLevel":"HIGH"}}`, "reasoning"},
		{"Gemini 3 cannot be kept from thinking", "gemini-3.1-pro-preview", false, func(c *translate.Conversation) { c.Reasoning = &translate.Reasoning{Off: true, Effort: "none"} },
			`"generationConfig":{"thinkingConfig":{"thinkingLevel":"LOW"}}`, "reasoning"},
		{"a budget is a level from Gemini 3 on", "gemini-3.5-flash", false, func(c *translate.Conversation) { c.Reasoning = &translate.Reasoning{Budget: new(int64(1000))} },
			`"generationConfig":{"thinkingConfig":{"thinkingLevel":"LOW"}}`, ""},
		{"effort is a budget for Gemini 2.5", "gemini-2.5-flash", false, func(c *translate.Conversation) { c.Reasoning = &translate.Reasoning{Effort: "low"} },
			`"generationConfig":{"thinkingConfig":{"thinkingBudget":1024}}`, ""},
		{"no thinking is the least that Gemini 2.5 Pro can", "gemini-2.5-pro", false, func(c *translate.Conversation) { c.Reasoning = &translate.Reasoning{Off: true, Effort: "none"} },
			`"generationConfig":{"thinkingConfig":{"thinkingBudget":128}}`, "reasoning"},
		{"no thinking is none for Gemini 2.5 Flash", "gemini-2.5-flash-lite", false, func(c *translate.Conversation) { c.Reasoning = &translate.Reasoning{Off: true, Effort: "none"} },
			`"generationConfig":{"thinkingConfig":{"thinkingBudget":0}}`, ""},
		{"a budget beyond the model's is cut", "gemini-2.5-pro", false, func(c *translate.Conversation) { c.Reasoning = &translate.Reasoning{Budget: new(int64(60000))} },
			`"generationConfig":{"thinkingConfig":{"thinkingBudget":32768}}`, ""},
		{"Gemini 2.0 does not think", "gemini-2.0-flash", false, func(c *translate.Conversation) { c.Reasoning = &translate.Reasoning{Effort: "high"} },
			"", "reasoning"},
		{"Claude's clients are shown thoughts", "gemini-2.5-flash", false, func(c *translate.Conversation) {
			c.From, c.Reasoning = translate.Messages, &translate.Reasoning{Budget: new(int64(2000))}
		},
			`"generationConfig":{"thinkingConfig":{"thinkingBudget":2000,"includeThoughts":true}}`, ""},
		{"Chat clients that say an effort are shown thoughts", "gemini-3.1-pro-preview", false, func(c *translate.Conversation) {
			c.From, c.Reasoning = translate.Chat, &translate.Reasoning{Effort: "high"}
		},
			`"generationConfig":{"thinkingConfig":{"thinkingLevel":"HIGH","includeThoughts":true}}`, ""},
		{"but not those that want none", "gemini-2.5-flash", false, func(c *translate.Conversation) {
			c.From, c.Reasoning = translate.Chat, &translate.Reasoning{Effort: "none"}
		},
			`"generationConfig":{"thinkingConfig":{"thinkingBudget":0}}`, ""},
		{"an output bound that the money sets comes first", "gemini-2.5-flash", false, func(c *translate.Conversation) { c.MaxOutput = new(int64(9000)) },
			`"generationConfig":{"maxOutputTokens":9000}`, ""},
		{"sampling", "gemini-2.5-flash", false, func(c *translate.Conversation) {
			c.Temperature, c.TopP, c.TopK, c.Seed, c.Candidates = new(0.5), new(0.9), new(int64(3)), new(int64(1)<<40), new(int64(2))
			c.Stop, c.Logprobs, c.TopLogprobs = []string{"END"}, new(true), new(int64(4))
		},
			`"generationConfig":{"candidateCount":2,"temperature":0.5,"topP":0.9,"topK":3,"seed":256,"stopSequences":["END"],"responseLogprobs":true,"logprobs":4}`, ""},
		{"what has no counterpart is dropped by name", "gemini-2.5-flash", false, func(c *translate.Conversation) {
			c.EndUser, c.Metadata, c.Store, c.Verbosity, c.CacheKey = "u", map[string]string{"a": "b"}, new(true), "low", "k"
		},
			"", "verbosity,user,metadata,prompt_cache_key,store"},
		{"a schema is sent as JSON schema", "gemini-2.5-flash", false, func(c *translate.Conversation) {
			c.Format = &translate.Format{Kind: translate.JSONSchema, Name: "n", Schema: jsontext.Value(`{"type":"object"}`)}
		},
			`"generationConfig":{"responseMimeType":"application/json","responseJsonSchema":{"type":"object"}}`, ""},
		{"functions are declared with JSON schema, without what stands beside a $ref", "gemini-2.5-flash", false, func(c *translate.Conversation) { c.Tools = []translate.Tool{function("f", nil)} },
			declared, ""},
		{"strict functions are held to their schema", "gemini-2.5-flash", false, func(c *translate.Conversation) { c.Tools = []translate.Tool{function("f", new(true))} },
			declared + `,"toolConfig":{"functionCallingConfig":{"mode":"VALIDATED"}}`, ""},
		{"one function must be called", "gemini-2.5-flash", false, func(c *translate.Conversation) {
			c.Tools, c.ToolChoice = []translate.Tool{function("f", nil)}, &translate.ToolChoice{Mode: translate.ChooseNamed, Name: "f"}
		},
			declared + `,"toolConfig":{"functionCallingConfig":{"mode":"ANY","allowedFunctionNames":["f"]}}`, ""},
		{"some functions may be called", "gemini-2.5-flash", false, func(c *translate.Conversation) {
			c.Tools, c.ToolChoice = []translate.Tool{function("f", nil)}, &translate.ToolChoice{Mode: translate.ChooseAuto, Allowed: []string{"f"}}
		},
			declared + `,"toolConfig":{"functionCallingConfig":{"mode":"VALIDATED","allowedFunctionNames":["f"]}}`, ""},
		{"calls cannot be kept apart", "gemini-2.5-flash", false, func(c *translate.Conversation) {
			c.Tools, c.ParallelTools = []translate.Tool{function("f", nil)}, new(false)
		}, declared, "parallel_tool_calls"},
		{"a web search is Google's", "gemini-2.5-flash", false, func(c *translate.Conversation) {
			c.Tools = []translate.Tool{{Kind: translate.WebSearch, Name: "web_search", Raw: jsontext.Value(`{"type":"web_search","search_context_size":"low"}`)}}
		},
			`"tools":[{"googleSearch":{}}]`, "tools.server.search_context_size"},
		{"functions and a web search, at AI Studio", "gemini-3-flash-preview", false, func(c *translate.Conversation) {
			c.Tools = []translate.Tool{function("f", nil), {Kind: translate.WebSearch, Name: "web_search"}}
		},
			strings.Replace(declared, "}]}]", "}]},{\"googleSearch\":{}}]", 1) + `,"toolConfig":{"includeServerSideToolInvocations":true}`, ""},
		{"functions and a web search, on Vertex AI", "gemini-3-flash-preview", true, func(c *translate.Conversation) {
			c.Tools = []translate.Tool{function("f", nil), {Kind: translate.WebSearch, Name: "web_search"}}
		},
			strings.Replace(declared, "}]}]", "}]},{\"googleSearch\":{}}]", 1), ""},
		{"a service tier, at AI Studio", "gemini-2.5-flash", false, func(c *translate.Conversation) { c.ServiceTier = "flex" }, `"serviceTier":"flex"`, ""},
		{"a service tier, on Vertex AI", "gemini-2.5-flash", true, func(c *translate.Conversation) { c.ServiceTier = "flex" }, "", "service_tier"},
		{"system text joins at the front", "gemini-2.5-flash", false, func(c *translate.Conversation) {
			c.Messages = append(c.Messages, translate.Message{Role: translate.Developer, Parts: []translate.Part{&translate.Text{Text: "be brief", Cache: &translate.CacheMark{}}}})
		},
			`"systemInstruction":{"parts":[{"text":"be brief"}]}`, "cache_control"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := ask(tc.change)
			to := translate.Target{Model: tc.model}
			if strings.Contains(tc.name, "money") {
				to.Cap = 77
				tc.want = `"generationConfig":{"maxOutputTokens":77}`
			}
			out, err := gemini.Codec{Vertex: tc.vertex}.EncodeRequest(c, to)
			if err != nil {
				t.Fatal(err)
			}
			want := `{"contents":[{"role":"user","parts":[{"text":"hi"}]}]`
			if tc.want != "" {
				want += "," + tc.want
			}
			if diff := cmp.Diff(translatetest.Parse(t, []byte(want+"}")), translatetest.Parse(t, out)); diff != "" {
				t.Error(diff)
			}
			if got := strings.Join(c.TakeDropped(), ","); got != tc.dropped {
				t.Errorf("dropped %q, want %q", got, tc.dropped)
			}
		})
	}
}

func TestWhatGeminiHasNoWordsForIsRefusedByName(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, model, field string
		change             func(c *translate.Conversation)
	}{
		{"a bias", "gemini-3-flash", "logit_bias", func(c *translate.Conversation) { c.LogitBias = jsontext.Value(`{"1":2}`) }},
		{"a voice", "gemini-3-flash", "modalities", func(c *translate.Conversation) { c.Modalities = []string{"audio"} }},
		{"six stops", "gemini-3-flash", "stop", func(c *translate.Conversation) { c.Stop = strings.Split("abcdef", "") }},
		{"a file of another provider", "gemini-3-flash", "document", func(c *translate.Conversation) {
			c.Messages[0].Parts = []translate.Part{&translate.Media{Kind: translate.Document, FileID: "file-1"}}
		}},
		{"a tool of free text", "gemini-3-flash", "tools.custom", func(c *translate.Conversation) { c.Tools = []translate.Tool{{Kind: translate.Custom, Name: "t"}} }},
		{"a tool of another provider", "gemini-3-flash", "tools.server", func(c *translate.Conversation) { c.Tools = []translate.Tool{{Kind: translate.MCP, Name: "t"}} }},
		{"a search of some sites", "gemini-3-flash", "tools.server", func(c *translate.Conversation) {
			c.Tools = []translate.Tool{{Kind: translate.WebSearch, Raw: jsontext.Value(`{"allowed_domains":["a.example"]}`)}}
		}},
		{"a schema and tools, before Gemini 3", "gemini-2.5-pro", "response_format", func(c *translate.Conversation) {
			c.Tools, c.Format = []translate.Tool{function("f", nil)}, &translate.Format{Kind: translate.JSONObject}
		}},
		{"functions and a search, before Gemini 3", "gemini-2.5-pro", "tools.server", func(c *translate.Conversation) {
			c.Tools = []translate.Tool{function("f", nil), {Kind: translate.WebSearch}}
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, err := gemini.Codec{}.EncodeRequest(ask(tc.change), translate.Target{Model: tc.model})
			no, ok := errors.AsType[*translate.Unsupported](err)
			if !ok || no.Field != tc.field || no.Why == "" {
				t.Errorf("%v, want it refused for %s", err, tc.field)
			}
		})
	}
}

// A model from Gemini 3 on refuses a first call without its signature: those that
// another model made, or whose signature a client lost, get the value that skips
// the check.
func TestCallsWithoutSignaturesPassGemini3(t *testing.T) {
	t.Parallel()
	c := ask(func(c *translate.Conversation) {
		c.Messages = append(c.Messages,
			translate.Message{Role: translate.Assistant, Parts: []translate.Part{
				&translate.Thinking{Text: "hm", Signature: "x", Origin: translate.Messages},
				&translate.ToolCall{ID: "a", Name: "f", Args: "not JSON"}, &translate.ToolCall{ID: "b", Name: "f"},
			}},
			translate.Message{Role: translate.User, Parts: []translate.Part{
				&translate.ToolResult{CallID: "a", Parts: []translate.Part{&translate.Text{Text: "see"}, &translate.Media{Kind: translate.Image, MIME: "image/png", Data: "AAAA"}}},
				&translate.ToolResult{CallID: "b"},
			}},
			translate.Message{Role: translate.Assistant, Parts: []translate.Part{&translate.ToolCall{ID: "c", Name: "g", Args: "{}", Signature: "c2ln"}}})
	})
	out, err := gemini.Codec{}.EncodeRequest(c, translate.Target{Model: "gemini-3-flash-preview"})
	if err != nil {
		t.Fatal(err)
	}
	want := `{"contents":[{"role":"user","parts":[{"text":"hi"}]},
		{"role":"model","parts":[
			{"functionCall":{"id":"a","name":"f","args":{"arguments":"not JSON"}},"thoughtSignature":"c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I="},
			{"functionCall":{"id":"b","name":"f","args":{}}}]},
		{"role":"user","parts":[
			{"functionResponse":{"id":"a","name":"f","response":{"output":"see"},"parts":[{"inlineData":{"mimeType":"image/png","data":"AAAA"}}]}},
			{"functionResponse":{"id":"b","name":"f","response":{"output":""}}}]},
		{"role":"model","parts":[{"functionCall":{"id":"c","name":"g","args":{}},"thoughtSignature":"c2ln"}]}]}`
	if diff := cmp.Diff(translatetest.Parse(t, []byte(want)), translatetest.Parse(t, out)); diff != "" {
		t.Error(diff)
	}
	if got := strings.Join(c.TakeDropped(), ","); got != "thinking" {
		t.Errorf("dropped %q", got)
	}
}

// Both spellings mean the same, and so do the forms that JSON protocol buffers
// allow for numbers and lists.
func TestBothSpellingsMeanTheSame(t *testing.T) {
	t.Parallel()
	camel := `{"systemInstruction":{"parts":[{"text":"s"}]},"contents":[{"role":"user","parts":[{"text":"hi"},{"inlineData":{"mimeType":"image/png","data":"-_8="}}]}],
		"tools":[{"functionDeclarations":[{"name":"f","parameters":{"type":"OBJECT","properties":{"a":{"type":"STRING","nullable":true}},"propertyOrdering":["a"]}}]}],
		"toolConfig":{"functionCallingConfig":{"mode":"ANY","allowedFunctionNames":["f"]}},
		"generationConfig":{"maxOutputTokens":5,"topK":3,"stopSequences":["E"],"responseModalities":["TEXT","IMAGE"],"thinkingConfig":{"thinkingBudget":0}}}`
	snake := `{"system_instruction":{"parts":{"text":"s"}},"contents":{"parts":[{"text":"hi"},{"inline_data":{"mime_type":"image/png","data":"+/8"}}]},
		"tools":{"function_declarations":{"name":"f","parameters":{"type":"OBJECT","properties":{"a":{"type":"STRING","nullable":true}},"property_ordering":["a"]}}},
		"tool_config":{"function_calling_config":{"mode":"ANY","allowed_function_names":["f"]}},
		"generation_config":{"max_output_tokens":"5","top_k":3.0,"stop_sequences":"E","response_modalities":["TEXT","IMAGE"],"thinking_config":{"thinking_budget":"0"}}}`
	var read [2]*translate.Conversation
	for i, body := range []string{camel, snake} {
		c, err := gemini.Codec{Model: "m", Streamed: true}.DecodeRequest([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		c.ToolChoice.Raw, c.Reasoning.Raw, c.Tools[0].Extra = nil, nil, nil // as they came
		read[i] = c
	}
	if diff := cmp.Diff(read[0], read[1], cmp.AllowUnexported(translate.Conversation{})); diff != "" {
		t.Error(diff)
	}
	c := read[0]
	if got := string(c.Tools[0].Schema); got != `{"type":"object","properties":{"a":{"type":["string","null"]}}}` {
		t.Errorf("schema %s", got)
	}
	if c.ToolChoice.Mode != translate.ChooseNamed || c.ToolChoice.Name != "f" || !c.Reasoning.Off || !c.Stream || c.Model != "m" {
		t.Errorf("%+v", c)
	}
	if m := c.Messages[1].Parts[1].(*translate.Media); m.Data != "+/8=" || m.Kind != translate.Image {
		t.Errorf("%+v", m)
	}
}

func TestAMalformedRequestNamesTheMember(t *testing.T) {
	t.Parallel()
	for body, field := range map[string]string{
		`{"contents":[{"role":"system","parts":[]}]}`:                "contents.0.role",
		`{"contents":[],"generationConfig":{"maxOutputTokens":"x"}}`: "generationConfig.maxOutputTokens",
		`{"contents":7}`: "contents",
		`{"contents":[`:  "",
	} {
		_, err := gemini.Codec{}.DecodeRequest([]byte(body))
		bad, ok := errors.AsType[*translate.Malformed](err)
		if !ok || bad.Field != field {
			t.Errorf("%s: %#v, want field %q", body, err, field)
		}
	}
}

func TestACachedPrefixIsNotLeftOut(t *testing.T) {
	t.Parallel()
	c, err := gemini.Codec{}.DecodeRequest([]byte(`{"cached_content":"cachedContents/1","contents":[{"parts":[{"text":"hi"}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	out, err := gemini.Codec{}.EncodeRequest(c, translate.Target{Model: "m"})
	if err != nil || !strings.Contains(string(out), `"cachedContent":"cachedContents/1"`) {
		t.Errorf("%s %v", out, err)
	}
	for _, o := range others {
		if _, err := o.codec.EncodeRequest(c, translate.Target{Model: o.model}); err == nil {
			t.Errorf("%s: a conversation without its beginning is sent", o.api)
		}
	}
}

// A citation's place is told in bytes here and in runes elsewhere.
func TestCitationsKeepTheirPlace(t *testing.T) {
	t.Parallel()
	body := []byte(`{"candidates":[{"content":{"role":"model","parts":[{"text":"Grüße aus Köln."}]},"finishReason":"STOP","groundingMetadata":{
		"groundingChunks":[{"web":{"uri":"https://a.example/","title":"a"}}],
		"groundingSupports":[{"segment":{"startIndex":12,"endIndex":17,"text":"Köln"},"groundingChunkIndices":[0]}]}}],"usageMetadata":{"promptTokenCount":1}}`)
	a, err := gemini.Codec{}.DecodeAnswer(body)
	if err != nil {
		t.Fatal(err)
	}
	text := a.Candidates[0].Parts[0].(*translate.Text)
	want := []translate.Citation{{Start: 10, End: 14, URL: "https://a.example/", Title: "a"}}
	if diff := cmp.Diff(want, text.Citations); diff != "" {
		t.Error(diff)
	}
	a.From = translate.Chat
	out, err := gemini.Codec{}.EncodeAnswer(nil, a)
	if err != nil {
		t.Fatal(err)
	}
	again, err := gemini.Codec{}.DecodeAnswer(out)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, again.Candidates[0].Parts[0].(*translate.Text).Citations); diff != "" {
		t.Error(diff)
	}
}

func TestAnErrorInAStreamReachesTheClient(t *testing.T) {
	t.Parallel()
	for _, chunk := range []string{
		`{"error":{"code":429,"message":"Slow down.","status":"RESOURCE_EXHAUSTED"}}`,
		`[{"error":{"code":429,"message":"Slow down.","status":"RESOURCE_EXHAUSTED"}}]`,
	} {
		list, err := run(stream{"", [][]byte{[]byte(`{"candidates":[{"content":{"parts":[{"text":"a"}]}}]}`), []byte(chunk)}})
		if err != nil {
			t.Fatal(err)
		}
		last := list[len(list)-1]
		if last.Kind != translate.Fault || last.Failure.Kind != translate.RateLimited || last.Failure.Status != 429 || last.Failure.Message != "Slow down." {
			t.Fatalf("%+v", last)
		}
		for _, array := range []bool{false, true} {
			enc := gemini.Codec{Array: array}.EncodeStream(nil)
			var out []byte
			for _, e := range list {
				out = enc.Encode(out, e)
			}
			out = enc.Encode(out, translate.Event{Kind: translate.Done})
			got := chunks(t, out)
			if diff := cmp.Diff(translatetest.Parse(t, []byte(`{"error":{"code":429,"message":"Slow down.","status":"RESOURCE_EXHAUSTED"}}`)), translatetest.Parse(t, got[len(got)-1])); diff != "" {
				t.Error(diff)
			}
		}
	}
}

func TestErrorsHaveGooglesWords(t *testing.T) {
	t.Parallel()
	out := gemini.Codec{}.EncodeFailure(translate.Failure{Status: 402, Kind: translate.Payment, Type: "insufficient_quota", Message: "No money.", Origin: translate.Chat}, "req_1")
	want := `{"error":{"code":402,"message":"No money.","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.RequestInfo","requestId":"req_1"}]}}`
	if diff := cmp.Diff(want, string(out)); diff != "" {
		t.Error(diff)
	}
	key := gemini.Codec{}.DecodeFailure(400, []byte(`{"error":{"code":400,"message":"API key not valid.","status":"INVALID_ARGUMENT","details":[{"reason":"API_KEY_INVALID"}]}}`))
	if key.Kind != translate.Unauthorized || key.Code != "API_KEY_INVALID" {
		t.Errorf("%+v", key)
	}
	if page := (gemini.Codec{}).DecodeFailure(502, []byte("<html>Bad Gateway</html>")); page.Kind != translate.Unavailable || page.Message != "<html>Bad Gateway</html>" {
		t.Errorf("%+v", page)
	}
}

func TestTokenCountsAreAskedAndAnswered(t *testing.T) {
	t.Parallel()
	for _, in := range translatetest.Recordings(t, countAPI) {
		c, err := gemini.Codec{}.DecodeCount(in.Request.Body)
		if err != nil {
			t.Fatal(err)
		}
		out, err := gemini.Codec{Vertex: true}.EncodeCount(c, translate.Target{Model: in.Model})
		if err != nil {
			t.Fatal(err)
		}
		want := translatetest.PlainGemini(translatetest.Parse(t, in.Request.Body)).(map[string]any)
		delete(want, "generationConfig") // which concerns the answer
		if diff := cmp.Diff(any(want), translatetest.PlainGemini(translatetest.Parse(t, out))); diff != "" {
			t.Errorf("%s:\n%s", in.File, diff)
		}
		whole, err := gemini.Codec{}.EncodeCount(c, translate.Target{Model: in.Model})
		if err != nil {
			t.Fatal(err)
		}
		again, err := gemini.Codec{}.DecodeCount(whole)
		if err != nil || again.Model != in.Model || len(again.Messages) != len(c.Messages) {
			t.Errorf("%s: %s %v", in.File, whole, err)
		}
		if in.Response.Status != 200 {
			continue
		}
		n, ok := gemini.DecodeCountAnswer(in.Response.Body)
		if again, _ := gemini.DecodeCountAnswer(gemini.EncodeCountAnswer(n)); !ok || n < 10 || again != n {
			t.Errorf("%s: %d %v", in.File, n, ok)
		}
	}
}
