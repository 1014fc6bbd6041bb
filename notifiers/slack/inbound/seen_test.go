package inbound

import (
	"testing"
	"time"
)

func TestWhatWasSeenIsForgottenInTime(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	s := newSeen(3, time.Minute)
	for _, step := range []struct {
		key   string
		after time.Duration
		first bool
	}{
		{"a", 0, true},
		{"a", time.Minute, false},
		{"b", 0, true},
		{"a", time.Second, true}, // its minute is over
		{"c", 0, true},           // the third: the oldest, b, goes
		{"d", 0, true},
		{"a", 0, false},
		{"b", 0, true},
	} {
		now = now.Add(step.after)
		if got := s.first(step.key, now); got != step.first {
			t.Errorf("%+v: first %v", step, got)
		}
		if len(s.order) > 3 || len(s.at) > 3 {
			t.Fatalf("%d are remembered, want 3 at most", len(s.order))
		}
	}
	s.forget("b")
	if !s.first("b", now) {
		t.Error("what was forgotten does not come for the first time")
	}
}
