package receive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gorilla/mux"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"
)

// ingestFunc is an Ingester from a function.
type ingestFunc func(ctx context.Context, body []byte, receivedAt time.Time) error

func (f ingestFunc) Ingest(ctx context.Context, body []byte, receivedAt time.Time) error {
	return f(ctx, body, receivedAt)
}

func accept(context.Context, []byte, time.Time) error { return nil }

// serve starts a server with the handler and returns the webhook's URL.
func serve(t *testing.T, h *Handler) string {
	t.Helper()
	router := mux.NewRouter()
	h.Register(router)
	server := httptest.NewServer(router)
	t.Cleanup(server.Close)
	return server.URL + Path
}

func TestHandlerWritesBeforeItAcknowledges(t *testing.T) {
	body := testBody(t, "v0.34-firing.json")
	release, arrived := make(chan error), make(chan []byte, 1)
	h := NewHandler(Options{
		Ingester: ingestFunc(func(_ context.Context, body []byte, at time.Time) error {
			if at != receivedAt {
				t.Errorf("received at %s, want %s", at, receivedAt)
			}
			arrived <- body
			return <-release
		}),
		Now: func() time.Time { return receivedAt },
	})
	url := serve(t, h)
	answer := make(chan *http.Response, 1)
	go func() {
		resp, err := http.Post(url, "application/json", bytes.NewReader(body))
		if err != nil {
			t.Error(err)
		}
		answer <- resp
	}()
	if got := <-arrived; !bytes.Equal(got, body) {
		t.Errorf("the body that is to be written is not the one that was sent: %q", got)
	}
	select {
	case <-answer:
		t.Error("acknowledged before it was written")
	default:
	}
	release <- nil
	resp := <-answer
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("status %d, want 200", resp.StatusCode)
	}
}

func TestHandlerAnswers(t *testing.T) {
	valid := string(testBody(t, "v0.25-mixed.json"))
	const names = `{"version":"4","receiver":"r","status":"firing","alerts":[%s]}`
	named := func(name string) string {
		return `{"status":"firing","labels":{"alertname":"` + name + `"},"startsAt":"2026-03-01T03:00:00Z"}`
	}
	twoNames := fmt.Sprintf(names, named("A")+","+named("B")+","+named("A"))
	threeNames := fmt.Sprintf(names, named("A")+","+named("B")+","+named("C"))
	bearer := Credentials{BearerToken: "s3cret-token"}
	basic := Credentials{Username: "am", Password: "s3cret-password"}
	both := Credentials{BearerToken: "s3cret-token", Username: "am", Password: "s3cret-password"}
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	basicAuth := func(user, password string) func(*http.Request) {
		return func(r *http.Request) { r.SetBasicAuth(user, password) }
	}
	type answer struct {
		Code      int
		Text      string
		Challenge []string
		Allow     string
	}
	ok := answer{Code: 200, Text: "accepted"}
	const (
		missingText = "credentials are missing; set authorization or basic_auth in the http_config of Alertmanager's webhook_configs"
		wrongText   = "the credentials are wrong; compare the http_config of Alertmanager's webhook_configs with triagebot's server.auth"
	)
	askBearer, askBasic := `Bearer realm="triagebot"`, `Basic realm="triagebot", charset="UTF-8"`
	tests := []struct {
		name   string
		method string // POST when ""
		body   string
		edit   func(*http.Request)
		auth   Credentials
		ingest ingestFunc // accept when nil
		want   answer
		result result
	}{
		{name: "a notification", body: valid, want: ok, result: resultAccepted},
		{name: "whatever its content type", body: valid, edit: header("Content-Type", "text/plain"), want: ok, result: resultAccepted},
		{name: "said to be uncompressed", body: valid, edit: header("Content-Encoding", "identity"), want: ok, result: resultAccepted},
		{name: "chunked", body: valid, edit: func(r *http.Request) { r.ContentLength = -1 }, want: ok, result: resultAccepted},

		{name: "GET", method: http.MethodGet, want: answer{Code: 405, Text: "notifications are sent with POST", Allow: "POST"}, result: resultMethod},
		{name: "PUT", method: http.MethodPut, body: valid, want: answer{Code: 405, Text: "notifications are sent with POST", Allow: "POST"}, result: resultMethod},
		{name: "no notification", body: `{}`, want: answer{Code: 400, Text: "the body is an empty JSON object; Alertmanager's webhook sends version and alerts"}, result: resultInvalid},
		{name: "empty", want: answer{Code: 400, Text: "the body is empty; this URL takes the notifications of Alertmanager's webhook_configs"}, result: resultInvalid},
		{name: "compressed", body: valid, edit: header("Content-Encoding", "gzip"), want: answer{Code: 415, Text: "the body is compressed; Alertmanager sends plain JSON, so look at the proxy between"}, result: resultEncoded},
		{name: "declared too large", body: strings.Repeat(" ", 4097), want: answer{Code: 413, Text: "the body is over 4096 bytes; set max_alerts in Alertmanager's webhook_configs, or raise server.max_body"}, result: resultTooLarge},
		{name: "as many alertnames as there may be", body: twoNames, want: ok, result: resultAccepted},
		{name: "too many alertnames", body: threeNames, want: answer{Code: 413, Text: "the notification has 3 alertnames and each becomes an incident, of which 2 are taken at once; add alertname to group_by in Alertmanager's route, or raise server.max_alertnames"}, result: resultTooManyNames},
		{name: "streamed too large", body: strings.Repeat(" ", 4097), edit: func(r *http.Request) { r.ContentLength = -1 }, want: answer{Code: 413, Text: "the body is over 4096 bytes; set max_alerts in Alertmanager's webhook_configs, or raise server.max_body"}, result: resultTooLarge},

		{name: "the right token", body: valid, auth: bearer, edit: header("Authorization", "Bearer s3cret-token"), want: ok, result: resultAccepted},
		{name: "the scheme in lower case", body: valid, auth: bearer, edit: header("Authorization", "bearer s3cret-token"), want: ok, result: resultAccepted},
		{name: "no token", body: valid, auth: bearer, want: answer{Code: 401, Text: missingText, Challenge: []string{askBearer}}, result: resultUnauthorized},
		{name: "an empty token", body: valid, auth: bearer, edit: header("Authorization", "Bearer "), want: answer{Code: 403, Text: wrongText}, result: resultUnauthorized},
		{name: "a wrong token", body: valid, auth: bearer, edit: header("Authorization", "Bearer s3cret-tokem"), want: answer{Code: 403, Text: wrongText}, result: resultUnauthorized},
		{name: "the start of the token", body: valid, auth: bearer, edit: header("Authorization", "Bearer s3cret"), want: answer{Code: 403, Text: wrongText}, result: resultUnauthorized},
		{name: "a password where a token is asked for", body: valid, auth: bearer, edit: basicAuth("am", "s3cret-token"), want: answer{Code: 401, Text: missingText, Challenge: []string{askBearer}}, result: resultUnauthorized},
		{name: "the right password", body: valid, auth: basic, edit: basicAuth("am", "s3cret-password"), want: ok, result: resultAccepted},
		{name: "a wrong password", body: valid, auth: basic, edit: basicAuth("am", "x"), want: answer{Code: 403, Text: wrongText}, result: resultUnauthorized},
		{name: "a wrong user", body: valid, auth: basic, edit: basicAuth("root", "s3cret-password"), want: answer{Code: 403, Text: wrongText}, result: resultUnauthorized},
		{name: "a token where a password is asked for", body: valid, auth: basic, edit: header("Authorization", "Bearer s3cret-password"), want: answer{Code: 401, Text: missingText, Challenge: []string{askBasic}}, result: resultUnauthorized},
		{name: "either will do: token", body: valid, auth: both, edit: header("Authorization", "Bearer s3cret-token"), want: ok, result: resultAccepted},
		{name: "either will do: password", body: valid, auth: both, edit: basicAuth("am", "s3cret-password"), want: ok, result: resultAccepted},
		{name: "neither", body: valid, auth: both, want: answer{Code: 401, Text: missingText, Challenge: []string{askBearer, askBasic}}, result: resultUnauthorized},
		{name: "strangers learn nothing of the body", body: `{}`, auth: bearer, want: answer{Code: 401, Text: missingText, Challenge: []string{askBearer}}, result: resultUnauthorized},

		{
			name: "a full backlog", body: valid, result: resultBacklogFull,
			ingest: func(context.Context, []byte, time.Time) error { return fmt.Errorf("20000 wait: %w", ErrBacklogFull) },
			want:   answer{Code: 503, Text: "the backlog is full; try again"},
		},
		{
			name: "failing storage", body: valid, result: resultStorageError,
			ingest: func(context.Context, []byte, time.Time) error {
				return errors.New("postgres://user:hunter2@db: refused")
			},
			want: answer{Code: 503, Text: "the notification could not be written; try again"},
		},
		{
			name: "storage that gives up", body: valid, result: resultStorageError,
			ingest: func(context.Context, []byte, time.Time) error { return context.Canceled },
			want:   answer{Code: 503, Text: "the notification could not be written; try again"},
		},
		{
			name: "a shutdown", body: valid, result: resultStorageError,
			ingest: func(context.Context, []byte, time.Time) error { return ErrStopped },
			want:   answer{Code: 503, Text: "the notification could not be written; try again"},
		},
		{
			name: "a bug", body: valid, result: resultPanic,
			ingest: func(context.Context, []byte, time.Time) error { panic("index out of range") },
			want:   answer{Code: 500, Text: "receiving the notification failed; triagebot's log says why"},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			log, entries := logtest.NewNullLogger()
			reg := prometheus.NewRegistry()
			var ingested atomic.Int32
			h := NewHandler(Options{
				Ingester: ingestFunc(func(ctx context.Context, body []byte, at time.Time) error {
					ingested.Add(1)
					if test.ingest != nil {
						return test.ingest(ctx, body, at)
					}
					return nil
				}),
				Auth: func() Credentials { return test.auth }, MaxBody: 4096, MaxAlertnames: 2, Log: log, Registerer: reg,
			})
			method := test.method
			if method == "" {
				method = http.MethodPost
			}
			req, err := http.NewRequest(method, serve(t, h), strings.NewReader(test.body))
			if err != nil {
				t.Fatal(err)
			}
			if test.edit != nil {
				test.edit(req)
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			text, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			got := answer{resp.StatusCode, strings.TrimSuffix(string(text), "\n"), resp.Header.Values("Www-Authenticate"), resp.Header.Get("Allow")}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
			if passed := ingested.Load() > 0; passed != (test.want.Code == 200 || test.ingest != nil) {
				t.Errorf("handed on to be written: %t", passed)
			}
			for _, r := range results() {
				want := 0.0
				if r == test.result {
					want = 1
				}
				if got := testutil.ToFloat64(h.metrics.notifications.WithLabelValues(string(r))); got != want {
					t.Errorf("triagebot_notifications_total{result=%q} is %v, want %v", r, got, want)
				}
			}
			for _, entry := range entries.AllEntries() {
				if line, _ := entry.String(); strings.Contains(line, "s3cret") {
					t.Errorf("the log holds a secret: %s", line)
				}
			}
		})
	}
}

func TestHandlerSaysInTheLogWhatItHidesFromTheSender(t *testing.T) {
	log, entries := logtest.NewNullLogger()
	h := NewHandler(Options{Log: log, Ingester: ingestFunc(func(context.Context, []byte, time.Time) error { return errors.New("disk full") })})
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, Path, bytes.NewReader(testBody(t, "v0.25-mixed.json"))))
	entry := entries.LastEntry()
	if entry == nil || entry.Level != logrus.ErrorLevel || fmt.Sprint(entry.Data[logrus.ErrorKey]) != "disk full" {
		t.Errorf("logged %+v", entry)
	}
}

func TestHandlerTakesNewCredentialsWithoutARestart(t *testing.T) {
	var token atomic.Value
	token.Store("old")
	h := NewHandler(Options{Ingester: ingestFunc(accept), Auth: func() Credentials { return Credentials{BearerToken: token.Load().(string)} }})
	post := func() int {
		r := httptest.NewRequest(http.MethodPost, Path, bytes.NewReader(testBody(t, "v0.25-mixed.json")))
		r.Header.Set("Authorization", "Bearer new")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Code
	}
	if got := post(); got != http.StatusForbidden {
		t.Errorf("before the reload: %d, want 403", got)
	}
	token.Store("new")
	if got := post(); got != http.StatusOK {
		t.Errorf("after the reload: %d, want 200", got)
	}
}

func TestHandlerBoundsConcurrentNotifications(t *testing.T) {
	arrived, release := make(chan struct{}), make(chan struct{})
	h := NewHandler(Options{MaxConcurrent: 2, Ingester: ingestFunc(func(context.Context, []byte, time.Time) error {
		arrived <- struct{}{}
		<-release
		return nil
	})})
	body := testBody(t, "v0.25-mixed.json")
	post := func() int {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, Path, bytes.NewReader(body)))
		return w.Code
	}
	codes := make(chan int, 2)
	for range 2 {
		go func() { codes <- post() }()
		<-arrived
	}
	if got := testutil.ToFloat64(h.metrics.inFlight); got != 2 {
		t.Errorf("in flight: %v, want 2", got)
	}
	if got := post(); got != http.StatusServiceUnavailable {
		t.Errorf("the third at once got %d, want 503", got)
	}
	close(release)
	for range 2 {
		if got := <-codes; got != http.StatusOK {
			t.Errorf("one within the bound got %d, want 200", got)
		}
	}
	go func() { <-arrived }()
	if got := post(); got != http.StatusOK {
		t.Errorf("the next got %d, want 200", got)
	}
}

func TestHandlerDoesNotWaitForeverForABody(t *testing.T) {
	for _, test := range []struct {
		name, header, status string
	}{
		{"that it wants", "", "408"},
		{"that it refused unread", "Content-Encoding: gzip\r\n", "415"},
		{"of a stranger", "Authorization: Bearer wrong\r\n", "403"},
	} {
		t.Run(test.name, func(t *testing.T) { testStalledBody(t, test.header, test.status) })
	}
}

// testStalledBody declares a length and does not live up to it.
func testStalledBody(t *testing.T, header, status string) {
	h := NewHandler(Options{Ingester: ingestFunc(accept), BodyTimeout: 20 * time.Millisecond, Auth: func() Credentials {
		if strings.HasPrefix(header, "Authorization") {
			return Credentials{BearerToken: "right"}
		}
		return Credentials{}
	}})
	conn, err := net.Dial("tcp", strings.TrimSuffix(strings.TrimPrefix(serve(t, h), "http://"), Path))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "POST "+Path+" HTTP/1.1\r\nHost: x\r\n"+header+"Content-Length: 1000\r\n\r\n{"); err != nil {
		t.Fatal(err)
	}
	reply, err := io.ReadAll(conn) // until the server hangs up
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(reply, []byte("HTTP/1.1 "+status+" ")) {
		t.Errorf("the reply is %q, want a %s", reply, status)
	}
}

// The deadline for the body must not end the wait for the disk.
func TestHandlerWaitsForTheDiskLongerThanForTheBody(t *testing.T) {
	h := NewHandler(Options{BodyTimeout: 20 * time.Millisecond, Ingester: ingestFunc(func(ctx context.Context, _ []byte, _ time.Time) error {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
			return nil
		}
	})})
	resp, err := http.Post(serve(t, h), "application/json", bytes.NewReader(testBody(t, "v0.25-mixed.json")))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("status %d, want 200", resp.StatusCode)
	}
}

func TestHandlerCountsASenderWhoLeaves(t *testing.T) {
	ctx, leave := context.WithCancel(t.Context())
	h := NewHandler(Options{Ingester: ingestFunc(func(ctx context.Context, _ []byte, _ time.Time) error {
		leave()
		<-ctx.Done()
		return ctx.Err()
	})})
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodPost, Path, bytes.NewReader(testBody(t, "v0.25-mixed.json"))))
	if got := testutil.ToFloat64(h.metrics.notifications.WithLabelValues(string(resultClientGone))); got != 1 {
		t.Errorf("counted %v, want 1", got)
	}
	if w.Code != http.StatusServiceUnavailable {
		t.Errorf("status %d, want 503: never a 2xx for what may not be on disk", w.Code)
	}
}
