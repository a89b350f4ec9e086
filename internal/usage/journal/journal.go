// Package journal keeps usage records in local files until they are in the
// store, so that a process or a machine that dies loses none that a client was
// answered for. It owns the files' format, when they are written, synced and
// deleted, and how what is left of them is read after a crash. It must not know
// SQL, or what a record means.
package journal

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"halley/internal/usage"
)

var _ usage.Journal = (*Journal)(nil)

// ErrLocked says that another process uses the folder.
var ErrLocked = errors.New("another Halley uses this folder; every server needs a data_dir of its own")

// Options tune a Journal; the zero value of each member but Dir means its
// default.
type Options struct {
	// Dir is the folder, made with mode 0700 when it is missing.
	Dir string
	// FsyncInterval is how long a written record may wait for its fsync, which
	// is what a machine that loses power may lose; 0 syncs before Append returns.
	FsyncInterval time.Duration
	// SegmentSize is when the next file is begun: 16 MiB.
	SegmentSize int64
	// Reserve is how much space must be free for new charged requests to be
	// taken on, so that those under way can still be recorded: 16 MiB, none when
	// negative.
	Reserve int64
	// Patience is how long Open waits for a folder that another process has.
	Patience time.Duration
	// Barrier makes what was applied to the store safe from a loss of power; the
	// journal forgets nothing before. Nil when the store does so by itself.
	Barrier func() error
	// Synced is told how long each fsync took.
	Synced func(time.Duration)
	Log    *slog.Logger
}

// keepEvery is how often the journal looks after itself: writes down what is
// applied, deletes files, asks for the free space, tries again what failed.
const keepEvery = time.Second

// maxSpare bounds the buffers that are kept for reuse.
const maxSpare = 1 << 20

// Journal is an open journal. Open, Replay, Start; then Append and Applied from
// any goroutine; Close at the end.
type Journal struct {
	opts  Options
	log   *slog.Logger
	lock  *os.File
	salt  [8]byte
	stamp stamp
	old   []*segment // found by Open, gone after Replay
	found Found

	mu       sync.Mutex
	turn     sync.Cond // a write has ended
	buf      []byte    // frames that wait for the next write
	spare    []byte
	next     uint64 // the last number given out
	written  uint64 // all up to it are in a file
	writing  bool   // somebody writes; the file is theirs
	closed   bool
	segments []*segment // oldest first; the last one is written to
	sequence uint64
	names    bool // files were made or deleted since the folder's last fsync
	// Records applied: all up to low, and those in above.
	low    uint64
	above  map[uint64]struct{}
	marked uint64 // the last mark in a file

	failing  atomic.Bool
	scarce   atomic.Bool
	failures atomic.Uint64

	dirty chan struct{} // something waits for its fsync
	start sync.Once
	stop  chan struct{}
	done  sync.WaitGroup
}

// Open takes the folder for this process and looks at what is in it. ErrLocked
// when another process has it and keeps it.
func Open(ctx context.Context, opts Options) (*Journal, error) {
	if opts.SegmentSize <= 0 {
		opts.SegmentSize = 16 << 20
	}
	if opts.Reserve == 0 {
		opts.Reserve = 16 << 20
	}
	if opts.Barrier == nil {
		opts.Barrier = func() error { return nil }
	}
	if opts.Synced == nil {
		opts.Synced = func(time.Duration) {}
	}
	if err := os.MkdirAll(opts.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the journal's folder: %w", err)
	}
	locked, err := take(ctx, filepath.Join(opts.Dir, lockName), opts.Patience)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", opts.Dir, err)
	}
	j := &Journal{
		opts: opts, log: opts.Log, lock: locked, above: map[uint64]struct{}{},
		dirty: make(chan struct{}, 1), stop: make(chan struct{}),
	}
	j.turn.L = &j.mu
	_, _ = rand.Read(j.salt[:]) // never fails
	j.stamp = newStamp(j.salt)
	if err := j.survey(); err != nil {
		_ = locked.Close()
		return nil, err
	}
	j.measure()
	return j, nil
}

// take is lock, tried again for a while.
func take(ctx context.Context, path string, patience time.Duration) (*os.File, error) {
	again, enough := time.NewTicker(20*time.Millisecond), time.After(patience)
	defer again.Stop()
	for {
		locked, err := lock(path)
		if !errors.Is(err, ErrLocked) {
			return locked, err
		}
		select {
		case <-again.C:
		case <-enough:
			return nil, err
		case <-ctx.Done():
			return nil, err
		}
	}
}

// Start begins syncing and tidying; Replay comes before.
func (j *Journal) Start() {
	j.start.Do(func() {
		j.done.Go(j.syncing)
		j.done.Go(j.keeping)
	})
}

// Append writes a record down and returns its number when write(2) has taken
// it, with FsyncInterval 0 also fsync(2). Records that come together share one
// write. While writing fails the record is kept in memory and tried again, and
// Append does not wait: see Failing.
func (j *Journal) Append(r usage.Record) uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return 0
	}
	j.next++
	number := j.next
	j.buf = j.stamp.appendRecord(j.buf, number, &r)
	j.flush(number)
	return number
}

// flush returns when all up to number is written, or writing fails. j.mu is
// held; who finds nobody writing writes for everybody.
func (j *Journal) flush(number uint64) {
	for j.written < number && !j.failing.Load() {
		if j.writing {
			j.turn.Wait()
		} else {
			j.lead()
		}
	}
}

// lead writes all that waits. j.mu is held, but not while writing.
func (j *Journal) lead() {
	batch, upTo := j.buf, j.next
	j.buf, j.spare, j.writing = j.spare[:0], nil, true
	j.mu.Unlock()
	err := j.put(batch, upTo)
	j.mu.Lock()
	j.writing = false
	if err != nil {
		// What came meanwhile goes behind what has to be tried again.
		j.buf = append(batch, j.buf...)
		j.failed(err)
	} else {
		j.written = upTo
		if cap(batch) <= maxSpare {
			j.spare = batch[:0]
		}
		if j.failing.CompareAndSwap(true, false) {
			j.log.Info("the journal can be written again")
		}
	}
	j.turn.Broadcast()
}

func (j *Journal) failed(err error) {
	j.failures.Add(1)
	if j.failing.CompareAndSwap(false, true) {
		j.log.Error("the journal cannot be written: no charged request is taken on until it can", "error", err)
	}
}

// put appends to the newest file, or to a new one. The caller has j.writing.
func (j *Journal) put(batch []byte, upTo uint64) error {
	s, err := j.current(int64(len(batch)))
	if err != nil {
		return err
	}
	if _, err := s.file.Write(batch); err != nil {
		// What was written of it would be in the way of what follows.
		if cut := s.file.Truncate(s.size); cut != nil {
			j.mu.Lock()
			s.broken = true
			j.mu.Unlock()
		}
		return fmt.Errorf("write the journal: %w", err)
	}
	if j.opts.FsyncInterval <= 0 {
		if err := j.fsync(s.file); err != nil {
			j.mu.Lock()
			s.broken, s.size, s.last = true, s.size+int64(len(batch)), upTo
			j.mu.Unlock()
			return err
		}
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	s.size += int64(len(batch))
	s.last = upTo
	if j.opts.FsyncInterval > 0 && !s.dirty {
		s.dirty = true
		signal(j.dirty)
	}
	return nil
}

// current is the file that so many bytes go to. The caller has j.writing.
func (j *Journal) current(bytes int64) (*segment, error) {
	j.mu.Lock()
	var s *segment
	if len(j.segments) > 0 {
		s = j.segments[len(j.segments)-1]
	}
	fits := s != nil && !s.broken && (s.size == headSize || s.size+bytes <= j.opts.SegmentSize)
	sequence, first := j.sequence+1, j.written+1
	if !fits {
		j.sequence = sequence // not used twice, even if this fails
	}
	j.mu.Unlock()
	if fits {
		return s, nil
	}
	made, err := j.create(sequence, first)
	if err != nil {
		return nil, err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.names = true
	if s != nil {
		s.sealed = true
	}
	j.segments = append(j.segments, made)
	return made, nil
}

func (j *Journal) create(sequence, first uint64) (*segment, error) {
	s := &segment{path: filepath.Join(j.opts.Dir, segmentName(sequence, j.salt)), sequence: sequence, salt: j.salt, size: headSize}
	file, err := os.OpenFile(s.path, os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("begin a journal file: %w", err)
	}
	s.file = file
	_, err = file.Write(s.head(first))
	if err == nil && j.opts.FsyncInterval <= 0 {
		err = j.syncDir()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("begin a journal file: %w", err), file.Close(), os.Remove(s.path))
	}
	return s, nil
}

// Applied notes that the records of these numbers are in the store.
func (j *Journal) Applied(numbers []uint64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, n := range numbers {
		if n > j.low+1 {
			j.above[n] = struct{}{}
		} else if n == j.low+1 {
			j.low = n
		}
	}
	for len(j.above) > 0 {
		if _, there := j.above[j.low+1]; !there {
			break
		}
		delete(j.above, j.low+1)
		j.low++
	}
	if j.failing.Load() && !j.writing && j.low == j.next {
		j.buf, j.written = j.buf[:0], j.next // needs no journal any more
	}
}

// Failing reports that the last write failed: records are in memory only.
func (j *Journal) Failing() bool { return j.failing.Load() }

// Full reports that no new charged request should begin: writing fails, or the
// free space is below the reserve.
func (j *Journal) Full() bool { return j.failing.Load() || j.scarce.Load() }

// Stats is how the journal is doing.
type Stats struct {
	Bytes    int64  // in its files
	Segments int64  // files
	Records  int64  // not known to be in the store yet
	Failures uint64 // failed attempts to write or sync, ever
	Torn     int64  // unfinished ends that were cut off at start
	Damaged  int64  // damages found at start
}

// Stats gives the figures of this moment.
func (j *Journal) Stats() Stats {
	j.mu.Lock()
	defer j.mu.Unlock()
	s := Stats{
		Segments: int64(len(j.segments)), Records: int64(j.next - j.low), //nolint:gosec // never that many
		Failures: j.failures.Load(), Torn: int64(j.found.Torn), Damaged: int64(j.found.Damaged),
	}
	for _, seg := range j.segments {
		s.Bytes += seg.size
	}
	return s
}

// Close writes down what has been applied and lets go of the folder. Nothing is
// left in it when everything has been; the rest is applied at the next start.
func (j *Journal) Close(_ context.Context) error {
	j.mu.Lock()
	if j.closed {
		j.mu.Unlock()
		return nil
	}
	j.mu.Unlock()
	close(j.stop)
	j.done.Wait()
	err := errors.Join(j.sync(), j.keep(), j.sync())
	j.mu.Lock()
	defer j.mu.Unlock()
	for j.writing {
		j.turn.Wait()
	}
	j.closed = true
	all := err == nil && j.low == j.next && len(j.buf) == 0
	for _, s := range j.segments {
		if s.file != nil {
			err = errors.Join(err, s.file.Close())
		}
		if all {
			err = errors.Join(err, os.Remove(s.path))
		}
	}
	if left := len(j.buf); left > 0 {
		err = errors.Join(err, fmt.Errorf("%d bytes could not be written to the journal", left))
	}
	return errors.Join(err, j.lock.Close())
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
