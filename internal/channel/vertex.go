package channel

import (
	"net/url"
	"strings"

	"halley/internal/jsonx"
)

// VertexSettings are what only channels of the kind vertex have.
type VertexSettings struct {
	// Project is the id of the Google Cloud project that is asked. Without one,
	// requests go to the addresses of express mode, which want an API key.
	Project string
	// Location is where the models run, such as "us-central1"; "" is what the base
	// URL says, and "global" when it says nothing.
	Location string
}

// VertexScope is what a token for Vertex AI is asked for.
const VertexScope = "https://www.googleapis.com/auth/cloud-platform"

// ServiceAccount is a Google service account's key. As an upstream key it is the
// JSON file that Google Cloud hands out.
type ServiceAccount struct {
	Type       string `json:"type"`
	Project    string `json:"project_id"`
	KeyID      string `json:"private_key_id"`
	PrivateKey string `json:"private_key"` // PEM
	Email      string `json:"client_email"`
	TokenURL   string `json:"token_uri"` // where it buys tokens
}

// GoogleTokenURL is where service accounts buy tokens that do not say it.
const GoogleTokenURL = "https://oauth2.googleapis.com/token"

// String and GoString keep the private key out of whatever prints it.
func (a ServiceAccount) String() string { return "service account " + a.Email }

// GoString is String.
func (a ServiceAccount) GoString() string { return a.String() }

// ParseServiceAccount reads an upstream key; ok is false for one that is not meant
// to be a service account's.
func ParseServiceAccount(key string) (a ServiceAccount, ok bool, err error) {
	if !strings.HasPrefix(key, "{") {
		return a, false, nil
	}
	bad := func(why string) (ServiceAccount, bool, error) {
		return a, true, invalid("keys", "invalid_keys", "keys: a service account's key is the JSON file that Google Cloud hands out; %s.", why)
	}
	if err := jsonx.Unmarshal([]byte(key), &a); err != nil {
		return bad("this one cannot be read")
	}
	if a.TokenURL == "" {
		a.TokenURL = GoogleTokenURL
	}
	switch {
	case a.Type != "service_account":
		return bad("its type must be service_account")
	case a.Email == "" || a.KeyID == "" || !strings.Contains(a.PrivateKey, "PRIVATE KEY-----"):
		return bad("it must have client_email, private_key_id and private_key")
	}
	return a, true, nil
}

// compactKey is a key as it is kept: JSON, which people paste in many lines, in
// one.
func compactKey(kind Kind, key string) string {
	if kind != Vertex || !strings.HasPrefix(key, "{") {
		return key
	}
	v := jsonx.Value(key)
	if err := v.Compact(); err != nil {
		return key // it is refused as what it is
	}
	return string(v)
}

// shownOf is the end of a key that it may be recognized by. Service accounts'
// keys all end alike, so theirs is that of the key's id.
func shownOf(value string) string {
	if account, ok, err := ParseServiceAccount(value); ok && err == nil {
		return last4(account.KeyID)
	}
	return last4(value)
}

// applyVertex sets what a change says of the settings. null and the empty text
// are the default.
func applyVertex(c *Channel, change Change) error {
	for _, f := range []struct {
		name string
		set  *string
		to   *string
	}{{"project", change.VertexProject, &c.Vertex.Project}, {"location", change.VertexLocation, &c.Vertex.Location}} {
		if f.set == nil {
			continue
		}
		*f.to = strings.TrimSpace(*f.set)
		// A project's id may have its organization's domain and a colon before it.
		if name := strings.ReplaceAll(*f.to, ":", ""); *f.to != "" && (!plainName(name) || len(name) > MaxModel) {
			return invalid("vertex."+f.name, "invalid_vertex", "vertex.%s must be the id of a %s, not %q.", f.name, f.name, clip(*f.to))
		}
	}
	return nil
}

// completeVertex judges the keys of a channel of the kind vertex, and takes the
// project from a service account's where the channel names none.
func (s *Service) completeVertex(c *Channel) error {
	if c.Kind != Vertex {
		return nil
	}
	keyed := false // with keys that are not API keys
	for _, credential := range c.Credentials {
		account, ok, err := ParseServiceAccount(credential.Value)
		switch {
		case err != nil:
			return err
		case ok:
			keyed = true
			if _, err := checkURL(urlField{name: "keys", code: "invalid_keys", private: "private_token_uri"}, account.TokenURL, s.deps.Addresses); err != nil {
				return err
			}
			if c.Vertex.Project == "" && plainName(strings.ReplaceAll(account.Project, ":", "")) {
				c.Vertex.Project = account.Project
			}
		case credential.Value == AmbientKey:
			keyed = true
			if !isGoogle(c.BaseURL) {
				return invalid("keys", "invalid_keys", "keys: %q is for base URLs at https://…googleapis.com: the server's own credentials go nowhere else.", AmbientKey)
			}
		}
	}
	if keyed && c.Vertex.Project == "" {
		return invalid("vertex.project", "project_required", "vertex.project must name the Google Cloud project; only API keys do without.")
	}
	return nil
}

// isGoogle reports whether a base URL is of Google's own.
func isGoogle(baseURL string) bool {
	u, err := url.Parse(baseURL)
	if err != nil || u.Scheme != "https" {
		return false
	}
	host := strings.ToLower(u.Hostname())
	return host == "googleapis.com" || strings.HasSuffix(host, ".googleapis.com")
}

// VertexLocation is where the channel's models run.
func (c *Channel) VertexLocation() string {
	if c.Vertex.Location != "" {
		return c.Vertex.Location
	}
	u, err := url.Parse(c.BaseURL)
	if err != nil {
		return "global"
	}
	// us-central1-aiplatform.googleapis.com, aiplatform.us.rep.googleapis.com
	if region, ok := strings.CutSuffix(u.Hostname(), "-aiplatform.googleapis.com"); ok {
		return region
	}
	if region, ok := strings.CutPrefix(u.Hostname(), "aiplatform."); ok {
		if region, ok = strings.CutSuffix(region, ".rep.googleapis.com"); ok {
			return region
		}
	}
	return "global"
}
