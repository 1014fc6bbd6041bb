// How long after its notification an incident's first and last finding stand
// in the channel, beyond what the queries themselves take.

package bench

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"triagebot/triage"
)

// BenchmarkFindings opens one incident after another, each in a channel of its
// own, against a Prometheus that answers after a known time.
func BenchmarkFindings(b *testing.B) {
	w := newWorld(b, 100, func(expr string) time.Duration {
		if expr == "vector(3)" {
			return slowQuery
		}
		return quickQuery
	})
	p := w.start()
	p.awaitReady()
	var parents, firsts, lasts []time.Duration
	n := 0
	for b.Loop() {
		channel := w.channels[n%len(w.channels)]
		group := triage.Labels{"alertname": "Plain", "group": fmt.Sprintf("g%d", n)}
		note := body(b, group, []triage.Alert{firing(group, triage.Labels{"channel": channel})})
		n++
		before := w.messages(channel)
		sent := time.Now()
		if !p.post(note) {
			b.Fatal("the notification was not accepted")
		}
		parents = append(parents, w.await(channel, before+1).Sub(sent))
		firsts = append(firsts, w.await(channel, before+2).Sub(sent)-quickQuery)
		lasts = append(lasts, w.await(channel, before+1+steps).Sub(sent)-slowQuery)
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(milliseconds(median(parents)), "ms-parent")
	b.ReportMetric(milliseconds(median(firsts)), "ms-first-overhead")
	b.ReportMetric(milliseconds(slices.Max(firsts)), "ms-first-overhead-max")
	b.ReportMetric(milliseconds(median(lasts)), "ms-last-overhead")
	b.ReportMetric(float64(median(firsts)+quickQuery)/float64(quickQuery), "first-to-query-ratio")
	b.ReportMetric(float64(median(lasts)+slowQuery)/float64(2*quickQuery+slowQuery), "last-to-query-sum-ratio")
}

// messages counts what a channel shows, in and out of threads.
func (w *world) messages(channel string) (n int) {
	for _, thread := range w.slack.Channel(channel) {
		n += 1 + len(thread.Replies)
	}
	return n
}

// await returns when the channel shows so many messages.
func (w *world) await(channel string, n int) time.Time {
	w.b.Helper()
	deadline := time.After(30 * time.Second)
	for w.messages(channel) < n {
		select {
		case <-w.shown:
		case <-deadline:
			w.b.Fatalf("#%s shows %d messages, want %d", channel, w.messages(channel), n)
		}
	}
	return time.Now()
}

func median(of []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(of))
	return sorted[len(sorted)/2]
}
