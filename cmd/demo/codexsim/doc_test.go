// docs/codex-signals.md, held to what the app really does.

package codexsim

import (
	"context"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gorilla/mux"

	"triagebot/playbooks"
)

var (
	quoted      = regexp.MustCompile("`([^`]+)`")
	parentheses = regexp.MustCompile(`\([^()]*\)`)
)

// names are what stands in backticks in a cell, without remarks in parentheses.
func names(cell string) []string {
	all := []string{}
	for _, m := range quoted.FindAllStringSubmatch(parentheses.ReplaceAllString(cell, ""), -1) {
		all = append(all, m[1])
	}
	slices.Sort(all)
	return all
}

// docTable are the rows of the first table below a heading of the document, by
// the name in their first cell.
func docTable(t *testing.T, heading string) map[string][]string {
	t.Helper()
	text, err := os.ReadFile("../../../docs/codex-signals.md")
	if err != nil {
		t.Fatal(err)
	}
	_, below, found := strings.Cut(string(text), "\n"+heading+"\n")
	if !found {
		t.Fatalf("the document has no heading %q", heading)
	}
	rows := map[string][]string{}
	began := false
	for line := range strings.Lines(below) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		switch row := strings.HasPrefix(line, "|"); {
		case !row && began:
			return rows
		case !row:
			continue
		}
		began = true
		name := names(cells[0])
		if len(name) != 1 || cells[0] == " `method` " || cells[0] == " `event` " {
			continue // the table's head
		}
		rows[name[0]] = cells
	}
	return rows
}

// column is one cell of each row, its names in order.
func column(rows map[string][]string, cell int) map[string][]string {
	out := map[string][]string{}
	for name, cells := range rows {
		out[name] = names(cells[cell])
	}
	return out
}

func TestTheDocumentHasEveryMetric(t *testing.T) {
	families, err := newMetrics().registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	types, labels := map[string]string{}, map[string][]string{}
	for _, f := range families {
		types[f.GetName()] = strings.ToLower(f.GetType().String())
		all := []string{}
		for _, l := range f.GetMetric()[0].GetLabel() {
			all = append(all, l.GetName())
		}
		if f.GetMetric()[0].GetHistogram() != nil {
			all = append(all, "le")
		}
		slices.Sort(all)
		labels[f.GetName()] = all
	}
	rows := docTable(t, "## Metrics (`GET /metrics`)")
	documented := map[string]string{}
	for name, cells := range rows {
		documented[name] = strings.TrimSpace(cells[1])
	}
	if diff := cmp.Diff(types, documented); diff != "" {
		t.Errorf("metrics and their types (-shown +documented):\n%s", diff)
	}
	if diff := cmp.Diff(labels, column(rows, 2)); diff != "" {
		t.Errorf("labels (-shown +documented):\n%s", diff)
	}
}

func TestTheDocumentHasEveryEndpoint(t *testing.T) {
	simulate(t, Options{}, func(s *simulation) {
		served := map[string]string{}
		err := s.Handler().(*mux.Router).Walk(func(route *mux.Route, _ *mux.Router, _ []*mux.Route) error {
			path, errPath := route.GetPathTemplate()
			methods, errMethods := route.GetMethods()
			if errPath != nil || errMethods != nil {
				t.Errorf("route %v: %v, %v", route, errPath, errMethods)
			}
			served[path] = strings.Join(methods, ", ")
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		documented := map[string]string{}
		for path, cells := range docTable(t, "## Endpoints") {
			documented[path] = strings.TrimSpace(cells[1])
		}
		if diff := cmp.Diff(served, documented); diff != "" {
			t.Errorf("endpoints (-served +documented):\n%s", diff)
		}
	})
}

func TestTheDocumentHasEverySetting(t *testing.T) {
	simulate(t, Options{}, func(s *simulation) {
		documented := slices.Sorted(maps.Keys(docTable(t, "## Settings (`GET /settings`)")))
		if diff := cmp.Diff(slices.Sorted(maps.Keys(s.ask("/settings"))), documented); diff != "" {
			t.Errorf("settings (-shown +documented):\n%s", diff)
		}
	})
}

func TestTheDocumentHasEveryFaultAndItsAlerts(t *testing.T) {
	rules, err := playbooks.Files.ReadFile(playbooks.AlertRules)
	if err != nil {
		t.Fatal(err)
	}
	alerts := map[string][]string{}
	for _, f := range Faults() {
		alerts[string(f)] = append([]string{}, f.Alerts()...)
		slices.Sort(alerts[string(f)])
		for _, alert := range f.Alerts() {
			if !strings.Contains(string(rules), "- alert: "+alert+"\n") {
				t.Errorf("fault %s raises %s, which no rule has", f, alert)
			}
		}
	}
	if diff := cmp.Diff(alerts, column(docTable(t, "## The demo's faults"), 2)); diff != "" {
		t.Errorf("faults and their alerts (-raised +documented):\n%s", diff)
	}
}

// TestTheDocumentHasEveryFieldOfTheLogs has everything happen that is logged.
func TestTheDocumentHasEveryFieldOfTheLogs(t *testing.T) {
	simulate(t, Options{LogBytes: 64 << 20}, func(s *simulation) {
		s.pass(11 * time.Second)
		for _, f := range []Fault{Errors, ToolBuffer, Restarts, Deploy, Slow, Overload, Maintenance} {
			s.fault(f, true)
			s.pass(5 * time.Second)
			s.fault(f, false)
			s.pass(5 * time.Second)
		}
		ctx, leave := context.WithTimeout(s.Context(), 20*time.Millisecond)
		defer leave()
		s.Handler().ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, http.MethodPost, routeChat, strings.NewReader("{}")))

		rows := docTable(t, "## Logs")
		documented := column(rows, 2)
		written := map[string][]string{}
		values := map[string]bool{} // of method and event, and of a change's what
		for name := range rows {
			fields := map[string]bool{}
			for _, l := range s.lines(name) {
				for field := range l {
					fields[field] = true
				}
				for _, field := range []string{"event", "direction", "what", "level"} {
					if value, ok := l[field].(string); ok {
						values[field+" "+value] = true
					}
				}
				if name == "proto.ndjson" {
					values["method "+l["method"].(string)] = true
				}
			}
			delete(fields, "ts") // of every line
			written[name] = slices.Sorted(maps.Keys(fields))
		}
		if diff := cmp.Diff(written, documented); diff != "" {
			t.Errorf("logs and their fields (-written +documented):\n%s", diff)
		}

		told := map[string]bool{}
		for name, cells := range docTable(t, "### The messages of one completion") {
			told["method "+name], told["direction "+names(cells[1])[0]] = true, true
		}
		for name, cells := range docTable(t, "### The events of a worker") {
			told["event "+name], told["level "+names(cells[1])[0]] = true, true
		}
		told["what deploy"], told["what flag"] = true, true
		if diff := cmp.Diff(values, told); diff != "" {
			t.Errorf("what lines say (-written +documented):\n%s", diff)
		}
		entries, err := os.ReadDir(s.dir)
		if err != nil || len(entries) != len(rows)+1 { // engine.log has no fields
			t.Errorf("%d files, %v; %d are documented", len(entries), err, len(rows)+1)
		}
	})
}
