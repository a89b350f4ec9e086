// Package docs holds nothing but the promise that the documentation speaks of
// things that exist.
package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	link = regexp.MustCompile(`\]\(([^)#:]+)(?:#[^)]*)?\)`)
	path = regexp.MustCompile("`((?:internal|cmd|test|bench|docs|scripts)(?:/[\\w.-]+)*)`")
)

func TestEveryFileThatIsNamedExists(t *testing.T) {
	t.Parallel()
	var pages []string
	for _, pattern := range []string{"../*.md", "*.md", "*/*.md", "../bench/*.md", "../test/*/*.md"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, found...)
	}
	named := 0
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			named++
			exists(t, page, filepath.Join(filepath.Dir(page), m[1]))
		}
		for _, m := range path.FindAllStringSubmatch(string(text), -1) {
			named++
			exists(t, page, filepath.Join("..", m[1]))
		}
	}
	if named < 50 {
		t.Errorf("only %d names were found on %d pages", named, len(pages))
	}
}

func exists(t *testing.T, page, name string) {
	t.Helper()
	if _, err := os.Stat(name); err != nil {
		t.Errorf("%s names %s, which is not there", strings.TrimPrefix(page, "../"), strings.TrimPrefix(name, "../"))
	}
}
