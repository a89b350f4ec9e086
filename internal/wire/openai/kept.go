package openai

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"halley/internal/jsonx"
	"halley/internal/sse"
	"halley/internal/wire"
)

// Kept responses: what of a request and an answer they are made of, and how a
// request that goes on from one is written without it. The shapes are those of
// https://platform.openai.com/docs/api-reference/responses and of recorded
// traffic.

// Previous is the response that the request goes on from, "" for none.
func (r *responsesRequest) Previous() string { return r.previous }

// Keeps reports whether the client wants its response kept: that is what an
// omitted store means.
func (r *responsesRequest) Keeps() bool { return !r.discard }

// References are the ids of items that the request's input only refers to.
func (r *responsesRequest) References(body []byte) (ids []string) {
	input := r.inputAt.Of(body)
	if !bytes.Contains(input, []byte(`"item_reference"`)) {
		return nil
	}
	for item := range wire.Elements(input) {
		if id := referred(item); id != "" && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

func referred(item []byte) string {
	if wire.Text(wire.Get(item, "type")) != "item_reference" {
		return ""
	}
	return wire.Text(wire.Get(item, "id"))
}

// Input is the request's own input as a list of items, those that it refers to
// in their places.
func (r *responsesRequest) Input(body []byte, referred map[string][]byte) []byte {
	list := appendInput([]byte{'['}, r.inputAt.Of(body), referred)
	return append(list, ']')
}

// appendInput appends an input's items to a list that has been opened.
func appendInput(list, input []byte, known map[string][]byte) []byte {
	switch {
	case len(input) == 0:
	case input[0] == '"':
		list = separate(list)
		list = append(list, `{"type":"message","role":"user","content":`...)
		list = append(append(list, input...), '}')
	default:
		for item := range wire.Elements(input) {
			if whole, ok := known[referred(item)]; ok {
				item = whole
			}
			if item != nil { // nobody can read it
				list = append(separate(list), item...)
			}
		}
	}
	return list
}

func separate(list []byte) []byte {
	if list[len(list)-1] != '[' {
		list = append(list, ',')
	}
	return list
}

// Turn is a response that came before: the list of items that it was asked with,
// as Input gives it, and itself.
type Turn struct{ Input, Body []byte }

// Unroll writes the request as one that goes on from nothing: what came before
// stands at the head of its input, and so do items where it refers to them. What
// only the server knows that gave the answers, their items' ids and reasoning
// that is not sealed in them, is left out.
func (r *responsesRequest) Unroll(body []byte, before []Turn, referred map[string][]byte) []byte {
	list := []byte{'['}
	for _, turn := range before {
		// An input may have items of an answer, too: what it referred to.
		for _, said := range [][]byte{turn.Input, wire.Get(turn.Body, "output")} {
			for item := range wire.Elements(said) {
				if item = portable(item); item != nil {
					list = append(separate(list), item...)
				}
			}
		}
	}
	carried := make(map[string][]byte, len(referred))
	for id, item := range referred {
		carried[id] = portable(item)
	}
	list = append(appendInput(list, r.inputAt.Of(body), carried), ']')
	var edits wire.Edits
	edits.Set(r.inputAt, r.close, "input", list)
	if r.previousAt.Present() {
		edits.Replace(r.previousAt, []byte("null"))
	}
	return wire.Apply(make([]byte, 0, len(body)+len(list)+16), body, edits.InOrder())
}

// portable is an item of an answer as another server takes it; nil for what none
// can read.
func portable(item []byte) []byte {
	switch wire.Text(wire.Get(item, "type")) {
	case "reasoning":
		if sealed := wire.Get(item, "encrypted_content"); len(sealed) == 0 || sealed[0] == 'n' {
			return nil
		}
	case "message", "function_call", "custom_tool_call":
		return without(item, `"id"`)
	}
	return bytes.Clone(item)
}

// without is an object without the member whose name, quoted, is given.
func without(object []byte, name string) []byte {
	w := jsonx.Writer{}
	w.Open('{')
	for n, v := range wire.Members(object) {
		if string(n) != name {
			w.Raw(wire.Text(n), v)
		}
	}
	w.Close('}')
	return w.Out
}

// Finished is what a response says of itself.
type Finished struct {
	ID string
	// Stored says that its server keeps it.
	Stored bool
	// Items are the ids of its output's items.
	Items []string
}

// ReadFinished reads a response; ok is false for one that nobody can go on from.
func ReadFinished(body []byte) (f Finished, ok bool) {
	f.Stored = true
	for name, v := range wire.Members(body) {
		switch string(name) {
		case `"id"`:
			f.ID = wire.Text(v)
		case `"store"`:
			f.Stored = v[0] != 'f'
		case `"status"`:
			if status := wire.Text(v); status != "completed" && status != "incomplete" {
				return f, false
			}
		case `"output"`:
			for item := range wire.Elements(v) {
				if id := wire.Text(wire.Get(item, "id")); properID(id) && len(f.Items) < maxKeptItems {
					f.Items = append(f.Items, id)
				}
			}
		}
	}
	return f, properID(f.ID)
}

// maxKeptItems bounds how many of a response's items can be referred to.
const maxKeptItems = 1000

// properID reports whether an upstream's id can be one in a path and in a table.
func properID(id string) bool {
	const most = 256
	strange := func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("_-.:", r))
	}
	return id != "" && id[0] != '.' && len(id) <= most && !strings.ContainsFunc(id, strange)
}

// ItemOf is the item of that id in a response's output; nil when it has none.
func ItemOf(body []byte, id string) []byte {
	for item := range wire.Elements(wire.Get(body, "output")) {
		if wire.Text(wire.Get(item, "id")) == id {
			return bytes.Clone(item)
		}
	}
	return nil
}

// FinalResponse is the response in the last of a stream's events, nil when they
// do not end with one.
func FinalResponse(events []byte) []byte {
	for len(events) > 0 {
		line := events[bytes.LastIndexAny(events[:len(events)-1], "\r\n")+1:]
		events = events[:len(events)-len(line)]
		data, ok := sse.Data(line)
		if !ok {
			continue
		}
		switch wire.Text(wire.Get(data, "type")) {
		case "response.completed", "response.incomplete":
			return bytes.Clone(wire.Get(data, "response"))
		}
	}
	return nil
}

// DeletedResponse is the answer to who deletes a response.
func DeletedResponse(id string) []byte {
	w := jsonx.Writer{}
	w.Open('{')
	w.Text("id", id)
	w.Text("object", "response")
	w.Flag("deleted", true)
	w.Close('}')
	return w.Out
}

// InputPage is which of a response's input items are asked for. The zero value
// is the newest 20.
type InputPage struct {
	After     string // the id of the item before the page, "" for the first
	Limit     int    // 1 to 100, 0 is 20
	Ascending bool
}

// InputItems is the list of the items that a response was asked with; those
// without an id get one. ok is false when there is no item to stand after.
func InputItems(responseID string, input []byte, p InputPage) (list []byte, ok bool) {
	var ids []string
	var items [][]byte
	for item := range wire.Elements(input) {
		id := wire.Text(wire.Get(item, "id"))
		if id == "" {
			id = "item_" + responseID + "_" + strconv.Itoa(len(items))
			item = named(item, id)
		}
		ids, items = append(ids, id), append(items, bytes.Clone(item))
	}
	if !p.Ascending {
		slices.Reverse(ids)
		slices.Reverse(items)
	}
	from := 0
	if p.After != "" {
		if from = slices.Index(ids, p.After) + 1; from == 0 {
			return nil, false
		}
	}
	to := min(len(ids), from+limitOr(p.Limit))
	w := jsonx.Writer{}
	w.Open('{')
	w.Text("object", "list")
	w.Name("data")
	w.Open('[')
	for _, item := range items[from:to] {
		w.Value(item)
	}
	w.Close(']')
	if from == to {
		w.Null("first_id")
		w.Null("last_id")
	} else {
		w.Text("first_id", ids[from])
		w.Text("last_id", ids[to-1])
	}
	w.Flag("has_more", to < len(ids))
	w.Close('}')
	return w.Out, true
}

func limitOr(n int) int {
	if n == 0 {
		return 20
	}
	return n
}

// named is an item with an id.
func named(item []byte, id string) []byte {
	w := jsonx.Writer{}
	w.Open('{')
	w.Text("id", id)
	for name, v := range wire.Members(item) {
		if n := wire.Text(name); n != "id" {
			w.Raw(n, v)
		}
	}
	w.Close('}')
	return w.Out
}
