package receive

// Bounds on what a notification may bring in: whoever can set a label can set
// it to anything, and everything downstream would carry it along.

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/prometheus/alertmanager/template"

	"triagebot/triage"
)

// The bounds. Real notifications stay far below.
const (
	// MaxText is the most bytes that a name, a value or a URL keeps.
	MaxText = 8 << 10
	// MaxLabels is the most labels, or annotations, that an alert keeps.
	MaxLabels = 256
)

// text makes s safe to store: what is not UTF-8 becomes U+FFFD, as does NUL,
// which PostgreSQL cannot hold in text. What is over MaxText is cut between
// runes and ends in a mark with the length and hash of the whole, so that
// different values stay different.
func text(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if strings.IndexByte(s, 0) >= 0 {
		s = strings.ReplaceAll(s, "\x00", "\uFFFD")
	}
	if len(s) <= MaxText {
		return s
	}
	mark := fmt.Sprintf("… [cut: %d bytes, sha256 %x]", len(s), sha256.Sum256([]byte(s)))
	keep := MaxText - len(mark)
	for !utf8.RuneStart(s[keep]) {
		keep--
	}
	return s[:keep] + mark
}

// storable says whether t is within what every database here keeps, with
// room to spare (nanoseconds in 64 bits end in 2262).
func storable(t time.Time) bool { return t.Year() >= 1970 && t.Year() <= 2200 }

// webURL is s when it is a link that may be shown, and "" otherwise: a cut URL
// leads astray, and other schemes (javascript:) are not for people to click.
func webURL(s string) string {
	if len(s) > MaxText || !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return ""
	}
	if scheme, _, ok := strings.Cut(s, "://"); ok && (strings.EqualFold(scheme, "http") || strings.EqualFold(scheme, "https")) {
		return s
	}
	return ""
}

// labelSet is the labels, bounded. Of too many it keeps alertname, severity
// and the first by name.
func labelSet(kv template.KV) triage.Labels {
	if len(kv) == 0 {
		return nil
	}
	names := slices.Collect(maps.Keys(kv))
	if len(names) > MaxLabels {
		slices.SortFunc(names, func(a, b string) int {
			if x, y := keepAlways(a), keepAlways(b); x != y {
				if x {
					return -1
				}
				return 1
			}
			return strings.Compare(a, b)
		})
		names = names[:MaxLabels]
	}
	labels := make(triage.Labels, len(names))
	for _, name := range names {
		labels[text(name)] = text(kv[name])
	}
	return labels
}

func keepAlways(name string) bool { return name == "alertname" || name == "severity" }
