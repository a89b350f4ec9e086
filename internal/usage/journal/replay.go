package journal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"halley/internal/usage"
)

// Found is what Open found in the folder.
type Found struct {
	Segments int
	Bytes    int64
	Records  int    // that are not known to be in the store
	Torn     int    // unfinished ends
	Damaged  int    // stretches that cannot be read
	Lost     uint64 // records in those that are not known to be in the store, as far as can be told
}

// Found tells what Open found; Replay deals with it.
func (j *Journal) Found() Found { return j.found }

// survey reads everything once, to learn how far the records were applied.
func (j *Journal) survey() error {
	segments, err := list(j.opts.Dir)
	if err != nil {
		return err
	}
	s, err := look(segments)
	if err != nil {
		return err
	}
	for i, c := range s.contents {
		for _, h := range c.holes {
			if h.torn {
				j.log.Warn("the journal ends in the middle of a write, as it does when a machine or a full disk stops one; the end was cut off",
					"file", segments[i].path, "offset", h.from, "bytes", h.to-h.from)
				if err := os.Truncate(segments[i].path, int64(h.from)); err != nil {
					return fmt.Errorf("cut off the end of the journal: %w", err)
				}
				continue
			}
			j.log.Error("the journal is damaged: a stretch of it cannot be read and its records are missing; the file is kept",
				"file", segments[i].path, "kept_in", filepath.Join(j.opts.Dir, damagedDir), "offset", h.from, "bytes", h.to-h.from, "records_missing", s.found.Lost)
		}
	}
	j.old, j.found = segments, s.found
	j.next, j.written, j.low, j.marked = s.last, s.last, s.applied, s.applied
	if n := len(segments); n > 0 {
		j.sequence = segments[n-1].sequence
	}
	return nil
}

// surveyed is what all segments hold together.
type surveyed struct {
	found    Found
	contents []content
	last     uint64 // the highest number
	applied  uint64 // the highest mark
}

func look(segments []*segment) (surveyed, error) {
	var s surveyed
	for _, seg := range segments {
		c, err := seg.read(func(f frame) {
			s.last = max(s.last, f.number)
			if f.kind == appliedFrame {
				s.applied = max(s.applied, f.number)
			}
		})
		if err != nil {
			return s, err
		}
		s.contents = append(s.contents, c)
		s.found.Bytes += c.bytes
	}
	s.found.Segments = len(segments)
	for i, seg := range segments {
		if i > 0 {
			s.contents[i].follows(&s.contents[i-1])
		}
		if _, err := seg.read(func(f frame) {
			if f.kind == recordFrame && f.number > s.applied {
				s.found.Records++
			}
		}); err != nil {
			return s, err
		}
		for _, h := range s.contents[i].holes {
			if h.torn {
				s.found.Torn++
			} else {
				s.found.Damaged++
			}
		}
		for _, l := range s.contents[i].lost {
			if l[1] > s.applied {
				s.found.Lost += l[1] - max(l[0]-1, s.applied)
			}
		}
	}
	return s, nil
}

// replayBatch is how many records are applied at once.
const replayBatch = 1000

// Replay hands every record that is not known to be in the store to apply, in
// order, and then lets go of the files it found: they are deleted, and those
// with a damage moved to the folder "damaged". When apply fails everything
// stays for the next start. Some of the records may be in the store.
func (j *Journal) Replay(ctx context.Context, apply func(context.Context, []usage.Record) error) error {
	var batch []usage.Record
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		defer func() { batch = batch[:0] }()
		return apply(ctx, batch)
	}
	damaged := map[*segment]bool{}
	for _, s := range j.old {
		var failed error
		c, err := s.read(func(f frame) {
			if f.kind != recordFrame || f.number <= j.marked || failed != nil {
				return
			}
			if batch = append(batch, f.record); len(batch) == replayBatch {
				failed = flush()
			}
		})
		if err = errors.Join(err, failed); err != nil {
			return fmt.Errorf("apply the journal: %w", err)
		}
		for _, h := range c.holes {
			damaged[s] = damaged[s] || !h.torn
		}
	}
	if err := flush(); err != nil {
		return fmt.Errorf("apply the journal: %w", err)
	}
	if len(j.old) == 0 {
		return nil
	}
	if err := j.opts.Barrier(); err != nil {
		return fmt.Errorf("make the store safe: %w", err)
	}
	for _, s := range j.old {
		if err := j.retire(s, damaged[s]); err != nil {
			return fmt.Errorf("let go of the applied journal: %w", err)
		}
	}
	j.mu.Lock()
	j.old, j.low, j.marked = nil, j.next, j.next
	j.mu.Unlock()
	if j.found.Records > 0 || j.found.Damaged > 0 {
		j.log.Info("the journal of the last run was applied", "records", j.found.Records, "bytes", j.found.Bytes)
	}
	return j.syncDir()
}

// retire deletes a file, or moves it aside when it is damaged.
func (j *Journal) retire(s *segment, damaged bool) error {
	if !damaged {
		return os.Remove(s.path)
	}
	aside := filepath.Join(j.opts.Dir, damagedDir)
	if err := os.MkdirAll(aside, 0o700); err != nil {
		return err
	}
	return os.Rename(s.path, filepath.Join(aside, filepath.Base(s.path)))
}

// Look reports on a journal without taking or changing anything: for a doctor.
// Aside are the damaged files that were kept. A running server's journal is
// read as it is at that moment.
func Look(dir string) (found Found, aside []string, err error) {
	segments, err := list(dir)
	if errors.Is(err, os.ErrNotExist) {
		return Found{}, nil, nil
	}
	if err != nil {
		return Found{}, nil, err
	}
	s, err := look(segments)
	if err != nil {
		return Found{}, nil, err
	}
	aside, err = filepath.Glob(filepath.Join(dir, damagedDir, "*"+suffix))
	return s.found, aside, err
}
