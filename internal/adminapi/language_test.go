package adminapi_test

import "testing"

// People are told in their language what went wrong; what programs go by, the code
// and the field's name, is the same in all of them.
func TestRefusalsAreInTheCallersLanguage(t *testing.T) {
	t.Parallel()
	d := newOperatorDesk(t)
	for accept, message := range map[string]string{
		"":                                  `There is no group "none".`,
		"en-GB,en;q=0.9":                    `There is no group "none".`,
		"fr,de;q=0.5":                       `There is no group "none".`,
		"zh-CN":                             `没有分组 "none"。`,
		"zh":                                `没有分组 "none"。`,
		"fr, zh-Hans-CN;q=0.9, en;q=0.8":    `没有分组 "none"。`,
		"en-US,en;q=0.9,zh-CN;q=0.8":        `There is no group "none".`,
		"zh-CN;q=0.1,en;q=0.2":              `There is no group "none".`,
		"\xff\xfe;q=nonsense,,,;;":          `There is no group "none".`,
		"x-klingon, *;q=0.1, zh-CN;q=0.000": `There is no group "none".`,
	} {
		a := d.do(t, admin, "GET", "/api/group/none", "", "Accept-Language: "+accept)
		if a.status != 404 || a.Code != "group_not_found" || a.Message != message {
			t.Errorf("%q: %s", accept, a.raw)
		}
	}
	a := d.do(t, admin, "PUT", "/api/price/gpt-9", `{"input":-1,"output":2}`, "Accept-Language: zh-CN")
	if a.status != 422 || a.Code != "invalid_price" || a.Param != "input" || a.Message != "input 不能为负数。" {
		t.Error(a.raw)
	}
}
