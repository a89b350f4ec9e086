package journal

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// A segment is a file "SEQUENCE-SALT.journal". It begins with
//
//	magic 8 | version 4 | salt 8 | sequence 8 | first number 8 | CRC-32C 4
//
// and goes on with frames. The salt is in the name as well, so that a damaged
// head does not make the rest unreadable.
const (
	suffix     = ".journal"
	magic      = "halleyjn"
	headSize   = 40
	version    = 3
	lockName   = "lock"
	damagedDir = "damaged"
)

// segment is one file.
type segment struct {
	path     string
	sequence uint64
	salt     [8]byte

	// Of a segment that is being written. The file belongs to who holds
	// Journal.writing, the rest to Journal.mu.
	file    *os.File
	size    int64
	last    uint64 // the highest number in it
	dirty   bool   // written since the last fsync
	syncing bool   // an fsync is under way
	sealed  bool   // nothing is appended any more
	broken  bool   // nothing may be appended any more
}

func segmentName(sequence uint64, salt [8]byte) string {
	return fmt.Sprintf("%016d-%x%s", sequence, salt, suffix)
}

// list finds the segments of a folder, oldest first.
func list(dir string) ([]*segment, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("read the journal's folder: %w", err)
	}
	var found []*segment
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), suffix)
		sequence, salt, cut := strings.Cut(name, "-")
		if !ok || !cut {
			continue
		}
		seq, err := strconv.ParseUint(sequence, 10, 64)
		bytes, badSalt := hex.DecodeString(salt)
		if err != nil || badSalt != nil || len(bytes) != 8 {
			continue
		}
		found = append(found, &segment{path: filepath.Join(dir, e.Name()), sequence: seq, salt: [8]byte(bytes)})
	}
	slices.SortFunc(found, func(a, b *segment) int { return strings.Compare(a.path, b.path) })
	return found, nil
}

func (s *segment) head(first uint64) []byte {
	b := make([]byte, 0, headSize)
	b = append(b, magic...)
	b = binary.LittleEndian.AppendUint32(b, version)
	b = append(b, s.salt[:]...)
	b = binary.LittleEndian.AppendUint64(b, s.sequence)
	b = binary.LittleEndian.AppendUint64(b, first)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli()))
}

// content is what a segment was found to hold.
type content struct {
	bytes int64
	holes []hole
	// lost are numbers that are missing where a damage is: from, to.
	lost [][2]uint64
	// first is the number that the head announces, next the one after the last
	// that was read; 0 when it is not known. cut says that a damage is behind it.
	first, next uint64
	cut         bool
}

// follows notes what is missing between the end of one segment and the
// beginning of the next.
func (c *content) follows(before *content) {
	if before.cut && before.next > 0 && c.first > before.next {
		c.lost = append(c.lost, [2]uint64{before.next, c.first - 1})
	}
}

// errNewer says that a newer Halley wrote the segment.
var errNewer = errors.New("was written by a newer version of Halley; start that one, or let it apply its journal first")

// read hands the segment's frames to take.
func (s *segment) read(take func(frame)) (content, error) {
	data, err := os.ReadFile(s.path)
	if errors.Is(err, os.ErrNotExist) {
		return content{}, nil // a running server has just deleted it
	}
	if err != nil {
		return content{}, fmt.Errorf("read the journal: %w", err)
	}
	c := content{bytes: int64(len(data))}
	if len(data) == 0 {
		return c, nil
	}
	if len(data) < headSize {
		c.holes = append(c.holes, hole{0, len(data), true})
		return c, nil
	}
	if head := data[:headSize]; string(head[:8]) == magic && crc32.Checksum(head[:headSize-4], castagnoli()) == binary.LittleEndian.Uint32(head[headSize-4:]) {
		if v := binary.LittleEndian.Uint32(head[8:]); v > version {
			return c, fmt.Errorf("%s %w", s.path, errNewer)
		}
		c.first = binary.LittleEndian.Uint64(head[28:])
		c.next = c.first
	} else {
		c.holes = append(c.holes, hole{0, headSize, allZero(data)})
		c.cut = true
	}
	mark := newStamp(s.salt)
	mark.scan(data, headSize, func(f frame) {
		if f.kind == recordFrame {
			if c.cut && c.next > 0 && f.number > c.next {
				c.lost = append(c.lost, [2]uint64{c.next, f.number - 1})
			}
			c.next, c.cut = f.number+1, false
		}
		take(f)
	}, func(h hole) {
		c.holes = append(c.holes, h)
		c.cut = c.cut || !h.torn
	})
	return c, nil
}
