package cli

import "runtime"

type versionCommand struct{}

// Run prints the version.
func (versionCommand) Run(r *run) error {
	r.print("halley %s (%s %s/%s)", r.process.Version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return nil
}
