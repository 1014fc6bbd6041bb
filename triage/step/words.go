// Words: pieces of sentences that every kind makes.

package step

import (
	"strconv"
	"strings"
)

// cut keeps the first n runes of s.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	count := 0
	for i := range s {
		if count == n {
			return s[:i] + "…"
		}
		count++
	}
	return s
}

// safeText is s without what PostgreSQL and JSON cannot hold.
func safeText(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// counted is a number of things in words.
func counted(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return strconv.Itoa(n) + " " + thing + "s"
}

// firsts are the first of all, at most so many.
func firsts[T any](all []T, most int) []T { return all[:min(len(all), most)] }
