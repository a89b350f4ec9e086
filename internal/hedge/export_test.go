package hedge

// Len is how many targets are kept.
func (p *Pacer) Len() int { return len(p.targets) }
