package promapi

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"triagebot/triage"
)

// exemplars is an answer as Prometheus's own documentation has it
// ("Querying exemplars" of its HTTP API), with a second series.
const exemplars = `{"status":"success","data":[
	{"seriesLabels":{"__name__":"lat_bucket","le":"500"},"exemplars":[
		{"labels":{"trace_id":"EpTxMJ40fUus7aGY"},"value":"6","timestamp":1600096945.479},
		{"labels":{"trace_id":"Olp9XHlq763ccsfa"},"value":"19","timestamp":1600096955.479}]},
	{"seriesLabels":{"__name__":"lat_bucket","le":"100"},"exemplars":[
		{"labels":{"trace_id":"hCtjygkIHwAN9vs4","user":"7"},"value":"20","timestamp":1600096950.479}]}]}`

func TestExemplarsOfAllSeriesInTheOrderOfTime(t *testing.T) {
	var method, path string
	var form map[string][]string
	c := newClient(t, Options{URL: serve(t, func(w http.ResponseWriter, r *http.Request) {
		r.ParseForm()
		method, path, form = r.Method, r.URL.Path, r.PostForm
		io.WriteString(w, exemplars)
	})})
	got, err := c.Exemplars(t.Context(), `lat_bucket{a="+&"}`, at.Add(-time.Hour), at.Add(1234567))
	if err != nil {
		t.Fatal(err)
	}
	wide, narrow := triage.Labels{"__name__": "lat_bucket", "le": "500"}, triage.Labels{"__name__": "lat_bucket", "le": "100"}
	second := func(s int) time.Time { return time.Date(2020, 9, 14, 15, 22, s, 479e6, time.UTC) }
	want := []Exemplar{
		{wide, triage.Labels{"trace_id": "EpTxMJ40fUus7aGY"}, Point{second(25), 6}},
		{narrow, triage.Labels{"trace_id": "hCtjygkIHwAN9vs4", "user": "7"}, Point{second(30), 20}},
		{wide, triage.Labels{"trace_id": "Olp9XHlq763ccsfa"}, Point{second(35), 19}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if method != "POST" || path != "/api/v1/query_exemplars" {
		t.Errorf("%s %s", method, path)
	}
	wantForm := map[string][]string{"query": {`lat_bucket{a="+&"}`}, "start": {"1794998160"}, "end": {"1795001760.001"}}
	if diff := cmp.Diff(wantForm, form); diff != "" {
		t.Error(diff)
	}
}

// Prometheus answers so where the feature is off, where nothing came, and
// where the query selects nothing.
func TestNoExemplarsAreNoError(t *testing.T) {
	for _, data := range []string{`[]`, `null`, `[{"seriesLabels":{"__name__":"up"},"exemplars":[]}]`} {
		c := newClient(t, Options{URL: serve(t, answer(200, `{"status":"success","data":`+data+`}`))})
		if got, err := c.Exemplars(t.Context(), "up", at.Add(-time.Hour), at); err != nil || len(got) != 0 {
			t.Errorf("%s: %v, %v", data, got, err)
		}
	}
}

func TestFailuresOfExemplarsAreThoseOfQueries(t *testing.T) {
	for _, tt := range []struct {
		name, body string
		status     int
		o          Options
		reason     Reason
		transient  bool
		text       string
	}{
		{"parse error", `{"status":"error","errorType":"bad_data","error":"1:5: parse error"}`, 400, Options{}, ReasonBadQuery, false, "refused the query: 1:5: parse error"},
		{"old or other server", "404 page not found", 404, Options{}, ReasonBadResponse, false, "check the URL"},
		{"starting", "Service Unavailable", 503, Options{}, ReasonUnavailable, true, "server error: 503"},
		{"forbidden", "", 403, Options{}, ReasonDenied, false, "check the credentials"},
		{"another shape", `{"status":"success","data":{"resultType":"vector","result":[]}}`, 200, Options{}, ReasonBadResponse, false, "no result of Prometheus's API"},
		{"too large", exemplars, 200, Options{MaxResponseBytes: 100}, ReasonTooLarge, false, "narrow its range"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.o.URL = strings.Replace(serve(t, answer(tt.status, tt.body)), "http://", "http://bot:s3cret@", 1)
			_, err := newClient(t, tt.o).Exemplars(t.Context(), "up", at.Add(-time.Hour), at)
			var failure *Error
			if !errors.As(err, &failure) || failure.Reason != tt.reason || failure.Transient != tt.transient || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("%v", err)
			}
			if err != nil && strings.Contains(err.Error(), "s3cret") {
				t.Error(err)
			}
		})
	}
}

// exemplarAPI answers for exemplars when told to.
type exemplarAPI struct {
	promv1.API
	asked   chan string
	answers chan []promv1.ExemplarQueryResult
}

func (a *exemplarAPI) QueryExemplars(ctx context.Context, expr string, _, _ time.Time) ([]promv1.ExemplarQueryResult, error) {
	a.asked <- expr
	select {
	case v := <-a.answers:
		return v, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func TestExemplarsAreSharedBoundedAndEndedAsQueriesAre(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, Options{URL: "http://prometheus.invalid", MaxConcurrent: 1})
		a := &exemplarAPI{asked: make(chan string, 10), answers: make(chan []promv1.ExemplarQueryResult)}
		c.api = a
		errs := make(chan error, 10)
		ask := func(expr string) {
			go func() {
				_, err := c.Exemplars(t.Context(), expr, at.Add(-time.Hour), at)
				errs <- err
			}()
			synctest.Wait()
		}
		ask("x")
		ask("x")
		ask("y") // waits for its turn
		if n := len(a.asked); n != 1 || testutil.ToFloat64(c.metrics.shared) != 1 {
			t.Errorf("sent %d", n)
		}
		a.answers <- nil
		if err := errors.Join(<-errs, <-errs); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if n := len(a.asked); n != 2 {
			t.Errorf("sent %d", n)
		}
		c.Close()
		var failure *Error
		if err := <-errs; !errors.As(err, &failure) || failure.Reason != ReasonCanceled {
			t.Error(err)
		}
	})
}
