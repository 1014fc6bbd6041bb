package evidence

// Signed, expiring links to a bundle's files, for people who read them in the
// incident's thread.

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// KeySize is the length of a Signer's key, in bytes.
const KeySize = 32

// Signer makes and checks links to evidence.
type Signer struct {
	Key     []byte           // KeySize random bytes, the same in every replica
	BaseURL string           // where triagebot is reached: https://triage.example
	TTL     time.Duration    // how long a link works
	Now     func() time.Time // nil is time.Now
}

// Why a link does not work.
var (
	ErrSignature = errors.New("the signature is wrong")
	ErrExpired   = errors.New("the link has expired")
)

// Validate says what is missing for the signer to be used.
func (s *Signer) Validate() error {
	switch {
	case len(s.Key) != KeySize:
		return fmt.Errorf("evidence links: the key has %d bytes, it must have %d", len(s.Key), KeySize)
	case s.TTL <= 0:
		return fmt.Errorf("evidence links: they would work for %s; set a positive time", s.TTL)
	}
	return nil
}

// URL is a link to a file of an incident's bundle, or to the list of its files
// where name is "".
func (s *Signer) URL(incidentID int64, name string) string {
	// A valid name needs no escaping.
	return strings.TrimSuffix(s.BaseURL, "/") + "/evidence/" + strconv.FormatInt(incidentID, 10) + "/" + name +
		"?" + s.Query(incidentID, name, s.now().Add(s.TTL).Unix())
}

// Query is the query of a link that works until expires, in Unix seconds.
func (s *Signer) Query(incidentID int64, name string, expires int64) string {
	return url.Values{
		"exp": {strconv.FormatInt(expires, 10)},
		"sig": {base64.RawURLEncoding.EncodeToString(s.sign(incidentID, name, expires))},
	}.Encode()
}

// Check says whether q signs for the file, and until when. An unsigned link
// and one that was tampered with are told ErrSignature.
func (s *Signer) Check(incidentID int64, name string, q url.Values) (expires int64, err error) {
	expires, err = strconv.ParseInt(q.Get("exp"), 10, 64)
	if err != nil {
		return 0, ErrSignature
	}
	sig, err := base64.RawURLEncoding.Strict().DecodeString(q.Get("sig"))
	if err != nil || !hmac.Equal(sig, s.sign(incidentID, name, expires)) {
		return 0, ErrSignature
	}
	if s.now().Unix() >= expires {
		return 0, ErrExpired
	}
	return expires, nil
}

// sign is HMAC-SHA256 over incident, expiry and name, which comes last because
// only it could hold a newline.
func (s *Signer) sign(incidentID int64, name string, expires int64) []byte {
	mac := hmac.New(sha256.New, s.Key)
	fmt.Fprintf(mac, "triagebot evidence link\n%d\n%d\n%s", incidentID, expires, name)
	return mac.Sum(nil)
}

func (s *Signer) now() time.Time {
	if s.Now == nil {
		return time.Now()
	}
	return s.Now()
}
