package translate

import (
	"cmp"
	"encoding/base64"
	"net/url"
	"strings"
)

// Inline takes the data out of a data: URL and leaves others alone. It is false
// when the URL is a data: URL that has none.
func (m *Media) Inline() bool {
	rest, ok := strings.CutPrefix(m.URL, "data:")
	if !ok {
		return true
	}
	kind, data, ok := strings.Cut(rest, ",")
	if !ok {
		return false
	}
	kind, coded := strings.CutSuffix(kind, ";base64")
	if !coded {
		plain, err := url.PathUnescape(data)
		if err != nil {
			return false
		}
		data = base64.StdEncoding.EncodeToString([]byte(plain))
	}
	m.URL, m.MIME, m.Data = "", cmp.Or(kind, "text/plain"), data
	return true
}

// Address is the URL, a data: URL for what is inline; kind is the MIME type of
// data that does not say.
func (m *Media) Address(kind string) string {
	if m.Data == "" {
		return m.URL
	}
	return "data:" + cmp.Or(m.MIME, kind) + ";base64," + m.Data
}
