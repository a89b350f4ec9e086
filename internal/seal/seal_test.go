package seal_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"halley/internal/seal"
)

func master(t testing.TB, fill byte) *seal.Master {
	t.Helper()
	m, err := seal.ParseMaster(base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{fill}, seal.KeySize)))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestParseMasterTakesEveryBase64AndNamesTheFault(t *testing.T) {
	t.Parallel()
	raw := bytes.Repeat([]byte{0xfb, 0xff}, 16)
	want := fmt.Sprintf("%x", must(seal.ParseMaster(base64.StdEncoding.EncodeToString(raw))).Hasher("x").Sum("y"))
	for name, row := range map[string]struct{ in, wrong string }{
		"standard":          {base64.StdEncoding.EncodeToString(raw), ""},
		"unpadded":          {base64.RawStdEncoding.EncodeToString(raw), ""},
		"url":               {base64.URLEncoding.EncodeToString(raw), ""},
		"url unpadded":      {base64.RawURLEncoding.EncodeToString(raw), ""},
		"with a line break": {base64.StdEncoding.EncodeToString(raw) + "\n", ""},
		"empty":             {"", "0 bytes"},
		"31 bytes":          {base64.StdEncoding.EncodeToString(raw[1:]), "31 bytes"},
		"33 bytes":          {base64.StdEncoding.EncodeToString(append(raw, 1)), "33 bytes"},
		"hex":               {strings.Repeat("zz", 32), "48 bytes"},
		"words":             {"correct horse battery staple!", "not base64"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, err := seal.ParseMaster(row.in)
			if row.wrong != "" {
				if err == nil || !strings.Contains(err.Error(), row.wrong) {
					t.Fatalf("err = %v, want one with %q", err, row.wrong)
				}
				if row.in != "" && strings.Contains(err.Error(), row.in) {
					t.Errorf("the error repeats the text: %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprintf("%x", m.Hasher("x").Sum("y")); got != want {
				t.Errorf("another key was read")
			}
		})
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestMasterPrintsAsAPlaceholder(t *testing.T) {
	t.Parallel()
	m := master(t, 7)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
		if got := fmt.Sprintf(verb, m); got != "[master key]" {
			t.Errorf("%s prints %q", verb, got)
		}
	}
}

func TestOnlyTheSameMasterPurposeAndBindingOpens(t *testing.T) {
	t.Parallel()
	box := master(t, 1).Box("a")
	sealed := box.Seal([]byte("secret"), []byte("row 1"))
	if plain, err := box.Open(sealed, []byte("row 1")); err != nil || string(plain) != "secret" {
		t.Fatalf("Open = %q, %v", plain, err)
	}
	if again := box.Seal([]byte("secret"), []byte("row 1")); bytes.Equal(sealed, again) {
		t.Error("sealing twice gives the same text")
	}
	if bytes.Contains(sealed, []byte("secret")) {
		t.Error("the sealed text shows the secret")
	}
	other := bytes.Clone(sealed)
	other[0]++
	for name, try := range map[string]func() ([]byte, error){
		"another master":  func() ([]byte, error) { return master(t, 2).Box("a").Open(sealed, []byte("row 1")) },
		"another purpose": func() ([]byte, error) { return master(t, 1).Box("b").Open(sealed, []byte("row 1")) },
		"another row":     func() ([]byte, error) { return box.Open(sealed, []byte("row 2")) },
		"another version": func() ([]byte, error) { return box.Open(other, []byte("row 1")) },
		"nothing":         func() ([]byte, error) { return box.Open(nil, []byte("row 1")) },
		"cut":             func() ([]byte, error) { return box.Open(sealed[:len(sealed)-1], []byte("row 1")) },
	} {
		if plain, err := try(); !errors.Is(err, seal.ErrOpen) {
			t.Errorf("%s: Open = %q, %v", name, plain, err)
		}
	}
}

func FuzzOpen(f *testing.F) {
	box := master(f, 3).Box("fuzz")
	f.Add(box.Seal([]byte("text"), []byte("aad")), []byte("aad"))
	f.Add([]byte{}, []byte{})
	f.Add([]byte{1}, []byte(nil))
	f.Add(bytes.Repeat([]byte{1}, 29), []byte("x"))
	f.Fuzz(func(t *testing.T, sealed, aad []byte) {
		plain, err := box.Open(sealed, aad)
		if err != nil {
			if !errors.Is(err, seal.ErrOpen) {
				t.Fatalf("err = %v", err)
			}
			sealed = box.Seal(sealed, aad)
			if _, err := box.Open(sealed, aad); err != nil {
				t.Fatalf("what was sealed does not open: %v", err)
			}
			return
		}
		if string(plain) != "text" || string(aad) != "aad" {
			t.Fatalf("a forged text opens as %q", plain)
		}
	})
}

func TestHashesDifferByValuePurposeAndMaster(t *testing.T) {
	t.Parallel()
	h := master(t, 1).Hasher("keys")
	first := h.Sum("a")
	if h.Sum("a") != first || master(t, 1).Hasher("keys").Sum("a") != first {
		t.Error("the same value has two hashes")
	}
	sums := map[seal.Hash]string{}
	for name, sum := range map[string]seal.Hash{
		"a": h.Sum("a"), "b": h.Sum("b"), "empty": h.Sum(""), "longer": h.Sum(strings.Repeat("a", 1000)),
		"purpose": master(t, 1).Hasher("tokens").Sum("a"), "master": master(t, 2).Hasher("keys").Sum("a"),
	} {
		if twin, ok := sums[sum]; ok {
			t.Errorf("%s and %s have the same hash", name, twin)
		}
		sums[sum] = name
	}
}

func TestHasherIsSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	h := master(t, 1).Hasher("keys")
	var wg sync.WaitGroup
	for i := range 8 {
		value := strings.Repeat("v", i+1)
		want := h.Sum(value)
		wg.Go(func() {
			for range 500 {
				if h.Sum(value) != want {
					t.Error("hashes mix")
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestMasterFileIsMadeOnceWhoeverComesFirst(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "data", "master.key")
	var wg sync.WaitGroup
	var mu sync.Mutex
	sums, made := map[seal.Hash]bool{}, 0
	for range 16 {
		wg.Go(func() {
			m, created, err := seal.LoadMaster(path)
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			sums[m.Hasher("x").Sum("y")] = true
			if created {
				made++
			}
		})
	}
	wg.Wait()
	if len(sums) != 1 || made != 1 {
		t.Errorf("%d different keys, made %d times, want 1 and 1", len(sums), made)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v, want 0600", info.Mode(), err)
	}
	if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 1 {
		t.Errorf("files left behind: %v", left)
	}
}

func TestMasterFileThatIsNotSafeOrNotAKeyIsRefused(t *testing.T) {
	t.Parallel()
	good := base64.StdEncoding.EncodeToString(make([]byte, seal.KeySize))
	for name, row := range map[string]struct {
		text string
		mode os.FileMode
		says string
	}{
		"group may read":   {good, 0o640, "chmod 600"},
		"world may read":   {good, 0o604, "chmod 600"},
		"group may write":  {good, 0o620, "chmod 600"},
		"empty":            {"", 0o600, "0 bytes"},
		"not a master key": {"hello, world", 0o600, "not base64"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "master.key")
			if err := os.WriteFile(path, []byte(row.text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, row.mode); err != nil {
				t.Fatal(err)
			}
			_, _, err := seal.LoadMaster(path)
			if err == nil || !strings.Contains(err.Error(), row.says) || !strings.Contains(err.Error(), path) {
				t.Errorf("err = %v, want one with %q and the path", err, row.says)
			}
			if now, _ := os.ReadFile(path); string(now) != row.text {
				t.Errorf("the file was changed")
			}
		})
	}
	t.Run("a folder", func(t *testing.T) {
		t.Parallel()
		if _, _, err := seal.LoadMaster(t.TempDir()); err == nil {
			t.Error("a folder was taken for a key")
		}
	})
}

// memory is a Meta in memory.
type memory struct {
	values map[string]string
	down   error
}

func (m memory) GetMeta(_ context.Context, name string) (string, bool, error) {
	v, ok := m.values[name]
	return v, ok, m.down
}

func (m memory) PutMetaIfAbsent(_ context.Context, name, value string) (string, error) {
	if v, ok := m.values[name]; ok {
		return v, nil
	}
	m.values[name] = value
	return value, nil
}

func TestCheckTellsTheWrongMasterKey(t *testing.T) {
	t.Parallel()
	meta := memory{values: map[string]string{}}
	for range 2 {
		if err := seal.Check(t.Context(), master(t, 1), meta); err != nil {
			t.Fatalf("the database's own key: %v", err)
		}
	}
	if err := seal.Check(t.Context(), master(t, 2), meta); !errors.Is(err, seal.ErrWrongMaster) {
		t.Errorf("another key: %v", err)
	}
	if err := seal.Check(t.Context(), master(t, 1), memory{down: errors.New("away")}); err == nil || errors.Is(err, seal.ErrWrongMaster) {
		t.Errorf("database away: %v", err)
	}
}
