package journal

import (
	"errors"
	"fmt"
	"os"
	"time"
)

// syncing syncs what was written an interval ago.
func (j *Journal) syncing() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	timer.Stop()
	waiting := false // the first record since the last fsync sets the time, not the last
	for {
		select {
		case <-j.stop:
			return
		case <-j.dirty:
			if !waiting {
				timer.Reset(j.opts.FsyncInterval)
				waiting = true
			}
		case <-timer.C:
			waiting = false
			_ = j.sync() // told by failed
		}
	}
}

// keeping tidies up, beside syncing: it waits for the store's disk, and records
// must not.
func (j *Journal) keeping() {
	tick := time.NewTicker(keepEvery)
	defer tick.Stop()
	for {
		select {
		case <-j.stop:
			return
		case <-tick.C:
			j.measure()
			if err := j.keep(); err != nil {
				j.log.Warn("the journal keeps what is applied: it cannot be made safe yet", "error", err)
			}
		}
	}
}

// sync makes what has been written safe from a loss of power.
func (j *Journal) sync() error {
	j.mu.Lock()
	var files []*segment
	for _, s := range j.segments {
		if s.dirty {
			s.dirty, s.syncing = false, true
			files = append(files, s)
		}
	}
	names := j.names
	j.names = false
	j.mu.Unlock()
	var err error
	for _, s := range files {
		e := j.fsync(s.file)
		j.mu.Lock()
		s.syncing = false
		if e != nil {
			// The kernel may have dropped the pages that it could not write, and
			// would call the next attempt a success: nothing more goes in there.
			s.broken = true
			err = e
		}
		j.mu.Unlock()
	}
	if names {
		err = errors.Join(err, j.syncDir())
	}
	if err != nil {
		j.mu.Lock()
		defer j.mu.Unlock()
		j.names = j.names || names
		j.failed(err)
	}
	return err
}

func (j *Journal) fsync(f *os.File) error {
	begin := time.Now()
	if err := f.Sync(); err != nil {
		return fmt.Errorf("sync the journal: %w", err)
	}
	j.opts.Synced(time.Since(begin))
	return nil
}

// syncDir makes the names of new files safe.
func (j *Journal) syncDir() error {
	dir, err := os.Open(j.opts.Dir)
	if err != nil {
		return fmt.Errorf("sync the journal's folder: %w", err)
	}
	defer dir.Close()
	if err := dir.Sync(); err != nil {
		return fmt.Errorf("sync the journal's folder: %w", err)
	}
	return nil
}

// measure compares the free space with the reserve.
func (j *Journal) measure() {
	if j.opts.Reserve < 0 {
		return
	}
	left, err := free(j.opts.Dir)
	if err != nil {
		return // a write that fails tells
	}
	scarce := left < j.opts.Reserve
	if j.scarce.Swap(scarce) == scarce {
		return
	}
	if scarce {
		j.log.Error("the disk is nearly full: no charged request is taken on", "free_bytes", left, "needed_bytes", j.opts.Reserve, "folder", j.opts.Dir)
	} else {
		j.log.Info("the disk has room again", "free_bytes", left)
	}
}

// keep writes down how far the records have been applied, once the store has
// made that safe, deletes the files that are not needed any more, and tries
// again what could not be written.
func (j *Journal) keep() error {
	j.mu.Lock()
	low, marked := j.low, j.marked
	j.mu.Unlock()
	if low > marked {
		if err := j.opts.Barrier(); err != nil {
			return fmt.Errorf("make the store safe: %w", err)
		}
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	failing := j.failing.Load()
	if low > marked || failing {
		for j.writing {
			j.turn.Wait()
		}
		mark := !failing || len(j.buf) == 0 // also what a retry writes when nothing else waits
		if mark {
			j.buf = j.stamp.appendApplied(j.buf, low)
		}
		if j.lead(); j.failing.Load() {
			return nil // told by failed
		}
		if mark {
			j.marked = low
		}
	}
	var err error
	kept := j.segments[:0]
	for _, s := range j.segments {
		if !s.sealed || s.dirty || s.syncing || s.last > j.marked {
			kept = append(kept, s)
			continue
		}
		err = errors.Join(err, s.file.Close(), os.Remove(s.path))
		j.names = true
	}
	clear(j.segments[len(kept):])
	j.segments = kept
	return err
}
