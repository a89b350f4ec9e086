package adminapi

import (
	"net/http"
	"reflect"
	"regexp"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"halley/internal/jsonx"
	"halley/internal/key"
)

func (s *Server) openAPIRoutes() []route {
	return []route{{
		method: http.MethodGet, path: "/api/openapi.json", access: public, handle: s.getOpenAPI,
		summary: "This document", plain: true, out: typeOf[map[string]any](),
	}}
}

func (s *Server) getOpenAPI(*call) (any, error) {
	text, err := s.document()
	if err != nil {
		return nil, err
	}
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, text) }), nil
}

// OpenAPIText is the document as it is served and kept in docs/openapi.json.
func (s *Server) OpenAPIText() ([]byte, error) { return s.document() }

// renderOpenAPI writes the document for people to read as well.
func (s *Server) renderOpenAPI() ([]byte, error) {
	text, err := jsonx.Marshal(s.OpenAPI())
	if err != nil {
		return nil, err
	}
	value := jsonx.Value(text)
	if err := value.Indent(); err != nil {
		return nil, err
	}
	return append(value, '\n'), nil
}

const openAPIDescription = `Keys, accounts, channels, prices and usage.

Money is in quota units (500,000 are 1 USD) unless a field says USD; instants are Unix seconds. Answers are wrapped in {success, message, data}; a refusal has success false, a message for people, and a code that stays the same. Every answer has X-Request-Id. Unknown members of a body are ignored, members that are left out keep their value or get their default. Every path is served with and without a closing slash.`

// OpenAPI describes the management API, made from the route table and the Go
// types of bodies and answers.
func (s *Server) OpenAPI() *huma.OpenAPI {
	registry := huma.NewMapRegistry(schemaPrefix, huma.DefaultSchemaNamer)
	d := newDescriber(registry.Map())
	doc := &huma.OpenAPI{
		OpenAPI: "3.1.0",
		Info:    &huma.Info{Title: "Halley management API", Version: "1", Description: openAPIDescription},
		Components: &huma.Components{
			Schemas: registry,
			SecuritySchemes: map[string]*huma.SecurityScheme{
				"token":   {Type: "apiKey", In: "header", Name: "Authorization", Description: "A personal access token (hpat_…), without Bearer."},
				"session": {Type: "apiKey", In: "cookie", Name: SecureCookie, Description: "What signing in sets; " + PlainCookie + " on plain HTTP."},
				"apiKey":  {Type: "http", Scheme: "bearer", Description: "An API key (sk-…)."},
			},
		},
		Paths: map[string]*huma.PathItem{},
	}
	for _, rt := range s.routes {
		name := strings.ReplaceAll(rt.path, "...}", "}")
		item := doc.Paths[name]
		if item == nil {
			item = &huma.PathItem{}
			doc.Paths[name] = item
		}
		op := d.operation(rt)
		switch rt.method {
		case http.MethodGet:
			item.Get = op
		case http.MethodPost:
			item.Post = op
		case http.MethodPut:
			item.Put = op
		case http.MethodPatch:
			item.Patch = op
		case http.MethodDelete:
			item.Delete = op
		}
	}
	return doc
}

func (d *describer) operation(rt route) *huma.Operation {
	op := &huma.Operation{
		OperationID: operationID(rt),
		Summary:     rt.summary,
		Tags:        []string{tagOf(rt)},
		Responses: map[string]*huma.Response{
			"200":     {Description: "Done", Content: content(d.answer(rt))},
			"default": {Description: "Refused", Content: content(d.refusal(rt))},
		},
	}
	for _, media := range rt.files {
		op.Responses["200"].Content[media] = &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString}}
	}
	switch rt.access {
	case public:
		op.Description = "Needs no credential."
	case ownCredential:
		op.Description = "Needs an API key, not a personal access token."
		op.Security = []map[string][]string{{"apiKey": {}}}
	case adminOnly:
		op.Description = "For administrators and root."
	case rootOnly:
		op.Description = "For root."
	}
	if op.Security == nil && rt.access != public {
		op.Security = []map[string][]string{{"token": {}}, {"session": {}}}
	}
	op.Parameters = parameters(rt)
	if rt.in != nil {
		schema := d.schema(rt.in)
		if len(rt.needs) > 0 {
			schema = &huma.Schema{AllOf: []*huma.Schema{schema, {Required: rt.needs}}}
		}
		op.RequestBody = &huma.RequestBody{Required: !rt.bodyOptional, Content: content(schema)}
	}
	return op
}

// answer is what a success is written as.
func (d *describer) answer(rt route) *huma.Schema {
	if rt.plain {
		return d.schema(rt.out)
	}
	schema := &huma.Schema{
		Type:       huma.TypeObject,
		Properties: map[string]*huma.Schema{"success": {Type: huma.TypeBoolean, Enum: []any{true}}, "message": {Type: huma.TypeString}},
		Required:   []string{"success", "message"},
	}
	if rt.out != nil {
		schema.Properties["data"] = d.schema(rt.out)
		schema.Required = append(schema.Required, "data")
	}
	return schema
}

// openAIError is how the published call outside the envelope refuses.
type openAIError struct {
	Error openAIErrorDetail `json:"error"`
}

type openAIErrorDetail struct {
	Message string  `json:"message"`
	Type    string  `json:"type"`
	Param   *string `json:"param"`
	Code    string  `json:"code"`
}

func (d *describer) refusal(rt route) *huma.Schema {
	if rt.path == quotaPath {
		return d.schema(reflect.TypeFor[openAIError]())
	}
	return d.schema(reflect.TypeFor[envelopeError]())
}

var pathParam = regexp.MustCompile(`\{(\w+)(?:\.\.\.)?\}`)

func parameters(rt route) []*huma.Param {
	var all []*huma.Param
	for _, match := range pathParam.FindAllStringSubmatch(rt.path, -1) {
		schema := &huma.Schema{Type: huma.TypeString}
		if match[1] == "id" || match[1] == "session" || match[1] == "token" {
			schema = &huma.Schema{Type: huma.TypeInteger, Format: "int64"}
		}
		all = append(all, &huma.Param{Name: match[1], In: "path", Required: true, Schema: schema})
	}
	for _, name := range rt.query {
		all = append(all, queryParameter(rt, name))
	}
	if rt.ifMatch {
		all = append(all, &huma.Param{
			Name: "If-Match", In: "header", Schema: &huma.Schema{Type: huma.TypeString},
			Description: `The record's version in double quotes, as in its ETag: when the record has moved on, the answer is a 412.`,
		})
	}
	return all
}

// queryParameter describes a query parameter: a name means the same everywhere,
// but for status.
func queryParameter(rt route, name string) *huma.Param {
	whole := func(min float64) *huma.Schema {
		return &huma.Schema{Type: huma.TypeInteger, Format: "int64", Minimum: &min}
	}
	words := func(list ...any) *huma.Schema { return &huma.Schema{Type: huma.TypeString, Enum: list} }
	p := &huma.Param{Name: name, In: "query", Schema: &huma.Schema{Type: huma.TypeString}}
	switch name {
	case "p":
		p.Schema, p.Description = whole(0), "The page, from 1."
	case "page_size":
		p.Schema, p.Description = whole(0), "Records on a page: 20 when missing or 0, at most 100."
	case "keyword":
		p.Description = "A part of what a record is known by, such as its name; case does not count."
	case "user_id":
		p.Schema, p.Description = whole(0), "Another user's id, for administrators."
	case "parent_id":
		p.Schema, p.Description = whole(0), "Only the keys that this one has issued."
	case "key_id", "actor":
		p.Schema = whole(0)
	case "target_kind":
		p.Description = "What kind of record was changed, such as key or login provider; target names one of them, such as key 12."
	case "from", "to":
		p.Schema, p.Description = whole(0), "Unix seconds."
	case "start_date", "end_date":
		p.Schema.Format = "date"
	case "status_only":
		p.Schema, p.Description = &huma.Schema{Type: huma.TypeBoolean}, "Whether only the status changes, whatever else the body says."
	case "status":
		p.Schema = whole(0)
		if strings.HasPrefix(rt.path, "/api/log") {
			p.Description = "An HTTP status."
		}
	case "errors":
		p.Schema, p.Description = &huma.Schema{Type: huma.TypeBoolean}, "Whether only requests count that failed: answered with a status of 400 or more."
	case "format":
		p.Schema, p.Description = words("csv", "json"), "json when missing. The header X-Total-Count says how many records are coming."
	case "time_zone":
		p.Description = "Whose days they are, such as Europe/Berlin; the caller's own when missing."
	case "bucket":
		p.Schema = words("hour", "day")
	case "by":
		p.Schema = words("model", "key", "channel", "user")
	case "sort":
		var orders []any
		for _, by := range key.Sorts() {
			orders = append(orders, string(by))
		}
		p.Schema, p.Description = words(orders...), "The order, with - before it for the largest first; keys that are alike are newest first. Balances are those of at most 200 ms ago."
	case "source":
		p.Schema = words("catalog", "custom")
	case "kind":
		p.Schema = words("openai", "azure", "anthropic", "gemini", "vertex", "cohere", "demo")
	case "return_to":
		p.Description = "A page of the console, such as /keys, to go to afterwards."
	case "key":
		p.Description = "An API key, for callers who cannot send headers."
	case "token":
		p.Description = "A key's value, or its last 4 characters or more."
	}
	return p
}

// tagOf groups operations by what they are about.
func tagOf(rt route) string {
	if rt.path == quotaPath {
		return "usage"
	}
	word, _, _ := strings.Cut(strings.TrimPrefix(rt.path, "/api/"), "/")
	switch word {
	case "token":
		return "keys"
	case "user":
		if strings.HasSuffix(rt.path, "/session") || strings.Contains(rt.path, "/session/") {
			return "sessions"
		}
		if strings.HasPrefix(rt.path, "/api/user/token") {
			return "access tokens"
		}
		return "users"
	case "usage", "log", "data":
		return "usage"
	case "status", "openapi.json":
		return "server"
	case "price", "models":
		return "prices"
	case "login_provider":
		return "login providers"
	case "audit":
		return "audit trail"
	}
	return word + "s"
}

func operationID(rt route) string {
	words := strings.FieldsFunc(pathParam.ReplaceAllString(rt.path, "by-$1"), func(r rune) bool { return r == '/' || r == '.' })
	return strings.ToLower(rt.method) + "-" + strings.Join(words, "-")
}

func content(schema *huma.Schema) map[string]*huma.MediaType {
	return map[string]*huma.MediaType{"application/json": {Schema: schema}}
}
