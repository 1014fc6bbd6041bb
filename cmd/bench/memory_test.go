// How much memory the program has, and how soon it is back.

package bench

import (
	"testing"
	"time"
)

func atOnce(string) time.Duration { return 0 }

// settled is how long an idle program is left alone before it is looked at.
const settled = 5 * time.Second

// BenchmarkMemoryIdle is the program with one playbook and nothing to do.
func BenchmarkMemoryIdle(b *testing.B) {
	w := newWorld(b, 1, atOnce)
	var rss, peak float64
	for b.Loop() {
		p := w.start()
		p.awaitReady()
		<-time.After(settled)
		rss, peak = max(rss, p.megabytes("VmRSS")), max(peak, p.megabytes("VmHWM"))
		p.Kill()
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(rss, "MB-idle")
	b.ReportMetric(peak, "MB-peak")
}

// BenchmarkMemoryStorm posts 10,000 notifications of 200 groups and looks when
// they are folded and their 200 runs are finished. Messages go on being shown
// then, one a second and channel.
func BenchmarkMemoryStorm(b *testing.B) {
	const notifications = 10_000
	bodies := groupBodies(b, groups, 1)
	var idle, after, peak float64
	var acknowledged load
	var worked time.Duration
	for b.Loop() {
		w := newWorld(b, 1, atOnce)
		p := w.start()
		p.awaitReady()
		idle = max(idle, p.megabytes("VmRSS"))
		start := time.Now()
		acknowledged.add(drive(b, p.Address, bodies, notifications))
		again := time.NewTicker(100 * time.Millisecond)
		for p.busy() {
			<-again.C
		}
		again.Stop()
		worked += time.Since(start)
		after, peak = max(after, p.megabytes("VmRSS")), max(peak, p.megabytes("VmHWM"))
		p.Kill()
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(idle, "MB-before")
	b.ReportMetric(after, "MB-after")
	b.ReportMetric(peak, "MB-peak")
	b.ReportMetric(acknowledged.perSecond(), "acks/s")
	b.ReportMetric(acknowledged.p99(), "ms-p99")
	b.ReportMetric(float64(len(acknowledged.latencies))/worked.Seconds(), "worked/s")
}

// BenchmarkRestart kills the program and starts it again on the same SQLite
// file, as often as it is told, and takes the time to the first 2xx.
func BenchmarkRestart(b *testing.B) {
	w := newWorld(b, 1, atOnce)
	note := groupBodies(b, 1, 1)[0]
	var took []time.Duration
	for b.Loop() {
		p := w.start()
		again := time.NewTicker(2 * time.Millisecond)
		for !p.post(note) {
			if time.Since(p.Started) > 30*time.Second {
				b.Fatal("triagebot accepts nothing")
			}
			<-again.C
		}
		took = append(took, time.Since(p.Started))
		again.Stop()
		p.Kill()
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(milliseconds(median(took)), "ms-to-first-2xx")
}
