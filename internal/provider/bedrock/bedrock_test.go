package bedrock_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"halley/internal/channel"
	"halley/internal/provider"
	"halley/internal/provider/bedrock"
	"halley/test/fakeprovider"
)

const (
	keyID  = "AKIAIOSFODNN7EXAMPLE"
	secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
)

func newProvider(t *testing.T, ambient bedrock.Credentials) *bedrock.Provider {
	t.Helper()
	p, err := bedrock.New(bedrock.Options{Now: time.Now, Ambient: ambient})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// sent is what a server gets of a request that was made and signed for it.
func sent(t *testing.T, p *bedrock.Provider, c provider.Call, credential, body string, check func(r *http.Request, body []byte) error) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got, _ := io.ReadAll(r.Body)
		if err := check(r, got); err != nil {
			t.Errorf("%s: %v", r.RequestURI, err)
		}
	}))
	defer server.Close()
	ch := &channel.Channel{Kind: channel.Bedrock, BaseURL: server.URL, AWS: channel.AWSSettings{Region: "eu-central-1"}}
	header := http.Header{"Content-Type": {"application/json"}, "User-Agent": {"anthropic/1"}, "X-Amz-Date": {"20000101T000000Z"}, "X-Amzn-Bedrock-Guardrailidentifier": {"g1"}}
	p.Prepare(header, c)
	at := p.URL(ch, c)
	if _, ok, err := p.Sign(t.Context(), ch, credential, provider.Outgoing{Method: http.MethodPost, URL: at, Header: header, Body: []byte(body)}); err != nil || !ok {
		t.Fatalf("not signed: %v", err)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, at, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header = header
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
}

func TestRequestsAreSignedTheWayAmazonChecksThem(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		call       provider.Call
		credential string
		key        aws.Credentials
		path       string
	}{
		"a model's id": {
			provider.Call{Operation: provider.Converse, Model: "anthropic.claude-3-haiku-20240307-v1:0"}, keyID + ":" + secret,
			aws.Credentials{AccessKeyID: keyID, SecretAccessKey: secret}, "/model/anthropic.claude-3-haiku-20240307-v1%3A0/converse",
		},
		"a stream": {
			provider.Call{Operation: provider.Converse, Model: "us.amazon.nova-micro-v1:0", Stream: true}, keyID + ":" + secret,
			aws.Credentials{AccessKeyID: keyID, SecretAccessKey: secret}, "/model/us.amazon.nova-micro-v1%3A0/converse-stream",
		},
		"an ARN": {
			provider.Call{Operation: provider.Converse, Model: "arn:aws:bedrock:us-east-1:012345678901:inference-profile/us.anthropic.claude-3-7-sonnet-20250219-v1:0"}, keyID + ":" + secret,
			aws.Credentials{AccessKeyID: keyID, SecretAccessKey: secret},
			"/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A012345678901%3Ainference-profile%2Fus.anthropic.claude-3-7-sonnet-20250219-v1%3A0/converse",
		},
		"a name out of the ordinary": {
			provider.Call{Operation: provider.Converse, Model: "a b+c~d%e/ü"}, keyID + ":" + secret,
			aws.Credentials{AccessKeyID: keyID, SecretAccessKey: secret}, "/model/a%20b%2Bc~d%25e%2F%C3%BC/converse",
		},
		"a temporary key": {
			provider.Call{Operation: provider.BedrockMessages, Model: "anthropic.claude-v2", Stream: true}, "ASIAIOSFODNN7EXAMPLE:" + secret + ":session/token+=",
			aws.Credentials{AccessKeyID: "ASIAIOSFODNN7EXAMPLE", SecretAccessKey: secret, SessionToken: "session/token+="}, "/model/anthropic.claude-v2/invoke-with-response-stream",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sent(t, newProvider(t, nil), row.call, row.credential, `{"messages":[]}`, func(r *http.Request, body []byte) error {
				if r.RequestURI != row.path {
					t.Errorf("the path is %s, want %s", r.RequestURI, row.path)
				}
				if names := r.Header.Get("Authorization"); !strings.Contains(names, "x-amzn-bedrock-guardrailidentifier") || strings.Contains(names, "user-agent") {
					t.Errorf("signed is %s", names)
				}
				return fakeprovider.CheckSignature(r, body, row.key, "bedrock", "eu-central-1")
			})
		})
	}
}

// TestPathsAreThoseOfAmazonsOwnSDK holds addresses against what was recorded.
func TestPathsAreThoseOfAmazonsOwnSDK(t *testing.T) {
	t.Parallel()
	p, seen := newProvider(t, nil), 0
	for _, in := range fakeprovider.Fixtures(t).MustLoad(t, fakeprovider.OfAPI("bedrock.converse", "bedrock.converseStream", "bedrock.invokeStream")) {
		model, err := url.PathUnescape(in.Model)
		if err != nil || model == "" {
			continue
		}
		seen++
		call := provider.Call{Operation: provider.Converse, Model: model, Stream: in.Stream}
		if in.API == "bedrock.invokeStream" {
			call.Operation = provider.BedrockMessages
		}
		if got := p.URL(&channel.Channel{}, call); got != in.Request.Path {
			t.Errorf("%s: %s, want %s", in.File, got, in.Request.Path)
		}
	}
	t.Logf("%d paths", seen)
}

// fixed are ambient credentials of tests.
type fixed struct {
	aws.Credentials
	err error
}

func (f fixed) Retrieve(context.Context) (aws.Credentials, error) { return f.Credentials, f.err }

func TestTheServersOwnCredentialsSignWhenTheyAreAskedFor(t *testing.T) {
	t.Parallel()
	own := aws.Credentials{AccessKeyID: "ASIAOWN", SecretAccessKey: "own-secret", SessionToken: "own-token"}
	sent(t, newProvider(t, fixed{Credentials: own}), provider.Call{Operation: provider.Converse, Model: "m"}, channel.AmbientKey, `{}`, func(r *http.Request, body []byte) error {
		return fakeprovider.CheckSignature(r, body, own, "bedrock", "eu-central-1")
	})
	none := newProvider(t, fixed{err: errors.New("no EC2 IMDS role found")})
	_, _, err := none.Sign(t.Context(), &channel.Channel{}, channel.AmbientKey, provider.Outgoing{Method: "POST", URL: "http://h/", Header: http.Header{}})
	if refusal, ok := errors.AsType[*provider.Refusal](err); !ok || !strings.Contains(refusal.Error(), "no EC2 IMDS role") {
		t.Errorf("without any: %v", err)
	}
}

func TestTheServersOwnCredentialsAreFoundWhereAmazonsSDKFindsThem(t *testing.T) {
	file := filepath.Join(t.TempDir(), "credentials")
	if err := os.WriteFile(file, []byte("[default]\naws_access_key_id = AKIAFILE\naws_secret_access_key = file-secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(t.TempDir(), "none"))
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", file)
	if got, err := new(bedrock.Ambient).Retrieve(t.Context()); err != nil || got.AccessKeyID != "AKIAFILE" {
		t.Errorf("of the file: %s, %v", got.AccessKeyID, err)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIAENV")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "env-secret")
	if got, err := new(bedrock.Ambient).Retrieve(t.Context()); err != nil || got.AccessKeyID != "AKIAENV" {
		t.Errorf("of the environment: %s, %v", got.AccessKeyID, err)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(t.TempDir(), "none"))
	if _, err := new(bedrock.Ambient).Retrieve(t.Context()); err == nil {
		t.Error("none are found and that is no error")
	}
}

func TestABedrockAPIKeyIsShownAsItIs(t *testing.T) {
	t.Parallel()
	p := newProvider(t, nil)
	if _, ok, err := p.Sign(t.Context(), &channel.Channel{}, "ABSKQmVkcm9ja0FQSUtleQ==", provider.Outgoing{}); ok || err != nil {
		t.Errorf("signed: %v, %v", ok, err)
	}
	if name, value := p.Authorize("ABSKQmVkcm9ja0FQSUtleQ=="); name != "Authorization" || value != "Bearer ABSKQmVkcm9ja0FQSUtleQ==" {
		t.Errorf("%s: %s", name, value)
	}
}

func TestMessagesGetTheShapeThatBedrockWants(t *testing.T) {
	t.Parallel()
	p := newProvider(t, nil)
	call := provider.Call{Operation: provider.BedrockMessages, Model: "us.anthropic.claude-sonnet-4-6"}
	for name, row := range map[string]struct {
		body  string
		betas []string
		want  string
	}{
		"model and stream stand in the address": {`{"model":"m", "stream" : true,"max_tokens":5,"x":{"model":1}}`, nil, `{"max_tokens":5,"x":{"model":1},"anthropic_version":"bedrock-2023-05-31"}`},
		"betas in the body, those it knows":     {`{"model":"m"}`, []string{"context-1m-2025-08-07, unknown-beta", "computer-use-2025-01-24"}, `{"anthropic_version":"bedrock-2023-05-31","anthropic_beta":["context-1m-2025-08-07","computer-use-2025-01-24"]}`},
		"none that it knows":                    {`{"model":"m"}`, []string{"unknown-beta"}, `{"anthropic_version":"bedrock-2023-05-31"}`},
		"the client says them in the body":      {`{"model":"m","anthropic_beta":["x"]}`, []string{"context-1m-2025-08-07"}, `{"anthropic_beta":["x"],"anthropic_version":"bedrock-2023-05-31"}`},
	} {
		got := string(p.Reshape([]byte(row.body), http.Header{"Anthropic-Beta": row.betas}, call))
		if strings.ReplaceAll(got, " ", "") != row.want {
			t.Errorf("%s: %s, want %s", name, got, row.want)
		}
	}
	if got := string(p.Reshape([]byte(`{"model":1}`), nil, provider.Call{Operation: provider.Converse})); got != `{"model":1}` {
		t.Errorf("others are changed: %s", got)
	}
}

func TestClaudesClientsGetClaudesOwnDialect(t *testing.T) {
	t.Parallel()
	p := newProvider(t, nil)
	for _, row := range []struct {
		op    provider.Operation
		model string
		want  provider.Operation
	}{
		{provider.Messages, "us.anthropic.claude-sonnet-4-6", provider.BedrockMessages},
		{provider.Messages, "arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-3-7-sonnet-20250219-v1:0", provider.BedrockMessages},
		{provider.Messages, "arn:aws:bedrock:us-east-1:1:application-inference-profile/mi1dadi0g15f", provider.Converse},
		{provider.Messages, "amazon.nova-lite-v1:0", provider.Converse},
		{provider.Chat, "us.anthropic.claude-sonnet-4-6", provider.Converse},
		{provider.Generate, "amazon.nova-lite-v1:0", provider.Converse},
		{provider.Responses, "openai.gpt-oss-120b-1:0", provider.Converse},
		{provider.Models, "", provider.Models},
		{provider.Embeddings, "cohere.embed-v4:0", provider.BedrockCohere},
		{provider.GeminiEmbed, "us.cohere.embed-v4:0", provider.BedrockCohere},
		{provider.GeminiEmbedOne, "amazon.titan-embed-text-v2:0", provider.TitanEmbed},
		{provider.Embeddings, "amazon.nova-lite-v1:0", ""},
	} {
		if got := p.Speaks(nil, row.model, row.op); got != row.want {
			t.Errorf("%s of %s: %q, want %q", row.op, row.model, got, row.want)
		}
	}
}

func TestErrorsAreWhoseTheyAre(t *testing.T) {
	t.Parallel()
	p := newProvider(t, nil)
	for _, row := range []struct {
		status  int
		message string
		want    provider.Class
	}{
		{400, "The provided model identifier is invalid.", provider.OfChannel},
		{400, "Invocation of model ID anthropic.claude-sonnet-4-20250514-v1:0 with on-demand throughput isn’t supported. Retry your request with the ID or ARN of an inference profile that contains this model.", provider.OfChannel},
		{400, "Operation not allowed", provider.OfChannel},
		{400, "This model doesn't support the video content block that you provided. Update the content block and try again.", provider.OfRequest},
		{400, "messages: roles must alternate", provider.OfRequest},
		{400, "Your request exceeds the service quota for your account.", provider.OfBalance},
		{401, "", provider.OfCredential},
		{403, "The security token included in the request is invalid.", provider.OfCredential},
		{403, "The request signature we calculated does not match the signature you provided.", provider.OfCredential},
		{403, "User: arn:aws:iam::1:user/x is not authorized to perform: bedrock:InvokeModel on resource: arn:aws:bedrock:us-east-1::foundation-model/y", provider.OfCredential},
		{403, "Authentication failed: Please make sure your API Key is valid.", provider.OfCredential},
		{403, "You don't have access to the model with the specified model ID.", provider.OfChannel},
		{403, "Model access is denied due to INVALID_PAYMENT_INSTRUMENT: A valid payment instrument must be provided.", provider.OfBalance},
		{404, "This model version has reached the end of its life.", provider.OfChannel},
		{408, "Model has timed out in processing the request.", provider.OfRequest}, // 408 is told by its status
		{424, "The system encountered an unexpected error during processing. Try your request again.", provider.OfChannel},
		{429, "Too many tokens, please wait before trying again.", provider.OfRequest}, // and so are 429
		{503, "Bedrock is unable to process your request.", provider.OfRequest},        // and 503
	} {
		if got := p.Classify(row.status, []byte(`{"message":"`+row.message+`"}`)); got != row.want {
			t.Errorf("%d %s: %v, want %v", row.status, row.message, got, row.want)
		}
	}
}

// framed is what a provider makes of a stream.
func framed(t *testing.T, c provider.Call, frames ...[]byte) string {
	t.Helper()
	var stream []byte
	for _, f := range frames {
		stream = append(stream, f...)
	}
	p := newProvider(t, nil)
	events := p.Frame(http.Header{"Content-Type": {"application/vnd.amazon.eventstream"}}, strings.NewReader(string(stream)), c)
	if events == nil {
		t.Fatal("it is no stream")
	}
	out, err := io.ReadAll(events)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func TestStreamsBecomeServerSentEvents(t *testing.T) {
	t.Parallel()
	own := provider.Call{Operation: provider.BedrockMessages, Stream: true}
	got := framed(t, own,
		fakeprovider.EventFrame("chunk", `{"bytes":"eyJ0eXBlIjoicGluZyJ9","p":"abcd"}`),
		fakeprovider.EventFrame("somethingNew", `{}`),
		fakeprovider.ExceptionFrame("throttlingException", `{"message":"Too many tokens, please wait before trying again."}`))
	want := "event: ping\ndata: {\"type\":\"ping\"}\n\n" +
		"event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\",\"message\":\"Too many tokens, please wait before trying again.\"}}\n\n"
	if got != want {
		t.Errorf("%s, want %s", got, want)
	}
	converse := provider.Call{Operation: provider.Converse, Stream: true}
	got = framed(t, converse,
		fakeprovider.EventFrame("messageStart", `{"role":"assistant"}`),
		fakeprovider.ExceptionFrame("modelStreamErrorException", `{"message":"It broke."}`),
		fakeprovider.Frame(nil, ":message-type", "error", ":error-code", "InternalError", ":error-message", `It "broke".`))
	want = "event: messageStart\ndata: {\"role\":\"assistant\"}\n\nevent: modelStreamErrorException\ndata: {\"message\":\"It broke.\"}\n\n" +
		"event: error\ndata: {\"message\":\"It \\\"broke\\\".\"}\n\n"
	if got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if p := newProvider(t, nil); p.Frame(http.Header{"Content-Type": {"application/json"}}, nil, own) != nil {
		t.Error("JSON is taken for a stream")
	}
}

// BenchmarkSign signs a request of 32 KB.
func BenchmarkSign(b *testing.B) {
	p, err := bedrock.New(bedrock.Options{Now: time.Now})
	if err != nil {
		b.Fatal(err)
	}
	ch := &channel.Channel{Kind: channel.Bedrock, AWS: channel.AWSSettings{Region: "eu-central-1"}}
	r := provider.Outgoing{Method: http.MethodPost, URL: "https://bedrock-runtime.eu-central-1.amazonaws.com/model/m/converse", Header: http.Header{"Content-Type": {"application/json"}}, Body: make([]byte, 32<<10)}
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := p.Sign(b.Context(), ch, keyID+":"+secret, r); err != nil {
			b.Fatal(err)
		}
	}
}
