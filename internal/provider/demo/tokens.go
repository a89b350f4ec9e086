package demo

import "unicode"

// leastToken is the fewest bytes a token has, but for the last of a text. Real
// tokenizers join short pieces, too; and who estimates tokens from bytes must
// not be put in the wrong by the demo.
const leastToken = 3

// tokens cuts text into the demo's tokens: words with the blanks before them, in
// parts of up to eight letters, and runs of punctuation; a character of a
// script without blanks is a token of its own. Joined, they are the text.
func tokens(text string) []string {
	var list []string
	start := 0
	var previous class
	letters := 0
	for i, r := range text {
		c := classOf(r)
		if i-start >= leastToken && cutsBefore(previous, c, letters) {
			list = append(list, text[start:i])
			start, letters = i, 0
		}
		if c == word {
			letters++
		}
		previous = c
	}
	if start < len(text) {
		list = append(list, text[start:])
	}
	return list
}

// count is how many tokens the text has.
func count(text string) int { return len(tokens(text)) }

type class uint8

const (
	blank class = iota
	word
	mark
	ideograph // and whatever else stands without blanks around it, emoji included
)

func classOf(r rune) class {
	switch {
	case unicode.IsSpace(r):
		return blank
	case r >= 0x2e80:
		return ideograph
	case unicode.IsLetter(r), unicode.IsDigit(r), unicode.Is(unicode.M, r):
		return word
	}
	return mark
}

func cutsBefore(previous, next class, letters int) bool {
	switch {
	case next == ideograph || previous == ideograph:
		return true
	case next == word && previous == word:
		return letters >= 8
	case previous == blank: // blanks go with what follows them
		return false
	}
	return next != previous
}
