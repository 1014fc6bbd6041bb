package grafana

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func annotating(t *testing.T, h http.HandlerFunc) *Client {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		h(w, r)
	}))
	t.Cleanup(server.Close)
	return New(Options{URL: strings.Replace(server.URL, "http://", "http://bot:s3cret@", 1) + "/grafana", Client: server.Client()})
}

func TestAnnotationsOfTheWindow(t *testing.T) {
	var asked url.Values
	c := annotating(t, func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL.Query()
		if r.URL.Path != "/grafana/api/annotations" {
			t.Error(r.URL.Path)
		}
		fmt.Fprintf(w, `[{"id":2,"time":%d,"text":"deploy 0.9.5","tags":["deploy","codex"],"login":"ann"},
			{"id":1,"time":%d,"timeEnd":%d,"text":"a region that began earlier","tags":["deploy"]},
			{"id":3,"time":%d,"text":"earlier","tags":[]}]`,
			noon.UnixMilli(), noon.Add(-2*time.Hour).UnixMilli(), noon.UnixMilli(), noon.Add(-time.Minute).UnixMilli())
	})
	got, more, err := c.Annotations(t.Context(), noon.Add(-time.Hour), noon, []string{"deploy", "flag"})
	if err != nil || more {
		t.Fatal(more, err)
	}
	want := []Annotation{
		{Time: noon.Add(-time.Minute), Text: "earlier", Tags: []string{}},
		{Time: noon, Text: "deploy 0.9.5", Tags: []string{"deploy", "codex"}, Who: "ann"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(url.Values{
		"from": {"1795518000000"}, "to": {"1795521600000"}, "type": {"annotation"}, "limit": {"500"}, "tags": {"deploy", "flag"}, "matchAny": {"true"},
	}, asked); diff != "" {
		t.Error(diff)
	}
}

func TestWhatGrafanaRefusesOrBreaksIsSaidWithoutSecrets(t *testing.T) {
	for _, tt := range []struct {
		name, want string
		handler    http.HandlerFunc
	}{
		{"no access", "does not accept the credentials", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }},
		{"an error", "Grafana answered 500: no database", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusInternalServerError)
			io.WriteString(w, "no\ndatabase")
		}},
		{"a login page", "no list of annotations", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html>") }},
		{"an object", "no list of annotations", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"message":"x"}`) }},
		{"half an answer", "cannot be reached", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			io.WriteString(w, "[")
		}},
		{"too much", "answer is over 8 MiB", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, strings.Repeat(" ", maxAnnotations+1)) }},
	} {
		_, _, err := annotating(t, tt.handler).Annotations(t.Context(), noon, noon, nil)
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

// FuzzAnnotations holds that no answer of whatever stands behind the URL does
// harm, and that only what is in the window is given.
func FuzzAnnotations(f *testing.F) {
	for _, body := range []string{`[]`, `null`, `[null]`, `[{"time":1795521600000,"text":"x","tags":null}]`, `[{"time":-9223372036854775808}]`, `[{"time":1e99}]`, `[[`} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		c := New(Options{URL: "http://grafana.invalid", Client: &http.Client{Transport: answers(body)}})
		all, _, _ := c.Annotations(t.Context(), noon.Add(-time.Hour), noon, nil)
		for _, a := range all {
			if a.Time.Before(noon.Add(-time.Hour)) || a.Time.After(noon) {
				t.Errorf("%s is out of the window", a.Time)
			}
		}
	})
}

// answers is a server that says one thing.
type answers string

func (a answers) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(string(a))), Request: r}, nil
}
