package gateway

import (
	"net/http"

	"halley/internal/channel"
)

// overrideHeader does to a header on its way upstream what the channel's
// operator wants done.
func overrideHeader(h http.Header, o *channel.Overrides) {
	if o == nil {
		return
	}
	for _, name := range o.RemoveHeaders {
		delete(h, name)
	}
	for _, d := range o.DefaultHeaders {
		if h.Get(d.Name) == "" {
			h[d.Name] = []string{d.Value}
		}
	}
	for _, s := range o.SetHeaders {
		h[s.Name] = []string{s.Value}
	}
	silenceAgent(h)
}

// addedTokens bounds what the channel's overrides add to the prompt.
func (p *plan) addedTokens() int64 {
	text, media := p.channel.Overrides.Added()
	return int64(text) + int64(media)*mediaTokens
}
