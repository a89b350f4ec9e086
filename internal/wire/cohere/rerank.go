package cohere

import (
	"halley/internal/wire"
	"halley/internal/wire/openai"
)

// Rerank is the format of POST /v2/rerank, which others have copied: a model, a
// query and documents. What it says wrong it says in OpenAI's shape, as all of
// Halley's endpoints below /v1 do.
type Rerank struct{ openai.Format }

var _ wire.Format = Rerank{}

// ScanAnswer implements wire.Format. Cohere says in meta what was used, others in
// usage.
func (f Rerank) ScanAnswer(body []byte) (a wire.Answer, ok bool) {
	a, ok = f.Format.ScanAnswer(body)
	if ok && !a.HasUsage {
		a.Usage, a.HasUsage = Usage(wire.Get(body, "meta"))
	}
	return a, ok
}
