package access_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"triagebot/triage"
	"triagebot/triage/access"
)

// directory is a directory of user groups that counts how often it is asked.
type directory struct {
	mu     sync.Mutex
	groups map[string][]string
	err    error
	asked  int
}

func (d *directory) Members(_ context.Context, group string) ([]string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked++
	return d.groups[group], d.err
}

const team = "T1"

func alice() triage.Actor { return triage.Actor{Via: triage.ViaSlack, Team: team, ID: "UALICE"} }
func bob() triage.Actor   { return triage.Actor{Via: triage.ViaSlack, Team: team, ID: "UBOB"} }

func checker(d access.Directory, now *time.Time) *access.Checker {
	return access.New(access.Options{
		Rules: func() access.Rules {
			return access.Rules{
				access.Look:     {Users: []string{access.Anyone}},
				access.Respond:  {Users: []string{"UALICE"}, Groups: []string{"SONCALL"}},
				access.Maintain: {Groups: []string{"SONCALL"}},
			}
		},
		Team:      func(context.Context) (string, error) { return team, nil },
		Directory: d, KeepFor: time.Minute,
		Now: func() time.Time { return *now },
	})
}

func TestWhoMay(t *testing.T) {
	now := time.Now()
	c := checker(&directory{groups: map[string][]string{"SONCALL": {"UBOB"}}}, &now)
	carol := triage.Actor{Via: triage.ViaSlack, Team: team, ID: "UCAROL"}
	for _, tt := range []struct {
		name  string
		who   triage.Actor
		right access.Right
		why   string // of the refusal; "" for none
	}{
		{"anyone looks", carol, access.Look, ""},
		{"by id", alice(), access.Respond, ""},
		{"by group", bob(), access.Respond, ""},
		{"by group only", bob(), access.Maintain, ""},
		{"an id does not help with another right", alice(), access.Maintain, "access.maintain"},
		{"neither", carol, access.Respond, "access.respond"},
		{"a right that nobody has", bob(), access.Override, "names nobody"},
		{"another workspace", triage.Actor{Via: triage.ViaSlack, Team: "T2", ID: "UALICE"}, access.Look, "own workspace"},
		{"no workspace", triage.Actor{Via: triage.ViaSlack, ID: "UALICE"}, access.Look, "own workspace"},
		{"nobody", triage.Actor{Via: triage.ViaSlack, Team: team}, access.Look, "who you are"},
		{"an id that is the sign for anyone", triage.Actor{Via: triage.ViaSlack, Team: team, ID: "*"}, access.Respond, "access.respond"},
		{"a way in that is not known", triage.Actor{Via: "pigeon", ID: "UALICE"}, access.Respond, "own workspace"},
		{"the command line's token", triage.Actor{Via: triage.ViaCtl, ID: "ops"}, access.Override, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := c.May(t.Context(), tt.who, tt.right)
			var denied *access.Denied
			switch {
			case tt.why == "" && err != nil:
				t.Errorf("refused: %v", err)
			case tt.why != "" && !errors.As(err, &denied):
				t.Errorf("allowed, or another error: %v", err)
			case tt.why != "" && !strings.Contains(denied.Why, tt.why):
				t.Errorf("says %q; want %q in it", denied.Why, tt.why)
			}
		})
	}
}

func TestADirectoryThatIsDownAllowsNothing(t *testing.T) {
	now := time.Now()
	d := &directory{groups: map[string][]string{"SONCALL": {"UBOB"}}}
	c := checker(d, &now)
	if err := c.May(t.Context(), bob(), access.Respond); err != nil {
		t.Fatal(err)
	}
	d.err = errors.New("down")
	if err := c.May(t.Context(), bob(), access.Respond); err != nil {
		t.Errorf("within a minute the group is remembered: %v", err)
	}
	now = now.Add(time.Minute)
	if err := c.May(t.Context(), bob(), access.Respond); err == nil {
		t.Error("a group that was known a minute ago still lets people in")
	}
	if err := c.May(t.Context(), alice(), access.Respond); err != nil {
		t.Errorf("who is named by id needs no directory: %v", err)
	}
	d.err = nil
	now = now.Add(10 * time.Second)
	if err := c.May(t.Context(), bob(), access.Respond); err != nil {
		t.Errorf("it is up again: %v", err)
	}
}

func TestAGroupIsAskedForOnce(t *testing.T) {
	now := time.Now()
	d := &directory{groups: map[string][]string{"SONCALL": {"UBOB"}}}
	c := checker(d, &now)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() { _ = c.May(t.Context(), bob(), access.Maintain) })
	}
	wg.Wait()
	if d.asked != 1 {
		t.Errorf("asked %d times", d.asked)
	}
}

func TestWithoutAWorkspaceNobodyMay(t *testing.T) {
	c := access.New(access.Options{
		Rules: func() access.Rules { return access.Rules{access.Look: {Users: []string{access.Anyone}}} },
		Team:  func(context.Context) (string, error) { return "", errors.New("down") },
	})
	if err := c.May(t.Context(), alice(), access.Look); err == nil {
		t.Error("allowed")
	}
}
