//go:build e2ebackends

// A real Loki: started on loopback, filled with the lines of the tests, and
// recorded. `make e2e-backends` runs it.

package backend

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

// lokiServer is where TestMain started Loki.
const lokiServer = "TRIAGEBOT_LOKI_URL"

func TestMain(m *testing.M) {
	code, err := withLoki(m.Run)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// lokiConfig is a single process that keeps everything in one folder, serves
// loopback alone and reports to nobody.
const lokiConfig = `
auth_enabled: false
analytics: {reporting_enabled: false}
server:
  http_listen_address: 127.0.0.1
  http_listen_port: %[2]d
  grpc_listen_address: 127.0.0.1
  grpc_listen_port: %[3]d
  log_level: warn
common:
  instance_addr: 127.0.0.1
  path_prefix: %[1]s
  storage: {filesystem: {chunks_directory: %[1]s/chunks, rules_directory: %[1]s/rules}}
  replication_factor: 1
  ring: {kvstore: {store: inmemory}, instance_addr: 127.0.0.1}
memberlist: {bind_addr: [127.0.0.1], bind_port: %[4]d}
schema_config:
  configs:
  - {from: 2020-01-01, store: tsdb, object_store: filesystem, schema: v13, index: {prefix: index_, period: 24h}}
# The lines of the tests are of one day, long ago, and still in memory, where a
# single process looks for the last hours only unless told otherwise.
ingester: {query_store_max_look_back_period: 200000h, lifecycler: {min_ready_duration: 0s}}
limits_config: {reject_old_samples: false}
query_range: {cache_results: false}
`

// withLoki runs Loki, filled, around what runs.
func withLoki(run func() int) (code int, err error) {
	binary := os.Getenv("TRIAGEBOT_LOKI")
	if binary == "" {
		return 0, fmt.Errorf("TRIAGEBOT_LOKI names no binary; use make e2e-backends")
	}
	dir, err := os.MkdirTemp("", "triagebot-loki-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // nothing depends on it
	ports, err := freePorts(3)
	if err != nil {
		return 0, err
	}
	config := filepath.Join(dir, "loki.yaml")
	if err := os.WriteFile(config, fmt.Appendf(nil, lokiConfig, dir, ports[0], ports[1], ports[2]), 0o600); err != nil {
		return 0, err
	}
	var log bytes.Buffer
	cmd := exec.Command(binary, "-config.file="+config)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &log, &log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // that it ended is what matters
	}()
	defer func() {
		_ = cmd.Process.Kill() // fails when it has ended already
		<-ended
		if err != nil || code != 0 {
			text := log.Bytes()
			fmt.Fprintf(os.Stderr, "the end of Loki's log:\n%s\n", text[max(0, len(text)-8<<10):])
		}
	}()
	server := fmt.Sprintf("http://127.0.0.1:%d", ports[0])
	if err := until(ended, func() error { return call(http.MethodGet, server+"/ready", nil) }); err != nil {
		return 0, fmt.Errorf("Loki is not ready: %w", err)
	}
	if err := push(server); err != nil {
		return 0, fmt.Errorf("push the lines: %w", err)
	}
	if err := os.Setenv(lokiServer, server); err != nil {
		return 0, err
	}
	return run(), nil
}

// freePorts are ports of loopback that nobody listens on.
func freePorts(n int) ([]int, error) {
	var ports []int
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close() //nolint:errcheck // it was only asked for its address
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

// until looks again until look finds nothing wrong.
func until(ended <-chan struct{}, look func() error) error {
	deadline := time.NewTimer(3 * time.Minute)
	defer deadline.Stop()
	again := time.NewTicker(300 * time.Millisecond)
	defer again.Stop()
	for {
		err := look()
		if err == nil {
			return nil
		}
		select {
		case <-again.C:
		case <-ended:
			return fmt.Errorf("it ended; before that: %w", err)
		case <-deadline.C:
			return err
		}
	}
}

// call sends a body and wants an answer of success.
func call(method, url string, body []byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
	if err == nil && resp.StatusCode/100 != 2 {
		err = fmt.Errorf("%s answers %s: %s", url, resp.Status, text)
	}
	return err
}

// push sends the lines of the tests to POST /loki/api/v1/push.
func push(server string) error {
	type stream struct {
		Stream map[string]string `json:"stream"`
		Values [][2]string       `json:"values"`
	}
	byFile := map[string]*stream{}
	var streams []*stream
	for _, line := range lokiLines() {
		s := byFile[line.file]
		if s == nil {
			s = &stream{Stream: map[string]string{"app": "codex", "log": line.file, "req_id": "a label of the stream"}}
			byFile[line.file] = s
			streams = append(streams, s)
		}
		s.Values = append(s.Values, [2]string{strconv.FormatInt(line.at.UnixNano(), 10), line.text})
	}
	body, err := json.Marshal(map[string]any{"streams": streams})
	if err != nil {
		return err
	}
	return call(http.MethodPost, server+"/loki/api/v1/push", body)
}

// loki is the real server behind a proxy that records, for the test of that
// name.
func loki(t *testing.T, name string) string {
	t.Helper()
	server, err := url.Parse(os.Getenv(lokiServer))
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	exchanges := []exchange{}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(server)
			r.Out.Header.Del("Accept-Encoding")
		},
		ModifyResponse: func(resp *http.Response) error {
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				return err
			}
			resp.Body = io.NopCloser(bytes.NewReader(body))
			mu.Lock()
			defer mu.Unlock()
			exchanges = append(exchanges, exchange{
				Path: resp.Request.URL.Path, Params: resp.Request.URL.Query(), Status: resp.StatusCode, Body: withoutStats(body),
			})
			return nil
		},
	}
	recorder := httptest.NewServer(proxy)
	t.Cleanup(func() {
		recorder.Close()
		if t.Failed() {
			return
		}
		path := recordingPath("loki", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, indented(t, exchanges), 0o644); err != nil {
			t.Fatal(err)
		}
	})
	return recorder.URL
}

// withoutStats leaves out what differs from run to run and nobody reads: how
// long each part of the query took.
func withoutStats(body []byte) json.RawMessage {
	var answer map[string]json.RawMessage
	var data map[string]json.RawMessage
	if json.Unmarshal(body, &answer) == nil && json.Unmarshal(answer["data"], &data) == nil {
		delete(data, "stats")
		answer["data"], _ = json.Marshal(data) // a map of JSON can be written
		body, _ = json.Marshal(answer)
	}
	if !json.Valid(body) {
		body, _ = json.Marshal(string(body))
	}
	return body
}

// indented is JSON as a file that people compare.
func indented(t *testing.T, v any) []byte {
	t.Helper()
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	if err := enc.Encode(v); err != nil {
		t.Fatal(err)
	}
	return text.Bytes()
}
