package backend

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"triagebot/triage/tracelog"
)

func TestStatusesSayWhetherToTryAgain(t *testing.T) {
	tests := []struct {
		status    int
		reason    Reason
		transient bool
		says      string
	}{
		{301, ReasonBadResponse, false, "check the url"},
		{400, ReasonBadQuery, false, "refused the query (status 400): what the server said"},
		{401, ReasonDenied, false, "check the credentials"},
		{403, ReasonDenied, false, "and the tenant"},
		{404, ReasonNotFound, false, "check the url"},
		{408, ReasonTimeout, true, "gave the query up"},
		{422, ReasonBadQuery, false, "refused"},
		{429, ReasonBusy, true, "until 30 (Retry-After)"},
		{500, ReasonUnavailable, true, "what the server said"},
		{502, ReasonUnavailable, true, "status 502"},
		{503, ReasonUnavailable, true, "until 30"},
		{504, ReasonTimeout, true, "status 504"},
	}
	for _, test := range tests {
		t.Run(fmt.Sprint(test.status), func(t *testing.T) {
			at := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Retry-After", "30")
				w.WriteHeader(test.status)
				fmt.Fprint(w, "what the\nserver  said\xff"+strings.Repeat("!", 1000))
			})
			eachHome(t, at, nil, func(t *testing.T, home tracelog.Home) {
				switch home.(type) {
				case *Tempo, *Jaeger:
					if test.status == 404 { // also what a missing trace is
						return
					}
				}
				failure := failureOf(context.Background(), t, home)
				if failure.Reason != test.reason || failure.Transient != test.transient || failure.Status != test.status {
					t.Errorf("got %+v", failure)
				}
				if text := failure.Error(); !strings.Contains(text, test.says) || !strings.Contains(text, home.Name()) || len(text) > 600 || strings.Contains(text, "\n") {
					t.Errorf("the error says %q", text)
				}
			})
		})
	}
}

func TestErrorsHoldNoCredentials(t *testing.T) {
	secret := func(at string) func(*Options) {
		u, err := url.Parse(at)
		if err != nil {
			t.Fatal(err)
		}
		u.User, u.Path, u.RawQuery = url.UserPassword("me", "hunter2"), "/prefix", "token=hunter2"
		return func(o *Options) { o.URL = u.String() }
	}
	refusing := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if _, password, _ := r.BasicAuth(); password != "hunter2" || r.URL.Query().Get("token") != "hunter2" || !strings.HasPrefix(r.URL.Path, "/prefix/") {
			t.Errorf("asked %s without what its url has", r.URL)
		}
		w.WriteHeader(http.StatusInternalServerError)
	})
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	for name, at := range map[string]string{"refused": refusing, "not reached": gone.URL} {
		t.Run(name, func(t *testing.T) {
			eachHome(t, at, secret(at), func(t *testing.T, home tracelog.Home) {
				failure := failureOf(context.Background(), t, home)
				for err := error(failure); err != nil; err = errors.Unwrap(err) {
					if strings.Contains(err.Error(), "hunter2") {
						t.Errorf("%T tells the password: %v", err, err)
					}
				}
				if !failure.Transient || failure.Reason != ReasonUnavailable || !strings.Contains(failure.Error(), at+"/prefix)") {
					t.Errorf("got %+v", failure)
				}
			})
		})
	}
}

func TestASlowServerIsNotWaitedFor(t *testing.T) {
	done := make(chan struct{})
	at := serve(t, func(http.ResponseWriter, *http.Request) { <-done })
	t.Cleanup(func() { close(done) })
	eachHome(t, at, func(o *Options) { o.Timeout = 20 * time.Millisecond }, func(t *testing.T, home tracelog.Home) {
		failure := failureOf(context.Background(), t, home)
		if failure.Reason != ReasonTimeout || !failure.Transient || !strings.Contains(failure.Error(), "20ms") {
			t.Errorf("got %+v", failure)
		}
	})
	gone, leave := context.WithCancel(context.Background())
	leave()
	eachHome(t, at, nil, func(t *testing.T, home tracelog.Home) {
		failure := failureOf(gone, t, home)
		if failure.Reason != ReasonCanceled || failure.Transient || !errors.Is(failure, context.Canceled) {
			t.Errorf("got %+v", failure)
		}
	})
}

func TestAnEndlessBodyIsCutOff(t *testing.T) {
	at := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"status":"`)
		for range 1 << 20 {
			if _, err := w.Write([]byte(strings.Repeat("x", 1<<10))); err != nil {
				return
			}
		}
		t.Error("a gigabyte was read")
	})
	eachHome(t, at, func(o *Options) { o.MaxBytes = 1 << 16 }, func(t *testing.T, home tracelog.Home) {
		if _, isVictoria := home.(*VictoriaLogs); isVictoria {
			found := find(t, home, tracelog.Query{ID: "req_1"})
			if part := onlyPart(t, found.Coverage); part.Complete || !strings.Contains(part.Note, "more than 65536 bytes") {
				t.Errorf("got %+v", part)
			}
			return
		}
		if failure := failureOf(context.Background(), t, home); failure.Reason != ReasonTooLarge || failure.Transient {
			t.Errorf("got %+v", failure)
		}
	})
}

func TestWhatIsNoAnswerOfTheAPIIsSaid(t *testing.T) {
	bodies := map[string]string{
		"a page":         "<html>Sign in</html>",
		"cut JSON":       `{"status":"success","data":{"resultType":"streams","result":[`,
		"another type":   `[1,2]`,
		"wrong in depth": `{"data":7,"status":7,"traces":7,"x"`,
	}
	for name, body := range bodies {
		t.Run(name, func(t *testing.T) {
			at := serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) })
			eachHome(t, at, nil, func(t *testing.T, home tracelog.Home) {
				failure := failureOf(context.Background(), t, home)
				if _, isVictoria := home.(*VictoriaLogs); isVictoria && body[0] == '{' {
					if failure.Reason != ReasonUnavailable || !failure.Transient {
						t.Errorf("a stream that breaks off: %+v", failure)
					}
					return
				}
				if failure.Reason != ReasonBadResponse || failure.Transient {
					t.Errorf("got %+v", failure)
				}
			})
		})
	}
}

func TestWhatIsNoIDIsNotAskedFor(t *testing.T) {
	at := serve(t, func(_ http.ResponseWriter, r *http.Request) { t.Errorf("asked %s", r.URL) })
	for _, id := range []string{"", "\xff", strings.Repeat("x", maxID+1)} {
		eachHome(t, at, nil, func(t *testing.T, home tracelog.Home) {
			if _, err := home.Find(context.Background(), tracelog.Query{ID: id}); err == nil || !strings.Contains(err.Error(), home.Name()) {
				t.Errorf("id %.10q: got %v", id, err)
			}
		})
	}
}

func TestOptionsAreChecked(t *testing.T) {
	tests := map[string]struct {
		change func(*LokiOptions)
		says   string
	}{
		"no name":         {func(o *LokiOptions) { o.Name = "" }, "give it one"},
		"no URL":          {func(o *LokiOptions) { o.URL = "" }, "http://host:port"},
		"not a URL":       {func(o *LokiOptions) { o.URL = "http://u:hunter2@host:port" }, "http://host:port"},
		"a file":          {func(o *LokiOptions) { o.URL = "file:///etc/passwd" }, "http://host:port"},
		"no client":       {func(o *LokiOptions) { o.Client = nil }, "no HTTP client"},
		"no keys":         {func(o *LokiOptions) { o.Keys = nil }, "name the fields"},
		"an empty link":   {func(o *LokiOptions) { o.Links = []string{""} }, "remove it"},
		"a hostile key":   {func(o *LokiOptions) { o.Keys = []string{`a"] or [`} }, "cannot be asked for"},
		"a hostile role":  {func(o *LokiOptions) { o.Roles.Status = "a\nb" }, "cannot be asked for"},
		"no selector":     {func(o *LokiOptions) { o.Selector = "" }, `{app="codex"}`},
		"not a selector":  {func(o *LokiOptions) { o.Selector = `app="codex"` }, `{app="codex"}`},
		"everything fine": {func(*LokiOptions) {}, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			o := LokiOptions{Options: lineOptions("http://127.0.0.1:1"), Selector: `{app="codex"}`}
			test.change(&o)
			_, err := NewLoki(o)
			switch {
			case test.says == "" && err == nil:
			case err == nil, test.says == "", !strings.Contains(err.Error(), test.says), strings.Contains(err.Error(), "hunter2"):
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestABackendWithoutRolesCannotPick(t *testing.T) {
	at := serve(t, func(_ http.ResponseWriter, r *http.Request) { t.Errorf("asked %s", r.URL) })
	without := func(o *Options) { o.Roles = tracelog.Roles{} }
	eachHome(t, at, without, func(t *testing.T, home tracelog.Home) {
		picks := []tracelog.Pick{{By: tracelog.PickToolCall}, {By: "luck"}}
		switch home.(type) {
		case *Loki, *VictoriaLogs:
			picks = append(picks, tracelog.Pick{By: tracelog.PickSlowest}, tracelog.Pick{By: tracelog.PickFailing})
		}
		for _, p := range picks {
			p.At, p.N = noon, 5
			if _, err := home.Pick(context.Background(), p); !errors.Is(err, tracelog.ErrCannotPick) {
				t.Errorf("pick by %s: %v", p.By, err)
			}
		}
	})
}
