package azure

// Settle waits for the calls for tokens that are under way.
func (p *Provider) Settle() { p.tokens.Settle() }
