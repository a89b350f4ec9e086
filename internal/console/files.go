package console

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
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

// variant is a file in one encoding. Its bytes are not copied: what is embedded
// is read where it lies.
type variant struct {
	encoding string // "" is none
	open     func() (content, error)
	etag     string
}

type content interface {
	io.ReadSeeker
	io.Closer
}

func newVariant(open func() (content, error), encoding string) (*variant, error) {
	text, err := open()
	if err != nil {
		return nil, err
	}
	defer func() { _ = text.Close() }() // nothing was written
	sum := sha256.New()
	if _, err := io.Copy(sum, text); err != nil {
		return nil, err
	}
	tag := base64.RawURLEncoding.EncodeToString(sum.Sum(nil)[:12])
	return &variant{encoding: encoding, open: open, etag: strconv.Quote(tag)}, nil
}

// in gives what opens a file. Its file system must let files be sought in, as the
// embedded one does.
func in(built fs.FS, name string) func() (content, error) {
	return func() (content, error) {
		f, err := built.Open(name)
		if err != nil {
			return nil, err
		}
		if text, ok := f.(content); ok {
			return text, nil
		}
		return nil, errors.Join(fmt.Errorf("%s cannot be sought in", name), f.Close())
	}
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
		switch path.Ext(name) {
		case ".br":
			of(strings.TrimSuffix(name, ".br")).brotli, err = newVariant(in(built, name), "br")
		case ".gz":
			of(strings.TrimSuffix(name, ".gz")).gzip, err = newVariant(in(built, name), "gzip")
		default:
			of(name).plain, err = newVariant(in(built, name), "")
		}
		return err
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
