package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// SocketName is the local socket's file in the data directory. Its mode 0600 is
// the credential of commands run on this machine.
const SocketName = "halley.sock"

// maxSocketPath is what fits the kernel's sun_path on Linux.
const maxSocketPath = 107

type localSocket struct {
	listener net.Listener
	server   *http.Server
	file     string
}

// openSocket listens in the data directory. A file left behind by a server that
// is gone is replaced; one that answers belongs to a running server.
func openSocket(dataDir string, server *http.Server) (*localSocket, error) {
	file, err := filepath.Abs(filepath.Join(dataDir, SocketName))
	if err != nil {
		return nil, fmt.Errorf("find the data directory: %w", err)
	}
	if len(file) > maxSocketPath {
		return nil, fmt.Errorf("the path %s is too long for a socket", file)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if conn, err := (&net.Dialer{}).DialContext(ctx, "unix", file); err == nil {
		_ = conn.Close()
		return nil, fmt.Errorf("another server uses the data directory %s", dataDir)
	}
	if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("replace the old socket: %w", err)
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "unix", file)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", file, err)
	}
	if err := os.Chmod(file, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("close the socket to others: %w", err), listener.Close())
	}
	return &localSocket{listener: listener, server: server, file: file}, nil
}

func (s *localSocket) path() string {
	if s == nil {
		return ""
	}
	return s.file
}

func (s *localSocket) close() error {
	if s == nil {
		return nil
	}
	return s.server.Close() // also removes the file
}
