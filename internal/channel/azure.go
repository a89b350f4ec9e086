package channel

import (
	"net/url"
	"strings"
)

// AzureSettings are what only channels of the kind azure have; empty members
// stand for the defaults.
type AzureSettings struct {
	APIVersion string // of requests to deployments
	Authority  string // where Entra ID hands out tokens, without a trailing slash
	Scope      string // what a token is asked for
}

// The defaults of the public cloud. 2024-10-21 is the last stable version by
// date; what came after it is reached by a base URL that ends in /openai/v1.
const (
	AzureAPIVersion = "2024-10-21"
	AzureAuthority  = "https://login.microsoftonline.com"
	AzureScope      = "https://cognitiveservices.azure.com/.default"
)

// oldestAzureAPI is the first version that reports a stream's usage when it is
// asked to; earlier ones refuse a request that asks.
const oldestAzureAPI = "2024-09-01"

// entraPrefix tells an application's credentials from an API key.
const entraPrefix = "entra:"

// Entra is an application's credentials at Entra ID. As an upstream key they are
// written "entra:TENANT:CLIENT_ID:SECRET"; the secret may have colons in it.
type Entra struct {
	Tenant   string // its id or a domain of it
	ClientID string
	Secret   string
}

// String and GoString keep the secret out of whatever prints it.
func (e Entra) String() string { return "application " + e.ClientID + " of " + e.Tenant }

// GoString is String.
func (e Entra) GoString() string { return e.String() }

// ParseEntra reads an upstream key; ok is false for one that is not meant to be
// an application's credentials.
func ParseEntra(key string) (e Entra, ok bool, err error) {
	rest, ok := strings.CutPrefix(key, entraPrefix)
	if !ok {
		return e, false, nil
	}
	parts := strings.SplitN(rest, ":", 3)
	if len(parts) != 3 || !plainName(parts[0]) || !plainName(parts[1]) || parts[2] == "" {
		return e, true, invalid("keys", "invalid_keys", "keys: credentials of an application at Entra ID are written entra:TENANT:CLIENT_ID:SECRET.")
	}
	return Entra{Tenant: parts[0], ClientID: parts[1], Secret: parts[2]}, true, nil
}

// plainName reports whether s can stand in a URL's path as it is.
func plainName(s string) bool {
	return s != "" && strings.Trim(s, ".") != "" && plainWord(s)
}

// applyAzure sets what a change says of the settings. null and the empty text
// are the default.
func (s *Service) applyAzure(c *Channel, change Change) error {
	if v := change.AzureAPIVersion; v != nil {
		c.Azure.APIVersion = strings.TrimSpace(*v)
		if err := checkAPIVersion(c.Azure.APIVersion); err != nil {
			return err
		}
	}
	if v := change.AzureScope; v != nil {
		c.Azure.Scope = strings.TrimSpace(*v)
		if c.Azure.Scope != "" && (len(c.Azure.Scope) > MaxBaseURL || strings.ContainsAny(c.Azure.Scope, " \t\r\n") || hasControl(c.Azure.Scope)) {
			return invalid("azure.scope", "invalid_azure", "azure.scope must be one scope without blanks, such as %s.", AzureScope)
		}
	}
	if v := change.AzureAuthority; v != nil {
		c.Azure.Authority = strings.TrimSpace(*v)
		if c.Azure.Authority == "" {
			return nil
		}
		u, err := checkURL(urlField{name: "azure.authority", code: "invalid_azure", private: "private_authority"}, c.Azure.Authority, s.deps.Addresses)
		if err != nil {
			return err
		}
		c.Azure.Authority = u.String()
	}
	return nil
}

func checkAPIVersion(version string) error {
	const field, code = "azure.api_version", "invalid_azure"
	if version == "" || version == "preview" || version == "latest" {
		return nil
	}
	date, _ := strings.CutSuffix(version, "-preview")
	if !isDate(date) {
		return invalid(field, code, "azure.api_version must be a version such as %q or \"2025-04-01-preview\".", AzureAPIVersion)
	}
	if date < oldestAzureAPI {
		return invalid(field, code, "azure.api_version must be %s-preview or later: earlier versions do not say what a stream has used.", oldestAzureAPI)
	}
	return nil
}

// isDate reports whether s looks like 2006-01-02.
func isDate(s string) bool {
	if len(s) != 10 {
		return false
	}
	for i, c := range []byte(s) {
		if dash := i == 4 || i == 7; dash != (c == '-') || (!dash && (c < '0' || c > '9')) {
			return false
		}
	}
	return true
}

// checkEntraKeys refuses applications' credentials that are not written as such.
func checkEntraKeys(c *Channel) error {
	if c.Kind != Azure {
		return nil
	}
	for _, credential := range c.Credentials {
		if _, _, err := ParseEntra(credential.Value); err != nil {
			return err
		}
	}
	return nil
}

// authority is where the channel's applications get tokens.
func (c *Channel) authority() string {
	if c.Azure.Authority != "" {
		return c.Azure.Authority
	}
	return AzureAuthority
}

// hasEntraKeys reports whether secrets of the channel go to its authority.
func (c *Channel) hasEntraKeys() bool {
	for _, credential := range c.Credentials {
		if _, ok, _ := ParseEntra(credential.Value); ok && c.Kind == Azure {
			return true
		}
	}
	return false
}

// origin is the scheme, host and port of a URL, with the port written out.
func origin(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return ""
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return u.Scheme + "://" + strings.ToLower(strings.TrimSuffix(u.Hostname(), ".")) + ":" + port
}
