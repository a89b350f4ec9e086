package adminapi

import (
	"reflect"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"halley/internal/account"
	"halley/internal/channel"
	"halley/internal/group"
	"halley/internal/jsonx"
	"halley/internal/key"
	"halley/internal/limit"
	"halley/internal/price"
)

const schemaPrefix = "#/components/schemas/"

// describer writes Go types as JSON schemas. A type with a name becomes a schema
// of its own and is referred to. Of a struct's members
//   - an optional one (jsonx.Opt, or with omitempty or omitzero) is not required,
//     any other is;
//   - a pointer may be null, as may an optional member with the tag
//     nullable:"true" or of a type in nullUnsets;
//   - the tags doc, enum (values with commas between them; "endpoints" are all
//     the endpoints' names) and required:"true" say what Go's types cannot.
type describer struct {
	schemas map[string]*huma.Schema // by name
	names   map[reflect.Type]string
}

func newDescriber(schemas map[string]*huma.Schema) *describer {
	return &describer{schemas: schemas, names: map[reflect.Type]string{}}
}

// nullUnsets reports whether null takes a member of the struct away.
func nullUnsets(t reflect.Type) bool {
	switch t {
	case reflect.TypeFor[key.LimitsPatch](), reflect.TypeFor[account.LimitsPatch](), reflect.TypeFor[limit.Patch](), reflect.TypeFor[limit.RatePatch](), reflect.TypeFor[timeoutsBody](), reflect.TypeFor[azureBody](), reflect.TypeFor[vertexBody](), reflect.TypeFor[awsBody](),
		reflect.TypeFor[channel.OverridesPatch](), reflect.TypeFor[channel.HeaderOverridesPatch](), reflect.TypeFor[channel.BodyOverridesPatch](), reflect.TypeFor[channel.CapsPatch]():
		return true
	}
	return false
}

// optionalType is what an optional member holds; false when t is none.
func optionalType(t reflect.Type) (reflect.Type, bool) {
	o, ok := reflect.Zero(t).Interface().(interface{ Inner() reflect.Type })
	if !ok || t.Kind() != reflect.Struct {
		return nil, false
	}
	return o.Inner(), true
}

// schema describes a type.
func (d *describer) schema(t reflect.Type) *huma.Schema {
	if inner, ok := optionalType(t); ok {
		return d.schema(inner)
	}
	switch t {
	case reflect.TypeFor[price.Decimal](): // a number, whatever Go keeps it in
		return &huma.Schema{Type: huma.TypeNumber}
	case reflect.TypeFor[jsonx.Value]():
		return &huma.Schema{} // any value
	case reflect.TypeFor[price.Source]():
		return &huma.Schema{Type: huma.TypeString, Enum: []any{string(price.FromCatalog), string(price.Custom)}}
	}
	if own, ok := reflect.Zero(t).Interface().(huma.SchemaProvider); ok {
		return own.Schema(nil)
	}
	switch t.Kind() {
	case reflect.Pointer:
		return nullable(d.schema(t.Elem()))
	case reflect.Bool:
		return &huma.Schema{Type: huma.TypeBoolean}
	case reflect.Int, reflect.Int64:
		return &huma.Schema{Type: huma.TypeInteger, Format: "int64"}
	case reflect.Float64:
		return &huma.Schema{Type: huma.TypeNumber, Format: "double"}
	case reflect.String:
		return &huma.Schema{Type: huma.TypeString}
	case reflect.Slice:
		return &huma.Schema{Type: huma.TypeArray, Items: d.schema(t.Elem())}
	case reflect.Map:
		return &huma.Schema{Type: huma.TypeObject, AdditionalProperties: d.schema(t.Elem())}
	case reflect.Struct:
		return d.reference(t)
	}
	return &huma.Schema{} // any value
}

// reference is the struct by its name, or in full when it has none.
func (d *describer) reference(t reflect.Type) *huma.Schema {
	if t.Name() == "" {
		return d.object(t)
	}
	name, known := d.names[t]
	if !known {
		for name = schemaName(t); d.schemas[name] != nil; {
			name += "_" // the golden file shows it
		}
		d.names[t] = name
		d.schemas[name] = &huma.Schema{} // a type may hold itself
		d.schemas[name] = d.object(t)
	}
	return &huma.Schema{Ref: schemaPrefix + name}
}

func (d *describer) object(t reflect.Type) *huma.Schema {
	object := &huma.Schema{Type: huma.TypeObject, Properties: map[string]*huma.Schema{}}
	d.members(t, object)
	return object
}

func (d *describer) members(t reflect.Type, object *huma.Schema) {
	for f := range t.Fields() {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous && name == "" {
			d.members(f.Type, object) // its members are the struct's own
			continue
		}
		if !f.IsExported() || name == "-" {
			continue
		}
		_, optional := optionalType(f.Type)
		left := strings.Contains(options, "omit")
		member := d.schema(f.Type)
		describeMember(member, f.Tag)
		if f.Tag.Get("nullable") == "true" || optional && nullUnsets(t) || f.Type == reflect.TypeFor[price.Decimal]() && !left {
			member = nullable(member)
		}
		object.Properties[name] = member
		if f.Tag.Get("required") == "true" || !optional && !left {
			object.Required = append(object.Required, name)
		}
	}
}

func describeMember(member *huma.Schema, tag reflect.StructTag) {
	member.Description = tag.Get("doc")
	words := tag.Get("enum")
	if words == "" {
		return
	}
	of := member
	if member.Type == huma.TypeArray {
		of = member.Items
	}
	list := strings.Split(words, ",")
	switch words {
	case "endpoints":
		list = key.Endpoints()
	case "strategies":
		list = group.Strategies()
	}
	for _, word := range list {
		if of.Type == huma.TypeString {
			of.Enum = append(of.Enum, word)
		} else {
			of.Enum = append(of.Enum, jsonx.Value(word)) // a number, true or false
		}
	}
}

// nullable allows null as well.
func nullable(s *huma.Schema) *huma.Schema {
	if s.Type == "" { // a reference
		return &huma.Schema{AnyOf: []*huma.Schema{{Ref: s.Ref}, {Type: "null"}}, Description: s.Description}
	}
	s.Nullable = true
	if len(s.Enum) > 0 && !slices.Contains(s.Enum, nil) {
		s.Enum = append(s.Enum, nil)
	}
	return s
}

// schemaName is a type's name without what tells Go's types apart: keyRecord is
// Key, price.DefinitionView PriceDefinition, pageOf[keyRecord] PageOfKey.
func schemaName(t reflect.Type) string {
	name := t.Name()
	if page, of, generic := strings.Cut(strings.TrimSuffix(name, "]"), "["); generic {
		pkg, inner := splitType(of)
		return capital(page) + baseName(pkg, inner)
	}
	pkg, _ := splitType(t.String())
	return baseName(pkg, name)
}

// splitType splits "halley/internal/price.View" into "price" and "View".
func splitType(full string) (pkg, name string) {
	dot := strings.LastIndexByte(full, '.')
	pkg = full[:max(dot, 0)]
	return pkg[strings.LastIndexByte(pkg, '/')+1:], full[dot+1:]
}

func baseName(pkg, name string) string {
	for _, suffix := range []string{"View", "Record"} {
		name = strings.TrimSuffix(name, suffix)
	}
	if pkg == "adminapi" {
		return capital(name)
	}
	return capital(pkg) + strings.TrimPrefix(capital(name), capital(pkg))
}

func capital(name string) string {
	first, size := utf8.DecodeRuneInString(name)
	if size == 0 {
		return ""
	}
	return string(unicode.ToUpper(first)) + name[size:]
}
