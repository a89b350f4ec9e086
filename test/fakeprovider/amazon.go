package fakeprovider

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// CheckSignature says what is wrong with a request's Signature Version 4, nil for
// nothing: Amazon's own SDK signs what came, with the headers that the signature
// names, and has to come to the same.
func CheckSignature(r *http.Request, body []byte, key aws.Credentials, service, region string) error {
	given := r.Header.Get("Authorization")
	signedAt, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	if err != nil {
		return errors.New("X-Amz-Date is missing or none")
	}
	if off := time.Since(signedAt).Abs(); off > 5*time.Minute {
		return fmt.Errorf("the signature is %s off", off)
	}
	_, after, _ := strings.Cut(given, "SignedHeaders=")
	names, _, ok := strings.Cut(after, ",")
	if !ok {
		return fmt.Errorf("the header Authorization is %q", given)
	}
	// What came, not what was meant: a path that was escaped otherwise is another.
	at, err := url.Parse("http://" + r.Host + r.RequestURI)
	if err != nil {
		return err
	}
	again := &http.Request{Method: r.Method, URL: at, Host: r.Host, Header: http.Header{}}
	signed := strings.Split(names, ";")
	for _, name := range signed {
		switch name {
		case "host", "x-amz-date": // which the signer sees to
		case "content-length":
			again.ContentLength = r.ContentLength
		default:
			again.Header[http.CanonicalHeaderKey(name)] = r.Header.Values(name)
		}
	}
	for name := range r.Header {
		if strings.HasPrefix(name, "X-Amz-") && !slices.Contains(signed, strings.ToLower(name)) {
			return fmt.Errorf("%s is not signed", name)
		}
	}
	if r.Header.Get("X-Amz-Security-Token") != key.SessionToken {
		return errors.New("X-Amz-Security-Token is not the key's")
	}
	sum := sha256.Sum256(body)
	if err := v4.NewSigner().SignHTTP(r.Context(), key, again, hex.EncodeToString(sum[:]), service, region, signedAt); err != nil {
		return err
	}
	if want := again.Header.Get("Authorization"); given != want {
		return fmt.Errorf("the signature does not match: %q, want %q", given, want)
	}
	return nil
}

// Frame is a message of an Amazon event stream with headers that are strings,
// given as names and values in turn.
func Frame(payload []byte, headers ...string) []byte {
	var h []byte
	for i := 0; i+1 < len(headers); i += 2 {
		h = append(append(h, byte(len(headers[i]))), headers[i]...) //nolint:gosec // names of tests are short
		h = append(h, 7)                                            // a string
		h = binary.BigEndian.AppendUint16(h, uint16(len(headers[i+1])))
		h = append(h, headers[i+1]...)
	}
	b := binary.BigEndian.AppendUint32(nil, uint32(16+len(h)+len(payload)))
	b = binary.BigEndian.AppendUint32(b, uint32(len(h)))
	b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
	b = append(append(b, h...), payload...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
}

// EventFrame is a Frame that is an event.
func EventFrame(name, payload string) []byte {
	return Frame([]byte(payload), ":event-type", name, ":content-type", "application/json", ":message-type", "event")
}

// ExceptionFrame is a Frame that is an exception.
func ExceptionFrame(name, payload string) []byte {
	return Frame([]byte(payload), ":exception-type", name, ":content-type", "application/json", ":message-type", "exception")
}
