package gemini

import (
	"fmt"
	"strings"

	"halley/internal/jsonx"
	"halley/internal/wire"
)

// Embed is the format of {model}:embedContent and, for a Batch, of
// {model}:batchEmbedContents. The model stands in the path, and once more in the
// body.
type Embed struct {
	Generate
	Batch bool
}

var _ wire.Format = Embed{}

// embedRequest is a scanned body.
type embedRequest struct {
	head   wire.Head
	models []wire.Span // the values of model
	body   []byte
}

// ScanRequest implements wire.Format. A model in the body must be the path's: the
// price is that one's.
func (g Embed) ScanRequest(body []byte) (wire.Request, error) {
	r := &embedRequest{head: wire.Head{Model: g.Model, Choices: 1}, body: body}
	members, ok := jsonx.Walk(body)
	if !ok {
		return nil, wire.Invalid("", "The body must be a JSON object in UTF-8.")
	}
	members.Watch(mediaNames[:])
	for {
		name, at, more := members.Next()
		if !more {
			break
		}
		var err error
		switch member := wire.Text(body[name.From:name.To]); {
		case !g.Batch && member == "model":
			err = r.model(member, wire.Span(at))
		case g.Batch && member == "requests":
			err = r.batch(at.From, body[at.From:at.To])
		}
		if err != nil {
			return nil, err
		}
	}
	if _, ok = members.Close(); !ok {
		return nil, wire.NotJSON()
	}
	r.head.Media = members.Seen()
	return r, nil
}

// batch finds the models in the requests, which begin at from.
func (r *embedRequest) batch(from int, list []byte) error {
	requests, ok := jsonx.WalkList(list)
	if !ok {
		return wire.Invalid("requests", "requests must be a list.")
	}
	for i := 0; ; i++ {
		_, one, more := requests.Next()
		if !more {
			return nil
		}
		members, ok := jsonx.Walk(list[one.From:one.To])
		if !ok {
			return wire.Invalid("requests", "requests[%d] must be an object.", i)
		}
		for {
			name, at, more := members.Next()
			if !more {
				break
			}
			start := from + one.From
			if wire.Text(r.body[start+name.From:start+name.To]) != "model" {
				continue
			}
			if err := r.model(fmt.Sprintf("requests[%d].model", i), wire.Span{From: start + at.From, To: start + at.To}); err != nil {
				return err
			}
		}
	}
}

func (r *embedRequest) model(field string, at wire.Span) error {
	value := at.Of(r.body)
	if value[0] == 'n' {
		return nil
	}
	if bare(wire.Text(value)) != bare(r.head.Model) {
		return wire.Invalid(field, "%s must be the model of the address, %q.", field, r.head.Model)
	}
	r.models = append(r.models, at)
	return nil
}

// bare is a model's name without the collection it stands in.
func bare(model string) string {
	for strings.HasPrefix(model, "models/") {
		model = model[len("models/"):]
	}
	return model
}

// Facts implements wire.Request.
func (r *embedRequest) Facts() *wire.Head { return &r.head }

// Edits implements wire.Request.
func (r *embedRequest) Edits(c wire.Changes) []wire.Edit {
	if c.Model == "" || bare(c.Model) == bare(r.head.Model) {
		return nil
	}
	var edits wire.Edits
	for _, at := range r.models {
		edits.Replace(at, wire.Quote("models/"+bare(c.Model)))
	}
	return edits
}
