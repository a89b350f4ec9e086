package adminapi

import (
	"errors"

	"github.com/danielgtaylor/huma/v2"

	"halley/internal/fault"
	"halley/internal/group"
	"halley/internal/jsonx"
)

// usableBy is "all", a list of user groups, or an object with lists of user
// groups and of users. It is written in the shortest of these forms that says
// all.
type usableBy struct {
	audience *group.Audience // nil for all
	bad      error           // why the JSON was none of these
}

// audienceBody is the object.
type audienceBody struct {
	Groups []string `json:"groups"`
	Users  []int64  `json:"users"`
}

// MarshalJSON writes "all", the list or the object.
func (u usableBy) MarshalJSON() ([]byte, error) {
	switch {
	case u.audience == nil:
		return []byte(`"all"`), nil
	case len(u.audience.Users) == 0:
		return jsonx.Marshal(u.audience.Groups)
	}
	return jsonx.Marshal(audienceBody(*u.audience))
}

// UnmarshalJSON reads any of them; what is none is kept in bad, for a message
// that says so.
func (u *usableBy) UnmarshalJSON(text []byte) error {
	*u = usableBy{}
	var word string
	if jsonx.DecodeOwn(text, &word) == nil {
		if word != "all" {
			u.bad = fault.New(fault.Invalid, "invalid_usable_by", `usable_by must be "all", a list of user groups, or an object with "groups" and "users".`).Field("usable_by")
		}
		return nil
	}
	u.audience = &group.Audience{}
	if text[0] == '{' {
		u.readObject(text)
		return nil
	}
	u.bad = badAudience(jsonx.DecodeOwn(text, &u.audience.Groups), `must be "all", a list of strings, or an object with "groups" and "users"`)
	return nil
}

func (u *usableBy) readObject(text []byte) {
	const rule = `must be an object with a list of strings, "groups", and a list of ids, "users"; one of them is enough`
	var body struct {
		Groups jsonx.Opt[[]string] `json:"groups"`
		Users  jsonx.Opt[[]int64]  `json:"users"`
	}
	err := jsonx.DecodeOwn(text, &body)
	switch {
	case err != nil:
	case body.Groups.Null || body.Users.Null, !body.Groups.Set && !body.Users.Set:
		err = errNoAudience
	}
	u.bad = badAudience(err, rule)
	*u.audience = group.Audience{Groups: body.Groups.Value, Users: body.Users.Value}
}

// errNoAudience is that of an object which names nobody, as one with a misspelt
// member does.
var errNoAudience = errors.New("neither groups nor users are given")

func badAudience(err error, rule string) error {
	if err == nil {
		return nil
	}
	if at, ok := errors.AsType[*jsonx.DecodeError](err); ok && at.Field != "" {
		rule += " (look at " + at.Field + ", entries counted from 0)"
	}
	return fault.New(fault.Malformed, "invalid_type", "usable_by %s.", rule).Field("usable_by")
}

// Schema describes all forms.
func (usableBy) Schema(huma.Registry) *huma.Schema {
	names := &huma.Schema{Type: huma.TypeArray, Items: &huma.Schema{Type: huma.TypeString}}
	return &huma.Schema{OneOf: []*huma.Schema{
		{Type: huma.TypeString, Enum: []any{"all"}},
		names,
		{Type: huma.TypeObject, Properties: map[string]*huma.Schema{
			"groups": names, "users": {Type: huma.TypeArray, Items: &huma.Schema{Type: huma.TypeInteger, Format: "int64"}},
		}},
	}}
}
