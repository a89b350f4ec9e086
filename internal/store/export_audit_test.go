package store

import (
	"time"

	"halley/internal/audit"
)

// AuditStatements is every text that asking for the trail can make, by what is
// asked.
func AuditStatements() map[string]string {
	all := map[string]string{}
	for bits := range 512 {
		f, name := audit.Filter{Limit: 1}, ""
		for i, set := range []func(){
			func() { f.Actor = new(int64(1)) }, func() { f.Action = "a" }, func() { f.Target = "t" }, func() { f.From = time.Unix(1, 0) }, func() { f.To = time.Unix(2, 0) }, func() { f.Action = "a.b" },
			func() { f.TargetKind = "t" }, func() { f.RequestID = "r" }, func() { f.Before = 9 },
		} {
			if bits&(1<<i) != 0 {
				set()
				name += "-" + []string{"actor", "action", "target", "from", "to", "exact", "kind", "request", "before"}[i]
			}
		}
		all["page"+name], _ = auditPageText(f)
		all["count"+name], _ = auditCountText(f)
	}
	return all
}
