package modelapi

import (
	"net/http"
	"net/url"
	"strconv"

	"halley/internal/fault"
	"halley/internal/kept"
	"halley/internal/wire/openai"
)

// keptResponse answers or deletes a response that was kept for the key.
func (s *Server) keptResponse(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		if r.URL.Query().Get("stream") == "true" {
			fail(w, r, fault.New(fault.Malformed, "unsupported_parameter", "A response that is complete is not streamed again; leave stream out.").Field("stream"))
			return
		}
		found, err := s.fetchKept(r)
		if err != nil {
			fail(w, r, err)
			return
		}
		writeRaw(w, found.Body)
	case http.MethodDelete:
		credentials, err := credentialsOf(r)
		if err != nil {
			fail(w, r, err)
			return
		}
		k, owner, err := s.Gateway.Authenticate(r.Context(), credentials)
		if err == nil {
			err = s.Gateway.DeleteResponse(r.Context(), k, owner, s.ClientIP.Of(r), r.PathValue("id"))
		}
		if err != nil {
			fail(w, r, err)
			return
		}
		writeRaw(w, openai.DeletedResponse(r.PathValue("id")))
	default:
		w.Header().Set("Allow", "GET, DELETE")
		fail(w, r, methodNotAllowed(r, "GET or DELETE"))
	}
}

// inputItems answers what a kept response was asked with.
func (s *Server) inputItems(w http.ResponseWriter, r *http.Request) {
	page, err := inputPage(r.URL.Query())
	if err != nil {
		fail(w, r, err)
		return
	}
	found, err := s.fetchKept(r)
	if err != nil {
		fail(w, r, err)
		return
	}
	list, ok := openai.InputItems(found.ID, found.Input, page)
	if !ok {
		fail(w, r, fault.New(fault.Malformed, "invalid_request", "after: there is no item with that id.").Field("after"))
		return
	}
	writeRaw(w, list)
}

func inputPage(q url.Values) (p openai.InputPage, err error) {
	p.After = q.Get("after")
	if text := q.Get("limit"); text != "" {
		if p.Limit, err = strconv.Atoi(text); err != nil || p.Limit < 1 || p.Limit > 100 {
			return p, fault.New(fault.Malformed, "invalid_request", "limit must be a whole number from 1 to 100.").Field("limit")
		}
	}
	switch q.Get("order") {
	case "asc":
		p.Ascending = true
	case "", "desc":
	default:
		return p, fault.New(fault.Malformed, "invalid_request", "order must be asc or desc.").Field("order")
	}
	return p, nil
}

func (s *Server) fetchKept(r *http.Request) (*kept.Response, error) {
	credentials, err := credentialsOf(r)
	if err != nil {
		return nil, err
	}
	k, owner, err := s.Gateway.Authenticate(r.Context(), credentials)
	if err != nil {
		return nil, err
	}
	return s.Gateway.KeptResponse(r.Context(), k, owner, s.ClientIP.Of(r), r.PathValue("id"))
}

func writeRaw(w http.ResponseWriter, text []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	_, _ = w.Write(text) // the client may be gone
}
