// Package cluster owns what servers on one PostgreSQL tell each other: it hears
// notices, and follows the feed of what others have changed, so that nothing
// kept in memory outlives its change by a second. It must not know what the
// changes mean, nor SQL.
package cluster

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// ChangesChannel is where changes are announced.
const ChangesChannel = "halley_changes"

// The topics of changes, and what the ref of each is.
const (
	TopicKey         = "key"          // a key's id
	TopicKeyValue    = "key_value"    // the look-up hash of a value that is new, in hexadecimal
	TopicUser        = "user"         // a user's id
	TopicSession     = "session"      // the id of the user whose session ended
	TopicAccessToken = "access_token" // the id of the user whose token ended
	TopicChannel     = "channel"      // a channel's id
	TopicGroup       = "group"        // a group's name
	TopicOption      = "option"       // an option's name
	TopicPrice       = "price"        // a price version's id

	TopicLoginProvider = "login_provider" // a login provider's name
)

// Change is one thing that somebody, maybe this server, has changed.
type Change struct {
	ID    int64
	Topic string
	Ref   string
	// Millis is when, in Unix milliseconds by the database's clock. The change
	// can be seen a little later, when its transaction is committed.
	Millis int64
}

// ParseChange reads a notice's payload, id|topic|millis|ref.
func ParseChange(payload string) (Change, error) {
	parts := strings.SplitN(payload, "|", 4)
	if len(parts) != 4 {
		return Change{}, fmt.Errorf("the notice %.80q is no change", payload)
	}
	id, err := strconv.ParseInt(parts[0], 10, 64)
	if err != nil {
		return Change{}, fmt.Errorf("read the notice %.80q: %w", payload, err)
	}
	millis, err := strconv.ParseInt(parts[2], 10, 64)
	if err != nil {
		return Change{}, fmt.Errorf("read the notice %.80q: %w", payload, err)
	}
	return Change{ID: id, Topic: parts[1], Ref: parts[3], Millis: millis}, nil
}

// Store keeps the feed of changes.
type Store interface {
	// Changes gives the changes that can be seen now and could not when since
	// was answered as Page.Cursor, by ascending id; none for an empty since.
	// Transactions become visible in any order; none is skipped.
	Changes(ctx context.Context, since string) (Page, error)
	// PruneChanges drops the changes that could be seen before the cursor was
	// answered.
	PruneChanges(ctx context.Context, cursor string) error
}

// Page is what can be seen of the feed at one moment.
type Page struct {
	Changes []Change
	// More means that there are too many to list them.
	More bool
	// Rewound means that the database is behind where it was at since: it was
	// restored, or a standby took over that had not heard everything.
	Rewound bool
	Cursor  string
	Now     time.Time // by the database's clock
}
