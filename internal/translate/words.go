package translate

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"

	"halley/internal/wire"
)

// deepest is how far into a body Words looks.
const deepest = 4

// Words are what an error answer says that is not of its dialect: those of the
// member in which gateways, proxies and servers of one's own put them, else the
// body as it is, clipped. An empty one has none.
func Words(body []byte) string {
	body = bytes.TrimSpace(body)
	if v := jsontext.Value(body); v.IsValid() {
		if said := wordsIn(v, deepest); said != "" {
			return Clip(said)
		}
	}
	return Clip(string(body))
}

func wordsIn(v jsontext.Value, depth int) string {
	if depth == 0 {
		return ""
	}
	switch v.Kind() {
	case '"':
		return wire.Text(v)
	case '[':
		return wordsIn(First(v), depth)
	case '{':
		for _, name := range []string{"error", "message", "Message", "msg", "detail", "errors", "error_message", "errorMessage"} {
			if at := wire.Find(v, name); at.Present() {
				if said := wordsIn(jsontext.Value(at.Of(v)), depth-1); said != "" {
					return said
				}
			}
		}
	}
	return ""
}

// First is the first element of a list, and any other value itself: some servers
// put their errors in lists.
func First(v jsontext.Value) jsontext.Value {
	if v.Kind() != '[' {
		return v
	}
	for element := range wire.Elements(v) {
		return element
	}
	return nil
}
