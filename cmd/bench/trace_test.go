// What a lookup in local logs costs those who wait for an acknowledgement.

package bench

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"triagebot/triage/tracelog"
)

// scanned is the size of the log that is scanned again and again, in bytes.
const scanned = 1e9

// BenchmarkAcknowledgeDuringScan posts while nothing is scanned, while a trace
// lookup scans a log in this process at the pace that serve gives it,
// and while ripgrep does so with one thread as a process of its own: a
// processor is busy then whoever scans.
func BenchmarkAcknowledgeDuringScan(b *testing.B) {
	log := writeScanned(b)
	home := tracelog.NewFiles(tracelog.FilesOptions{
		Sources: []tracelog.Source{{Name: "access", Files: []string{log}, Keys: []string{"req_id"}, Roles: tracelog.Roles{Time: "ts"}}},
		Workers: 1, Rest: 200 * time.Microsecond,
	})
	scans := func(ctx context.Context) error {
		for ctx.Err() == nil {
			found, err := home.Find(ctx, tracelog.Query{ID: "req_absent"})
			if ctx.Err() == nil && (err != nil || !found.Coverage.Complete) {
				return fmt.Errorf("scan: %w, %+v", err, found.Coverage)
			}
		}
		return nil
	}
	ripgrep := func(ctx context.Context) error {
		for ctx.Err() == nil {
			_ = exec.CommandContext(ctx, "rg", "--no-config", "-F", "--threads", "1", "req_absent", log).Run() // it finds nothing
		}
		return nil
	}
	_, missing := exec.LookPath("rg")
	if missing != nil {
		b.Log("ripgrep (rg) is not installed: what it costs is not measured")
	}
	bodies := groupBodies(b, groups, 1)
	for _, d := range databases {
		b.Run(d.name, func(b *testing.B) {
			var none, scanning, ripgrepping load
			one := func(background func(context.Context) error) load {
				r := newReceiver(b, d.open(b))
				defer r.close()
				if background != nil {
					stop := inBackground(background)
					defer func() {
						if err := stop(); err != nil {
							b.Error(err)
						}
					}()
				}
				return drive(b, r.address, bodies, perLoad)
			}
			for b.Loop() {
				none.add(one(nil))
				scanning.add(one(scans))
				if missing == nil {
					ripgrepping.add(one(ripgrep))
				}
			}
			b.ReportMetric(0, "ns/op")
			for name, l := range map[string]*load{"alone": &none, "scan": &scanning, "rg": &ripgrepping} {
				if len(l.latencies) == 0 {
					continue
				}
				b.ReportMetric(l.perSecond(), name+"-acks/s")
				b.ReportMetric(l.p99(), name+"-ms-p99")
				b.ReportMetric(milliseconds(slices.Max(l.latencies)), name+"-ms-most")
			}
		})
	}
}

func writeScanned(b *testing.B) (path string) {
	b.Helper()
	f, err := os.Create(filepath.Join(b.TempDir(), "access.ndjson"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	w := bufio.NewWriterSize(f, 1<<20)
	at := time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)
	for size, i := 0, 0; size < scanned; i++ {
		n, err := fmt.Fprintf(w, `{"ts":%q,"req_id":"req_%016x","method":"POST","route":"/v1/chat/completions","status":200,"latency_ms":812.4,"worker":"w1","remote":"10.32.7.118:51622","msg":"request done"}`+"\n",
			at.Add(time.Duration(i)*time.Millisecond).Format(time.RFC3339Nano), uint64(i)*0x9e3779b97f4a7c15)
		if err != nil {
			b.Fatal(err)
		}
		size += n
	}
	if err := w.Flush(); err != nil {
		b.Fatal(err)
	}
	return f.Name()
}
