// Package bedrock is what Halley reads of Amazon Bedrock's own shapes besides the
// conversation, which is package converse's: the lists of its models. It does no
// I/O.
package bedrock

import "halley/internal/jsonx"

// ModelNames are the models' names in an answer of ListFoundationModels; ok is
// false when it is none.
//
// https://docs.aws.amazon.com/bedrock/latest/APIReference/API_ListFoundationModels.html
func ModelNames(body []byte) (names []string, ok bool) {
	var list struct {
		Models *[]struct {
			ID string `json:"modelId"`
		} `json:"modelSummaries"`
	}
	if err := jsonx.Decode(body, &list); err != nil || list.Models == nil {
		return nil, false
	}
	for _, m := range *list.Models {
		if m.ID != "" {
			names = append(names, m.ID)
		}
	}
	return names, true
}
