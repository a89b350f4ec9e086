package channel

import (
	"bytes"
	"net/url"
	"strconv"
	"strings"

	"halley/internal/jsonx"
)

// leastSecret is the shortest credential that is looked for: a shorter one, such
// as the "none" of a server that wants no key, is a word that answers may hold.
const leastSecret = 8

// Mask is an upstream's text without the credential, which some servers and
// proxies repeat in errors or echo back, plain or escaped. A text that does not
// hold it is given back as it is.
func Mask(text []byte, credential string) []byte {
	if len(credential) < leastSecret {
		return text
	}
	if plainWord(credential) { // nearly all are: every spelling is the same
		return without(text, credential)
	}
	for _, spelling := range spellings(credential) {
		text = without(text, spelling)
	}
	return text
}

// Masked is a text without any secret of the channel: upstream keys, those of
// applications at Entra ID and of service accounts, the halves of Amazon's access
// keys, and what its proxy's URL holds.
func (c *Channel) Masked(text []byte) []byte {
	for _, credential := range c.Credentials {
		text = Mask(text, credential.Value)
		if e, ok, err := ParseEntra(credential.Value); ok && err == nil && c.Kind == Azure {
			text = Mask(text, e.Secret)
		}
		if a, ok, err := ParseServiceAccount(credential.Value); ok && err == nil && c.Kind == Vertex {
			text = Mask(text, a.PrivateKey)
		}
		if k, ok, err := ParseAWSKey(credential.Value); ok && err == nil && c.Kind == Bedrock {
			text = Mask(Mask(text, k.Secret), k.SessionToken)
		}
	}
	for _, word := range c.Network.Proxy.secrets() {
		text = Mask(text, word)
	}
	return text
}

func without(text []byte, word string) []byte {
	if !bytes.Contains(text, []byte(word)) {
		return text
	}
	return bytes.ReplaceAll(text, []byte(word), []byte("[redacted]"))
}

func plainWord(s string) bool {
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return true
}

// spellings are the ways in which JSON, Go and URLs write the credential.
func spellings(credential string) []string {
	all := []string{credential, strings.Trim(strconv.Quote(credential), `"`), url.QueryEscape(credential), url.PathEscape(credential)}
	if text, err := jsonx.Marshal(credential); err == nil {
		plain := strings.Trim(string(text), `"`)
		// Many servers also escape the characters that HTML knows.
		all = append(all, plain, strings.NewReplacer("<", `\u003c`, ">", `\u003e`, "&", `\u0026`).Replace(plain))
	}
	for _, s := range all {
		all = append(all, strings.ReplaceAll(s, "/", `\/`))
	}
	return all
}
