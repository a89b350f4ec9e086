// Command halley is a self-hosted AI gateway built around API keys you can
// trust.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // people's time zones, also where the machine has no zone database

	"halley/internal/cli"
)

// version is set by the linker.
var version = "dev" // the linker can set nothing but a variable

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	code := cli.Main(ctx, cli.Process{
		Args: os.Args[1:], Stdout: os.Stdout, Stderr: os.Stderr, Stdin: os.Stdin,
		LookupEnv: os.LookupEnv, Version: version,
	})
	stop()
	os.Exit(code)
}
