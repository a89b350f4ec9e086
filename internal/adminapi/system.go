package adminapi

import (
	"context"
	"net/http"

	"halley/internal/speech"
)

// System knows the server and what it runs on.
type System interface {
	// Look tells what is known at once.
	Look(ctx context.Context) (SystemState, error)
	// Examine looks for what needs mending, upstreams included.
	Examine(ctx context.Context) []Finding
}

// SystemState is what a server knows of itself and of those beside it.
type SystemState struct {
	Version  string         `json:"version"`
	Go       string         `json:"go" doc:"The Go version that it was built with."`
	Platform string         `json:"platform" doc:"Such as linux/amd64."`
	Started  int64          `json:"started" doc:"Unix seconds."`
	Now      int64          `json:"now" doc:"This server's clock, in Unix seconds."`
	Database SystemDatabase `json:"database"`
	Nodes    []SystemNode   `json:"nodes" doc:"Servers on the database, those included that have been silent for less than a day; the latest seen first."`
	Leases   *SystemLeases  `json:"leases" doc:"How money is shared with other servers; null where nobody shares the database."`
	Journal  SystemJournal  `json:"journal" doc:"This server's usage journal."`
	Queue    SystemQueue    `json:"queue" doc:"Usage records on their way to the database."`
}

// SystemDatabase is what is known of the database.
type SystemDatabase struct {
	Engine  string `json:"engine" enum:"sqlite,postgres"`
	Version string `json:"version"`
	Bytes   int64  `json:"bytes"`
	Schema  int64  `json:"schema" doc:"The number of the last migration."`
}

// SystemNode is one server.
type SystemNode struct {
	Hostname string `json:"hostname"`
	Listen   string `json:"listen" doc:"host:port of its API."`
	Version  string `json:"version"`
	Started  int64  `json:"started" doc:"Unix seconds."`
	Seen     int64  `json:"seen" doc:"Its last sign of life, in Unix seconds."`
	Live     bool   `json:"live"`
	This     bool   `json:"this" doc:"The one that answers."`
}

// SystemLeases are figures since the server's start.
type SystemLeases struct {
	Servers     int64 `json:"servers" doc:"At work on the database, this one included."`
	TermSeconds int64 `json:"term_s" doc:"How long a server may be silent before its leases lapse."`
	Taken       int64 `json:"taken" doc:"Leases taken or added to."`
	Recalls     int64 `json:"recalls" doc:"Times others were asked for what they do not use."`
	Lapsed      int64 `json:"lapsed" doc:"Times the others took this one for dead."`
}

// SystemJournal is the usage journal.
type SystemJournal struct {
	Records  int64 `json:"records" doc:"Records that are not in the database yet."`
	Bytes    int64 `json:"bytes" doc:"Of its files."`
	Failures int64 `json:"failures" doc:"Failed writes since the start."`
	Torn     int64 `json:"torn" doc:"Records that the last end cut off, found at the start."`
	Damaged  int64 `json:"damaged" doc:"Stretches that could not be read at the start."`
	Full     bool  `json:"full" doc:"New charged requests are refused."`
}

// SystemQueue is what waits for the database.
type SystemQueue struct {
	Records     int64 `json:"records"`
	OldestMS    int64 `json:"oldest_ms" doc:"How long the first has waited."`
	FlushErrors int64 `json:"flush_errors" doc:"Failed attempts to write since the start."`
	SetAside    int64 `json:"set_aside" doc:"Records that the database refused for good since the start."`
	Dropped     int64 `json:"dropped" doc:"Records of refused requests left out while full, since the start."`
}

// Finding is one thing that the doctor looked at.
type Finding struct {
	What speech.Text // "database"
	OK   bool
	Text speech.Text // what was seen
	Mend speech.Text // what to do about it, when it is not OK
}

// SystemFinding is a finding in words.
type SystemFinding struct {
	What string `json:"what"`
	OK   bool   `json:"ok"`
	Text string `json:"text" doc:"What was seen."`
	Mend string `json:"mend" doc:"What to do about it; empty when it is well."`
}

func (s *Server) systemRoutes() []route {
	return []route{
		{
			method: http.MethodGet, path: "/api/system/", access: adminOnly, handle: s.getSystem,
			summary: "Say how this server, its database and the servers beside it are doing", out: typeOf[SystemState](),
		},
		{
			method: http.MethodGet, path: "/api/system/doctor", access: adminOnly, handle: s.examineSystem,
			summary: "Look for what needs mending, as halley doctor does; every enabled channel's upstream is asked", out: typeOf[[]SystemFinding](),
		},
	}
}

func (s *Server) getSystem(c *call) (any, error) {
	state, err := s.System.Look(c.ctx)
	if err != nil {
		return nil, err
	}
	if state.Nodes == nil {
		state.Nodes = []SystemNode{}
	}
	return state, nil
}

func (s *Server) examineSystem(c *call) (any, error) {
	views := []SystemFinding{}
	for _, f := range s.System.Examine(c.ctx) {
		views = append(views, SystemFinding{What: c.say(f.What), OK: f.OK, Text: c.say(f.Text), Mend: c.say(f.Mend)})
	}
	return views, nil
}
