package openai

import (
	"bytes"

	"halley/internal/wire"
)

// AnswerText is what a chat answer, or one chunk of a stream, says: the first
// choice that says anything; of models that only reason so far, that. It is for showing to
// people: anything that is not as expected gives the empty text.
func AnswerText(body []byte) string {
	for choice := range wire.Elements(memberOf(body, "choices")) {
		message := memberOf(choice, "message")
		if message == nil {
			message = memberOf(choice, "delta")
		}
		for _, name := range []string{"content", "reasoning_content", "reasoning"} {
			if said := wire.Text(memberOf(message, name)); said != "" {
				return said
			}
		}
	}
	return ""
}

// ModelNames are the ids in a model list: an object with the list in "data", as
// OpenAI has it, or the bare list that some servers give. ok is false when it is
// neither.
func ModelNames(body []byte) (names []string, ok bool) {
	list := memberOf(body, "data")
	if list == nil {
		list = bytes.TrimSpace(body)
	}
	if !bytes.HasPrefix(list, []byte("[")) {
		return nil, false
	}
	names = []string{}
	for model := range wire.Elements(list) {
		if id := wire.Text(memberOf(model, "id")); id != "" {
			names = append(names, id)
		}
	}
	return names, true
}

// memberOf is a member's value in an object; nil when there is none.
func memberOf(object []byte, name string) []byte {
	at := wire.Find(object, name)
	if !at.Present() {
		return nil
	}
	return object[at.From:at.To]
}
