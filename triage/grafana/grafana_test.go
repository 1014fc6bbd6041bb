package grafana_test

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/png"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"triagebot/triage/grafana"
)

// fake answers as Grafana's documentation and pkg/api/render.go say: a render is
// a PNG of the size asked for, by whom the token may; without a renderer it is a
// notice of 478x208 pixels, with 200 all the same.
type fake struct {
	token      string
	noRenderer bool
	asked      *url.URL
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.asked = r.URL
	if strings.TrimSpace(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer")) != f.token {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusUnauthorized)
		io.WriteString(w, `{"message":"Unauthorized"}`)
		return
	}
	switch {
	case strings.HasPrefix(r.URL.Path, "/render/d-solo/codex-app/"):
		width, height := 478, 208
		if !f.noRenderer {
			width, _ = strconv.Atoi(r.FormValue("width"))
			height, _ = strconv.Atoi(r.FormValue("height"))
		}
		w.Header().Set("Content-Type", "image/png")
		png.Encode(w, image.NewGray(image.Rect(0, 0, width, height)))
	case r.URL.Path == "/api/dashboards/uid/codex-app":
		w.Header().Set("Content-Type", "application/json; charset=UTF-8")
		io.WriteString(w, `{"meta":{"slug":"codex"},"dashboard":{"uid":"codex-app"}}`)
	default:
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusNotFound)
		io.WriteString(w, `{"message":"Dashboard not found"}`)
	}
}

// bearer sends a token, as the configured HTTP client does.
type bearer string

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+string(b))
	return http.DefaultTransport.RoundTrip(r)
}

func client(t *testing.T, h http.Handler, token string) *grafana.Client {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return grafana.New(grafana.Options{URL: server.URL, PublicURL: "https://grafana.example.com", Client: &http.Client{Transport: bearer(token)}})
}

var view = grafana.View{
	UID: "codex-app", Panel: 4, From: time.UnixMilli(1000), To: time.UnixMilli(61000), Width: 800, Height: 400, Theme: "dark",
	Vars: map[string][]string{"route": {"/v1/a b&c", "/v2"}},
}

func TestAPanelIsRenderedInItsTimeAndWithItsValues(t *testing.T) {
	f := &fake{token: "t0ken"}
	data, err := client(t, f, "t0ken").Render(t.Context(), view)
	if err != nil {
		t.Fatal(err)
	}
	if size, err := png.DecodeConfig(bytes.NewReader(data)); err != nil || size.Width != 800 || size.Height != 400 {
		t.Errorf("%+v, %v", size, err)
	}
	want := url.Values{
		"panelId": {"4"}, "from": {"1000"}, "to": {"61000"}, "width": {"800"}, "height": {"400"}, "theme": {"dark"}, "tz": {"UTC"},
		"timeout": {"29"}, "var-route": {"/v1/a b&c", "/v2"},
	}
	if diff := cmp.Diff(want, f.asked.Query()); diff != "" || f.asked.Path != "/render/d-solo/codex-app/panel" {
		t.Errorf("%s %s", f.asked.Path, diff)
	}
}

func TestALinkLeadsToThePanel(t *testing.T) {
	got := grafana.New(grafana.Options{URL: "http://grafana:3000", PublicURL: "https://grafana.example.com/g"}).Link(view)
	want := "https://grafana.example.com/g/d/codex-app/panel?from=1000&to=61000&var-route=%2Fv1%2Fa%20b%26c&var-route=%2Fv2&viewPanel=4"
	if got != want {
		t.Errorf("%s", got)
	}
}

func TestADashboardIsRead(t *testing.T) {
	data, err := client(t, &fake{token: "t0ken"}, "t0ken").Dashboard(t.Context(), "codex-app")
	if err != nil || !strings.Contains(string(data), `"uid":"codex-app"`) {
		t.Errorf("%s, %v", data, err)
	}
}

func TestWhatGrafanaCannotGiveIsSaid(t *testing.T) {
	answer := func(status int, media, body string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", media)
			w.WriteHeader(status)
			io.WriteString(w, body)
		})
	}
	other := view
	other.UID = "nowhere"
	for _, tt := range []struct {
		name      string
		handler   http.Handler
		view      grafana.View
		token     string
		text      string
		next      string
		transient bool
	}{
		{name: "no renderer", handler: &fake{noRenderer: true}, text: "rendered no panel but a notice of its own (478x208 pixels, not 800x400)", next: "grafana-image-renderer"},
		{name: "no token", handler: &fake{token: "t0ken"}, text: "Grafana answered 401: it does not accept the credentials", next: "credentials_file"},
		{name: "forbidden", handler: answer(403, "application/json", `{"message":"Access denied"}`), text: "Grafana answered 403", next: "credentials_file"},
		{name: "no dashboard", handler: &fake{}, view: other, text: "no such dashboard (404)", next: "uid"},
		{name: "rendering fails", handler: answer(500, "text/html", "<html>"), text: "Grafana answered 500", next: "image renderer"},
		{name: "a reason", handler: answer(500, "application/json", `{"message":"Rendering failed."}`), text: `Grafana answered 500: {"message":"Rendering failed."}`, next: "image renderer"},
		{name: "overloaded", handler: answer(503, "text/plain", "busy\xff"), text: "Grafana answered 503: busy\uFFFD", transient: true},
		{name: "another page", handler: answer(200, "text/html", "<html>"), text: `Grafana answered with "text/html", not with image/png`, next: "grafana.url"},
		{name: "no PNG", handler: answer(200, "image/png", "\x89PNG but no more"), text: "no PNG"},
		{name: "endless", handler: answer(200, "image/png", strings.Repeat("x", 9<<20)), text: "over 8 MiB"},
		{name: "log in", handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/login" {
				http.Redirect(w, r, "/login", http.StatusFound)
			}
		}), text: "Grafana asks to log in", next: "credentials_file"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.view.UID == "" {
				tt.view = view
			}
			_, err := client(t, tt.handler, tt.token).Render(t.Context(), tt.view)
			var failure *grafana.Error
			if !errors.As(err, &failure) || !strings.Contains(err.Error(), tt.text) || !strings.Contains(failure.NextStep, tt.next) || failure.Transient != tt.transient {
				t.Errorf("%#v", err)
			}
		})
	}
}

func TestAnUnreachableGrafanaIsNamedWithoutItsValues(t *testing.T) {
	c := grafana.New(grafana.Options{URL: "http://127.0.0.1:1"})
	_, err := c.Render(t.Context(), view)
	var failure *grafana.Error
	if !errors.As(err, &failure) || !failure.Transient || strings.Contains(err.Error(), "route") {
		t.Errorf("%v", err)
	}
}

func TestASlowGrafanaEndsInItsTimeoutAndACancelledCallInItsContext(t *testing.T) {
	hang := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	server := httptest.NewServer(hang)
	t.Cleanup(server.Close)
	c := grafana.New(grafana.Options{URL: server.URL, Timeout: 20 * time.Millisecond})
	if _, err := c.Render(t.Context(), view); err == nil || !strings.Contains(err.Error(), "did not answer within 20ms") {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Render(ctx, view); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
