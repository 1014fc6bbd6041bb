package maintenance_test

import (
	stdcmp "cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	promconfig "github.com/prometheus/common/config"

	"triagebot/triage/maintenance"
	"triagebot/triage/promapi"
)

func httpToggle(t *testing.T, url string) *maintenance.HTTPToggle {
	t.Helper()
	client, err := promconfig.NewClientFromConfig(promconfig.DefaultHTTPClientConfig, "maintenance", promconfig.WithKeepAlivesDisabled())
	if err != nil {
		t.Fatal(err)
	}
	return maintenance.NewHTTPToggle(maintenance.HTTPToggle{
		Method: http.MethodPost, URL: url, Client: client, BodyOn: `{"enabled":true}`, BodyOff: `{"enabled":false}`, ContentType: "application/json",
	})
}

func TestTheToggleIsCalledAsConfigured(t *testing.T) {
	var got []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = append(got, fmt.Sprintf("%s %s %s %s %s", r.Method, r.URL, r.Header.Get("Content-Type"), r.Header.Get("Idempotency-Key"), body))
		fmt.Fprint(w, "done\nand well")
	}))
	defer server.Close()
	toggle := httpToggle(t, server.URL+"/maintenance?token=hunter2")
	for i, on := range []bool{true, false} {
		if answer, err := toggle.Switch(t.Context(), on, fmt.Sprint("key-", i)); err != nil || answer != "answered 200: done and well" {
			t.Errorf("%q, %v", answer, err)
		}
	}
	want := []string{
		`POST /maintenance?token=hunter2 application/json key-0 {"enabled":true}`,
		`POST /maintenance?token=hunter2 application/json key-1 {"enabled":false}`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if s := toggle.String(); s != "POST "+server.URL+"/maintenance" {
		t.Errorf("it is shown as %s", s)
	}
}

// Go's transport sends a request that has an Idempotency-Key again when a kept
// connection breaks: then the flag would be toggled twice.
func TestABrokenConnectionIsNotCalledAgain(t *testing.T) {
	var calls atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if calls.Add(1) == 1 {
			return
		}
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		conn.Close() // it was received, and is not answered
	}))
	defer server.Close()
	toggle := httpToggle(t, server.URL)
	if _, err := toggle.Switch(t.Context(), true, "a"); err != nil {
		t.Fatal(err)
	}
	if _, err := toggle.Switch(t.Context(), true, "b"); err == nil {
		t.Error("a broken connection is a success")
	}
	if n := calls.Load(); n != 2 {
		t.Errorf("%d calls reached the server, want 2", n)
	}
}

func TestWhatATogglesAnswerMeans(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a redirect was followed") }))
	defer elsewhere.Close()
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"500": {func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "out of order", http.StatusInternalServerError)
		}, "answered 500: out of order"},
		"403": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }, "answered 403"},
		"redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
		}, "answered 307"},
		"endless": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadGateway)
			for range 1 << 10 {
				if _, err := io.WriteString(w, strings.Repeat("x", 1<<10)); err != nil {
					return
				}
			}
		}, "answered 502: " + strings.Repeat("x", 200) + "…"},
	} {
		server := httptest.NewServer(test.answer)
		_, err := httpToggle(t, server.URL+"?token=hunter2").Switch(t.Context(), true, "k")
		if err == nil || err.Error() != test.want {
			t.Errorf("%s: %v, want %s", name, err, test.want)
		}
		server.Close()
	}
}

func TestAToggleThatHangsIsLeftInTime(t *testing.T) {
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := httpToggle(t, server.URL).Switch(ctx, true, "k"); err == nil || err.Error() != "it did not answer in time" {
		t.Error(err)
	}
	close(release)
	server.Close()
	if _, err := httpToggle(t, server.URL+"/?token=hunter2").Switch(t.Context(), true, "k"); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("of a server that is gone: %v", err)
	}
}

type answers struct {
	values []float64
	err    error
}

func (a answers) Query(context.Context, string, time.Time) (*promapi.Result, error) {
	r := &promapi.Result{}
	for _, v := range a.values {
		r.Series = append(r.Series, promapi.Series{Points: []promapi.Point{{V: v}}})
	}
	return r, a.err
}

func TestOnlyOneSeriesOfZeroOrOneTellsAnything(t *testing.T) {
	for _, test := range []struct {
		answers answers
		on      bool
		err     string
	}{
		{answers{values: []float64{1}}, true, ""},
		{answers{values: []float64{0}}, false, ""},
		{answers{}, false, "up has no data"},
		{answers{values: []float64{1, 1}}, false, "up gives 2 series where one is needed; write max(…) around it"},
		{answers{values: []float64{0.5}}, false, "up is 0.5, which is neither 0 nor 1"},
		{answers{values: []float64{math.NaN()}}, false, "up is NaN, which is neither 0 nor 1"},
		{answers{err: errors.New("down")}, false, "down"},
	} {
		on, err := maintenance.PromMetric{Querier: test.answers, Expr: "up", Now: time.Now}.On(t.Context())
		if on != test.on || fmt.Sprint(err) != stdcmp.Or(test.err, "<nil>") {
			t.Errorf("%+v: %t, %v", test.answers, on, err)
		}
	}
}

func TestReadyIsA200(t *testing.T) {
	status := http.StatusOK
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/login" { // where 302 leads to
			return
		}
		w.Header().Set("Location", "/login")
		w.WriteHeader(status)
		fmt.Fprint(w, `{"status":"unready"}`)
	}))
	defer server.Close()
	ready := maintenance.HTTPReady{URL: server.URL + "/readyz?key=hunter2", Client: server.Client()}
	for _, status = range []int{200, 204, 302, 503} {
		err := ready.Ready(t.Context())
		switch {
		case status == http.StatusOK && err != nil:
			t.Error(err)
		case status != http.StatusOK && (err == nil || !strings.HasPrefix(err.Error(), fmt.Sprintf("answered %d", status))):
			t.Errorf("%d: %v", status, err)
		}
	}
	server.Close()
	if err := ready.Ready(t.Context()); err == nil || strings.Contains(err.Error()+ready.String(), "hunter2") {
		t.Errorf("of a server that is gone: %v", err)
	}
}
