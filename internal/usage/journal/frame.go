package journal

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"time"

	"halley/internal/money"
	"halley/internal/usage"
)

// A frame is
//
//	marker 4 | length of the payload 4 | CRC-32C 4 | payload
//
// little-endian, and a payload is
//
//	kind 1 | number 8 | body
//
// The marker and the start of the checksum come from the salt of the process
// that wrote the segment. So the search for the next frame behind a damage
// cannot be led astray by what a caller put into a record's text, which would
// otherwise be a way to forge one.
const (
	frameHead   = 12
	payloadHead = 9
	// maxPayload is more than a record with every text at its longest.
	maxPayload = 16 << 10
	// maxText is how much of a text is kept: the store keeps less.
	maxText = 512
	// maxShort is how much is kept of the texts of an attempt, which are our own.
	maxShort = 96
	// sector is the least that a disk writes as a whole.
	sector = 512
)

type kind byte

const (
	recordFrame  kind = 1 // body: the fields of a usage.Record
	appliedFrame kind = 2 // no body: all records up to the number are in the store
)

// stamp is what a salt turns into.
type stamp struct {
	marker [4]byte
	seed   uint32
}

func newStamp(salt [8]byte) stamp {
	return stamp{[4]byte(salt[:4]), crc32.Checksum(salt[4:], castagnoli())}
}

// castagnoli is the table of CRC-32C, which processors compute by themselves.
func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

func (s *stamp) sum(frame []byte) uint32 {
	crc := crc32.Update(s.seed, castagnoli(), frame[4:8])
	return crc32.Update(crc, castagnoli(), frame[frameHead:])
}

// appendRecord appends a record's frame to b.
func (s *stamp) appendRecord(b []byte, number uint64, r *usage.Record) []byte {
	at := len(b)
	return s.seal(appendFields(s.open(b, recordFrame, number), r), at)
}

// appendApplied appends a mark.
func (s *stamp) appendApplied(b []byte, number uint64) []byte {
	at := len(b)
	return s.seal(s.open(b, appliedFrame, number), at)
}

func (s *stamp) open(b []byte, k kind, number uint64) []byte {
	b = append(b, s.marker[:]...)
	b = append(b, 0, 0, 0, 0, 0, 0, 0, 0, byte(k))
	return binary.LittleEndian.AppendUint64(b, number)
}

func (s *stamp) seal(b []byte, at int) []byte {
	frame := b[at:]
	binary.LittleEndian.PutUint32(frame[4:], uint32(len(frame)-frameHead)) //nolint:gosec // below maxPayload
	binary.LittleEndian.PutUint32(frame[8:], s.sum(frame))
	return b
}

// frame is one that was read.
type frame struct {
	kind   kind
	number uint64
	record usage.Record // of a recordFrame
}

// read reads the frame that data begins with and tells its size; 0 when there
// is none.
func (s *stamp) read(data []byte) (frame, int) {
	if len(data) < frameHead+payloadHead || [4]byte(data[:4]) != s.marker {
		return frame{}, 0
	}
	length := binary.LittleEndian.Uint32(data[4:])
	if length < payloadHead || length > maxPayload || int(length) > len(data)-frameHead {
		return frame{}, 0
	}
	data = data[:frameHead+int(length)]
	if s.sum(data) != binary.LittleEndian.Uint32(data[8:]) {
		return frame{}, 0
	}
	f := frame{kind: kind(data[frameHead]), number: binary.LittleEndian.Uint64(data[frameHead+1:])}
	body := data[frameHead+payloadHead:]
	switch f.kind {
	case recordFrame:
		var ok bool
		if f.record, ok = readFields(body); !ok {
			return frame{}, 0
		}
	case appliedFrame:
		if len(body) > 0 {
			return frame{}, 0
		}
	default:
		return frame{}, 0
	}
	return f, len(data)
}

// hole is a stretch of bytes that holds no frame. A torn one is the end of a
// write that a crash cut short, which loses nothing that anybody was told of;
// any other is a damage.
type hole struct {
	from, to int
	torn     bool
}

// scan hands every frame in data, from at on, to take, and gives the holes
// between them.
func (s *stamp) scan(data []byte, at int, take func(frame), found func(hole)) {
	for at < len(data) {
		if f, size := s.read(data[at:]); size > 0 {
			take(f)
			at += size
			continue
		}
		next := s.next(data, at+1)
		found(hole{at, next, next == len(data) && s.torn(data, at)})
		at = next
	}
}

// next is where the next frame begins, or the end.
func (s *stamp) next(data []byte, at int) int {
	for at < len(data) {
		i := bytes.Index(data[at:], s.marker[:])
		if i < 0 {
			break
		}
		at += i
		if _, size := s.read(data[at:]); size > 0 {
			return at
		}
		at++
	}
	return len(data)
}

// torn reports whether the rest of data, which holds no frame, looks like a
// write cut short: it ends within its first frame, or a sector of it never
// reached the disk and reads as zeros.
func (s *stamp) torn(data []byte, at int) bool {
	rest := data[at:]
	if bytes.HasPrefix(s.marker[:], rest[:min(4, len(rest))]) {
		if len(rest) < 8 {
			return true
		}
		if length := binary.LittleEndian.Uint32(rest[4:]); length <= maxPayload && int(length) > len(rest)-frameHead {
			return true
		}
	}
	for from := at; from < len(data); {
		to := min(len(data), from-from%sector+sector)
		if allZero(data[from:to]) {
			return true
		}
		from = to
	}
	return false
}

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// appendFields appends the fields of a record in an order that never changes; a
// new field goes to the end, together with a new version of the format.
func appendFields(b []byte, r *usage.Record) []byte {
	text := func(s string) {
		s = s[:min(len(s), maxText)]
		b = append(binary.AppendUvarint(b, uint64(len(s))), s...)
	}
	number := func(n int64) { b = binary.AppendVarint(b, n) }
	flags := int64(0)
	if r.Stream {
		flags |= 1
	}
	if r.Settled {
		flags |= 2
	}
	text(r.EventID)
	number(r.Time.Unix())
	number(int64(r.Time.Nanosecond()))
	text(r.RequestID)
	number(r.KeyID)
	text(r.KeyName)
	number(r.UserID)
	text(r.Model)
	text(r.ServedModel)
	number(r.ChannelID)
	text(r.Group)
	text(r.Dialect)
	text(r.Endpoint)
	number(flags)
	number(int64(r.Status))
	text(r.ErrorCode)
	number(r.Tokens.Prompt)
	number(r.Tokens.CachedRead)
	number(r.Tokens.CacheWrite5m)
	number(r.Tokens.CacheWrite1h)
	number(r.Tokens.AudioIn)
	number(r.Tokens.ImageIn)
	number(r.Tokens.Completion)
	number(r.Tokens.Reasoning)
	number(r.Tokens.AudioOut)
	number(r.Tokens.ImageOut)
	number(int64(r.Cost))
	number(int64(r.Absorbed))
	text(r.PriceVersion)
	number(int64(r.Held))
	number(int64(r.Latency))
	number(int64(r.FirstByte))
	number(int64(r.Attempts))
	text(string(r.Source))
	text(r.EndUser)
	text(r.IP)
	number(int64(r.KeyGrantDelta))
	number(int64(r.UserGrantDelta))
	number(r.ParentID)
	number(int64(r.ParentGrantDelta))
	number(r.Term)
	number(r.Tokens.Searches)
	trail := r.Trail[:min(len(r.Trail), usage.MaxTries)] // else nobody could read the frame
	number(int64(len(trail)))
	for i := range trail {
		one := &trail[i]
		number(one.ChannelID)
		text(one.Outcome[:min(len(one.Outcome), maxShort)])
		text(one.Detail[:min(len(one.Detail), maxShort)])
		number(int64(one.Began))
		number(int64(one.Took))
	}
	return b
}

// readFields reads what appendFields wrote. A body that ends early was written
// by an older version: the fields that it did not know are zero.
func readFields(body []byte) (usage.Record, bool) {
	f := fields{rest: body}
	var r usage.Record
	r.EventID = f.text()
	sec, nsec := f.number(), f.number()
	r.Time = time.Unix(sec, nsec)
	r.RequestID = f.text()
	r.KeyID = f.number()
	r.KeyName = f.text()
	r.UserID = f.number()
	r.Model = f.text()
	r.ServedModel = f.text()
	r.ChannelID = f.number()
	r.Group = f.text()
	r.Dialect = f.text()
	r.Endpoint = f.text()
	flags := f.number()
	r.Stream, r.Settled = flags&1 != 0, flags&2 != 0
	r.Status = int(f.number())
	r.ErrorCode = f.text()
	r.Tokens.Prompt = f.number()
	r.Tokens.CachedRead = f.number()
	r.Tokens.CacheWrite5m = f.number()
	r.Tokens.CacheWrite1h = f.number()
	r.Tokens.AudioIn = f.number()
	r.Tokens.ImageIn = f.number()
	r.Tokens.Completion = f.number()
	r.Tokens.Reasoning = f.number()
	r.Tokens.AudioOut = f.number()
	r.Tokens.ImageOut = f.number()
	r.Cost = money.Nano(f.number())
	r.Absorbed = money.Nano(f.number())
	r.PriceVersion = f.text()
	r.Held = money.Nano(f.number())
	r.Latency = time.Duration(f.number())
	r.FirstByte = time.Duration(f.number())
	r.Attempts = int(f.number())
	r.Source = usage.Source(f.text())
	r.EndUser = f.text()
	r.IP = f.text()
	r.KeyGrantDelta = money.Nano(f.number())
	r.UserGrantDelta = money.Nano(f.number())
	r.ParentID = f.number()
	r.ParentGrantDelta = money.Nano(f.number())
	r.Term = f.number()
	r.Tokens.Searches = f.number()
	r.Trail = f.trail()
	return r, !f.bad && len(f.rest) == 0 && r.EventID != ""
}

// fields reads one field after the other.
type fields struct {
	rest []byte
	bad  bool
}

func (f *fields) number() int64 {
	if len(f.rest) == 0 || f.bad {
		return 0
	}
	n, size := binary.Varint(f.rest)
	if size <= 0 {
		f.bad = true
		return 0
	}
	f.rest = f.rest[size:]
	return n
}

func (f *fields) trail() []usage.Try {
	count := f.number()
	if count < 0 || count > usage.MaxTries {
		f.bad = true
	}
	if count == 0 || f.bad {
		return nil
	}
	trail := make([]usage.Try, count)
	for i := range trail {
		trail[i] = usage.Try{ChannelID: f.number(), Outcome: f.text(), Detail: f.text(), Began: time.Duration(f.number()), Took: time.Duration(f.number())}
	}
	return trail
}

func (f *fields) text() string {
	if len(f.rest) == 0 || f.bad {
		return ""
	}
	n, size := binary.Uvarint(f.rest)
	if size <= 0 || n > uint64(len(f.rest)-size) {
		f.bad = true
		return ""
	}
	s := string(f.rest[size : size+int(n)]) //nolint:gosec // at most len
	f.rest = f.rest[size+int(n):]           //nolint:gosec // at most len
	return s
}
