package modelapi

import (
	"net/http"
	"time"

	"halley/internal/gateway"
)

// isAnthropic reports whether the caller is a client of Anthropic's API: its
// requests all say which version of the API they mean.
func isAnthropic(r *http.Request) bool {
	return r.Header.Get("Anthropic-Version") != "" || r.URL.Path == "/v1/messages" || r.URL.Path == "/v1/messages/count_tokens"
}

// anthropicModelJSON is a model in Anthropic's list.
type anthropicModelJSON struct {
	Type        string `json:"type"`
	ID          string `json:"id"`
	DisplayName string `json:"display_name"`
	CreatedAt   string `json:"created_at"`
}

// anthropicModelList is the whole list as one page.
type anthropicModelList struct {
	Data    []anthropicModelJSON `json:"data"`
	HasMore bool                 `json:"has_more"`
	FirstID *string              `json:"first_id"`
	LastID  *string              `json:"last_id"`
}

func toAnthropic(m gateway.Model) anthropicModelJSON {
	return anthropicModelJSON{Type: "model", ID: m.ID, DisplayName: m.ID, CreatedAt: time.Unix(m.Created, 0).UTC().Format(time.RFC3339)}
}

func anthropicList(models []gateway.Model) anthropicModelList {
	list := anthropicModelList{Data: make([]anthropicModelJSON, 0, len(models))}
	for _, m := range models {
		list.Data = append(list.Data, toAnthropic(m))
	}
	if n := len(list.Data); n > 0 {
		list.FirstID, list.LastID = &list.Data[0].ID, &list.Data[n-1].ID
	}
	return list
}
