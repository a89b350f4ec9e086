// Command matrix runs the official SDKs for Go against every upstream and prints
// a line of JSON for each thing that was tried. The driver, test/sdk/matrix_test.go,
// starts the server and sets the environment: HALLEY_UPSTREAMS is an object, from
// an upstream's dialect to its model; HALLEY_TRANSLATED are the dialects that
// Halley translates between.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/openai/openai-go/v3"
)

// place is an upstream, as a client sees it.
type place struct{ dialect, model string }

// feature is one thing to try; it gives what is wrong.
type feature struct {
	name string
	try  func(context.Context, place) error
}

// client is an SDK at one of its endpoints.
type client struct {
	name, module, dialect string
	features              []feature
}

// outcome is a line of the report.
type outcome struct {
	Client   string `json:"client"`
	Version  string `json:"version"`
	Upstream string `json:"upstream"`
	Feature  string `json:"feature"`
	Failed   string `json:"failed"`
}

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	var upstreams map[string]string
	if err := json.Unmarshal([]byte(os.Getenv("HALLEY_UPSTREAMS")), &upstreams); err != nil {
		return fmt.Errorf("HALLEY_UPSTREAMS: %w: run this through go test ./test/sdk", err)
	}
	translated := strings.Split(os.Getenv("HALLEY_TRANSLATED"), ",")
	google, err := genaiClient(ctx)
	if err != nil {
		return err
	}
	var (
		all sync.WaitGroup
		out sync.Mutex
	)
	report := json.NewEncoder(os.Stdout)
	for _, c := range []client{chatClient(), responsesClient(), messagesClient(), google} {
		for dialect, model := range upstreams {
			if dialect != c.dialect && !(slices.Contains(translated, dialect) && slices.Contains(translated, c.dialect)) {
				continue
			}
			all.Go(func() {
				for _, f := range c.features {
					o := outcome{c.name, versionOf(c.module), dialect, f.name, attempt(ctx, f, place{dialect, model})}
					out.Lock()
					err := report.Encode(o)
					out.Unlock()
					if err != nil {
						panic(err) // nobody reads the report
					}
				}
			})
		}
	}
	all.Wait()
	return nil
}

// attempt says what is wrong; "" is nothing.
func attempt(ctx context.Context, f feature, at place) (failed string) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	defer func() {
		if r := recover(); r != nil {
			failed = fmt.Sprintf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	if err := f.try(ctx, at); err != nil {
		return details(err)
	}
	return ""
}

// details is an error with what the server said, which not all SDKs show.
func details(err error) string {
	if e, ok := errors.AsType[*openai.Error](err); ok {
		return err.Error() + ": " + e.RawJSON()
	}
	return err.Error()
}

func versionOf(module string) string {
	info, _ := debug.ReadBuildInfo()
	for _, m := range info.Deps {
		if m.Path == module {
			return strings.TrimPrefix(m.Version, "v")
		}
	}
	return ""
}
