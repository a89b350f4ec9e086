// Package bedrock speaks to Amazon Bedrock: Converse for models of all makers,
// and InvokeModel with the bodies of Anthropic's Messages for Claude, and for models
// that make embeddings. The base URL
// is that of the runtime, https://bedrock-runtime.REGION.amazonaws.com. Requests
// are signed with an access key (see Sign) or carry a Bedrock API key.
package bedrock

import (
	"bytes"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"halley/internal/awsstream"
	"halley/internal/channel"
	"halley/internal/provider"
	"halley/internal/translate/messages"
	"halley/internal/wire"
)

// Provider is the kind.
type Provider struct {
	Options
	signer *v4.Signer
	claude *wire.Patch // from a body of Anthropic's API
}

// Options are what a Provider needs.
type Options struct {
	Now func() time.Time
	// Ambient gives the credentials that the server itself runs with.
	Ambient Credentials
}

var (
	_ provider.Provider = (*Provider)(nil)
	_ provider.Speaker  = (*Provider)(nil)
	_ provider.Preparer = (*Provider)(nil)
	_ provider.Reshaper = (*Provider)(nil)
	_ provider.Framer   = (*Provider)(nil)
	_ provider.Signer   = (*Provider)(nil)
)

// New makes the provider.
func New(o Options) (*Provider, error) {
	claude, err := messages.Bedrock.Patch()
	if err != nil {
		return nil, err
	}
	return &Provider{Options: o, signer: v4.NewSigner(), claude: claude}, nil
}

// Speaks implements provider.Speaker. Claude's clients have Claude's own dialect
// where the model's name tells that it is one; all else is asked for in Converse.
func (*Provider) Speaks(_ *channel.Channel, model string, op provider.Operation) provider.Operation {
	switch op {
	case provider.Messages:
		if strings.Contains(model, "anthropic.claude") {
			return provider.BedrockMessages
		}
		return provider.Converse
	case provider.Chat, provider.Responses, provider.Generate, provider.Converse:
		return provider.Converse
	case provider.Embeddings, provider.GeminiEmbed, provider.GeminiEmbedOne:
		switch {
		case strings.Contains(model, "amazon.titan-embed"):
			return provider.TitanEmbed
		case strings.Contains(model, "cohere.embed"):
			return provider.BedrockCohere
		}
	case provider.Models:
		return op
	}
	return ""
}

// URL is the address of the model's operation; the list of models is at another
// host of Amazon's.
//
// https://docs.aws.amazon.com/bedrock/latest/APIReference/API_Operations_Amazon_Bedrock_Runtime.html
func (*Provider) URL(ch *channel.Channel, c provider.Call) string {
	if c.Operation == provider.Models {
		return strings.Replace(ch.BaseURL, "//bedrock-runtime", "//bedrock", 1) + "/foundation-models"
	}
	at := ch.BaseURL + "/model/" + escape(c.Model)
	switch {
	case c.Operation == provider.BedrockMessages && c.Stream:
		return at + "/invoke-with-response-stream"
	case c.Operation == provider.BedrockMessages, c.Operation == provider.TitanEmbed, c.Operation == provider.BedrockCohere:
		return at + "/invoke"
	case c.Stream:
		return at + "/converse-stream"
	}
	return at + "/converse"
}

// escape writes a model's id or ARN as one segment of a path, in which Amazon
// wants all but letters, digits and -._~ in percent signs: the signature is over
// this spelling, written that way once more.
func escape(model string) string { return strings.ReplaceAll(url.QueryEscape(model), "+", "%20") }

// Authorize gives the header of a Bedrock API key.
//
// https://docs.aws.amazon.com/bedrock/latest/userguide/api-keys-use.html
func (*Provider) Authorize(credential string) (header, value string) {
	return "Authorization", "Bearer " + credential
}

// Prepare implements provider.Preparer. A client's headers for the signature, and
// those of Anthropic's API, which stand in the body here, go no further.
func (*Provider) Prepare(h http.Header, c provider.Call) {
	for name := range h {
		if strings.HasPrefix(name, "X-Amz-") || strings.HasPrefix(name, "Anthropic-") {
			delete(h, name)
		}
	}
	h["Accept"] = []string{"application/json"}
	if c.Stream {
		h["Accept"] = []string{awsstream.MediaType}
	}
}

// Reshape implements provider.Reshaper: messages have their version, and the betas
// that Bedrock knows, in the body.
//
// https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages-request-response.html
func (p *Provider) Reshape(body []byte, client http.Header, c provider.Call) []byte {
	if c.Operation != provider.BedrockMessages {
		return body
	}
	body = p.claude.Apply(body)
	betas, _ := messages.Bedrock.Betas(client["Anthropic-Beta"])
	at := bytes.LastIndexByte(body, '}')
	if len(betas) == 0 || at < 0 || wire.Find(body, "anthropic_beta").Present() {
		return body
	}
	var list []byte
	for i, beta := range betas {
		if i > 0 {
			list = append(list, ',')
		}
		list = append(list, wire.Quote(beta)...)
	}
	// The version stands before it.
	return slices.Concat(body[:at], []byte(`,"anthropic_beta":[`), list, []byte("]"), body[at:])
}

// maxMessage bounds one message of a stream, as Amazon's SDKs do.
const maxMessage = 16 << 20

// Frame implements provider.Framer.
func (*Provider) Frame(header http.Header, body io.Reader, c provider.Call) io.Reader {
	if media, _, err := mime.ParseMediaType(header.Get("Content-Type")); err != nil || media != awsstream.MediaType {
		return nil
	}
	if c.Operation == provider.BedrockMessages {
		return awsstream.NewEvents(body, maxMessage, unwrap)
	}
	return awsstream.NewEvents(body, maxMessage, plainly)
}

// Classify knows Amazon's words. 401 and 403 are a signature, a key or a principal
// that may not call the model; a model that is not there, or not to be called this
// way or in this region, may be elsewhere.
//
// https://docs.aws.amazon.com/bedrock/latest/userguide/troubleshooting-api-error-codes.html
func (*Provider) Classify(status int, body []byte) provider.Class {
	head := bytes.ToLower(body[:min(len(body), 4096)])
	says := func(words ...string) bool {
		return slices.ContainsFunc(words, func(word string) bool { return bytes.Contains(head, []byte(word)) })
	}
	switch status {
	case http.StatusUnauthorized:
		return provider.OfCredential
	case http.StatusPaymentRequired:
		return provider.OfBalance
	case http.StatusForbidden:
		switch {
		case says("invalid_payment_instrument", "payment method"):
			return provider.OfBalance
		case says("access to the model", "access to model", "model access is denied"):
			return provider.OfChannel
		}
		return provider.OfCredential
	case http.StatusNotFound, http.StatusFailedDependency: // ModelErrorException is 424
		return provider.OfChannel
	case http.StatusBadRequest:
		switch {
		case says("model identifier is invalid", "on-demand throughput", "operation not allowed", "end of its life", "is not supported in this region"):
			return provider.OfChannel
		case says("servicequotaexceeded", "service quota"):
			return provider.OfBalance
		case says("security token", "expiredtoken", "unrecognizedclient"):
			return provider.OfCredential
		}
	}
	return provider.OfRequest
}
