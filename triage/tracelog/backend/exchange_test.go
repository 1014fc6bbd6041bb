// Recorded exchanges: what a real server answered, and a server that answers
// it again to the same requests.

package backend

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// exchange is a request and its answer.
type exchange struct {
	Path   string              `json:"path"`
	Params map[string][]string `json:"params"`
	Status int                 `json:"status"`
	Body   json.RawMessage     `json:"body"` // a string where it is no JSON
}

// bytes are the body as it was sent.
func (e *exchange) bytes() []byte {
	var text string
	if json.Unmarshal(e.Body, &text) == nil {
		return []byte(text)
	}
	return e.Body
}

func recordingPath(kind, name string) string {
	return filepath.Join("testdata", kind, name+".json")
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
