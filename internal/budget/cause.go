package budget

import "time"

// Cause is who changes a balance, and why: what the row that the change leaves
// behind says beside the amount. A door fills in who asks; the domain that makes
// the change adds the rest with For.
type Cause struct {
	Actor     int64  // user id; 0 is the system itself
	RequestID string // of the management call, "" outside one
	Reason    Reason
	At        time.Time
}

// For is the cause with what only the domain knows of it.
func (c Cause) For(r Reason, at time.Time) Cause {
	c.Reason, c.At = r, at
	return c
}

// Reason is why a grant moved, in one word.
type Reason string

// The reasons.
const (
	Opening    Reason = "opening"     // what was there when the books were begun
	Created    Reason = "created"     // a key or account was made
	Imported   Reason = "imported"    // a key was made with a value from elsewhere
	Registered Reason = "registered"  // somebody made their own account
	FirstStart Reason = "first_start" // the root account of a new database
	Edited     Reason = "edited"      // the record was changed, its remainder among it
	Quota      Reason = "quota"       // the quota was added to, taken from or set

	// A subject became unlimited, or limited again. Such a row moves nothing.
	Lifted Reason = "unlimited"
	Bound  Reason = "limited"
)
