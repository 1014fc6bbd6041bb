package slack

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/sirupsen/logrus/hooks/test"
)

// api is a Web API that answers each call with what answer says, at an instant
// that the test moves.
type api struct {
	now    time.Time
	calls  []apiCall
	answer func(n int, c apiCall) (status int, body string)
	header http.Header
}

type apiCall struct {
	method string
	form   url.Values
	body   string
}

func (a *api) RoundTrip(r *http.Request) (*http.Response, error) {
	data, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	form, _ := url.ParseQuery(string(data)) // of JSON there is none
	c := apiCall{r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:], form, string(data)}
	a.calls = append(a.calls, c)
	w := httptest.NewRecorder()
	for name, values := range a.header {
		w.Header()[name] = values
	}
	status, body := a.answer(len(a.calls), c)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	fmt.Fprint(w, body)
	return w.Result(), nil
}

func notifierOn(t *testing.T, a *api) *Notifier {
	t.Helper()
	logger, _ := test.NewNullLogger()
	n, err := New(Options{
		Token: "xoxb-1", HTTPClient: &http.Client{Transport: a}, Log: logger,
		Open: func(context.Context, int64, string) (io.ReadCloser, int64, error) { return nil, 0, io.EOF },
		Now:  func() time.Time { return a.now },
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestMembersOfAUserGroup(t *testing.T) {
	a := &api{answer: func(int, apiCall) (int, string) { return 200, `{"ok":true,"users":["U0ALICE01","U0BOB0001"]}` }}
	n := notifierOn(t, a)
	got, err := n.Members(t.Context(), "S0123456789")
	if err != nil || !slices.Equal(got, []string{"U0ALICE01", "U0BOB0001"}) {
		t.Fatalf("Members = %v, %v", got, err)
	}
	if c := a.calls[0]; c.method != "usergroups.users.list" || c.form.Get("usergroup") != "S0123456789" {
		t.Errorf("it called %+v", c)
	}
	if _, err := n.Members(t.Context(), "sre&usergroup=S1"); err == nil || len(a.calls) != 1 {
		t.Errorf("of what is no group's id: %v, %d calls", err, len(a.calls))
	}
}

func TestEveryDoubtAboutMembersIsAnError(t *testing.T) {
	for name, c := range map[string]struct {
		status     int
		body, says string
	}{
		"unknown":         {200, `{"ok":false,"error":"no_such_subteam"}`, "no_such_subteam"},
		"no list":         {200, `{"ok":true}`, "no list"},
		"an empty answer": {200, `{}`, "no list"},
		"no scope":        {200, `{"ok":false,"error":"missing_scope","needed":"usergroups:read"}`, "missing_scope"},
		"down":            {500, ``, "500"},
		"not JSON":        {200, `<html>`, "invalid character"},
	} {
		n := notifierOn(t, &api{answer: func(int, apiCall) (int, string) { return c.status, c.body }})
		if got, err := n.Members(t.Context(), "S0123456789"); err == nil || len(got) > 0 || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
		if name == "no scope" && (!strings.Contains(n.Warning(), "usergroups:read") || testutil.ToFloat64(n.metrics.tokenValid) != 1) {
			t.Errorf("the warning is %q, and the token is good for all else", n.Warning())
		}
	}
}

func TestADirectoryThatLimitsTheRateIsLeftAlone(t *testing.T) {
	for name, body := range map[string]string{"429": "", "200": `{"ok":false,"error":"ratelimited"}`} {
		t.Run(name, func(t *testing.T) {
			a := &api{header: http.Header{"Retry-After": {"30"}}, answer: func(n int, _ apiCall) (int, string) {
				if n > 1 {
					return 200, `{"ok":true,"users":["U0ALICE01"]}`
				}
				if body == "" {
					return 429, ""
				}
				return 200, body
			}}
			n := notifierOn(t, a)
			for range 3 {
				if _, err := n.Members(t.Context(), "S0123456789"); err == nil {
					t.Errorf("%s: no error while the rate is limited", name)
				}
			}
			if len(a.calls) != 1 {
				t.Errorf("%s: %d calls, want 1", name, len(a.calls))
			}
			a.now = a.now.Add(30 * time.Second)
			if got, err := n.Members(t.Context(), "S0123456789"); err != nil || len(got) != 1 {
				t.Errorf("%s: later %v, %v", name, got, err)
			}
		})
	}
}

func TestTheTeamIsAskedForUntilItIsKnown(t *testing.T) {
	a := &api{answer: func(n int, _ apiCall) (int, string) {
		return 200, []string{`{"ok":false,"error":"internal_error"}`, `{"ok":true,"bot_id":"B1"}`, `{"ok":true,"bot_id":"B1","team_id":"T1"}`}[n-1]
	}}
	n := notifierOn(t, a)
	for range 2 {
		if got, err := n.Team(t.Context()); err == nil {
			t.Errorf("Team = %q without an error", got)
		}
	}
	for range 2 {
		if got, err := n.Team(t.Context()); got != "T1" || err != nil {
			t.Errorf("Team = %q, %v", got, err)
		}
	}
	if len(a.calls) != 3 {
		t.Errorf("%d calls, want 3", len(a.calls))
	}
}
