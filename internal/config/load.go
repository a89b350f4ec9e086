package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Problem is one thing that is wrong, and where.
type Problem struct {
	Origin  string // "halley.yaml:12", "HALLEY_LISTEN", "--listen"; "" for a default
	Key     string // the option, "" when it is the file itself
	Message string
}

// String is one line: "halley.yaml:12: listen: must be …".
func (p Problem) String() string {
	var parts []string
	for _, part := range []string{p.Origin, p.Key, p.Message} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, ": ")
}

// Problems is everything that is wrong with a configuration, one line each.
type Problems []Problem

// Error lists the problems.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// Override is a value from the command line. It wins over the environment,
// which wins over the file.
type Override struct {
	Key   string // "database.url"
	Value string
}

// Load reads the file at path ("" for none), then the environment through env
// (as os.LookupEnv; an empty variable counts as unset), then the overrides, and
// validates the whole. The error is Problems and names everything that is
// wrong at once; it never repeats a secret.
func Load(path string, env func(string) (string, bool), overrides ...Override) (*Config, error) {
	l := loader{origin: map[string]string{}}
	l.defaults()
	if path != "" {
		l.file(path)
	}
	l.environment(env)
	for _, o := range overrides {
		l.override(o)
	}
	if l.origin["database.url"] == "" {
		l.config.Database.URL = DatabaseURL("sqlite:" + filepath.Join(l.config.DataDir, "halley.db"))
	}
	for _, p := range validate(&l.config) {
		// What could not be read keeps its default, which is no news.
		if !slices.ContainsFunc(l.problems, func(q Problem) bool { return q.Key == p.Key }) {
			l.problem(l.origin[p.Key], p.Key, "%s", p.Message)
		}
	}
	if len(l.problems) > 0 {
		return nil, l.problems
	}
	return &l.config, nil
}

// parser is what an option of a type of its own implements.
type parser interface{ parse(text string) error }

// listParser is what an option implements that may be a list in the file.
type listParser interface{ parseList(items []string) error }

type loader struct {
	config   Config
	origin   map[string]string // by option key: where its value is from
	problems Problems
}

func (l *loader) problem(origin, key, format string, args ...any) {
	l.problems = append(l.problems, Problem{Origin: origin, Key: key, Message: fmt.Sprintf(format, args...)})
}

// each visits every option with its field.
func (l *loader) each(visit func(o Option, field reflect.Value)) {
	root := reflect.ValueOf(&l.config).Elem()
	walk(root.Type(), "", nil, func(o Option, index []int) { visit(o, root.FieldByIndex(index)) })
}

func (l *loader) defaults() {
	l.each(func(o Option, field reflect.Value) {
		if o.Default != "" {
			l.text(o, field, o.Default, "default of "+o.Key)
			delete(l.origin, o.Key)
		}
	})
}

func (l *loader) environment(env func(string) (string, bool)) {
	l.each(func(o Option, field reflect.Value) {
		if text, ok := env(o.Env); ok && text != "" {
			l.text(o, field, text, o.Env)
		}
	})
}

func (l *loader) override(given Override) {
	found := false
	l.each(func(o Option, field reflect.Value) {
		if o.Key == given.Key {
			found = true
			l.text(o, field, given.Value, "--"+o.Flag)
		}
	})
	if !found {
		l.problem("", given.Key, "there is no such option")
	}
}

// text sets an option from one text.
func (l *loader) text(o Option, field reflect.Value, text, origin string) {
	l.origin[o.Key] = origin
	if _, secret := field.Addr().Interface().(*Secret); !secret {
		text = strings.TrimSpace(text) // a password may begin or end with a space
	}
	if err := set(field, text); err != nil {
		l.problem(origin, o.Key, "%v", err)
	}
}

func set(field reflect.Value, text string) error {
	if p, ok := field.Addr().Interface().(parser); ok {
		return p.parse(text)
	}
	if isDuration(field.Type()) {
		d, err := time.ParseDuration(text)
		if err != nil {
			return errors.New("must be a duration such as 500ms, 30s or 5m")
		}
		field.SetInt(int64(d))
		return nil
	}
	field.SetString(text)
	return nil
}

// file reads the YAML file.
func (l *loader) file(path string) {
	data, err := os.ReadFile(path)
	if err != nil {
		l.problem(path, "", "cannot be read: %v", errors.Unwrap(err))
		return
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var document yaml.Node
	if err := decoder.Decode(&document); errors.Is(err, io.EOF) {
		return // nothing but comments
	} else if err != nil {
		l.problem(path, "", "is not YAML: %s", unquoted(strings.TrimPrefix(err.Error(), "yaml: ")))
		return
	}
	var second yaml.Node
	if err := decoder.Decode(&second); !errors.Is(err, io.EOF) {
		l.problem(path, "", "must hold one YAML document")
		return
	}
	fields := map[string]leaf{}
	l.each(func(o Option, field reflect.Value) { fields[o.Key] = leaf{o, field} })
	l.section(path, "", document.Content[0], fields)
}

// unquoted takes out what an error of the YAML reader quotes: a password that
// begins with * is an alias to it, and it names the alias.
func unquoted(text string) string {
	before, rest, found := strings.Cut(text, "'")
	if !found {
		return text
	}
	_, after, _ := strings.Cut(rest, "'")
	return before + "…" + after + " (a text that begins with * or & must be in quotes)"
}

// leaf is an option with its place in the Config.
type leaf struct {
	option Option
	field  reflect.Value
}

// section reads a mapping of options and further sections.
func (l *loader) section(path, key string, node *yaml.Node, fields map[string]leaf) {
	node = target(node)
	if node.Kind == yaml.ScalarNode && node.Tag == "!!null" {
		return // a heading with everything below it commented out
	}
	if node.Kind != yaml.MappingNode {
		l.problem(at(path, node), key, "must hold options, one per line, not %s", kind(node))
		return
	}
	prefix := key
	if prefix != "" {
		prefix += "."
	}
	lines := map[string]int{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		name, value := node.Content[i], node.Content[i+1]
		full := prefix + name.Value
		if first := lines[full]; first > 0 {
			l.problem(at(path, name), full, "was already given in line %d", first)
			continue
		}
		lines[full] = name.Line
		if f, ok := fields[full]; ok {
			l.option(at(path, value), target(value), f)
		} else if isPrefix(full, fields) {
			l.section(path, full, value, fields)
		} else {
			l.problem(at(path, name), full, "there is no such option%s", hint(full, fields))
		}
	}
}

// option reads a value of the option's type.
func (l *loader) option(origin string, node *yaml.Node, f leaf) {
	l.origin[f.option.Key] = origin
	if node.Kind == yaml.SequenceNode {
		l.list(origin, node, f)
		return
	}
	if node.Kind != yaml.ScalarNode || !slices.Contains(accepted(f.field), node.Tag) {
		l.problem(origin, f.option.Key, "must be %s, not %s%s", article(f.option.Type), kind(node), quoting(node, f))
		return
	}
	l.text(f.option, f.field, node.Value, origin)
}

func (l *loader) list(origin string, node *yaml.Node, f leaf) {
	p, ok := f.field.Addr().Interface().(listParser)
	if !ok {
		l.problem(origin, f.option.Key, "must be %s, not a list", article(f.option.Type))
		return
	}
	items := make([]string, 0, len(node.Content))
	for _, item := range node.Content {
		item = target(item)
		if item.Kind != yaml.ScalarNode || item.Tag != "!!str" {
			l.problem(origin, f.option.Key, "must be a list of texts, but has %s in line %d", kind(item), item.Line)
			return
		}
		items = append(items, item.Value)
	}
	if err := p.parseList(items); err != nil {
		l.problem(origin, f.option.Key, "%v", err)
	}
}

// accepted are the YAML types that an option may be written as.
func accepted(field reflect.Value) []string {
	switch field.Addr().Interface().(type) {
	case *Size:
		return []string{"!!str", "!!int"}
	case *Upstreams:
		return []string{"!!str", "!!bool"}
	}
	return []string{"!!str"}
}

// kind names what a node is, for people.
func kind(node *yaml.Node) string {
	switch node.Kind {
	case yaml.MappingNode:
		return "a group of options"
	case yaml.SequenceNode:
		return "a list"
	}
	switch node.Tag {
	case "!!null":
		return "empty"
	case "!!bool":
		return "true or false"
	case "!!int", "!!float":
		return "a number"
	case "!!timestamp":
		return "a date"
	}
	return "a text"
}

// quoting tells how to mend a text that YAML took for something else.
func quoting(node *yaml.Node, f leaf) string {
	if node.Kind != yaml.ScalarNode || node.Tag == "!!null" {
		return ""
	}
	if isDuration(f.field.Type()) {
		return ` (write the unit, such as 30s)`
	}
	return ` (put it in quotes)`
}

func article(name string) string {
	if strings.HasPrefix(name, "true") {
		return name
	}
	return "a " + name
}

// hint names the option that was probably meant.
func hint(key string, fields map[string]leaf) string {
	best, distance := "", 3
	consider := func(name string) {
		if d := editDistance(key, name); d < distance || d == distance && name < best {
			best, distance = name, d
		}
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		consider(name)
		section, last, ok := strings.Cut(name, ".")
		if ok && last == key {
			return fmt.Sprintf("; did you mean %s?", name)
		}
		if ok {
			consider(section)
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %s?", best)
}

// editDistance is how many letters must be put in, left out or changed.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		previous := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := previous
			if a[i] != b[j] {
				cost++
			}
			previous = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

func isPrefix(key string, fields map[string]leaf) bool {
	for name := range fields {
		if strings.HasPrefix(name, key+".") {
			return true
		}
	}
	return false
}

// target follows an alias to what it stands for.
func target(node *yaml.Node) *yaml.Node {
	for node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	return node
}

func at(path string, node *yaml.Node) string { return fmt.Sprintf("%s:%d", path, node.Line) }
