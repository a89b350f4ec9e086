package group

import (
	"fmt"
	"strings"
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
func (u Uses) String() string {
	var parts []string
	for _, p := range []struct {
		Use
		what string
	}{{u.Keys, "key"}, {u.Users, "user"}, {u.Channels, "channel"}} {
		switch {
		case p.N == 1:
			parts = append(parts, "1 "+p.what+p.list())
		case p.N > 1:
			parts = append(parts, fmt.Sprintf("%d %ss%s", p.N, p.what, p.list()))
		}
	}
	switch len(parts) {
	case 0:
		return "nothing"
	case 1:
		return parts[0]
	}
	last := len(parts) - 1
	return strings.Join(parts[:last], ", ") + " and " + parts[last]
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
