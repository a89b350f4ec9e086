package hardening_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"halley/test/harness"
)

// Whatever is wrong with a request, the answer says so in the right shape,
// nothing is changed, nothing reaches the upstream, and the server goes on.
func TestHostileRequestsAreRefusedAndChangeNothing(t *testing.T) {
	t.Parallel()
	onEngines(t, func(t *testing.T, o harness.Options) {
		w := startWorld(t, o)
		before := w.state(t)
		t.Run("requests", func(t *testing.T) {
			for name, f := range map[string]func(*testing.T, *world){
				"bodies that are not what they should be":      badBodies,
				"bodies of the wrong size":                     badSizes,
				"bodies that do not end":                       badEndings,
				"requests that are not HTTP":                   badFraming,
				"headers given twice":                          doubledHeaders,
				"paths that nobody serves":                     badPaths,
				"methods that a path does not know":            badMethods,
				"text that a database cannot hold":             badText,
				"numbers beyond all bounds":                    badNumbers,
				"other people's records":                       foreignRecords,
				"credentials of the wrong kind":                wrongKinds,
				"addresses that are not the client's":          borrowedAddresses,
				"requests on one connection without a pause":   pipelined,
				"ids that requests bring along":                requestIDs,
				"web pages from elsewhere":                     foreignPages,
				"clients that leave in the middle of a stream": leavingReaders,
			} {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					f(t, w)
				})
			}
		})
		if diff := cmp.Diff(before, w.state(t)); diff != "" {
			t.Errorf("hostile requests have changed records (-before +after):\n%s", diff)
		}
		for _, got := range w.upstream.Received() {
			if list := got.Method == http.MethodGet && strings.HasSuffix(got.Path, "/models"); !list && !strings.Contains(string(got.Body), fair) {
				t.Errorf("the upstream has received %.200q", got.Body)
			}
		}
		// And an honest request still works.
		got := w.ask(t, "POST", "/v1/chat/completions", bearer(w.key), `{"model":"script-chat","messages":[],"user":"`+fair+`"}`)
		if got.status != http.StatusOK {
			t.Errorf("an honest request afterwards: %d %s", got.status, got.body)
		}
	})
}

// fair is in the bodies that may reach the upstream.
const fair = "fair-request"
