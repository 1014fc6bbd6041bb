// The app's own traffic: a steady stream of requests from a bounded loop.

package codexsim

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// maxInFlight bounds the requests under way; what would go beyond is not sent.
const maxInFlight = 128

// overloadFactor is how many times the usual traffic the overload fault brings.
const overloadFactor = 3

// between is the time from one request to the next.
func (a *App) between() time.Duration {
	rate := a.opts.Rate
	if a.faults.is(Overload) {
		rate *= overloadFactor
	}
	return time.Duration(float64(time.Second) / rate)
}

// makeTraffic sends Rate requests a second until ctx is done, and returns when
// all have been answered.
func (a *App) makeTraffic(ctx context.Context) {
	transport := a.opts.Transport
	if transport == nil {
		own := &http.Transport{MaxIdleConnsPerHost: maxInFlight, MaxConnsPerHost: maxInFlight}
		defer own.CloseIdleConnections()
		transport = own
	}
	client := &http.Client{Transport: transport, Timeout: 20 * time.Second}

	var inFlight errgroup.Group
	inFlight.SetLimit(maxInFlight)
	change := a.faults.change()
	ticker := time.NewTicker(a.between())
	defer ticker.Stop()
	for n := uint64(1); ; {
		select {
		case <-ctx.Done():
			_ = inFlight.Wait() // none of them fails
			return
		case <-change:
			change = a.faults.change()
			ticker.Reset(a.between())
		case <-ticker.C:
			number := n
			inFlight.TryGo(func() error { a.sendOne(ctx, client, number); return nil })
			n++
		}
	}
}

// Of the requests that fail with 502, every second is repeated once, a moment
// later, as by a client that may or may not.
const (
	repeatEvery = 2
	repeatAfter = 100 * time.Millisecond
)

// sendOne sends the n-th request, and perhaps once more. How it went is seen in
// the app's own metrics.
func (a *App) sendOne(ctx context.Context, client *http.Client, n uint64) {
	id := fmt.Sprintf("sim-%04x-%08x", a.opts.Seed&0xffff, n)
	if n%modelsEvery == 0 {
		a.send(ctx, client, http.MethodGet, routeModels, http.Header{headerRequestID: {id}})
		return
	}
	status := a.send(ctx, client, http.MethodPost, routeChat, http.Header{headerRequestID: {id}})
	if status == http.StatusBadGateway && n%repeatEvery == 0 && wait(ctx, repeatAfter) {
		a.send(ctx, client, http.MethodPost, routeChat, http.Header{headerRequestID: {id + "-r1"}, headerRetryOf: {id}})
	}
}

// send sends one request and returns its status, 0 when there is no answer.
func (a *App) send(ctx context.Context, client *http.Client, method, path string, header http.Header) int {
	body := ""
	if method == http.MethodPost {
		body = `{"model":"codex-sim","messages":[{"role":"user","content":"hello"}]}`
	}
	req, err := http.NewRequestWithContext(ctx, method, a.base()+path, strings.NewReader(body))
	if err != nil {
		a.opts.Log.WithError(err).Error("simulated app: make a request")
		return 0
	}
	req.Header = header
	resp, err := client.Do(req)
	if err != nil {
		if ctx.Err() == nil {
			a.opts.Log.WithError(err).Debug("simulated app: own request failed")
		}
		return 0
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	return resp.StatusCode
}

// base is where the traffic goes; any name will do for an own transport.
func (a *App) base() string {
	if a.listener == nil {
		return "http://localhost"
	}
	return a.URL()
}
