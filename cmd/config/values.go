package config

// Values with a notation of their own: secrets, sizes, and URLs that are
// secrets.

import (
	"fmt"
	"math"
	"net/url"
	"strconv"
	"strings"
)

const hidden = "<secret>"

// Secret is text that must not be seen. Convert it to string to use it.
type Secret string

// String hides the secret from every fmt verb that asks for text.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return hidden
}

// GoString hides it from %#v.
func (s Secret) GoString() string { return strconv.Quote(s.String()) }

// MarshalYAML hides it from a printed configuration.
func (s Secret) MarshalYAML() (any, error) { return s.String(), nil }

// MarshalJSON hides it from structured logs.
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(strconv.Quote(s.String())), nil }

// WebhookURL is a URL whose path and query let whoever knows them post.
// Convert it to string to use it.
type WebhookURL string

// String is the URL's host alone.
func (u WebhookURL) String() string {
	parsed, err := url.Parse(string(u))
	switch {
	case u == "":
		return ""
	case err != nil || parsed.Host == "":
		return hidden
	case strings.Trim(parsed.Path, "/") == "" && parsed.RawQuery == "":
		return parsed.Scheme + "://" + parsed.Host
	}
	return parsed.Scheme + "://" + parsed.Host + "/" + hidden
}

// GoString hides it from %#v.
func (u WebhookURL) GoString() string { return strconv.Quote(u.String()) }

// MarshalYAML hides it from a printed configuration.
func (u WebhookURL) MarshalYAML() (any, error) { return u.String(), nil }

// Size is a number of bytes, written as 3MiB.
type Size int64

var sizeUnits = []struct {
	suffix string
	bytes  int64
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}

// ParseSize reads a size.
func ParseSize(s string) (Size, error) {
	for _, unit := range sizeUnits {
		digits, ok := strings.CutSuffix(s, unit.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseUint(strings.TrimSpace(digits), 10, 63)
		if err != nil || int64(n) > math.MaxInt64/unit.bytes {
			break
		}
		return Size(int64(n) * unit.bytes), nil
	}
	return 0, fmt.Errorf("%q is no size; write 512KiB, 3MiB or 1GiB", s)
}

// String writes the size in the largest unit that divides it.
func (s Size) String() string {
	for _, unit := range sizeUnits {
		if s != 0 && int64(s)%unit.bytes == 0 {
			return strconv.FormatInt(int64(s)/unit.bytes, 10) + unit.suffix
		}
	}
	return "0B"
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Size) UnmarshalText(text []byte) error {
	size, err := ParseSize(string(text))
	if err != nil {
		return err
	}
	*s = size
	return nil
}

// MarshalYAML implements yaml.Marshaler.
func (s Size) MarshalYAML() (any, error) { return s.String(), nil }
