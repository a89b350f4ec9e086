package modelapi

import (
	"net/http"
	"strings"

	"halley/internal/fault"
	"halley/internal/gateway"
	"halley/internal/provider"
	translategemini "halley/internal/translate/gemini"
	"halley/internal/wire/gemini"
)

// geminiModel serves what stands below /v1beta/models/: a model's entry, or a
// call such as gemini-2.5-pro:generateContent. What follows a colon and is no
// call's name is the model's own, as in llama3:8b. Some clients' base URLs
// double the "models/".
func (s *Server) geminiModel(w http.ResponseWriter, r *http.Request) {
	rest := r.PathValue("call")
	for strings.HasPrefix(rest, "models/") {
		rest = rest[len("models/"):]
	}
	model, method := rest, ""
	if i := strings.LastIndexByte(rest, ':'); i >= 0 {
		model, method = rest[:i], rest[i+1:]
	}
	switch {
	case !geminiMethod(method) && (r.Method == http.MethodGet || r.Method == http.MethodHead):
		s.told(func(w http.ResponseWriter, r *http.Request) { s.getGeminiModel(w, r, rest) })(w, r)
	case model == "" || !geminiMethod(method):
		s.told(notFound)(w, r)
	case r.Method != http.MethodPost:
		s.told(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Allow", http.MethodPost)
			fail(w, r, methodNotAllowed(r, http.MethodPost))
		})(w, r)
	default:
		switch method {
		case "countTokens":
			s.serve(w, r, provider.CountGenerate, gemini.Generate{Model: model})
			return
		case "embedContent":
			s.serve(w, r, provider.GeminiEmbedOne, gemini.Embed{Generate: gemini.Generate{Model: model}})
			return
		case "batchEmbedContents":
			s.serve(w, r, provider.GeminiEmbed, gemini.Embed{Generate: gemini.Generate{Model: model}, Batch: true})
			return
		}
		stream := method == "streamGenerateContent"
		array := stream && r.URL.Query().Get("alt") != "sse"
		s.serveAs(w, r, provider.Generate, gemini.Generate{Model: model, Streamed: stream, Array: array}, translategemini.Codec{Array: array})
	}
}

func geminiMethod(name string) bool {
	switch name {
	case "generateContent", "streamGenerateContent", "countTokens", "embedContent", "batchEmbedContents":
		return true
	}
	return false
}

// credentialsOf are the request's credentials: on Gemini's routes also ?key=.
func credentialsOf(r *http.Request) ([]string, error) {
	if !isGemini(r) {
		return gateway.Credentials(r.Header, "")
	}
	return gateway.Credentials(r.Header, r.URL.Query().Get("key"))
}

func isGemini(r *http.Request) bool {
	return strings.HasPrefix(strings.TrimLeft(r.URL.Path, "/"), "v1beta")
}

// geminiModelJSON is a model in Gemini's list.
type geminiModelJSON struct {
	Name        string   `json:"name"`
	DisplayName string   `json:"displayName"`
	Version     string   `json:"version"`
	InputLimit  int64    `json:"inputTokenLimit,omitzero"`
	OutputLimit int64    `json:"outputTokenLimit,omitzero"`
	Methods     []string `json:"supportedGenerationMethods"`
}

func toGemini(m gateway.Model) geminiModelJSON {
	methods := []string{"generateContent", "streamGenerateContent", "countTokens"}
	if m.Embeds {
		methods = []string{"embedContent", "batchEmbedContents"}
	}
	return geminiModelJSON{Name: "models/" + m.ID, DisplayName: m.ID, Version: m.ID, OutputLimit: m.MaxOutputTokens, Methods: methods}
}

// listGeminiModels answers what this key may call, whole: Gemini's paging is
// optional, and there are hundreds of models at the most.
func (s *Server) listGeminiModels(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", http.MethodGet)
		fail(w, r, methodNotAllowed(r, http.MethodGet))
		return
	}
	models, err := s.modelsOf(r)
	if err != nil {
		fail(w, r, err)
		return
	}
	list := struct {
		Models []geminiModelJSON `json:"models"`
	}{make([]geminiModelJSON, 0, len(models))}
	for _, m := range models {
		list.Models = append(list.Models, toGemini(m))
	}
	writeJSON(w, r, list)
}

func (s *Server) getGeminiModel(w http.ResponseWriter, r *http.Request, id string) {
	m, err := s.modelOf(r, id)
	if err != nil {
		fail(w, r, err)
		return
	}
	writeJSON(w, r, toGemini(m))
}

// modelOf is one of the models that this key may call.
func (s *Server) modelOf(r *http.Request, id string) (gateway.Model, error) {
	models, err := s.modelsOf(r)
	if err != nil {
		return gateway.Model{}, err
	}
	for _, m := range models {
		if m.ID == id {
			return m, nil
		}
	}
	return gateway.Model{}, fault.New(fault.NotFound, "model_not_found", "The model %q does not exist here or is not offered to this API key.", id).Field("model")
}
