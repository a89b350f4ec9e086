package telemetry

import (
	"bytes"
	"log"
	"strings"
	"testing"
)

//nolint:forbidigo // it is the standard logger that is bridged here
func TestWhatLibrariesQuoteIsLeftOut(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	standard := log.New(Standard(NewLogger(&out, "json", "debug")), "", 0)
	standard.Printf("Unsolicited response received on idle HTTP channel starting with %q; err=%v", "the credential", nil)
	standard.Print("nothing is quoted here\n")
	if got := out.String(); strings.Contains(got, "credential") || !strings.Contains(got, "starting with …") || !strings.Contains(got, `"nothing is quoted here"`) {
		t.Errorf("got %s", got)
	}
	out.Reset()
	log.New(Standard(NewLogger(&out, "json", "info")), "", 0).Print("of no interest")
	if out.Len() > 0 {
		t.Errorf("at the level info: %s", out.String())
	}
}
