package fakeprovider

import (
	"encoding/json"
	"strings"
)

// geminiSpeech is Google's generateContent and streamGenerateContent.
//
// https://ai.google.dev/api/generate-content
type geminiSpeech struct{}

func (geminiSpeech) read(path string, body node) (a Asked, known bool) {
	_, call, _ := strings.Cut(path, "/models/")
	model, method, _ := strings.Cut(call, ":")
	a.Model, a.Stream, a.Usage = model, method == "streamGenerateContent", true
	for _, c := range body.at("contents").elements() {
		var words strings.Builder
		for _, p := range c.at("parts").elements() {
			if signature := p.at("thoughtSignature").text(); signature != "" {
				a.Signatures = append(a.Signatures, signature)
			}
			called, answered, media := p.at("functionCall"), p.at("functionResponse"), p.at("inlineData")
			switch {
			case called.exists():
				a.Called = append(a.Called, ToolCall{called.at("id").text(), called.at("name").text(), string(called.at("args").raw())})
				a.CallSignatures = append(a.CallSignatures, p.at("thoughtSignature").text())
			case answered.exists():
				a.Results = append(a.Results, Result{answered.at("id").text(), answered.at("name").text(), string(answered.at("response").raw())})
			case media.exists():
				a.Images = append(a.Images, Picture{MIME: media.at("mimeType").text(), Base64: media.at("data").text()})
			case !p.at("thought").yes():
				words.WriteString(p.at("text").text())
			}
		}
		if c.at("role").text() != "model" && words.Len() > 0 {
			a.hear(words.String())
		}
	}
	for _, t := range body.at("tools").elements() {
		for _, f := range t.at("functionDeclarations").elements() {
			schema := f.at("parametersJsonSchema").raw()
			if schema == nil {
				schema = f.at("parameters").raw()
			}
			a.offer(f.at("name").text(), schema)
		}
	}
	if calling := body.at("toolConfig", "functionCallingConfig"); calling.at("mode").text() == "ANY" {
		a.forceAny()
		if names := calling.at("allowedFunctionNames").elements(); len(names) == 1 {
			a.Forced = names[0].text()
		}
	}
	how := body.at("generationConfig")
	for _, name := range []string{"responseJsonSchema", "responseSchema"} {
		if a.Schema == nil && how.at("responseMimeType").text() == "application/json" {
			a.Schema = how.at(name).raw()
		}
	}
	thinking := how.at("thinkingConfig")
	a.Shown = thinking.at("includeThoughts").yes()
	a.Thinks = a.Shown || thinking.at("thinkingLevel").exists() || thinking.at("thinkingBudget").exists()
	return a, method == "generateContent" || method == "streamGenerateContent"
}

func (s geminiSpeech) whole(t *turn) any {
	parts := list{}
	if t.Thoughts != "" {
		parts = append(parts, object{"text": t.Thoughts, "thought": true})
	}
	if t.Text != "" {
		parts = append(parts, s.signed(object{"text": t.Text}, t))
	}
	return s.answer(t, append(parts, s.calls(t)...), "STOP")
}

func (s geminiSpeech) begin(t *turn) [][]byte {
	if t.Thoughts == "" {
		return nil
	}
	return [][]byte{event("", s.answer(t, list{object{"text": t.Thoughts, "thought": true}}, ""))}
}

func (s geminiSpeech) say(t *turn, text string) []byte {
	return event("", s.answer(t, list{object{"text": text}}, ""))
}

// end has the proof of thoughts on an empty text, as Gemini 3 has in streams.
func (s geminiSpeech) end(t *turn) [][]byte {
	parts := s.calls(t)
	if t.Signature != "" && len(parts) == 0 {
		parts = list{s.signed(object{"text": ""}, t)}
	}
	var events [][]byte
	for _, part := range parts {
		events = append(events, event("", s.answer(t, list{part}, "")))
	}
	return append(events, event("", s.answer(t, list{object{"text": ""}}, "STOP")))
}

func (geminiSpeech) failure(status int, message string) any {
	word := map[int]string{
		400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND",
		429: "RESOURCE_EXHAUSTED", 503: "UNAVAILABLE",
	}[status]
	if word == "" {
		word = "INTERNAL"
	}
	return object{"error": object{"code": status, "message": message, "status": word}}
}

// broken is no event: Google writes the error bare, over several lines, and its
// own SDKs look for that.
//
// https://github.com/vercel/ai/issues/5217 shows it.
func (s geminiSpeech) broken(*turn) []byte {
	text, err := json.MarshalIndent(s.failure(503, brokenMessage), "", "  ")
	if err != nil {
		panic(err) // an object of texts always encodes
	}
	return append(text, '\n')
}

// calls are the parts of calls. The first of several is signed, as Gemini 3's.
func (s geminiSpeech) calls(t *turn) list {
	parts := list{}
	for i, c := range t.Calls {
		part := object{"functionCall": object{"name": c.Name, "args": json.RawMessage(c.Arguments)}}
		if i == 0 {
			part = s.signed(part, t)
		}
		parts = append(parts, part)
	}
	return parts
}

func (geminiSpeech) signed(part object, t *turn) object {
	if t.Signature != "" {
		part["thoughtSignature"] = t.Signature
	}
	return part
}

func (geminiSpeech) answer(t *turn, parts list, finish string) object {
	candidate := object{"content": object{"role": "model", "parts": parts}, "index": 0}
	if finish != "" {
		candidate["finishReason"] = finish
	}
	return object{
		"candidates": list{candidate}, "modelVersion": t.Model, "responseId": "script",
		"usageMetadata": object{
			"promptTokenCount": ScriptPromptTokens, "cachedContentTokenCount": ScriptCachedTokens,
			"candidatesTokenCount": ScriptCompletionTokens - ScriptReasoningTokens, "thoughtsTokenCount": ScriptReasoningTokens,
			"totalTokenCount": ScriptPromptTokens + ScriptCompletionTokens,
		},
	}
}
