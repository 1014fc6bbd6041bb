// How long a person in Slack waits for an answer while a storm is taken in.

package bench

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"triagebot/cmd/internal/program"
	"triagebot/notifiers/slack/slacklocal"
)

// asker is who asks; the local workspace has one person unless it is told of others.
const asker = "U0PERSON1"

// BenchmarkCommands asks by signed slash commands, one that only looks and one
// that changes an incident, first of an idle program and then of one that takes
// in and folds 10,000 notifications of 200 groups. Two times count from the
// person's Enter: until Slack is answered, and until they see the reply.
func BenchmarkCommands(b *testing.B) {
	const notifications = 10_000
	bodies := groupBodies(b, groups, 1)
	var looked, acked, stormLooked, stormAcked asked
	for b.Loop() {
		w := newWorld(b, 1, atOnce)
		p := w.start()
		p.awaitReady()
		w.listen(p)
		drive(b, p.Address, bodies[:groups/2], groups/2)
		again := time.NewTicker(10 * time.Millisecond)
		for p.busy() {
			<-again.C
		}
		again.Stop()
		n := 0 // incidents that are acknowledged already
		ask := func(look, act *asked) {
			n++
			w.ask(look, "/triage incidents", "incident")
			w.ask(act, fmt.Sprintf("/triage ack %d", n), "is yours")
		}
		for range groups / 4 {
			ask(&looked, &acked)
		}
		var storm sync.WaitGroup
		over := make(chan struct{})
		storm.Go(func() {
			defer close(over)
			drive(b, p.Address, bodies, notifications)
		})
		for going := true; going && n < groups/2; {
			ask(&stormLooked, &stormAcked)
			select {
			case <-over:
				going = false
			default:
			}
		}
		storm.Wait()
		p.Kill()
	}
	b.ReportMetric(0, "ns/op")
	for name, took := range map[string][]time.Duration{
		"idle-look-seen": looked.seen, "idle-ack-seen": acked.seen, "idle-answer": append(looked.answered, acked.answered...),
		"storm-look-seen": stormLooked.seen, "storm-ack-seen": stormAcked.seen, "storm-answer": append(stormLooked.answered, stormAcked.answered...),
	} {
		slices.Sort(took)
		b.ReportMetric(milliseconds(took[len(took)/2]), name+"-ms-p50")
		b.ReportMetric(milliseconds(took[len(took)*99/100]), name+"-ms-p99")
	}
	b.ReportMetric(float64(len(stormLooked.seen)), "asked-in-storm")
}

// asked is how long requests took.
type asked struct {
	answered []time.Duration // until Slack was answered
	seen     []time.Duration // until the person saw the reply
}

// listen has what people do reach the program.
func (w *world) listen(p *process) {
	w.b.Helper()
	if err := w.slack.SetApp(program.App("http://"+p.Address, signingSecret)); err != nil {
		w.b.Fatal(err)
	}
}

// ask types a command and waits until the person sees a reply with the words.
func (w *world) ask(took *asked, text, words string) {
	w.b.Helper()
	began := time.Now()
	if err := w.slack.Say(w.b.Context(), asker, slacklocal.Place{Channel: w.channels[0]}, text); err != nil {
		w.b.Fatalf("%s: %v", text, err)
	}
	took.answered = append(took.answered, time.Since(began))
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for deadline := time.After(30 * time.Second); ; {
		now := time.Since(began)
		for _, said := range w.slack.Ephemerals(asker) {
			if strings.Contains(said.Text, words) {
				for _, said := range w.slack.Ephemerals(asker) {
					w.slack.Forget(asker, said.TS)
				}
				took.seen = append(took.seen, now)
				return
			}
		}
		select {
		case <-look.C:
		case <-deadline:
			w.b.Fatalf("%s is answered by %+v", text, w.slack.Ephemerals(asker))
		}
	}
}
