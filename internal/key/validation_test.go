package key

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"halley/internal/budget"
	"halley/internal/fault"
	"halley/internal/jsonx"
	"halley/internal/limit"
	"halley/internal/money"
)

var testNow = time.Unix(1_700_000_000, 0)

func creating() judge {
	return judge{now: testNow, creating: true, usable: func(g string) bool { return g == "vip" || g == "default" }}
}

func named(p Patch) Patch {
	if p.Name == nil {
		p.Name = new("key")
	}
	return p
}

func TestEveryRuleOfARecordHasItsCode(t *testing.T) {
	t.Parallel()
	many := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "10.%d.%d.%d\n", i>>16&255, i>>8&255, i&255)
		}
		return b.String()
	}
	for name, row := range map[string]struct {
		patch Patch
		code  string
		says  string
	}{
		"no name":                  {Patch{Name: new("")}, "name_required", "name"},
		"a blank name":             {Patch{Name: new(" \t\n ")}, "name_required", "name"},
		"a trimmed name":           {Patch{Name: new("  a  ")}, "", ""},
		"50 characters":            {Patch{Name: new(strings.Repeat("ü", 50))}, "", ""},
		"50 emoji":                 {Patch{Name: new(strings.Repeat("🔑", 50))}, "", ""},
		"a family":                 {Patch{Name: new("👨‍👩‍👧‍👦")}, "", ""},
		"51 characters":            {Patch{Name: new(strings.Repeat("ü", 51))}, "name_too_long", "at most 50 characters, it has 51"},
		"a megabyte":               {Patch{Name: new(strings.Repeat("x", 1<<20))}, "name_too_long", "1048576"},
		"a tab inside":             {Patch{Name: new("a\tb")}, "name_invalid", "control"},
		"NUL":                      {Patch{Name: new("a\x00b")}, "name_invalid", "control"},
		"delete":                   {Patch{Name: new("a\x7fb")}, "name_invalid", "control"},
		"C1":                       {Patch{Name: new("a\u0085b")}, "name_invalid", "control"},
		"a change of direction":    {Patch{Name: new("a\u202eb")}, "name_invalid", "control"},
		"a line separator":         {Patch{Name: new("a\u2028b")}, "name_invalid", "control"},
		"not UTF-8":                {Patch{Name: new("a\xffb")}, "name_invalid", "control"},
		"status 0":                 {Patch{Status: new(Status(0))}, "invalid_status", "status"},
		"status 5":                 {Patch{Status: new(Status(5))}, "invalid_status", "status"},
		"never":                    {Patch{ExpiresAt: new(Never)}, "", ""},
		"expires at 0":             {Patch{ExpiresAt: new(int64(0))}, "invalid_expired_time", "-1"},
		"expires at -2":            {Patch{ExpiresAt: new(int64(-2))}, "invalid_expired_time", "-1"},
		"expires at min":           {Patch{ExpiresAt: new(int64(-1 << 63))}, "invalid_expired_time", "-1"},
		"expired now":              {Patch{ExpiresAt: new(testNow.Unix())}, "invalid_expired_time", "past"},
		"expires in a second":      {Patch{ExpiresAt: new(testNow.Unix() + 1)}, "", ""},
		"expires in 9999":          {Patch{ExpiresAt: new(MaxExpiresAt)}, "", ""},
		"expires in 10000":         {Patch{ExpiresAt: new(MaxExpiresAt + 1)}, "invalid_expired_time", "9999"},
		"expires in milliseconds":  {Patch{ExpiresAt: new(testNow.UnixMilli())}, "invalid_expired_time", "milliseconds"},
		"expires at 2^53":          {Patch{ExpiresAt: new(int64(1 << 53))}, "invalid_expired_time", "9999"},
		"expires at the last":      {Patch{ExpiresAt: new(int64(1<<63 - 1))}, "invalid_expired_time", "9999"},
		"no quota":                 {Patch{RemainQuota: new(int64(0))}, "", ""},
		"the largest quota":        {Patch{RemainQuota: new(money.MaxUnits)}, "", ""},
		"quota -1":                 {Patch{RemainQuota: new(int64(-1))}, "invalid_remain_quota", "from 0 to 4000000000000000"},
		"quota beyond":             {Patch{RemainQuota: new(money.MaxUnits + 1)}, "invalid_remain_quota", "from 0 to"},
		"quota 2^53":               {Patch{RemainQuota: new(int64(1 << 53))}, "invalid_remain_quota", "from 0 to"},
		"quota the last":           {Patch{RemainQuota: new(int64(1<<63 - 1))}, "invalid_remain_quota", "from 0 to"},
		"models, not enabled":      {Patch{ModelLimits: new("gpt-5*, o3")}, "", ""},
		"enabled without models":   {Patch{ModelLimitsEnabled: new(true)}, "invalid_model_limits", "at least one"},
		"enabled with blanks":      {Patch{ModelLimitsEnabled: new(true), ModelLimits: new(" , ,,")}, "invalid_model_limits", "at least one"},
		"a control in a model":     {Patch{ModelLimits: new("gpt\x00-5")}, "invalid_model_limits", "control"},
		"a long model":             {Patch{ModelLimits: new(strings.Repeat("m", 257))}, "invalid_model_limits", "256"},
		"too much of models":       {Patch{ModelLimits: new(strings.Repeat("gpt,", 17000))}, "invalid_model_limits", "65536"},
		"an address":               {Patch{AllowIPs: new("192.0.2.1")}, "", ""},
		"not an address":           {Patch{AllowIPs: new("192.0.2.1\nnonsense")}, "invalid_ip", `"nonsense"`},
		"a bad octet":              {Patch{AllowIPs: new("192.0.2.256")}, "invalid_ip", `"192.0.2.256"`},
		"octal":                    {Patch{AllowIPs: new("010.0.0.1")}, "invalid_ip", `"010.0.0.1"`},
		"a length too long":        {Patch{AllowIPs: new("10.0.0.0/33")}, "invalid_ip", `"10.0.0.0/33"`},
		"no length":                {Patch{AllowIPs: new("10.0.0.0/")}, "invalid_ip", `"10.0.0.0/"`},
		"a range":                  {Patch{AllowIPs: new("10.0.0.1-10.0.0.9")}, "invalid_ip", `"10.0.0.1-10.0.0.9"`},
		"a name":                   {Patch{AllowIPs: new("localhost")}, "invalid_ip", `"localhost"`},
		"a port":                   {Patch{AllowIPs: new("10.0.0.1:80")}, "invalid_ip", `"10.0.0.1:80"`},
		"a zone":                   {Patch{AllowIPs: new("fe80::1%eth0")}, "invalid_ip", "zone"},
		"a zone in a network":      {Patch{AllowIPs: new("fe80::%eth0/64")}, "invalid_ip", "zone"},
		"mapped, wider than IPv4":  {Patch{AllowIPs: new("::ffff:10.0.0.0/95")}, "invalid_ip", `"::ffff:10.0.0.0/95"`},
		"a control among them":     {Patch{AllowIPs: new("10.0.0.\x001")}, "invalid_ip", "�"},
		"1,000 addresses":          {Patch{AllowIPs: new(many(1000))}, "", ""},
		"1,001 addresses":          {Patch{AllowIPs: new(many(1001))}, "too_many_ips", "at most 1000"},
		"10,000 addresses":         {Patch{AllowIPs: new(many(10000))}, "too_many_ips", "at most 1000"},
		"10,000 times the same":    {Patch{AllowIPs: new(strings.Repeat("10.0.0.1\n", 10000))}, "", ""},
		"the owner's group":        {Patch{Group: new("")}, "", ""},
		"automatic":                {Patch{Group: new("auto")}, "", ""},
		"a group":                  {Patch{Group: new("vip")}, "", ""},
		"an unknown group":         {Patch{Group: new("nope")}, "invalid_group", `"nope"`},
		"a group in another case":  {Patch{Group: new("VIP")}, "invalid_group", `"VIP"`},
		"a group with a NUL":       {Patch{Group: new("v\x00p")}, "invalid_group", "�"},
		"a megabyte of group":      {Patch{Group: new(strings.Repeat("g", 1<<20))}, "invalid_group", "…"},
		"the first fault is named": {Patch{Name: new(""), RemainQuota: new(int64(-1))}, "name_required", "name"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := named(row.patch).apply(Key{Status: Enabled, ExpiresAt: Never}, creating())
			if got := fault.Code(err); got != row.code {
				t.Fatalf("code %q, want %q (%v)", got, row.code, err)
			}
			if err == nil {
				return
			}
			f := fault.From(err)
			if !strings.Contains(f.Message, row.says) || f.Param == "" || !strings.Contains(f.Message, f.Param) || f.Kind != fault.Invalid {
				t.Errorf("%q (param %q) must be a 422 that names the field and says %q", f.Message, f.Param, row.says)
			}
			if len(f.Message) > 600 {
				t.Errorf("a message of %d bytes", len(f.Message))
			}
		})
	}
}

func TestFieldsAreKeptCanonical(t *testing.T) {
	t.Parallel()
	k, err := Patch{
		Name: new("  Prod  "), ModelLimits: new(" gpt-5*, o3 ,,o3,gpt-5*"), ModelLimitsEnabled: new(true),
		AllowIPs: new("10.1.2.3/8, 192.0.2.1\r\n::ffff:192.0.2.1\t::ffff:198.51.100.7/120 2001:DB8::1/32\n\n2001:db8:0:0::1 0.0.0.0/0"),
	}.apply(Key{Status: Enabled, ExpiresAt: Never}, creating())
	if err != nil {
		t.Fatal(err)
	}
	if k.Name != "Prod" || !slices.Equal(k.Models, []string{"gpt-5*", "o3"}) {
		t.Errorf("%q, %q", k.Name, k.Models)
	}
	want := "10.0.0.0/8\n192.0.2.1\n198.51.100.0/24\n2001:db8::/32\n2001:db8::1\n0.0.0.0/0"
	if got := FormatAddresses(k.AllowIPs); got != want {
		t.Errorf("addresses:\n%s\nwant\n%s", got, want)
	}
	for _, none := range []string{"", " \n , "} {
		cleared, err := Patch{AllowIPs: &none}.apply(k, judge{usable: creating().usable})
		if err != nil || len(cleared.AllowIPs) != 0 {
			t.Errorf("%q leaves %v, %v", none, cleared.AllowIPs, err)
		}
	}
}

func TestAnUpdateLeavesWhatItDoesNotName(t *testing.T) {
	t.Parallel()
	before := Key{
		Status: Disabled, Name: "n", ExpiresAt: 5, Models: []string{"m"}, ModelLimitsEnabled: true, AllowIPs: []netip.Prefix{netip.MustParsePrefix("::1/128")},
		Group: "gone", CrossGroupRetry: true, Unlimited: true, Limits: Limits{Limits: limit.Limits{RPM: new(int64(1))}, AutoGroups: []string{"gone"}},
	}
	updating := creating()
	updating.creating = false
	after, err := Patch{}.apply(before, updating)
	if err != nil || !same(&before, &after) {
		t.Errorf("an empty update: %v\n%+v", err, after)
	}
	// Values sent back as they were are not judged again.
	after, err = Patch{ExpiresAt: new(int64(5)), Group: new("gone"), Limits: &LimitsPatch{AutoGroups: jsonx.Some([]jsonx.Opt[string]{jsonx.Some("gone")})}}.apply(before, updating)
	if err != nil || !same(&before, &after) {
		t.Errorf("an update with the same values: %v\n%+v", err, after)
	}
	if _, err = (Patch{ModelLimits: new("")}).apply(before, updating); fault.Code(err) != "invalid_model_limits" {
		t.Errorf("emptying an enabled list: %v", err)
	}
	if _, err = (Patch{ExpiresAt: new(int64(6))}).apply(before, updating); err != nil {
		t.Errorf("an update to a time in the past: %v", err)
	}
}

func TestLimitsAreMergedMemberByMember(t *testing.T) {
	t.Parallel()
	l := Limits{}
	for _, step := range []struct {
		patch string
		code  string
		want  Limits
	}{
		{`{"rpm":60,"rpd":null,"per_model":{" gpt-5* ":{"rpm":10,"tpm":null}},"parent_id":7}`, "",
			Limits{Limits: limit.Limits{RPM: new(int64(60)), PerModel: map[string]limit.Rate{"gpt-5*": {RPM: new(int64(10))}}}}},
		{`{"tpm":0,"endpoints":["chat","chat","videos"],"metadata":{"team":"search","x":""}}`, "",
			Limits{Limits: limit.Limits{RPM: new(int64(60)), TPM: new(int64(0)), PerModel: map[string]limit.Rate{"gpt-5*": {RPM: new(int64(10))}}}, Endpoints: []string{"chat", "videos"}, Metadata: map[string]string{"team": "search", "x": ""}}},
		{`{"rpm":-1}`, "invalid_limits", Limits{}},
		{`{"rpm":null,"per_model":null,"metadata":{},"endpoints":[],"budgets":[{"amount":5,"period":"hours:5","used":9,"renews_at":1},{"amount":0,"period":"week","time_zone":"Europe/Berlin"}]}`, "",
			Limits{Limits: limit.Limits{TPM: new(int64(0))}, Endpoints: []string{}, Metadata: map[string]string{}, Budgets: []budget.Renewing{{Amount: 5, Period: "hours:5", TimeZone: "UTC"}, {Period: "week", TimeZone: "Europe/Berlin"}}}},
		{`{"auto_groups":["vip","default","vip"],"budgets":null,"metadata":null,"endpoints":null,"tpm":null,"concurrency":3}`, "",
			Limits{Limits: limit.Limits{Concurrency: new(int64(3))}, AutoGroups: []string{"vip", "default"}}},
	} {
		var p LimitsPatch
		if err := jsonx.Decode([]byte(step.patch), &p); err != nil {
			t.Fatal(err)
		}
		next, err := p.apply(l, creating())
		if got := fault.Code(err); got != step.code {
			t.Fatalf("%s: code %q, want %q (%v)", step.patch, got, step.code, err)
		}
		if err != nil {
			continue
		}
		if diff := cmp.Diff(step.want, next); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.patch, diff)
		}
		l = next
		text, err := jsonx.Marshal(l)
		if err != nil {
			t.Fatal(err)
		}
		var stored Limits
		if err := jsonx.Unmarshal(text, &stored); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(l, stored); diff != "" {
			t.Errorf("%s is not what comes back of it:\n%s", text, diff)
		}
	}
}

func TestEveryRuleOfTheLimitsHasItsCode(t *testing.T) {
	t.Parallel()
	list := func(n int, item string) string {
		return "[" + strings.TrimSuffix(strings.Repeat(item+",", n), ",") + "]"
	}
	object := func(n int, value string) string {
		var members []string
		for i := range n {
			members = append(members, fmt.Sprintf(`"m%d":%s`, i, value))
		}
		return "{" + strings.Join(members, ",") + "}"
	}
	for name, row := range map[string]struct{ patch, code, field string }{
		"negative rpd":              {`{"rpd":-1}`, "invalid_limits", "limits.rpd"},
		"negative tpm":              {`{"tpm":-5}`, "invalid_limits", "limits.tpm"},
		"negative tpm_input":        {`{"tpm_input":-5}`, "invalid_limits", "limits.tpm_input"},
		"huge tpm_output":           {`{"tpm_output":1000000000001}`, "invalid_limits", "limits.tpm_output"},
		"negative output per model": {`{"per_model":{"a":{"tpm_output":-1}}}`, "invalid_limits", "limits.per_model.tpm_output"},
		"negative concurrency":      {`{"concurrency":-5}`, "invalid_limits", "limits.concurrency"},
		"huge rpm":                  {`{"rpm":9007199254740992}`, "invalid_limits", "limits.rpm"},
		"negative per model":        {`{"per_model":{"a":{"rpm":-1}}}`, "invalid_limits", "limits.per_model.rpm"},
		"per model null":            {`{"per_model":{"a":null}}`, "invalid_type", `limits.per_model."a"`},
		"per model without a name":  {`{"per_model":{" ":{}}}`, "invalid_limits", "limits.per_model"},
		"per model twice":           {`{"per_model":{"a":{},"a ":{}}}`, "invalid_limits", "limits.per_model"},
		"per model, control":        {`{"per_model":{"a\u0000":{}}}`, "invalid_limits", "limits.per_model"},
		"per model, too many":       {`{"per_model":` + object(201, "{}") + `}`, "invalid_limits", "limits.per_model"},
		"budget null":               {`{"budgets":[null]}`, "invalid_type", "limits.budgets.0"},
		"budget without amount":     {`{"budgets":[{"period":"day"}]}`, "invalid_limits", "limits.budgets.0.amount"},
		"budget amount null":        {`{"budgets":[{"amount":null,"period":"day"}]}`, "invalid_type", "limits.budgets.0.amount"},
		"budget negative":           {`{"budgets":[{"amount":1,"period":"day"},{"amount":-1,"period":"day"}]}`, "invalid_limits", "limits.budgets.1.amount"},
		"budget too large":          {`{"budgets":[{"amount":4000000000000001,"period":"day"}]}`, "invalid_limits", "limits.budgets.0.amount"},
		"budgets of one schedule":   {`{"budgets":[{"amount":1,"period":"day"},{"amount":2,"period":"day","time_zone":"UTC"}]}`, "invalid_limits", "limits.budgets.1"},
		"budget without period":     {`{"budgets":[{"amount":1}]}`, "invalid_limits", "limits.budgets.0.period"},
		"budget, another period":    {`{"budgets":[{"amount":1,"period":"year"}]}`, "invalid_limits", "limits.budgets.0.period"},
		"budget, no hours":          {`{"budgets":[{"amount":1,"period":"hours:0"}]}`, "invalid_limits", "limits.budgets.0.period"},
		"budget, signed hours":      {`{"budgets":[{"amount":1,"period":"hours:+5"}]}`, "invalid_limits", "limits.budgets.0.period"},
		"budget, hours alone":       {`{"budgets":[{"amount":1,"period":"hours"}]}`, "invalid_limits", "limits.budgets.0.period"},
		"budget, anchor passed":     {`{"budgets":[{"amount":1,"period":"day","anchor":1}]}`, "invalid_limits", "limits.budgets.0.anchor"},
		"budget, anchor too late":   {`{"budgets":[{"amount":1,"period":"day","anchor":9000000000000000}]}`, "invalid_limits", "limits.budgets.0.anchor"},
		"budget, another zone":      {`{"budgets":[{"amount":1,"period":"day","time_zone":"Mars/Olympus"}]}`, "invalid_limits", "limits.budgets.0.time_zone"},
		"budget, the machine's":     {`{"budgets":[{"amount":1,"period":"day","time_zone":"Local"}]}`, "invalid_limits", "limits.budgets.0.time_zone"},
		"budget, no zone":           {`{"budgets":[{"amount":1,"period":"day","time_zone":""}]}`, "invalid_limits", "limits.budgets.0.time_zone"},
		"budget, a path":            {`{"budgets":[{"amount":1,"period":"day","time_zone":"../../etc/passwd"}]}`, "invalid_limits", "limits.budgets.0.time_zone"},
		"budgets, too many":         {`{"budgets":` + list(17, `{"amount":1,"period":"day"}`) + `}`, "invalid_limits", "limits.budgets"},
		"an unknown endpoint":       {`{"endpoints":["chat","telepathy"]}`, "invalid_limits", "limits.endpoints"},
		"endpoint null":             {`{"endpoints":[null]}`, "invalid_type", "limits.endpoints.0"},
		"an unknown group":          {`{"auto_groups":["vip","nope"]}`, "invalid_group", "limits.auto_groups"},
		"auto in itself":            {`{"auto_groups":["auto"]}`, "invalid_group", "limits.auto_groups"},
		"auto_groups null inside":   {`{"auto_groups":[null]}`, "invalid_type", "limits.auto_groups.0"},
		"auto_groups, too many":     {`{"auto_groups":` + list(101, `"vip"`) + `}`, "invalid_limits", "limits.auto_groups"},
		"metadata null inside":      {`{"metadata":{"a":null}}`, "invalid_type", `limits.metadata."a"`},
		"metadata, too many":        {`{"metadata":` + object(65, `""`) + `}`, "invalid_limits", "limits.metadata"},
		"metadata without a name":   {`{"metadata":{"":"x"}}`, "invalid_limits", "limits.metadata"},
		"metadata, a long name":     {`{"metadata":{"` + strings.Repeat("n", 65) + `":"x"}}`, "invalid_limits", "limits.metadata"},
		"metadata, a long text":     {`{"metadata":{"n":"` + strings.Repeat("x", 513) + `"}}`, "invalid_limits", "limits.metadata"},
		"metadata, NUL":             {`{"metadata":{"n":"\u0000"}}`, "invalid_limits", "limits.metadata"},
		"too large all together":    {`{"metadata":` + object(40, `"`+strings.Repeat("x", 500)+`"`) + `}`, "invalid_limits", "limits"},
		"read-only of another type": {`{"parent_id":"x","budgets":[{"amount":1,"period":"month","used":"x","renews_at":{}}]}`, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var p LimitsPatch
			if err := jsonx.Decode([]byte(row.patch), &p); err != nil {
				t.Fatal(err)
			}
			before := Limits{Limits: limit.Limits{RPM: new(int64(1))}}
			_, err := p.apply(before, creating())
			if fault.Code(err) != row.code {
				t.Fatalf("code %q, want %q (%v)", fault.Code(err), row.code, err)
			}
			if err == nil {
				return
			}
			f := fault.From(err)
			if f.Param != row.field || !strings.Contains(f.Message, row.field) {
				t.Errorf("param %q, want %q, in %q", f.Param, row.field, f.Message)
			}
		})
	}
}

func TestABudgetRenewsAtItsZonesBoundary(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ period, zone, now, want string }{
		{"day", "UTC", "2026-03-28T23:59:59Z", "2026-03-29T00:00:00Z"},
		{"day", "UTC", "2026-03-29T00:00:00Z", "2026-03-30T00:00:00Z"},
		{"day", "Europe/Berlin", "2026-03-28T23:30:00Z", "2026-03-29T22:00:00Z"}, // clocks go forward
		{"day", "America/New_York", "2026-11-01T12:00:00Z", "2026-11-02T05:00:00Z"},
		{"week", "UTC", "2026-03-29T12:00:00Z", "2026-03-30T00:00:00Z"}, // a Sunday
		{"week", "UTC", "2026-03-30T00:00:00Z", "2026-04-06T00:00:00Z"}, // a Monday
		{"month", "UTC", "2026-12-31T12:00:00Z", "2027-01-01T00:00:00Z"},
		{"month", "Asia/Tokyo", "2026-01-31T15:00:00Z", "2026-02-28T15:00:00Z"},
		{"hours:5", "Europe/Berlin", "1970-01-01T04:59:59Z", "1970-01-01T05:00:00Z"},
		{"hours:5", "UTC", "1970-01-01T05:00:00Z", "1970-01-01T10:00:00Z"},
	} {
		now, _ := time.Parse(time.RFC3339, row.now)
		got := budget.Renewing{Period: row.period, TimeZone: row.zone}.RenewsAt(now)
		if text := got.UTC().Format(time.RFC3339); text != row.want {
			t.Errorf("%s in %s at %s: %s, want %s", row.period, row.zone, row.now, text, row.want)
		}
	}
}

func FuzzAddresses(f *testing.F) {
	for _, seed := range []string{"10.0.0.0/8, ::1", "::ffff:10.0.0.0/104", "fe80::1%eth0", "1.2.3.4/", "\xff/8", "::/0"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		list, err := parseAddresses(text)
		if err != nil {
			return
		}
		again, err := parseAddresses(FormatAddresses(list))
		if err != nil || !slices.Equal(list, again) {
			t.Fatalf("%v reads back as %v, %v", list, again, err)
		}
		set := newAddressSet(list)
		for _, p := range list {
			if p != p.Masked() || p.Addr().Is4In6() || p.Addr().Zone() != "" {
				t.Fatalf("%v is not canonical", p)
			}
			if !set.has(p.Addr()) {
				t.Fatalf("%v is not in its own set", p)
			}
		}
	})
}

func FuzzLimits(f *testing.F) {
	f.Add([]byte(`{"rpm":60,"per_model":{"gpt-5*":{"rpm":10}},"budgets":[{"amount":1,"period":"day"}],"endpoints":["chat"],"auto_groups":["vip"],"metadata":{"a":"b"}}`))
	f.Add([]byte(`{"budgets":[{"period":"hours:999999999999999999999"}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var p LimitsPatch
		if jsonx.Decode(text, &p) != nil {
			return
		}
		l, err := p.apply(Limits{}, creating())
		if err != nil {
			if k := fault.From(err).Kind; k != fault.Invalid && k != fault.Malformed {
				t.Fatalf("%v", err)
			}
			return
		}
		for _, b := range l.Budgets {
			if !b.RenewsAt(testNow).After(testNow) {
				t.Fatalf("%+v renews in the past", b)
			}
		}
	})
}
