package cli

type keyCommands struct{}
