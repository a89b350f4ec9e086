package gemini

import (
	"errors"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"halley/internal/jsonx"
	"halley/internal/translate"
)

// partialCall puts together a call whose arguments come in pieces (partialArgs,
// on Vertex AI with streamFunctionCallArguments): each piece has the JSON path of
// a value, as RFC 9535 writes it, and the value, or more of a string.
type partialCall struct {
	call *translate.ToolCall
	root node
	size int
}

// node is a value in the making: an object or list when it has children, which
// keep the order they came in.
type node struct {
	list     bool
	names    []string // of children; numbers in a list
	children []*node
	text     []byte // of a string
	isText   bool
	value    jsontext.Value // of a number, true, false or null
}

// maxPartial bounds the values and path steps of one call's pieces.
const maxPartial = 100_000

// add takes a list of pieces.
func (c *partialCall) add(pieces jsontext.Value) error {
	if pieces == nil {
		return nil
	}
	r := jsonx.Read(pieces)
	var fault error
	each(r, func() {
		if err := c.piece(r); fault == nil {
			fault = err
		}
	})
	if err := r.End(); err != nil {
		return err
	}
	return fault
}

func (c *partialCall) piece(r *jsonx.Reader) error {
	var path, text string
	var value jsontext.Value
	isText := false
	for r.Object(); r.Next('}'); {
		switch {
		case r.Is("jsonPath"):
			path = r.String()
		case r.Is("stringValue"):
			text, isText = r.String(), true
		case r.Is("numberValue"), r.Is("boolValue"):
			value = r.Value()
		case r.Is("nullValue"):
			r.Skip()
			value = jsontext.Value("null")
		default:
			r.Skip()
		}
	}
	steps, err := stepsOf(path)
	if err != nil {
		return err
	}
	if c.size += len(steps) + 1; c.size > maxPartial {
		return errors.New("the arguments of a call come in too many pieces")
	}
	at := &c.root
	for _, s := range steps {
		at = at.child(s)
	}
	switch {
	case isText:
		at.text, at.isText = append(at.text, text...), true
	case value != nil:
		at.value = value
	}
	return nil
}

// step is one of a path: a member's name or a place in a list.
type step struct {
	name  string
	index bool
}

// stepsOf reads a path such as $.a[0]['b c'].
func stepsOf(path string) (steps []step, err error) {
	rest, ok := strings.CutPrefix(path, "$")
	if !ok {
		return nil, errors.New("the path of an argument does not begin with $: " + strconv.Quote(path))
	}
	for rest != "" {
		switch {
		case rest[0] == '.':
			end := strings.IndexAny(rest[1:], ".[")
			if end < 0 {
				end = len(rest) - 1
			}
			steps = append(steps, step{name: rest[1 : 1+end]})
			rest = rest[1+end:]
		case strings.HasPrefix(rest, "['"), strings.HasPrefix(rest, `["`):
			name, after, ok := strings.Cut(rest[2:], rest[1:2]+"]")
			if !ok {
				return nil, errors.New("the path of an argument is not closed: " + strconv.Quote(path))
			}
			steps = append(steps, step{name: name})
			rest = after
		case rest[0] == '[':
			number, after, ok := strings.Cut(rest[1:], "]")
			if _, err := strconv.ParseUint(number, 10, 31); !ok || err != nil {
				return nil, errors.New("the path of an argument is unreadable: " + strconv.Quote(path))
			}
			steps = append(steps, step{name: number, index: true})
			rest = after
		default:
			return nil, errors.New("the path of an argument is unreadable: " + strconv.Quote(path))
		}
	}
	return steps, nil
}

// child is the node at a step, made when it is new. Pieces come in order, so the
// last child is the likeliest.
func (n *node) child(s step) *node {
	for i := len(n.names) - 1; i >= 0; i-- {
		if n.names[i] == s.name {
			return n.children[i]
		}
	}
	n.list = s.index
	made := &node{}
	n.names, n.children = append(n.names, s.name), append(n.children, made)
	return made
}

// args are the arguments as far as they have come; "" when there are none.
func (c *partialCall) args() string {
	if len(c.root.children) == 0 {
		return c.call.Args
	}
	var w jsonx.Writer
	c.root.write(&w)
	return string(w.Out)
}

func (n *node) write(w *jsonx.Writer) {
	switch {
	case len(n.children) > 0 && n.list:
		w.Open('[')
		for _, child := range n.children {
			child.write(w)
		}
		w.Close(']')
	case len(n.children) > 0:
		w.Open('{')
		for i, child := range n.children {
			w.Name(n.names[i])
			child.write(w)
		}
		w.Close('}')
	case n.isText:
		w.String(string(n.text))
	case n.value != nil:
		w.Value(n.value)
	default:
		w.Value(jsontext.Value("null"))
	}
}
