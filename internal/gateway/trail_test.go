package gateway_test

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"halley/internal/account"
	"halley/internal/group"
	"halley/internal/provider"
	"halley/internal/usage"
	wireanthropic "halley/internal/wire/anthropic"
)

// The record tells what became of each attempt, unless there was but one and it
// served; for administrators the answer's header says the same.
func TestARecordTellsWhatBecameOfEachAttempt(t *testing.T) {
	t.Parallel()
	whole := answers(200, "application/json", plainAnswer)
	limited := after("1", overloaded)
	broken := func(w http.ResponseWriter, _ *http.Request) {
		streams(w, chunk(words))
		panic(http.ErrAbortHandler)
	}
	for name, row := range map[string]struct {
		ask          string
		first, other http.HandlerFunc
		trail        string // channel=outcome (detail)
		header       string // where it says another thing
	}{
		"served at once":          {first: whole, other: whole, header: "5=success"},
		"served elsewhere":        {first: limited, other: whole, trail: "5=rate-limited (status 429), 9=success ()"},
		"all failed":              {first: limited, other: answers(500, "application/json", overloaded), trail: "5=rate-limited (status 429), 9=failed (status 500)"},
		"our key refused":         {first: limited, other: answers(401, "application/json", overloaded), trail: "5=rate-limited (status 429), 9=credential (status 401)"},
		"nothing that is JSON":    {first: answers(200, "text/html", "<html>"), other: whole, trail: "5=failed (a 200 that is no answer), 9=success ()"},
		"refused at once":         {first: answers(400, "application/json", overloaded), other: whole, trail: "5=client-fault ()"},
		"refused elsewhere":       {first: limited, other: answers(400, "application/json", overloaded), trail: "5=rate-limited (status 429), 9=client-fault ()"},
		"streamed":                {ask: streamAsk, first: func(w http.ResponseWriter, _ *http.Request) { streams(w, chunk(words), lastChunk, usageChunk, done) }, other: whole, header: "5=success"},
		"broken in mid-stream":    {ask: streamAsk, first: broken, other: whole, trail: "5=failed ()", header: "5=success"},
		"broken after a failover": {ask: streamAsk, first: limited, other: broken, trail: "5=rate-limited (status 429), 9=failed ()", header: "5=rate-limited, 9=success"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked calls
			h := newHouse(t, row.first, first, asked.channel(t, 9, row.other, group.Default), func(h *house) { h.owner.Role = account.RoleAdmin })
			var c client
			h.do(t.Context(), cmp.Or(row.ask, plainAsk), &c)
			r := h.settled()
			if got := told(r.Trail); got != row.trail {
				t.Errorf("the record's trail is %q, want %q", got, row.trail)
			}
			header := row.header
			for _, one := range r.Trail {
				if row.header == "" {
					header = strings.TrimPrefix(header+fmt.Sprintf(", %d=%s", one.ChannelID, one.Outcome), ", ")
				}
			}
			if got := c.header.Get("X-Halley-Attempts"); got != header {
				t.Errorf("X-Halley-Attempts is %q, want %q", got, header)
			}
			if !slices.IsSortedFunc(r.Trail, func(a, b usage.Try) int { return cmp.Compare(a.Began, b.Began) }) {
				t.Errorf("the attempts are not in their order: %+v", r.Trail)
			}
			for _, one := range r.Trail {
				if one.Began < 0 || one.Took <= 0 || one.Began+one.Took > r.Latency {
					t.Errorf("an attempt lasts %v from %v, the request %v", one.Took, one.Began, r.Latency)
				}
			}
		})
	}
}

// Each channel that has no words for a request is passed over and noted. The trail
// keeps to its bound, or the journal could not read the record, and the last
// attempt has its place.
func TestATrailIsBoundedHoweverManyArePassedOver(t *testing.T) {
	t.Parallel()
	var u claude
	h := dialects(t, func(http.ResponseWriter, *http.Request) { t.Error("asked for what it has no words for") }, &u, func(h *house) {
		for i := range int64(2 * usage.MaxTries) {
			mute := *h.channel
			mute.ID, mute.Priority = 100+i, 500
			h.more = append(h.more, &mute)
		}
	})
	var c client
	r := h.ask(t, provider.Messages, wireanthropic.Messages{}, searching, &c)
	if c.status != 200 || len(r.Trail) != usage.MaxTries {
		t.Fatalf("client got %d, %d attempts are kept", c.status, len(r.Trail))
	}
	if last := r.Trail[usage.MaxTries-1]; last.ChannelID != 9 || last.Outcome != "success" {
		t.Errorf("the last attempt is %+v", last)
	}
}

func told(trail []usage.Try) string {
	parts := make([]string, len(trail))
	for i, one := range trail {
		parts[i] = fmt.Sprintf("%d=%s (%s)", one.ChannelID, one.Outcome, one.Detail)
	}
	return strings.Join(parts, ", ")
}
