package dialects_test

import (
	"regexp"
	"strings"
)

// named is a recording that does not pass, with what it fails and why that is
// right.
type named struct {
	file   string // a part of its name
	check  check
	reason string
}

// exceptions are all there are.
func exceptions() []named {
	return []named{
		{"azure-deepseek-reasoning-1", same, "The recording is filed under Responses, but its server answered with a chat completion: an answer of another dialect is told as an upstream's error."},
	}
}

func excused(file string, r result) (reason string, ok bool) {
	for _, e := range exceptions() {
		if e.check == r.check && strings.Contains(file, e.file) {
			return e.reason, true
		}
	}
	return "", false
}

// kind is a kind of thing that a dialect has no words for: its name, how the
// refusal of it is known, and why leaving it out would be wrong.
type kind struct {
	name   string
	said   *regexp.Regexp
	reason string
}

// refusable are the kinds. A refusal of no kind fails the report.
func refusable() []kind {
	return []kind{
		{
			"tools that the provider runs", regexp.MustCompile(`is run by the provider|no counterpart of (the|a) tool|googleSearch (does not take|takes)|cannot have functions and googleSearch|web search takes domains|does not search the web`),
			"Where both have a counterpart (web search, code execution, fetching) it is translated; where the answer does not depend on it, it is left out and named as dropped. What is refused would be answered without what the tool finds.",
		},
		{
			"what such tools did, and references to them", regexp.MustCompile(`^An? "?(tool_reference|tool_addition|tool_search_call|additional_tools|mcp_list_tools|image_generation_call)"? part|part of the type "(tool_reference|tool_addition|tool_search_call|additional_tools|mcp_list_tools|image_generation_call)"`),
			"The turns that follow lean on it.",
		},
		{
			"what is kept at a provider", regexp.MustCompile(`knows no uploaded files|is not at the upstream|"?(conversation|cachedContent|compaction|container_upload)"?|"(item_reference|prompt)" part|type "(item_reference|prompt)"|are not at the upstream|previous_response`),
			"Only the provider that keeps it can read it: uploads, containers, conversations, cached contents, sealed compactions.",
		},
		{
			"documents in a form that is not taken", regexp.MustCompile(`takes documents only`),
			"OpenAI's Chat takes documents as data and not by URL; Cohere takes text. The gateway fetches nothing for clients.",
		},
		{"media by URL", regexp.MustCompile(`does not fetch URLs`), "Bedrock takes media inline. The gateway fetches nothing for clients."},
		{"video", regexp.MustCompile(`(?i)video`), "Only Gemini, Nova and some servers of the Chat dialect see video."},
		{"audio", regexp.MustCompile(`(?i)audio|sounds|speak|speech`), "Only Gemini and the Chat dialect hear audio, the latter as data."},
		{"images as answers", regexp.MustCompile(`make(s)? images|answers with text alone`), "Only Gemini and some servers of the Chat dialect answer with images."},
		{"parts that a guardrail is to check", regexp.MustCompile(`guardContent`), "Which part of a prompt a guardrail checks is said to Bedrock alone."},
		{"token ids in place of texts", regexp.MustCompile(`token ids of another's tokenizer`), "Another model's tokenizer means other words by them."},
		{"embeddings of several texts", regexp.MustCompile(`embeds one text a request`), "One client's request is one upstream request: its price and its failures would be several."},
		{"several candidates", regexp.MustCompile(`one answer to a request`), "Only Chat and Gemini give several; asking several times would cost several prompts."},
		{"log probabilities", regexp.MustCompile(`log probabilities`), "Only OpenAI's dialects and Gemini give them in a common form."},
		{"a bias for tokens", regexp.MustCompile(`bias`), "It is told by token ids of another's tokenizer; only OpenAI's Chat takes it."},
		{"tools of free text", regexp.MustCompile(`takes free text`), "The codecs alone take functions; on the way to them the gateway makes such tools functions of one string (ADR 0028)."},
		{"stop sequences", regexp.MustCompile(`stop sequences|stop at white space`), "Responses has none, and Claude none of white space alone: the answer would run on."},
		{"structured output that the model cannot have", regexp.MustCompile(`JSON output format|schema must be that of an object|kind of output format|counterpart of this format`), "Gemini before version 3 has tools or a format, not both; some models take schemas of objects only."},
		{"parts that one dialect alone has", regexp.MustCompile(`^An? "\w+" part has no counterpart|counterpart of a part of the type`), "Calls of tools of its own that the client runs (a shell, a computer, a patch), documents of several kinds in one, what was found beside the prompt."},
	}
}

func kindOf(r result) (kind, bool) {
	for _, k := range refusable() {
		if k.said.MatchString(r.why) {
			return k, true
		}
	}
	return kind{}, false
}
