package adminapi

import (
	"net/http"

	"halley/internal/fault"
	"halley/internal/gateway"
	"halley/internal/jsonx"
	"halley/internal/key"
)

func (s *Server) explainRoutes() []route {
	return []route{{
		method: http.MethodPost, path: "/api/route/explain", access: adminOnly, handle: s.explainRoute, readScope: true,
		summary: "Say where a request with somebody's key would go, in which order and why, and which channels are left out",
		in:      typeOf[explainBody](), out: typeOf[explanation](),
	}}
}

// explainBody names the key by its id or its value.
type explainBody struct {
	KeyID jsonx.Opt[int64]  `json:"key_id"`
	Key   jsonx.Opt[string] `json:"key" doc:"The key's value, in the place of key_id."`
	verifyBody
}

// explanation is a verdict with all that administrators may know.
type explanation struct {
	Allowed bool         `json:"allowed"`
	Code    string       `json:"code" doc:"What the model endpoint would answer; empty when allowed."`
	Message string       `json:"message"`
	Key     explainedKey `json:"key"`

	Groups          []string         `json:"groups" doc:"Those in which the request may be served, in order."`
	CrossGroupRetry bool             `json:"cross_group_retry" doc:"Whether a group that is used up is followed by the next."`
	MaxAttempts     int              `json:"max_attempts" doc:"How much of the plan a request may use up."`
	Plan            []explainedStep  `json:"plan"`
	PassedOver      []passedOverView `json:"passed_over" doc:"Channels that list the model and are not in the plan."`
}

type explainedKey struct {
	ID     int64  `json:"id"`
	Name   string `json:"name"`
	UserID int64  `json:"user_id"`
	Group  string `json:"group"`
}

type explainedStep struct {
	stepView
	Name        string `json:"name" doc:"The channel's."`
	UpstreamKey string `json:"upstream_key" doc:"The id of the channel's key that would be shown."`
}

type passedOverView struct {
	ChannelID int64  `json:"channel_id"`
	Name      string `json:"name"`
	Group     string `json:"group"`
	Why       string `json:"why"`
}

func (s *Server) explainRoute(c *call) (any, error) {
	body, err := decode[explainBody](c)
	if err != nil {
		return nil, err
	}
	question, err := body.question()
	if err != nil {
		return nil, err
	}
	if question.Model == "" {
		return nil, fault.New(fault.Invalid, "model_required", "model must not be empty.").Field("model")
	}
	k, err := s.explainedKey(c, &body)
	if err != nil {
		return nil, err
	}
	owner, err := s.Accounts.Owner(c.ctx, k.UserID)
	if err != nil {
		return nil, err
	}
	verdict, err := s.KeyVerifier.Verify(c.ctx, k, owner, question)
	if err != nil {
		return nil, err
	}
	return c.viewExplanation(k, &verdict), nil
}

func (s *Server) explainedKey(c *call, body *explainBody) (*key.Key, error) {
	if err := firstError(notNull("key_id", body.KeyID), notNull("key", body.Key)); err != nil {
		return nil, err
	}
	switch {
	case body.KeyID.Set == body.Key.Set:
		return nil, fault.New(fault.Invalid, "key_required", "Give either key_id or key, the key's value.").Field("key_id")
	case body.Key.Set:
		return s.Keys.ByValue(c.ctx, body.Key.Value)
	}
	return s.Keys.ByID(c.ctx, body.KeyID.Value)
}

func (c *call) viewExplanation(k *key.Key, v *gateway.Verdict) explanation {
	e := explanation{
		Allowed: v.Allowed,
		Key:     explainedKey{ID: k.ID, Name: k.Name, UserID: k.UserID, Group: k.Group},
		Groups:  append([]string{}, v.Groups...), CrossGroupRetry: v.CrossGroup, MaxAttempts: v.MaxAttempts,
		Plan: []explainedStep{}, PassedOver: []passedOverView{},
	}
	e.Code, e.Message = c.refusal(v)
	for _, step := range v.Plan {
		e.Plan = append(e.Plan, explainedStep{stepView: c.viewStep(step), Name: step.Channel.Name, UpstreamKey: step.UpstreamKey})
	}
	for _, p := range v.PassedOver {
		e.PassedOver = append(e.PassedOver, passedOverView{ChannelID: p.Channel.ID, Name: p.Channel.Name, Group: p.Group, Why: c.say(p.Why)})
	}
	return e
}
