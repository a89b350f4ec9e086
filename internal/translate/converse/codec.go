// Package converse is the dialect of Amazon Bedrock's Converse and ConverseStream
// between its wire shapes and the neutral conversation. The stream's events are
// taken as server-sent events whose names are the event types; what frames them
// on the wire is package awsstream's. Facts are from Amazon's API reference, the
// user guides of Bedrock and Nova, and recorded traffic. It does no I/O.
//
// Conventions of its own:
//
//   - What Claude signs here it signs everywhere: thoughts with a signature have
//     the origin translate.Messages. What is sealed comes as bytes here and as text
//     there, so it stays of this dialect.
//   - A cachePoint is a CacheMark on what stands before it.
//   - A toolResult's json is a Text of that JSON, and citationsContent a Text; for
//     the same dialect their Extra has them as they came.
//   - Requests to Claude models are fitted to them by package messages, which
//     knows those models.
package converse

import (
	"bytes"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"halley/internal/jsonx"
	"halley/internal/translate"
)

// Codec knows the dialect; it has no state.
type Codec struct{}

var _ translate.Codec = Codec{}

// member takes the member that the reader is at, for an Extra.
func member(r *jsonx.Reader) translate.Member {
	return translate.Member{Name: strings.Clone(r.Name()), Value: r.Value()}
}

// whole is the text of the last value, beginning at at, as its own copy.
func whole(r *jsonx.Reader, at int) jsontext.Value { return bytes.Clone(r.Since(at)) }

func writeExtra(w *jsonx.Writer, e translate.Extra, but ...string) {
next:
	for _, m := range e {
		for _, name := range but {
			if m.Name == name {
				continue next
			}
		}
		w.Raw(m.Name, m.Value)
	}
}

// formats are the names of media here, by media type. The first of a type is the
// one that is written for it.
var formats = [...]struct {
	kind         translate.MediaKind
	format, mime string
}{
	{translate.Image, "png", "image/png"},
	{translate.Image, "jpeg", "image/jpeg"},
	{translate.Image, "jpeg", "image/jpg"},
	{translate.Image, "gif", "image/gif"},
	{translate.Image, "webp", "image/webp"},
	{translate.Document, "pdf", "application/pdf"},
	{translate.Document, "csv", "text/csv"},
	{translate.Document, "doc", "application/msword"},
	{translate.Document, "docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"},
	{translate.Document, "xls", "application/vnd.ms-excel"},
	{translate.Document, "xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"},
	{translate.Document, "html", "text/html"},
	{translate.Document, "txt", "text/plain"},
	{translate.Document, "md", "text/markdown"},
	{translate.Document, "md", "text/x-markdown"},
	{translate.Video, "mp4", "video/mp4"},
	{translate.Video, "mov", "video/quicktime"},
	{translate.Video, "mkv", "video/x-matroska"},
	{translate.Video, "webm", "video/webm"},
	{translate.Video, "flv", "video/x-flv"},
	{translate.Video, "mpeg", "video/mpeg"},
	{translate.Video, "mpg", "video/mpeg"},
	{translate.Video, "wmv", "video/x-ms-wmv"},
	{translate.Video, "wmv", "video/wmv"},
	{translate.Video, "three_gp", "video/3gpp"},
	{translate.AudioClip, "mp3", "audio/mpeg"},
	{translate.AudioClip, "mp3", "audio/mp3"},
	{translate.AudioClip, "wav", "audio/wav"},
	{translate.AudioClip, "wav", "audio/x-wav"},
	{translate.AudioClip, "flac", "audio/flac"},
	{translate.AudioClip, "ogg", "audio/ogg"},
	{translate.AudioClip, "opus", "audio/opus"},
	{translate.AudioClip, "aac", "audio/aac"},
	{translate.AudioClip, "m4a", "audio/mp4"},
	{translate.AudioClip, "m4a", "audio/m4a"},
	{translate.AudioClip, "webm", "audio/webm"},
}

// formatOf is a media type's name here; "" when there is none.
func formatOf(kind translate.MediaKind, mime string) string {
	mime, _, _ = strings.Cut(strings.ToLower(mime), ";")
	for _, f := range formats {
		if f.kind == kind && f.mime == strings.TrimSpace(mime) {
			return f.format
		}
	}
	return ""
}

func mimeOf(kind translate.MediaKind, format string) string {
	for _, f := range formats {
		if f.kind == kind && f.format == format {
			return f.mime
		}
	}
	return ""
}

// mediaName is the member of a block that has media of the kind.
func mediaName(kind translate.MediaKind) string {
	switch kind {
	case translate.Document:
		return "document"
	case translate.Video:
		return "video"
	case translate.AudioClip:
		return "audio"
	case translate.Image:
	}
	return "image"
}
