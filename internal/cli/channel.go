package cli

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"

	"halley/internal/fault"
	"halley/internal/jsonx"
)

// channelCommands manage upstream channels.
type channelCommands struct {
	List      channelListCommand      `cmd:"" help:"List the channels."`
	Add       channelAddCommand       `cmd:"" help:"Add a channel."`
	Presets   channelPresetsCommand   `cmd:"" help:"List the providers that --preset knows."`
	Test      channelTestCommand      `cmd:"" help:"Send a real request through a channel."`
	Models    channelModelsCommand    `cmd:"" help:"List the models that a channel's upstream has."`
	Spend     channelSpendCommand     `cmd:"" help:"Sum up what went through a channel."`
	Duplicate channelDuplicateCommand `cmd:"" help:"Copy a channel, upstream keys included; the copy is disabled."`
	Enable    channelEnableCommand    `cmd:"" help:"Enable channels."`
	Disable   channelDisableCommand   `cmd:"" help:"Disable channels."`
	Delete    channelDeleteCommand    `cmd:"" help:"Delete channels."`
}

// channelRecord is what the commands show of a channel.
type channelRecord struct {
	ID       int64    `json:"id"`
	Name     string   `json:"name"`
	Kind     string   `json:"kind"`
	BaseURL  string   `json:"base_url"`
	Keys     []string `json:"keys"`
	Models   []string `json:"models"`
	Groups   []string `json:"groups"`
	Priority int64    `json:"priority"`
	Weight   int64    `json:"weight"`
	Status   int64    `json:"status"`
}

type channelListCommand struct {
	serverFlags
	Keyword string `help:"Only channels whose name, tag, address or models have this text." placeholder:"TEXT"`
}

// Run prints a table, newest first.
func (c channelListCommand) Run(r *run) error {
	return c.with(r, func(a *api) error {
		table := tabwriter.NewWriter(r.process.Stdout, 0, 0, 2, ' ', 0)
		_, _ = fmt.Fprintln(table, "ID\tNAME\tKIND\tSTATUS\tPRIORITY\tWEIGHT\tKEYS\tGROUPS\tMODELS\tBASE URL") // Flush tells
		for page := 1; ; page++ {
			var list struct {
				PageSize int             `json:"page_size"`
				Items    []channelRecord `json:"items"`
			}
			query := url.Values{"p": {strconv.Itoa(page)}, "page_size": {"100"}, "keyword": {c.Keyword}}
			if err := a.call(r.ctx, http.MethodGet, "/api/channel/", query, nil, &list); err != nil {
				return err
			}
			for _, ch := range list.Items {
				_, _ = fmt.Fprintf(table, "%d\t%s\t%s\t%s\t%d\t%d\t%s\t%s\t%s\t%s\n", ch.ID, ch.Name, ch.Kind, enabledWord(ch.Status == 1),
					ch.Priority, ch.Weight, keyEnds(ch.Keys), strings.Join(ch.Groups, ","), few(ch.Models, 4), ch.BaseURL)
			}
			if len(list.Items) == 0 || len(list.Items) < list.PageSize {
				return table.Flush()
			}
		}
	})
}

type channelAddCommand struct {
	serverFlags
	Name     string            `arg:"" help:"A name for people."`
	Preset   string            `help:"A well-known provider, as in halley channel presets: gives kind and base URL." placeholder:"ID"`
	Kind     string            `help:"Who is spoken to: openai (any OpenAI-compatible server; what is meant without a preset), azure, anthropic, gemini, vertex, cohere or demo (built in)." enum:"openai,azure,anthropic,gemini,vertex,cohere,demo," default:""`
	BaseURL  string            `name:"base-url" help:"What an SDK would be given, such as https://api.openai.com/v1." placeholder:"URL"`
	Models   []string          `help:"Models it offers, names or patterns such as gpt-5*." required:"" placeholder:"MODEL,…"`
	Map      map[string]string `help:"Names that the upstream knows by another one." placeholder:"PUBLIC=UPSTREAM;…"`
	Groups   []string          `help:"Groups it serves." default:"default" placeholder:"GROUP,…"`
	Priority int64             `help:"Higher is tried first." default:"0"`
	Weight   int64             `help:"Share among channels of the same priority." default:"1"`
	Tag      string            `help:"A word to find it by."`
	Proxy    string            `name:"proxy-url" help:"An http, https or socks5 proxy to reach it through. One with a password is better set in the environment." placeholder:"URL" env:"HALLEY_CHANNEL_PROXY_URL"`
	CA       string            `name:"ca-file" help:"A file with certificates in PEM to trust besides the system's." type:"existingfile" placeholder:"FILE"`
	Project  string            `help:"The Google Cloud project of a Vertex AI channel; a service account's key has one." placeholder:"ID"`
	Location string            `help:"Where a Vertex AI channel's models run, such as us-central1." placeholder:"REGION"`
	Version  string            `name:"api-version" help:"The api-version of requests to an Azure deployment." placeholder:"VERSION"`
	KeyStdin bool              `name:"key-stdin" help:"Read upstream keys from standard input, one a line, or the JSON file of one Google service account; keys on a command line would be seen by others."`
}

// Run adds the channel and says its id.
func (c channelAddCommand) Run(r *run) error {
	keys := []string{}
	if c.KeyStdin {
		var err error
		if keys, err = readKeys(r.process.Stdin); err != nil {
			return err
		}
	}
	body, err := c.body(keys)
	if err != nil {
		return err
	}
	return c.with(r, func(a *api) error {
		var made channelRecord
		if err := a.call(r.ctx, http.MethodPost, "/api/channel/", nil, body, &made); err != nil {
			return err
		}
		r.print("Channel %d (%s) offers %s to %s.", made.ID, made.Name, few(made.Models, 8), strings.Join(made.Groups, ", "))
		r.print("Try it: halley channel test %d", made.ID)
		return nil
	})
}

// body is the request to add it. What a preset may give is left out.
func (c channelAddCommand) body(keys []string) (map[string]any, error) {
	body := map[string]any{
		"name": c.Name, "keys": keys, "models": c.Models, "groups": c.Groups,
		"priority": c.Priority, "weight": c.Weight, "tag": c.Tag,
	}
	kind := c.Kind
	if kind == "" && c.Preset == "" {
		kind = "openai"
	}
	for name, value := range map[string]string{"preset": c.Preset, "kind": kind, "base_url": c.BaseURL, "proxy_url": c.Proxy} {
		if value != "" {
			body[name] = value
		}
	}
	if c.Version != "" {
		body["azure"] = map[string]string{"api_version": c.Version}
	}
	if c.Project != "" || c.Location != "" {
		body["vertex"] = map[string]string{"project": c.Project, "location": c.Location}
	}
	if len(c.Map) > 0 {
		body["model_mapping"] = c.Map
	}
	if c.CA != "" {
		text, err := os.ReadFile(c.CA)
		if err != nil {
			return nil, fmt.Errorf("read the certificates: %w", err)
		}
		body["ca_pem"] = string(text)
	}
	return body, nil
}

type channelTestCommand struct {
	serverFlags
	ID     int64  `arg:"" help:"The channel's id, as in halley channel list."`
	Model  string `help:"Model to ask for; otherwise the first that the channel names." placeholder:"MODEL"`
	Stream bool   `help:"Ask for a stream."`
}

// Run sends the request and fails when the channel does.
func (c channelTestCommand) Run(r *run) error {
	return c.with(r, func(a *api) error {
		var result struct {
			OK          bool   `json:"ok"`
			Status      int    `json:"status"`
			LatencyMS   int64  `json:"latency_ms"`
			FirstByteMS int64  `json:"first_byte_ms"`
			Message     string `json:"message"`
			Answer      string `json:"answer"`
		}
		body := map[string]any{"model": c.Model, "stream": c.Stream}
		if err := a.call(r.ctx, http.MethodPost, "/api/channel/"+strconv.FormatInt(c.ID, 10)+"/test", nil, body, &result); err != nil {
			return err
		}
		if !result.OK {
			status := "no answer"
			if result.Status != 0 {
				status = "status " + strconv.Itoa(result.Status)
			}
			return fault.New(fault.BadGateway, "channel_test_failed", "channel %d does not work: %s after %d ms: %s", c.ID, status, result.LatencyMS, result.Message)
		}
		r.print("Channel %d works: status %d, first byte after %d ms, done after %d ms.", c.ID, result.Status, result.FirstByteMS, result.LatencyMS)
		if result.Answer != "" {
			r.print("It answers: %s", result.Answer)
		}
		return nil
	})
}

// with runs f on the server that the flags mean.
func (f serverFlags) with(r *run, do func(a *api) error) (err error) {
	a, err := f.connect(r)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.close()) }()
	return do(a)
}

// readKeys reads one key a line.
func readKeys(from io.Reader) ([]string, error) {
	const limit = 1 << 20
	text, err := io.ReadAll(io.LimitReader(from, limit))
	if err != nil {
		return nil, fmt.Errorf("read the keys from standard input: %w", err)
	}
	// The file of a Google service account's key, which has many lines.
	if whole := strings.TrimSpace(string(text)); strings.HasPrefix(whole, "{") && jsonx.Value(whole).IsValid() {
		return []string{whole}, nil
	}
	var keys []string
	for line := range strings.Lines(string(text)) {
		if key := strings.TrimSpace(line); key != "" {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("standard input has no key; give one a line")
	}
	return keys, nil
}

// enabledWord says whether a record is enabled.
func enabledWord(on bool) string {
	if on {
		return "enabled"
	}
	return "disabled"
}

// keyEnds shows keys by their ends.
func keyEnds(keys []string) string {
	if len(keys) == 0 {
		return "none"
	}
	shown := make([]string, len(keys))
	for i, key := range keys {
		shown[i] = "…" + key
	}
	return few(shown, 2)
}

// few is the first entries of a list, and how many more there are.
func few(list []string, most int) string {
	if len(list) <= most {
		return strings.Join(list, ",")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(list[:most], ","), len(list)-most)
}
