// How many notifications a second are written down, and how many are folded
// into incidents.

package bench

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/gorilla/mux"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"
	logrustest "github.com/sirupsen/logrus/hooks/test"

	"triagebot/triage"
	"triagebot/triage/incident"
	"triagebot/triage/receive"
	"triagebot/triage/store"
	"triagebot/triage/store/storetest"
)

// databases are those that triagebot runs on; both sync at every commit.
var databases = []struct {
	name string
	open func(b *testing.B) store.Options
}{
	{"sqlite", func(b *testing.B) store.Options {
		return store.Options{SQLitePath: filepath.Join(b.TempDir(), "triagebot.db")}
	}},
	{"postgres", func(b *testing.B) store.Options { return storetest.Durable(b) }},
}

// perLoad are the notifications of one measurement.
const perLoad = 6400

// BenchmarkAcknowledge posts at 32 connections to the bare handler and then to
// the real one, with nobody folding: the database has its writer for itself.
func BenchmarkAcknowledge(b *testing.B) {
	for _, d := range databases {
		for _, alerts := range []int{1, 20} {
			b.Run(fmt.Sprintf("%s/alerts=%d", d.name, alerts), func(b *testing.B) {
				bodies := groupBodies(b, groups, alerts)
				var bare, ours load
				for b.Loop() {
					bare.add(driveBare(b, bodies))
					r := newReceiver(b, d.open(b))
					ours.add(drive(b, r.address, bodies, perLoad))
					r.close()
				}
				report(b, bare, ours)
			})
		}
	}
}

// BenchmarkFold posts while the correlator folds, then waits until the
// backlog is empty. The first notification of each group opens an incident; the
// others repeat it.
func BenchmarkFold(b *testing.B) {
	for _, d := range databases {
		for _, alerts := range []int{1, 20} {
			b.Run(fmt.Sprintf("%s/alerts=%d", d.name, alerts), func(b *testing.B) {
				bodies := groupBodies(b, groups, alerts)
				var bare, ours load
				var folding time.Duration
				for b.Loop() {
					bare.add(driveBare(b, bodies))
					r := newReceiver(b, d.open(b))
					start := time.Now()
					folded := r.fold(b)
					ours.add(drive(b, r.address, bodies, perLoad))
					folded()
					folding += time.Since(start)
					r.close()
				}
				report(b, bare, ours)
				b.ReportMetric(float64(len(ours.latencies))/folding.Seconds(), "folded/s")
			})
		}
	}
}

func driveBare(b *testing.B, bodies [][]byte) load {
	b.Helper()
	server := httptest.NewServer(newBareHandler(b))
	defer server.Close()
	return drive(b, server.Listener.Addr().String(), bodies, perLoad)
}

func report(b *testing.B, bare, ours load) {
	b.Helper()
	b.ReportMetric(0, "ns/op") // of a whole load: it says nothing
	b.ReportMetric(ours.perSecond(), "acks/s")
	b.ReportMetric(ours.p99(), "ms-p99")
	b.ReportMetric(bare.perSecond(), "bare-acks/s")
	b.ReportMetric(bare.p99(), "bare-ms-p99")
	b.ReportMetric(ours.perSecond()/bare.perSecond(), "ratio-to-bare")
}

// receiver is the way in: the webhook's handler, the group commit and the
// database, put together as the program does.
type receiver struct {
	db      *store.DB
	address string
	log     *logrus.Logger
	close   func()
}

func newReceiver(b *testing.B, where store.Options) *receiver {
	b.Helper()
	log, _ := logrustest.NewNullLogger()
	where.MaxBacklog, where.Log = 1_000_000, log
	db, err := store.Open(b.Context(), where)
	if err != nil {
		b.Fatal(err)
	}
	registry := prometheus.NewRegistry()
	group := receive.NewGroupCommitter(receive.GroupOptions{Committer: db, Log: log, Registerer: registry})
	stop := inBackground(group.Run)
	router := mux.NewRouter()
	receive.NewHandler(receive.Options{Ingester: group, Log: log, Registerer: registry}).Register(router)
	server := httptest.NewServer(router)
	return &receiver{db: db, address: server.Listener.Addr().String(), log: log, close: func() {
		server.Close()
		if err := errors.Join(stop(), db.Close()); err != nil {
			b.Error(err)
		}
	}}
}

// inBackground runs service until the returned function is called.
func inBackground(service func(context.Context) error) (stop func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- service(ctx) }()
	return func() error {
		cancel()
		return <-ended
	}
}

// fold starts a correlator. The returned function waits until it has folded
// all that is there, and stops it.
func (r *receiver) fold(b *testing.B) (wait func()) {
	b.Helper()
	never := func(context.Context, int64) error { return nil }
	if _, err := r.db.NewJobs(store.JobsOptions{ReplicaID: "bench", Run: never, Publish: never, Log: r.log}); err != nil {
		b.Fatal(err)
	}
	correlator := incident.New(incident.Options{
		Store: r.db,
		Settings: func() incident.Settings {
			return incident.Settings{ReopenWithin: 15 * time.Minute, AlertTTL: 24 * time.Hour, RerunAfter: 5 * time.Minute, EditEvery: 5 * time.Second}
		},
		Playbook: func(triage.Labels) (string, bool) { return "plain", true },
		Destinations: func(triage.Labels) []triage.Destination {
			return []triage.Destination{{Notifier: "slack", Channel: "#incidents"}}
		},
		Parent: incident.Parent{Fallback: "fallback"},
		Log:    r.log,
	})
	stop := inBackground(correlator.Run)
	return func() {
		again := time.NewTicker(5 * time.Millisecond)
		defer again.Stop()
		for n := -1; n != 0; <-again.C {
			var err error
			if n, _, err = r.db.Backlog(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
		if err := stop(); err != nil {
			b.Error(err)
		}
		states, err := r.db.NotificationStates(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		if states["done"] != perLoad {
			b.Fatalf("notifications by state: %v, want %d done", states, perLoad)
		}
	}
}
