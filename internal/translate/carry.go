package translate

import (
	"encoding/base64"
	"strings"

	"halley/internal/jsonx"
)

// Reasoning that one provider signed or sealed passes through clients of another
// dialect in the place where that dialect has its own signature: as a text that
// says whose it is. When it comes back it goes on to upstreams of the dialect it
// is from, and is left out for others, which could not read it.

// carried is what stands in the place of a foreign signature.
type carried struct {
	Origin    Dialect `json:"o"`
	ID        string  `json:"i,omitzero"`
	Signature string  `json:"s,omitzero"`
	Sealed    string  `json:"e,omitzero"`
}

// CarryMark begins what Carry makes, when it is not the dialect's own. It is no base64, as the providers' own
// signatures are, so that neither is taken for the other.
const CarryMark = "hly."

// CarryMarkBase64 begins the same in dialects whose signatures are base64.
const CarryMarkBase64 = "aGx5L"

// Carry is the thoughts' proof as one text for clients of the dialect: the
// signature itself when it is the dialect's own.
func (t *Thinking) Carry(to Dialect) string {
	if t.Origin == to || t.Origin == "" {
		return t.Signature
	}
	text, err := jsonx.Marshal(carried{t.Origin, t.ID, t.Signature, t.Sealed})
	if err != nil { // it is four strings
		return ""
	}
	return CarryMark + base64.RawURLEncoding.EncodeToString(text)
}

// Uncarry takes what a client of the dialect brought back as the thoughts'
// signature: what Carry made, or the dialect's own.
func (t *Thinking) Uncarry(from Dialect, signature string) {
	t.Signature, t.Origin = signature, from
	coded, foreign := strings.CutPrefix(signature, CarryMark)
	if !foreign {
		return
	}
	text, err := base64.RawURLEncoding.DecodeString(coded)
	if err != nil {
		return
	}
	var c carried
	if err := jsonx.Unmarshal(text, &c); err != nil {
		return
	}
	t.Origin, t.ID, t.Signature, t.Sealed = c.Origin, c.ID, c.Signature, c.Sealed
}
