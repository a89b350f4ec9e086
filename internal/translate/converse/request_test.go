package converse_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"halley/internal/translate"
	"halley/internal/translate/chat"
	"halley/internal/translate/converse"
	"halley/internal/translate/messages"
	"halley/test/translatetest"
)

const (
	sonnet = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
	nova   = "us.amazon.nova-2-lite-v1:0"
	llama  = "meta.llama3-70b-instruct-v1:0"
)

// asked is a client's request as it goes to a model on Bedrock.
func asked(t *testing.T, from translate.Client, body, model string, change ...func(*translate.Conversation)) (out string, dropped []string) {
	t.Helper()
	c, err := from.DecodeRequest([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range change {
		f(c)
	}
	text, err := converse.Codec{}.EncodeRequest(c, translate.Target{Model: model, MaxOutput: 8000})
	if err != nil {
		t.Fatal(err)
	}
	translatetest.Parse(t, text)
	return string(text), c.TakeDropped()
}

func TestRequestsAreFittedToTheModel(t *testing.T) {
	t.Parallel()
	const hi = `"messages":[{"role":"user","content":"Hi"}]`
	const called = `"messages":[{"role":"user","content":"Hi"},{"role":"assistant","tool_calls":[{"id":"call_1","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"call_1","content":""}]`
	const tools = `"tools":[{"type":"function","function":{"name":"f"}},{"type":"function","function":{"name":"g","description":"d","parameters":{"properties":{"a":{"type":"string"}}}}}]`
	const format = `"response_format":{"type":"json_schema","json_schema":{"name":"city","schema":{"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":false}}}`
	for name, row := range map[string]struct {
		body, model string
		want        []string // parts of what goes out
		without     []string
		dropped     []string
	}{
		"Claude is bound, others are not": {`{` + hi + `}`, sonnet, []string{`"inferenceConfig":{"maxTokens":8000}`}, nil, nil},
		"a model with bounds of its own":  {`{` + hi + `}`, llama, nil, []string{"inferenceConfig"}, nil},
		"sampling":                        {`{"temperature":1.5,"top_p":0.5,"max_completion_tokens":5,"stop":["X"],` + hi + `}`, llama, []string{`"inferenceConfig":{"maxTokens":5,"temperature":1,"topP":0.5,"stopSequences":["X"]}`}, nil, []string{"temperature"}},
		"Claude thinks within a budget":   {`{"reasoning_effort":"medium","max_tokens":4000,` + hi + `}`, sonnet, []string{`"additionalModelRequestFields":{"thinking":{"type":"enabled","budget_tokens":3000}}`}, nil, nil},
		"Claude thinks as it sees fit":    {`{"reasoning_effort":"medium",` + hi + `}`, "us.anthropic.claude-opus-4-6-v1", []string{`"additionalModelRequestFields":{"thinking":{"type":"adaptive"},"output_config":{"effort":"medium"}}`}, nil, nil},
		"Nova thinks":                     {`{"reasoning_effort":"xhigh",` + hi + `}`, nova, []string{`"additionalModelRequestFields":{"reasoningConfig":{"type":"enabled","maxReasoningEffort":"high"}}`}, nil, nil},
		"Nova does not think":             {`{"reasoning_effort":"none",` + hi + `}`, nova, []string{`{"reasoningConfig":{"type":"disabled"}}`}, nil, nil},
		"gpt-oss thinks":                  {`{"reasoning_effort":"minimal",` + hi + `}`, "openai.gpt-oss-120b-1:0", []string{`"additionalModelRequestFields":{"reasoning_effort":"low"}`}, nil, nil},
		"others are not told how much":    {`{"reasoning_effort":"low",` + hi + `}`, llama, nil, []string{"additionalModelRequestFields"}, []string{"reasoning_effort"}},
		"a tool that must be called":      {`{"tool_choice":{"type":"function","function":{"name":"g"}},` + tools + `,` + hi + `}`, nova, []string{`"toolChoice":{"tool":{"name":"g"}}`, `{"toolSpec":{"name":"f","inputSchema":{"json":{"type":"object","properties":{}}}}}`, `"inputSchema":{"json":{"type":"object","properties":{"a":{"type":"string"}}}}`}, nil, nil},
		"some tool must be called":        {`{"tool_choice":"required",` + tools + `,` + hi + `}`, nova, []string{`"toolChoice":{"any":{}}`}, nil, nil},
		"the only tool must be called":    {`{"tool_choice":{"type":"function","function":{"name":"f"}},"tools":[{"type":"function","function":{"name":"f"}}],` + hi + `}`, nova, []string{`"toolChoice":{"any":{}}`}, nil, nil},
		"no tool may be called":           {`{"tool_choice":"none",` + tools + `,` + hi + `}`, nova, nil, []string{"toolConfig"}, nil},
		"none any more":                   {`{"tool_choice":"none",` + tools + `,` + called + `}`, nova, []string{`"tools":[{"toolSpec":{"name":"hly_no_tool"`}, []string{"toolChoice", `"name":"g"`}, nil},
		"calls without tools":             {`{` + called + `}`, sonnet, []string{`"toolSpec":{"name":"hly_no_tool"`, `{"toolUse":{"toolUseId":"call_1","name":"f","input":{}}}`, `{"toolResult":{"toolUseId":"call_1","content":[{"text":"(nothing)"}]}}`}, nil, nil},
		"one call at a time":              {`{"parallel_tool_calls":false,` + tools + `,` + hi + `}`, nova, nil, nil, []string{"parallel_tool_calls"}},
		"a format of Claude's":            {`{` + format + `,` + hi + `}`, sonnet, []string{`"outputConfig":{"textFormat":{"type":"json_schema","structure":{"jsonSchema":{"schema":"{\"type\":\"object\"`, `"name":"city"`}, []string{"toolConfig"}, nil},
		"a format of an open model":       {`{` + format + `,` + hi + `}`, "qwen.qwen3-32b-v1:0", []string{`"outputConfig":{"textFormat"`}, []string{"toolConfig"}, nil},
		"a format that is a tool":         {`{` + format + `,` + hi + `}`, nova, []string{`"tools":[{"toolSpec":{"name":"hly_answer_in_format"`, `"toolChoice":{"any":{}}`}, []string{"outputConfig"}, nil},
		"a guardrail":                     {`{"guardrailConfig":{"guardrailIdentifier":"g"},"other":1,` + hi + `}`, nova, []string{`"guardrailConfig":{"guardrailIdentifier":"g"}`}, []string{`"other"`}, []string{"other"}},
		"tags":                            {`{"metadata":{"b":"2","a":"x y"},` + hi + `}`, nova, []string{`"requestMetadata":{"a":"x y","b":"2"}`}, nil, nil},
		"tags that do not fit":            {`{"metadata":{"a":"ü"},` + hi + `}`, nova, nil, []string{"requestMetadata"}, []string{"metadata"}},
		"a tier":                          {`{"service_tier":"flex",` + hi + `}`, nova, []string{`"serviceTier":{"type":"flex"}`}, nil, nil},
		"a tier that is none here":        {`{"service_tier":"scale",` + hi + `}`, nova, nil, []string{"serviceTier"}, []string{"service_tier"}},
		"what only others have":           {`{"seed":1,"user":"u","presence_penalty":1,"frequency_penalty":1,` + hi + `}`, nova, nil, []string{"seed", "penalty"}, []string{"frequency_penalty", "presence_penalty", "seed", "user"}},
		"turns alternate":                 {`{"messages":[{"role":"user","content":"a"},{"role":"user","content":" "},{"role":"user","content":"b"},{"role":"system","content":"s"},{"role":"assistant","content":"c \n"}]}`, nova, []string{`"system":[{"text":"s"}]`, `"messages":[{"role":"user","content":[{"text":"a"},{"text":"b"}]},{"role":"assistant","content":[{"text":"c"}]}]`}, nil, nil},
		"nothing but a system":            {`{"messages":[{"role":"system","content":"s"}]}`, nova, []string{`"messages":[{"role":"user","content":[{"text":"s"}]}]`}, []string{"system"}, nil},
		"an image":                        {`{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/jpeg;base64,/9j/AA=="}}]}]}`, nova, []string{`{"image":{"format":"jpeg","source":{"bytes":"/9j/AA=="}}}`}, nil, nil},
		"a document":                      {`{"messages":[{"role":"user","content":[{"type":"file","file":{"filename":"a_b  c.pdf","file_data":"data:application/pdf;base64,JVBERi0="}}]}]}`, nova, []string{`{"document":{"format":"pdf","name":"a b c pdf","source":{"bytes":"JVBERi0="}}},{"text":"See the document."}`}, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, dropped := asked(t, chat.Codec{}, row.body, row.model)
			for _, want := range row.want {
				if !strings.Contains(out, want) {
					t.Errorf("%s is missing in %s", want, out)
				}
			}
			for _, no := range row.without {
				if strings.Contains(out, no) {
					t.Errorf("%s is in %s", no, out)
				}
			}
			slices.Sort(dropped)
			if diff := cmp.Diff(row.dropped, dropped); diff != "" {
				t.Errorf("dropped:\n%s", diff)
			}
		})
	}
}

func TestCacheMarksBecomeCachePoints(t *testing.T) {
	t.Parallel()
	const body = `{"max_tokens":5,"system":[{"type":"text","text":"s","cache_control":{"type":"ephemeral","ttl":"1h"}}],
		"tools":[{"name":"f","input_schema":{"type":"object"},"cache_control":{"type":"ephemeral"}}],
		"messages":[{"role":"user","content":[{"type":"text","text":"Hi","cache_control":{"type":"ephemeral","ttl":"5m"}}]}]}`
	const point = `{"cachePoint":{"type":"default"}}`
	for model, want := range map[string]string{
		sonnet: `"system":[{"text":"s"},{"cachePoint":{"type":"default","ttl":"1h"}}] "content":[{"text":"Hi"},` + point + `] "json":{"type":"object"}}}},` + point + `]`,
		nova:   `"system":[{"text":"s"},` + point + `] "content":[{"text":"Hi"},` + point + `] "json":{"type":"object"}}}}]`,
		llama:  `"system":[{"text":"s"}] "content":[{"text":"Hi"}] "json":{"type":"object"}}}}]`,
	} {
		out, dropped := asked(t, messages.Codec{}, body, model)
		for part := range strings.SplitSeq(want, " ") {
			if !strings.Contains(out, part) {
				t.Errorf("%s: %s is missing in %s", model, part, out)
			}
		}
		if told := slices.Contains(dropped, "cache_control"); told != (model != sonnet) {
			t.Errorf("%s: dropped %v", model, dropped)
		}
	}
}

func TestWhatWouldChangeTheAnswerIsRefusedByName(t *testing.T) {
	t.Parallel()
	const hi = `,"messages":[{"role":"user","content":"Hi"}]}`
	for body, field := range map[string]string{
		`{"n":2` + hi:                                             "n",
		`{"logprobs":true` + hi:                                   "logprobs",
		`{"logit_bias":{"1":5}` + hi:                              "logit_bias",
		`{"modalities":["text","audio"]` + hi:                     "modalities",
		`{"web_search_options":{}` + hi:                           "web_search_options",
		`{"tools":[{"type":"custom","custom":{"name":"f"}}]` + hi: "tools",
		`{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://example.com/a.png"}}]}]}`:  "image",
		`{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/bmp;base64,AA=="}}]}]}`: "image",
		`{"messages":[{"role":"user","content":[{"type":"file","file":{"file_id":"file-1"}}]}]}`:                           "document",
		`{"messages":[{"role":"user","content":[{"type":"input_audio","input_audio":{"data":"AA==","format":"wav"}}]}]}`:   "audio",
	} {
		c, err := chat.Codec{}.DecodeRequest([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		_, err = converse.Codec{}.EncodeRequest(c, translate.Target{Model: sonnet})
		if no, ok := errors.AsType[*translate.Unsupported](err); !ok || no.Field != field {
			t.Errorf("%s: %v, want one of %s", body, err, field)
		}
	}
}

func TestCallsKeepTheirIds(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("call_", 20)
	seen := map[string]string{}
	for _, id := range []string{"call_1", "tooluse_A-b_9", "call.1", "fc:1", long, long + "x", ""} {
		c := &translate.Conversation{From: translate.Chat, Messages: []translate.Message{
			{Role: translate.User, Parts: []translate.Part{&translate.Text{Text: "Hi"}}},
			{Role: translate.Assistant, Parts: []translate.Part{&translate.ToolCall{ID: id, Name: "f"}}},
			{Role: translate.User, Parts: []translate.Part{&translate.ToolResult{CallID: id}}},
		}}
		out, err := converse.Codec{}.EncodeRequest(c, translate.Target{Model: nova})
		if err != nil {
			t.Fatal(err)
		}
		back, err := converse.Codec{}.DecodeRequest(out)
		if err != nil {
			t.Fatal(err)
		}
		call, result := back.Messages[1].Parts[0].(*translate.ToolCall).ID, back.Messages[2].Parts[0].(*translate.ToolResult).CallID
		if call != result || call == "" || len(call) > 64 || strings.ContainsAny(call, ".:") {
			t.Errorf("%q becomes %q and %q", id, call, result)
		}
		if plain := strings.HasPrefix(id, "call_1") || strings.HasPrefix(id, "tooluse"); plain && call != id {
			t.Errorf("%q becomes %q", id, call)
		}
		if other, taken := seen[call]; taken {
			t.Errorf("%q and %q are the same: %q", id, other, call)
		}
		seen[call] = id
	}
}

func TestUnknownMembersSurviveAtEveryDepth(t *testing.T) {
	t.Parallel()
	const body = `{"new":{"a":[1]},"messages":[{"role":"user","new":1,"content":[{"text":"a"},{"newBlock":{"x":1}},{"text":"b","also":2},
		{"image":{"format":"heic","new":1,"source":{"bytes":"AA=="}}},{"document":{"format":"txt","name":"n","context":"c","source":{"text":"words"}}},
		{"document":{"format":"pdf","name":"n","source":{"content":[{"text":"x"}]}}},
		{"searchResult":{"source":"s","title":"t","content":[{"text":"x"}]}},{"cachePoint":{"type":"default","ttl":"1h"}},{"cachePoint":{"type":"default"}}]},
		{"role":"assistant","content":[{"toolUse":{"toolUseId":"t","name":"f","input":[1],"type":"new"}},{"reasoningContent":{"redactedContent":"AAEC"}},
		{"citationsContent":{"content":[{"text":"a"},{"text":"b"}],"citations":[{"title":"t","location":{"web":{"url":"https://e.x"}}}]}}]},
		{"role":"user","content":[{"toolResult":{"toolUseId":"t","content":[{"json":{"a":1}},{"video":{"format":"mpg","source":{"s3Location":{"uri":"s3://b/k"}}}}],"status":"success","new":1}}]}],
		"system":[{"guardContent":{"text":{"text":"g"}}},{"text":"s"},{"cachePoint":{"type":"default"}}],
		"inferenceConfig":{"maxTokens":5,"new":1},"toolConfig":{"tools":[{"cachePoint":{"type":"default"}},{"toolSpec":{"name":"f","inputSchema":{"json":{}},"new":1}},{"cachePoint":{"type":"default"}},{"systemTool":{"name":"nova_grounding"}},{"newTool":{}}],"toolChoice":{"auto":{}},"new":1},
		"outputConfig":{"textFormat":{"type":"json_schema","structure":{"jsonSchema":{"schema":"{}","name":"n"}},"new":1},"effort":"low"},
		"serviceTier":{"type":"reserved"},"requestMetadata":{"k":"v"},"additionalModelRequestFields":{"top_k":5,"new":null}}`
	c, err := converse.Codec{}.DecodeRequest([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	out, err := converse.Codec{}.EncodeRequest(c, translate.Target{Model: nova})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(translatetest.Parse(t, []byte(body)), translatetest.Parse(t, out)); diff != "" {
		t.Error(diff)
	}
	if c.TopK == nil || *c.TopK != 5 || c.Tools[2].Kind != translate.WebSearch {
		t.Errorf("%+v", c)
	}
}

func TestALoweredCapIsKeptInEveryDialect(t *testing.T) {
	t.Parallel()
	for _, from := range []translate.Dialect{translate.Converse, translate.Chat} {
		c := &translate.Conversation{From: from, MaxOutput: new(int64(900)), Messages: []translate.Message{{Role: translate.User, Parts: []translate.Part{&translate.Text{Text: "Hi"}}}}}
		for _, model := range models {
			out, err := converse.Codec{}.EncodeRequest(c, translate.Target{Model: model, Cap: 17})
			if err != nil || !strings.Contains(string(out), `"maxTokens":17`) {
				t.Errorf("%s to %s: %s, %v", from, model, out, err)
			}
		}
	}
}

func TestAMalformedRequestNamesTheMember(t *testing.T) {
	t.Parallel()
	for body, field := range map[string]string{
		`{"messages":[{"role":"system","content":[]}]}`:                                                                  "messages.0.role",
		`{"messages":[{"role":"user","content":"Hi"}]}`:                                                                  "messages.0.content",
		`{"inferenceConfig":{"maxTokens":"5"},"messages":[]}`:                                                            "inferenceConfig.maxTokens",
		`{"outputConfig":{"textFormat":{"type":"json_schema","structure":{"jsonSchema":{"schema":"{"}}}},"messages":[]}`: "outputConfig.textFormat",
		`[]`: "",
	} {
		_, err := converse.Codec{}.DecodeRequest([]byte(body))
		if bad, ok := errors.AsType[*translate.Malformed](err); !ok || bad.Field != field {
			t.Errorf("%s: %v", body, err)
		}
	}
}
