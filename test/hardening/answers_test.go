package hardening_test

import (
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"testing"
	"time"
)

// patience is how long anything may take before a test gives up on it.
const patience = 30 * time.Second

// answer is an HTTP answer, read to its end.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func readAnswer(resp *http.Response) (answer, error) {
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, body}, err
}

// text is the whole answer for a reader or a search.
func (a answer) text() []byte {
	var b strings.Builder
	_ = a.header.Write(&b) // a strings.Builder takes everything
	return append([]byte(b.String()), a.body...)
}

// shape is what an error looks like.
type shape int

const (
	envelope shape = iota // management
	openAI
	gemini
)

// refusal is what all shapes tell.
type refusal struct{ code, message string }

// refused reads an error answer and says what is wrong with its shape: each has
// a status from 400 on, an id, a JSON body of the right form and a message.
func (s shape) refused(a answer) (r refusal, err error) {
	media, _, _ := mime.ParseMediaType(a.header.Get("Content-Type"))
	switch {
	case a.status < 400:
		return r, fmt.Errorf("status %d is no refusal", a.status)
	case a.header.Get("X-Request-Id") == "":
		return r, fmt.Errorf("status %d without X-Request-Id", a.status)
	case media != "application/json":
		return r, fmt.Errorf("status %d with Content-Type %q: %.200s", a.status, a.header.Get("Content-Type"), a.body)
	}
	var body struct {
		Success *bool
		Message string
		Code    string
		Error   *struct {
			Message, Type, Status string
			Code                  any
		}
	}
	if err := json.Unmarshal(a.body, &body); err != nil {
		return r, fmt.Errorf("status %d with a body that is not JSON: %w\n%.200s", a.status, err, a.body)
	}
	switch s {
	case envelope:
		if body.Success == nil || *body.Success || body.Code == "" || body.Error != nil {
			return r, fmt.Errorf("status %d is no envelope: %.200s", a.status, a.body)
		}
		r = refusal{body.Code, body.Message}
	case openAI:
		if body.Error == nil || body.Error.Type == "" || body.Success != nil {
			return r, fmt.Errorf("status %d is not in OpenAI's shape: %.200s", a.status, a.body)
		}
		code, _ := body.Error.Code.(string)
		r = refusal{code, body.Error.Message}
	case gemini:
		if body.Error == nil || body.Error.Code != float64(a.status) || body.Error.Status == "" {
			return r, fmt.Errorf("status %d is not in Gemini's shape: %.200s", a.status, a.body)
		}
		r = refusal{body.Error.Status, body.Error.Message}
	}
	if r.code == "" || len(r.message) < 10 {
		return r, fmt.Errorf("status %d explains nothing: %.200s", a.status, a.body)
	}
	return r, nil
}

// mustRefuse is a failure of the test unless the answer is a refusal of the
// shape with one of the statuses (any, without).
func (s shape) mustRefuse(t testing.TB, what string, a answer, statuses ...int) refusal {
	t.Helper()
	r, err := s.refused(a)
	if err != nil {
		t.Errorf("%s: %v", what, err)
		return r
	}
	for _, status := range statuses {
		if a.status == status {
			return r
		}
	}
	if len(statuses) > 0 {
		t.Errorf("%s: %d %s (%s), want %v", what, a.status, r.code, r.message, statuses)
	}
	return r
}
