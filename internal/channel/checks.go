package channel

import (
	"strings"
	"time"
	"unicode/utf8"
)

// Checks is how a channel is looked after when nobody uses it. The zero Checks is
// not at all.
type Checks struct {
	Mode  CheckMode
	Model string        // public name; the model of CheckRequest
	Every time.Duration // 0 is DefaultCheckEvery
}

// CheckMode is what a check asks for.
type CheckMode string

// The modes.
const (
	NoChecks     CheckMode = ""
	CheckModels  CheckMode = "models"  // the upstream's model list, which costs nothing
	CheckRequest CheckMode = "request" // a few words of Checks.Model
)

// The bounds of Checks.Every, and what it is when it is not set.
const (
	DefaultCheckEvery = time.Minute
	MinCheckEvery     = 5 * time.Second
	MaxCheckEvery     = 24 * time.Hour
)

// Interval is how often to check.
func (c Checks) Interval() time.Duration {
	if c.Every == 0 {
		return DefaultCheckEvery
	}
	return c.Every
}

// applyAPI sets which endpoints the upstream has.
func applyAPI(c *Channel, change Change) error {
	if v := change.API; v != nil {
		switch *v {
		case "", ChatOnly, ChatAndResponses, ResponsesOnly:
			c.API = *v
		default:
			return invalid("api", "invalid_api", "api must be %q, %q or %q, not %q.", ChatOnly, ChatAndResponses, ResponsesOnly, clip(string(*v)))
		}
	}
	if c.API == ChatOnly {
		c.API = ""
	}
	return nil
}

// applyChecks sets what a change says of checks.
func applyChecks(c *Channel, change Change) error {
	if v := change.CheckMode; v != nil {
		switch mode := CheckMode(strings.TrimSpace(*v)); mode {
		case "off", NoChecks:
			c.Checks.Mode = NoChecks
		case CheckModels, CheckRequest:
			c.Checks.Mode = mode
		default:
			return invalid("probe.mode", "invalid_probe", "probe.mode must be off, models or request, not %q.", clip(string(mode)))
		}
	}
	if v := change.CheckModel; v != nil {
		c.Checks.Model = strings.TrimSpace(*v)
		if n := utf8.RuneCountInString(c.Checks.Model); n > MaxModel || hasControl(c.Checks.Model) {
			return invalid("probe.model", "invalid_probe", "probe.model must be at most %d characters without control characters.", MaxModel)
		}
	}
	if v := change.CheckEverySeconds; v != nil {
		every := time.Duration(*v) * time.Second
		if *v != 0 && (*v < 0 || *v > int64(MaxCheckEvery/time.Second) || every < MinCheckEvery) {
			return invalid("probe.every_s", "invalid_probe", "probe.every_s must be 0 (%d) or from %d to %d seconds.", int64(DefaultCheckEvery/time.Second), int64(MinCheckEvery/time.Second), int64(MaxCheckEvery/time.Second))
		}
		c.Checks.Every = every
	}
	if c.Checks.Mode == CheckRequest && c.Checks.Model == "" {
		return invalid("probe.model", "invalid_probe", "probe.model must name the model that a request is made to.")
	}
	return nil
}
