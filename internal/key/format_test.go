package key

import (
	"strings"
	"testing"

	"halley/internal/tokenfmt"
)

func TestANewValueIsTheContracts(t *testing.T) {
	t.Parallel()
	for range 100 {
		v := NewValue()
		if len(v) != len("sk-")+48 || !strings.HasPrefix(v, "sk-hly") || v[45:] != tokenfmt.Checksum(v[:45]) {
			t.Fatalf("%q", v)
		}
		if Check(v) != Ours || Check(strings.TrimPrefix(v, "sk-")) != Ours {
			t.Fatalf("%q does not check", v)
		}
	}
}

func TestCheckTellsOursFromLookAlikesAndForeigners(t *testing.T) {
	t.Parallel()
	v := NewValue()
	wrong := "0"
	if v[50] == '0' {
		wrong = "1"
	}
	for name, row := range map[string]struct {
		value string
		want  Shape
	}{
		"ours":               {v, Ours},
		"one wrong":          {v[:50] + wrong, BadChecksum},
		"two swapped":        {v[:6] + "ab" + v[8:], BadChecksum},
		"cut":                {v[:50], Foreign},
		"longer":             {v + "x", Foreign},
		"one-api":            {"sk-" + strings.Repeat("a", 48), Foreign},
		"openai":             {"sk-proj-abc_def-ghi", Foreign},
		"a dash where ours":  {"sk-hly" + strings.Repeat("-", 45), Foreign},
		"empty":              {"", Foreign},
		"the prefix alone":   {"sk-", Foreign},
		"a token of another": {tokenfmt.New("hpat_", 40), Foreign},
		"not ascii":          {"sk-hly" + strings.Repeat("ä", 22) + "x", Foreign},
	} {
		if row.value == v[:6]+"ab"+v[8:] && row.value == v {
			continue // drawn as it was swapped to
		}
		if got := Check(row.value); got != row.want {
			t.Errorf("%s: Check(%q) = %d, want %d", name, row.value, got, row.want)
		}
	}
}

func TestMaskShowsTheLastFourOnly(t *testing.T) {
	t.Parallel()
	if got := Mask(Ours, "wxyz"); got != "sk-hly…wxyz" {
		t.Error(got)
	}
	if got := Mask(Foreign, "wxyz"); got != "sk-…wxyz" {
		t.Error(got)
	}
}

func FuzzCheck(f *testing.F) {
	f.Add(NewValue())
	f.Add("sk-hly" + strings.Repeat("0", 45))
	f.Add("sk-sk-hly")
	f.Fuzz(func(t *testing.T, value string) {
		shape := Check(value)
		if !strings.HasPrefix(value, "sk-") && Check("sk-"+value) != shape {
			t.Errorf("%q has another shape with sk-", value)
		}
		if shape == Ours && !tokenfmt.ChecksumOK("sk-"+strings.TrimPrefix(value, "sk-")) {
			t.Errorf("%q passes", value)
		}
		_ = last4(value)
	})
}
