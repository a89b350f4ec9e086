package adminapi_test

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// sourceRoute is a line of the route table as the source has it.
type sourceRoute struct {
	method, path, access, handler string
	readScope                     bool
}

// source is what the package's files say: the routes, and which function calls
// which by name.
type source struct {
	routes []sourceRoute
	calls  map[string][]string
}

func readSource(t *testing.T) source {
	t.Helper()
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	s := source{calls: map[string][]string{}}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			ast.Inspect(f, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.CallExpr:
					if callee, ok := n.Fun.(*ast.SelectorExpr); ok {
						s.calls[f.Name.Name] = append(s.calls[f.Name.Name], callee.Sel.Name)
					}
				case *ast.CompositeLit:
					if rt, ok := readRoute(n); ok {
						s.routes = append(s.routes, rt)
					}
				}
				return true
			})
		}
	}
	return s
}

// readRoute reads a literal of the route type: the only one that has a handle.
func readRoute(lit *ast.CompositeLit) (rt sourceRoute, ok bool) {
	for _, element := range lit.Elts {
		member, isMember := element.(*ast.KeyValueExpr)
		if !isMember {
			return rt, false
		}
		name, isName := member.Key.(*ast.Ident)
		if !isName {
			return rt, false
		}
		switch v := member.Value.(type) {
		case *ast.SelectorExpr:
			switch name.Name {
			case "method":
				rt.method = strings.ToUpper(strings.TrimPrefix(v.Sel.Name, "Method"))
			case "handle":
				rt.handler, ok = v.Sel.Name, true
			}
		case *ast.BasicLit:
			if name.Name == "path" {
				rt.path = strings.Trim(v.Value, `"`)
			}
		case *ast.Ident:
			switch name.Name {
			case "access":
				rt.access = v.Name
			case "path":
				rt.path = "/user/quota" // the one that has a constant
			case "readScope":
				rt.readScope = v.Name == "true"
			}
		}
	}
	return rt, ok
}

// leads reports whether a function calls another, by way of whatever.
func (s source) leads(from, to string, seen map[string]bool) bool {
	if seen[from] {
		return false
	}
	seen[from] = true
	return slices.ContainsFunc(s.calls[from], func(next string) bool { return next == to || s.leads(next, to, seen) })
}

// Every change is in the trail: a route that is not a GET and does not write a
// record has to say here why.
func TestEveryCallThatChangesSomethingIsInTheTrail(t *testing.T) {
	t.Parallel()
	changesNothing := map[string]string{
		"POST /api/price-rerate":             "only works something out",
		"POST /api/route/explain":            "only works something out",
		"POST /api/token/{id}/verify":        "only works something out",
		"POST /api/user/login/passkey/begin": "keeps nothing; what it leads to is noted",
		"POST /api/user/passkey/begin":       "keeps nothing; what it leads to is noted",
		"POST /api/user/oidc/{name}/link":    "keeps nothing; what it leads to is noted",
		"POST /api/user/totp":                "keeps a secret that counts for nothing until it is confirmed, which is noted",
		"GET /api/user/oidc/{name}/callback": "", // a GET, but it signs in and links
	}
	s := readSource(t)
	described := map[string]bool{}
	var document struct{ Paths map[string]map[string]any }
	text, err := os.ReadFile(golden)
	if err == nil {
		err = json.Unmarshal(text, &document)
	}
	if err != nil {
		t.Fatal(err)
	}
	for path, operations := range document.Paths {
		for method := range operations {
			described[strings.ToUpper(method)+" "+path] = true
		}
	}
	found := map[string]bool{}
	for _, rt := range s.routes {
		name := rt.method + " " + strings.ReplaceAll(rt.path, "...}", "}")
		found[name] = true
		why, listed := changesNothing[name]
		writes := s.leads(rt.handler, "trailChange", map[string]bool{})
		switch {
		case rt.method == http.MethodGet && !listed:
		case listed && why != "" && writes:
			t.Errorf("%s writes a record and is listed as one that need not: take it off the list", name)
		case (!listed || why == "") && !writes:
			t.Errorf("%s (%s) writes no record of the trail", name, rt.handler)
		}
	}
	for name := range described {
		if !found[name] {
			t.Errorf("%s is served, but was not found in the source", name)
		}
	}
	for name := range changesNothing {
		if !found[name] {
			t.Errorf("%s is listed, but there is no such call", name)
		}
	}
}

// pathOf puts ids that nobody has into a route's path.
func pathOf(rt sourceRoute) string {
	path := rt.path
	for _, part := range []string{"{id}", "{session}", "{token}", "{value_id}"} {
		path = strings.ReplaceAll(path, part, "999999")
	}
	for _, part := range []string{"{name}", "{model...}", "{model}"} {
		path = strings.ReplaceAll(path, part, "nobody-knows")
	}
	return path
}

// What a call takes is one line in the table. This goes through all of them, so
// that none is served to somebody whom its line keeps out.
func TestEveryCallIsKeptFromWhomItIsNotFor(t *testing.T) {
	t.Parallel()
	p := newPeople(t)
	_, user := p.user(t, "ada", "user")
	_, admin := p.user(t, "grace", "admin")
	read := p.signedInToken(t, "root", "read")
	session := p.signIn(t, "root", peoplePassword)
	mayRead := map[string]bool{}
	counts := map[string]int{}
	for _, rt := range readSource(t).routes {
		name, path := rt.method+" "+rt.path, pathOf(rt)
		if strings.Contains(path, "{") {
			t.Fatalf("%s: what is to be put into %s?", name, path)
		}
		if rt.access == "public" || rt.access == "ownCredential" {
			continue
		}
		p.refused(t, caller{}, rt.method, path, `{}`, 401, "missing_credential")
		counts[rt.access]++
		switch rt.access {
		case "adminOnly":
			p.refused(t, caller{token: user}, rt.method, path, `{}`, 403, "admin_required")
		case "rootOnly":
			p.refused(t, caller{token: user}, rt.method, path, `{}`, 403, "root_required")
			p.refused(t, caller{token: admin}, rt.method, path, `{}`, 403, "root_required")
		case "anyUser":
		default:
			t.Errorf("%s is for %q, of whom this test does not know", name, rt.access)
		}
		if rt.method == http.MethodGet {
			continue
		}
		if rt.readScope {
			mayRead[name] = true
		} else {
			p.refused(t, caller{token: read}, rt.method, path, `{}`, 403, "read_only_token")
		}
		for _, header := range []http.Header{{"Sec-Fetch-Site": {"cross-site"}}, {"Sec-Fetch-Site": {"same-site"}}, {"Origin": {"https://evil.example"}}, {"Origin": {"null"}}} {
			p.refused(t, caller{cookie: session.cookie, header: header}, rt.method, path, `{}`, 403, "cross_origin")
		}
	}
	if counts["adminOnly"] < 20 || counts["rootOnly"] < 4 || counts["anyUser"] < 20 {
		t.Errorf("of each kind there were %v: this has not gone through the table", counts)
	}
	want := []string{"POST /api/price-rerate", "POST /api/route/explain", "POST /api/token/{id}/verify", "POST /api/user/logout"}
	if got := slices.Sorted(maps.Keys(mayRead)); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("a read-only token may call %v, want %v: what is new there must change nothing", got, want)
	}
}
