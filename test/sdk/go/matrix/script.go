package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
)

// What the script behind the server says: test/fakeprovider/questions.go.
const (
	text     = "Halley’s comet returns in 2061 – voilà ☄️ 🇩🇪."
	thoughts = "It was here in 1986, and takes about 75 years."
	answer   = `{"year":2061,"place":"Zürich"}`
	failure  = "The script answers with this error."
	image    = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)

// usage is in the terms of OpenAI.
type usage struct{ prompt, cached, completion, reasoning int64 }

func used(got usage) error { return same("usage", got, usage{19, 4, 23, 5}) }

func tools() []string { return []string{"get_weather", "get_time"} }

// parameters are the schema of a tool.
func parameters(tool string) map[string]any {
	properties := map[string]any{"zone": map[string]any{"type": "string"}}
	if tool == "get_weather" {
		properties = map[string]any{"city": map[string]any{"type": "string"}, "days": map[string]any{"type": "integer"}}
	}
	return map[string]any{"type": "object", "properties": properties}
}

func schema() map[string]any {
	return map[string]any{
		"type":       "object",
		"properties": map[string]any{"year": map[string]any{"type": "integer"}, "place": map[string]any{"type": "string"}},
		"required":   []string{"year", "place"}, "additionalProperties": false,
	}
}

// runTool checks a call of the script's and answers it.
func runTool(name, arguments string) (string, error) {
	want, result := `{"zone":"Europe/Zurich"}`, "noon"
	if name == "get_weather" {
		want, result = `{"city":"Zürich","days":3}`, "21 degrees"
	}
	return result, sameJSON("the arguments of "+name, arguments, want)
}

// signed holds what [recall] says to a client against the truth. OpenAI's chat
// completions have no proof of thoughts; Gemini's, on a text, is one that it does
// not ask for and that stays behind in other dialects.
func signed(dialect string, at place, said string) error {
	switch {
	case at.dialect == "chat":
		return nil
	case at.dialect == "gemini" && dialect != "gemini":
		return same("what came back of the thoughts", said[:min(8, len(said))], "unsigned")
	}
	return same("what came back of the thoughts", said, "signed")
}

func same(what string, got, want any) error {
	if !reflect.DeepEqual(got, want) {
		return fmt.Errorf("%s: got %+v, want %+v", what, got, want)
	}
	return nil
}

func sameJSON(what, got, want string) error {
	var g, w any
	if err := errors.Join(json.Unmarshal([]byte(got), &g), json.Unmarshal([]byte(want), &w)); err != nil {
		return fmt.Errorf("%s: %w: %s", what, err, got)
	}
	return same(what, g, w)
}

// apiError is what SDKs' errors have in common.
type apiError struct {
	status int
	words  string // the whole error
}

// wantErrors goes through the classes of error. ask asks a model with a key and
// gives the SDK's error, or another one when it is not the SDK's.
func wantErrors(at place, ask func(key, model string) (apiError, error)) error {
	var wrong []error
	check := func(what, key, model string, status int, words string) {
		got, err := ask(key, model)
		if err != nil {
			wrong = append(wrong, fmt.Errorf("%s: %w", what, err))
			return
		}
		if got.status != status || !strings.Contains(got.words, words) {
			wrong = append(wrong, fmt.Errorf("%s: got %+v, want %d %q", what, got, status, words))
		}
	}
	// 401 means that our credential was refused, which is not the client's affair.
	for status, want := range map[int]int{400: 400, 401: 502, 429: 429, 500: 500, 503: 503} {
		words := failure
		if status != want {
			words = ""
		}
		check(fmt.Sprintf("status %d", status), os.Getenv("HALLEY_API_KEY"), fmt.Sprintf("%s-error-%d", at.dialect, status), want, words)
	}
	// Halley's own name the request, in the message or beside it.
	const ours = "request"
	check("an unknown key", "sk-nobody-has-this-key", at.model, 401, ours)
	for variable, status := range map[string]int{"HALLEY_KEY_EXPIRED": 401, "HALLEY_KEY_EXHAUSTED": 402, "HALLEY_KEY_MODEL_LIMITED": 403} {
		check(variable, os.Getenv(variable), at.model, status, ours)
	}
	check("an unknown model", os.Getenv("HALLEY_API_KEY"), "script-nowhere", 404, ours)
	return errors.Join(wrong...)
}
