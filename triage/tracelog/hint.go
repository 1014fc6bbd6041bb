// Ids that hold the time at which they were made say where to look first.

package tracelog

import (
	"encoding/hex"
	"strings"
	"time"
)

// timeOf is the instant in an id that begins with one: a UUID of version 7 or
// a ULID, also behind a prefix such as req_. Such a time is a hint, for any 26
// letters look like a ULID: it must lie between 2015 and a day from now.
func timeOf(id string, now time.Time) (time.Time, bool) {
	if i := strings.LastIndexAny(id, "_:/"); i >= 0 {
		id = id[i+1:]
	}
	millis, ok := uuidMillis(id)
	if !ok {
		millis, ok = ulidMillis(id)
	}
	t := time.UnixMilli(millis).UTC()
	likely := t.Year() >= 2015 && t.Before(now.Add(24*time.Hour))
	return t, ok && likely
}

// uuidMillis reads the first 48 bits of a UUID of version 7 (RFC 9562).
func uuidMillis(id string) (int64, bool) {
	digits := strings.ReplaceAll(id, "-", "")
	if len(digits) != 32 || digits[12] != '7' {
		return 0, false
	}
	raw, err := hex.DecodeString(digits)
	if err != nil {
		return 0, false
	}
	var millis int64
	for _, b := range raw[:6] {
		millis = millis<<8 | int64(b)
	}
	return millis, true
}

// ulidMillis reads the first ten digits of a ULID, which are Crockford's base 32.
func ulidMillis(id string) (int64, bool) {
	const digits = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	if len(id) != 26 || id[0] > '7' {
		return 0, false
	}
	id = strings.ToUpper(id)
	var millis int64
	for i := range len(id) {
		d := strings.IndexByte(digits, id[i])
		if d < 0 {
			return 0, false
		}
		if i < 10 {
			millis = millis<<5 | int64(d)
		}
	}
	return millis, true
}
