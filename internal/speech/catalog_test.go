package speech

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// silent are the packages whose sentences go to programs, to the log or to the
// terminal, and not to people in a browser.
var silent = []string{"cli", "config", "exchange", "jsonx", "kept", "modelapi", "provider", "speech", "store", "translate", "upstream", "wire"}

// toPrograms are the sentences elsewhere that only the model endpoints say, whose
// answers are in English.
var toPrograms = []string{"%s may %s.", "Previous r%s"}

// TestEverySentenceIsInTheCatalogs reads all sentences that the source can say to
// people, and holds the catalogs to them: none is missing, none is of the past, and
// a translation has the same verbs for the same arguments.
func TestEverySentenceIsInTheCatalogs(t *testing.T) {
	t.Parallel()
	said := sentences(t, "..")
	if len(said) < 250 {
		t.Fatalf("only %d sentences were found", len(said))
	}
	for _, language := range New().all[1:] {
		for _, format := range slices.Sorted(maps.Keys(said)) {
			translated, ok := language.catalog[format]
			switch {
			case !ok && !onlyVerbs(format) && !slices.Contains(toPrograms, format):
				t.Errorf("%s lacks %q (%s)", language.Tag(), format, said[format])
			case ok && !sameVerbs(format, translated):
				t.Errorf("%s: %q and %q do not take the same arguments", language.Tag(), format, translated)
			}
		}
		for format := range language.catalog {
			if said[format] == "" {
				t.Errorf("%s has %q, which nobody says", language.Tag(), format)
			}
		}
	}
}

var verb = regexp.MustCompile(`%(?:\[(\d+)\])?[+#-]?\d*(?:\.\d+)?([a-z%])`)

// onlyVerbs reports whether there is nothing in a format to translate.
func onlyVerbs(format string) bool {
	return !regexp.MustCompile(`\pL`).MatchString(verb.ReplaceAllString(format, ""))
}

func sameVerbs(a, b string) bool { return maps.Equal(verbsOf(a), verbsOf(b)) }

// verbsOf gives the verb that each argument is written with.
func verbsOf(format string) map[int]string {
	verbs := map[int]string{}
	next := 1
	for _, m := range verb.FindAllStringSubmatch(format, -1) {
		if m[2] == "%" {
			continue
		}
		if n, err := strconv.Atoi(m[1]); err == nil {
			next = n
		}
		verbs[next] = m[2]
		next++
	}
	return verbs
}

// sentences are the formats in the source that become faults or Texts, with where
// they stand: arguments of fault.New and the like, and of functions that pass them
// on to those.
func sentences(t *testing.T, root string) map[string]string {
	t.Helper()
	found := map[string]string{}
	files := token.NewFileSet()
	// By package and function, which arguments are sentences.
	takes := map[string][]int{"fault.New": {2}, "fault.Wrap": {3}, "speech.Say": {0}, "speech.Phrase": {0}}
	type parsed struct {
		pkg  string
		file *ast.File
	}
	var all []parsed
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(files, name, nil, 0)
		if err != nil {
			return err
		}
		pkg := filepath.ToSlash(filepath.Dir(strings.TrimPrefix(name, root+string(filepath.Separator))))
		all = append(all, parsed{pkg, file})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	// called is the name that a call's function has in takes.
	called := func(p parsed, call *ast.CallExpr) string {
		switch f := call.Fun.(type) {
		case *ast.Ident:
			return p.pkg + "." + f.Name
		case *ast.SelectorExpr:
			if x, ok := f.X.(*ast.Ident); ok && x.Obj == nil && ast.IsExported(f.Sel.Name) {
				return x.Name + "." + f.Sel.Name
			}
			return p.pkg + "." + f.Sel.Name
		}
		return ""
	}
	for range 4 { // until functions of functions of functions are known
		for _, p := range all {
			passers(p.file, func(name string, params []string, body ast.Node) {
				ast.Inspect(body, func(n ast.Node) bool {
					call, ok := n.(*ast.CallExpr)
					if !ok {
						return true
					}
					for _, at := range takes[called(p, call)] {
						if at >= len(call.Args) {
							continue
						}
						arg, ok := call.Args[at].(*ast.Ident)
						if i := slices.Index(params, nameOf(arg, ok)); i >= 0 && !slices.Contains(takes[p.pkg+"."+name], i) {
							takes[p.pkg+"."+name] = append(takes[p.pkg+"."+name], i)
						}
					}
					return true
				})
			})
		}
	}
	for _, p := range all {
		if slices.Contains(silent, strings.Split(p.pkg, "/")[0]) {
			continue
		}
		texts := constants(p.file)
		ast.Inspect(p.file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			where := files.Position(call.Pos())
			for _, at := range takes[called(p, call)] {
				if at >= len(call.Args) {
					continue
				}
				for _, text := range literals(call.Args[at], texts) {
					found[text] = path.Join(p.pkg, filepath.Base(where.Filename)) + ":" + strconv.Itoa(where.Line)
				}
			}
			return true
		})
	}
	return found
}

func nameOf(arg *ast.Ident, is bool) string {
	if !is {
		return ""
	}
	return arg.Name
}

// passers calls f with every function of a file that has a name.
func passers(file *ast.File, f func(name string, params []string, body ast.Node)) {
	names := func(list *ast.FieldList) []string {
		var all []string
		for _, field := range list.List {
			for _, name := range field.Names {
				all = append(all, name.Name)
			}
		}
		return all
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch d := n.(type) {
		case *ast.FuncDecl:
			if d.Body != nil {
				f(d.Name.Name, names(d.Type.Params), d.Body)
			}
		case *ast.AssignStmt:
			for i, value := range d.Rhs {
				name, isName := d.Lhs[min(i, len(d.Lhs)-1)].(*ast.Ident)
				if literal, ok := value.(*ast.FuncLit); ok && isName {
					f(name.Name, names(literal.Type.Params), literal.Body)
				}
			}
		}
		return true
	})
}

// constants are a file's names for strings.
func constants(file *ast.File) map[string]string {
	texts := map[string]string{}
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok {
			for i, name := range spec.Names {
				if i < len(spec.Values) {
					for _, text := range literals(spec.Values[i], nil) {
						texts[name.Name] = text
					}
				}
			}
		}
		return true
	})
	return texts
}

// literals are the strings that an argument can be, as far as the source says.
func literals(e ast.Expr, texts map[string]string) []string {
	switch v := e.(type) {
	case *ast.BasicLit:
		if text, err := strconv.Unquote(v.Value); err == nil && v.Kind == token.STRING {
			return []string{text}
		}
	case *ast.Ident:
		if text, ok := texts[v.Name]; ok {
			return []string{text}
		}
	case *ast.BinaryExpr:
		left, right := literals(v.X, texts), literals(v.Y, texts)
		if v.Op == token.ADD && len(left) == 1 && len(right) == 1 {
			return []string{left[0] + right[0]}
		}
	case *ast.ParenExpr:
		return literals(v.X, texts)
	}
	return nil
}
