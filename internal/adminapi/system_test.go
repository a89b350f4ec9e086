package adminapi_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"halley/internal/adminapi"
)

// machine stands in for the application, which has tests of its own.
type machine struct {
	state    adminapi.SystemState
	findings []adminapi.SystemFinding
	err      error
}

func (m *machine) Look(context.Context) (adminapi.SystemState, error) { return m.state, m.err }

func (m *machine) Examine(context.Context) []adminapi.SystemFinding { return m.findings }

func TestAdministratorsSeeHowTheServerIsDoing(t *testing.T) {
	t.Parallel()
	d := newOperatorDesk(t)
	d.machine.state = adminapi.SystemState{Version: "1.2.3", Database: adminapi.SystemDatabase{Engine: "sqlite"}}
	if a := d.must(t, "GET", "/api/system/", ""); !strings.Contains(a.raw, `"version":"1.2.3"`) || !strings.Contains(a.raw, `"nodes":[]`) || !strings.Contains(a.raw, `"leases":null`) {
		t.Error(a.raw)
	}
	if a := d.must(t, "GET", "/api/system/doctor", ""); string(a.Data) != `[]` {
		t.Error(a.raw)
	}
	d.machine.findings = []adminapi.SystemFinding{{What: "clock", Text: "5 minutes apart", Mend: "set it"}}
	if a := d.must(t, "GET", "/api/system/doctor", ""); string(a.Data) != `[{"what":"clock","ok":false,"text":"5 minutes apart","mend":"set it"}]` {
		t.Error(a.raw)
	}
	for _, path := range []string{"/api/system/", "/api/system/doctor"} {
		if a := d.do(t, user, "GET", path, ""); a.status != 403 || a.Code != "admin_required" {
			t.Errorf("%s by a user: %s", path, a.raw)
		}
		if a := d.do(t, reader, "GET", path, ""); a.status != 200 {
			t.Errorf("%s by a reader: %s", path, a.raw)
		}
	}
	d.machine.err = errors.New("postgres://halley:hunter2@db is away")
	if a := d.do(t, admin, "GET", "/api/system/", ""); a.status != 500 || strings.Contains(a.raw, "hunter2") {
		t.Error(a.raw)
	}
}
