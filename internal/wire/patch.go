package wire

import (
	"bytes"
	"fmt"
	"slices"

	"halley/internal/jsonx"
)

// PatchSpec is what a Patch does, in this order: Remove takes away, Default puts
// in what is not there, Set puts in or replaces. A step sees the object as the
// one before has left it.
type PatchSpec struct {
	Remove       []Path
	Default, Set []Assignment
}

// Assignment is a value, as JSON text, for a place.
type Assignment struct {
	At    Path
	Value []byte
}

// Patch edits JSON objects in place: what it does not name stays byte for byte.
// It is compiled once, by NewPatch, and does not change; nil does nothing.
//
// Objects on the way to a member that is put in are made where they are missing
// or, by Set, null; lists and their elements never are. A member that is null is
// there, for Default. A path that meets anything else than it says, a text where
// it wants an object or an element that the list does not have, changes nothing.
// Of a name that an object has twice Remove takes all; Default and Set go by the
// first, and take those behind it away where they have something to do: no object
// makes a patch write more than it says.
type Patch struct{ steps []step }

// step is one walk over the object.
type step struct {
	does deed
	root *node
}

type deed uint8

const (
	removes deed = iota
	fills
	sets
)

// node is a place that a step's paths lead to or through.
type node struct {
	place  Place
	quoted []byte // the name in JSON
	inner  []*node
	value  []byte // of a leaf
	made   []byte // what is put in where there is none; nil when nothing can be
}

// NewPatch compiles a patch. Two paths of one list that are the same, or of which
// one is inside the other, are an error: it would matter which comes first.
func NewPatch(spec PatchSpec) (*Patch, error) {
	p := &Patch{}
	taken := make([]Assignment, len(spec.Remove))
	for i, path := range spec.Remove {
		taken[i].At = path
	}
	for _, s := range []struct {
		does deed
		list []Assignment
	}{{removes, taken}, {fills, spec.Default}, {sets, spec.Set}} {
		if len(s.list) == 0 {
			continue
		}
		root := &node{}
		for _, a := range s.list {
			if err := root.plant(a); err != nil {
				return nil, err
			}
		}
		root.make()
		p.steps = append(p.steps, step{s.does, root})
	}
	if len(p.steps) == 0 {
		return nil, nil
	}
	return p, nil
}

// plant adds a path below the node.
func (n *node) plant(a Assignment) error {
	for i, place := range a.At {
		at := slices.IndexFunc(n.inner, func(c *node) bool { return c.place == place })
		last := i == len(a.At)-1
		switch {
		case at >= 0 && (last || n.inner[at].inner == nil):
			return fmt.Errorf("the path %s is the same as another of its list, or one of the two is inside the other", a.At)
		case at >= 0:
			n = n.inner[at]
			continue
		}
		next := &node{place: place}
		if !place.Element {
			next.quoted = Quote(place.Name)
		}
		n.inner = append(n.inner, next)
		n = next
	}
	n.value = a.Value
	return nil
}

// make works out what is put in for each node that is not there.
func (n *node) make() {
	if n.inner == nil {
		n.made = n.value
		return
	}
	var made []byte
	for _, c := range n.inner {
		c.make()
		if c.made != nil && !c.place.Element {
			made = c.appendMember(append(made, ','))
		}
	}
	if made != nil {
		made[0] = '{'
		n.made = append(made, '}')
	}
}

func (n *node) appendMember(to []byte) []byte {
	return append(append(append(to, n.quoted...), ':'), n.made...)
}

// Apply gives the object as the patch makes it, in new memory if it differs.
// What is no JSON object comes back as it is.
func (p *Patch) Apply(body []byte) []byte {
	if p == nil {
		return body
	}
	before := body
	for i := range p.steps {
		e := editor{does: p.steps[i].does, body: body}
		if !e.walk(p.steps[i].root, Span{0, len(body)}, jsonx.Walk) {
			return before
		}
		if len(e.edits) > 0 {
			body = Apply(make([]byte, 0, len(body)+e.grows), body, e.edits)
		}
	}
	return body
}

// editor finds the edits of one step, in order and apart.
type editor struct {
	does  deed
	body  []byte
	edits []Edit
	grows int // by how much the edits lengthen the body, at most
}

func (e *editor) edit(at Span, with []byte) {
	e.edits = append(e.edits, Edit{at, with})
	e.grows += len(with)
}

// walk goes over the object or list at the span, which of the two start says. It
// is false when that is none.
func (e *editor) walk(n *node, at Span, start func([]byte) (jsonx.Walker, bool)) bool {
	parts, ok := start(at.Of(e.body))
	if !ok {
		return false
	}
	met := make([]bool, len(n.inner))
	// Where the parts begin that are removed before any that stays, where the last
	// part that was passed ends, and how many stay.
	front, end, stay := -1, 0, 0
	for number := 0; ; number++ {
		name, value, more := parts.Next()
		if !more {
			break
		}
		first := at.From + value.From
		if name.To > 0 {
			first = at.From + name.From
		}
		last := at.From + value.To
		i := n.find(at.Of(e.body)[name.From:name.To], number)
		if i >= 0 && e.drops(n.inner[i], met[i]) {
			switch {
			case stay > 0:
				e.edit(Span{end, last}, nil)
			case front < 0:
				front = first
			}
			end = last
			continue
		}
		if front >= 0 {
			e.edit(Span{front, first}, nil)
			front = -1
		}
		stay++
		end = last
		if i >= 0 {
			met[i] = true
			if !e.visit(n.inner[i], Span{at.From + value.From, last}) {
				return false
			}
		}
	}
	closing, ok := parts.Close()
	if !ok {
		return false
	}
	if front >= 0 {
		e.edit(Span{front, end}, nil)
	}
	if e.does != removes {
		e.add(n, met, at.From+closing, stay > 0)
	}
	return true
}

// drops reports whether a part is taken away: because it is to be, or because it
// was met before.
func (e *editor) drops(n *node, before bool) bool {
	leaf := n.inner == nil
	switch e.does {
	case removes:
		return leaf
	case fills:
		return before && !leaf
	case sets:
	}
	return before
}

// find is which of the node's the part is, by its name with quotes or its
// number; -1 when it is none.
func (n *node) find(quoted []byte, number int) int {
	for i, c := range n.inner {
		switch {
		case len(quoted) == 0:
			if c.place.Element && c.place.Index == number {
				return i
			}
		case !c.place.Element && isName(quoted, c.place.Name):
			return i
		}
	}
	return -1
}

// isName reports whether a member's name, with its quotes and as written, is the
// name.
func isName(quoted []byte, name string) bool {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return string(quoted[1:len(quoted)-1]) == name
	}
	return Text(quoted) == name
}

// visit does what is to be done with a value that is there; false when it is
// broken.
func (e *editor) visit(n *node, at Span) bool {
	if n.inner == nil {
		if e.does == sets {
			e.edit(at, n.value)
		}
		return true
	}
	switch e.body[at.From] {
	case '{':
		return e.walk(n, at, jsonx.Walk)
	case '[':
		return e.walk(n, at, jsonx.WalkList)
	case 'n':
		if e.does == sets && n.made != nil {
			e.edit(at, n.made)
		}
	}
	return true
}

// add puts what was not met before the closing brace. Elements are not made, so
// nothing is added to a list.
func (e *editor) add(n *node, met []bool, closing int, more bool) {
	if e.body[closing] != '}' {
		return
	}
	var added []byte
	for i, c := range n.inner {
		if met[i] || c.made == nil || c.place.Element {
			continue
		}
		if more {
			added = append(added, ',')
		}
		added = c.appendMember(added)
		more = true
	}
	if added != nil {
		e.edit(Span{closing, closing}, added)
	}
}
