package openaigo_test

import (
	"errors"
	"strconv"
	"strings"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
)

func TestHalleysErrorsAreTheSDKsErrors(t *testing.T) {
	t.Parallel()
	const unknown = "sk-nobody-has-this-key"
	rows := []struct {
		name   string
		key    string // a variable of the driver's; "" is unknown
		model  string
		status int
		code   string
		param  string
	}{
		{"unknown key", "", chatModel, 401, "invalid_api_key", ""},
		{"disabled key", "HALLEY_KEY_DISABLED", chatModel, 401, "key_disabled", ""},
		{"expired key", "HALLEY_KEY_EXPIRED", chatModel, 401, "key_expired", ""},
		{"disabled owner", "HALLEY_KEY_OWNER_DISABLED", chatModel, 401, "account_disabled", ""},
		{"exhausted key", "HALLEY_KEY_EXHAUSTED", chatModel, 402, "key_quota_exhausted", ""},
		{"owner without balance", "HALLEY_KEY_OWNER_POOR", chatModel, 402, "insufficient_balance", ""},
		{"foreign address", "HALLEY_KEY_IP_LIMITED", chatModel, 403, "ip_not_allowed", ""},
		{"model the key does not name", "HALLEY_KEY_MODEL_LIMITED", chatModel, 403, "model_not_allowed", ""},
		{"model without a price", "HALLEY_API_KEY", unpricedModel, 403, "model_not_priced", ""},
		{"model nobody has", "HALLEY_API_KEY", "script-nowhere", 404, "model_not_found", ""},
		{"empty model", "HALLEY_API_KEY", "", 400, "invalid_request", "model"},
		{"no channel that works", "HALLEY_API_KEY", offlineModel, 503, "no_channel_available", ""},
		{"upstream refuses our key", "HALLEY_API_KEY", errorModel + "401", 502, "upstream_error", ""},
		{"upstream wants our money", "HALLEY_API_KEY", errorModel + "402", 502, "upstream_error", ""},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			c := clientWith(t, unknown)
			if row.key != "" {
				c = client(t, row.key)
			}
			_, err := c.Chat.Completions.New(t.Context(), question(row.model))
			wantError(t, err, row.status, row.code, row.param)

			stream := c.Chat.Completions.NewStreaming(t.Context(), question(row.model))
			defer stream.Close()
			if stream.Next() {
				t.Errorf("streamed %s", stream.Current().RawJSON())
			}
			wantError(t, stream.Err(), row.status, row.code, row.param)
		})
	}
}

func TestTheUpstreamsErrorsComeBackAsTheyAre(t *testing.T) {
	t.Parallel()
	c := client(t, "HALLEY_API_KEY")
	for _, status := range []int{400, 404, 422, 429, 500, 503} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			t.Parallel()
			_, err := c.Chat.Completions.New(t.Context(), question(errorModel+strconv.Itoa(status)))
			got := apiError(t, err)
			if got.StatusCode != status || got.Code != "scripted_"+strconv.Itoa(status) || got.Message != "The script answers with this error." {
				t.Errorf("error %d %s", got.StatusCode, got.RawJSON())
			}
			if want := map[int]string{429: "1", 503: "1"}[status]; got.Response.Header.Get("Retry-After") != want {
				t.Errorf("Retry-After %q, want %q", got.Response.Header.Get("Retry-After"), want)
			}
		})
	}
}

func TestARequestWithoutAModelNamesTheField(t *testing.T) {
	t.Parallel()
	c := client(t, "HALLEY_API_KEY")
	for name, body := range map[string]string{"missing": `{"messages":[]}`, "null": `{"model":null}`, "a number": `{"model":7}`} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := c.Post(t.Context(), "chat/completions", nil, nil, option.WithRequestBody("application/json", []byte(body)))
			wantError(t, err, 400, "invalid_request", "model")
		})
	}
}

func TestOtherEndpointsRefuseLikeChat(t *testing.T) {
	t.Parallel()
	c := client(t, "HALLEY_KEY_DISABLED")
	_, err := c.Embeddings.New(t.Context(), openai.EmbeddingNewParams{
		Model: embedModel, Input: openai.EmbeddingNewParamsInputUnion{OfString: openai.String("a")},
	})
	wantError(t, err, 401, "key_disabled", "")
	_, err = c.Models.List(t.Context())
	wantError(t, err, 401, "key_disabled", "")
}

// wantError holds an error against what Halley promises of its own errors: the
// status, the code, and a message that names the request.
func wantError(t *testing.T, err error, status int, code, param string) {
	t.Helper()
	got := apiError(t, err)
	if got.StatusCode != status || got.Code != code || got.Type == "" {
		t.Errorf("error %d %s, want %d %s", got.StatusCode, got.RawJSON(), status, code)
	}
	if param != "" && got.Param != param {
		t.Errorf("param %q, want %q", got.Param, param)
	}
	id := got.Response.Header.Get("X-Request-Id")
	if id == "" || !strings.Contains(got.Message, "(request id: "+id+")") {
		t.Errorf("the message %q does not name the request id %q", got.Message, id)
	}
}

func apiError(t *testing.T, err error) *openai.Error {
	t.Helper()
	got, ok := errors.AsType[*openai.Error](err)
	if !ok {
		t.Fatalf("error %T %v, want the SDK's API error", err, err)
	}
	return got
}
