package triage_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"triagebot/triage"
)

func TestALongKeyIsBoundedAndStillTellsIncidentsApart(t *testing.T) {
	long := strings.Repeat("ü", 5000)
	a := triage.IncidentKey("Slow", triage.Labels{"url": long + "a"})
	b := triage.IncidentKey("Slow", triage.Labels{"url": long + "b"})
	if a == b || len(a) > 1024 || !utf8.ValidString(a) {
		t.Errorf("keys of %d and %d bytes, equal: %t", len(a), len(b), a == b)
	}
}
