package translate

import (
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"halley/internal/wire"
)

// WebBounds are the settings of a WebSearch tool that several dialects have.
type WebBounds struct {
	Allowed, Blocked jsontext.Value // lists of domains; nil: not said
	// Place says where the user is.
	Place *Place
	// MaxUses is how often the model may search; 0: not said.
	MaxUses int64
	Size    string // OpenAI's search_context_size
}

// Place is roughly where somebody is.
type Place struct{ City, Region, Country, Timezone string }

// Web reads the settings of a tool in whatever dialect it was defined: Anthropic
// has the domains at the tool, OpenAI below filters, and Vertex AI those that are
// blocked as excludeDomains; Chat has the place one level deeper.
func (t *Tool) Web() (b WebBounds) {
	raw := t.Raw
	for _, inner := range []string{"googleSearch", "google_search"} {
		if at := wire.Find(raw, inner); at.Present() {
			raw = at.Of(raw)
		}
	}
	domains := func(names ...string) jsontext.Value {
		filters := wire.Find(raw, "filters").Of(raw)
		for _, name := range names {
			for _, object := range [][]byte{raw, filters} {
				if v := jsontext.Value(wire.Find(object, name).Of(object)); v.Kind() == '[' && !emptyList(v) {
					return v
				}
			}
		}
		return nil
	}
	b.Allowed, b.Blocked = domains("allowed_domains"), domains("blocked_domains", "excludeDomains", "exclude_domains")
	b.Size = wire.Text(wire.Find(raw, "search_context_size").Of(raw))
	if n, err := strconv.ParseInt(string(wire.Find(raw, "max_uses").Of(raw)), 10, 64); err == nil && n > 0 {
		b.MaxUses = n
	}
	place := wire.Find(raw, "user_location").Of(raw)
	if at := wire.Find(place, "approximate"); at.Present() {
		place = at.Of(place)
	}
	if jsontext.Value(place).Kind() == '{' {
		text := func(name string) string { return wire.Text(wire.Find(place, name).Of(place)) }
		b.Place = &Place{text("city"), text("region"), text("country"), text("timezone")}
	}
	return b
}

func emptyList(v jsontext.Value) bool {
	for _, c := range v[1:] {
		switch c {
		case ' ', '\t', '\n', '\r':
		default:
			return c == ']'
		}
	}
	return true
}

// DropWish notes that a setting of a tool that the provider runs is left out.
func (c *Conversation) DropWish(wish string) {
	c.DropField(c.Field(FeatureServerTool) + "." + wish)
}

// ServerCalls is how often the model may call tools that the provider runs, as
// far as the request bounds that: OpenAI bounds them all, Anthropic each tool.
// It is 0 where one of them is not bounded, or none is there.
func (c *Conversation) ServerCalls() (calls int64) {
	bounded := true
	for i := range c.Tools {
		if t := &c.Tools[i]; t.Kind != Function && t.Kind != Custom {
			uses := t.Web().MaxUses
			calls += uses
			bounded = bounded && uses > 0
		}
	}
	if c.MaxServerCalls != nil && (!bounded || calls > *c.MaxServerCalls) && c.servers() > 0 {
		return *c.MaxServerCalls
	}
	if !bounded {
		return 0
	}
	return calls
}

// servers is how many of the tools the provider runs.
func (c *Conversation) servers() (n int) {
	for i := range c.Tools {
		if t := &c.Tools[i]; t.Kind != Function && t.Kind != Custom {
			n++
		}
	}
	return n
}
