package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"halley/internal/jsonx"
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

// catalog generates from lists of 2026-07-24 and, a day each, later.
func catalog(t *testing.T, texts ...string) string {
	t.Helper()
	var lists []list
	for i, text := range texts {
		l, err := parseList([]byte(text), fmt.Sprintf("2026-07-%d", 24+i))
		if err != nil {
			t.Fatal(err)
		}
		lists = append(lists, l)
	}
	got, err := generate(lists, "2026-11-23")
	if err != nil {
		t.Fatal(err)
	}
	return string(got)
}

// withoutDemo is the catalog's lines but for the demo provider's models.
func withoutDemo(catalog string) []string {
	return slices.DeleteFunc(strings.Split(strings.TrimSpace(catalog), "\n"), func(line string) bool {
		return strings.HasPrefix(line, `{"model":"demo-`)
	})
}

func TestFactsBecomeACatalog(t *testing.T) {
	t.Parallel()
	got := catalog(t, facts)
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
	if diff := cmp.Diff(want, withoutDemo(got)); diff != "" {
		t.Error(diff)
	}
	if n := strings.Count(got, `{"model":"demo-`); n != 10 {
		t.Errorf("%d demo models, want 10", n)
	}
}

const more = `[
{"model":"b","vendor":"mistral","mode":"chat","usd_per_1m_tokens":{"input":9,"output":9},"seen":"x"},
{"model":"gone","vendor":"mistral","mode":"chat","usd_per_1m_tokens":{"input":9,"output":9},"seen":"x"},
{"model":"half-priced","vendor":"mistral","mode":"chat","usd_per_1m_tokens":{"input":9,"output":9},"seen":"x"},
{"model":"new","vendor":"mistral","mode":"chat","usd_per_1m_tokens":{"input":1,"output":2},"released":"2025-12-02","seen":"x"},
{"model":"newer","vendor":"mistral","mode":"chat","usd_per_1m_tokens":{"input":1,"output":2},"seen":"x"},
{"model":"newly-gone","vendor":"mistral","mode":"chat","usd_per_1m_tokens":{"input":1,"output":2},"retires":"2026-07-31","seen":"x"}
]`

func TestASecondListAddsWhatTheFirstLacks(t *testing.T) {
	t.Parallel()
	first, both := withoutDemo(catalog(t, facts)), withoutDemo(catalog(t, facts, more))
	want := slices.Insert(slices.Clone(first), 4,
		`{"model":"new","date":"2026-07-25","vendor":"mistral","mode":"chat","input":1,"output":2,"created":1764633600},`,
		`{"model":"newer","date":"2026-07-25","vendor":"mistral","mode":"chat","input":1,"output":2,"created":1784937600},`)
	if diff := cmp.Diff(want, both); diff != "" {
		t.Error(diff)
	}
}

func TestTheSameFactsGiveTheSameFile(t *testing.T) {
	t.Parallel()
	first := catalog(t, facts, more)
	for range 20 {
		if again := catalog(t, facts, more); again != first {
			t.Fatalf("differs:\n%s", cmp.Diff(first, again))
		}
	}
}

func TestOurOwnFactsSayWhereTheyWereSeenAndAreInTheCatalog(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("more.json")
	if err != nil {
		t.Fatal(err)
	}
	var seen []struct {
		Model string `json:"model"`
		Seen  string `json:"seen"`
	}
	if err := jsonx.Decode(text, &seen); err != nil {
		t.Fatal(err)
	}
	// A commit or a date, at least of a year, tells how old a source is.
	dated := regexp.MustCompile(` at [0-9a-f]{12}\b|\b20\d\d\b`)
	for _, f := range seen {
		if !strings.Contains(f.Seen, "/") || !dated.MatchString(f.Seen) {
			t.Errorf("%s was seen %q", f.Model, f.Seen)
		}
	}
	l, err := parseList(text, "2026-11-23")
	if err != nil {
		t.Fatal(err)
	}
	generated, err := generate([]list{{date: l.date}, l}, "2026-11-23")
	if err != nil {
		t.Fatal(err)
	}
	written, err := os.ReadFile(filepath.Join("..", "catalog.json"))
	if err != nil {
		t.Fatal(err)
	}
	ours := func(catalog []byte) []string {
		var lines []string
		for line := range strings.Lines(string(catalog)) {
			if strings.Contains(line, `,"date":"2026-11-23",`) {
				lines = append(lines, strings.TrimRight(line, ",\n"))
			}
		}
		return lines
	}
	if diff := cmp.Diff(ours(generated), ours(written)); diff != "" {
		t.Errorf("the catalog is not of these facts; run go generate (-facts +catalog):\n%s", diff)
	}
}

func TestBadInputIsRefusedAndLeavesTheFileAlone(t *testing.T) {
	t.Parallel()
	const day, good = "2026-07-24", `[]`
	bad := map[string]string{
		"not JSON":       `{`,
		"a bad price":    `[{"model":"m","vendor":"v","mode":"chat","usd_per_1m_tokens":{"input":-1}}]`,
		"a bad name":     `[{"model":" m","vendor":"v","mode":"chat","usd_per_1m_tokens":{"input":1,"output":1}}]`,
		"no mode":        `[{"model":"m","vendor":"v","usd_per_1m_tokens":{"input":1,"output":1}}]`,
		"too many zeros": `[{"model":"m","vendor":"v","mode":"chat","usd_per_1m_tokens":{"input":0.0000001,"output":1}}]`,
		"a bad release":  `[{"model":"m","vendor":"v","mode":"chat","usd_per_1m_tokens":{"input":1,"output":1},"released":"soon"}]`,
		"a model twice":  `[{"model":"m","vendor":"v"},{"model":"m","vendor":"v"}]`,
	}
	type input struct{ facts, date, more, moreDate, today string }
	cases := map[string]input{
		"no date":            {good, "", good, day, day},
		"no date of more":    {good, day, good, "", day},
		"a bad today":        {good, day, good, day, "today"},
		"a file not there":   {"", day, good, day, day},
		"a second not there": {good, day, "", day, day},
	}
	for name, facts := range bad {
		cases[name] = input{facts, day, good, day, day}
		cases[name+" in the second list"] = input{good, day, facts, day, day}
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			out := filepath.Join(dir, "catalog.json")
			file := func(name, text string) string {
				path := filepath.Join(dir, name)
				if text == "" {
					return path
				}
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
				return path
			}
			sources := []source{{file("facts.json", c.facts), c.date}, {file("more.json", c.more), c.moreDate}}
			if err := run(sources, c.today, out); err == nil {
				t.Error("accepted")
			}
			if _, err := os.Stat(out); !os.IsNotExist(err) {
				t.Error("a file was written")
			}
		})
	}
}
