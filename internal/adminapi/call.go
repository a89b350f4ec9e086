package adminapi

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"halley/internal/account"
	"halley/internal/fault"
	"halley/internal/jsonx"
	"halley/internal/speech"
)

// call is one management request as its handler sees it.
type call struct {
	ctx     context.Context
	who     *account.Identity // nil on routes without a credential
	ip      netip.Addr        // invalid over the Unix socket
	query   url.Values
	body    []byte
	header  http.Header   // what the handler wants in the answer
	request *http.Request // for cookies, user agent and credentials
	// languageOf is the one to answer people in.
	languageOf func(*http.Request) *speech.Language
	spoken     *speech.Language // what languageOf gave, once it was asked
}

// language is the one to answer people in. Few calls ask.
func (c *call) language() *speech.Language {
	if c.spoken == nil {
		c.spoken = c.languageOf(c.request)
	}
	return c.spoken
}

// say is a text in the caller's language.
func (c *call) say(t speech.Text) string { return c.language().Say(t) }

// set adds a header to the answer.
func (c *call) set(name, value string) {
	if c.header == nil {
		c.header = http.Header{}
	}
	c.header.Add(name, value)
}

// setVersion adds the record's version as its ETag.
func (c *call) setVersion(version int64) {
	c.set("ETag", strconv.Quote(strconv.FormatInt(version, 10)))
}

// ifMatch is the version an If-Match header asks for; nil without one or with *.
func (c *call) ifMatch() (*int64, error) {
	values := c.request.Header.Values("If-Match")
	if len(values) == 0 || values[0] == "*" {
		return nil, nil
	}
	text := strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(values[0], "W/"), `"`), `"`)
	version, err := strconv.ParseInt(text, 10, 64)
	if err != nil || len(values) > 1 {
		return nil, fault.New(fault.Malformed, "invalid_if_match", `If-Match must be one version in double quotes, such as "3".`).Field("If-Match")
	}
	return &version, nil
}

// path is a wildcard of the route's pattern.
func (c *call) path(name string) string { return c.request.PathValue(name) }

// pathID is a wildcard that is an id; a value no record can have is not found.
func (c *call) pathID(name string) (int64, error) {
	id, err := strconv.ParseInt(c.path(name), 10, 64)
	if err != nil || id <= 0 {
		return 0, fault.New(fault.NotFound, "not_found", "There is no record with the id %q.", c.path(name))
	}
	return id, nil
}

// queryInt is a query parameter that must be a whole number, 0 or more; def
// when it is missing or empty.
func (c *call) queryInt(name string, def int64) (int64, error) {
	text := c.query.Get(name)
	if text == "" {
		return def, nil
	}
	v, err := strconv.ParseInt(text, 10, 64)
	if err != nil || v < 0 {
		return 0, fault.New(fault.Invalid, "invalid_"+name, "%s must be a whole number, 0 or more.", name).Field(name)
	}
	return v, nil
}

// page is one page of a list as asked for.
type page struct {
	Number int64 // from 1
	Size   int64
}

// Offset is how many records come before the page.
func (p page) Offset() int64 {
	if p.Number-1 > (1<<62)/p.Size {
		return 1 << 62
	}
	return (p.Number - 1) * p.Size
}

// page reads p and page_size: missing or 0 means 1 and 20, above 100 is capped.
func (c *call) page() (page, error) {
	number, err := c.queryInt("p", 1)
	if err != nil {
		return page{}, err
	}
	size, err := c.queryInt("page_size", 20)
	if err != nil {
		return page{}, err
	}
	if size == 0 {
		size = 20
	}
	return page{Number: max(number, 1), Size: min(size, 100)}, nil
}

// pageOf is the page object of the contract.
type pageOf[T any] struct {
	Page     int64 `json:"page"`
	PageSize int64 `json:"page_size"`
	Total    int64 `json:"total"`
	Items    []T   `json:"items"`
}

func newPage[T any](p page, total int64, items []T) pageOf[T] {
	if items == nil {
		items = []T{}
	}
	return pageOf[T]{Page: p.Number, PageSize: p.Size, Total: total, Items: items}
}

// decode reads the body strictly; what is wrong is a 400 that names the member.
func decode[T any](c *call) (T, error) {
	var v T
	text, err := c.object()
	if err != nil {
		return v, err
	}
	if err := jsonx.DecodeOwn(text, &v); err != nil {
		return v, malformed(err)
	}
	return v, nil
}

// object is the body, which must be a JSON object: null would read as one whose
// members are all missing.
func (c *call) object() ([]byte, error) {
	text := bytes.TrimLeft(c.body, " \t\r\n")
	if len(text) == 0 || text[0] != '{' {
		return nil, fault.New(fault.Malformed, "invalid_body", "The body must be a JSON object.")
	}
	return c.body, nil
}

func malformed(err error) error {
	bad, ok := errors.AsType[*jsonx.DecodeError](err)
	if !ok {
		return fault.Wrap(err, fault.Malformed, "invalid_body", "The body is not valid JSON.")
	}
	if bad.Field == "" {
		return fault.Wrap(err, fault.Malformed, "invalid_body", "The request is not right: %s.", bad.Reason)
	}
	if bad.NotWhole && strings.HasPrefix(bad.Field, "limits.") {
		// Half a request a minute can be read, but is no limit.
		return fault.Wrap(err, fault.Invalid, "invalid_limits", "%s %s.", bad.Field, bad.Reason).Field(bad.Field)
	}
	return fault.Wrap(err, fault.Malformed, "invalid_type", "%s %s.", bad.Field, bad.Reason).Field(bad.Field)
}

// notNull refuses a member that is there but null.
func notNull[T any](name string, o jsonx.Opt[T]) error { return o.NotNull(name) }

// firstError is the first that is not nil.
func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
