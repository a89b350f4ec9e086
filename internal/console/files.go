package console

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// assets is the folder of files that have a hash in their names.
const assets = "assets/"

// file is one file of the console, as it is and compressed.
type file struct {
	name         string
	plain        *variant
	brotli, gzip *variant // nil where that would not be smaller
}

// variant is a file in one encoding.
type variant struct {
	encoding string // "" is none
	text     []byte
	etag     string
}

func newVariant(text []byte, encoding string) *variant {
	sum := sha256.Sum256(text)
	return &variant{encoding: encoding, text: text, etag: strconv.Quote(base64.RawURLEncoding.EncodeToString(sum[:12]))}
}

// load reads the built console, by name. There may be none.
func load(built fs.FS) (map[string]*file, error) {
	files := map[string]*file{}
	of := func(name string) *file {
		if files[name] == nil {
			files[name] = &file{name: name}
		}
		return files[name]
	}
	err := fs.WalkDir(built, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := fs.ReadFile(built, name)
		if err != nil {
			return err
		}
		switch path.Ext(name) {
		case ".br":
			of(strings.TrimSuffix(name, ".br")).brotli = newVariant(text, "br")
		case ".gz":
			of(strings.TrimSuffix(name, ".gz")).gzip = newVariant(text, "gzip")
		default:
			of(name).plain = newVariant(text, "")
		}
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		return files, nil
	}
	return files, err
}

// typeOf is a file's media type. The machine's own table is not asked: it may
// be missing, and says what it likes.
func typeOf(name string) string {
	switch path.Ext(name) {
	case ".html":
		return "text/html; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	case ".json":
		return "application/json"
	case ".png":
		return "image/png"
	case ".woff2":
		return "font/woff2"
	}
	return "application/octet-stream"
}

// acceptedEncodings are those that the client takes by name: those with q=0 it
// does not (RFC 9110, 12.5.3).
func acceptedEncodings(headers []string) map[string]bool {
	accepted := map[string]bool{}
	for part := range strings.SplitSeq(strings.Join(headers, ","), ",") {
		coding, weight, _ := strings.Cut(part, ";")
		coding = strings.ToLower(strings.TrimSpace(coding))
		text, weighted := strings.CutPrefix(strings.ToLower(strings.TrimSpace(weight)), "q=")
		q, err := strconv.ParseFloat(text, 64)
		accepted[coding] = !weighted || (err == nil && q > 0)
	}
	return accepted
}
