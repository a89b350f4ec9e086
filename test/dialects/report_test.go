package dialects_test

import (
	"testing"

	"halley/test/fakeprovider"
)

func TestX(t *testing.T) {
	dd := text()
	n := map[string]int{}
	for _, d := range dd {
		var others []*dialect
		for _, o := range dd {
			if o != d {
				others = append(others, o)
			}
		}
		all, err := fakeprovider.Fixtures(t).Load(fakeprovider.OfAPI(d.apis...))
		if err != nil {
			t.Fatal(err)
		}
		for _, in := range all {
			j := &judge{in: in, own: d}
			j.all(others)
			for _, r := range j.results {
				k := string(d.name) + " " + string(r.check) + " " + r.way
				switch {
				case r.failure != "":
					n[k+" fail"]++
					t.Logf("FAIL %s: %s: %.1200s", k, in.File, r.failure)
				case r.refused != "":
					n[k+" refused"]++
					t.Logf("REFUSED %s: %s: %s", k, r.refused, r.why)
				default:
					n[k+" ok"]++
				}
			}
		}
	}
	for k, v := range n {
		t.Logf("COUNT %s %d", k, v)
	}
}
