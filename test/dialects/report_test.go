// Package dialects_test holds every recorded interaction against the codecs, and
// keeps the report of it in docs/dialects.md.
package dialects_test

import (
	"cmp"
	"crypto/sha256"
	"flag"
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"halley/test/fakeprovider"
)

var update = flag.Bool("update", false, "write docs/dialects.md")

const (
	page = "../../docs/dialects.md"
	// mark begins what is written.
	mark = "<!-- What follows is written by: go test ./test/dialects -update -->\n"
)

// row is a line of the report.
type row struct{ provider, api, feature string }

// score is how many interactions there are, and how many pass each check.
type score struct {
	all           int
	tried, passed map[check]int
	refused       int
}

func (s *score) add(of map[check]bool, refused bool) {
	s.all++
	if s.tried == nil {
		s.tried, s.passed = map[check]int{}, map[check]int{}
	}
	for c, passed := range of {
		s.tried[c]++
		if passed {
			s.passed[c]++
		}
	}
	if refused {
		s.refused++
	}
}

func (s *score) cell(c check) string {
	if s.tried[c] == 0 {
		return ""
	}
	return fmt.Sprintf("%d/%d", s.passed[c], s.tried[c])
}

// rate is the share that passes.
func (s *score) rate() string {
	tried, passed := 0, 0
	for c := range s.tried {
		tried += s.tried[c]
		passed += s.passed[c]
	}
	if tried == 0 {
		return ""
	}
	return fmt.Sprintf("%.1f %%", math.Floor(float64(passed)*1000/float64(tried))/10)
}

// report is what a run has found.
type report struct {
	rows    map[row]*score
	totals  map[row]*score // without a feature
	refused map[[3]string]int
	excused map[string]string
	seen    int
}

func (r *report) enter(rows map[row]*score, at row, of map[check]bool, refused bool) {
	if rows[at] == nil {
		rows[at] = &score{}
	}
	rows[at].add(of, refused)
}

// take enters what came of one interaction.
func (r *report) take(t *testing.T, j *judge) {
	t.Helper()
	r.seen++
	passed, refused := map[check]bool{}, false
	for _, one := range j.results {
		if _, met := passed[one.check]; !met && one.refused == "" {
			passed[one.check] = true
		}
		switch {
		case one.refused != "":
			refused = true
			k, known := kindOf(one)
			if !known {
				t.Errorf("%s: refused to %s for %s, which is of no kind that may be: %s", j.in.File, one.way, one.refused, one.why)
			}
			r.refused[[3]string{k.name, string(j.own.name), one.way}]++
		case one.failure != "":
			passed[one.check] = false
			if reason, ok := excused(j.in.File, one); ok {
				r.excused[j.in.File] = reason
				continue
			}
			t.Errorf("%s: %s %s: %.2000s", j.in.File, one.check, one.way, one.failure)
		}
	}
	r.enter(r.totals, row{j.in.Provider, j.in.API, ""}, passed, refused)
	for feature := range j.features() {
		r.enter(r.rows, row{j.in.Provider, j.in.API, feature}, passed, refused)
	}
}

func TestEveryRecording(t *testing.T) {
	lib := fakeprovider.Fixtures(t)
	r := &report{rows: map[row]*score{}, totals: map[row]*score{}, refused: map[[3]string]int{}, excused: map[string]string{}}
	all := text()
	for _, own := range all {
		others := slices.DeleteFunc(slices.Clone(all), func(d *dialect) bool { return d == own })
		recorded, err := lib.Load(fakeprovider.OfAPI(own.apis...))
		if err != nil {
			t.Fatal(err)
		}
		for _, in := range recorded {
			if in.Authenticity != "recorded" || !own.speaks(in) {
				continue
			}
			j := &judge{in: in, own: own}
			j.all(others)
			r.take(t, j)
		}
	}
	if err := r.others(lib, func(j *judge) { r.take(t, j) }); err != nil {
		t.Fatal(err)
	}
	if r.seen == 0 {
		t.Fatal("no recordings")
	}
	text := r.text(digest(lib))
	t.Log("\n" + text)
	kept, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	head, written, _ := strings.Cut(string(kept), mark)
	switch {
	case *update:
		if err := os.WriteFile(page, []byte(head+mark+text), 0o644); err != nil {
			t.Fatal(err)
		}
	case !strings.Contains(written, digest(lib)):
		t.Log("other recordings than those of the page: it is not held against them")
	case written != text:
		t.Error("docs/dialects.md is not what was found: go test ./test/dialects -update")
	}
}

// digest says which recordings were read.
func digest(lib *fakeprovider.Library) string {
	h := sha256.New()
	for _, m := range lib.Meta {
		fmt.Fprintln(h, m.File)
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:8])
}

func (r *report) text(digest string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n## Pass rates\n\n%d interactions; their list has the digest `%s`.\n\n", r.seen, digest)
	b.WriteString("| provider | API | interactions | same dialect | through others | streams | passed | refused by some dialect |\n| --- | --- | --- | --- | --- | --- | --- | --- |\n")
	sum := &score{tried: map[check]int{}, passed: map[check]int{}}
	for _, at := range sorted(r.totals) {
		s := r.totals[at]
		fmt.Fprintf(&b, "| %s | %s | %d | %s | %s | %s | %s | %d |\n", at.provider, at.api, s.all, s.cell(same), s.cell(through), s.cell(stream), s.rate(), s.refused)
		sum.all += s.all
		sum.refused += s.refused
		for c := range s.tried {
			sum.tried[c] += s.tried[c]
			sum.passed[c] += s.passed[c]
		}
	}
	fmt.Fprintf(&b, "| **all** | | %d | %s | %s | %s | %s | %d |\n", sum.all, sum.cell(same), sum.cell(through), sum.cell(stream), sum.rate(), sum.refused)
	b.WriteString("\n## Exceptions\n\n")
	for _, file := range slices.Sorted(maps.Keys(r.excused)) {
		fmt.Fprintf(&b, "* `%s`: %s\n", file, r.excused[file])
	}
	b.WriteString("\n## Refused\n\nWhat a recorded request has that another dialect has no words for, and that the answer depends on. The figures are requests.\n\n| what | from | to | requests |\n| --- | --- | --- | --- |\n")
	for _, at := range slices.SortedFunc(maps.Keys(r.refused), func(a, b [3]string) int { return slices.Compare(a[:], b[:]) }) {
		fmt.Fprintf(&b, "| %s | %s | %s | %d |\n", at[0], at[1], at[2], r.refused[at])
	}
	b.WriteString("\n| what | why |\n| --- | --- |\n")
	for _, k := range refusable() {
		fmt.Fprintf(&b, "| %s | %s |\n", k.name, k.reason)
	}
	b.WriteString("\n## Pass rates by feature\n\n| provider | API | feature | interactions | same dialect | through others | streams | passed |\n| --- | --- | --- | --- | --- | --- | --- | --- |\n")
	for _, at := range sorted(r.rows) {
		s := r.rows[at]
		fmt.Fprintf(&b, "| %s | %s | %s | %d | %s | %s | %s | %s |\n", at.provider, at.api, at.feature, s.all, s.cell(same), s.cell(through), s.cell(stream), s.rate())
	}
	return b.String()
}

// sorted are the rows in the order of the report.
func sorted(rows map[row]*score) []row {
	order := features()
	return slices.SortedFunc(maps.Keys(rows), func(a, b row) int {
		return cmp.Or(cmp.Compare(a.provider, b.provider), cmp.Compare(a.api, b.api), cmp.Compare(slices.Index(order, a.feature), slices.Index(order, b.feature)))
	})
}
