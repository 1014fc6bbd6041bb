package step

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"triagebot/triage"
	"triagebot/triage/playbook"
)

// clockOf ticks by one step each time it is read.
func clockOf(step time.Duration) func() time.Time {
	now := at.Add(-step)
	return func() time.Time {
		now = now.Add(step)
		return now
	}
}

// app serves h as the service app.
func app(t *testing.T, h http.HandlerFunc) (Deps, string) {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return Deps{Services: map[string]Service{"app": {URL: server.URL, Client: server.Client()}}, Now: clockOf(12500 * time.Microsecond)}, server.URL
}

func runCapture(t *testing.T, d Deps, base, kind string) (*playbook.Step, *execution, *playbook.Outcome, error) {
	t.Helper()
	s := mustLoad(t, d, kind)
	e := newExecution(triage.Labels{"id": `a/b?c "d"`})
	e.env.Data.Services["app"] = base
	out, err := e.run(t.Context(), s)
	return s, e, out, err
}

func TestCapture(t *testing.T) {
	d, base := app(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.URL.Path != "/readyz" || r.Header.Get("X-Incident") != `a/b?c "d"` {
			t.Errorf("%s %s %v", r.Method, r.URL, r.Header)
		}
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.Header().Set("Retry-After", "5")
		w.Header().Set("Set-Cookie", "session=s3cret")
		w.WriteHeader(http.StatusServiceUnavailable)
		io.WriteString(w, `{"ready":false,"checks":[{"name":"db","ok":false}],"backoff_ms":1500}`)
	})
	s, e, out, err := runCapture(t, d, base, `capture:
  url: '{{ .Services.app }}/readyz?token={{ .Labels.id }}'
  headers: {X-Incident: '{{ .Labels.id }}'}
  show_headers: [Retry-After, X-Missing, retry-after]
  expect_status: 200
abnormal: '!ok && status == 503 && json.backoff_ms > 1000 && headers["retry-after"] == "5" && headers["x-missing"] == "" && json.checks.exists(c, c.name == "db" && !c.ok)'
finding: '{{ .Status }}, retry after {{ index .Headers "retry-after" }}'`)
	if err != nil {
		t.Fatal(err)
	}
	if len(out.Rows) != 1 || out.Rows[0].Value != "503 Service Unavailable in 12.5ms" {
		t.Fatalf("%+v", out.Rows)
	}
	want := map[string]any{
		"status": int64(503), "ok": false, "latency_ms": 12.5, "truncated": false,
		"body":    `{"ready":false,"checks":[{"name":"db","ok":false}],"backoff_ms":1500}`,
		"headers": map[string]any{"retry-after": "5", "x-missing": ""},
		"json":    map[string]any{"ready": false, "backoff_ms": 1500.0, "checks": []any{map[string]any{"name": "db", "ok": false}}},
	}
	if diff := cmp.Diff(want, out.Rows[0].Vars); diff != "" {
		t.Error(diff)
	}
	if want := "GET " + base + "/readyz?… answered 503 Service Unavailable, not 200 in 12.5ms; asked at 04:05:00 UTC."; out.Headline != want {
		t.Errorf("headline: %s", out.Headline)
	}
	if verdict, err := s.Judge(out.Rows[0], e.env.Data); err != nil || verdict != triage.VerdictAbnormal {
		t.Errorf("%s, %v", verdict, err)
	}
	// A later step sees the variables after they were stored as JSON.
	stored, err := json.Marshal(out.Rows[0].Vars)
	if err != nil {
		t.Fatal(err)
	}
	out.Rows[0].Vars = nil
	if err := json.Unmarshal(stored, &out.Rows[0].Vars); err != nil {
		t.Fatal(err)
	}
	if verdict, err := s.Judge(out.Rows[0], e.env.Data); err != nil || verdict != triage.VerdictAbnormal {
		t.Errorf("from JSON: %s, %v", verdict, err)
	}
	if text, err := s.Finding.RenderRow(e.env.Data, out.Rows[0].Vars); err != nil || text != "503, retry after 5" {
		t.Errorf("%q, %v", text, err)
	}
	wantFile := "GET " + base + `/readyz?…
asked at 2026-11-24 04:05:00.123 UTC, answered in 12.5ms

HTTP/1.1 503 Service Unavailable
retry-after: 5
x-missing: 

{"ready":false,"checks":[{"name":"db","ok":false}],"backoff_ms":1500}
`
	file := out.Artifacts[0]
	if diff := cmp.Diff(wantFile, string(file.Data)); diff != "" {
		t.Error(diff)
	}
	if file.Name != "p95.txt" || file.MediaType != "text/plain" || file.Source != "GET "+base+"/readyz?…" {
		t.Errorf("%+v", file)
	}
}

func TestCaptureBodies(t *testing.T) {
	for _, tt := range []struct {
		name, options string
		contentType   string
		body          string
		wantBody      string
		truncated     bool
		json          any
		debug         string
		fileEnd       string
	}{
		{name: "empty", json: map[string]any{}},
		{name: "at the bound", options: "max_body: 4B", body: "1234", wantBody: "1234", json: map[string]any{}, fileEnd: "\n\n1234\n"},
		{
			name: "one byte over the bound", options: "max_body: 4", body: "12345", wantBody: "1234", truncated: true, json: map[string]any{},
			debug: "the body is cut after 4 bytes (max_body)", fileEnd: "\n1234\n[cut here: the body is longer than 4 bytes]\n",
		},
		{name: "at the default bound", body: strings.Repeat("x", defaultMaxBody), wantBody: strings.Repeat("x", defaultMaxBody), json: map[string]any{}},
		{
			name: "over the default bound", body: strings.Repeat("x", defaultMaxBody+1), wantBody: strings.Repeat("x", defaultMaxBody), truncated: true,
			json: map[string]any{}, debug: "the body is cut after 65536 bytes (max_body)",
		},
		{name: "not UTF-8", body: "a\xff\x00b", wantBody: "a\uFFFD\uFFFDb", json: map[string]any{}},
		{name: "cut within a character", options: "max_body: 1KiB", body: strings.Repeat("x", 1023) + "é", wantBody: strings.Repeat("x", 1023) + "\uFFFD", truncated: true, json: map[string]any{}, debug: "the body is cut after 1024 bytes (max_body)"},
		{name: "JSON by its media type", contentType: "application/problem+json", body: `{"a":"\u0000"}`, wantBody: `{"a":"\u0000"}`, json: map[string]any{"a": "\uFFFD"}},
		{name: "JSON because the step says so", options: "json: true", contentType: "text/plain", body: `[1]`, wantBody: `[1]`, json: []any{1.0}},
		{name: "no JSON because the step says so", options: "json: false", contentType: "application/json", body: `{}`, wantBody: `{}`, json: map[string]any{}},
		{name: "broken JSON", contentType: "application/json", body: `{"a":`, wantBody: `{"a":`, json: map[string]any{}, debug: "the body is not read as JSON: unexpected EOF"},
		{name: "two JSON values", contentType: "application/json", body: `{}{}`, wantBody: `{}{}`, json: map[string]any{}, debug: "the body is not read as JSON: something follows the JSON value"},
		{name: "JSON null", contentType: "application/json", body: `null`, wantBody: `null`, json: map[string]any{}, debug: "the body is not read as JSON: it is null"},
		{
			name: "cut JSON", options: "max_body: 3", contentType: "application/json", body: `[12]`, wantBody: `[12`, truncated: true, json: map[string]any{},
			debug: "the body is not read as JSON: it is cut\nthe body is cut after 3 bytes (max_body)",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, base := app(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", tt.contentType)
				io.WriteString(w, tt.body)
			})
			options := ""
			if tt.options != "" {
				options = ", " + tt.options
			}
			_, e, out, err := runCapture(t, d, base, "capture: {url: '{{ .Services.app }}/x'"+options+"}")
			if err != nil {
				t.Fatal(err)
			}
			vars := out.Rows[0].Vars
			if vars["body"] != tt.wantBody || vars["truncated"] != tt.truncated {
				t.Errorf("body %.80q, truncated %t", vars["body"], vars["truncated"])
			}
			if diff := cmp.Diff(tt.json, vars["json"]); diff != "" {
				t.Error(diff)
			}
			if e.debugLog() != tt.debug {
				t.Errorf("debug: %q", e.debugLog())
			}
			if !strings.HasSuffix(string(out.Artifacts[0].Data), tt.fileEnd) || !utf8.Valid(out.Artifacts[0].Data) {
				t.Errorf("file: %.300q", out.Artifacts[0].Data)
			}
		})
	}
}

func TestABodyThatEndsEarlyIsKeptAndSaid(t *testing.T) {
	d, base := app(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		io.WriteString(w, "half")
	})
	_, e, out, err := runCapture(t, d, base, "capture: {url: '{{ .Services.app }}/x'}")
	if err != nil || out.Rows[0].Vars["body"] != "half" {
		t.Fatalf("%+v, %v", out, err)
	}
	if e.debugLog() != "the body ended early: unexpected EOF" || !strings.HasSuffix(string(out.Artifacts[0].Data), "half\n[the body ended early: unexpected EOF]\n") {
		t.Errorf("%q, %q", e.debugLog(), out.Artifacts[0].Data)
	}
}

func TestRedirectsStayOnTheirHost(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the other host was asked") }))
	defer other.Close()
	d, base := app(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/away":
			http.Redirect(w, r, strings.Replace(other.URL, "http://", "http://u:s3cret@", 1)+"/?token=t0ken", http.StatusFound)
		case "/here":
			http.Redirect(w, r, "/there", http.StatusFound)
		case "/loop":
			http.Redirect(w, r, "/loop", http.StatusFound)
		default:
			io.WriteString(w, "arrived")
		}
	})
	for path, want := range map[string]struct {
		status int64
		debug  string
	}{
		"/here": {200, ""},
		"/away": {302, "a redirect to " + other.URL + "/?… was not followed"},
		"/loop": {302, "a redirect to " + base + "/loop was not followed"},
	} {
		_, e, out, err := runCapture(t, d, base, "capture: {url: '{{ .Services.app }}"+path+"'}")
		if err != nil || out.Rows[0].Vars["status"] != want.status || e.debugLog() != want.debug {
			t.Errorf("%s: %+v, %v, debug %q", path, out, err, e.debugLog())
		}
	}
}

func TestCaptureFailures(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	refused := "http://" + listener.Addr().String()

	release := make(chan struct{})
	hanging := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer hanging.Close()
	defer close(release)
	cutting := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) }))
	defer cutting.Close()
	secure := httptest.NewUnstartedServer(nil)
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	defer secure.Close()

	dns := &http.Client{Transport: roundTripper(func(*http.Request) (*http.Response, error) {
		return nil, &net.DNSError{Err: "no such host", Name: "app.internal", IsNotFound: true}
	})}
	for _, tt := range []struct {
		name, base string
		client     *http.Client
		text, next string
		transient  bool
	}{
		{"refused", refused, http.DefaultClient, "connection refused", "Check that the service runs", true},
		{"hanging", hanging.URL, http.DefaultClient, "no answer within 100ms", "Check whether the service hangs", false},
		{"cut", cutting.URL, http.DefaultClient, "EOF", "Check that the service runs", true},
		{"unknown certificate", secure.URL, &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{}}}, "certificate", "Check the service's certificate", false},
		{"unknown name", "http://app.internal", dns, "the name app.internal cannot be resolved: no such host", "DNS", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := Deps{Services: map[string]Service{"app": {URL: tt.base, Client: tt.client}}}
			timeout := "1m"
			if tt.name == "hanging" {
				timeout = "100ms"
			}
			_, _, _, err := runCapture(t, d, tt.base, "capture: {url: '{{ .Services.app }}/x?token=t0ken', timeout: "+timeout+"}")
			var stepErr *playbook.StepError
			if !errors.As(err, &stepErr) {
				t.Fatalf("%v", err)
			}
			if !strings.Contains(err.Error(), "GET "+tt.base+"/x?…: ") || !strings.Contains(err.Error(), tt.text) || !strings.Contains(stepErr.NextStep, tt.next) || stepErr.Transient != tt.transient {
				t.Errorf("%v; next: %s; transient %t", err, stepErr.NextStep, stepErr.Transient)
			}
			if strings.Contains(err.Error(), "t0ken") {
				t.Error("shows the query's values")
			}
		})
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestACaptureEndsWithItsStep(t *testing.T) {
	arrived := make(chan struct{})
	d := Deps{Services: map[string]Service{"app": {URL: "http://app", Client: &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		close(arrived)
		<-r.Context().Done()
		return nil, r.Context().Err()
	})}}}}
	s := mustLoad(t, d, "capture: {url: '{{ .Services.app }}/x'}")
	e := newExecution(nil)
	e.env.Data.Services["app"] = "http://app"
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-arrived
		cancel()
	}()
	if _, err := e.run(ctx, s); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestOnlyTheServiceItselfIsAskedWithItsClient(t *testing.T) {
	named := func(name string) *http.Client {
		return &http.Client{Transport: roundTripper(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Proto: "HTTP/1.1", Body: io.NopCloser(strings.NewReader(name))}, nil
		})}
	}
	d := Deps{HTTP: named("default"), Services: map[string]Service{
		"app":   {URL: "http://app:8080/", Client: named("app")},
		"admin": {URL: "http://app:8080/admin", Client: named("admin")},
		"plain": {URL: "http://plain"},
	}}
	for url, want := range map[string]string{
		"http://app:8080/readyz":      "app",
		"http://app:8080":             "app",
		"http://app:8080/admin":       "admin",
		"http://app:8080/admin/x":     "admin",
		"http://app:8080/administer":  "app",
		"https://app:8080/readyz":     "default",
		"http://app:8081/readyz":      "default",
		"http://app/readyz":           "default",
		"http://plain/x":              "default",
		"http://app:8080.example.com": "",
	} {
		s, err := load(d, "capture: {url: '"+url+"'}")
		if err != nil {
			if want != "" {
				t.Errorf("%s: %v", url, err)
			}
			continue
		}
		out, err := newExecution(nil).run(t.Context(), s)
		if err != nil || out.Rows[0].Vars["body"] != want {
			t.Errorf("%s: %v, %v; want %s", url, out, err, want)
		}
	}
}

func TestHostileLabelsStayInTheirPlaceOfTheURL(t *testing.T) {
	var got string
	d := Deps{HTTP: &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		got = r.URL.Host + " " + r.URL.Query().Get("q") + " " + r.Header.Get("X-Id")
		return &http.Response{StatusCode: 204, Body: http.NoBody}, nil
	})}}
	s := mustLoad(t, d, `capture: {url: 'http://app/x/{{ .Labels.v }}?q={{ .Labels.v }}', headers: {X-Id: '{{ .Labels.v }}'}}`)
	for _, v := range []string{"@evil/", "../../admin", "a&q=b#c", "?x", "a\r\nX-Evil: 1", "\u202E"} {
		if _, err := newExecution(triage.Labels{"v": v}).run(t.Context(), s); err != nil {
			continue // refused, which is as good
		}
		if !strings.HasPrefix(got, "app "+v+" ") || strings.ContainsAny(got[len("app "+v+" "):], "\r\n") {
			t.Errorf("%q: %q", v, got)
		}
	}
}

func TestCaptureProblems(t *testing.T) {
	many := "{"
	for i := range maxHeaders + 1 {
		many += fmt.Sprintf("X-%d: a, ", i)
	}
	for _, tt := range []struct{ yaml, want string }{
		{"{}", "capture.url: is missing"},
		{"{url: /readyz}", "capture.url: "},
		{"{url: 'http://app', method: POST}", `capture.method: "POST" is not allowed: a capture changes nothing`},
		{"{url: 'http://app', body: x}", "capture.body: unknown key"},
		{"{url: 'http://app', timeout: 2m}", "capture.timeout: 2m is out of bounds"},
		{"{url: 'http://app', max_body: 1025KiB}", "capture.max_body: 1025KiB is out of bounds; write a size from 1B to 1MiB"},
		{"{url: 'http://app', max_body: 0}", "capture.max_body: 0 is out of bounds"},
		{"{url: 'http://app', max_body: -1}", `capture.max_body: "-1" is no size; write one like 64KiB`},
		{"{url: 'http://app', max_body: 1GB}", `capture.max_body: "1GB" is no size`},
		{"{url: 'http://app', expect_status: 20}", "capture.expect_status: 20 is out of bounds; write a number from 100 to 599"},
		{"{url: 'http://app', headers: {authorization: x}}", "capture.headers.authorization: cannot be set: credentials belong"},
		{"{url: 'http://app', headers: {'a b': x}}", `capture.headers: "a b" is no header name`},
		{"{url: 'http://app', headers: " + many + "}}", "capture.headers: has 21 entries; at most 20 are sent"},
		{"{url: 'http://app', show_headers: ['a:']}", `capture.show_headers[0]: "a:" is no header name`},
	} {
		if got := problemsOf(t, Deps{}, "capture: "+tt.yaml); !strings.Contains(got, "test.yaml:6: steps[0]."+tt.want) {
			t.Errorf("%s: %s", tt.yaml, got)
		}
	}
	mustLoad(t, Deps{}, "capture: {url: 'http://app', max_body: 1MiB, method: GET}")
}
