package gemini

import (
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"halley/internal/jsonx"
	"halley/internal/translate"
)

// Where words come from stands beside them: in groundingMetadata, as chunks (the
// sources) and supports (which segment of the text rests on which chunks), and in
// citationMetadata. Segments are in bytes of UTF-8.

// source is a chunk.
type source struct{ url, title, quote string }

// support is a segment of the text and the sources that it rests on.
type support struct {
	segment segment
	chunks  []int
}

type segment struct {
	part, from, to int
	text           string
}

// cite gives the texts of an answer their citations.
func cite(parts []translate.Part, grounding, citations jsontext.Value) {
	if grounding == nil && citations == nil {
		return
	}
	for _, c := range citationsOf(grounding, citations) {
		t := textOf(parts, c.segment)
		if t == nil {
			continue
		}
		cited := c.Citation
		cited.Start, cited.End = runes(t.Text, c.segment.from), runes(t.Text, c.segment.to)
		t.Citations = append(t.Citations, cited)
	}
}

// located is a citation whose place is still in bytes.
type located struct {
	translate.Citation
	segment segment
}

func citationsOf(grounding, citations jsontext.Value) (list []located) {
	sources, supports := readGrounding(grounding)
	for _, s := range supports {
		for _, i := range s.chunks {
			if i >= 0 && i < len(sources) {
				list = append(list, located{sources[i].citation(), s.segment})
			}
		}
	}
	if len(supports) == 0 {
		for _, s := range sources {
			list = append(list, located{s.citation(), segment{}})
		}
	}
	return append(list, readCitations(citations)...)
}

func (s source) citation() translate.Citation {
	return translate.Citation{URL: s.url, Title: s.title, Quote: s.quote}
}

func readGrounding(v jsontext.Value) (sources []source, supports []support) {
	if v.Kind() != '{' {
		return nil, nil
	}
	r := jsonx.Read(v)
	for r.Object(); r.Next('}'); {
		switch {
		case r.Is("groundingChunks"):
			each(r, func() { sources = append(sources, readChunk(r)) })
		case r.Is("groundingSupports"):
			each(r, func() { supports = append(supports, readSupport(r)) })
		default:
			r.Skip()
		}
	}
	if r.End() != nil {
		return nil, nil
	}
	return sources, supports
}

// readChunk reads a chunk: web, retrievedContext or maps, with much the same in
// each.
func readChunk(r *jsonx.Reader) (s source) {
	for r.Object(); r.Next('}'); {
		if r.Kind() != '{' {
			r.Skip()
			continue
		}
		for r.Object(); r.Next('}'); {
			switch {
			case r.Is("uri"):
				s.url = r.String()
			case r.Is("title"):
				s.title = r.String()
			case r.Is("text"):
				s.quote = r.String()
			default:
				r.Skip()
			}
		}
	}
	return s
}

func readSupport(r *jsonx.Reader) (s support) {
	for r.Object(); r.Next('}'); {
		switch {
		case r.Is("segment"):
			if r.Null() {
				continue
			}
			s.segment = readSegment(r)
		case r.Is("groundingChunkIndices"):
			if r.Null() {
				continue
			}
			for r.Array(); r.Next(']'); {
				s.chunks = append(s.chunks, int(r.Int()))
			}
		default:
			r.Skip()
		}
	}
	return s
}

func readSegment(r *jsonx.Reader) (s segment) {
	for r.Object(); r.Next('}'); {
		switch {
		case r.Is("partIndex"):
			s.part = int(r.Int())
		case r.Is("startIndex"):
			s.from = int(r.Int())
		case r.Is("endIndex"):
			s.to = int(r.Int())
		case r.Is("text"):
			s.text = r.String()
		default:
			r.Skip()
		}
	}
	return s
}

// readCitations reads citationMetadata: citationSources at AI Studio, citations
// at Vertex AI.
func readCitations(v jsontext.Value) (list []located) {
	if v.Kind() != '{' {
		return nil
	}
	r := jsonx.Read(v)
	for r.Object(); r.Next('}'); {
		if !r.Is("citationSources") && !r.Is("citations") {
			r.Skip()
			continue
		}
		each(r, func() {
			var c located
			for r.Object(); r.Next('}'); {
				switch {
				case r.Is("startIndex"):
					c.segment.from = int(r.Int())
				case r.Is("endIndex"):
					c.segment.to = int(r.Int())
				case r.Is("uri"):
					c.URL = r.String()
				case r.Is("title"):
					c.Title = r.String()
				default:
					r.Skip()
				}
			}
			list = append(list, c)
		})
	}
	if r.End() != nil {
		return nil
	}
	return list
}

// textOf is the text that a segment is of: the part that it names, when its words
// are there, or else the one that has them.
func textOf(parts []translate.Part, s segment) (text *translate.Text) {
	if s.part > 0 && s.part < len(parts) {
		if t, ok := parts[s.part].(*translate.Text); ok {
			return t
		}
	}
	for _, p := range parts {
		t, ok := p.(*translate.Text)
		if !ok {
			continue
		}
		if s.text != "" && 0 <= s.from && s.from <= s.to && s.to <= len(t.Text) && t.Text[s.from:s.to] == s.text {
			return t
		}
		if t.Text != "" || text == nil {
			text = t
		}
	}
	return text
}

// runes is how many runes the first bytes of a text are.
func runes(text string, bytes int) int {
	return utf8.RuneCountInString(text[:min(max(0, bytes), len(text))])
}

// offset is how many bytes the first runes of a text are.
func offset(text string, runes int) int {
	for at := range text {
		if runes <= 0 {
			return at
		}
		runes--
	}
	return len(text)
}

// grounding gathers citations of other dialects for a groundingMetadata.
type grounding struct {
	sources  []source
	supports []support
}

// add takes the citations of a text. One without a range is of the whole text.
func (g *grounding) add(part, base int, text string, citations []translate.Citation) {
	for _, c := range citations {
		if c.URL == "" && c.Title == "" {
			continue
		}
		from, to := 0, len(text)
		if c.End > 0 {
			from, to = offset(text, c.Start), offset(text, c.End)
		}
		at := g.source(source{url: c.URL, title: c.Title})
		found := segment{part: part, from: base + from, to: base + to}
		if from <= to {
			found.text = text[from:to]
		}
		if last := len(g.supports) - 1; last >= 0 && g.supports[last].segment == found {
			g.supports[last].chunks = append(g.supports[last].chunks, at)
			continue
		}
		g.supports = append(g.supports, support{found, []int{at}})
	}
}

func (g *grounding) source(s source) int {
	for i := range g.sources {
		if g.sources[i] == s {
			return i
		}
	}
	g.sources = append(g.sources, s)
	return len(g.sources) - 1
}

// write writes the member, when there is something to say.
func (g *grounding) write(w *jsonx.Writer) {
	if len(g.sources) == 0 {
		return
	}
	w.Name("groundingMetadata")
	w.Open('{')
	w.Name("groundingChunks")
	w.Open('[')
	for _, s := range g.sources {
		w.Open('{')
		if strings.Contains(s.url, "://") {
			w.Name("web")
			w.Open('{')
			w.Text("uri", s.url)
		} else {
			w.Name("retrievedContext")
			w.Open('{')
			w.TextIf("uri", s.url)
		}
		w.TextIf("title", s.title)
		w.Close('}')
		w.Close('}')
	}
	w.Close(']')
	w.Name("groundingSupports")
	w.Open('[')
	for _, s := range g.supports {
		w.Open('{')
		w.Name("segment")
		w.Open('{')
		if s.segment.part > 0 {
			w.Int("partIndex", int64(s.segment.part))
		}
		if s.segment.from > 0 {
			w.Int("startIndex", int64(s.segment.from))
		}
		w.Int("endIndex", int64(s.segment.to))
		w.Text("text", s.segment.text)
		w.Close('}')
		w.Name("groundingChunkIndices")
		w.Open('[')
		for _, i := range s.chunks {
			w.Value(jsontext.Value(itoa(i)))
		}
		w.Close(']')
		w.Close('}')
	}
	w.Close(']')
	w.Close('}')
}
