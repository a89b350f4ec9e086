package translate

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// maxToolName is the longest name of a tool that every upstream takes, in
// characters.
const maxToolName = 64

// toolKey is what tells the tools of a conversation apart.
type toolKey struct{ namespace, name string }

// toolNames finds a name for each tool that all upstreams take: letters, digits,
// _ and -, beginning with a letter or _. A name that is none, that is too long or
// that two tools would have gets a hash of the tool's full name in the end, so
// that it is the same in every request. Names that need no change keep it.
type toolNames struct {
	flat map[toolKey]string
	keys []toolKey // in order
}

func (n *toolNames) add(k toolKey) {
	if n.flat == nil {
		n.flat = map[toolKey]string{}
	}
	if _, known := n.flat[k]; !known {
		n.flat[k] = ""
		n.keys = append(n.keys, k)
	}
}

// settle finds the names, once all keys are added.
func (n *toolNames) settle() {
	wanted := make(map[string]int, len(n.keys))
	for _, k := range n.keys {
		wanted[k.joined()]++
	}
	for _, k := range n.keys {
		name := k.joined()
		if !fitsName(name) || k.namespace != "" && wanted[name] > 1 {
			name = k.hashed()
		}
		n.flat[k] = name
	}
}

// joined is the name as it would best be. OpenAI's models know what is in no
// namespace as functions.
func (k toolKey) joined() string {
	if k.namespace == "" || k.namespace == "functions" {
		return k.name
	}
	return k.namespace + "__" + k.name
}

// hashed is a name with as much of the best one as there is room for.
func (k toolKey) hashed() string {
	sum := sha256.Sum256([]byte(k.namespace + "\x00" + k.name))
	mark := "_" + hex.EncodeToString(sum[:5])
	var b strings.Builder
	for i, c := range k.joined() {
		if b.Len() == maxToolName-len(mark) {
			break
		}
		switch {
		case i == 0 && !isLetter(c), !isLetter(c) && (c < '0' || c > '9') && c != '-':
			b.WriteByte('_')
		default:
			b.WriteRune(c)
		}
	}
	return b.String() + mark
}

// fitsName says whether all upstreams take the name.
func fitsName(name string) bool {
	if name == "" || len(name) > maxToolName {
		return name == "" // which is for the upstream to judge
	}
	for i, c := range name {
		if !isLetter(c) && (i == 0 || (c < '0' || c > '9') && c != '-') {
			return false
		}
	}
	return true
}

func isLetter(c rune) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' }
