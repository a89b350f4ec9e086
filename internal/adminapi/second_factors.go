package adminapi

import (
	"net/http"

	"halley/internal/account"
	"halley/internal/jsonx"
)

// secondFactorView is what an account asks for beside the password.
type secondFactorView struct {
	TOTP            bool  `json:"totp" doc:"Whether an authenticator app's codes are asked for."`
	TOTPCreatedTime int64 `json:"totp_created_time" doc:"0 without."`
	Passkeys        int   `json:"passkeys" doc:"How many there are."`
	RecoveryCodes   int   `json:"recovery_codes" doc:"How many are left."`
	HasPassword     bool  `json:"has_password" doc:"Whether the account can be signed in to with a password at all."`
}

// enrolmentView is what an authenticator app has to learn.
type enrolmentView struct {
	Secret string `json:"secret" doc:"Base32, for typing in. Shown only here."`
	URL    string `json:"url" doc:"otpauth://…, for a QR code. Shown only here."`
}

// recoveryCodesView are shown once.
type recoveryCodesView struct {
	RecoveryCodes []string `json:"recovery_codes" doc:"Each takes the place of a code once. Shown only here."`
}

// secondFactorChoice says what may be shown to sign in.
type secondFactorChoice struct {
	Methods []string      `json:"methods" enum:"totp,passkey,recovery_code" doc:"What the account takes as its second factor."`
	Passkey *ceremonyView `json:"passkey,omitempty" doc:"With the method passkey: what the browser is to be asked for."`
}

// proofBody is the proof of who changes how to sign in.
type proofBody struct {
	Password jsonx.Opt[string] `json:"password" doc:"May be left out for ten minutes after signing in: then 403 confirmation_required asks for it."`
	TOTP     jsonx.Opt[string] `json:"totp" doc:"A code of the app, or a recovery code: of who has a second factor, with the password once ten minutes have passed; 422 totp_required asks for it."`
}

func (b proofBody) proof() account.Proof {
	return account.Proof{Password: b.Password.Value, Code: b.TOTP.Value}
}

type totpConfirmBody struct {
	TOTP jsonx.Opt[string] `json:"totp" required:"true" doc:"The code that the app shows."`
}

type twiceProvenBody struct {
	Password jsonx.Opt[string] `json:"password" doc:"Of who has one."`
	TOTP     jsonx.Opt[string] `json:"totp" required:"true" doc:"A code of the app, or a recovery code."`
}

func (s *Server) secondFactorRoutes() []route {
	return []route{
		{
			method: http.MethodGet, path: "/api/user/second_factor", access: anyUser, handle: s.getSecondFactors, summary: "What one's account asks for beside the password",
			out: typeOf[secondFactorView](),
		},
		{
			method: http.MethodPost, path: "/api/user/totp", access: anyUser, handle: s.beginTOTP, summary: "Make a secret for an authenticator app; it counts once it is confirmed",
			in: typeOf[proofBody](), bodyOptional: true, out: typeOf[enrolmentView](),
		},
		{
			method: http.MethodPost, path: "/api/user/totp/confirm", access: anyUser, handle: s.confirmTOTP, summary: "Turn the app's codes on, and get recovery codes",
			in: typeOf[totpConfirmBody](), out: typeOf[recoveryCodesView](),
		},
		{
			method: http.MethodPost, path: "/api/user/totp/disable", access: anyUser, handle: s.disableTOTP, summary: "Turn the app's codes off",
			in: typeOf[twiceProvenBody](),
		},
		{
			method: http.MethodPost, path: "/api/user/recovery_code", access: anyUser, handle: s.renewRecoveryCodes, summary: "Get new recovery codes; the old ones count no longer",
			in: typeOf[twiceProvenBody](), out: typeOf[recoveryCodesView](),
		},
		{
			method: http.MethodGet, path: "/api/user/{id}/second_factor", access: adminOnly, handle: s.getSecondFactorsOf, summary: "What a user's account asks for beside the password",
			out: typeOf[secondFactorView](),
		},
		{
			method: http.MethodPost, path: "/api/user/{id}/reset_second_factors", access: adminOnly, handle: s.resetSecondFactors, summary: "Take all second factors from a user who has lost them, and end their sessions",
		},
	}
}

func (s *Server) getSecondFactors(c *call) (any, error) {
	f, err := s.Accounts.SecondFactors(c.ctx, c.who)
	if err != nil {
		return nil, err
	}
	return viewSecondFactors(f, c.who.User), nil
}

func (s *Server) getSecondFactorsOf(c *call) (any, error) {
	id, err := c.pathID("id")
	if err != nil {
		return nil, err
	}
	f, err := s.Accounts.SecondFactorsOf(c.ctx, c.who, id)
	if err != nil {
		return nil, err
	}
	u, err := s.Accounts.Owner(c.ctx, id)
	if err != nil {
		return nil, err
	}
	return viewSecondFactors(f, u), nil
}

func viewSecondFactors(f *account.SecondFactors, u *account.User) secondFactorView {
	v := secondFactorView{Passkeys: len(f.Passkeys), RecoveryCodes: f.RecoveryCodes, HasPassword: u.PasswordHash != ""}
	if f.TOTP != nil && f.TOTP.Confirmed {
		v.TOTP, v.TOTPCreatedTime = true, f.TOTP.Created.Unix()
	}
	return v
}

func (s *Server) beginTOTP(c *call) (any, error) {
	body, err := decodeProof(c)
	if err != nil {
		return nil, err
	}
	e, err := s.Accounts.BeginTOTP(c.ctx, c.who, body.proof(), c.origin())
	if err != nil {
		return nil, err
	}
	return enrolmentView{Secret: e.Secret, URL: e.URL}, nil
}

// decodeProof reads a body that may be left out.
func decodeProof(c *call) (proofBody, error) {
	if len(c.body) == 0 {
		return proofBody{}, nil
	}
	body, err := decode[proofBody](c)
	if err != nil {
		return proofBody{}, err
	}
	return body, firstError(notNull("password", body.Password), notNull("totp", body.TOTP))
}

func (s *Server) confirmTOTP(c *call) (any, error) {
	body, err := decode[totpConfirmBody](c)
	if err != nil {
		return nil, err
	}
	if err := notNull("totp", body.TOTP); err != nil {
		return nil, err
	}
	codes, err := s.Accounts.ConfirmTOTP(c.ctx, c.who, body.TOTP.Value, c.origin())
	if err != nil {
		return nil, err
	}
	s.trail(c, "totp.enable", userTarget(c.who.User.ID), "")
	return recoveryCodesView{codes}, nil
}

func (s *Server) disableTOTP(c *call) (any, error) {
	body, err := decodeTwiceProven(c)
	if err != nil {
		return nil, err
	}
	if err := s.Accounts.DisableTOTP(c.ctx, c.who, body.Password.Value, body.TOTP.Value, c.origin()); err != nil {
		return nil, err
	}
	s.trail(c, "totp.disable", userTarget(c.who.User.ID), "")
	return noData{}, nil
}

func (s *Server) renewRecoveryCodes(c *call) (any, error) {
	body, err := decodeTwiceProven(c)
	if err != nil {
		return nil, err
	}
	codes, err := s.Accounts.RenewRecoveryCodes(c.ctx, c.who, body.Password.Value, body.TOTP.Value, c.origin())
	if err != nil {
		return nil, err
	}
	s.trail(c, "recovery_codes.renew", userTarget(c.who.User.ID), "")
	return recoveryCodesView{codes}, nil
}

func decodeTwiceProven(c *call) (twiceProvenBody, error) {
	body, err := decode[twiceProvenBody](c)
	if err != nil {
		return twiceProvenBody{}, err
	}
	return body, firstError(notNull("password", body.Password), notNull("totp", body.TOTP))
}

func (s *Server) resetSecondFactors(c *call) (any, error) {
	id, err := c.pathID("id")
	if err != nil {
		return nil, err
	}
	if err := s.Accounts.ResetSecondFactors(c.ctx, c.who, id); err != nil {
		return nil, err
	}
	s.trail(c, "user.reset_second_factors", userTarget(id), "")
	return noData{}, nil
}
