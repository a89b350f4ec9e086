package audit

import (
	"bytes"
	"context"
	"crypto/hmac"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
)

// Report is what checking the chain came to.
type Report struct {
	Records int64  // that were checked
	Anchor  Link   // the last that could not be
	Head    Link   // the newest, as it was when the check began
	Broken  *Break // the first thing wrong, nil when nothing is
}

// Break is a place where the chain does not hold.
type Break struct {
	ID  int64 // of the first record that is not right
	Why string
}

// String says where and why.
func (b Break) String() string { return fmt.Sprintf("record %d: %s", b.ID, b.Why) }

// HeadText is the head as people note it down: its id and the beginning of its
// hash.
func (r Report) HeadText() string {
	return fmt.Sprintf("%d:%s", r.Head.ID, hex.EncodeToString(r.Head.Hash[:min(len(r.Head.Hash), 16)]))
}

// verifyPage is how many records are read at once.
const verifyPage = 1000

// Verify checks the chain from its anchor to its head. noted, unless it is "", is
// an earlier report's HeadText: it proves that what was there then still is. What
// the chain cannot show by itself is that its newest records were cut off; but who
// wrote them remembers the last.
func (s *Service) Verify(ctx context.Context, noted string) (Report, error) {
	for {
		own := s.ownNewest()
		before, err := s.store.AuditEnds(ctx)
		if err != nil {
			return Report{}, unavailable(err)
		}
		report, err := s.verify(ctx, before, own, noted)
		if err != nil || report.Broken == nil {
			return report, err
		}
		// Records that were pruned meanwhile are no break.
		after, err := s.store.AuditEnds(ctx)
		if err != nil {
			return Report{}, unavailable(err)
		}
		if after.Anchor.ID == before.Anchor.ID {
			return report, nil
		}
	}
}

func (s *Service) verify(ctx context.Context, ends Ends, own Link, noted string) (Report, error) {
	report := Report{Anchor: ends.Anchor, Head: ends.Head}
	broken := func(id int64, why string) (Report, error) {
		report.Broken = &Break{id, why}
		return report, nil
	}
	// Without a MAC it is where the chain began, which has no hash before it.
	first := len(ends.AnchorMAC) == 0 && len(ends.Anchor.Hash) == 0
	if !first && !hmac.Equal(ends.AnchorMAC, s.vouch(ends.Anchor)) {
		return broken(ends.Anchor.ID, "the anchor, from which records are checked, was changed")
	}
	seen, seenOwn := noted == "", own.ID < ends.Anchor.ID // what was pruned is not looked for
	note := func(l Link) {
		r := Report{Head: l}
		seen = seen || r.HeadText() == strings.TrimSpace(noted)
		seenOwn = seenOwn || l.ID == own.ID && bytes.Equal(l.Hash, own.Hash)
	}
	last := ends.Anchor
	note(last)
	for last.ID < ends.Head.ID {
		records, err := s.store.AuditAfter(ctx, last.ID, verifyPage)
		if err != nil {
			return Report{}, unavailable(err)
		}
		if len(records) == 0 {
			return broken(last.ID+1, "it is missing, and so is all that followed")
		}
		for _, r := range records {
			switch {
			case r.ID > ends.Head.ID && last.ID == ends.Head.ID:
				continue // written since
			case r.ID != last.ID+1:
				return broken(last.ID+1, "it is missing")
			case !hmac.Equal(r.Hash, s.link(last.Hash, r)):
				return broken(r.ID, "it was changed, or does not follow the one before it")
			}
			last = Link{r.ID, r.Hash}
			note(last)
			report.Records++
		}
	}
	switch {
	case last.ID != ends.Head.ID || !bytes.Equal(last.Hash, ends.Head.Hash):
		return broken(last.ID+1, "the newest records are missing: the chain is longer than what is there")
	case !seen:
		return broken(ends.Head.ID, "the record that was noted is not in the chain (any more)")
	}
	if !seenOwn {
		return broken(own.ID, "this server wrote it, and it is not in the chain any more")
	}
	stray, found, err := s.stray(ctx, ends, first)
	if err != nil {
		return Report{}, unavailable(err)
	}
	if found {
		return broken(stray, "it is not of the chain, but was put beside it")
	}
	return report, nil
}

// stray finds a record before the anchor or after the head, where the walk from
// one to the other does not come by, but a list of the trail does. first says that
// the anchor is where the chain began: before it are records that have no hash.
func (s *Service) stray(ctx context.Context, ends Ends, first bool) (id int64, found bool, err error) {
	oldest, newest, any, err := s.store.AuditSpan(ctx)
	if err != nil || !any {
		return 0, false, err
	}
	if oldest < 1 || !first && oldest <= ends.Anchor.ID {
		return oldest, true, nil
	}
	// Asked last: what was written meanwhile is below it.
	after, err := s.store.AuditEnds(ctx)
	return newest, newest > after.Head.ID, err
}

// Prune deletes records older than an instant and notes that it did. The chain is
// checked from the last of them from then on.
func (s *Service) Prune(ctx context.Context, older time.Time) (int64, error) {
	anchor, n, err := s.store.PruneAudit(ctx, older, s.vouch)
	if err != nil || n == 0 {
		return 0, unavailable(err)
	}
	return n, s.Record(ctx, Entry{Action: "audit.prune", Target: fmt.Sprintf("audit record %d", anchor.ID), Detail: fmt.Sprintf(`{"records":%d,"older_than":%d}`, n, older.Unix())})
}

// link is the hash of a record that follows one with the hash previous.
func (s *Service) link(previous []byte, r *Record) []byte {
	var b strings.Builder
	part := func(text string) {
		var size [8]byte
		binary.BigEndian.PutUint64(size[:], uint64(len(text)))
		b.Write(size[:])
		b.WriteString(text)
	}
	number := func(n int64) {
		var text [8]byte
		binary.BigEndian.PutUint64(text[:], uint64(n))
		b.Write(text[:])
	}
	part("record 1") // the form of what follows
	part(string(previous))
	number(r.ID)
	number(r.Time.UnixMilli())
	number(r.Actor)
	for _, text := range []string{r.Action, r.Target, r.Detail, r.Before, r.After, r.RequestID, r.IP} {
		part(text)
	}
	sum := s.keyed.Sum(b.String())
	return sum[:]
}

// vouch is the MAC of an anchor.
func (s *Service) vouch(l Link) []byte {
	sum := s.keyed.Sum(fmt.Sprintf("anchor 1 %d %x", l.ID, l.Hash))
	return sum[:]
}
