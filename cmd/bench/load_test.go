// The load driver: many connections that post as fast as they are answered.

package bench

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"triagebot/triage/receive"
)

// connections is how many senders post at once.
const connections = 32

// load is what was measured of one receiver.
type load struct {
	took      time.Duration
	latencies []time.Duration
}

func (l *load) add(other load) {
	l.took += other.took
	l.latencies = append(l.latencies, other.latencies...)
}

func (l *load) perSecond() float64 { return float64(len(l.latencies)) / l.took.Seconds() }

// p99 is in milliseconds.
func (l *load) p99() float64 {
	slices.Sort(l.latencies)
	return milliseconds(l.latencies[len(l.latencies)*99/100])
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// drive posts total notifications to the address over all connections, the
// bodies in turn, and wants a 200 for each. The requests are made beforehand
// and written as they are: driver and receiver share the processors, and an
// HTTP client costs as much as the server.
func drive(tb testing.TB, address string, bodies [][]byte, total int) load {
	tb.Helper()
	requests := make([][]byte, len(bodies))
	for i, body := range bodies {
		requests[i] = fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: Alertmanager/0.28.1\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
			receive.Path, address, len(body), body)
	}
	perConnection := total / connections
	latencies := make([][]time.Duration, connections)
	errs := make([]error, connections)
	start := time.Now()
	var wg sync.WaitGroup
	for c := range connections {
		wg.Go(func() {
			mine := func(n int) []byte { return requests[(c*perConnection+n)%len(requests)] }
			latencies[c], errs[c] = driveOne(address, perConnection, mine)
		})
	}
	wg.Wait()
	took := time.Since(start)
	for _, err := range errs {
		if err != nil {
			tb.Fatal(err)
		}
	}
	return load{took: took, latencies: slices.Concat(latencies...)}
}

// driveOne posts over one connection.
func driveOne(address string, n int, request func(n int) []byte) ([]time.Duration, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	answers := bufio.NewReader(conn)
	latencies := make([]time.Duration, 0, n)
	for i := range n {
		sent := time.Now()
		if _, err := conn.Write(request(i)); err != nil {
			return nil, fmt.Errorf("notification %d of %d: %w", i, n, err)
		}
		resp, err := http.ReadResponse(answers, nil)
		if err != nil {
			return nil, fmt.Errorf("answer %d of %d: %w", i, n, err)
		}
		var text bytes.Buffer
		_, err = io.Copy(&text, resp.Body)
		_ = resp.Body.Close()
		if err != nil {
			return nil, fmt.Errorf("answer %d of %d: %w", i, n, err)
		}
		if resp.StatusCode != http.StatusOK {
			return nil, fmt.Errorf("answer %d of %d: %s %s", i, n, resp.Status, &text)
		}
		latencies = append(latencies, time.Since(sent))
	}
	return latencies, nil
}
