package app

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"halley/internal/channel"
	"halley/internal/health"
	"halley/internal/telemetry"
)

func TestAChangeOfHealthIsLoggedCountedAndForgottenWithItsChannel(t *testing.T) {
	t.Parallel()
	var lines strings.Builder
	tracker, err := newHealth(slog.New(slog.NewTextHandler(&lines, nil)), telemetry.NewMetrics(telemetry.Build{Version: "1"}), func(health.Transition) {})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	refused := health.Target{Channel: 5, Credential: "a", Model: "m"}
	attempt, _ := tracker.Begin(now, refused, false)
	attempt.Done(now, health.Outcome{Class: health.Credential, Detail: "status 401"})
	for _, want := range []string{"level=WARN", "channel_id=5", "upstream_key_id=a", "from=closed to=out", `reason="the upstream key was refused: status 401"`} {
		if !strings.Contains(lines.String(), want) {
			t.Errorf("the log lacks %s: %s", want, lines.String())
		}
	}
	forgetOthers(tracker, []*channel.Channel{{ID: 5, Credentials: []channel.Credential{{ID: "a"}}}})
	if v := tracker.Look(now, refused); v.State != health.Out {
		t.Errorf("after an unrelated change it is %s", v.State)
	}
	forgetOthers(tracker, []*channel.Channel{{ID: 5, Credentials: []channel.Credential{{ID: "b"}}}})
	if v := tracker.Look(now, refused); v.State != health.Closed {
		t.Errorf("with its key replaced it is %s", v.State)
	}
}
