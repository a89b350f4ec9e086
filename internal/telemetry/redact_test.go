package telemetry

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"
)

const (
	apiKey = "sk-hly0123456789abcdefghijABCDEFGHIJ0123456789abcXYZ"
	pat    = "hpat_0123456789abcdefghijABCDEFGHIJ0123456789abcdef"
)

func TestCredentialsAreMaskedAndNothingElse(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"nothing here":                          "nothing here",
		"key " + apiKey + " refused":            "key sk-*** refused",
		apiKey:                                  "sk-***",
		`"` + apiKey + `"`:                      `"sk-***"`,
		apiKey + apiKey:                         "sk-***",
		apiKey + " and " + pat:                  "sk-*** and hpat_***",
		"Authorization: Bearer abcDEF123456":    "Authorization: Bearer ***",
		"bearer " + apiKey + ".":                "bearer ***",
		"Authorization: " + pat:                 "Authorization: hpat_***",
		"sk-proj-abcdefghij_klmnop":             "sk-***",
		"x-sk-ant-api03-abcdef":                 "x-sk-***",
		"AIzaSyA1234567890abcdefghijklmnopqrst": "AIza***",
		"/v1beta/models?key=any%20shape&x=1":    "/v1beta/models?key=***&x=1",
		"/user/quota?start=1&key=imported!":     "/user/quota?start=1&key=***!",
		`/user/quota?a=1\u0026key=imported"`:    `/user/quota?a=1\u0026key=***"`,
		// What only looks like one stays readable.
		"task-01234567890 disk-0123456789": "task-01234567890 disk-0123456789",
		"sk-hly…wxyz":                      "sk-hly…wxyz",
		"sk-short":                         "sk-short",
		"send a Bearer credential":         "send a Bearer credential",
		"monkey=12 key=3 keys":             "monkey=12 key=3 keys",
		"hpat_":                            "hpat_",
	} {
		var out bytes.Buffer
		n, err := Redacted(&out).Write([]byte(in))
		if err != nil || n != len(in) || out.String() != want {
			t.Errorf("%q became %q (%d bytes, %v), want %q", in, out.String(), n, err, want)
		}
	}
}

type opaque struct{ Inner struct{ Credential string } }

func TestALoggerMasksWhereverACredentialHides(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"json", "text"} {
		var out bytes.Buffer
		log := NewLogger(&out, format, "debug")
		var hidden opaque
		hidden.Inner.Credential = apiKey
		log.Info("message with "+apiKey,
			"text", apiKey, "bytes", []byte(apiKey), "error", errors.New("upstream said: "+apiKey), "struct", hidden, "map", map[string]string{apiKey: pat},
			slog.Group("group", "a", pat), "url", "/user/quota?p=1&key="+apiKey)
		log.With("bound", apiKey).WithGroup("g").Debug("x", "y", "Bearer "+apiKey)
		if strings.Contains(out.String(), apiKey[3:]) || strings.Contains(out.String(), pat[5:]) {
			t.Errorf("%s: a credential is in %s", format, out.String())
		}
		if !strings.Contains(out.String(), "upstream said: sk-***") {
			t.Errorf("%s: the rest of the line is gone: %s", format, out.String())
		}
	}
}

func TestALoggerKeepsToItsLevelAndFormat(t *testing.T) {
	t.Parallel()
	for level, lines := range map[string]int{"debug": 4, "info": 3, "warn": 2, "error": 1, "": 3, "nonsense": 3} {
		var out bytes.Buffer
		log := NewLogger(&out, "json", level)
		log.Debug("d")
		log.Info("i")
		log.Warn("w")
		log.Error("e")
		if got := strings.Count(out.String(), "\n"); got != lines || !strings.HasPrefix(out.String(), `{"time":`) {
			t.Errorf("level %q: %d lines, want %d:\n%s", level, got, lines, out.String())
		}
	}
	var out bytes.Buffer
	NewLogger(&out, "text", "info").Info("hello there")
	if !strings.Contains(out.String(), `msg="hello there"`) {
		t.Errorf("text: %s", out.String())
	}
}

func FuzzRedacted(f *testing.F) {
	f.Add("a", "sk-hly", " b")
	f.Add("?key=", "x", "&key=")
	f.Fuzz(func(t *testing.T, before, middle, after string) {
		var once, twice bytes.Buffer
		if _, err := Redacted(&once).Write([]byte(before + " " + apiKey + " " + middle + " Bearer " + pat + " " + after)); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(once.String(), apiKey[3:]) || strings.Contains(once.String(), pat[5:]) {
			t.Fatalf("a credential is in %q", once.String())
		}
		if _, err := Redacted(&twice).Write(once.Bytes()); err != nil {
			t.Fatal(err)
		}
	})
}

func BenchmarkRedacted(b *testing.B) {
	line := []byte(`{"time":"2026-07-01T12:00:00.123456789Z","level":"INFO","msg":"request","request_id":"01jz0abcdefghjkmnpqrstvwxy","method":"POST","path":"/v1/chat/completions","status":200,"latency_ms":1234,"key_id":17,"model":"gpt-4o-mini","prompt_tokens":1000,"completion_tokens":200,"cost_usd":"0.000271"}` + "\n")
	w := Redacted(io.Discard)
	b.ReportAllocs()
	for b.Loop() {
		_, _ = w.Write(line)
	}
}
