package channel

import "strings"

// Match reports whether a model's name fits a pattern, in which each * stands
// for any number of characters. Case matters.
func Match(pattern, model string) bool {
	head, rest, wild := strings.Cut(pattern, "*")
	if !wild {
		return pattern == model
	}
	if !strings.HasPrefix(model, head) {
		return false
	}
	model = model[len(head):]
	for {
		// Taking each piece as early as possible leaves the most for the rest.
		piece, next, more := strings.Cut(rest, "*")
		if !more {
			return strings.HasSuffix(model, piece)
		}
		i := strings.Index(model, piece)
		if i < 0 {
			return false
		}
		model, rest = model[i+len(piece):], next
	}
}

// Offers reports whether the channel lists the public model.
func (c *Channel) Offers(model string) bool {
	for _, pattern := range c.Models {
		if Match(pattern, model) {
			return true
		}
	}
	return false
}

// Serves reports whether the channel is in the group.
func (c *Channel) Serves(group string) bool {
	for _, g := range c.Groups {
		if g == group {
			return true
		}
	}
	return false
}
