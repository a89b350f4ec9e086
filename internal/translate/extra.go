package translate

import (
	"github.com/go-json-experiment/json/jsontext"

	"halley/internal/wire"
)

// ExtraOf is the members of a JSON object; nil for nothing.
func ExtraOf(object jsontext.Value) (e Extra) {
	for name, value := range wire.Members(object) {
		e = append(e, Member{wire.Text(name), jsontext.Value(value)})
	}
	return e
}

// Object is the members as a JSON object; nil for none.
func (e Extra) Object() jsontext.Value {
	if len(e) == 0 {
		return nil
	}
	out := jsontext.Value{'{'}
	for i, m := range e {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(append(append(out, wire.Quote(m.Name)...), ':'), m.Value...)
	}
	return append(out, '}')
}

// Given reports whether a JSON value is there and not null.
func Given(v jsontext.Value) bool { return len(v) > 0 && v[0] != 'n' }
