package redis

import "time"

// Hasten makes what takes a minute take a moment. Call it before Start.
func (b *Backend) Hasten(reach, lease, renew, probe time.Duration) {
	b.times.reach, b.times.lease, b.times.renew, b.times.probe = reach, lease, renew, probe
}

// Patient gives the server more time on a busy machine.
func (b *Backend) Patient(patience time.Duration) { b.times.patience = patience }
