package modelapi

import (
	"net/http"
	"strconv"

	"halley/internal/gateway"
	"halley/internal/jsonx"
)

// modelJSON is a model in OpenAI's list.
type modelJSON struct {
	ID      string `json:"id"`
	Object  string `json:"object"`
	Created int64  `json:"created"`
	OwnedBy string `json:"owned_by"`
}

type modelList struct {
	Object string      `json:"object"`
	Data   []modelJSON `json:"data"`
}

// listModels answers what this key may call.
func (s *Server) listModels(w http.ResponseWriter, r *http.Request) {
	models, err := s.modelsOf(r)
	if err != nil {
		fail(w, r, err)
		return
	}
	if isAnthropic(r) {
		writeJSON(w, r, anthropicList(models))
		return
	}
	list := modelList{Object: "list", Data: make([]modelJSON, 0, len(models))}
	for _, m := range models {
		list.Data = append(list.Data, toJSON(m))
	}
	writeJSON(w, r, list)
}

// getModel answers one model of the list.
func (s *Server) getModel(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	if id == "" {
		s.listModels(w, r)
		return
	}
	m, err := s.modelOf(r, id)
	switch {
	case err != nil:
		fail(w, r, err)
	case isAnthropic(r):
		writeJSON(w, r, toAnthropic(m))
	default:
		writeJSON(w, r, toJSON(m))
	}
}

func (s *Server) modelsOf(r *http.Request) ([]gateway.Model, error) {
	credentials, err := credentialsOf(r)
	if err != nil {
		return nil, err
	}
	k, owner, err := s.Gateway.Authenticate(r.Context(), credentials)
	if err != nil {
		return nil, err
	}
	return s.Gateway.Models(r.Context(), k, owner, s.ClientIP.Of(r))
}

func toJSON(m gateway.Model) modelJSON {
	return modelJSON{ID: m.ID, Object: "model", Created: m.Created, OwnedBy: m.OwnedBy}
}

func writeJSON(w http.ResponseWriter, r *http.Request, v any) {
	text, err := jsonx.Marshal(v)
	if err != nil {
		fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	_, _ = w.Write(text) // the client may be gone
}
