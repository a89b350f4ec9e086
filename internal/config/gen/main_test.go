package main

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWhatIsGeneratedIsUpToDate(t *testing.T) {
	t.Parallel()
	docs, err := comments("../config.go")
	if err != nil {
		t.Fatal(err)
	}
	for file, generate := range map[string]func(map[string]string) ([]byte, error){
		"../../../docs/configuration.md": page, "../help.go": help,
	} {
		want, err := generate(docs)
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s is not what config.go says; run make generate (-config.go +file):\n%s", file, diff)
		}
	}
}
