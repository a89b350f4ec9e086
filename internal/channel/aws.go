package channel

import (
	"net/url"
	"strings"
)

// AWSSettings are what only channels of the kind bedrock have.
type AWSSettings struct {
	// Region is where the models run, such as "us-east-1"; "" is what the base URL
	// says.
	Region string
}

// AmbientKey is the upstream key that stands for the credentials that the server
// itself runs with.
const AmbientKey = "ambient"

// AWSKey is an access key of Amazon's. As an upstream key it is written
// "ACCESS_KEY_ID:SECRET" or, of a temporary one, "ACCESS_KEY_ID:SECRET:TOKEN".
type AWSKey struct {
	ID           string
	Secret       string
	SessionToken string // empty for one that is not temporary
}

// String and GoString keep the secrets out of whatever prints it.
func (k AWSKey) String() string { return "access key " + k.ID }

// GoString is String.
func (k AWSKey) GoString() string { return k.String() }

// ParseAWSKey reads an upstream key; ok is false for one that is not meant to be an
// access key, which has a colon: a Bedrock API key, or AmbientKey.
func ParseAWSKey(key string) (k AWSKey, ok bool, err error) {
	if !strings.Contains(key, ":") {
		return k, false, nil
	}
	parts := strings.Split(key, ":")
	if len(parts) > 3 || len(parts[0]) < 16 || !isAccessKeyID(parts[0]) || parts[1] == "" || len(parts) == 3 && parts[2] == "" {
		return k, true, invalid("keys", "invalid_keys", "keys: an access key of Amazon's is written ACCESS_KEY_ID:SECRET or ACCESS_KEY_ID:SECRET:SESSION_TOKEN.")
	}
	k.ID, k.Secret = parts[0], parts[1]
	if len(parts) == 3 {
		k.SessionToken = parts[2]
	}
	return k, true, nil
}

// isAccessKeyID reports whether s is of capital letters and digits, as access
// keys' ids are: AKIA… or, temporary, ASIA….
func isAccessKeyID(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return (r < 'A' || r > 'Z') && (r < '0' || r > '9') })
}

// AWSRegion is where the channel's models run; "" when nothing says it. Amazon's
// hosts have it in their names: bedrock-runtime.us-east-1.amazonaws.com, those of
// VPC endpoints included.
func (c *Channel) AWSRegion() string {
	if c.AWS.Region != "" {
		return c.AWS.Region
	}
	u, err := url.Parse(c.BaseURL)
	if err != nil {
		return ""
	}
	labels := strings.Split(strings.ToLower(u.Hostname()), ".")
	for i, label := range labels[:len(labels)-1] {
		if (label == "bedrock-runtime" || label == "bedrock-runtime-fips") && isRegion(labels[i+1]) {
			return labels[i+1]
		}
	}
	return ""
}

// isRegion reports whether s looks like us-gov-west-1.
func isRegion(s string) bool {
	words := strings.Split(s, "-")
	if len(words) < 3 || len(s) > 40 {
		return false
	}
	for i, word := range words {
		last := i == len(words)-1
		if word == "" || strings.ContainsFunc(word, func(r rune) bool { return last != (r >= '0' && r <= '9') || !last && (r < 'a' || r > 'z') }) {
			return false
		}
	}
	return true
}

// applyAWS sets what a change says of the settings. null and the empty text are
// the default.
func applyAWS(c *Channel, change Change) error {
	if v := change.AWSRegion; v != nil {
		c.AWS.Region = strings.TrimSpace(*v)
		if c.AWS.Region != "" && !isRegion(c.AWS.Region) {
			return invalid("aws.region", "invalid_aws", "aws.region must be a region such as us-east-1.")
		}
	}
	if c.Kind == Bedrock && c.AWSRegion() == "" && (change.AWSRegion != nil || change.BaseURL != nil || change.Kind != nil) {
		return invalid("aws.region", "invalid_aws", "aws.region must say where the models run: the base_url, which is no bedrock-runtime.REGION.amazonaws.com, does not.")
	}
	return nil
}

// checkAWSKeys refuses access keys that are not written as such.
func checkAWSKeys(c *Channel) error {
	if c.Kind != Bedrock {
		return nil
	}
	for _, credential := range c.Credentials {
		if _, _, err := ParseAWSKey(credential.Value); err != nil {
			return err
		}
	}
	return nil
}
