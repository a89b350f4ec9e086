// Package speech is what Halley says to people, in their language. Sentences are
// written in English where they arise, as formats of fmt apart from what stands in
// them; the catalogs have the same formats in other languages. A sentence that a
// catalog lacks is said in English. The package knows nothing of what is said.
package speech

import (
	"fmt"
	"slices"

	"golang.org/x/text/language"
)

// Text is a sentence, or a part of one. The zero Text is empty.
type Text struct {
	Format string
	Args   []any // a Text among them is said in the same language
}

// Say makes a text.
func Say(format string, args ...any) Text { return Text{Format: format, Args: args} }

// Phrase makes a text of what is no format.
func Phrase(text string) Text { return Text{Format: text} }

// String is the text in English.
func (t Text) String() string { return written(t.Format, t.Args) }

func written(format string, args []any) string {
	if len(args) == 0 {
		return format
	}
	return fmt.Sprintf(format, args...)
}

// Languages are those that Halley speaks.
type Languages struct {
	matcher language.Matcher
	all     []Language
}

// New makes all of them.
func New() *Languages {
	l := &Languages{all: []Language{{tag: language.English}, {tag: language.SimplifiedChinese, catalog: chinese()}}}
	tags := make([]language.Tag, 0, len(l.all))
	for i := range l.all {
		tags = append(tags, l.all[i].tag)
	}
	l.matcher = language.NewMatcher(tags)
	return l
}

// For is the language that serves somebody best who sends this Accept-Language
// header (RFC 9110, 12.5.4); English for who sends none.
func (l *Languages) For(accept string) *Language {
	wanted, _, err := language.ParseAcceptLanguage(accept)
	if err != nil {
		return &l.all[0]
	}
	_, i, confidence := l.matcher.Match(wanted...)
	if confidence == language.No {
		i = 0
	}
	return &l.all[i]
}

// Language is one that Halley speaks.
type Language struct {
	tag     language.Tag
	catalog map[string]string // by the English format
}

// Tag is the language's BCP 47 tag.
func (l *Language) Tag() string { return l.tag.String() }

// Say is the text in the language.
func (l *Language) Say(t Text) string {
	if l.catalog == nil {
		return t.String()
	}
	args := slices.Clone(t.Args)
	for i, arg := range args {
		if part, ok := arg.(Text); ok {
			args[i] = l.Say(part)
		}
	}
	format, ok := l.catalog[t.Format]
	if !ok {
		format = t.Format
	}
	return written(format, args)
}
