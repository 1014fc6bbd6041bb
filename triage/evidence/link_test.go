package evidence

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/mux"
)

// site serves a bundle as triagebot does; now may be moved.
type site struct {
	signer *Signer
	router *mux.Router
	view   View
	dir    string
	now    time.Time
}

func newSite(t *testing.T, authorized func(*http.Request) bool) *site {
	t.Helper()
	store, dir, _, view := testBundle(t, true)
	s := &site{router: mux.NewRouter(), view: view, dir: dir, now: testTime}
	s.signer = &Signer{Key: bytes.Repeat([]byte{7}, KeySize), BaseURL: "https://triage.example/", TTL: time.Hour, Now: func() time.Time { return s.now }}
	h, err := NewHandler(HandlerOptions{Store: store, Signer: s.signer, Authorized: authorized})
	if err != nil {
		t.Fatal(err)
	}
	h.Register(s.router)
	return s
}

func (s *site) request(method, link string) *http.Response {
	rec := httptest.NewRecorder()
	s.router.ServeHTTP(rec, httptest.NewRequest(method, link, nil))
	return rec.Result()
}

func bodyOf(t *testing.T, resp *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestASignedLinkOpensItsFile(t *testing.T) {
	s := newSite(t, nil)
	for _, tc := range []struct{ name, mediaType, disposition string }{
		{s.view.Evidence[0].Name, "application/json", "inline"},
		{s.view.Evidence[1].Name, "image/png", "inline"},
		{s.view.Evidence[2].Name, "text/plain; charset=utf-8", "inline"},
		{ReportName, "text/markdown; charset=utf-8", "inline"},
		{TimelineName, "application/x-ndjson", "inline"},
		{ManifestName, "application/json", "inline"},
	} {
		link := s.signer.URL(42, tc.name)
		if !strings.HasPrefix(link, "https://triage.example/evidence/42/"+tc.name+"?exp=") {
			t.Errorf("link %s", link)
		}
		resp := s.request(http.MethodGet, link)
		want := readFile(t, filepath.Join(s.dir, filepath.FromSlash(tc.name)))
		if got := bodyOf(t, resp); resp.StatusCode != http.StatusOK || got != string(want) {
			t.Errorf("%s: %s %.80q", tc.name, resp.Status, got)
		}
		for header, want := range map[string]string{
			"Content-Type":           tc.mediaType,
			"Content-Disposition":    tc.disposition + "; filename=" + filepath.Base(tc.name),
			"X-Content-Type-Options": "nosniff",
			"Referrer-Policy":        "no-referrer",
			"Cache-Control":          "private, max-age=60",
		} {
			if got := resp.Header.Get(header); got != want {
				t.Errorf("%s: %s is %q, want %q", tc.name, header, got, want)
			}
		}
		if csp := resp.Header.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "sandbox;") {
			t.Errorf("%s: policy %q", tc.name, csp)
		}
		head := s.request(http.MethodHead, link)
		if got := bodyOf(t, head); head.StatusCode != http.StatusOK || got != "" || head.ContentLength != int64(len(want)) {
			t.Errorf("HEAD %s: %s, %d bytes announced, body %q", tc.name, head.Status, head.ContentLength, got)
		}
	}
}

func TestACapturedPageIsSavedNotShown(t *testing.T) {
	for mediaType, want := range map[string]string{
		"text/html; charset=utf-8": "attachment", "application/octet-stream": "attachment",
		"image/svg+xml": "inline", "text/csv; charset=utf-8": "inline",
	} {
		if got := disposition(mediaType); got != want {
			t.Errorf("%s: %s, want %s", mediaType, got, want)
		}
	}
}

func TestALinkThatWasTamperedWithOpensNothing(t *testing.T) {
	s := newSite(t, nil)
	name := s.view.Evidence[0].Name
	link, err := url.Parse(s.signer.URL(42, name))
	if err != nil {
		t.Fatal(err)
	}
	other := &Signer{Key: bytes.Repeat([]byte{8}, KeySize), TTL: time.Hour, Now: s.signer.Now}
	with := func(path string, change func(url.Values)) string {
		q := link.Query()
		change(q)
		return path + "?" + q.Encode()
	}
	same := func(url.Values) {}
	for _, tc := range []struct {
		what, link string
		status     int
	}{
		{"as it is", with(link.Path, same), 200},
		{"no signature", link.Path, 403},
		{"an empty signature", with(link.Path, func(q url.Values) { q.Set("sig", "") }), 403},
		{"a flipped signature", with(link.Path, func(q url.Values) { q.Set("sig", "A"+q.Get("sig")[1:]+"") }), 403},
		{"a signature cut short", with(link.Path, func(q url.Values) { q.Set("sig", q.Get("sig")[:22]) }), 403},
		{"a signature with more behind it", with(link.Path, func(q url.Values) { q.Set("sig", q.Get("sig")+"AAAA") }), 403},
		{"a later expiry", with(link.Path, func(q url.Values) { q.Set("exp", "9999999999") }), 403},
		{"an expiry that is no number", with(link.Path, func(q url.Values) { q.Set("exp", "soon") }), 403},
		{"an expiry too large", with(link.Path, func(q url.Values) { q.Set("exp", "99999999999999999999") }), 403},
		{"no expiry", with(link.Path, func(q url.Values) { q.Del("exp") }), 403},
		{"another file", with("/evidence/42/"+s.view.Evidence[1].Name, same), 403},
		{"another incident", with("/evidence/43/"+name, same), 403},
		{"the list", with("/evidence/42/", same), 403},
		{"another key", other.URL(42, name), 403},
		{"a file that is not there", s.signer.URL(42, "runs/9/none.json"), 404},
		{"a folder", s.signer.URL(42, "runs"), 404},
		{"the list of an incident without a bundle", s.signer.URL(7, ""), 404},
		{"no number", "/evidence/x/report.md", 404},
		{"a name that leads out, signed", s.signer.URL(42, "%2e%2e/%2e%2e/etc/passwd"), 301},
		{"a backslash, signed", s.signer.URL(42, "..%5cx"), 403},
	} {
		resp := s.request(http.MethodGet, strings.TrimPrefix(tc.link, "https://triage.example"))
		if text := bodyOf(t, resp); resp.StatusCode != tc.status {
			t.Errorf("%s: %s %q, want %d", tc.what, resp.Status, text, tc.status)
		}
	}
	if resp := s.request(http.MethodPost, link.String()); resp.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST: %s", resp.Status)
	}
}

func TestAnExpiredLinkSaysHowToGetANewOne(t *testing.T) {
	s := newSite(t, nil)
	link := s.signer.URL(42, ReportName)
	s.now = s.now.Add(time.Hour - time.Second)
	if resp := s.request(http.MethodGet, link); resp.StatusCode != http.StatusOK {
		t.Errorf("a second before it expires: %s", resp.Status)
	}
	s.now = s.now.Add(time.Second)
	resp := s.request(http.MethodGet, link)
	if text := bodyOf(t, resp); resp.StatusCode != http.StatusGone || !strings.Contains(text, "running the playbook again") {
		t.Errorf("expired: %s %q", resp.Status, text)
	}
	if got := resp.Header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("the refusal may be cached: %q", got)
	}
}

func TestWhoIsAuthorizedNeedsNoSignature(t *testing.T) {
	s := newSite(t, func(r *http.Request) bool { return r.URL.Query().Get("as") == "bob" })
	for link, want := range map[string]int{
		"/evidence/42/report.md?as=bob": 200, "/evidence/42/?as=bob": 200, "/evidence/42/report.md": 403,
		"/evidence/42/none.md?as=bob": 404, "/evidence/42/runs%5C9?as=bob": 404, s.signer.URL(42, ReportName): 200,
	} {
		if resp := s.request(http.MethodGet, link); resp.StatusCode != want {
			t.Errorf("%s: %s, want %d", link, resp.Status, want)
		}
	}
}

func TestTheListLinksToEveryFile(t *testing.T) {
	s := newSite(t, nil)
	if err := os.WriteFile(filepath.Join(s.dir, ".hidden"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	resp := s.request(http.MethodGet, s.signer.URL(42, ""))
	page := bodyOf(t, resp)
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Fatalf("%s %s", resp.Status, resp.Header.Get("Content-Type"))
	}
	for _, want := range []string{s.view.Evidence[0].SHA256, "GET http://app/readyz", "Start with"} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q in the page:\n%s", want, page)
		}
	}
	links := regexp.MustCompile(`href="([^"]+)"`).FindAllStringSubmatch(page, -1)
	if len(links) != 2+6 {
		t.Errorf("%d links:\n%s", len(links), page)
	}
	// The links stop working when the list's own does.
	for _, at := range []struct {
		now    time.Time
		status int
	}{{testTime.Add(time.Hour - time.Second), 200}, {testTime.Add(time.Hour), 410}} {
		s.now = at.now
		for _, l := range links {
			link := "/evidence/42/" + strings.ReplaceAll(l[1], "&amp;", "&")
			if resp := s.request(http.MethodGet, link); resp.StatusCode != at.status {
				t.Errorf("%s: %s, want %d", link, resp.Status, at.status)
			}
		}
	}
}

func TestTheListOfABundleThatIsNotPublishedYet(t *testing.T) {
	s := newSite(t, func(*http.Request) bool { return true })
	for _, name := range []string{ManifestName, ReportName, TimelineName} {
		if err := os.Remove(filepath.Join(s.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	page := bodyOf(t, s.request(http.MethodGet, "/evidence/42/"))
	if !strings.Contains(page, "The report is written when the first run has ended.") || !strings.Contains(page, s.view.Evidence[0].Name) {
		t.Errorf("page:\n%s", page)
	}
}

func TestASignerThatIsNotSetUpIsRefused(t *testing.T) {
	for _, signer := range []*Signer{{TTL: time.Hour}, {Key: make([]byte, 16), TTL: time.Hour}, {Key: make([]byte, KeySize)}} {
		if _, err := NewHandler(HandlerOptions{Signer: signer}); err == nil {
			t.Errorf("a handler with a key of %d bytes and a TTL of %s", len(signer.Key), signer.TTL)
		}
	}
}
