package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const facts = `[
{"model":"b-2025-04-14","vendor":"gemini","mode":"chat","usd_per_1m_tokens":{"input":3.0,"output":15.0,"cache_read":0.3,"cache_write_5m":3.75,"cache_write_1h":6.0,"reasoning_output":15.0,"audio_input":7e-1},
 "above_prompt_tokens":[{"over":200000,"cache_write_5m":0.6,"input":6.0,"output":22.5}],
 "service_tiers":{"flex":{"input":1.5,"output":7.5},"priority":{"input":50}},
 "max_input_tokens":200000,"max_output_tokens":64000,"retires":"2026-11-24","can":["vision","tool_choice","function_calling"],"modalities":{"in":null}},
{"model":"b-2024-01-02","vendor":"openai","mode":"chat","usd_per_1m_tokens":{"input":1,"output":2}},
{"model":"b","vendor":"vertex_ai-language-models","mode":"chat","usd_per_1m_tokens":{"input":1,"output":2,"cache_write_5m":0.0}},
{"model":"gone","vendor":"openai","mode":"chat","usd_per_1m_tokens":{"input":1,"output":2},"retires":"2026-11-23"},
{"model":"by-the-image","vendor":"openai","mode":"image_generation","usd_per_1m_tokens":{"input":0.0,"output":0.0},"usd_per":{"image":0.039}},
{"model":"by-the-second","vendor":"openai","mode":"audio_transcription","usd_per":{"input_second":0.0002833333333333333}},
{"model":"half-priced","vendor":"openai","mode":"chat","usd_per_1m_tokens":{"input":1}},
{"model":"pictures","vendor":"text-completion-openai","mode":"image_generation","usd_per_1m_tokens":{"input":5,"image_output":40}},
{"model":"vectors","vendor":"vertex_ai-embedding-models","mode":"embedding","usd_per_1m_tokens":{"input":0.15,"output":0.0}}
]`

func TestFactsBecomeACatalog(t *testing.T) {
	t.Parallel()
	got, err := generate([]byte(facts), "2026-07-24", "2026-11-23")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		`{"date":"2026-07-24","models":[`,
		// An alias is as old as its oldest dated version.
		`{"model":"b","vendor":"google","mode":"chat","input":1,"output":2,"created":1704153600},`,
		`{"model":"b-2024-01-02","vendor":"openai","mode":"chat","input":1,"output":2,"created":1704153600},`,
		`{"model":"b-2025-04-14","vendor":"google","mode":"chat","input":3,"output":15,"cache_read":0.3,"cache_write_5m":3.75,"cache_write_1h":6,"audio_input":0.7,` +
			`"above_prompt_tokens":[{"over":200000,"input":6,"output":22.5,"cache_write_1h":12}],"service_tiers":{"flex":{"input":1.5,"output":7.5}},` +
			`"max_input_tokens":200000,"max_output_tokens":64000,"created":1744588800,"features":["function_calling","vision"]},`,
		`{"model":"pictures","vendor":"openai","mode":"image_generation","input":5,"output":40,"created":1784851200},`,
		`{"model":"vectors","vendor":"google","mode":"embedding","input":0.15,"created":1784851200}`,
		`]}`,
	}
	lines := slices.DeleteFunc(strings.Split(strings.TrimSpace(string(got)), "\n"), func(line string) bool {
		return strings.HasPrefix(line, `{"model":"demo-`)
	})
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Error(diff)
	}
	if n := strings.Count(string(got), `{"model":"demo-`); n != 8 {
		t.Errorf("%d demo models, want 8", n)
	}
}

func TestTheSameFactsGiveTheSameFile(t *testing.T) {
	t.Parallel()
	first, err := generate([]byte(facts), "2026-07-24", "2026-11-23")
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		again, err := generate([]byte(facts), "2026-07-24", "2026-11-23")
		if err != nil || string(again) != string(first) {
			t.Fatalf("differs: %v\n%s", err, cmp.Diff(string(first), string(again)))
		}
	}
}

func TestBadInputIsRefusedAndLeavesTheFileAlone(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ facts, date, today string }{
		"not JSON":       {`{`, "2026-07-24", "2026-11-23"},
		"a bad price":    {`[{"model":"m","vendor":"v","mode":"chat","usd_per_1m_tokens":{"input":-1}}]`, "2026-07-24", "2026-11-23"},
		"no date":        {`[]`, "", "2026-11-23"},
		"a bad today":    {`[]`, "2026-07-24", "today"},
		"a bad name":     {`[{"model":" m","vendor":"v","mode":"chat","usd_per_1m_tokens":{"input":1,"output":1}}]`, "2026-07-24", "2026-11-23"},
		"no mode":        {`[{"model":"m","vendor":"v","usd_per_1m_tokens":{"input":1,"output":1}}]`, "2026-07-24", "2026-11-23"},
		"too many zeros": {`[{"model":"m","vendor":"v","mode":"chat","usd_per_1m_tokens":{"input":0.0000001,"output":1}}]`, "2026-07-24", "2026-11-23"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			in, out := filepath.Join(dir, "facts.json"), filepath.Join(dir, "catalog.json")
			if err := os.WriteFile(in, []byte(c.facts), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := run(in, c.date, c.today, out); err == nil {
				t.Error("accepted")
			}
			if _, err := os.Stat(out); !os.IsNotExist(err) {
				t.Error("a file was written")
			}
		})
	}
}
