// What must hold in the end, read from the database and from the channels.

package crashtest

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"triagebot/notifiers/slack/slacklocal"
	"triagebot/triage"
	"triagebot/triage/evidence"
	"triagebot/triage/store"
	"triagebot/triage/store/storetest"
)

// expectation is what the test did, and so what must have come of it.
type expectation struct {
	accepted int                             // notifications answered 2xx
	states   map[string]triage.IncidentState // of the one incident of each alertname
}

// check opens the database, of which no process must be left, and compares.
func (w *world) check(want expectation) {
	w.t.Helper()
	db := storetest.Open(w.t, w.where)
	w.checkNotifications(db, want.accepted)
	incidents, err := db.Incidents(w.t.Context(), 10_000)
	if err != nil {
		w.t.Fatal(err)
	}
	if len(incidents) != len(want.states) {
		w.t.Errorf("%d incidents, want %d", len(incidents), len(want.states))
	}
	shown := w.shown()
	owed := 0
	seen := map[string]bool{}
	for _, inc := range incidents {
		state, expected := want.states[inc.Alertname]
		switch {
		case !expected || seen[inc.Alertname]:
			w.t.Errorf("incident %d of %s is one too many", inc.ID, inc.Alertname)
		case inc.State != state:
			w.t.Errorf("incident %d of %s is %s, want %s", inc.ID, inc.Alertname, inc.State, state)
		}
		seen[inc.Alertname] = true
		keys := w.checkRun(db, inc)
		owed += w.checkMessages(db, inc, keys, shown)
		w.checkBundle(db, inc)
	}
	w.checkIndex(incidents)
	if total := shown.count(); total != owed {
		w.t.Errorf("the channels show %d messages, and %d were owed", total, owed)
	}
	if twice := w.slack.Duplicates(); len(twice) > 0 {
		w.t.Errorf("shown twice: %v", twice)
	}
	for nonce, n := range w.slack.PostsByNonce() {
		if n != 1 {
			w.t.Errorf("nonce %s was posted %d times", nonce, n)
		}
	}
}

// checkNotifications wants every accepted notification folded. There may be
// more of them than 2xx: of some the answer was cut off.
func (w *world) checkNotifications(db *store.DB, accepted int) {
	w.t.Helper()
	states, err := db.NotificationStates(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	if states["done"] < accepted || states["pending"] != 0 || states["failed"] != 0 {
		w.t.Errorf("%d notifications got a 2xx; in the database they are %v", accepted, states)
	}
	w.t.Logf("%d notifications got a 2xx, %d are in the database", accepted, states["done"])
}

// checkRun wants one finished run with each step's finding once, and returns
// the keys of the messages that follow from it.
func (w *world) checkRun(db *store.DB, inc triage.Incident) (keys []string) {
	w.t.Helper()
	runs, err := db.RunsOf(w.t.Context(), inc.ID)
	if err != nil {
		w.t.Fatal(err)
	}
	if len(runs) != 1 || runs[0].State != triage.RunFinished {
		w.t.Errorf("incident %d: runs %+v, want one that is finished", inc.ID, runs)
		return nil
	}
	findings, err := db.Findings(w.t.Context(), runs[0].ID)
	if err != nil {
		w.t.Fatal(err)
	}
	var steps []string
	for _, f := range findings {
		steps = append(steps, f.StepID)
		if f.Skipped == "" && f.Verdict == triage.VerdictUnknown {
			w.t.Errorf("incident %d: step %s is unknown: %s", inc.ID, f.StepID, f.Headline)
		}
		key := fmt.Sprintf("incident/%d/run/%d/step/%s", inc.ID, runs[0].ID, f.StepID)
		if f.Verdict == triage.VerdictAbnormal || w.config.replies == "" && f.Skipped == "" {
			keys = append(keys, key)
		}
		for _, e := range f.Evidence {
			if e.IsPicture() {
				keys = append(keys, key+"/"+e.Name)
			}
		}
	}
	slices.Sort(steps)
	want := []string{"first", "second", "third"}
	if inc.Playbook == "charted" {
		want = []string{"drawn", "first", "second", "third"}
	}
	if !slices.Equal(steps, want) {
		w.t.Errorf("incident %d: findings of steps %v, want %v", inc.ID, steps, want)
	}
	return keys
}

// checkMessages wants every delivery of the incident shown once, where it
// belongs, and as it is now. It returns how many there are.
func (w *world) checkMessages(db *store.DB, inc triage.Incident, keys []string, shown board) int {
	w.t.Helper()
	deliveries, err := db.DeliveriesOf(w.t.Context(), inc.ID)
	if err != nil {
		w.t.Fatal(err)
	}
	parents := 0
	for _, d := range deliveries {
		if d.State != triage.DeliverySent || d.SentVersion != d.Version {
			w.t.Errorf("%s is %s (%s), version %d of %d", d.Key, d.State, d.LastError, d.SentVersion, d.Version)
			continue
		}
		m, has := shown[d.Remote]
		switch {
		case !has:
			w.t.Errorf("%s stands nowhere", d.Key)
		case d.Kind == triage.DeliveryFile && len(m.Files) != 1:
			w.t.Errorf("%s shows no file", d.Key)
		case d.Kind != triage.DeliveryFile && m.Nonce() != d.Nonce:
			w.t.Errorf("%s: another message stands in its place: %s", d.Key, m.Text)
		case d.Kind == triage.DeliveryParent:
			parents++
			if m.IsReply() || !strings.Contains(strings.ToLower(m.Text), string(inc.State)) {
				w.t.Errorf("%s says %q of an incident that is %s", d.Key, m.Text, inc.State)
			}
		case m.ThreadTS != d.Thread.ID:
			w.t.Errorf("%s stands in thread %q, not in %q", d.Key, m.ThreadTS, d.Thread.ID)
		}
		keys = slices.DeleteFunc(keys, func(key string) bool { return key == d.Key })
	}
	if parents != 1 {
		w.t.Errorf("incident %d has %d parents", inc.ID, parents)
	}
	if len(keys) > 0 {
		w.t.Errorf("incident %d: no message is owed for %v", inc.ID, keys)
	}
	return len(deliveries)
}

func (w *world) checkBundle(db *store.DB, inc triage.Incident) {
	w.t.Helper()
	entries, err := db.Evidence(w.t.Context(), inc.ID)
	if err != nil {
		w.t.Fatal(err)
	}
	report, err := evidence.Verify(w.t.Context(), filepath.Join(w.dir, "evidence", evidence.Folder(inc.ID)), "")
	switch {
	case err != nil:
		w.t.Error(err)
	case !report.Whole() || report.Entries != len(entries) || len(entries) == 0:
		w.t.Errorf("bundle of incident %d, with %d entries in the database: %s", inc.ID, len(entries), report)
	}
}

// checkIndex wants every incident in the index of all bundles, as its bundle is.
func (w *world) checkIndex(incidents []triage.Incident) {
	w.t.Helper()
	text, err := os.ReadFile(filepath.Join(w.dir, "evidence", "README.md"))
	if err != nil {
		w.t.Error(err)
		return
	}
	for i, inc := range incidents {
		if i == evidence.MaxIndexed {
			return
		}
		line := fmt.Sprintf("](%s/report.md) | %s |", evidence.Folder(inc.ID), inc.Alertname)
		if n := strings.Count(string(text), line); n != 1 {
			w.t.Errorf("the index has %d lines of incident %d", n, inc.ID)
		}
	}
}

// board is all that the channels show, by where it stands.
type board map[triage.RemoteRef]slacklocal.Message

func (w *world) shown() board {
	shown := board{}
	for _, name := range w.channels {
		id := w.slack.ChannelID(name)
		for _, thread := range w.slack.Channel(name) {
			shown[triage.RemoteRef{Channel: id, ID: thread.TS}] = thread.Message
			for _, reply := range thread.Replies {
				shown[triage.RemoteRef{Channel: id, ID: reply.TS}] = reply
			}
		}
	}
	return shown
}

func (b board) count() int { return len(b) }
