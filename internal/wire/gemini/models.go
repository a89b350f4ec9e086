package gemini

import (
	"strings"

	"halley/internal/wire"
)

// ModelNames are the names in a list of models; ok is false when it is none.
func ModelNames(body []byte) (names []string, ok bool) {
	list := wire.Find(body, "models")
	if !list.Present() {
		list = wire.Find(body, "publisherModels") // Vertex AI's
	}
	if !list.Present() {
		return nil, false
	}
	for m := range wire.Elements(list.Of(body)) {
		if name := wire.Text(wire.Get(m, "name")); name != "" {
			names = append(names, name[strings.LastIndexByte(name, '/')+1:])
		}
	}
	return names, true
}
