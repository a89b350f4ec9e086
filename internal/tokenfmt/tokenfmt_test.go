package tokenfmt_test

import (
	"strings"
	"testing"

	"halley/internal/tokenfmt"
)

func TestNewTokensAreShapedDistinctAndCheck(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 2000 {
		token := tokenfmt.New("hpat_", 40)
		if seen[token] {
			t.Fatal("a token came twice")
		}
		seen[token] = true
		if len(token) != 51 || !tokenfmt.Shaped(token, "hpat_", 40) || !tokenfmt.ChecksumOK(token) {
			t.Fatalf("%q is not as it should be", token)
		}
	}
}

func TestEveryCharacterIsAsLikelyAsTheOthers(t *testing.T) {
	t.Parallel()
	const n = 62 * 4000
	counts := map[rune]int{}
	for _, c := range tokenfmt.New("", n)[:n] {
		counts[c]++
	}
	if len(counts) != 62 {
		t.Errorf("%d different characters, want 62", len(counts))
	}
	for c, k := range counts {
		// 4000 ± 63 expected; taking bytes modulo 62 would give the first
		// eight characters 4844.
		if k < 3600 || k > 4400 {
			t.Errorf("%q came %d times, want about 4000", c, k)
		}
	}
}

func TestChecksumIsTheContracts(t *testing.T) {
	t.Parallel()
	// CRC-32 of "123456789" is 0xCBF43926 = 3421780262, the catalogue's check
	// value; in base62 (0-9A-Za-z) that is 3jZRME.
	for in, want := range map[string]string{"123456789": "3jZRME", "": "000000"} {
		if got := tokenfmt.Checksum(in); got != want {
			t.Errorf("Checksum(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestAnyOneWrongCharacterIsFound(t *testing.T) {
	t.Parallel()
	token := tokenfmt.New("sk-hly", 39)
	for i := range len(token) {
		other := "A"
		if token[i] == 'A' {
			other = "B"
		}
		if wrong := token[:i] + other + token[i+1:]; tokenfmt.ChecksumOK(wrong) {
			t.Errorf("%q passes with character %d changed", wrong, i)
		}
	}
}

func FuzzChecksumOK(f *testing.F) {
	f.Add(tokenfmt.New("sk-hly", 39))
	f.Add("")
	f.Add("000000")
	f.Add("sk-hly" + strings.Repeat("0", 45))
	f.Fuzz(func(t *testing.T, value string) {
		tokenfmt.Shaped(value, "sk-hly", 39)
		if tokenfmt.ChecksumOK(value) && !strings.HasSuffix(value, tokenfmt.Checksum(value[:len(value)-tokenfmt.ChecksumLen])) {
			t.Errorf("%q passes", value)
		}
		if !tokenfmt.ChecksumOK(value+tokenfmt.Checksum(value)) && value != "" {
			t.Errorf("%q with its checksum does not pass", value)
		}
	})
}
