package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"triagebot/triage/receive"
)

// A Slack that hangs must not make a replica look unready: probes give up
// after a second, and would take every replica out at once.
func TestAProbeWaitsForASlackThatHangsBrieflyAndSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var check slowCheck
		asked := 0
		hangs := func(ctx context.Context) error {
			asked++
			<-ctx.Done()
			return ctx.Err()
		}
		began := time.Now()
		for range 10 {
			if err := check.err(t.Context(), hangs, time.Now()); !errors.Is(err, context.DeadlineExceeded) {
				t.Fatalf("got %v", err)
			}
		}
		if took := time.Since(began); took != warnTimeout || asked != 1 {
			t.Errorf("ten probes took %s and asked %d times", took, asked)
		}
		later := time.Now().Add(warningsStand + time.Second)
		if err := check.err(t.Context(), func(context.Context) error { return nil }, later); err != nil {
			t.Errorf("it is back, and the probe says %v", err)
		}
	})
}

func TestABodyThatDoesNotArriveEndsWithReadTimeout(t *testing.T) {
	dir := t.TempDir()
	file := smallConfig(t, dir, "")
	write(t, dir, "triagebot.yaml", strings.Replace(readText(t, file), `server: {listen`, `server: {read_timeout: 50ms, listen`, 1))
	a := startApp(t, file)
	body, never := io.Pipe()
	defer never.Close() //nolint:errcheck // nothing is ever written
	resp, err := http.Post(a.url()+receive.Path, "application/json", body)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // it was only read
	answer, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusRequestTimeout || !strings.Contains(string(answer), "within 50ms") {
		t.Errorf("%d: %s", resp.StatusCode, answer)
	}
}
