package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
)

// table is what a file like bench/targets.json says.
type table struct {
	Floor    string   `json:"floor"` // name of the target that the others are compared with
	Upstream target   `json:"upstream"`
	Targets  []target `json:"targets"`
}

// target is one program to measure. In every string but the name, {{port}},
// {{dir}} (its own empty directory), {{bin}} (where built programs are),
// {{upstream}} (URL of the upstream, without a path), {{secret}} (random, new
// in each run) and what the setup saved stand for their values.
type target struct {
	Name     string            `json:"name"`
	Build    string            `json:"build"`     // Go package to build into {{bin}}; "" builds nothing
	Command  []string          `json:"command"`   // must stay in the foreground and listen on {{port}}
	Env      map[string]string `json:"env"`       // all of its environment but PATH and HOME
	Ready    string            `json:"ready"`     // path that answers 2xx once it can work
	BasePath string            `json:"base_path"` // what an OpenAI SDK would be given, without the host
	Setup    []step            `json:"setup"`     // run once, in order, when it is ready
	Headers  map[string]string `json:"headers"`   // sent with every measured request
}

// step is one HTTP request of a setup. Any answer but 2xx ends the run.
// Cookies that an answer sets go along with the steps after it.
type step struct {
	Method  string            `json:"method"`
	Path    string            `json:"path"`
	Headers map[string]string `json:"headers"`
	Body    json.RawMessage   `json:"body"`
	Save    map[string]string `json:"save"` // placeholder to the dotted path of its value in the JSON answer
}

// readTable reads a table and keeps the targets that are named in only (all
// when it is empty) and the floor.
func readTable(path string, only []string) (*table, error) {
	file, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	decoder := json.NewDecoder(bytes.NewReader(file))
	decoder.DisallowUnknownFields()
	t := new(table)
	if err := decoder.Decode(t); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	seen := map[string]bool{directName: true}
	for _, one := range append([]target{t.Upstream}, t.Targets...) {
		switch {
		case one.Name == "" || len(one.Command) == 0 || one.Ready == "":
			return nil, fmt.Errorf("%s: target %q needs a name, a command and a ready path", path, one.Name)
		case seen[one.Name]:
			return nil, fmt.Errorf("%s: the name %q is taken", path, one.Name)
		}
		seen[one.Name] = true
	}
	for _, name := range append(only, t.Floor) {
		if !slices.ContainsFunc(t.Targets, func(one target) bool { return one.Name == name }) {
			return nil, fmt.Errorf("%s: no target is called %q", path, name)
		}
	}
	t.Targets = slices.DeleteFunc(t.Targets, func(one target) bool {
		return len(only) > 0 && one.Name != t.Floor && !slices.Contains(only, one.Name)
	})
	return t, nil
}

// expand replaces the placeholders in text; one without a value is an error.
func expand(text string, vars map[string]string) (string, error) {
	var unknown error
	placeholder := regexp.MustCompile(`\{\{(\w+)\}\}`)
	text = placeholder.ReplaceAllStringFunc(text, func(match string) string {
		name := match[2 : len(match)-2]
		value, ok := vars[name]
		if !ok && unknown == nil {
			unknown = fmt.Errorf("the placeholder %s has no value: there are %v", match, slices.Sorted(maps.Keys(vars)))
		}
		return value
	})
	return text, unknown
}

// expandAll replaces the placeholders in every value of a map.
func expandAll(texts, vars map[string]string) (map[string]string, error) {
	expanded := make(map[string]string, len(texts))
	for name, text := range texts {
		value, err := expand(text, vars)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		expanded[name] = value
	}
	return expanded, nil
}
