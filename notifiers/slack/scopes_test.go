package slack

import (
	"net/http"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"triagebot/notifiers"
	"triagebot/notifiers/slack/slacklocal"
)

func TestAMissingScopeIsSaidOnceWithWhatToAdd(t *testing.T) {
	f := setUp(t)
	told := func(scopes string) { f.heardScopes(http.Header{"X-Oauth-Scopes": {scopes}}) }
	told("chat:write,files:write,files:read,groups:read, groups:history")
	if got := f.Warning(); got != "" {
		t.Errorf("warning %q with the scopes of private channels", got)
	}
	for range 2 {
		told("chat:write,files:write,files:read,channels:read")
	}
	if got := f.Warning(); !strings.Contains(got, "channels:history") || !strings.Contains(got, "OAuth & Permissions") {
		t.Errorf("warning %q", got)
	}
	if n := len(f.log.AllEntries()); n != 1 {
		t.Errorf("it was logged %d times, want once", n)
	}
	if n := testutil.ToFloat64(f.Notifier.metrics.scopeMissing.WithLabelValues("channels:history")); n != 1 {
		t.Errorf("the metric says %v, want 1", n)
	}
	told("chat:write,files:write,files:read,channels:read,channels:history")
	if got := f.Warning(); got != "" {
		t.Errorf("warning %q after the scope was added", got)
	}
}

func TestALookWithoutTheScopeDoesNotCondemnTheToken(t *testing.T) {
	f := setUp(t)
	f.ws.Fail(methodHistory, func(int) slacklocal.Fault { return slacklocal.Fault{Error: "missing_scope"} })
	_, _, err := f.Find(t.Context(), f.parent())
	reasonOf(t, err, notifiers.Permanent, "Find")
	if !strings.Contains(f.Warning(), "channels:history") {
		t.Errorf("warning %q, want it to name the scope", f.Warning())
	}
	if n := testutil.ToFloat64(f.Notifier.metrics.tokenValid); n != 1 {
		t.Errorf("the token counts as %v, want 1", n)
	}
}
