//go:build !e2ebackends

// A server that answers what a real one did to the same requests.

package backend

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// loki answers as the real server did for the test of that name.
func loki(t *testing.T, name string) string {
	t.Helper()
	return replay(t, "loki", name)
}

// bytes are the body as it was sent.
func (e *exchange) bytes() []byte {
	var text string
	if json.Unmarshal(e.Body, &text) == nil {
		return []byte(text)
	}
	return e.Body
}

// replay serves the recorded exchanges in their order, and fails the test when
// it is asked for anything else or not for all of them.
func replay(t *testing.T, kind, name string) string {
	t.Helper()
	data, err := os.ReadFile(recordingPath(kind, name))
	if err != nil {
		t.Fatalf("%v; `make e2e-backends` records it", err)
	}
	var exchanges []exchange
	if err := json.Unmarshal(data, &exchanges); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if len(exchanges) == 0 {
			t.Errorf("one request too many: %s", r.URL)
			w.WriteHeader(http.StatusTeapot)
			return
		}
		e := exchanges[0]
		exchanges = exchanges[1:]
		asked := exchange{Path: r.URL.Path, Params: r.URL.Query()}
		if diff := cmp.Diff(exchange{Path: e.Path, Params: e.Params}, asked); r.Method != http.MethodGet || diff != "" {
			t.Errorf("%s is not the recorded request (-recorded +asked):\n%s", r.Method, diff)
			w.WriteHeader(http.StatusTeapot)
			return
		}
		w.WriteHeader(e.Status)
		w.Write(e.bytes())
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() {
		if len(exchanges) > 0 && !t.Failed() {
			t.Errorf("%d recorded requests were not made, the first %s %v", len(exchanges), exchanges[0].Path, url.Values(exchanges[0].Params))
		}
	})
	return server.URL
}
