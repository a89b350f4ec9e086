// Package cli is the command line: one file per command. Commands that manage
// something speak the management API, to a running server when there is one on
// the database and otherwise to one inside this process that serves nobody else.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"slices"

	"github.com/alecthomas/kong"

	"halley/internal/config"
	"halley/internal/fault"
)

// Process is what a command may touch of the process around it.
type Process struct {
	Args      []string
	Stdin     io.Reader
	Stdout    io.Writer
	Stderr    io.Writer
	LookupEnv func(name string) (string, bool)
	Version   string
}

// commands is the whole grammar.
type commands struct {
	Config string `help:"YAML file with the configuration." placeholder:"FILE" env:"HALLEY_CONFIG"`

	Serve   serveCommand     `cmd:"" help:"Run the gateway."`
	Demo    demoCommand      `cmd:"" help:"Run the gateway with a built-in provider, nothing to configure."`
	Key     keyCommands      `cmd:"" help:"Manage API keys."`
	User    userCommands     `cmd:"" help:"Manage accounts."`
	Channel channelCommands  `cmd:"" help:"Manage upstream channels."`
	Price   priceCommands    `cmd:"" help:"Show and set prices."`
	Route   routeCommands    `cmd:"" help:"See where requests go."`
	Login   providerCommands `cmd:"" name:"login-provider" help:"Manage identity providers that people sign in at."`
	Audit   auditCommands    `cmd:"" help:"Check the audit trail."`
	Doctor  doctorCommand    `cmd:"" help:"Check configuration, database, master key, clock, proxies and channels."`
	Version versionCommand   `cmd:"" help:"Print the version."`
}

// run is what every command gets.
type run struct {
	ctx     context.Context
	process Process
	grammar *commands
}

// Main runs the command line and gives the exit code: 0 done, 1 failed, 2 not
// understood.
func Main(ctx context.Context, p Process) int {
	// Libraries that log by themselves quote what they met, secrets included.
	log.SetFlags(0)           //nolint:forbidigo // it is set up, not written to
	log.SetOutput(io.Discard) //nolint:forbidigo // it is set up, not written to
	grammar := commands{Serve: serveCommand{configFlags()}}
	exit := -1
	parser, err := kong.New(&grammar,
		kong.Name("halley"), kong.Description("A self-hosted AI gateway built around API keys you can trust."),
		kong.Writers(p.Stdout, p.Stderr), kong.UsageOnError(), kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.Exit(func(code int) { exit = code }),
	)
	if err != nil {
		_, _ = fmt.Fprintln(p.Stderr, "halley:", err)
		return 2
	}
	parsed, err := parser.Parse(p.Args)
	if exit >= 0 { // --help has printed
		return exit
	}
	if err != nil {
		_, _ = fmt.Fprintln(p.Stderr, "halley:", err)
		return 2
	}
	if err := parsed.Run(&run{ctx: ctx, process: p, grammar: &grammar}); err != nil {
		_, _ = fmt.Fprintln(p.Stderr, "halley:", explain(err))
		return 1
	}
	return 0
}

// explain prefers the public message, and shows the cause as well: who runs a
// command may know it.
func explain(err error) string {
	if f, ok := errors.AsType[*fault.Error](err); ok {
		return f.Error()
	}
	return err.Error()
}

// config loads the configuration as the environment, the file and flags give it.
func (r *run) config(flags ...config.Override) (*config.Config, error) {
	given := slices.DeleteFunc(flags, func(o config.Override) bool { return o.Value == "" })
	return config.Load(r.grammar.Config, r.process.LookupEnv, given...)
}

// print writes a line to standard output.
func (r *run) print(format string, args ...any) {
	_, _ = fmt.Fprintf(r.process.Stdout, format+"\n", args...) // a closed pipe is the reader's wish
}
