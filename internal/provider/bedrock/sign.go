package bedrock

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"halley/internal/channel"
	"halley/internal/provider"
)

// service is Bedrock's name in signatures, at its runtime and at its list of
// models.
const service = "bedrock"

// Credentials gives what signs requests.
type Credentials interface {
	Retrieve(ctx context.Context) (aws.Credentials, error)
}

// Sign implements provider.Signer with Amazon's Signature Version 4: of access
// keys, and of the server's own credentials where the upstream key asks for them.
// The signature is over the method, the address, the body, and those headers that
// are Amazon's; the others may be changed by proxies.
func (p *Provider) Sign(ctx context.Context, ch *channel.Channel, credential string, r provider.Outgoing) (secret string, ok bool, err error) {
	creds, ok, err := p.credentials(ctx, credential)
	if !ok || err != nil {
		return "", ok, err
	}
	at, err := url.Parse(r.URL)
	if err != nil {
		return "", true, fmt.Errorf("sign the request: %w", err)
	}
	signed := &http.Request{Method: r.Method, URL: at, Host: at.Host, Header: http.Header{}}
	for name, values := range r.Header {
		if name == "Content-Type" || strings.HasPrefix(name, "X-Amz") {
			signed.Header[name] = values
		}
	}
	sum := sha256.Sum256(r.Body)
	if err := p.signer.SignHTTP(ctx, creds, signed, hex.EncodeToString(sum[:]), service, ch.AWSRegion(), p.Now()); err != nil {
		return "", true, fmt.Errorf("sign the request: %w", err)
	}
	for _, name := range []string{"Authorization", "X-Amz-Date", "X-Amz-Security-Token"} {
		if values := signed.Header[name]; values != nil {
			r.Header[name] = values
		}
	}
	return creds.SecretAccessKey, true, nil
}

// ambientLimit bounds how long a request waits for the server's own credentials.
const ambientLimit = 10 * time.Second

// credentials are those of an upstream key; ok is false for a Bedrock API key.
func (p *Provider) credentials(ctx context.Context, key string) (creds aws.Credentials, ok bool, err error) {
	if key == channel.AmbientKey {
		ctx, cancel := context.WithTimeout(ctx, ambientLimit)
		defer cancel()
		creds, err := p.Ambient.Retrieve(ctx)
		if err != nil {
			return creds, true, &provider.Refusal{Reason: "the server has no credentials of Amazon's", Cause: err}
		}
		return creds, true, nil
	}
	k, ok, err := channel.ParseAWSKey(key)
	switch {
	case !ok:
		return creds, false, nil
	case err != nil:
		return creds, true, &provider.Refusal{Reason: "the upstream key is not ACCESS_KEY_ID:SECRET", Cause: err}
	}
	return aws.Credentials{AccessKeyID: k.ID, SecretAccessKey: k.Secret, SessionToken: k.SessionToken}, true, nil
}
