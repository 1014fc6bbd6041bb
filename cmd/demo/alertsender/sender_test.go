package alertsender

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/alertmanager/template"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/notifier"
)

// receiver is a webhook without a socket, so that a sender can live in a
// synctest bubble. It answers with the statuses in turn, then with 200; 0 is a
// transport error.
type receiver struct {
	statuses []int

	mu   sync.Mutex
	auth string
	got  []Message
	at   []time.Time
}

func (r *receiver) all() []Message {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

func (r *receiver) times() []time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.at)
}

func (r *receiver) authorization() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.auth
}

func (r *receiver) RoundTrip(req *http.Request) (*http.Response, error) {
	var m struct {
		template.Data
		Version         string `json:"version"`
		GroupKey        string `json:"groupKey"`
		TruncatedAlerts uint64 `json:"truncatedAlerts"`
	}
	if err := json.NewDecoder(req.Body).Decode(&m); err != nil {
		return nil, fmt.Errorf("payload is no template.Data: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.auth = req.Header.Get("Authorization")
	r.got = append(r.got, Message{Data: &m.Data, Version: m.Version, GroupKey: m.GroupKey, TruncatedAlerts: m.TruncatedAlerts})
	r.at = append(r.at, time.Now())
	status := 200
	if len(r.statuses) > 0 {
		status, r.statuses = r.statuses[0], r.statuses[1:]
	}
	if status == 0 {
		return nil, errors.New("connection refused")
	}
	return &http.Response{StatusCode: status, Status: http.StatusText(status), Body: io.NopCloser(strings.NewReader("no")), Request: req}, nil
}

// dispatch runs story with a sender to r on a fake clock.
func dispatch(t *testing.T, r *receiver, opts Options, story func(t *testing.T, s *Sender)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		opts.URL, opts.Transport, opts.ExternalURL = "http://triagebot.example/api/v1/alerts", r, "http://am.example"
		s, err := New(opts)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- s.Run(ctx) }()
		story(t, s)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// pass lets the fake clock run.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// firing is an alert as Prometheus sends it while its rule fires; resolved is
// the same when it has ended.
func firing(name string, more ...string) *notifier.Alert {
	return &notifier.Alert{
		Labels:       labels.FromStrings(append([]string{"alertname", name, "severity", "critical"}, more...)...),
		Annotations:  labels.FromStrings("summary", "it is slow"),
		StartsAt:     time.Now(),
		EndsAt:       time.Now().Add(time.Hour),
		GeneratorURL: "http://prom.example/graph?g0.expr=up&g0.tab=1",
	}
}

func resolved(a *notifier.Alert) *notifier.Alert {
	b := *a
	b.EndsAt = time.Now()
	return &b
}

func TestFiringThenResolved(t *testing.T) {
	r := &receiver{}
	dispatch(t, r, Options{BearerToken: "t0ken"}, func(t *testing.T, s *Sender) {
		began := time.Now()
		a := firing("Slow", "route", "/v1")
		s.Send(a)
		pass(29 * time.Second)
		if len(r.all()) != 0 {
			t.Fatal("notified before the group wait was over")
		}
		s.Send(firing("Slow", "route", "/v2")) // joins the group within the wait
		pass(2 * time.Second)
		if len(r.all()) != 1 {
			t.Fatalf("%d notifications after the group wait", len(r.all()))
		}
		m := r.all()[0]
		if m.Version != "4" || m.GroupKey != `{}:{alertname="Slow"}` || m.Receiver != "triagebot" || m.ExternalURL != "http://am.example" ||
			m.Status != "firing" || len(m.Alerts) != 2 || m.GroupLabels["alertname"] != "Slow" || m.CommonLabels["severity"] != "critical" ||
			m.CommonLabels["route"] != "" || m.CommonAnnotations["summary"] != "it is slow" || m.NotificationReason != "first notification" {
			t.Errorf("message %+v %+v", m, m.Data)
		}
		first := m.Alerts[0]
		if first.Labels["route"] != "/v1" || first.Status != "firing" || !first.StartsAt.Equal(began) || !first.EndsAt.IsZero() || len(first.Fingerprint) != 16 {
			t.Errorf("alert %+v", first)
		}
		if r.authorization() != "Bearer t0ken" {
			t.Errorf("Authorization: %q", r.authorization())
		}

		s.Send(resolved(a))
		pass(5 * time.Minute)
		if len(r.all()) != 2 || r.all()[1].Status != "firing" || len(r.all()[1].Alerts.Resolved()) != 1 {
			t.Fatalf("after one of two resolved: %+v", r.all()[len(r.all())-1].Data)
		}
		if end := r.all()[1].Alerts.Resolved()[0].EndsAt; end.IsZero() {
			t.Error("a resolved alert has no end")
		}
		pass(time.Hour) // the other one's end passes without another word from Prometheus
		last := r.all()[len(r.all())-1]
		if last.Status != "resolved" || len(last.Alerts) != 1 || last.NotificationReason != "all alerts resolved" {
			t.Errorf("last message %+v", last.Data)
		}
		if groups, alerts := held(s); groups != 0 || alerts != 0 {
			t.Errorf("%d groups with %d alerts are kept after all is resolved", groups, alerts)
		}
	})
}

func TestNothingNewIsNotRepeatedBeforeItsTime(t *testing.T) {
	r := &receiver{}
	dispatch(t, r, Options{RepeatInterval: time.Hour}, func(t *testing.T, s *Sender) {
		a := firing("Slow")
		a.EndsAt = time.Now().Add(24 * time.Hour)
		s.Send(a)
		pass(time.Hour)
		if len(r.all()) != 1 {
			t.Errorf("%d notifications within the repeat interval", len(r.all()))
		}
		pass(10 * time.Minute)
		if len(r.all()) != 2 || r.all()[1].NotificationReason != "repeat interval elapsed" {
			t.Errorf("%d notifications after it", len(r.all()))
		}
	})
}

func TestResolvedBeforeItWasNotifiedIsNeverMentioned(t *testing.T) {
	r := &receiver{}
	dispatch(t, r, Options{}, func(t *testing.T, s *Sender) {
		a := firing("Blip")
		s.Send(a)
		pass(10 * time.Second)
		s.Send(resolved(a))
		pass(10 * time.Minute)
		if len(r.all()) != 0 {
			t.Errorf("notified %+v", r.all()[0].Data)
		}
	})
}

func TestOldAlertsDoNotWait(t *testing.T) {
	r := &receiver{}
	dispatch(t, r, Options{}, func(t *testing.T, s *Sender) {
		a := firing("Slow")
		a.StartsAt = a.StartsAt.Add(-time.Hour)
		s.Send(a)
		pass(time.Second)
		if len(r.all()) != 1 {
			t.Errorf("%d notifications of an alert that fired an hour ago", len(r.all()))
		}
	})
}

func TestGroups(t *testing.T) {
	r := &receiver{}
	dispatch(t, r, Options{GroupBy: []string{"alertname", "page_service"}}, func(t *testing.T, s *Sender) {
		s.Send(firing("Slow", "page_service", "a"), firing("Slow", "page_service", "b"), firing("Down"))
		pass(time.Minute)
		keys := map[string]bool{}
		for _, m := range r.all() {
			keys[m.GroupKey] = true
		}
		for _, want := range []string{`{}:{alertname="Slow", page_service="a"}`, `{}:{alertname="Slow", page_service="b"}`, `{}:{alertname="Down"}`} {
			if !keys[want] {
				t.Errorf("no group %s in %v", want, keys)
			}
		}
	})
}

func TestRetries(t *testing.T) {
	for _, c := range []struct {
		name     string
		statuses []int
		attempts int
	}{
		{"503 is tried again", []int{503, 503, 500}, 4},
		{"a transport error is tried again", []int{0, 0}, 3},
		{"4xx is not", []int{400, 400}, 1},
		{"429 is not", []int{429}, 1},
		{"a redirect that leads nowhere is not", []int{304}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := &receiver{statuses: c.statuses}
			dispatch(t, r, Options{}, func(t *testing.T, s *Sender) {
				s.Send(firing("Slow"))
				pass(time.Minute)
				if len(r.all()) != c.attempts {
					t.Fatalf("%d attempts, want %d", len(r.all()), c.attempts)
				}
				least, most := 250*time.Millisecond, 750*time.Millisecond
				for i := 1; i < len(r.times()); i++ {
					if gap := r.times()[i].Sub(r.times()[i-1]); gap < least || gap > most {
						t.Errorf("attempt %d came %s after the one before, want %s to %s", i+1, gap, least, most)
					}
					least, most = least*3/2, most*3/2
				}
			})
		})
	}
}

func TestARefusedNotificationComesAgainAtTheGroupInterval(t *testing.T) {
	r := &receiver{statuses: []int{400}}
	dispatch(t, r, Options{}, func(t *testing.T, s *Sender) {
		s.Send(firing("Slow"))
		pass(6 * time.Minute)
		if len(r.all()) != 2 || r.all()[1].NotificationReason != "first notification" {
			t.Errorf("%d notifications", len(r.all()))
		}
	})
}

func TestADeadReceiverIsGivenUpUntilTheNextInterval(t *testing.T) {
	dead := make([]int, 1000)
	r := &receiver{statuses: dead}
	dispatch(t, r, Options{}, func(t *testing.T, s *Sender) {
		a := firing("Slow")
		a.EndsAt = a.EndsAt.Add(24 * time.Hour)
		s.Send(a)
		pass(time.Hour)
		if n := len(r.all()); n < 24 || n > 400 {
			t.Errorf("%d attempts in an hour", n)
		}
	})
}

func TestFloodIsBounded(t *testing.T) {
	r := &receiver{}
	dispatch(t, r, Options{}, func(t *testing.T, s *Sender) {
		for i := range maxAlerts + 100 {
			s.Send(firing("Slow", "i", fmt.Sprint(i)))
			if i%maxQueued == 0 {
				synctest.Wait()
			}
		}
		synctest.Wait()
		if _, alerts := held(s); alerts != maxAlerts {
			t.Errorf("%d alerts are held, want %d", alerts, maxAlerts)
		}
	})
}

// held is what a sender keeps in memory.
func held(s *Sender) (groups, alerts int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.groups), s.alerts
}

func TestErrorsHideTheURL(t *testing.T) {
	_, err := New(Options{URL: "http://user:hunter2@triagebot.example:port/"})
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("error %v", err)
	}
}
