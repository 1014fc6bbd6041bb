package promapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/config"

	"triagebot/triage"
)

var at = time.Unix(1795001760, 0).UTC() // of the recorded answers

func newClient(t *testing.T, o Options) *Client {
	t.Helper()
	if o.Name == "" {
		o.Name = "main"
	}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// recorded serves one recorded answer.
func recorded(t *testing.T, status int, name string) string {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		w.Write(body)
	})
}

func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL
}

func answer(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

func TestEveryResultTypeBecomesSeries(t *testing.T) {
	series := func(route string, points ...Point) Series {
		return Series{Labels: triage.Labels{"__name__": "http_latency_ms", "route": route}, Points: points}
	}
	minute := func(before int, v float64) Point { return Point{at.Add(-time.Duration(before) * time.Minute), v} }
	matrix := []Series{
		series("/a", minute(2, 128), minute(1, 129), minute(0, 130)),
		series("/b", minute(2, 228), minute(1, 229), minute(0, 230)),
	}
	for _, tt := range []struct {
		file, typ string
		want      []Series
	}{
		{"vector", "vector", []Series{series("/a", minute(0, 130)), series("/b", minute(0, 230))}},
		{"scalar", "scalar", []Series{{Labels: triage.Labels{}, Points: []Point{minute(0, 130)}}}},
		{"empty", "vector", nil},
		{"matrix", "matrix", matrix},
		{"range_selector", "matrix", matrix},
		{"nan", "vector", []Series{
			{Labels: triage.Labels{"__name__": "odd", "kind": "inf"}, Points: []Point{minute(0, math.Inf(1))}},
			{Labels: triage.Labels{"__name__": "odd", "kind": "nan"}, Points: []Point{minute(0, math.NaN())}},
		}},
	} {
		t.Run(tt.file, func(t *testing.T) {
			c := newClient(t, Options{URL: recorded(t, 200, tt.file)})
			got, err := c.Query(t.Context(), "x", at)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(&Result{Type: tt.typ, Series: tt.want}, got, cmpopts.EquateNaNs()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestSeriesComeSortedAndHistogramsAreSaidToBeLeftOut(t *testing.T) {
	c := newClient(t, Options{URL: serve(t, answer(200, `{"status":"success","warnings":["slow shard"],"data":{"resultType":"vector","result":[
		{"metric":{"a":"2"},"value":[1,"2"]},
		{"metric":{"a":"1"},"value":[1,"1"]},
		{"metric":{"a":"3"},"histogram":[1,{"count":"1","sum":"1","buckets":[]}]}]}}`))})
	got, err := c.Query(t.Context(), "x", at)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Series) != 2 || got.Series[0].Labels["a"] != "1" || got.Series[1].Labels["a"] != "2" {
		t.Errorf("series: %v", got.Series)
	}
	if len(got.Warnings) != 2 || got.Warnings[0] != "slow shard" || !strings.HasPrefix(got.Warnings[1], "1 series left out") {
		t.Errorf("warnings: %q", got.Warnings)
	}
}

func TestWhatIsSent(t *testing.T) {
	var method, path string
	var form map[string][]string
	c := newClient(t, Options{
		Timeout: 2500 * time.Millisecond,
		URL: serve(t, func(w http.ResponseWriter, r *http.Request) {
			r.ParseForm()
			method, path, form = r.Method, r.URL.Path, r.PostForm
			io.WriteString(w, `{"status":"success","data":{"resultType":"matrix","result":[]}}`)
		}) + "/prefix/",
	})
	if _, err := c.Query(t.Context(), `up{a="+&"}`, at.Add(1234567)); err != nil {
		t.Fatal(err)
	}
	if method != "POST" || path != "/prefix/api/v1/query" {
		t.Errorf("%s %s", method, path)
	}
	// Prometheus refuses a timeout of 2.5s; the client itself still keeps it.
	want := map[string][]string{"query": {`up{a="+&"}`}, "time": {"1795001760.001"}, "timeout": {"2s"}}
	if diff := cmp.Diff(want, form); diff != "" {
		t.Error(diff)
	}
	if _, err := c.QueryRange(t.Context(), "up", at.Add(-time.Hour), at, 30*time.Second); err != nil {
		t.Fatal(err)
	}
	want = map[string][]string{"query": {"up"}, "start": {"1794998160"}, "end": {"1795001760"}, "step": {"30"}, "timeout": {"2s"}}
	if diff := cmp.Diff(want, form); diff != "" {
		t.Error(diff)
	}
}

func TestFailuresSayWhyAndWhetherAnotherTryHelps(t *testing.T) {
	refused := func(t *testing.T) string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
		return "http://" + l.Addr().String()
	}
	from := func(h http.HandlerFunc) func(*testing.T) string {
		return func(t *testing.T) string { return serve(t, h) }
	}
	file := func(status int, name string) func(*testing.T) string {
		return func(t *testing.T) string { return recorded(t, status, name) }
	}
	for _, tt := range []struct {
		name      string
		url       func(*testing.T) string
		reason    Reason
		transient bool
		text      string
	}{
		{"parse error", file(400, "bad_data"), ReasonBadQuery, false, "refused the query: invalid parameter \"query\": 1:5: parse error"},
		{"execution error", file(422, "execution"), ReasonBadQuery, false, "many-to-many"},
		{"string result", file(200, "string"), ReasonBadQuery, false, "gives a string, not numbers"},
		{"timeout on the server", file(503, "timeout"), ReasonTimeout, false, "gave the query up: query timed out in query queue"},
		{"starting", from(answer(503, "Service Unavailable")), ReasonUnavailable, true, "server error: 503"},
		{"internal error", from(answer(500, `{"status":"error","errorType":"internal","error":"disk on\nfire"}`)), ReasonUnavailable, true, "failed: disk on fire"},
		{"too many requests", from(answer(429, "")), ReasonUnavailable, true, "429"},
		{"unauthorized", from(answer(401, "")), ReasonDenied, false, "status 401; check the credentials"},
		{"forbidden", from(answer(403, "")), ReasonDenied, false, "status 403; check the credentials"},
		{"not found", from(answer(404, "")), ReasonBadResponse, false, "check the URL"},
		{"redirect", from(answer(302, "")), ReasonBadResponse, false, "bad response code 302"},
		{"web page", from(answer(200, "<html>")), ReasonBadResponse, false, "no result of Prometheus's API"},
		{"half a document", from(answer(200, `{"status":"success","data":{"resultType":"vec`)), ReasonBadResponse, false, "no result of Prometheus's API"},
		{"error with status 200", from(answer(200, `{"status":"error","errorType":"bad_data","error":"no"}`)), ReasonBadQuery, false, "refused the query: no"},
		{"connection cut", from(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			io.WriteString(w, `{"status":`)
		}), ReasonUnavailable, true, "unexpected EOF"},
		{"connection refused", refused, ReasonUnavailable, true, "connection refused"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newClient(t, Options{URL: tt.url(t)})
			_, err := c.Query(t.Context(), "x", at)
			var failure *Error
			if !errors.As(err, &failure) {
				t.Fatalf("not an *Error: %v", err)
			}
			if failure.Reason != tt.reason || failure.Transient != tt.transient || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("reason %s, transient %t: %v", failure.Reason, failure.Transient, err)
			}
			if !strings.HasPrefix(err.Error(), "Prometheus main (http://127.0.0.1:") {
				t.Errorf("does not name the datasource: %v", err)
			}
			if !c.metrics.duration.DeleteLabelValues("main", string(tt.reason)) {
				t.Error("not counted under its reason")
			}
		})
	}
}

func TestAnAnswerIsBoundedToTheByte(t *testing.T) {
	const body = `{"status":"success","data":{"resultType":"vector","result":[]}}`
	url := serve(t, answer(200, body))
	exact := newClient(t, Options{URL: url, MaxResponseBytes: int64(len(body))})
	if _, err := exact.Query(t.Context(), "x", at); err != nil {
		t.Error(err)
	}
	short := newClient(t, Options{URL: url, MaxResponseBytes: int64(len(body)) - 1})
	_, err := short.Query(t.Context(), "x", at)
	var failure *Error
	if !errors.As(err, &failure) || failure.Reason != ReasonTooLarge || failure.Transient {
		t.Errorf("one byte over the bound: %v", err)
	}
}

func TestNoCredentialsInMessages(t *testing.T) {
	seen := make(chan string, 10)
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		seen <- user + " " + password
		if user == "cut" {
			panic(http.ErrAbortHandler)
		}
		w.WriteHeader(http.StatusForbidden) // makes the API client try again with GET, the query in its URL
	})
	for _, who := range []string{"cut", "bot"} {
		c := newClient(t, Options{URL: strings.Replace(url, "http://", "http://"+who+":s3cret@", 1) + "/?token=t0ken"})
		_, err := c.Query(t.Context(), "x", at)
		if got := <-seen; err == nil || got != who+" s3cret" {
			t.Fatalf("asked as %q: %v", got, err)
		}
		if text := fmt.Sprintf("%v %+v", err, errors.Unwrap(err)); strings.Contains(text, "s3cret") || strings.Contains(text, "t0ken") {
			t.Error(text)
		}
	}
	for _, bad := range []string{"http://bot:s3cret@[::1", "s3cret", "ftp://bot:s3cret@host"} {
		if _, err := New(Options{Name: "main", URL: bad}); err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func TestAuthenticationComesFromAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("t0ken\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var got string
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got = r.Header.Get("Authorization")
		answer(200, `{"status":"success","data":{"resultType":"vector","result":[]}}`)(w, r)
	})
	c := newClient(t, Options{URL: url, HTTPClient: config.HTTPClientConfig{Authorization: &config.Authorization{CredentialsFile: file}}})
	if _, err := c.Query(t.Context(), "x", at); err != nil {
		t.Fatal(err)
	}
	if got != "Bearer t0ken" {
		t.Errorf("Authorization: %q", got)
	}
}

func TestClientsShareARegistry(t *testing.T) {
	reg := prometheus.NewRegistry()
	url := recorded(t, 200, "vector")
	for _, name := range []string{"a", "b", "a"} { // the second a is what a reload makes
		if _, err := newClient(t, Options{Name: name, URL: url, Registerer: reg}).Query(t.Context(), "x", at); err != nil {
			t.Fatal(err)
		}
	}
	n, err := testutil.GatherAndCount(reg, "triagebot_datasource_query_duration_seconds")
	if err != nil || n != 2 {
		t.Errorf("%d duration series, %v", n, err)
	}
	if problems, err := testutil.GatherAndLint(reg); err != nil || len(problems) > 0 {
		t.Error(problems, err)
	}
}

func TestACallerThatHasGivenUpSendsNothing(t *testing.T) {
	c := newClient(t, Options{URL: serve(t, func(http.ResponseWriter, *http.Request) { t.Error("sent") })})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Query(ctx, "x", at); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
