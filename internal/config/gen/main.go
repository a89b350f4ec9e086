// Command gen writes docs/configuration.md from the doc comments and tags of
// config.Config, so that an option is described in one place only.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strings"

	"halley/internal/config"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

// run writes the page to the file named, or to standard output. It is run in
// internal/config, as go generate does, or at the top of the repository.
func run(args []string) error {
	source := "config.go"
	if _, err := os.Stat(source); err != nil {
		source = "internal/config/config.go"
	}
	page, err := Page(source)
	if err != nil {
		return err
	}
	if len(args) == 0 {
		_, err = os.Stdout.Write(page)
		return err
	}
	return os.WriteFile(args[0], page, 0o644)
}

const head = `# Configuration

<!-- Written by go generate from internal/config/config.go: edit the comments there. -->

What ` + "`halley serve`" + ` must know before its database is open. Everything else (channels, groups, prices, users, options) is
changed at run time, in the console or over the management API.

Each option can be given in a YAML file (` + "`--config halley.yaml`" + `), as an environment variable and, on the command line, as a
flag. A flag wins over the environment, which wins over the file. An empty variable counts as unset. Unknown options and wrong
types are errors; all of them are reported at once, each with its place.

A duration has a unit: ` + "`500ms`, `30s`, `5m`" + `. A size is a number of bytes, or has a unit: ` + "`64MiB`" + `. In the environment and in flags
a list is separated by commas.

`

// Page is the whole page in Markdown.
func Page(source string) ([]byte, error) {
	docs, err := comments(source)
	if err != nil {
		return nil, err
	}
	var page bytes.Buffer
	page.WriteString(head)
	page.WriteString("| option | environment | default |\n| --- | --- | --- |\n")
	options := config.Options()
	for _, o := range options {
		fmt.Fprintf(&page, "| [`%s`](#%s) | `%s` | %s |\n", o.Key, anchor(o.Key), o.Env, code(o.Default))
	}
	for _, o := range options {
		doc := docs[strings.Join(o.Path, ".")]
		if doc == "" {
			return nil, errors.New(strings.Join(o.Path, ".") + " has no doc comment")
		}
		fmt.Fprintf(&page, "\n## %s\n\n%s\n\n", o.Key, sentence(doc, o))
		fmt.Fprintf(&page, "* type: %s", o.Type)
		if len(o.Values) > 0 {
			fmt.Fprintf(&page, " (%s)", code(o.Values...))
		}
		fmt.Fprintf(&page, "\n* environment: `%s`, flag: `--%s`\n", o.Env, o.Flag)
		if o.Default != "" {
			fmt.Fprintf(&page, "* default: `%s`\n", o.Default)
		}
		if o.Example != "" {
			fmt.Fprintf(&page, "* example: `%s`\n", o.Example)
		}
	}
	return page.Bytes(), nil
}

// sentence is the comment without the Go name that it begins with: "Listen is
// the address…" becomes "The address…", anything else keeps its words after
// the option's name.
func sentence(doc string, o config.Option) string {
	doc = strings.TrimPrefix(doc, o.Path[len(o.Path)-1]+" ")
	for _, verb := range []string{"is ", "are "} {
		if rest, ok := strings.CutPrefix(doc, verb); ok {
			doc = rest
			break
		}
	}
	return strings.ToUpper(doc[:1]) + doc[1:]
}

func code(values ...string) string {
	var texts []string
	for _, v := range values {
		if v != "" {
			texts = append(texts, "`"+v+"`")
		}
	}
	return strings.Join(texts, ", ")
}

// anchor is the name that Markdown renderers give to a heading.
func anchor(key string) string { return strings.ReplaceAll(key, ".", "") }

// comments reads the doc comments of Config's fields, by their path of names.
func comments(source string) (map[string]string, error) {
	file, err := parser.ParseFile(token.NewFileSet(), source, nil, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	structs := map[string]*ast.StructType{}
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.TypeSpec); ok {
			if s, ok := spec.Type.(*ast.StructType); ok {
				structs[spec.Name.Name] = s
			}
		}
		return true
	})
	docs := map[string]string{}
	var collect func(prefix string, s *ast.StructType)
	collect = func(prefix string, s *ast.StructType) {
		for _, field := range s.Fields.List {
			for _, name := range field.Names {
				if ident, ok := field.Type.(*ast.Ident); ok && structs[ident.Name] != nil {
					collect(prefix+name.Name+".", structs[ident.Name])
				}
				docs[prefix+name.Name] = strings.Join(strings.Fields(field.Doc.Text()), " ")
			}
		}
	}
	if structs["Config"] == nil {
		return nil, errors.New("there is no Config in " + source)
	}
	collect("", structs["Config"])
	return docs, nil
}
