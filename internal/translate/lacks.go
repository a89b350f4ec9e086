package translate

import "slices"

// Lack is a feature that a dialect has no words for.
type Lack struct {
	Feature Feature
	// Only is the one modality that is lacking, for FeatureModalities.
	Only string
	// Why is what a request that asks for it is told. Without it the feature is
	// dropped: the answer is as good without it.
	Why string
}

// Without has the request do without what a dialect lacks, as far as it asks for
// it: it is refused where the answer would not be the one that was asked for, and
// loses the rest.
func (c *Conversation) Without(lacks ...Lack) error {
	for i := range lacks {
		if l := &lacks[i]; l.Why != "" && c.wants(l) {
			return c.Refuse(l.Feature, "%s", l.Why)
		}
	}
	for i := range lacks {
		if l := &lacks[i]; l.Why == "" && c.wants(l) {
			c.Drop(l.Feature)
		}
	}
	return nil
}

// wants reports whether the request asks for a feature of the request as a whole.
// What it sets to what would happen anyway it does not ask for.
func (c *Conversation) wants(l *Lack) bool {
	switch l.Feature {
	case FeatureCandidates:
		return c.Candidates != nil && *c.Candidates > 1
	case FeatureLogprobs:
		return c.Logprobs != nil && *c.Logprobs
	case FeatureTopLogprobs:
		return c.TopLogprobs != nil && *c.TopLogprobs > 0
	case FeatureLogitBias:
		return len(c.LogitBias) > len("{}")
	case FeatureModalities:
		return slices.Contains(c.Modalities, l.Only)
	case FeatureAudio:
		return c.Audio != nil
	case FeatureStop:
		return len(c.Stop) > 0
	case FeatureFrequencyPenalty:
		return c.FrequencyPenalty != nil && *c.FrequencyPenalty != 0
	case FeaturePresencePenalty:
		return c.PresencePenalty != nil && *c.PresencePenalty != 0
	case FeatureSeed:
		return c.Seed != nil
	case FeatureTopK:
		return c.TopK != nil
	case FeatureVerbosity:
		return c.Verbosity != ""
	case FeatureEndUser:
		return c.EndUser != ""
	case FeatureMetadata:
		return len(c.Metadata) > 0
	case FeatureCacheKey:
		return c.CacheKey != ""
	case FeatureServiceTier:
		return c.ServiceTier != ""
	case FeatureStore:
		return c.Store != nil && *c.Store
	case FeatureParallelTools:
		return c.ParallelTools != nil && !*c.ParallelTools && len(c.Tools) > 0
	}
	panic("translate: " + string(l.Feature) + " is not a feature of the whole request")
}
