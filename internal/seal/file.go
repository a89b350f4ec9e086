package seal

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// LoadMaster reads the master key from the file, which is made with a random
// key and mode 0600 when it is missing; created says that it was. Any number of
// processes may do so at once: one of them makes the file, which appears whole
// or not at all, and all read that one. A file that others than its owner may
// touch is refused.
func LoadMaster(path string) (m *Master, created bool, err error) {
	m, err = readMaster(path)
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return m, false, err
	}
	created, err = createMaster(path)
	if err != nil {
		return nil, false, err
	}
	m, err = readMaster(path)
	return m, created, err
}

func readMaster(path string) (*Master, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read the master key: %w", err)
	}
	defer f.Close()
	// What was opened is what is judged; a check by name could be outrun.
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("read the master key: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("the master key file %s is not a regular file", path)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("the master key file %s can be used by others (mode %04o); mend it with: chmod 600 %s", path, mode, path)
	}
	text, err := io.ReadAll(io.LimitReader(f, 1024))
	if err != nil {
		return nil, fmt.Errorf("read the master key: %w", err)
	}
	m, err := ParseMaster(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}

// createMaster writes a new key beside path and links it into place, which
// fails when somebody else was first; that is no error.
func createMaster(path string) (created bool, err error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return false, fmt.Errorf("make the master key's folder: %w", err)
	}
	f, err := os.CreateTemp(dir, ".master.key.*") // mode 0600
	if err != nil {
		return false, fmt.Errorf("make the master key: %w", err)
	}
	defer func() { _ = os.Remove(f.Name()) }()
	secret := make([]byte, KeySize)
	_, _ = rand.Read(secret) // never fails: the runtime ends the program instead
	_, err = f.WriteString(base64.StdEncoding.EncodeToString(secret) + "\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return false, fmt.Errorf("make the master key: %w", err)
	}
	err = os.Link(f.Name(), path)
	if errors.Is(err, fs.ErrExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("make the master key (set HALLEY_MASTER_KEY where the file system knows no links): %w", err)
	}
	return true, syncDir(dir)
}

// syncDir makes the new name survive a crash: what is sealed from now on would
// be lost without it.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("make the master key: %w", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("make the master key: %w", err)
	}
	return nil
}
