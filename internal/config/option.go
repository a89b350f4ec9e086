package config

import (
	"reflect"
	"strings"
)

// Option describes one field of Config.
type Option struct {
	Key     string   // in the file: "database.url"
	Env     string   // "HALLEY_DATABASE_URL"
	Flag    string   // "database-url", without the dashes
	Type    string   // for people: "text", "duration", "list of networks"…
	Help    string   // one sentence
	Default string   // as it would be written; "" when there is none
	Example string   // another value, "" when there is none
	Values  []string // the only values, when they are few
	Path    []string // names of the Go fields, outermost first
}

// Options lists every option in Config's order.
func Options() []Option {
	var options []Option
	walk(reflect.TypeFor[Config](), "", nil, func(o Option, _ []int) { options = append(options, o) })
	return options
}

// walk visits the leaf fields of t: those whose type is not a section.
func walk(t reflect.Type, prefix string, path []string, visit func(o Option, index []int)) {
	for i := range t.NumField() {
		field := t.Field(i)
		key := prefix + field.Tag.Get("yaml")
		names := append(path[:len(path):len(path)], field.Name)
		if isSection(field.Type) {
			walk(field.Type, key+".", names, func(o Option, index []int) {
				visit(o, append([]int{i}, index...))
			})
			continue
		}
		o := Option{
			Key: key, Path: names,
			Env:     "HALLEY_" + strings.ToUpper(strings.ReplaceAll(key, ".", "_")),
			Flag:    strings.NewReplacer(".", "-", "_", "-").Replace(key),
			Type:    typeName(field.Type),
			Help:    helpTexts[key],
			Default: field.Tag.Get("default"), Example: field.Tag.Get("example"),
		}
		if values := field.Tag.Get("values"); values != "" {
			o.Values = strings.Split(values, ",")
		}
		visit(o, []int{i})
	}
}

// isSection reports whether a field groups options instead of being one.
func isSection(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && !reflect.PointerTo(t).Implements(reflect.TypeFor[parser]())
}

func typeName(t reflect.Type) string {
	switch reflect.New(t).Interface().(type) {
	case *Secret:
		return "secret text"
	case *DatabaseURL:
		return "URL"
	case *Size:
		return "size"
	case *Prefixes:
		return "list of networks"
	case *Upstreams:
		return "true, false or a list of networks"
	case *Origins:
		return "list of origins"
	}
	if isDuration(t) {
		return "duration"
	}
	return "text"
}
