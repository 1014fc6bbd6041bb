package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestAPageBecomesAThreadThoughPrometheusIsDown(t *testing.T) {
	a := startApp(t, smallConfig(t, t.TempDir(), ""))
	for _, name := range []string{"Slow", "Unheard"} {
		notify(t, a, name)
	}
	eventually(t, "two parents with a reply each", func() bool {
		threads := a.local.workspace.Channel("incidents")
		return len(threads) == 2 && len(threads[0].Replies) > 0 && len(threads[1].Replies) > 0
	})
	for _, thread := range a.local.workspace.Channel("incidents") {
		if pings := thread.Pings(); len(pings) > 0 {
			t.Errorf("the parent pings %v", pings)
		}
		if reply := thread.Replies[0].Text; !strings.Contains(reply, "could not tell") && !strings.Contains(reply, "unknown") {
			t.Errorf("reply %q, want it unknown: nothing listens where Prometheus should", reply)
		}
	}
}

// prometheusSince answers 7 to any query from an instant on, and nothing to
// one about earlier.
func prometheusSince(t *testing.T, since time.Time) string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		at, err := strconv.ParseFloat(r.FormValue("time"), 64)
		switch {
		case strings.HasSuffix(r.URL.Path, "/query_range"):
			fmt.Fprint(w, `{"status":"success","data":{"resultType":"matrix","result":[]}}`)
		case err != nil:
			http.Error(w, err.Error(), http.StatusBadRequest)
		case at < float64(since.Unix()):
			fmt.Fprint(w, `{"status":"success","data":{"resultType":"vector","result":[]}}`)
		default:
			fmt.Fprintf(w, `{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[%d,"7"]}]}}`, int64(at))
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func TestAnAlertThatNoPlaybookMatchesShowsItsOwnExpression(t *testing.T) {
	for name, tc := range map[string]struct {
		since time.Duration
		want  string
	}{
		"Fresh":    {time.Minute, "is 7 now (no data an hour ago)"},
		"Standing": {24 * time.Hour, "is 7 now (7 an hour ago)"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			file := smallConfig(t, dir, "")
			write(t, dir, "triagebot.yaml", strings.Replace(readText(t, file), "http://127.0.0.1:9", prometheusSince(t, time.Now().Add(-tc.since)), 1))
			a := startApp(t, file)
			notify(t, a, name)
			var reply string
			eventually(t, "a reply", func() bool {
				threads := a.local.workspace.Channel("incidents")
				if len(threads) == 0 || len(threads[0].Replies) == 0 {
					return false
				}
				reply = threads[0].Replies[0].Text
				return true
			})
			if !strings.Contains(reply, "No playbook matches "+name) || !strings.Contains(reply, tc.want) {
				t.Errorf("reply %q, want %q in it", reply, tc.want)
			}
		})
	}
}

func TestPagesOfTheServer(t *testing.T) {
	a := startApp(t, smallConfig(t, t.TempDir(), ""))
	for path, want := range map[string]string{
		"/":          "Alertmanager's webhook",
		"/-/healthy": "healthy",
		"/-/ready":   "ready",
		"/metrics":   "triagebot_backlog_notifications 0",
	} {
		if status, text := request(t, http.MethodGet, a.url()+path, ""); status != http.StatusOK || !strings.Contains(text, want) {
			t.Errorf("GET %s: %d, %q is not in it:\n%.400s", path, status, want, text)
		}
	}
	if status, _ := request(t, http.MethodGet, a.url()+"/evidence/1/report.md", ""); status != http.StatusForbidden {
		t.Errorf("evidence without a signature: %d, want 403", status)
	}
}

func TestReload(t *testing.T) {
	dir := t.TempDir()
	a := startApp(t, smallConfig(t, dir, ""))
	reload := func() (int, string) { return request(t, http.MethodPost, a.url()+"/-/reload", "") }
	metric := func() string {
		_, text := request(t, http.MethodGet, a.url()+"/metrics", "")
		for line := range strings.Lines(text) {
			if value, is := strings.CutPrefix(line, "triagebot_config_last_reload_successful "); is {
				return strings.TrimSpace(value)
			}
		}
		return "missing"
	}

	write(t, dir, "playbooks/other.yaml", strings.NewReplacer("slow", "other", "Slow", "Other").Replace(smallPlaybook))
	if status, text := reload(); status != http.StatusOK || metric() != "1" || a.live.get().playbook("other") == nil {
		t.Errorf("reload: %d %s, metric %s, other is %v", status, text, metric(), a.live.get().playbook("other"))
	}

	write(t, dir, "playbooks/other.yaml", "name: other\nstpes: []\n")
	if status, text := reload(); status != http.StatusInternalServerError || !strings.Contains(text, `did you mean "steps"?`) {
		t.Errorf("reload of a bad playbook: %d %s", status, text)
	}
	if metric() != "0" || a.live.get().playbook("other") == nil {
		t.Errorf("after a failed reload: metric %s, the old playbook is %v", metric(), a.live.get().playbook("other"))
	}

	if err := os.Remove(filepath.Join(dir, "playbooks/other.yaml")); err != nil {
		t.Fatal(err)
	}
	if status, _ := reload(); status != http.StatusOK || metric() != "1" || a.live.get().playbook("other") != nil {
		t.Errorf("reload of the mended configuration: %d, metric %s", status, metric())
	}
}

func TestReloadRefusesARouteToANotifierThatIsNotThere(t *testing.T) {
	dir := t.TempDir()
	file := smallConfig(t, dir, "")
	a := startApp(t, file)
	text := readText(t, file) + "webhooks: [{name: hook, url: \"http://127.0.0.1:9/\"}]\n"
	write(t, dir, "triagebot.yaml", strings.Replace(text, "routes: [", `routes: [{match: ['team="x"'], notifier: hook}, `, 1))
	if status, answer := request(t, http.MethodPost, a.url()+"/-/reload", ""); status != http.StatusInternalServerError || !strings.Contains(answer, "needs a restart") {
		t.Errorf("reload: %d %s", status, answer)
	}
}
