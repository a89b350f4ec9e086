package fakeprovider

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Questions is the script of the SDK suites: what the user's last words contain
// says what happens, and what a request must have for it is looked at, so that
// an answer means that the request came over whole. What is missing is told by
// a 400. A model called "…error-429" answers that status.
//
//	[text]     says ScriptText, as does anything else
//	[tools]    makes two calls, and says ScriptText when both results are back
//	[image]    says ScriptText when it was shown ScriptImage
//	[json]     says ScriptAnswer, when the schema asks for a year
//	[think]    thinks ScriptThoughts and says ScriptText, when it is to think
//	[recall]   says whether its proof of those thoughts has come back
//	[forever]  says ScriptText over and over
//	[break]    says ScriptText and fails
func Questions(a Asked) Reply {
	if _, status, ok := strings.Cut(a.Model, "error-"); ok {
		code, err := strconv.Atoi(status)
		if err != nil {
			code = 500
		}
		return Reply{Status: code, Message: ScriptFailure}
	}
	switch {
	case strings.Contains(a.Words, "[tools]"):
		return callTools(a)
	case strings.Contains(a.Words, "[image]"):
		if !slices.Contains(a.Images, Picture{MIME: "image/png", Base64: ScriptImage}) {
			return amiss("The image has not come: %+v.", a.Images)
		}
	case strings.Contains(a.Words, "[json]"):
		return formText(a)
	case strings.Contains(a.Words, "[think]"):
		if !a.Thinks {
			return amiss("The model was not asked to think.")
		}
		return Reply{Thoughts: ScriptThoughts, Signature: ScriptSignature(a.Dialect), Text: ScriptText}
	case strings.Contains(a.Words, "[recall]"):
		if slices.Contains(a.Signatures, ScriptSignature(a.Dialect)) {
			return Reply{Text: "signed"}
		}
		return Reply{Text: fmt.Sprintf("unsigned %q", a.Signatures)}
	case strings.Contains(a.Words, "[forever]"):
		return Reply{Text: ScriptText, Endless: true}
	case strings.Contains(a.Words, "[break]"):
		return Reply{Text: ScriptText, Broken: true}
	}
	return Reply{Text: ScriptText}
}

// What Questions answers, beside ScriptText.
const (
	ScriptThoughts = "It was here in 1986, and takes about 75 years."
	ScriptAnswer   = `{"year":2061,"place":"Zürich"}`
	ScriptFailure  = "The script answers with this error."
	// ScriptImage is a PNG of one pixel.
	ScriptImage = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)

// ScriptSignature is the proof of the script's thoughts; what proves thoughts in
// one dialect means nothing in another.
func ScriptSignature(d Dialect) string {
	return base64.StdEncoding.EncodeToString([]byte("\xfb\xff\xbf signed by " + string(d)))
}

// QuestionCalls are the calls of [tools]; their ids look like the dialect's own.
// Gemini's have none.
func QuestionCalls(d Dialect) []ToolCall {
	calls := []ToolCall{
		{Name: "get_weather", Arguments: `{"city":"Zürich","days":3}`},
		{Name: "get_time", Arguments: `{"zone":"Europe/Zurich"}`},
	}
	prefix := map[Dialect]string{OpenAIChat: "call_A1b2-c3", OpenAIResponses: "call_R1b2c3", AnthropicMessages: "toolu_01A1b2C3"}[d]
	for i := range calls {
		if prefix != "" {
			calls[i].ID = prefix + strconv.Itoa(i)
		}
	}
	return calls
}

// What the tools answer, in the order of the calls.
const (
	ScriptWeather = "21 degrees"
	ScriptTime    = "noon"
)

// skipSignatures are what Google lets stand in the place of a signature when a
// call comes from elsewhere, as it is or as the bytes of it.
//
// https://ai.google.dev/gemini-api/docs/thought-signatures
func skipSignatures() []string {
	const skip = "skip_thought_signature_validator"
	return []string{skip, base64.StdEncoding.EncodeToString([]byte(skip)), "context_engineering_is_the_way_to_go"}
}

func callTools(a Asked) Reply {
	calls := QuestionCalls(a.Dialect)
	for i, property := range []string{"city", "zone"} {
		if schema := string(a.Tools[calls[i].Name]); !strings.Contains(schema, strconv.Quote(property)) {
			return amiss("The tool %s was not offered, or not whole: %s.", calls[i].Name, schema)
		}
	}
	reply := Reply{Calls: calls}
	if a.Dialect == GoogleGenerate {
		reply.Signature = ScriptSignature(a.Dialect)
	}
	if len(a.Results) == 0 && len(a.Called) == 0 {
		return reply
	}
	if len(a.Called) != len(calls) || len(a.Results) != len(calls) {
		return amiss("There are %d calls and %d results.", len(a.Called), len(a.Results))
	}
	for i, want := range []string{ScriptWeather, ScriptTime} {
		c, r := a.Called[i], a.Results[i]
		if c.Name != calls[i].Name || !strings.Contains(r.Text, want) || c.ID != r.ID || calls[i].ID != "" && c.ID != calls[i].ID {
			return amiss("The call %+v and its result %+v do not belong together.", c, r)
		}
	}
	// Gemini 3 refuses the turn when the first call is not signed.
	if a.Dialect == GoogleGenerate {
		if got := a.CallSignatures[0]; got != reply.Signature && !slices.Contains(skipSignatures(), got) {
			return amiss("The first call is not signed: %q.", got)
		}
	}
	return Reply{Text: ScriptText}
}

// formText gives what a schema asks for, as text or as the arguments of a tool
// that must be called.
func formText(a Asked) Reply {
	if strings.Contains(string(a.Schema), `"year"`) {
		return Reply{Text: ScriptAnswer}
	}
	if strings.Contains(string(a.Tools[a.Forced]), `"year"`) {
		return Reply{Calls: []ToolCall{{ID: "toolu_01Form", Name: a.Forced, Arguments: ScriptAnswer}}}
	}
	return amiss("No schema asks for a year: %s, tool %q.", a.Schema, a.Forced)
}

func amiss(format string, args ...any) Reply {
	return Reply{Status: 400, Message: fmt.Sprintf(format, args...)}
}
