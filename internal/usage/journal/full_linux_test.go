package journal

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"halley/internal/usage"
)

// tinyDisk mounts a disk of a few pages.
func tinyDisk(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("a small disk could not be mounted, which takes root: %v", err)
		}
		t.Skipf("NOT TESTED: a full disk. A small one could not be mounted, which takes root: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func TestAFullDiskRefusesNewWorkKeepsWhatItHasAndRecovers(t *testing.T) {
	t.Parallel()
	disk := tinyDisk(t, "256k")
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		opts := Options{Dir: filepath.Join(disk, "journal"), FsyncInterval: 50 * time.Millisecond, Reserve: -1, Log: slog.New(slog.NewTextHandler(&log, nil))}
		j := open(t, opts)
		j.Start()
		var n int
		for n = 0; !j.Full(); n++ {
			if n > 10_000 {
				t.Fatal("the disk never fills")
			}
			j.Append(someRecord(n))
		}
		for range 20 { // of requests that were under way
			j.Append(someRecord(n))
			n++
		}
		time.Sleep(3 * time.Second)
		if !j.Full() || !j.Failing() || j.Stats().Failures < 3 {
			t.Errorf("stats on a full disk: %+v", j.Stats())
		}
		if err := syscall.Mount("tmpfs", disk, "tmpfs", syscall.MS_REMOUNT, "size=1m"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if j.Full() || j.Failing() {
			t.Error("the journal did not recover by itself")
		}
		j.Append(someRecord(n))
		died(j)
		got, found := replayed(t, opts)
		expect(t, got, 0, n+1)
		if found.Damaged+found.Torn > 0 {
			t.Errorf("found: %+v", found)
		}
		for _, want := range []string{"level=ERROR", "no space left", "can be written again"} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("the log misses %q: %s", want, &log)
			}
		}
		if n := strings.Count(log.String(), "level=ERROR"); n != 1 {
			t.Errorf("%d errors logged for one full disk", n)
		}
	})
}

func TestWorkIsRefusedBeforeTheDiskIsFull(t *testing.T) {
	t.Parallel()
	disk := tinyDisk(t, "256k")
	synctest.Test(t, func(t *testing.T) {
		j := open(t, Options{Dir: disk, FsyncInterval: 50 * time.Millisecond, Reserve: 200 << 10})
		j.Start()
		r := usage.NewRecorder(nil, quiet(), usage.RecorderOptions{Journal: j})
		if r.Full() {
			t.Fatal("full from the start")
		}
		other := filepath.Join(disk, "someone elses")
		if err := os.WriteFile(other, make([]byte, 100<<10), 0o600); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		if synctest.Wait(); !r.Full() || j.Failing() {
			t.Errorf("full %v, failing %v", r.Full(), j.Failing())
		}
		under := someRecord(1)
		r.Record(under) // was under way
		refused := someRecord(2)
		refused.Settled = false
		r.Record(refused)
		if s, q := j.Stats(), r.Stats(); s.Records != 1 || q.Dropped != 1 {
			t.Errorf("journal %+v, queue %+v", s, q)
		}
		if err := os.Remove(other); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		if synctest.Wait(); r.Full() {
			t.Error("still full")
		}
		if err := j.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
