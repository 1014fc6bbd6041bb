package receive

// Who may post notifications.

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"
)

// Credentials are what a sender must show: the bearer token, or the user name
// and password. When both are set either will do; when neither is, anybody may
// send, which is for listeners that mutual TLS or the network guards.
type Credentials struct {
	BearerToken string
	Username    string
	Password    string
}

// verdict is what became of a request's credentials.
type verdict int

const (
	allowed verdict = iota
	missing         // none, or of a kind that is not asked for: 401
	wrong           // of the right kind but not the right ones: 403
)

// check compares in constant time. The difference between missing and wrong is
// told to the sender on purpose: it is the first question of whoever sets this
// up, and helps nobody to guess a token.
func (c Credentials) check(r *http.Request) verdict {
	bearer, basic := c.BearerToken != "", c.Username != "" || c.Password != ""
	if !bearer && !basic {
		return allowed
	}
	if user, password, ok := r.BasicAuth(); ok && basic {
		// Both are compared always: the time must not tell which one is wrong.
		if equal(user, c.Username)&equal(password, c.Password) == 1 {
			return allowed
		}
		return wrong
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if bearer && strings.EqualFold(scheme, "Bearer") {
		if equal(strings.TrimSpace(token), c.BearerToken) == 1 {
			return allowed
		}
		return wrong
	}
	return missing
}

// Required says whether senders must show anything at all.
func (c Credentials) Required() bool { return c != Credentials{} }

// Shown says whether a request shows what is required; always when nothing is.
// Other pages of the server use it that are behind the same authentication.
func (c Credentials) Shown(r *http.Request) bool { return c.check(r) == allowed }

// challenge is the WWW-Authenticate header's values.
func (c Credentials) challenge() []string {
	var schemes []string
	if c.BearerToken != "" {
		schemes = append(schemes, `Bearer realm="triagebot"`)
	}
	if c.Username != "" || c.Password != "" {
		schemes = append(schemes, `Basic realm="triagebot", charset="UTF-8"`)
	}
	return schemes
}

// equal is 1 when a is b. Hashing first hides their lengths too.
func equal(a, b string) int {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:])
}
