package openai

import "halley/internal/jsonx"

// AnswerText is what the first choice of a chat answer, or of one chunk of a
// stream, says; of models that only reason so far, that. It is for showing to
// people: anything that is not as expected gives the empty text.
func AnswerText(body []byte) string {
	choices := elements(memberOf(body, `"choices"`))
	if len(choices) == 0 {
		return ""
	}
	message := memberOf(choices[0], `"message"`)
	if message == nil {
		message = memberOf(choices[0], `"delta"`)
	}
	for _, name := range []string{`"content"`, `"reasoning_content"`, `"reasoning"`} {
		if said := text(memberOf(message, name)); said != "" {
			return said
		}
	}
	return ""
}

// ModelNames are the ids in a model list: an object with the list in "data", as
// OpenAI has it, or the bare list that some servers give. ok is false when it is
// neither.
func ModelNames(body []byte) (names []string, ok bool) {
	list := memberOf(body, `"data"`)
	if list == nil {
		list = body
	}
	var models []jsonx.Value
	if err := jsonx.Unmarshal(list, &models); err != nil {
		return nil, false
	}
	names = make([]string, 0, len(models))
	for _, model := range models {
		if id := text(memberOf(model, `"id"`)); id != "" {
			names = append(names, id)
		}
	}
	return names, true
}

// memberOf is a member's value in an object; nil when there is none.
func memberOf(object []byte, name string) []byte {
	for member, value := range members(object) {
		if string(member) == name {
			return value
		}
	}
	return nil
}

// elements are an array's; none of anything else.
func elements(array []byte) []jsonx.Value {
	var list []jsonx.Value
	if err := jsonx.Unmarshal(array, &list); err != nil {
		return nil
	}
	return list
}
