package channel

// applyShape is about what is sent to a channel and how much.
func applyShape(c *Channel, change Change) error {
	var err error
	if o := change.Overrides; o.Set {
		spec := OverrideSpec{} // null takes all away
		if !o.Null {
			spec = o.Value.apply(c.Overrides.Spec())
		}
		if c.Overrides, err = NewOverrides(spec); err != nil {
			return err
		}
	}
	switch caps := change.Caps; {
	case caps.Null:
		c.Caps = Caps{}
	case caps.Set:
		c.Caps, err = caps.Value.apply(c.Caps)
	}
	return err
}
