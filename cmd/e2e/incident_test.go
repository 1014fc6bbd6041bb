//go:build e2e

// The life of two incidents, from the rule that fires to the proof of the
// evidence.

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"triagebot/cmd/demo/codexsim"
	"triagebot/notifiers/slack/slacklocal"
	"triagebot/triage/store"
	"triagebot/triage/store/storetest"
)

const (
	restartsAlert = "CodexWorkerRestarts"
	errorsAlert   = "CodexErrorRateHigh"
)

func TestIncident(t *testing.T) {
	storetest.Each(t, func(t *testing.T, where store.Options) {
		t.Parallel() // most of it is waiting for Prometheus and Alertmanager
		s := &story{world: newWorld(t, where), whole: t}
		// Without polling only a notification can resolve the incident.
		s.configure(t, 0)
		s.serve()
		for _, chapter := range []struct {
			name string
			test func(t *testing.T)
		}{
			{"a fault fires its rule and fills a thread", s.fires},
			{"a person takes it and silences it for a moment", s.isTaken},
			{"the end of the fault edits the parent", s.resolves},
			{"a second firing comes into the same thread", s.firesAgain},
			{"a firing while triagebot is down is not lost", s.firesWhileDown},
			{"a resolve that never arrives is found by asking", s.resolveIsMuted},
			{"nothing stands twice and the evidence is whole", s.ends},
		} {
			if !t.Run(chapter.name, chapter.test) {
				t.Fatalf("the story ends here; the channel shows\n%s", s.channelText())
			}
		}
	})
}

// story is one run through everything; each chapter needs the one before.
type story struct {
	*world
	whole    *testing.T // outlives the chapters, and so does triagebot
	bot      *process
	parentTS string // of the restarts' thread
}

func (s *story) serve() {
	s.whole.Helper()
	s.bot = s.startBot(s.whole)
}

// until waits for what triagebot has to bring about.
func (s *story) until(t *testing.T, what string, look func() error) {
	t.Helper()
	until(t, what, func() error {
		if err := s.bot.died(); err != nil {
			t.Fatalf("before %s: %v", what, err)
		}
		return look()
	})
}

func (s *story) fires(t *testing.T) {
	s.fault(t, codexsim.Restarts, true)
	thread := s.threadFills(t, restartsAlert, "worker-restarts", "restarts")
	s.parentTS = thread.TS
	s.evidenceOpens(t, thread)
}

// threadFills waits for the whole thread of a playbook's run and checks it.
// abnormal is the step that the fault must show in; "" leaves that open.
func (s *story) threadFills(t *testing.T, alertname, playbook, abnormal string) (thread slacklocal.Thread) {
	t.Helper()
	steps, err := stepsOf(playbook)
	if err != nil {
		t.Fatal(err)
	}
	charts := 0
	for _, step := range steps {
		charts += step.pictures()
	}
	var states map[string]string
	s.until(t, "the thread about "+alertname+" is full", func() error {
		var err error
		if thread, err = s.thread(alertname); err != nil {
			return err
		}
		if states, err = findings(thread, steps); err != nil {
			return err
		}
		if n := len(uploads(thread)); n != charts {
			return fmt.Errorf("%d charts are in the thread; want %d", n, charts)
		}
		return s.shows(alertname, fmt.Sprintf("%d of %d steps done", len(steps), len(steps)))
	})
	if abnormal != "" && states[abnormal] != "abnormal" {
		t.Errorf("step %s is %s; want abnormal", abnormal, states[abnormal])
	}
	for step, state := range states {
		// This Prometheus has minutes of history, so it cannot tell of changes.
		if wantUnknown := step == "changes"; (state == "unknown") != wantUnknown {
			t.Errorf("step %s is %s: %s", step, state, replyTexts(thread))
		}
	}
	if err := s.shows(alertname, fmt.Sprintf("%d/%d", len(steps), len(steps))); err != nil {
		t.Errorf("no step line: %v", err)
	}
	for _, id := range uploads(thread) {
		if err := s.picture(id); err != nil {
			t.Errorf("a chart does not open: %v", err)
		}
	}
	return thread
}

// evidenceOpens follows the findings' links to triagebot's own server.
func (s *story) evidenceOpens(t *testing.T, thread slacklocal.Thread) {
	t.Helper()
	opened := 0
	for _, reply := range thread.Replies {
		for _, link := range links(reply) {
			if !strings.HasPrefix(link, s.botURL()+"/") {
				continue
			}
			if _, err := get(link); err != nil {
				t.Errorf("a finding's evidence does not open: %v", err)
			}
			unsigned, _, _ := strings.Cut(link, "?")
			if _, err := get(unsigned); err == nil {
				t.Errorf("%s opens without a signature", unsigned)
			}
			opened++
		}
	}
	if opened == 0 {
		t.Error("no finding links to its evidence")
	}
}

// isTaken has the alert acknowledged and silenced by the command line. The silence
// is a real one: Alertmanager mutes the alert, and its end is told.
func (s *story) isTaken(t *testing.T) {
	s.ctl(t, "Incident 1, CodexWorkerRestarts, is yours", "ack", "1")
	s.ctl(t, "Incident 1 is yours already", "ack", "1")
	s.ctl(t, "Silencing incident 1", "silence", "10s", "1", "looking")
	s.until(t, "the thread says who did what", func() error {
		return s.says(restartsAlert, "Acknowledged by alice.", "Silenced until ", "by alice (looking): silence ")
	})
	s.until(t, "the end of the silence is told", func() error {
		return s.says(restartsAlert, " is over. Its alerts still fire")
	})
	if err := s.shows(restartsAlert, "Acked by alice"); err != nil {
		t.Error(err)
	}
	out, err := s.triagebot("audit", "--url", s.botURL(), "--token-file", "ctl-token", "--incident", "1")
	if err != nil || strings.Count(out, "ctl:alice") != 3 {
		t.Errorf("the audit log: %v\n%s", err, out)
	}
}

// says says whether an alert's thread has all of these texts.
func (s *story) says(alertname string, texts ...string) error {
	thread, err := s.thread(alertname)
	if err != nil {
		return err
	}
	said := replyTexts(thread)
	for _, text := range texts {
		if !strings.Contains(said, text) {
			return fmt.Errorf("the thread does not say %q:\n%s", text, said)
		}
	}
	return nil
}

func (s *story) resolves(t *testing.T) {
	s.fault(t, codexsim.Restarts, false)
	s.until(t, "the parent says that it is resolved", func() error {
		return s.shows(restartsAlert, ", is resolved.", "RESOLVED")
	})
	s.sameParent(t)
	if s.shows(restartsAlert, "no longer lists") == nil {
		t.Error("the incident was resolved by polling, which is off")
	}
}

func (s *story) firesAgain(t *testing.T) {
	s.fault(t, codexsim.Restarts, true)
	s.until(t, "the parent says that it fires again", func() error {
		return s.shows(restartsAlert, ", is firing", "Fires again")
	})
	s.sameParent(t)
	s.fault(t, codexsim.Restarts, false)
	s.until(t, "the parent says again that it is resolved", func() error {
		return s.shows(restartsAlert, ", is resolved.", "RESOLVED")
	})
	s.sameParent(t)
}

// sameParent checks that the restarts have the message that they began with.
func (s *story) sameParent(t *testing.T) {
	t.Helper()
	thread, err := s.thread(restartsAlert)
	if err != nil {
		t.Fatal(err)
	}
	if thread.TS != s.parentTS {
		t.Errorf("the parent is message %s; it was %s", thread.TS, s.parentTS)
	}
	if thread.Edits == 0 {
		t.Error("the parent was never edited")
	}
}

func (s *story) firesWhileDown(t *testing.T) {
	s.bot.kill()
	s.fault(t, codexsim.Errors, true)
	until(t, "Alertmanager has the alert", func() error {
		state, err := s.alertState(errorsAlert)
		if err == nil && state != "active" {
			err = fmt.Errorf("the alert's state is %q", state)
		}
		return err
	})
	until(t, "Alertmanager has notified in vain", s.failedNotifications)
	if _, err := s.thread(errorsAlert); err == nil {
		t.Fatal("there is a thread although triagebot is down")
	}
	s.configure(t, time.Second)
	s.serve()
	// The error ratio over five minutes, diluted by the time before the fault,
	// may be below what is abnormal; the reason is there either way.
	thread := s.threadFills(t, errorsAlert, "error-rate", "")
	if said := replyTexts(thread); !strings.Contains(said, "the reason backend") {
		t.Errorf("no finding names the errors' reason:\n%s", said)
	}
	if said := replyTexts(thread); !strings.Contains(said, "There may be others") {
		t.Errorf("the finding about changes does not say why it is unknown:\n%s", said)
	}
}

// resolveIsMuted silences the alert first: Alertmanager then filters its
// resolve too, and only its API shows that the alert is gone.
func (s *story) resolveIsMuted(t *testing.T) {
	s.ctl(t, "Silencing incident 2", "triage", "silence", "1h", "2", "a", "resolve", "that", "is", "muted")
	until(t, "Alertmanager mutes the alert", func() error {
		state, err := s.alertState(errorsAlert)
		if err == nil && state != "suppressed" {
			err = fmt.Errorf("the alert's state is %q", state)
		}
		return err
	})
	if err := s.shows(errorsAlert, ", is firing"); err != nil {
		t.Fatalf("a silenced alert still fires: %v", err)
	}
	s.fault(t, codexsim.Errors, false)
	s.until(t, "the parent says that it is resolved", func() error {
		return s.shows(errorsAlert, ", is resolved.", "RESOLVED", "Alertmanager no longer lists its alerts")
	})
}

func (s *story) ends(t *testing.T) {
	for _, alertname := range []string{restartsAlert, errorsAlert} {
		if err := s.shows(alertname, ", is resolved."); err != nil {
			t.Error(err)
		}
	}
	if twice := s.slack.Duplicates(); len(twice) > 0 {
		t.Errorf("these stand twice in the channel: %s", twice)
	}
	s.verify(t, 2)
	s.bot.kill()
	s.verify(t, 2)
}

// channelText is the whole channel, for a person who wonders why a test failed.
func (s *story) channelText() string {
	var b strings.Builder
	for _, thread := range s.slack.Channel(channelName) {
		fmt.Fprintf(&b, "%s %s\n%s", thread.TS, thread.Text, replyTexts(thread))
	}
	return b.String()
}

func replyTexts(thread slacklocal.Thread) string {
	var b strings.Builder
	for _, reply := range thread.Replies {
		fmt.Fprintf(&b, "  %s %s %s\n", reply.TS, reply.Text, reply.Files)
	}
	return b.String()
}
