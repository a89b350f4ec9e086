package messages

import (
	"halley/internal/wire"
)

// Patch edits a body that was made for Anthropic's own API into the platform's:
// the model stands in the address there, and the version in the body. Bedrock has
// the wish for a stream in the address, too.
func (p Platform) Patch() (*wire.Patch, error) {
	if p == Direct {
		return nil, nil
	}
	at := func(name string) wire.Path { return wire.Path{{Name: name}} }
	spec := wire.PatchSpec{
		Remove: []wire.Path{at("model")},
		Set:    []wire.Assignment{{At: at("anthropic_version"), Value: wire.Quote(p.version())}},
	}
	if p == Bedrock {
		spec.Remove = append(spec.Remove, at("stream"))
	}
	return wire.NewPatch(spec)
}
