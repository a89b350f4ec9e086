package seal

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
)

// Meta is the store's small table of names and values.
type Meta interface {
	// GetMeta gives the value; ok is false when there is none.
	GetMeta(ctx context.Context, name string) (value string, ok bool, err error)
	// PutMetaIfAbsent writes value unless the name has one already, and gives
	// the one that stands.
	PutMetaIfAbsent(ctx context.Context, name, value string) (standing string, err error)
}

// checkName and checkText are the known text of Check.
const (
	checkName = "master_key_check"
	checkText = "halley master key"
)

// ErrWrongMaster means that the database was sealed under another master key.
var ErrWrongMaster = errors.New("this database was sealed under another master key: restore the master.key file (or HALLEY_MASTER_KEY) that it was first started with; with the wrong one no API key would authenticate")

// Check proves that the master key is the database's own: it opens a known text
// that the first Check sealed. Run it before anything is served.
func Check(ctx context.Context, m *Master, meta Meta) error {
	box := m.Box("check")
	text, ok, err := meta.GetMeta(ctx, checkName)
	if err == nil && !ok {
		fresh := base64.StdEncoding.EncodeToString(box.Seal([]byte(checkText), []byte(checkName)))
		text, err = meta.PutMetaIfAbsent(ctx, checkName, fresh)
	}
	if err != nil {
		return fmt.Errorf("check the master key: %w", err)
	}
	sealed, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return ErrWrongMaster
	}
	plain, err := box.Open(sealed, []byte(checkName))
	if err != nil || string(plain) != checkText {
		return ErrWrongMaster
	}
	return nil
}
