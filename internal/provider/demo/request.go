package demo

import (
	"strings"

	"halley/internal/jsonx"
)

// chatRequest is what the demo reads of a chat completion's body.
type chatRequest struct {
	Model               string          `json:"model"`
	Messages            []message       `json:"messages"`
	Stream              *bool           `json:"stream"`
	StreamOptions       *streamOptions  `json:"stream_options"`
	MaxTokens           *int64          `json:"max_tokens"`
	MaxCompletionTokens *int64          `json:"max_completion_tokens"`
	N                   *int64          `json:"n"`
	Stop                jsonx.Value     `json:"stop"`
	Tools               []tool          `json:"tools"`
	ToolChoice          jsonx.Value     `json:"tool_choice"`
	ResponseFormat      *responseFormat `json:"response_format"`
}

type streamOptions struct {
	IncludeUsage *bool `json:"include_usage"`
}

type message struct {
	Role      string      `json:"role"`
	Content   jsonx.Value `json:"content"`
	ToolCalls jsonx.Value `json:"tool_calls"`
}

type tool struct {
	Type     string   `json:"type"`
	Function function `json:"function"`
}

type function struct {
	Name        string      `json:"name"`
	Description string      `json:"description"`
	Parameters  jsonx.Value `json:"parameters"`
}

type responseFormat struct {
	Type       string `json:"type"`
	JSONSchema *struct {
		Schema jsonx.Value `json:"schema"`
	} `json:"json_schema"`
}

// fault is what OpenAI would say of the request; param is "" and text "" when
// nothing is wrong.
func (q *chatRequest) fault() (param, text string) {
	below := func(v *int64) bool { return v != nil && *v < 1 }
	switch {
	case below(q.MaxTokens):
		return "max_tokens", "Invalid 'max_tokens': integer below minimum value. Expected a value >= 1."
	case below(q.MaxCompletionTokens):
		return "max_completion_tokens", "Invalid 'max_completion_tokens': integer below minimum value. Expected a value >= 1."
	case q.Model == "":
		return "model", "you must provide a model parameter"
	case len(q.Messages) == 0:
		return "messages", "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead."
	case q.N != nil && (*q.N < 1 || *q.N > 128):
		return "n", "Invalid 'n': expected a value from 1 to 128."
	}
	return "", ""
}

// cap is the most tokens one choice may have.
func (q *chatRequest) cap() int {
	most := int64(MaxOutputTokens)
	for _, v := range []*int64{q.MaxTokens, q.MaxCompletionTokens} {
		if v != nil {
			most = min(most, *v)
		}
	}
	return int(most)
}

func (q *chatRequest) choices() int {
	if q.N == nil {
		return 1
	}
	return int(*q.N)
}

func (q *chatRequest) includeUsage() bool {
	return q.StreamOptions != nil && q.StreamOptions.IncludeUsage != nil && *q.StreamOptions.IncludeUsage
}

// Tokens that are not text: what frames a message, and a picture or sound.
const (
	messageTokens = 3
	mediaTokens   = 85
)

// promptTokens counts what the request says, at least 1.
func (q *chatRequest) promptTokens() int {
	n := 0
	for _, m := range q.Messages {
		text, media := contentOf(m.Content)
		n += messageTokens + count(text) + media*mediaTokens + count(string(m.ToolCalls))
	}
	for _, t := range q.Tools {
		n += count(t.Function.Name) + count(t.Function.Description) + count(string(t.Function.Parameters))
	}
	return max(1, n)
}

// lastOf is the text of the last message of that role.
func (q *chatRequest) lastOf(role string) string {
	for i := len(q.Messages) - 1; i >= 0; i-- {
		if q.Messages[i].Role == role {
			text, _ := contentOf(q.Messages[i].Content)
			return text
		}
	}
	return ""
}

// contentOf reads a message's content, a string or a list of parts.
func contentOf(content jsonx.Value) (text string, media int) {
	if jsonx.Unmarshal(content, &text) == nil {
		return text, 0
	}
	var parts []struct {
		Type string `json:"type"`
		Text string `json:"text"`
	}
	if jsonx.Unmarshal(content, &parts) != nil {
		return "", 0
	}
	var texts []string
	for _, part := range parts {
		if part.Type == "text" || part.Type == "" {
			texts = append(texts, part.Text)
		} else {
			media++
		}
	}
	return strings.Join(texts, "\n"), media
}

// stops are the texts that end an answer, a string or a list of them.
func (q *chatRequest) stops() []string {
	var one string
	if jsonx.Unmarshal(q.Stop, &one) == nil {
		return []string{one}
	}
	var list []string
	if jsonx.Unmarshal(q.Stop, &list) != nil {
		return nil
	}
	return list
}

// calledTools are the tools that the answer must call: the one that tool_choice
// names, any that it requires, or one that the user asks for in words.
func (q *chatRequest) calledTools() []function {
	var all []function
	for _, t := range q.Tools {
		if t.Function.Name != "" {
			all = append(all, t.Function)
		}
	}
	if len(all) == 0 {
		return nil
	}
	said := strings.ToLower(q.lastOf("user"))
	var word string
	if jsonx.Unmarshal(q.ToolChoice, &word) == nil && (word == "none" || word == "required") {
		if word == "none" {
			return nil
		}
		return mentioned(all, said)[:1]
	}
	var named struct {
		Function function `json:"function"`
	}
	if word == "" && jsonx.Unmarshal(q.ToolChoice, &named) == nil && named.Function.Name != "" {
		for _, f := range all {
			if f.Name == named.Function.Name {
				return []function{f}
			}
		}
	}
	switch answered := q.Messages[len(q.Messages)-1].Role != "user"; {
	case answered:
		return nil
	case strings.Contains(said, "use all the tools"), strings.Contains(said, "use all tools"):
		return all
	case strings.Contains(said, "use the tool"):
		return mentioned(all, said)[:1]
	}
	if found := mentioned(all, said); strings.Contains(said, "use the "+strings.ToLower(found[0].Name)) {
		return found[:1]
	}
	return nil
}

// mentioned is the tools with those first whose names are in the text.
func mentioned(all []function, said string) []function {
	var named, others []function
	for _, f := range all {
		if strings.Contains(said, strings.ToLower(f.Name)) {
			named = append(named, f)
		} else {
			others = append(others, f)
		}
	}
	return append(named, others...)
}
