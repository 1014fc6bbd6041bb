package console

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/mux"
	logrustest "github.com/sirupsen/logrus/hooks/test"

	"triagebot/triage"
	"triagebot/triage/evidence"
	"triagebot/triage/incident"
	"triagebot/triage/store"
	"triagebot/triage/store/storetest"
)

var began = time.Date(2026, 3, 1, 3, 0, 0, 0, time.UTC)

// site serves the console as triagebot does; now may be moved.
type site struct {
	t       *testing.T
	db      *store.DB
	bundles *evidence.Store
	folder  string
	signer  *evidence.Signer
	router  *mux.Router
	now     time.Time
	let     bool // whoever asks shows the server's credentials
	asks    string
}

func each(t *testing.T, test func(s *site)) {
	storetest.Each(t, func(t *testing.T, where store.Options) {
		log, _ := logrustest.NewNullLogger()
		s := &site{t: t, db: storetest.Open(t, where), folder: t.TempDir(), router: mux.NewRouter(), now: began}
		if _, err := s.db.NewJobs(store.JobsOptions{ReplicaID: "test", Log: log}); err != nil {
			t.Fatal(err)
		}
		redactor := evidence.NewRedactor()
		var err error
		if s.bundles, err = evidence.Open(t.Context(), evidence.Options{Dir: s.folder, Redactor: redactor}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.bundles.Close() })
		s.signer = &evidence.Signer{Key: bytes.Repeat([]byte{7}, evidence.KeySize), BaseURL: "https://triage.example", TTL: time.Hour, Now: func() time.Time { return s.now }}
		New(Options{
			Store: s.db, Bundles: s.bundles, Signer: s.signer, Log: log,
			Authorized: func(*http.Request) bool { return s.let },
			Challenge:  func() string { return s.asks },
			Parent: incident.Parent{
				About: func(name string) incident.About {
					return incident.About{Title: "About " + name, Owner: "sre", Runbook: "https://runbooks.example.com/" + name}
				},
				Redact: func(text string) string { masked, _ := redactor.RedactString(text); return masked },
			},
		}).Register(s.router)
		test(s)
	})
}

func (s *site) get(link string, header ...string) (*http.Response, string) {
	s.t.Helper()
	r := httptest.NewRequest(http.MethodGet, link, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	s.router.ServeHTTP(w, r)
	return w.Result(), w.Body.String()
}

// open makes an incident.
func (s *site) open(change func(*triage.Incident)) triage.Incident {
	s.t.Helper()
	inc := triage.Incident{
		Key: "Slow{}", Alertname: "Slow", State: triage.IncidentFiring, Severity: "critical", Playbook: "latency",
		GroupLabels: triage.Labels{"route": "/v1/chat"}, Labels: triage.Labels{"alertname": "Slow", "api_key": "keyzzz999plain"},
		Annotations: triage.Labels{"summary": "p95 is <b>high</b>", "dashboard_url": "javascript:alert(1)"},
		ExternalURL: "https://alertmanager.example.com",
		StartedAt:   began, OpenedAt: began, UpdatedAt: began, Firing: 1, Alerts: 1,
	}
	if change != nil {
		change(&inc)
	}
	if err := s.db.Tx(s.t.Context(), func(tx *store.Tx) error { return tx.OpenIncident(s.t.Context(), &inc) }); err != nil {
		s.t.Fatal(err)
	}
	return inc
}

// run adds a finished run with one finding, whose evidence is text.
func (s *site) run(inc triage.Incident, f triage.Finding, text string) {
	s.t.Helper()
	ctx := s.t.Context()
	run := triage.Run{IncidentID: inc.ID, Playbook: "latency", Trigger: triage.TriggerAlert, At: began, CreatedAt: began}
	err := s.db.Tx(ctx, func(tx *store.Tx) error { return tx.StartRun(ctx, &run) })
	if err != nil {
		s.t.Fatal(err)
	}
	staged, err := s.bundles.Stage(ctx, inc.ID, run.ID, f.StepID, evidence.Artifact{Name: f.StepID + ".ndjson", MediaType: "application/x-ndjson", Source: "logs", Data: []byte(text)})
	if err != nil {
		s.t.Fatal(err)
	}
	f.Evidence = []triage.EvidenceRef{{Name: staged.Name, MediaType: staged.MediaType, Title: "Timeline as NDJSON"}}
	err = s.db.Tx(ctx, func(tx *store.Tx) error {
		steps := []triage.StepMark{{ID: f.StepID, Title: f.Title, State: triage.StepRunning}, {ID: "later", Title: "Later", State: triage.StepWaiting}}
		if _, err := tx.BeginRun(ctx, run.ID, "hash", steps, began); err != nil {
			return err
		}
		if _, err := tx.AddFinding(ctx, run, f); err != nil {
			return err
		}
		if err := tx.AppendEvidence(ctx, evidence.Chain(triage.Evidence{}, staged)); err != nil {
			return err
		}
		if err := tx.AppendTimeline(ctx, triage.TimelineEntry{IncidentID: inc.ID, At: began, Kind: "opened", Actor: "alertmanager", Text: "It <fires>."}); err != nil {
			return err
		}
		c := &triage.Conclusion{Explanation: "x", Says: "workers back off", For: []string{"w0 & w1 back off"}, Next: "escalate"}
		if err := tx.Conclude(ctx, run.ID, c); err != nil {
			return err
		}
		_, err := tx.EndRun(ctx, run.ID, triage.RunFinished, "", began.Add(3*time.Second))
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	kept, err := s.db.Evidence(ctx, inc.ID)
	if err != nil {
		s.t.Fatal(err)
	}
	view := evidence.View{Incident: inc, Evidence: kept}
	if _, err := s.bundles.Publish(ctx, view, func(context.Context) error { return nil }); err != nil {
		s.t.Fatal(err)
	}
}

const timeline = `{"source":"access","time":"2026-03-01T03:00:10Z","what":"502 /v1/chat","took_ms":10000,"error":"backend <gone>","failed":true}
{"source":"engine","time":"2026-03-01T03:00:05Z","what":"worker_exited w0","context":true}
not json
`

func slow() triage.Finding {
	return triage.Finding{
		StepID: "trace", Title: "A slow request", Kind: "trace", Verdict: triage.VerdictAbnormal, Headline: `It took <script>alert("10s")</script>.`,
		NextStep: "Look.", Rows: []triage.Row{{Name: "w0", Value: "4s", Abnormal: true}}, Links: []triage.Link{{Title: "Prometheus", URL: "javascript:alert(1)"}},
		At: began,
	}
}

func (s *site) page(inc triage.Incident) string {
	return IncidentURL(s.signer, inc.ID, s.now.Add(time.Hour))
}

func TestThePageOfAnIncidentHasAllThatIsKnown(t *testing.T) {
	each(t, func(s *site) {
		inc := s.open(nil)
		s.run(inc, slow(), timeline)
		resp, page := s.get(s.page(inc))
		if resp.StatusCode != http.StatusOK {
			s.t.Fatalf("%d: %s", resp.StatusCode, page)
		}
		for _, want := range []string{
			"CRITICAL · FIRING", "p95 is &lt;b&gt;high&lt;/b&gt;", "About latency", "owner sre", "https://runbooks.example.com/latency",
			"Most likely: workers back off", "w0 &amp; w1 back off", "escalate",
			"A slow request", "It took &lt;script&gt;", "Next step:", "abnormal",
			"502 /v1/chat", "backend &lt;gone&gt;", `<rect x="0" y="1" width="1000"`, `<rect x="500" y="1" width="4"`,
			"Later", "Silence", "It &lt;fires&gt;.", "report.md", "Check that nothing was changed", "data-live",
		} {
			if !strings.Contains(page, want) {
				s.t.Errorf("%q is not in the page", want)
			}
		}
		for _, never := range []string{"<script>alert", "<b>high", "javascript:", "keyzzz999plain"} {
			if strings.Contains(page, never) {
				s.t.Errorf("%q is in the page", never)
			}
		}
		if csp := resp.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
			s.t.Errorf("content security policy %q", csp)
		}
		if again, _ := s.get(s.page(inc), "If-None-Match", resp.Header.Get("ETag")); again.StatusCode != http.StatusNotModified {
			s.t.Errorf("the same page again: %d", again.StatusCode)
		}
	})
}

// What a signed link does not open, its page has no working link to.
func TestAPageOpensToASignedLinkOrTheServersCredentials(t *testing.T) {
	each(t, func(s *site) {
		inc := s.open(nil)
		other := s.open(func(o *triage.Incident) { o.Key = "other" })
		own, list := s.page(inc), ListURL(s.signer, s.now.Add(time.Hour))
		_, query, _ := strings.Cut(own, "?")
		at := func(id int64) string { return fmt.Sprintf("https://triage.example/incidents/%d", id) }
		for _, tc := range []struct {
			name, link string
			let        bool
			asks       string
			later      time.Duration
			want       int
		}{
			{name: "its own link", link: own, want: http.StatusOK},
			{name: "no link", link: at(inc.ID), want: http.StatusForbidden},
			{name: "another incident's", link: at(other.ID) + "?" + query, want: http.StatusForbidden},
			{name: "changed", link: strings.Replace(own, "sig=", "sig=A", 1), want: http.StatusForbidden},
			{name: "expired", link: own, later: 2 * time.Hour, want: http.StatusGone},
			{name: "credentials", link: at(inc.ID), let: true, want: http.StatusOK},
			{name: "credentials asked for", link: at(inc.ID), asks: `Basic realm="triagebot"`, want: http.StatusUnauthorized},
			{name: "none such", link: at(99), let: true, want: http.StatusNotFound},
			{name: "too great a number", link: at(inc.ID) + "0000000000000000000", let: true, want: http.StatusNotFound},
			{name: "the list by an incident's link", link: "https://triage.example/incidents?" + query, want: http.StatusForbidden},
			{name: "the list by its own", link: list, want: http.StatusOK},
			{name: "the list by credentials", link: "https://triage.example/incidents", let: true, want: http.StatusOK},
			{name: "an incident by the list's link", link: at(inc.ID) + strings.TrimPrefix(list, "https://triage.example/incidents"), want: http.StatusForbidden},
			{name: "the style", link: "https://triage.example/incidents/-/style.css", want: http.StatusOK},
			{name: "the icon", link: "https://triage.example/incidents/-/icon.svg", want: http.StatusOK},
			{name: "a template", link: "https://triage.example/incidents/-/incident.html", want: http.StatusNotFound},
		} {
			s.let, s.asks, s.now = tc.let, tc.asks, began.Add(tc.later)
			if resp, page := s.get(tc.link); resp.StatusCode != tc.want {
				s.t.Errorf("%s: %d, want %d\n%.300s", tc.name, resp.StatusCode, tc.want, page)
			}
		}
	})
}

func TestTheListIsFilteredAndPaged(t *testing.T) {
	each(t, func(s *site) {
		for i := range pageSize + 2 {
			s.open(func(inc *triage.Incident) {
				inc.Key, inc.Alertname = fmt.Sprint(i), fmt.Sprintf("Alert%02d", i)
				if i == 3 {
					inc.Severity, inc.Playbook, inc.Labels = "warning", "errors", triage.Labels{"team": "100%_sure"}
				}
			})
		}
		s.let = true
		names := func(query string) (n int, page string) {
			_, page = s.get("https://triage.example/incidents" + query)
			return strings.Count(page, "<strong>Alert"), page
		}
		n, page := names("")
		if n != pageSize || !strings.Contains(page, "Alert51") || !strings.Contains(page, `href="/incidents?before=3"`) {
			s.t.Errorf("the first page has %d", n)
		}
		if n, page := names("?before=3"); n != 2 || strings.Contains(page, "Older ones") {
			s.t.Errorf("the second page has %d", n)
		}
		for query, want := range map[string]int{
			"?severity=warning": 1, "?playbook=errors": 1, "?q=alert03": 1, "?q=100%25_sure": 1, "?q=%25": 1, "?state=closed": 0, "?state=firing&q=alert0": 10, "?before=x": pageSize,
		} {
			if n, page := names(query); n != want || want == 0 && !strings.Contains(page, "No incident fits") {
				s.t.Errorf("%s shows %d, want %d", query, n, want)
			}
		}
	})
}

func TestAnEmptyConsoleSaysWhatOpensAnIncident(t *testing.T) {
	each(t, func(s *site) {
		s.let = true
		if _, page := s.get("https://triage.example/incidents"); !strings.Contains(page, "No incident yet") {
			s.t.Errorf("got %s", page)
		}
		inc := s.open(nil)
		if _, page := s.get(s.page(inc)); !strings.Contains(page, "No run yet") || !strings.Contains(page, "Nothing was kept yet") {
			s.t.Errorf("got %s", page)
		}
	})
}

func TestAClosedIncidentsPageIsStill(t *testing.T) {
	each(t, func(s *site) {
		inc := s.open(func(inc *triage.Incident) { inc.State = triage.IncidentClosed })
		if _, page := s.get(s.page(inc)); strings.Contains(page, "data-live") {
			s.t.Error("it goes on looking for more")
		}
	})
}

func TestTheBundleIsCheckedFromThePage(t *testing.T) {
	each(t, func(s *site) {
		inc := s.open(nil)
		s.run(inc, slow(), timeline)
		check := s.page(inc) + "&verify="
		if _, page := s.get(check); !strings.Contains(page, "Whole: all 1 files") {
			s.t.Errorf("an untouched bundle: %s", page)
		}
		kept, err := filepath.Glob(filepath.Join(s.folder, "*", "runs", "*", "*"))
		if err != nil || len(kept) != 1 {
			s.t.Fatalf("%v, %v", kept, err)
		}
		if err := os.WriteFile(kept[0], []byte("{}\n"), 0o600); err != nil {
			s.t.Fatal(err)
		}
		if _, page := s.get(check); !strings.Contains(page, "Changed since it was kept") || !strings.Contains(page, filepath.Base(kept[0])) {
			s.t.Errorf("a bundle that was tampered with: %s", page)
		}
	})
}
