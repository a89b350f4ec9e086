package group

import (
	"fmt"
	"strings"

	"halley/internal/speech"
)

// Uses are what refers to a group.
type Uses struct{ Keys, Users, Channels Use }

// Use is how many of a kind there are, and which.
type Use struct {
	N    int64
	Some []Named // the first few
}

// Named is one of them.
type Named struct {
	ID   int64
	Name string
}

// MaxNamed bounds Some.
const MaxNamed = 5

// Add counts one more.
func (u *Use) Add(id int64, name string) {
	if u.N++; u.N <= MaxNamed {
		u.Some = append(u.Some, Named{id, name})
	}
}

// None reports whether nothing does.
func (u Uses) None() bool { return u.Keys.N == 0 && u.Users.N == 0 && u.Channels.N == 0 }

// String counts in words: "2 keys (a 3, b 4) and 1 channel (c 1)", a name and an
// id each.
func (u Uses) String() string { return u.text().String() }

func (u Uses) text() speech.Text {
	var parts []any
	add := func(use Use, one, more string) {
		switch {
		case use.N == 1:
			parts = append(parts, speech.Say(one, use.list()))
		case use.N > 1:
			parts = append(parts, speech.Say(more, use.N, use.list()))
		}
	}
	add(u.Keys, "1 key%s", "%d keys%s")
	add(u.Users, "1 user%s", "%d users%s")
	add(u.Channels, "1 channel%s", "%d channels%s")
	switch len(parts) {
	case 0:
		return speech.Say("nothing")
	case 2:
		return speech.Say("%s and %s", parts...)
	case 3:
		return speech.Say("%s, %s and %s", parts...)
	}
	return speech.Say("%s", parts...)
}

func (u Use) list() string {
	if len(u.Some) == 0 {
		return ""
	}
	var text strings.Builder
	for i, n := range u.Some {
		if i > 0 {
			text.WriteString(", ")
		}
		fmt.Fprintf(&text, "%s %d", n.Name, n.ID)
	}
	if u.N > int64(len(u.Some)) {
		text.WriteString(", …")
	}
	return " (" + text.String() + ")"
}

// Moved are those that use another group than before.
type Moved struct {
	Keys, Users, Channels []int64 // ids
	// AutoGroups says that the order of automatic routing has the other group in
	// it now.
	AutoGroups bool
}

// None reports whether nothing does.
func (m Moved) None() bool {
	return len(m.Keys) == 0 && len(m.Users) == 0 && len(m.Channels) == 0 && !m.AutoGroups
}
