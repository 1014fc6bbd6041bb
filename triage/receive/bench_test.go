package receive

// How many durable acknowledgements a second: the handler with its group
// commit, beside the least that could do the same, a bare handler that decodes
// and appends to a file with one fsync per group. The storage behind the
// handler is a file as well, so that the two differ only in this package.

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/mux"
)

// connections is how many senders post at once.
const connections = 32

func BenchmarkAcknowledge(b *testing.B) {
	for _, alerts := range []int{1, 20} {
		b.Run(fmt.Sprintf("alerts=%d", alerts), func(b *testing.B) {
			body := bodyOf(b, alerts)
			var bare, ours load
			for b.Loop() {
				bare.add(drive(b, bareHandler(b), body))
				ours.add(drive(b, groupHandler(b), body))
			}
			b.ReportMetric(ours.perSecond(), "acks/s")
			b.ReportMetric(float64(ours.p99().Microseconds())/1000, "ms-p99")
			b.ReportMetric(bare.perSecond(), "bare-acks/s")
			b.ReportMetric(float64(bare.p99().Microseconds())/1000, "bare-ms-p99")
			b.ReportMetric(ours.perSecond()/bare.perSecond(), "ratio-to-bare")
		})
	}
}

// load is what was measured of one handler.
type load struct {
	took      time.Duration
	latencies []time.Duration
}

func (l *load) add(other load) {
	l.took += other.took
	l.latencies = append(l.latencies, other.latencies...)
}

func (l *load) perSecond() float64 { return float64(len(l.latencies)) / l.took.Seconds() }

func (l *load) p99() time.Duration {
	slices.Sort(l.latencies)
	return l.latencies[len(l.latencies)*99/100]
}

// drive posts body over loopback from all connections at once.
func drive(b *testing.B, h http.Handler, body []byte) load {
	b.Helper()
	const perConnection = 100
	server := httptest.NewServer(h)
	defer server.Close()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: connections}}
	defer client.CloseIdleConnections()

	latencies := make([][]time.Duration, connections)
	start := time.Now()
	var wg sync.WaitGroup
	for c := range connections {
		wg.Go(func() {
			for range perConnection {
				sent := time.Now()
				resp, err := client.Post(server.URL+Path, "application/json", bytes.NewReader(body))
				if err != nil {
					b.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
				if resp.StatusCode != http.StatusOK {
					b.Errorf("status %d", resp.StatusCode)
					return
				}
				latencies[c] = append(latencies[c], time.Since(sent))
			}
		})
	}
	wg.Wait()
	return load{took: time.Since(start), latencies: slices.Concat(latencies...)}
}

func newFile(b *testing.B) *os.File {
	b.Helper()
	f, err := os.Create(filepath.Join(b.TempDir(), "notifications"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = f.Close() })
	return f
}

// fileCommitter appends batches to a file.
type fileCommitter struct{ file *os.File }

func (c fileCommitter) CommitNotifications(_ context.Context, batch []Raw) error {
	var buf bytes.Buffer
	for _, raw := range batch {
		buf.Write(raw.Body)
		buf.WriteByte('\n')
	}
	if _, err := c.file.Write(buf.Bytes()); err != nil {
		return err
	}
	return c.file.Sync()
}

func groupHandler(b *testing.B) http.Handler {
	b.Helper()
	group := NewGroupCommitter(GroupOptions{Committer: fileCommitter{newFile(b)}})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = group.Run(ctx) }()
	b.Cleanup(func() { cancel(); <-ended })
	router := mux.NewRouter()
	NewHandler(Options{
		Ingester: group,
		Auth:     func() Credentials { return Credentials{} },
	}).Register(router)
	return router
}

// bareHandler decodes, appends and syncs, and bounds nothing.
func bareHandler(b *testing.B) http.Handler {
	b.Helper()
	file := newFile(b)
	var (
		mu      sync.Mutex // guards written, and the order of appends
		written int        // bytes appended
		synced  int        // bytes known to be on disk
		syncMu  sync.Mutex // guards synced
	)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		var msg Message
		if err := json.Unmarshal(body, &msg); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		mu.Lock()
		n, err := file.Write(append(body, '\n'))
		written += n
		mine := written
		mu.Unlock()
		if err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		// The first to come syncs for all who have appended by then.
		syncMu.Lock()
		defer syncMu.Unlock()
		if synced >= mine {
			return
		}
		mu.Lock()
		upTo := written
		mu.Unlock()
		if err := file.Sync(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		synced = upTo
	})
}
