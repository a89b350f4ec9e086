package cli

type userCommands struct{}
