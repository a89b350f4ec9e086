package cohere_test

import (
	"testing"

	"halley/internal/usage"
	"halley/internal/wire/cohere"
)

func TestUsageIsWhatCohereBills(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		value string
		want  usage.Tokens
		ok    bool
	}{
		"an answer, recorded":    {`{"billed_units":{"input_tokens":12,"output_tokens":7},"tokens":{"input_tokens":507,"output_tokens":10},"cached_tokens":448}`, usage.Tokens{Prompt: 12, Completion: 7}, true},
		"nothing billed is said": {`{"tokens":{"input_tokens":507,"output_tokens":10}}`, usage.Tokens{Prompt: 507, Completion: 10}, true},
		"embeddings, recorded":   {`{"api_version":{"version":"2"},"billed_units":{"image_tokens":3,"input_tokens":2}}`, usage.Tokens{Prompt: 5, ImageIn: 3}, true},
		"searches, recorded":     {`{"billed_units":{"search_units":1}}`, usage.Tokens{}, true},
		"floats":                 {`{"billed_units":{"input_tokens":12.0,"output_tokens":7.0}}`, usage.Tokens{Prompt: 12, Completion: 7}, true},
		"nothing":                {`{"api_version":{"version":"2"}}`, usage.Tokens{}, false},
		"null":                   {`null`, usage.Tokens{}, false},
	} {
		if got, ok := cohere.Usage([]byte(row.value)); got != row.want || ok != row.ok {
			t.Errorf("%s: %+v, %v", name, got, ok)
		}
	}
}
