package adminapi

import (
	"net/http"
	"reflect"
	"regexp"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

func (s *Server) openAPIRoutes() []route {
	return []route{{
		method: http.MethodGet, path: "/api/openapi.json", access: public, handle: s.getOpenAPI,
		summary: "This document",
	}}
}

func (s *Server) getOpenAPI(*call) (any, error) { return bare{s.OpenAPI()}, nil }

// OpenAPI describes the management API, made from the route table and the Go
// types of bodies and answers.
func (s *Server) OpenAPI() *huma.OpenAPI {
	registry := inlining{huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer)}
	doc := &huma.OpenAPI{
		OpenAPI: "3.1.0",
		Info:    &huma.Info{Title: "Halley management API", Version: "1"},
		Components: &huma.Components{
			Schemas: registry,
			SecuritySchemes: map[string]*huma.SecurityScheme{
				"token":   {Type: "apiKey", In: "header", Name: "Authorization", Description: "A personal access token (hpat_…), without Bearer."},
				"session": {Type: "apiKey", In: "cookie", Name: SecureCookie},
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
		op := operation(rt, registry)
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

// inlining writes types without a name where they are used: plainType makes such,
// and among the shared schemas two of them could be given the same name.
type inlining struct{ huma.Registry }

// Schema describes t.
func (r inlining) Schema(t reflect.Type, allowRef bool, hint string) *huma.Schema {
	if t.Name() == "" {
		return huma.SchemaFromType(r, t)
	}
	return r.Registry.Schema(t, allowRef, hint)
}

var pathParam = regexp.MustCompile(`\{(\w+)(?:\.\.\.)?\}`)

func operation(rt route, registry huma.Registry) *huma.Operation {
	op := &huma.Operation{
		OperationID: operationID(rt),
		Summary:     rt.summary,
		Responses: map[string]*huma.Response{
			"200":     {Description: "Done", Content: content(envelopeSchema(rt.out, registry))},
			"default": {Description: "Refused; success is false and code names the rule", Content: content(registry.Schema(reflect.TypeFor[envelopeError](), true, "error"))},
		},
	}
	switch rt.access {
	case public:
	case ownCredential:
		op.Security = []map[string][]string{{"apiKey": {}}}
	default:
		op.Security = []map[string][]string{{"token": {}}, {"session": {}}}
	}
	for _, match := range pathParam.FindAllStringSubmatch(rt.path, -1) {
		schema := &huma.Schema{Type: huma.TypeString}
		if match[1] == "id" {
			schema = &huma.Schema{Type: huma.TypeInteger}
		}
		op.Parameters = append(op.Parameters, &huma.Param{Name: match[1], In: "path", Required: true, Schema: schema})
	}
	for _, name := range rt.query {
		op.Parameters = append(op.Parameters, &huma.Param{Name: name, In: "query", Schema: &huma.Schema{Type: huma.TypeString}})
	}
	if rt.in != nil {
		op.RequestBody = &huma.RequestBody{Required: true, Content: content(registry.Schema(plainType(rt.in), true, rt.in.Name()))}
	}
	return op
}

func operationID(rt route) string {
	words := strings.FieldsFunc(pathParam.ReplaceAllString(rt.path, "by-$1"), func(r rune) bool { return r == '/' || r == '.' })
	return strings.ToLower(rt.method) + "-" + strings.Join(words, "-")
}

func content(schema *huma.Schema) map[string]*huma.MediaType {
	return map[string]*huma.MediaType{"application/json": {Schema: schema}}
}

func envelopeSchema(out reflect.Type, registry huma.Registry) *huma.Schema {
	schema := &huma.Schema{
		Type:       huma.TypeObject,
		Properties: map[string]*huma.Schema{"success": {Type: huma.TypeBoolean}, "message": {Type: huma.TypeString}},
		Required:   []string{"success", "message"},
	}
	if out != nil {
		schema.Properties["data"] = registry.Schema(plainType(out), true, out.Name())
	}
	return schema
}

// plainType is t with every optional member as a pointer to what it holds,
// which is how the schema generator knows optional members.
func plainType(t reflect.Type) reflect.Type {
	if inner, ok := reflect.Zero(t).Interface().(interface{ Inner() reflect.Type }); ok {
		return reflect.PointerTo(plainType(inner.Inner()))
	}
	switch t.Kind() {
	case reflect.Slice:
		return reflect.SliceOf(plainType(t.Elem()))
	case reflect.Map:
		return reflect.MapOf(t.Key(), plainType(t.Elem()))
	case reflect.Struct:
		changed := false
		fields := make([]reflect.StructField, 0, t.NumField())
		for i := range t.NumField() {
			f := t.Field(i)
			if !f.IsExported() {
				return t
			}
			plain := plainType(f.Type)
			changed = changed || plain != f.Type
			f.Type = plain
			f.Offset, f.Index = 0, nil
			fields = append(fields, f)
		}
		if !changed {
			return t
		}
		return reflect.StructOf(fields)
	}
	return t
}
