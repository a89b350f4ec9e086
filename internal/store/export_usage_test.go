package store

import (
	"fmt"
	"strconv"
	"time"

	"halley/internal/usage"
)

// UsageStatements is every text that writing and asking for usage can make.
func UsageStatements(engine Engine) map[string]string {
	all := map[string]string{}
	names := []string{insertUsage: "insertUsage", updateKeys: "updateKeys", updateUsers: "updateUsers", upsertHours: "upsertHours"}
	db := &DB{engine: engine}
	for i, b := range newBulks() {
		for _, rows := range db.rowsPerStatement() {
			all[names[i]+strconv.Itoa(rows)] = b.text(rows, engine == Postgres)
		}
	}
	at := func(s int64) time.Time { return time.Unix(s, 0) }
	ranges := map[string][2]time.Time{"": {}, "-from": {at(1)}, "-to": {1: at(9000)}, "-range": {at(1), at(9000)}, "-hour": {at(1), at(2)}}
	for bits := range 256 {
		f, name := usage.Filter{}, ""
		for i, set := range []func(){
			func() { f.UserID = 1 }, func() { f.KeyID = 1 }, func() { f.Model = "m" }, func() { f.Status = 200 }, func() { f.RequestID = "r" }, func() { f.ChannelID = 1 },
			func() { f.Errors = true }, func() { f.After = usage.Place{Time: at(5), ID: 7} },
		} {
			if bits&(1<<i) != 0 {
				set()
				name += "-" + []string{"user", "key", "model", "status", "request", "channel", "errors", "after"}[i]
			}
		}
		for within, r := range ranges {
			f.From, f.To = r[0], r[1]
			all["entries"+name+within], _ = entriesText(f, 1, 0)
			all["totals"+name+within], _ = totalsText(f)
		}
	}
	for _, by := range []usage.By{usage.ByModel, usage.ByKey, usage.ByChannel, usage.ByUser} {
		for _, of := range []usage.Whose{{}, {UserID: 1}, {KeyID: 1}, {UserID: 1, KeyID: 1}} {
			name := fmt.Sprint(by, of)
			all["hours"+name], _ = hoursText(by, of, at(0), at(1))
			all["between"+name], _ = betweenText(by, of, at(0), at(1))
		}
	}
	return all
}
