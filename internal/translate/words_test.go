package translate_test

import (
	"strings"
	"testing"

	"halley/internal/translate"
)

func TestTheWordsOfAnErrorAreFound(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`[{"error":{"code":400,"message":"words"}}]`:        "words",
		`{"error":"words"}`:                                 "words",
		`{"detail":[{"loc":["body"],"msg":"words"}]}`:       "words",
		`{"errors":[{"message":"words"}]}`:                  "words",
		`{"error":{"message":{"detail":"words"}}}`:          "words",
		`{"error":{"error":{"message":"words"}}}`:           "words",
		`{"error":null,"message":"words"}`:                  "words",
		`{"Message":"words"}`:                               "words",
		" words\n":                                          "words",
		`{"code":5}`:                                        `{"code":5}`,
		`{"error":{"error":{"error":{"error":"too far"}}}}`: `{"error":{"error":{"error":{"error":"too far"}}}}`,
		`[]`: `[]`,
		"":   "",
	} {
		if got := translate.Words([]byte(body)); got != want {
			t.Errorf("%s: %q, want %q", body, got, want)
		}
	}
	if got := translate.Words([]byte(`{"message":"` + strings.Repeat("x", 5000) + `"}`)); len(got) > 1010 {
		t.Errorf("%d bytes", len(got))
	}
}
