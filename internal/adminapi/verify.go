package adminapi

import (
	"context"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"halley/internal/account"
	"halley/internal/fault"
	"halley/internal/gateway"
	"halley/internal/jsonx"
	"halley/internal/key"
)

// KeyVerifier judges an imagined request without holding or charging anything.
type KeyVerifier interface {
	Verify(ctx context.Context, k *key.Key, owner *account.User, q gateway.Question) (gateway.Verdict, error)
}

func (s *Server) verifyRoutes() []route {
	return []route{{
		method: http.MethodPost, path: "/api/token/{id}/verify", access: anyUser, handle: s.verifyKey, readScope: true,
		summary: "Say whether a request with this key would be admitted, and where it would go",
		in:      typeOf[verifyBody](), out: typeOf[verdictView](), query: []string{"user_id"},
	}}
}

// verifyBody is a request that is only imagined; what is left out is not judged.
type verifyBody struct {
	Model    jsonx.Opt[string] `json:"model"`
	IP       jsonx.Opt[string] `json:"ip"`
	Endpoint jsonx.Opt[string] `json:"endpoint" enum:"endpoints"`
}

type verdictView struct {
	Allowed bool       `json:"allowed"`
	Code    string     `json:"code" doc:"What the model endpoint would answer; empty when allowed."`
	Message string     `json:"message"`
	Plan    []stepView `json:"plan"`
}

// stepView is one channel of a plan.
type stepView struct {
	ChannelID int64  `json:"channel_id"`
	Group     string `json:"group"`
	Why       string `json:"why" doc:"All of the rest, in words."`
	State     string `json:"state" enum:"closed,slow-start,suspected,half-open,cooling-down,open,out" doc:"closed is well."`
	OutUntil  *int64 `json:"out_until" nullable:"true" doc:"When a channel that is out is tried again though others are there; null for one that is not out."`
	Reason    string `json:"reason" doc:"Why it is not well, or was not; empty when there is nothing to say."`
	Priority  int64  `json:"priority"`
	Weight    int64  `json:"weight"`
	Strategy  string `json:"strategy" enum:"strategies" doc:"Of the group."`
	Ratio     string `json:"ratio" doc:"The group's price ratio."`
}

func (c *call) viewStep(step gateway.Step) stepView {
	v := stepView{
		ChannelID: step.Channel.ID, Group: step.Group, Why: c.say(step.Why), State: step.State.String(), Reason: step.Reason,
		Priority: step.Channel.Priority, Weight: step.Channel.Weight, Strategy: string(step.Strategy), Ratio: step.Ratio.String(),
	}
	if !step.OutUntil.IsZero() {
		v.OutUntil = new(step.OutUntil.Unix())
	}
	return v
}

func (s *Server) verifyKey(c *call) (any, error) {
	ownerID, id, err := s.keyPath(c, false)
	if err != nil {
		return nil, err
	}
	body, err := decode[verifyBody](c)
	if err != nil {
		return nil, err
	}
	question, err := body.question()
	if err != nil {
		return nil, err
	}
	view, err := s.Keys.Get(c.ctx, ownerID, id)
	if err != nil {
		return nil, err
	}
	owner, err := s.Accounts.Owner(c.ctx, ownerID)
	if err != nil {
		return nil, err
	}
	verdict, err := s.KeyVerifier.Verify(c.ctx, view.Key, owner, question)
	if err != nil {
		return nil, err
	}
	answer := verdictView{Allowed: verdict.Allowed, Plan: []stepView{}}
	answer.Code, answer.Message = c.refusal(&verdict)
	for _, step := range verdict.Plan {
		answer.Plan = append(answer.Plan, c.viewStep(step))
	}
	return answer, nil
}

// refusal is why a request would not be admitted, for programs and for people.
func (c *call) refusal(v *gateway.Verdict) (code, message string) {
	if v.Refusal == nil {
		return "", ""
	}
	return v.Refusal.Code, v.Refusal.In(c.language())
}

func (b verifyBody) question() (gateway.Question, error) {
	if err := firstError(notNull("model", b.Model), notNull("ip", b.IP), notNull("endpoint", b.Endpoint)); err != nil {
		return gateway.Question{}, err
	}
	q := gateway.Question{Model: strings.TrimSpace(b.Model.Value), Endpoint: b.Endpoint.Value}
	if text := strings.TrimSpace(b.IP.Value); text != "" {
		addr, err := netip.ParseAddr(text)
		if err != nil || addr.Zone() != "" {
			return q, fault.New(fault.Invalid, "invalid_ip", "ip must be an IPv4 or IPv6 address without a zone, not %q.", text).Field("ip")
		}
		q.IP = addr.Unmap()
	}
	if q.Endpoint != "" && !slices.Contains(key.Endpoints(), q.Endpoint) {
		return q, fault.New(fault.Invalid, "invalid_endpoint", "endpoint must be one of %s.", strings.Join(key.Endpoints(), ", ")).Field("endpoint")
	}
	return q, nil
}
