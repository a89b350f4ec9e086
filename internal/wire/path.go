package wire

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Path says where in a JSON object something is. As text it is names with dots
// between them, and behind a name the number of an element, from 0, in brackets:
//
//	temperature
//	response_format.type
//	messages[0].content
//
// In a name the characters . [ ] and \ are written with a \ before them:
// metadata.team\.name is the member "team.name" of metadata. A path begins with
// a name.
type Path []Place

// Place is one step of a path: a member by its name, or an element by its
// number.
type Place struct {
	Name    string
	Index   int
	Element bool // it is an element
}

// The bounds of a path.
const (
	maxPathBytes = 512
	maxPlaces    = 16
	maxIndex     = 99_999
)

// ParsePath reads a path. The error says what is wrong, to stand behind "the
// path …".
func ParsePath(text string) (Path, error) {
	switch {
	case text == "":
		return nil, fmt.Errorf("is empty")
	case len(text) > maxPathBytes:
		return nil, fmt.Errorf("is longer than %d bytes", maxPathBytes)
	case !utf8.ValidString(text):
		return nil, fmt.Errorf("is not UTF-8")
	}
	var path Path
	for rest := text; ; {
		name, after, err := cutName(rest)
		if err != nil {
			return nil, err
		}
		path = append(path, Place{Name: name})
		for strings.HasPrefix(after, "[") {
			digits, behind, closed := strings.Cut(after[1:], "]")
			index, err := strconv.Atoi(digits)
			if !closed || err != nil || index < 0 || index > maxIndex || strconv.Itoa(index) != digits {
				return nil, fmt.Errorf("must have the number of an element, from 0 to %d, in brackets", maxIndex)
			}
			path = append(path, Place{Index: index, Element: true})
			after = behind
		}
		if len(path) > maxPlaces {
			return nil, fmt.Errorf("is deeper than %d", maxPlaces)
		}
		if after == "" {
			return path, nil
		}
		if after[0] != '.' {
			return nil, fmt.Errorf("must go on with a dot or a bracket behind a bracket")
		}
		rest = after[1:]
	}
}

// cutName reads the name that the text begins with.
func cutName(text string) (name, after string, err error) {
	var b strings.Builder
	i := 0
	for ; i < len(text) && text[i] != '.' && text[i] != '['; i++ {
		switch text[i] {
		case ']':
			return "", "", fmt.Errorf(`has a ] that closes nothing; in a name it is written \]`)
		case '\\':
			if i++; i == len(text) || !strings.Contains(`.[]\`, text[i:i+1]) {
				return "", "", fmt.Errorf(`has a \ that is not before one of . [ ] \`)
			}
		}
		b.WriteByte(text[i])
	}
	if b.Len() == 0 {
		return "", "", fmt.Errorf("has an empty name in it")
	}
	return b.String(), text[i:], nil
}

// String is the path as text.
func (p Path) String() string {
	var b strings.Builder
	for i, place := range p {
		if place.Element {
			fmt.Fprintf(&b, "[%d]", place.Index)
			continue
		}
		if i > 0 {
			b.WriteByte('.')
		}
		_, _ = nameEscaper().WriteString(&b, place.Name) // a Builder does not fail
	}
	return b.String()
}

func nameEscaper() *strings.Replacer {
	return strings.NewReplacer(`\`, `\\`, ".", `\.`, "[", `\[`, "]", `\]`)
}
