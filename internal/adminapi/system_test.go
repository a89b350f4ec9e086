package adminapi_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"halley/internal/adminapi"
	"halley/internal/speech"
)

// machine stands in for the application, which has tests of its own.
type machine struct {
	state    adminapi.SystemState
	findings []adminapi.Finding
	err      error
}

func (m *machine) Look(context.Context) (adminapi.SystemState, error) { return m.state, m.err }

func (m *machine) Examine(context.Context) []adminapi.Finding { return m.findings }

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
	d.machine.findings = []adminapi.Finding{{What: speech.Say("clock"), Text: speech.Phrase("5 minutes apart"), Mend: speech.Say("check the database")}}
	if a := d.must(t, "GET", "/api/system/doctor", ""); string(a.Data) != `[{"what":"clock","ok":false,"text":"5 minutes apart","mend":"check the database"}]` {
		t.Error(a.raw)
	}
	if a := d.do(t, admin, "GET", "/api/system/doctor", "", "Accept-Language: zh-CN"); string(a.Data) != `[{"what":"时钟","ok":false,"text":"5 minutes apart","mend":"检查数据库"}]` {
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
