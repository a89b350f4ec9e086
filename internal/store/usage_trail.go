package store

import (
	"fmt"
	"time"

	"halley/internal/jsonx"
	"halley/internal/usage"
)

// storedTry is an attempt as it is stored: times are milliseconds.
type storedTry struct {
	Channel int64  `json:"channel"`
	Outcome string `json:"outcome"`
	Detail  string `json:"detail,omitempty"`
	Began   int64  `json:"began"`
	Took    int64  `json:"took"`
}

// trailText is a JSON array, "" for no attempts: most requests have one, that
// served, and write nothing here.
func trailText(trail []usage.Try) string {
	if len(trail) == 0 {
		return ""
	}
	tries := make([]storedTry, len(trail))
	for i, one := range trail {
		tries[i] = storedTry{one.ChannelID, stored(one.Outcome, maxWord), stored(one.Detail, maxWord), one.Began.Milliseconds(), one.Took.Milliseconds()}
	}
	text, err := jsonx.Marshal(tries)
	if err != nil {
		return "" // numbers and valid text always marshal; a charge must not fail over this
	}
	return string(text)
}

func readTrail(text string) ([]usage.Try, error) {
	if text == "" {
		return nil, nil
	}
	var tries []storedTry
	if err := jsonx.Unmarshal([]byte(text), &tries); err != nil {
		return nil, fmt.Errorf("read the attempts: %w", err)
	}
	trail := make([]usage.Try, len(tries))
	for i, one := range tries {
		trail[i] = usage.Try{ChannelID: one.Channel, Outcome: one.Outcome, Detail: one.Detail, Began: time.Duration(one.Began) * time.Millisecond, Took: time.Duration(one.Took) * time.Millisecond}
	}
	return trail, nil
}
