package incident_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/sirupsen/logrus"

	"triagebot/triage"
	"triagebot/triage/incident"
	"triagebot/triage/receive"
)

// lister is an Alertmanager that has some alerts, or does not answer.
type lister struct {
	alerts map[string]time.Time
	err    error
	asked  func() // before it answers; may be nil
}

func (l *lister) Alerts(context.Context) (map[string]time.Time, error) {
	if l.asked != nil {
		l.asked()
	}
	return l.alerts, l.err
}

// has is an answer with one alert, its start cut to milliseconds.
func has(name, pod string, start float64) lister {
	return lister{alerts: map[string]time.Time{fingerprint(name, pod): at(start).Truncate(time.Millisecond)}}
}

var (
	empty = lister{}
	down  = lister{err: errors.New("connection refused")}
)

// look is what the Alertmanagers answer at a minute, and how it leaves the incident.
type look struct {
	minute float64
	a, b   lister
	want   triage.IncidentState
}

func (w *world) poll(poller *incident.Poller, minute float64) error {
	w.now = at(minute)
	return poller.Poll(w.t.Context())
}

func TestPollResolvesWhatStaysAbsentEverywhere(t *testing.T) {
	const firing, resolved = triage.IncidentFiring, triage.IncidentResolved
	listed := has("Slow", "a", 0)
	for _, tc := range []struct {
		name  string
		looks []look
	}{
		{"absent for five minutes", []look{{10, empty, empty, firing}, {12, empty, empty, firing}, {14.9, empty, empty, firing}, {15, empty, empty, resolved}}},
		{"one peer has it", []look{{10, empty, listed, firing}, {16, listed, empty, firing}, {20, empty, listed, firing}}},
		{"Alertmanager restarted and has it again", []look{{10, empty, empty, firing}, {11, listed, empty, firing}, {15, empty, empty, firing}, {19, empty, empty, firing}, {20, empty, empty, resolved}}},
		{"a look that fails begins the count anew", []look{{10, empty, empty, firing}, {12, empty, down, firing}, {15, empty, empty, firing}, {19, empty, empty, firing}, {20, empty, empty, resolved}}},
		{"just heard of", []look{{2, empty, empty, firing}, {5.9, empty, empty, firing}, {7.5, empty, empty, resolved}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			each(t, func(w *world) {
				w.notify(1, 0, alert("Slow", "a", 0, 0))
				a, b := &lister{}, &lister{}
				poller := incident.NewPoller(w.c, map[string]incident.Lister{"a": a, "b": b})
				for _, l := range tc.looks {
					*a, *b = l.a, l.b
					if err := w.poll(poller, l.minute); (err != nil) != (l.a.err != nil || l.b.err != nil) {
						t.Errorf("minute %v: error %v", l.minute, err)
					}
					if got := w.only(); got.State != l.want {
						t.Fatalf("minute %v: %s, want %s", l.minute, got.State, l.want)
					}
				}
				if got := w.only(); got.State == resolved && (got.Resolution != triage.ResolvedByPoll || got.Firing != 0) {
					t.Errorf("resolved by %s with %d firing", got.Resolution, got.Firing)
				}
			})
		})
	}
}

func TestPollConcludesNothingOfAnotherAlertmanagersIncidents(t *testing.T) {
	each(t, func(w *world) {
		w.notify(1, 0, alert("Slow", "a", 0, 0))
		poller := incident.NewPoller(w.c, map[string]incident.Lister{"eu": &lister{}})
		from := ""
		poller.Answers = func(externalURL string) bool { from = externalURL; return false }
		for _, minute := range []float64{10, 16, 30} {
			if err := w.poll(poller, minute); err != nil {
				t.Fatal(err)
			}
		}
		if got := w.only(); got.State != triage.IncidentFiring || from != got.ExternalURL {
			t.Errorf("%s, asked about %q", got.State, from)
		}
	})
}

func TestIncidentsOfAnUnknownAlertmanagerAreWarnedOfOnce(t *testing.T) {
	each(t, func(w *world) {
		poll := func(poller *incident.Poller, minutes ...float64) (warnings []string) {
			t.Helper()
			w.log.Reset()
			for _, minute := range minutes {
				if err := w.poll(poller, minute); err != nil {
					t.Fatal(err)
				}
			}
			for _, e := range w.log.AllEntries() {
				if from, ok := e.Data["external_url"].(string); ok && e.Level == logrus.WarnLevel && strings.Contains(e.Message, "external_url") {
					warnings = append(warnings, from)
				}
			}
			return warnings
		}
		poller := incident.NewPoller(w.c, map[string]incident.Lister{"eu": &lister{}})
		poller.Answers = func(string) bool { return false }
		poller.Configured = func(string) bool { return false }

		w.notifyFrom(1, "http://bob:secret@am.example", alert("Slow", "a", 0, 0))
		if diff := cmp.Diff([]string{"http://bob:xxxxx@am.example"}, poll(poller, 2, 3, 4)); diff != "" {
			t.Errorf("three looks (-want +got):\n%s", diff)
		}
		for i := range 150 {
			w.notifyFrom(5, fmt.Sprintf("http://am-%d.example", i), alert(fmt.Sprintf("Slow%d", i), "a", 4, 0))
		}
		if n := len(poll(poller, 6, 7)); n != 99 {
			t.Errorf("%d more warnings about 150 more URLs, want a bound of 100 in all", n)
		}
		known := incident.NewPoller(w.c, map[string]incident.Lister{"eu": &lister{}})
		known.Configured = func(string) bool { return true }
		if got := poll(known, 8); len(got) != 0 {
			t.Errorf("warned of %q, which are configured", got)
		}
	})
}

func TestAnswersOfAlertmanagersAreCounted(t *testing.T) {
	each(t, func(w *world) {
		registry := prometheus.NewRegistry()
		opts := w.c.Options
		opts.Registerer = registry
		am := &lister{}
		poller := incident.NewPoller(incident.New(opts), map[string]incident.Lister{"a": am})
		want := func(ok, failed int) {
			t.Helper()
			text := fmt.Sprintf(`
# HELP triagebot_alertmanager_polls_total Times that an Alertmanager was asked which alerts it has, by result: ok, failed.
# TYPE triagebot_alertmanager_polls_total counter
triagebot_alertmanager_polls_total{result="failed"} %d
triagebot_alertmanager_polls_total{result="ok"} %d
`, failed, ok)
			if err := testutil.GatherAndCompare(registry, strings.NewReader(text), "triagebot_alertmanager_polls_total"); err != nil {
				t.Error(err)
			}
		}
		want(0, 0)
		for i, l := range []lister{empty, down, empty} {
			*am = l
			if err := w.poll(poller, float64(10+i)); (err != nil) != (l.err != nil) {
				t.Fatal(err)
			}
		}
		want(2, 1)

		// The end of the program is no failure of Alertmanager.
		ctx, stop := context.WithCancel(t.Context())
		am.asked, am.err = stop, context.Canceled
		if err := poller.Poll(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
		want(2, 1)
	})
}

func TestPollFoldsWhatWaitsBeforeItDecides(t *testing.T) {
	each(t, func(w *world) {
		w.notify(1, 0, alert("Slow", "a", 0, 0))
		am := &lister{}
		poller := incident.NewPoller(w.c, map[string]incident.Lister{"a": am})
		if err := w.poll(poller, 10); err != nil {
			t.Fatal(err)
		}
		am.asked = func() { // another alert of it fires, and waits in the inbox
			raw := receive.Raw{Body: body(t, 0, alert("Slow", "b", 15, 0)), ReceivedAt: at(15.5)}
			if err := w.db.CommitNotifications(t.Context(), []receive.Raw{raw}); err != nil {
				t.Error(err)
			}
		}
		if err := w.poll(poller, 16); err != nil {
			t.Fatal(err)
		}
		if inc := w.only(); inc.State != triage.IncidentFiring || inc.Firing != 2 {
			t.Errorf("%s with %d firing, want the waiting notification heard first", inc.State, inc.Firing)
		}
	})
}

// presume has polling resolve the incident of an alert that goes on firing.
func presume(w *world) (*incident.Poller, *lister) {
	w.t.Helper()
	w.notify(1, 0, alert("Slow", "a", 0.00001, 0)) // not a whole millisecond
	am := &lister{}
	poller := incident.NewPoller(w.c, map[string]incident.Lister{"a": am})
	for _, minute := range []float64{10, 15} {
		if err := w.poll(poller, minute); err != nil {
			w.t.Fatal(err)
		}
	}
	if inc := w.only(); inc.State != triage.IncidentResolved {
		w.t.Fatalf("the incident is %s, want it resolved by polling", inc.State)
	}
	return poller, am
}

func TestWhatWasOnlyPresumedToBeOverReopens(t *testing.T) {
	for _, tc := range []struct {
		name string
		then func(w *world, poller *incident.Poller, am *lister) error
		want triage.IncidentState
	}{
		{"a notification says at once that it still fires", func(w *world, _ *incident.Poller, _ *lister) error {
			w.notify(15.2, 0, alert("Slow", "a", 0.00001, 0))
			return nil
		}, triage.IncidentFiring},
		{"Alertmanager has it again", func(w *world, poller *incident.Poller, am *lister) error {
			*am = has("Slow", "a", 0.00001)
			return w.poll(poller, 16)
		}, triage.IncidentFiring},
		{"Alertmanager has a later firing, which a notification will tell of", func(w *world, poller *incident.Poller, am *lister) error {
			*am = has("Slow", "a", 15.5)
			return w.poll(poller, 16)
		}, triage.IncidentResolved},
		{"one that the incident did not come from has it", func(w *world, poller *incident.Poller, am *lister) error {
			*am = has("Slow", "a", 0.00001)
			poller.Answers = func(string) bool { return false }
			return w.poll(poller, 16)
		}, triage.IncidentResolved},
		{"Alertmanager reported its end before it was asked", func(w *world, poller *incident.Poller, am *lister) error {
			w.notify(15.5, 0, alert("Slow", "a", 0.00001, 15.4))
			*am = has("Slow", "a", 0.00001)
			return w.poll(poller, 16)
		}, triage.IncidentResolved},
	} {
		t.Run(tc.name, func(t *testing.T) {
			each(t, func(w *world) {
				poller, am := presume(w)
				if err := tc.then(w, poller, am); err != nil {
					t.Fatal(err)
				}
				inc := w.only()
				if inc.State != tc.want || (inc.State == triage.IncidentFiring) != (inc.Firing == 1 && inc.Reopened == 1) {
					t.Errorf("%s, %d firing, reopened %d times; want it %s", inc.State, inc.Firing, inc.Reopened, tc.want)
				}
				if inc.Alerts != 1 {
					t.Errorf("%d alerts, want still the one", inc.Alerts)
				}
			})
		})
	}
}

func TestAPollTakesBackAReportedEndOfWhatStillBurns(t *testing.T) {
	const firing, resolved = triage.IncidentFiring, triage.IncidentResolved
	listed := has("Slow", "a", 0)
	for _, tc := range []struct {
		name  string
		looks []look
	}{
		{"within the bound it may be a late peer's, then it burns", []look{{10.5, listed, empty, resolved}, {10.9, listed, empty, resolved}, {11, listed, empty, firing}}},
		{"Alertmanager no longer has it", []look{{10.5, listed, empty, resolved}, {11, empty, empty, resolved}, {20, empty, empty, resolved}}},
		{"Alertmanager has a later firing, which a notification will tell of", []look{{12, has("Slow", "a", 10.2), empty, resolved}}},
		{"reopen_within is over", []look{{25.3, listed, empty, resolved}}},
		{"one peer does not answer", []look{{11.5, listed, down, resolved}, {12, listed, empty, firing}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			each(t, func(w *world) {
				w.notify(1, 0, alert("Slow", "a", 0, 0))
				w.notify(10.1, 0, alert("Slow", "a", 0, 10))
				w.notify(10+20.0/60, 0, alert("Slow", "a", 0, 0))
				if inc := w.only(); inc.State != resolved {
					t.Fatalf("20 s after its end: %s, want it taken for a late peer's message", inc.State)
				}
				a, b := &lister{}, &lister{}
				poller := incident.NewPoller(w.c, map[string]incident.Lister{"a": a, "b": b})
				for _, l := range tc.looks {
					*a, *b = l.a, l.b
					if err := w.poll(poller, l.minute); (err != nil) != (l.b.err != nil) {
						t.Errorf("minute %v: error %v", l.minute, err)
					}
					inc := w.only()
					if inc.State != l.want || (inc.State == firing) != (inc.Firing == 1 && inc.Reopened == 1) {
						t.Fatalf("minute %v: %s, %d firing, reopened %d times; want it %s", l.minute, inc.State, inc.Firing, inc.Reopened, l.want)
					}
				}
				if w.only().State == firing {
					w.notify(13, 0, alert("Slow", "a", 0, 12.5))
				}
				if inc := w.only(); inc.State != resolved || inc.Alerts != 1 {
					t.Errorf("after the next resolve: %s with %d alerts, want it over and still the one", inc.State, inc.Alerts)
				}
			})
		})
	}
}

// The answer may be older than what is folded since: it is judged by when it
// was asked for.
func TestAnEndReportedWhileAlertmanagerAnswersStands(t *testing.T) {
	each(t, func(w *world) {
		w.notify(1, 0, alert("Slow", "a", 0, 0))
		am := has("Slow", "a", 0)
		am.asked = func() { w.notify(12, 0, alert("Slow", "a", 0, 10.5)) }
		poller := incident.NewPoller(w.c, map[string]incident.Lister{"a": &am})
		if err := w.poll(poller, 10.4); err != nil {
			t.Fatal(err)
		}
		if inc := w.only(); inc.State != triage.IncidentResolved {
			t.Errorf("%s, want the end that was reported after the question to stand", inc.State)
		}
	})
}

func TestASilencedAlertThatAlertmanagerHasOutlivesTheTTL(t *testing.T) {
	each(t, func(w *world) {
		w.notify(1, 0, alert("Slow", "a", 0, 0))
		am := has("Slow", "a", 0)
		poller := incident.NewPoller(w.c, map[string]incident.Lister{"a": &am})
		if err := w.poll(poller, 24*60); err != nil {
			t.Fatal(err)
		}
		w.now = at(24*60 + 2)
		if err := w.c.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		if inc := w.only(); inc.State != triage.IncidentFiring {
			t.Errorf("%s, though it was listed two minutes ago", inc.State)
		}
	})
}

func TestAFlappingAlertLeavesABoundedTrail(t *testing.T) {
	each(t, func(w *world) {
		const flaps = 270 // a minute each, so that the oldest are over an hour old
		for i := range flaps {
			start := float64(i)
			w.notify(start+0.1, 0, alert("Slow", "a", start, 0))
			w.notify(start+0.6, 0, alert("Slow", "a", start, start+0.5))
		}
		inc := w.only()
		if inc.Alerts != flaps || inc.State != triage.IncidentResolved || !inc.StartedAt.Equal(at(0)) {
			t.Errorf("%s with %d alerts since %s, want all %d counted", inc.State, inc.Alerts, inc.StartedAt, flaps)
		}
		if n := w.count("alerts"); n != 200 {
			t.Errorf("%d rows of alerts are kept, want the latest 200", n)
		}
	})
}
