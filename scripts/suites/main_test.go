package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReport(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		events string
		ci     bool
		want   string
		well   bool
	}{
		"all is well": {
			events: `
{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestA","Output":"noise\n"}
{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Output":"PASS\n"}
{"Action":"output","Package":"p","Output":"ok  \tp\t0.1s\n"}
{"Action":"pass","Package":"p"}`,
			want: "ok  \tp\t0.1s\n\n1 passed, 0 failed, 0 skipped\n",
			well: true,
		},
		"a failure shows its output": {
			events: `
{"Action":"output","Package":"p","Test":"TestA","Output":"    a_test.go:3: wrong\n"}
{"Action":"fail","Package":"p","Test":"TestA"}
{"Action":"pass","Package":"p","Test":"TestB"}
{"Action":"output","Package":"p","Output":"FAIL\tp\t0.1s\n"}
{"Action":"fail","Package":"p"}`,
			want: "    a_test.go:3: wrong\nFAIL\tp\t0.1s\n\n1 passed, 1 failed, 0 skipped\n",
		},
		"a panic shows the test that it cut short": {
			events: `
{"Action":"output","Package":"p","Test":"TestA","Output":"panic: oh\n"}
{"Action":"output","Package":"p","Output":"FAIL\tp\t0.1s\n"}
{"Action":"fail","Package":"p"}`,
			want: "panic: oh\nFAIL\tp\t0.1s\n\n0 passed, 1 failed, 0 skipped\n",
		},
		"what does not build counts": {
			events: `
{"ImportPath":"p [p.test]","Action":"build-output","Output":"a.go:1: syntax error\n"}
{"ImportPath":"p [p.test]","Action":"build-fail"}
{"Action":"pass","Package":"q","Test":"TestA"}
{"Action":"output","Package":"p","Output":"FAIL\tp [build failed]\n"}
{"Action":"fail","Package":"p","FailedBuild":"p [p.test]"}`,
			want: "a.go:1: syntax error\nFAIL\tp [build failed]\n\n1 passed, 1 failed, 0 skipped\n",
		},
		"what is left out is said": {
			events: `
{"Action":"output","Package":"p","Test":"TestA","Output":"    a_test.go:3: pgtest: PostgreSQL is not installed here\n"}
{"Action":"skip","Package":"p","Test":"TestA"}
{"Action":"skip","Package":"without tests"}`,
			want: "\nLeft out:\n  pgtest: PostgreSQL is not installed here\n    p TestA\n\n0 passed, 0 failed, 1 skipped\n",
			well: true,
		},
		"in CI nothing may be left out": {
			events: `
{"Action":"output","Package":"p","Test":"TestA","Output":"    a_test.go:3: no\n"}
{"Action":"skip","Package":"p","Test":"TestA"}`,
			ci:   true,
			want: "\nLeft out:\n  no\n    p TestA\nWith CI=true nothing may be left out.\n\n0 passed, 1 failed, 0 skipped\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			r := newReport(&out)
			if err := r.read(strings.NewReader(strings.TrimSpace(row.events))); err != nil {
				t.Fatal(err)
			}
			if well := r.close(row.ci); well != row.well {
				t.Errorf("well is %v, want %v", well, row.well)
			}
			if diff := cmp.Diff(row.want, out.String()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
