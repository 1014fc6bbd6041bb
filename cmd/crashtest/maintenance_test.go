// kill -9 while maintenance is switched on and off.

package crashtest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"triagebot/cmd/internal/program"
	"triagebot/triage"
	"triagebot/triage/command"
	"triagebot/triage/store"
	"triagebot/triage/store/storetest"
)

// flag is a service whose maintenance is switched by a request, and the
// Prometheus that knows of it. It counts the requests, and takes its time over
// some, so that kills find them under way.
type flag struct {
	*httptest.Server
	mu    sync.Mutex
	on    bool
	calls map[string]int // by body
}

func newFlag(t *testing.T) *flag {
	f := &flag{calls: map[string]int{}}
	f.Server = httptest.NewServer(http.HandlerFunc(f.serve))
	t.Cleanup(f.Close)
	return f
}

func (f *flag) serve(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body) //nolint:errcheck // what is cut off is no state
	f.mu.Lock()
	value := map[bool]string{true: "1", false: "0"}[f.on]
	if r.URL.Path == "/toggle" {
		f.calls[string(body)]++
		f.on = string(body) == "on"
	}
	n := f.calls["on"] + f.calls["off"]
	f.mu.Unlock()
	switch r.URL.Path {
	case "/api/v1/query":
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[%d,%q]}]}}`, time.Now().Unix(), value)
	case "/toggle":
		select { // the flag is set, and the answer may never be heard
		case <-time.After(time.Duration(n%4) * 20 * time.Millisecond):
		case <-r.Context().Done():
		}
	}
}

func (f *flag) state() (on bool, calls map[string]int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.on, map[string]int{"on": f.calls["on"], "off": f.calls["off"]}
}

const switchingToken = "the-token-of-the-crash-tests"

// switching has the configuration of maintenance for the world's flag.
func switching(f *flag, channel string) string {
	return fmt.Sprintf(`access: {ctl_token_file: ctl-token}
datasources: {flag: {url: %[1]s}}
maintenance:
  service: app
  channel: "#%[2]s"
  toggle: {url: %[1]s/toggle, body_on: "on", body_off: "off", content_type: text/plain}
  metric: flag
  datasource: flag
  ready_url: %[1]s/readyz
  verify_within: 2s
  watch_every: 1s
`, f.URL, channel)
}

// ask asks the program as a person does on the command line; ok is false where
// it did not answer.
func ask(ctx context.Context, address, id, text string) (reply triage.Reply, ok bool) {
	body, err := json.Marshal(command.Asked{ID: id, As: "alice", Text: text})
	if err != nil {
		return reply, false
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+address+command.CommandsPath, strings.NewReader(string(body)))
	if err != nil {
		return reply, false
	}
	req.Header.Set("Authorization", "Bearer "+switchingToken)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return reply, false
	}
	defer resp.Body.Close()
	return reply, resp.StatusCode == http.StatusOK && json.NewDecoder(resp.Body).Decode(&reply) == nil
}

// Each window is confirmed and ended under kill -9 at a random instant around
// the request; whoever asked asks again, as Slack does. Each time the toggle is
// called once.
func TestAToggleIsCalledOnceUnderKills(t *testing.T) {
	windows := 5
	if testing.Short() {
		windows = 3
	}
	storetest.Each(t, func(t *testing.T, where store.Options) {
		ctx, cancel := context.WithTimeout(t.Context(), killDeadline)
		defer cancel()
		random := chance(t)
		w := newWorld(t, where, setting{channels: 1})
		f := newFlag(t)
		w.write("ctl-token", switchingToken)
		w.config.more = switching(f, w.channels[0])
		address := program.FreeAddress(t)
		c := w.start(address)
		c.AwaitReady(ctx)

		// killed asks, kills at a random instant, and asks the same again of the
		// next process.
		killed := func(id, text string) triage.Reply {
			t.Helper()
			asked := make(chan struct{})
			go func() { defer close(asked); ask(ctx, address, id, text) }()
			<-time.After(time.Duration(random.Int64N(int64(150 * time.Millisecond))))
			c.Kill()
			<-asked
			c = w.start(address)
			c.AwaitReady(ctx)
			reply, ok := ask(ctx, address, id, text)
			if !ok || reply.Outcome != triage.OutcomeDone {
				t.Fatalf("%s is answered by %+v", text, reply)
			}
			return reply
		}
		until := func(words string) {
			t.Helper()
			again := time.NewTicker(50 * time.Millisecond)
			defer again.Stop()
			for n := 0; ; n++ {
				reply, _ := ask(ctx, address, fmt.Sprint(words, n), "maintenance status")
				if strings.Contains(reply.Text, words) {
					return
				}
				select {
				case <-again.C:
				case <-ctx.Done():
					t.Fatalf("the status is %q; want %q in it\n%s", reply.Text, words, c.LastWords())
				}
			}
		}
		for n := range windows {
			proposed, ok := ask(ctx, address, fmt.Sprint("enable", n), "maintenance enable for 30m crash test")
			if !ok || len(proposed.Choices) == 0 {
				t.Fatalf("enable is answered by %+v\n%s", proposed, c.LastWords())
			}
			killed(fmt.Sprint("confirm", n), proposed.Choices[0].Command)
			until("is on since")
			killed(fmt.Sprint("disable", n), "maintenance disable")
			until("No maintenance window of app is open")
			if on, calls := f.state(); on || calls["on"] != n+1 || calls["off"] != n+1 {
				t.Fatalf("after %d windows the flag is %t and was called %v", n+1, on, calls)
			}
		}
		c.awaitDone(ctx)
		if twice := w.slack.Duplicates(); len(twice) > 0 {
			t.Errorf("these stand twice in the channel: %s", twice)
		}
	})
}
