package slack

import (
	"fmt"
	"testing"
	"time"
)

func TestANameIsAskedForOnceAnHour(t *testing.T) {
	a := &api{answer: func(int, apiCall) (int, string) {
		return 200, `{"ok":true,"user":{"id":"U0ALICE01","name":"ali\nce","profile":{"display_name":"Alice"}}}`
	}}
	n := notifierOn(t, a)
	for range 3 {
		if got, err := n.Name(t.Context(), "U0ALICE01"); got != "ali ce" || err != nil {
			t.Errorf("Name = %q, %v", got, err)
		}
	}
	if len(a.calls) != 1 {
		t.Errorf("%d calls, want 1", len(a.calls))
	}
	a.now = a.now.Add(keepName)
	_, _ = n.Name(t.Context(), "U0ALICE01")
	if len(a.calls) != 2 {
		t.Errorf("%d calls after an hour, want 2", len(a.calls))
	}
	for _, body := range []string{`{"ok":false,"error":"user_not_found"}`, `{"ok":true,"user":{}}`, `{}`} {
		n := notifierOn(t, &api{answer: func(int, apiCall) (int, string) { return 200, body }})
		if got, err := n.Name(t.Context(), "U0ALICE01"); err == nil {
			t.Errorf("%s: %q without an error", body, got)
		}
	}
	var c names
	for i := range maxNames + 1 {
		c.keep(fmt.Sprint("U", i), "x", time.Now())
	}
	if len(c.kept) > maxNames {
		t.Errorf("%d names are kept", len(c.kept))
	}
}
