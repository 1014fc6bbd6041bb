package maintenance_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"triagebot/triage"
	"triagebot/triage/maintenance"
	"triagebot/triage/store"
	"triagebot/triage/store/storetest"
)

var (
	alice = triage.Actor{Via: triage.ViaSlack, Team: "T1", ID: "U1", Name: "alice"}
	bob   = triage.Actor{Via: triage.ViaSlack, Team: "T1", ID: "U2", Name: "bob"}
	ops   = triage.Destination{Notifier: "slack", Channel: "#incidents"}
	t0    = time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
)

// errKilled is what a fake panics with where a test ends the process.
var errKilled = errors.New("killed")

// app is the service whose maintenance it is: its flag, its metric, its
// readiness, and what a test has go wrong with each.
type app struct {
	mu      sync.Mutex
	flag    bool
	now     func() time.Time
	lag     time.Duration // from a change of the flag until the metric says so, as scraping makes it
	changed time.Time     // when the flag was
	frozen  bool          // the metric stays at what it says
	metric  bool          // what it says
	blind   error         // the metric cannot be read
	notOK   error         // the readiness
	answers []func(ctx context.Context, a *app, on bool) (string, error)
	calls   []string // on or off, and the key
	points  int      // reached so far; see at
	killAt  int      // the point at which the process ends; 0 for none
}

// at is a point at which the process may be killed: before and after everything
// that the worker asks of the world. Between two of them it commits at most once.
func (a *app) at() {
	if a.points++; a.points == a.killAt {
		panic(errKilled)
	}
}

// obeys is a toggle that works.
func obeys(_ context.Context, a *app, on bool) (string, error) {
	a.flag, a.changed = on, a.now()
	return "answered 200", nil
}

func (a *app) Switch(ctx context.Context, on bool, key string) (string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.at()
	a.calls = append(a.calls, fmt.Sprintf("%t %s", on, key))
	do := obeys
	if len(a.answers) > 0 {
		do, a.answers = a.answers[0], a.answers[1:]
	}
	answer, err := do(ctx, a, on)
	a.at()
	return answer, err
}

func (a *app) called(on bool) (n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, c := range a.calls {
		if strings.HasPrefix(c, fmt.Sprint(on)) {
			n++
		}
	}
	return n
}

func (a *app) String() string { return "POST http://app.example/maintenance" }

type flagMetric struct{ *app }

func (m flagMetric) On(context.Context) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.at()
	if !m.frozen && m.now().Sub(m.changed) >= m.lag {
		m.metric = m.flag
	}
	on, err := m.metric, m.blind
	m.at()
	return on, err
}

func (flagMetric) String() string { return "codex_maintenance_mode" }

type probe struct{ *app }

func (p probe) Ready(context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at()
	return p.notOK
}

func (probe) String() string { return "GET http://app.example/readyz" }

// world is a service on a database of its own, with a clock that the test moves.
type world struct {
	*testing.T
	where    store.Options
	db       *store.DB
	app      *app
	s        *maintenance.Service
	opts     maintenance.Options
	incident int64

	mu       sync.Mutex
	now      time.Time
	requests int
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

// each tells a story on each kind of database.
func each(t *testing.T, change func(o *maintenance.Options), story func(w *world)) {
	t.Helper()
	storetest.Each(t, func(t *testing.T, where store.Options) { story(newWorld(t, where, change)) })
}

// on tells it on SQLite alone: for stories in which the database plays no part.
func on(t *testing.T, change func(o *maintenance.Options), story func(w *world)) {
	t.Helper()
	story(newWorld(t, store.Options{SQLitePath: t.TempDir() + "/triagebot.db"}, change))
}

func newWorld(t *testing.T, where store.Options, change func(o *maintenance.Options)) *world {
	t.Helper()
	w := &world{T: t, now: t0, app: &app{}}
	where.Now, w.app.now = w.clock, w.clock
	w.where, w.db = where, storetest.Open(t, where)
	if _, err := w.db.NewJobs(store.JobsOptions{ReplicaID: "test", Run: never, Publish: never, Log: silent()}); err != nil {
		t.Fatal(err)
	}
	inc := triage.Incident{Key: "k", Alertname: "Slow", State: triage.IncidentFiring, StartedAt: t0, OpenedAt: t0, UpdatedAt: t0}
	w.tx(func(ctx context.Context, tx *store.Tx) error { return tx.OpenIncident(ctx, &inc) })
	w.incident = inc.ID
	w.opts = maintenance.Options{
		Store: w.db, Service: "app", Destination: ops, Toggle: w.app, Metric: flagMetric{w.app}, Ready: probe{w.app},
		Mention: "<!here>", Attempts: 2, Keep: 24 * time.Hour, Now: w.clock,
		Redact: func(s string) string { return strings.ReplaceAll(s, "hunter2", "<redacted>") },
	}
	if change != nil {
		change(&w.opts)
	}
	w.restart()
	return w
}

func never(context.Context, int64) error { return nil }

func silent() *logrus.Logger {
	log := logrus.New()
	log.SetLevel(logrus.PanicLevel)
	return log
}

// restart has another process take over: nothing is left but the database.
func (w *world) restart() {
	w.Helper()
	s, err := maintenance.New(w.opts)
	if err != nil {
		w.Fatal(err)
	}
	w.s = s
}

func (w *world) tx(fn func(ctx context.Context, tx *store.Tx) error) {
	w.Helper()
	if err := w.db.Tx(w.Context(), func(tx *store.Tx) error { return fn(w.Context(), tx) }); err != nil {
		w.Fatal(err)
	}
}

// operation is one of the service's, bound to its arguments.
type operation func(ctx context.Context, tx *store.Tx, req triage.Request) (triage.Reply, error)

func (w *world) enable(length time.Duration, reason string) operation {
	return func(ctx context.Context, tx *store.Tx, req triage.Request) (triage.Reply, error) {
		return w.s.Enable(ctx, tx, req, length, reason)
	}
}

func (w *world) disable(reason string, override bool) operation {
	return func(ctx context.Context, tx *store.Tx, req triage.Request) (triage.Reply, error) {
		return w.s.Disable(ctx, tx, req, 0, reason, override)
	}
}

func (w *world) extend(by time.Duration) operation {
	return func(ctx context.Context, tx *store.Tx, req triage.Request) (triage.Reply, error) {
		return w.s.Extend(ctx, tx, req, 0, by)
	}
}

func (w *world) announce(text string) operation {
	return func(ctx context.Context, tx *store.Tx, req triage.Request) (triage.Reply, error) {
		return w.s.Announce(ctx, tx, req, text)
	}
}

func (w *world) confirm(id int64) operation {
	return func(ctx context.Context, tx *store.Tx, req triage.Request) (triage.Reply, error) {
		return w.s.Confirm(ctx, tx, req, id)
	}
}

func (w *world) cancel(id int64) operation {
	return func(ctx context.Context, tx *store.Tx, req triage.Request) (triage.Reply, error) {
		return w.s.Cancel(ctx, tx, req, id)
	}
}

func (w *world) adopt(id int64) operation {
	return func(ctx context.Context, tx *store.Tx, req triage.Request) (triage.Reply, error) {
		return w.s.Adopt(ctx, tx, req, id)
	}
}

func (w *world) status() operation {
	return func(ctx context.Context, tx *store.Tx, req triage.Request) (triage.Reply, error) {
		return w.s.Status(ctx, tx, req)
	}
}

// asks has a person ask for something in the incident's thread.
func (w *world) asks(who triage.Actor, do operation) triage.Reply {
	w.Helper()
	reply, err := w.try(who, do)
	if err != nil {
		w.Fatal(err)
	}
	if reply.Text == "" || reply.Outcome == "" {
		w.Errorf("an answer that says nothing: %+v", reply)
	}
	return reply
}

func (w *world) try(who triage.Actor, do operation) (reply triage.Reply, err error) {
	w.mu.Lock()
	w.requests++
	req := triage.Request{ID: fmt.Sprint("r", w.requests), Actor: who, Incident: w.incident, At: w.now}
	w.mu.Unlock()
	err = w.db.Tx(w.Context(), func(tx *store.Tx) error {
		reply, err = do(w.Context(), tx, req)
		return err
	})
	return reply, err
}

// is asserts what a person was answered.
func (w *world) is(reply triage.Reply, outcome triage.Outcome, text string) {
	w.Helper()
	if reply.Outcome != outcome || !strings.Contains(reply.Text, text) {
		w.Errorf("the answer is %s: %s\nwant %s with %q in it", reply.Outcome, reply.Text, outcome, text)
	}
}

// window reads the newest window.
func (w *world) window() triage.Window {
	w.Helper()
	got, err := w.db.LatestWindow(w.Context(), "app")
	if err != nil {
		w.Fatal(err)
	}
	return got
}

func (w *world) inState(want triage.WindowState) triage.Window {
	w.Helper()
	got := w.window()
	if got.State != want {
		w.Fatalf("window %d is %s, want %s", got.ID, got.State, want)
	}
	return got
}

// work is one turn of the job; more says that it wants another.
func (w *world) work() (more bool) {
	w.Helper()
	err := w.s.Work(w.Context(), w.window().ID)
	var later *store.Later
	switch {
	case err == nil:
		return false
	case errors.As(err, &later):
		w.pass(later.After)
		return true
	}
	w.Fatal(err)
	return false
}

// works has the job work to its end.
func (w *world) works() {
	w.Helper()
	for range 1000 {
		if !w.work() {
			return
		}
	}
	w.Fatal("the job does not come to an end")
}

// ticks lets time pass in the service's own steps.
func (w *world) ticks(d time.Duration) {
	w.Helper()
	for until := w.clock().Add(d); w.clock().Before(until); w.pass(10 * time.Second) {
		if err := w.s.Tick(w.Context()); err != nil {
			w.Fatal(err)
		}
	}
	if err := w.s.Tick(w.Context()); err != nil {
		w.Fatal(err)
	}
}

func (w *world) watches() {
	w.Helper()
	if err := w.s.Watch(w.Context()); err != nil {
		w.Fatal(err)
	}
}

// turnOn asks for a window of 30 minutes and has it come on.
func (w *world) turnOn() triage.Window {
	w.Helper()
	w.asks(alice, w.enable(0, "workers restart"))
	w.is(w.asks(alice, w.confirm(w.window().ID)), triage.OutcomeDone, "is being turned on")
	w.works()
	return w.inState(triage.WindowOn)
}

// told are the notes in the thread of the newest window, in order: "!" before
// one that is seen in the channel, "@" before one that pings.
func (w *world) told() (notes []string) {
	w.Helper()
	deliveries, err := w.db.DeliveriesOfWindow(w.Context(), w.window().ID)
	if err != nil {
		w.Fatal(err)
	}
	for _, d := range deliveries {
		if n := d.Body.Note; n != nil {
			mark := ""
			if n.Broadcast {
				mark += "!"
			}
			if n.Mention == "<!here>" {
				mark += "@"
			}
			notes = append(notes, mark+n.Text)
		}
	}
	return notes
}

// post is the message of the newest window; nil where there is none.
func (w *world) post() *triage.WindowPost {
	w.Helper()
	deliveries, err := w.db.DeliveriesOfWindow(w.Context(), w.window().ID)
	if err != nil {
		w.Fatal(err)
	}
	for _, d := range deliveries {
		if d.Body.Window != nil {
			return d.Body.Window
		}
	}
	return nil
}

// last asserts how the newest note begins.
func (w *world) last(want string) {
	w.Helper()
	notes := w.told()
	if len(notes) == 0 || !strings.HasPrefix(notes[len(notes)-1], want) {
		w.Errorf("the notes are %q; want the last to begin with %q", notes, want)
	}
}

// count is how many notes hold a text.
func (w *world) count(text string) (n int) {
	for _, note := range w.told() {
		if strings.Contains(note, text) {
			n++
		}
	}
	return n
}

// logged are the kinds of the newest window's log.
func (w *world) logged() (kinds []string) {
	w.Helper()
	log, err := w.db.WindowLog(w.Context(), w.window().ID)
	if err != nil {
		w.Fatal(err)
	}
	for _, e := range log {
		kinds = append(kinds, e.Kind)
	}
	return kinds
}

func commands(choices []triage.Choice) (out []string) {
	for _, c := range choices {
		out = append(out, c.Command)
	}
	return slices.Clip(out)
}
