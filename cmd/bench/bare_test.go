// The yardstick: the least that could do the same.

package bench

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"triagebot/triage/receive"
)

// bareHandler decodes a notification, appends it to a file, and answers when
// the file is synced, once for all who have appended by then. It bounds
// nothing, counts nothing, and nobody reads its file.
type bareHandler struct {
	file *os.File

	mu      sync.Mutex // guards written, and the order of appends
	written int        // bytes appended
	syncMu  sync.Mutex // guards synced
	synced  int        // bytes known to be on disk
}

func newBareHandler(b *testing.B) *bareHandler {
	b.Helper()
	f, err := os.Create(filepath.Join(b.TempDir(), "notifications"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = f.Close() })
	return &bareHandler{file: f}
}

func (h *bareHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	var msg receive.Message
	if err := json.Unmarshal(body, &msg); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if err := h.append(append(body, '\n')); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
	}
}

func (h *bareHandler) append(line []byte) error {
	h.mu.Lock()
	n, err := h.file.Write(line)
	h.written += n
	mine := h.written
	h.mu.Unlock()
	if err != nil {
		return err
	}
	h.syncMu.Lock()
	defer h.syncMu.Unlock()
	if h.synced >= mine {
		return nil
	}
	h.mu.Lock()
	upTo := h.written
	h.mu.Unlock()
	if err := h.file.Sync(); err != nil {
		return err
	}
	h.synced = upTo
	return nil
}
