// The scripted channel and the incidents that the tests owe to it.

package outbox

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"triagebot/notifiers"
	"triagebot/triage"
	"triagebot/triage/store"
	"triagebot/triage/store/storetest"
)

// message is what the channel shows.
type message struct {
	channel, nonce, key string
	text                string // of the body shown now
	edits               int
	at                  time.Time
	thread              string
	mayRepeat           bool // said in it
}

// channelCall is one call of the notifier, as a script sees it.
type channelCall struct {
	*triage.Delivery
	n int // calls of Send before this one
}

// fakeChannel is a notifier whose messages stay when its workers die.
type fakeChannel struct {
	mu       sync.Mutex
	messages []*message
	sends    int
	finds    []time.Time

	// before may refuse a call; after may fail one whose message is shown.
	before, after func(ctx context.Context, c channelCall) error
	find          func(d *triage.Delivery) error
}

func (f *fakeChannel) Send(ctx context.Context, d *triage.Delivery, checkpoint func(string) error) (notifiers.Receipt, error) {
	f.mu.Lock()
	call := channelCall{d, f.sends}
	f.sends++
	before, after := f.before, f.after
	f.mu.Unlock()
	if before != nil {
		if err := before(ctx, call); err != nil {
			return notifiers.Receipt{}, err
		}
	}
	if d.Kind == triage.DeliveryFile {
		if err := checkpoint("uploaded"); err != nil {
			return notifiers.Receipt{}, &notifiers.Error{Reason: notifiers.Transient, Err: err}
		}
	}
	r := notifiers.Receipt{Remote: f.show(d)}
	if after != nil {
		return r, after(ctx, call)
	}
	return r, nil
}

func (f *fakeChannel) show(d *triage.Delivery) triage.RemoteRef {
	f.mu.Lock()
	defer f.mu.Unlock()
	if d.Remote.ID != "" {
		i, _ := strconv.Atoi(d.Remote.ID)
		f.messages[i].text, f.messages[i].edits = textOf(d), f.messages[i].edits+1
		return d.Remote
	}
	f.messages = append(f.messages, &message{
		channel: d.Channel, nonce: d.Nonce, key: d.Key, text: textOf(d), at: time.Now(), thread: d.Thread.ID, mayRepeat: !d.MayRepeat.IsZero(),
	})
	return triage.RemoteRef{Channel: d.Channel, ID: strconv.Itoa(len(f.messages) - 1)}
}

func (f *fakeChannel) Find(_ context.Context, d *triage.Delivery) (notifiers.Receipt, bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.finds = append(f.finds, time.Now())
	if f.find != nil {
		if err := f.find(d); err != nil {
			return notifiers.Receipt{}, false, err
		}
	}
	for i, m := range f.messages {
		if m.nonce == d.Nonce {
			return notifiers.Receipt{Remote: triage.RemoteRef{Channel: m.channel, ID: strconv.Itoa(i)}}, true, nil
		}
	}
	return notifiers.Receipt{}, false, nil
}

// script replaces what refuses calls.
func (f *fakeChannel) script(before func(ctx context.Context, c channelCall) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.before = before
}

// calls is how often Send was called.
func (f *fakeChannel) calls() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.sends
}

// looks are the instants at which Find was called.
func (f *fakeChannel) looks() []time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.finds)
}

// shown is what the channel shows now.
func (f *fakeChannel) shown() []message {
	f.mu.Lock()
	defer f.mu.Unlock()
	var shown []message
	for _, m := range f.messages {
		shown = append(shown, *m)
	}
	return shown
}

// first is the first message that the channel shows.
func (f *fakeChannel) first() message {
	if shown := f.shown(); len(shown) > 0 {
		return shown[0]
	}
	return message{}
}

// keys are those of the messages shown, in the channel's order.
func (f *fakeChannel) keys() []string {
	keys := []string{}
	for _, m := range f.shown() {
		keys = append(keys, m.key)
	}
	return keys
}

// threads are the messages' parents, in the channel's order.
func (f *fakeChannel) threads() []string {
	threads := []string{}
	for _, m := range f.shown() {
		threads = append(threads, m.thread)
	}
	return threads
}

func textOf(d *triage.Delivery) string {
	switch {
	case d.Body.Parent != nil:
		return d.Body.Parent.Conclusion
	case d.Body.Note != nil:
		return d.Body.Note.Text
	case d.Body.File != nil:
		return d.Body.File.Artifact.Name
	default:
		text, _ := json.Marshal(d.Body)
		return string(text)
	}
}

// world is a database, a channel, and whoever owes to it.
type world struct {
	t       *testing.T
	db      *store.DB
	channel *fakeChannel
}

// eachDatabase runs test in a bubble with its own clock, once on each database.
func eachDatabase(t *testing.T, test func(w *world)) {
	t.Helper()
	storetest.Each(t, func(t *testing.T, where store.Options) {
		synctest.Test(t, func(t *testing.T) {
			where.SharedNow = time.Now // the bubble's, not PostgreSQL's
			test(&world{t: t, db: storetest.Open(t, where), channel: &fakeChannel{}})
		})
	})
}

// tx is a transaction that must succeed.
func (w *world) tx(fn func(ctx context.Context, tx *store.Tx) error) {
	w.t.Helper()
	ctx := context.Background()
	if err := w.db.Tx(ctx, func(tx *store.Tx) error { return fn(ctx, tx) }); err != nil {
		w.t.Fatal(err)
	}
}

// open opens an incident and owes its parent message to a channel.
func (w *world) open(channel string, priority int) int64 {
	w.t.Helper()
	inc := triage.Incident{Key: rand.Text(), Alertname: "HighLatency", State: triage.IncidentFiring, OpenedAt: time.Now()}
	w.tx(func(ctx context.Context, tx *store.Tx) error {
		if err := tx.OpenIncident(ctx, &inc); err != nil {
			return err
		}
		return tx.OweParent(ctx, inc.ID, chat(channel), triage.ParentPost{IncidentID: inc.ID, Conclusion: "first"}, priority, time.Now())
	})
	return inc.ID
}

func chat(channel string) triage.Destination {
	return triage.Destination{Notifier: "chat", Channel: channel}
}

// edit owes a change of the parent message, not before delay has passed.
func (w *world) edit(incident int64, text string, delay time.Duration) {
	w.t.Helper()
	w.tx(func(ctx context.Context, tx *store.Tx) error {
		return tx.OweParent(ctx, incident, chat("ops"), triage.ParentPost{IncidentID: incident, Conclusion: text}, triage.PriorityProgress, time.Now().Add(delay))
	})
}

// reply owes a note in the incident's thread.
func (w *world) reply(incident int64, name string, priority int) {
	w.t.Helper()
	w.owe(incident, name, triage.Post{Note: &triage.NotePost{IncidentID: incident, Text: name}}, priority)
}

// file owes an upload into the incident's thread.
func (w *world) file(incident int64, name string) {
	w.t.Helper()
	w.owe(incident, name, triage.Post{File: &triage.FilePost{IncidentID: incident, Artifact: triage.EvidenceRef{Name: name}}}, triage.PriorityFile)
}

func (w *world) owe(incident int64, name string, post triage.Post, priority int) {
	w.t.Helper()
	w.tx(func(ctx context.Context, tx *store.Tx) error {
		return tx.OweReply(ctx, incident, chat("ops"), keyOf(incident, name), post, priority)
	})
}

// notice owes a message on its own, in another channel.
func (w *world) notice(incident int64, name, channel string) {
	w.t.Helper()
	post := triage.Post{Escalation: &triage.EscalationPost{IncidentID: incident, To: name}}
	w.tx(func(ctx context.Context, tx *store.Tx) error {
		return tx.OweNotice(ctx, incident, chat(channel), keyOf(incident, name), post, triage.PriorityEscalation)
	})
}

func keyOf(incident int64, name string) string { return fmt.Sprintf("incident/%d/%s", incident, name) }

// work runs a worker until stop is called.
func (w *world) work(owner string, with ...func(*Options)) (stop func()) {
	w.t.Helper()
	opts := Options{Store: w.db, Notifiers: map[string]notifiers.Notifier{"chat": w.channel}, Owner: owner}
	for _, f := range with {
		f(&opts)
	}
	o, err := New(opts)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := o.Run(ctx); err != nil {
			w.t.Errorf("Run: %v", err)
		}
	}()
	return func() {
		cancel()
		<-ended
	}
}

// elapse lets the bubble's clock go on, and with it the workers.
func elapse(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// deliveries are the incident's, by the last part of their key.
func (w *world) deliveries(incident int64) map[string]triage.Delivery {
	w.t.Helper()
	list, err := w.db.DeliveriesOf(context.Background(), incident)
	if err != nil {
		w.t.Fatal(err)
	}
	byName := map[string]triage.Delivery{}
	for _, d := range list {
		byName[path.Base(d.Key)] = d
	}
	return byName
}

// states are what became of the incident's deliveries.
func (w *world) states(incident int64) map[string]triage.DeliveryState {
	w.t.Helper()
	states := map[string]triage.DeliveryState{}
	for name, d := range w.deliveries(incident) {
		states[name] = d.State
	}
	return states
}

// timeline is what the incident's log says.
func (w *world) timeline(incident int64) []string {
	w.t.Helper()
	entries, err := w.db.Timeline(context.Background(), incident)
	if err != nil {
		w.t.Fatal(err)
	}
	var texts []string
	for _, e := range entries {
		texts = append(texts, e.Text)
	}
	return texts
}

// expect compares and reports the difference.
func expect[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}
