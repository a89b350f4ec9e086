package translate

import (
	"github.com/go-json-experiment/json/jsontext"

	"errors"
	"slices"
	"testing"
)

// Every feature of a request as a whole can be lacking, and is missed by those
// requests alone that ask for it.
func TestWhatADialectLacksIsRefusedOrDropped(t *testing.T) {
	t.Parallel()
	for f, row := range map[Feature]struct{ asks, mentions *Conversation }{
		FeatureCandidates:       {&Conversation{Candidates: new(int64(2))}, &Conversation{Candidates: new(int64(1))}},
		FeatureLogprobs:         {&Conversation{Logprobs: new(true)}, &Conversation{Logprobs: new(false)}},
		FeatureTopLogprobs:      {&Conversation{TopLogprobs: new(int64(1))}, &Conversation{TopLogprobs: new(int64(0))}},
		FeatureLogitBias:        {&Conversation{LogitBias: jsontext.Value(`{"1":2}`)}, &Conversation{LogitBias: jsontext.Value(`{}`)}},
		FeatureModalities:       {&Conversation{Modalities: []string{"text", "audio"}}, &Conversation{Modalities: []string{"text", "image"}}},
		FeatureAudio:            {&Conversation{Audio: jsontext.Value(`{}`)}, &Conversation{}},
		FeatureStop:             {&Conversation{Stop: []string{"."}}, &Conversation{Stop: []string{}}},
		FeatureFrequencyPenalty: {&Conversation{FrequencyPenalty: new(0.1)}, &Conversation{FrequencyPenalty: new(0.0)}},
		FeaturePresencePenalty:  {&Conversation{PresencePenalty: new(0.1)}, &Conversation{PresencePenalty: new(0.0)}},
		FeatureSeed:             {&Conversation{Seed: new(int64(0))}, &Conversation{}},
		FeatureTopK:             {&Conversation{TopK: new(int64(1))}, &Conversation{}},
		FeatureVerbosity:        {&Conversation{Verbosity: "low"}, &Conversation{}},
		FeatureEndUser:          {&Conversation{EndUser: "eve"}, &Conversation{}},
		FeatureMetadata:         {&Conversation{Metadata: map[string]string{"a": "b"}}, &Conversation{}},
		FeatureCacheKey:         {&Conversation{CacheKey: "k"}, &Conversation{}},
		FeatureServiceTier:      {&Conversation{ServiceTier: "flex"}, &Conversation{}},
		FeatureStore:            {&Conversation{Store: new(true)}, &Conversation{Store: new(false)}},
		FeatureParallelTools:    {&Conversation{ParallelTools: new(false), Tools: make([]Tool, 1)}, &Conversation{ParallelTools: new(false)}},
	} {
		dropped, refused := Lack{Feature: f, Only: "audio"}, Lack{Feature: f, Only: "audio", Why: "It does not."}
		if err := row.mentions.Without(dropped, refused); err != nil || row.mentions.TakeDropped() != nil {
			t.Errorf("%s: %v, though nothing is asked for", f, err)
		}
		if err := row.asks.Without(dropped); err != nil || !slices.Equal(row.asks.TakeDropped(), []string{string(f)}) {
			t.Errorf("%s is not dropped: %v", f, err)
		}
		var unsupported *Unsupported
		if err := row.asks.Without(dropped, refused); !errors.As(err, &unsupported) || row.asks.TakeDropped() != nil {
			t.Errorf("%s is not refused: %v", f, err)
		}
	}
}
