package store_test

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"triagebot/triage"
	"triagebot/triage/store"
	"triagebot/triage/store/storetest"
)

// outboxTest is a database with a clock of its own, and one incident.
type outboxTest struct {
	t        *testing.T
	db       *store.DB
	incident int64

	mu  sync.Mutex
	now time.Time
}

var ops = triage.Destination{Notifier: "chat", Channel: "ops"}

func eachOutbox(t *testing.T, test func(o *outboxTest)) {
	t.Helper()
	storetest.Each(t, func(t *testing.T, where store.Options) {
		o := &outboxTest{t: t, now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
		where.Now = func() time.Time {
			o.mu.Lock()
			defer o.mu.Unlock()
			return o.now
		}
		where.SharedNow = where.Now
		o.db = storetest.Open(t, where)
		inc := triage.Incident{Key: rand.Text(), Alertname: "HighLatency", State: triage.IncidentFiring}
		o.tx(func(ctx context.Context, tx *store.Tx) error { return tx.OpenIncident(ctx, &inc) })
		o.incident = inc.ID
		test(o)
	})
}

func (o *outboxTest) pass(d time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.now = o.now.Add(d)
}

func (o *outboxTest) tx(fn func(ctx context.Context, tx *store.Tx) error) {
	o.t.Helper()
	ctx := context.Background()
	if err := o.db.Tx(ctx, func(tx *store.Tx) error { return fn(ctx, tx) }); err != nil {
		o.t.Fatal(err)
	}
}

// parent owes the incident's parent message.
func (o *outboxTest) parent(text string, priority int, delay time.Duration) {
	o.t.Helper()
	o.tx(func(ctx context.Context, tx *store.Tx) error {
		return tx.OweParent(ctx, o.incident, ops, triage.ParentPost{Conclusion: text}, priority, o.now.Add(delay))
	})
}

// reply owes a note in its thread.
func (o *outboxTest) reply(key string) {
	o.t.Helper()
	o.tx(func(ctx context.Context, tx *store.Tx) error {
		return tx.OweReply(ctx, o.incident, ops, key, triage.Post{Note: &triage.NotePost{Text: key}}, triage.PriorityFinding)
	})
}

func (o *outboxTest) claim(owner string) store.Claim {
	o.t.Helper()
	c, err := o.db.Claim(context.Background(), store.Hold{
		Lane: store.Lane{Notifier: "chat", Channel: "ops"}, Owner: owner, Lease: 30 * time.Second,
	})
	if err != nil {
		o.t.Fatal(err)
	}
	return c
}

// must is for what the database is told of a claimed delivery.
func (o *outboxTest) must(err error) {
	o.t.Helper()
	if err != nil {
		o.t.Fatal(err)
	}
}

// first reads the incident's parent delivery.
func (o *outboxTest) first() triage.Delivery {
	o.t.Helper()
	list, err := o.db.DeliveriesOf(context.Background(), o.incident)
	if err != nil || len(list) == 0 {
		o.t.Fatalf("%d deliveries, error %v", len(list), err)
	}
	return list[0]
}

func (o *outboxTest) show() {
	o.t.Helper()
	c := o.claim("a")
	if c.Delivery == nil {
		o.t.Fatal("nothing is due")
	}
	o.must(o.db.Delivered(context.Background(), c.Delivery, triage.RemoteRef{Channel: "C1", ID: "1.0"}, ""))
}

func TestAChangedParentIsOwedAgain(t *testing.T) {
	eachOutbox(t, func(o *outboxTest) {
		type row struct {
			Version, Sent int64
			State         triage.DeliveryState
			Priority      int
			Wait          time.Duration
			Text          string
		}
		check := func(what string, want row) {
			o.t.Helper()
			d := o.first()
			got := row{d.Version, d.SentVersion, d.State, d.Priority, 0, d.Body.Parent.Conclusion}
			if !d.NotBefore.IsZero() {
				got.Wait = d.NotBefore.Sub(o.now)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				o.t.Errorf("%s (-want +got):\n%s", what, diff)
			}
		}
		const s = time.Second
		o.parent("a", triage.PriorityParent, 0)
		check("owed first", row{1, 0, "pending", triage.PriorityParent, 0, "a"})
		o.parent("a", triage.PriorityCriticalParent, 9*s)
		check("the same body", row{1, 0, "pending", triage.PriorityParent, 0, "a"})
		o.parent("b", triage.PriorityProgress, 3*s)
		check("a change before it is shown", row{2, 0, "pending", triage.PriorityParent, 0, "b"})
		o.parent("c", triage.PriorityCriticalParent, 3*s)
		check("a more urgent one", row{3, 0, "pending", triage.PriorityCriticalParent, 0, "c"})
		o.show()
		check("shown", row{3, 3, "sent", triage.PriorityCriticalParent, 0, "c"})
		o.parent("d", triage.PriorityProgress, 3*s)
		check("an edit", row{4, 3, "pending", triage.PriorityProgress, 3 * s, "d"})
		o.pass(s)
		o.parent("e", triage.PriorityProgress, 3*s)
		check("a later edit keeps the earlier time", row{5, 3, "pending", triage.PriorityProgress, 2 * s, "e"})
		o.parent("f", triage.PriorityState, 0)
		check("an urgent edit takes it along", row{6, 3, "pending", triage.PriorityState, 0, "f"})

		c := o.claim("a")
		o.parent("g", triage.PriorityProgress, 3*s)
		check("a change during the edit", row{7, 3, "sending", triage.PriorityState, 3 * s, "g"})
		o.must(o.db.Delivered(context.Background(), c.Delivery, c.Delivery.Remote, ""))
		check("is owed after it", row{7, 6, "pending", triage.PriorityState, 3 * s, "g"})
	})
}

func TestRepliesAreOwedOnceAndStayWithTheirParent(t *testing.T) {
	eachOutbox(t, func(o *outboxTest) {
		ctx := context.Background()
		note := triage.Post{Note: &triage.NotePost{Text: "note"}}
		err := o.db.Tx(ctx, func(tx *store.Tx) error { return tx.OweReply(ctx, o.incident, ops, "k", note, 50) })
		if !errors.Is(err, store.ErrNotFound) {
			o.t.Errorf("a reply without a parent: %v; want ErrNotFound", err)
		}
		o.parent("a", triage.PriorityParent, 0)
		o.reply("k")
		o.reply("k")
		elsewhere := triage.Destination{Notifier: "chat", Channel: "another"} // routing changed meanwhile
		o.tx(func(ctx context.Context, tx *store.Tx) error {
			if err := tx.OweParent(ctx, o.incident, elsewhere, triage.ParentPost{Conclusion: "b"}, 30, o.now); err != nil {
				return err
			}
			return tx.OweReply(ctx, o.incident, elsewhere, "file", triage.Post{File: &triage.FilePost{}}, triage.PriorityFile)
		})
		list, err := o.db.DeliveriesOf(ctx, o.incident)
		o.must(err)
		var got []string
		nonces := map[string]bool{}
		for _, d := range list {
			got = append(got, string(d.Kind)+" in "+d.Channel)
			nonces[d.Nonce] = len(d.Nonce) == 32
		}
		if diff := cmp.Diff([]string{"parent in ops", "reply in ops", "file in ops"}, got); diff != "" {
			o.t.Errorf("deliveries (-want +got):\n%s", diff)
		}
		if len(nonces) != 3 {
			o.t.Errorf("nonces %v; want three different ones", nonces)
		}
		for nonce, sound := range nonces {
			if !sound {
				o.t.Errorf("nonce %q; want 16 bytes in hex", nonce)
			}
		}
		o.tx(func(ctx context.Context, tx *store.Tx) error {
			got, err := tx.Destinations(ctx, o.incident)
			if diff := cmp.Diff([]triage.Destination{ops}, got); diff != "" {
				o.t.Errorf("destinations (-want +got):\n%s", diff)
			}
			return err
		})
	})
}

func TestOweingWakesTheOutboxAfterTheCommit(t *testing.T) {
	eachOutbox(t, func(o *outboxTest) {
		woken := func() bool {
			select {
			case <-o.db.Waiting(store.DeliveriesWaiting):
				return true
			default:
				return false
			}
		}
		o.parent("a", triage.PriorityParent, 0)
		if !woken() {
			o.t.Error("a parent that came to be owed did not wake the outbox")
		}
		o.parent("a", triage.PriorityParent, 0)
		if woken() {
			o.t.Error("an unchanged parent woke the outbox")
		}
		o.reply("k")
		if !woken() {
			o.t.Error("a reply that came to be owed did not wake the outbox")
		}
	})
}

func TestALaneHasOneHolder(t *testing.T) {
	eachOutbox(t, func(o *outboxTest) {
		ctx := context.Background()
		lane := store.Lane{Notifier: "chat", Channel: "ops"}
		o.parent("a", triage.PriorityParent, 0)
		mine := o.claim("a")
		if mine.Delivery == nil || mine.Unsure {
			o.t.Fatalf("claim %+v; want the parent, never tried before", mine)
		}
		if theirs := o.claim("b"); theirs.Delivery != nil || !theirs.Again.Equal(mine.LeaseUntil) {
			o.t.Errorf("another's claim %+v; want nothing before %v", theirs, mine.LeaseUntil)
		}
		o.pass(20 * time.Second)
		if ours, err := o.db.RenewLane(ctx, lane, "b", time.Hour); ours || err != nil {
			o.t.Errorf("another renewed the lease: %t, %v", ours, err)
		}
		if ours, err := o.db.RenewLane(ctx, lane, "a", 30*time.Second); !ours || err != nil {
			o.t.Errorf("renew: %t, %v", ours, err)
		}
		o.pass(29 * time.Second)
		if theirs := o.claim("b"); theirs.Delivery != nil {
			o.t.Error("another took the lane within its renewed lease")
		}
		o.pass(time.Second)
		theirs := o.claim("b")
		if theirs.Delivery == nil || !theirs.Unsure {
			o.t.Fatalf("claim after the lease %+v; want the parent, to be looked for", theirs)
		}

		// What the first holder says late of its attempt does not disturb the second's.
		o.must(o.db.Retry(ctx, mine.Delivery, errors.New("late"), ""))
		if _, err := o.db.Park(ctx, mine.Delivery, errors.New("late")); err != nil {
			o.t.Error(err)
		}
		if d := o.first(); d.State != triage.DeliverySending {
			o.t.Errorf("state %s after the former holder's record; want sending", d.State)
		}
		o.must(o.db.Adopt(ctx, theirs.Delivery, triage.RemoteRef{ID: "1.0"}, ""))
		o.must(o.db.Delivered(ctx, mine.Delivery, triage.RemoteRef{ID: "9.9"}, ""))
		if d := o.first(); d.State != triage.DeliverySent || d.Remote.ID != "1.0" {
			o.t.Errorf("shown as %q, %s; want the adopted one", d.Remote.ID, d.State)
		}
		o.must(o.db.ReleaseLanes(ctx, "b"))
		o.reply("k")
		if c := o.claim("c"); c.Delivery == nil {
			o.t.Error("a lane that was given back is not free")
		}
	})
}

func TestAdoptingAMessageWhoseBodyChangedOwesAnEdit(t *testing.T) {
	eachOutbox(t, func(o *outboxTest) {
		o.parent("a", triage.PriorityParent, 0)
		o.claim("a") // and dies
		o.parent("b", triage.PriorityProgress, 5*time.Second)
		o.pass(time.Minute)
		c := o.claim("b")
		o.must(o.db.Adopt(context.Background(), c.Delivery, triage.RemoteRef{ID: "1.0"}, ""))
		edit := o.claim("b")
		if edit.Delivery == nil || edit.Unsure || edit.Delivery.Remote.ID != "1.0" || edit.Delivery.Body.Parent.Conclusion != "b" {
			o.t.Errorf("claim %+v; want the edit of the adopted message", edit)
		}
	})
}

func TestRepliesWaitForTheirParentAndKnowItsThread(t *testing.T) {
	eachOutbox(t, func(o *outboxTest) {
		o.parent("a", triage.PriorityParent, time.Minute)
		o.reply("k")
		if c := o.claim("a"); c.Delivery != nil || !c.Again.Equal(o.now.Add(time.Minute)) {
			o.t.Errorf("claim %+v; want nothing before the parent is due", c)
		}
		o.pass(time.Minute)
		o.show()
		c := o.claim("a")
		if c.Delivery == nil || c.Delivery.Key != "k" || c.Delivery.Thread.ID != "1.0" {
			o.t.Errorf("claim %+v; want the reply in its parent's thread", c)
		}
	})
}

func TestACheckpointIsKeptUntilTheDeliveryIsShown(t *testing.T) {
	eachOutbox(t, func(o *outboxTest) {
		ctx := context.Background()
		o.parent("a", triage.PriorityParent, 0)
		c := o.claim("a")
		o.must(o.db.Checkpoint(ctx, c.Delivery, "half"))
		o.must(o.db.Doubt(ctx, c.Delivery, o.now, errors.New("timeout")))
		again := o.claim("a")
		if again.Delivery.Progress != "half" || again.Delivery.LastError != "timeout" || !again.Unsure {
			o.t.Errorf("claim %+v; want the checkpoint and the doubt", again.Delivery)
		}
		o.must(o.db.Delivered(ctx, again.Delivery, triage.RemoteRef{ID: "1.0"}, ""))
		if d := o.first(); d.Progress != "" || d.LastError != "" || d.Attempts != 0 {
			o.t.Errorf("shown with progress %q, error %q, %d attempts", d.Progress, d.LastError, d.Attempts)
		}
	})
}

func TestAPauseStandsAgainstAShorterOne(t *testing.T) {
	eachOutbox(t, func(o *outboxTest) {
		ctx := context.Background()
		lane := store.Lane{Notifier: "chat", Channel: "ops"}
		o.parent("a", triage.PriorityParent, 0)
		o.must(o.db.Pause(ctx, lane, o.now.Add(time.Minute)))
		o.must(o.db.Pause(ctx, lane, o.now.Add(time.Second)))
		if c := o.claim("a"); c.Delivery != nil || !c.Again.Equal(o.now.Add(time.Minute)) {
			o.t.Errorf("claim %+v; want nothing for a minute", c)
		}
		o.pass(time.Minute)
		if c := o.claim("a"); c.Delivery == nil {
			o.t.Error("nothing is due after the pause")
		}
	})
}

func TestAnyErrorTextCanBeKept(t *testing.T) {
	eachOutbox(t, func(o *outboxTest) {
		o.parent("a", triage.PriorityParent, 0)
		c := o.claim("a")
		hostile := strings.Repeat("é\x00\xff", 100_000)
		if _, err := o.db.Park(context.Background(), c.Delivery, errors.New(hostile)); err != nil {
			o.t.Fatal(err)
		}
		if got := o.first().LastError; len(got) > 1010 || !strings.HasPrefix(got, "éé") {
			o.t.Errorf("kept %d bytes: %.20q", len(got), got)
		}
	})
}

func TestTheOutboxIsCounted(t *testing.T) {
	eachOutbox(t, func(o *outboxTest) {
		ctx := context.Background()
		if at, err := o.db.OldestOwed(ctx); !at.IsZero() || err != nil {
			o.t.Errorf("oldest of none: %v, %v", at, err)
		}
		owedAt := o.now
		o.parent("a", triage.PriorityParent, 0)
		o.reply("parked")
		o.reply("pending")
		o.pass(time.Minute)
		o.show()
		parked := o.claim("a")
		if _, err := o.db.Park(ctx, parked.Delivery, errors.New("no")); err != nil {
			o.t.Fatal(err)
		}
		counts, err := o.db.DeliveryStates(ctx)
		o.must(err)
		if diff := cmp.Diff(map[string]int{"pending": 1, "parked": 1}, counts); diff != "" {
			o.t.Errorf("states (-want +got):\n%s", diff)
		}
		if at, err := o.db.OldestOwed(ctx); !at.Equal(owedAt) || err != nil {
			o.t.Errorf("oldest owed since %v, %v; want %v", at, err, owedAt)
		}
		work, err := o.db.LanesWithWork(ctx)
		o.must(err)
		if len(work) != 1 || work[0].Lane != (store.Lane{Notifier: "chat", Channel: "ops"}) || work[0].Priority != triage.PriorityFinding || work[0].Stamp.Owed != 1 {
			o.t.Errorf("lanes %+v", work)
		}
	})
}

func TestClocksThatDifferNeitherFreeALaneNorKeepIt(t *testing.T) {
	storetest.Each(t, func(t *testing.T, where store.Options) {
		if where.PostgresURL == "" {
			t.Skip("a SQLite file has one process, and so one clock")
		}
		// replica is one whose clock goes wrong by that much.
		replica := func(wrong time.Duration) *store.DB {
			where.Now = func() time.Time { return time.Now().Add(wrong) }
			return storetest.Open(t, where)
		}
		exact, fast, slow := replica(0), replica(time.Hour), replica(-time.Hour)
		ctx := context.Background()
		hold := func(owner string, lease time.Duration) store.Hold {
			return store.Hold{Lane: store.Lane{Notifier: "chat", Channel: "ops"}, Owner: owner, Lease: lease}
		}
		claim := func(db *store.DB, h store.Hold) store.Claim {
			t.Helper()
			c, err := db.Claim(ctx, h)
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		inc := triage.Incident{Key: rand.Text(), Alertname: "HighLatency", State: triage.IncidentFiring}
		err := slow.Tx(ctx, func(tx *store.Tx) error {
			if err := tx.OpenIncident(ctx, &inc); err != nil {
				return err
			}
			return tx.OweParent(ctx, inc.ID, ops, triage.ParentPost{Conclusion: "a"}, triage.PriorityParent, time.Time{})
		})
		if err != nil {
			t.Fatal(err)
		}
		if c := claim(exact, hold("exact", 30*time.Minute)); c.Delivery == nil {
			t.Fatal("nothing is due")
		}
		c := claim(fast, hold("fast", 30*time.Minute))
		if c.Delivery != nil {
			t.Error("a replica whose clock is an hour ahead took the lane within its lease")
		}
		if wait := time.Until(c.Again.Add(-time.Hour)); wait < 20*time.Minute || wait > 30*time.Minute {
			t.Errorf("it waits for %v by its own clock; want as long as the lease lasts", wait)
		}
		if ours, err := exact.RenewLane(ctx, store.Lane{Notifier: "chat", Channel: "ops"}, "exact", 0); !ours || err != nil {
			t.Fatalf("renew: %t, %v", ours, err)
		}
		if c := claim(slow, hold("slow", time.Minute)); c.Delivery == nil || !c.Unsure {
			t.Errorf("claim %+v by a replica whose clock is an hour behind; want it to take over the lane whose lease is over", c)
		}
	})
}
