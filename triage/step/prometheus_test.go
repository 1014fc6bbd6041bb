package step

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"triagebot/triage/playbook"
	"triagebot/triage/promapi"
)

// prometheus serves h as the datasource main, through the real client.
func prometheus(t *testing.T, o promapi.Options, h http.HandlerFunc) Deps {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	o.Name, o.URL = "main", strings.Replace(server.URL, "http://", "http://bot:s3cret@", 1)
	client, err := promapi.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return withProm(client)
}

func TestWhatPrometheusRefusesOrBreaksIsSaid(t *testing.T) {
	for _, tt := range []struct {
		name      string
		handler   http.HandlerFunc
		text      string
		transient bool
	}{
		{"bad query", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadRequest)
			io.WriteString(w, `{"status":"error","errorType":"bad_data","error":"parse error"}`)
		}, "refused the query: parse error", false},
		{"internal error", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }, "server error: 500", true},
		{"half a body", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			io.WriteString(w, `{"status":"success","data":`)
		}, "unexpected EOF", true},
		{"no answer", func(_ http.ResponseWriter, r *http.Request) {
			r.ParseForm() // the server notices that its client left only once the body is read
			<-r.Context().Done()
		}, "did not answer within 50ms", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := promapi.Options{Timeout: time.Minute}
			if tt.name == "no answer" {
				o.Timeout = 50 * time.Millisecond
			}
			d := prometheus(t, o, tt.handler)
			_, err := newExecution(nil).run(t.Context(), mustLoad(t, d, "query: {expr: latency}"))
			var stepErr *playbook.StepError
			if !errors.As(err, &stepErr) || stepErr.Transient != tt.transient || stepErr.NextStep == "" || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("%#v", err)
			}
			if err == nil || strings.Contains(err.Error(), "s3cret") {
				t.Error(err)
			}
		})
	}
}

// That what is asked alike is sent once is promapi's to show.
func TestRunsThatBeginInTheSameSecondAskTheSame(t *testing.T) {
	fake := newFake(nil, nil)
	s := mustLoad(t, withProm(fake), "query: {expr: latency}")
	for _, later := range []time.Duration{0, 300 * time.Millisecond, time.Second} {
		e := newExecution(nil)
		e.env.At = at.Add(later)
		if _, err := e.run(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	first, second, third := <-fake.asked, <-fake.asked, <-fake.asked
	if first != second || second == third {
		t.Errorf("%s; %s; %s", first, second, third)
	}
}
