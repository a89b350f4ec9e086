package bedrock

import (
	"context"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
)

// Ambient is the credentials that the server itself runs with, as Amazon's SDK
// finds them: in the environment, in its shared files, by a web identity, or from
// the container's or machine's metadata service. Nothing is looked for before a
// channel wants them. The SDK's own HTTP client asks, never a channel's network:
// the metadata services have addresses that channels may not reach.
type Ambient struct {
	mu    sync.Mutex
	found aws.CredentialsProvider // keeps what it got until it ends
}

var _ Credentials = (*Ambient)(nil)

// Retrieve gives them as they are now.
func (a *Ambient) Retrieve(ctx context.Context) (aws.Credentials, error) {
	chain, err := a.chain(ctx)
	if err != nil {
		return aws.Credentials{}, err
	}
	return chain.Retrieve(ctx)
}

// chain reads the SDK's configuration once.
func (a *Ambient) chain(ctx context.Context) (aws.CredentialsProvider, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.found == nil {
		c, err := config.LoadDefaultConfig(ctx)
		if err != nil {
			return nil, err
		}
		a.found = c.Credentials
	}
	return a.found, nil
}
