// The faults that can be switched on, and how the rest of the app hears of it.

package codexsim

import (
	"fmt"
	"slices"
	"strings"
	"sync"
)

// Fault names one thing that can be made to go wrong.
type Fault string

// The faults.
const (
	Slow        Fault = "slow"        // chat completions take several times as long; a worker backs off
	Errors      Fault = "errors"      // every fifth chat completion fails with 502
	Restarts    Fault = "restarts"    // most workers crash in a loop, with backoff from 250 ms to 5 s
	ToolBuffer  Fault = "toolbuffer"  // the limit of tool calls is off: every second buffer is harmed and aborted
	Maintenance Fault = "maintenance" // the maintenance flag was left on: every chat completion is refused
	Deploy      Fault = "deploy"      // a bad release: every fifth chat completion fails; off is a rollback
	Overload    Fault = "overload"    // three times the traffic: turns queue, and no worker backs off
	LogsOff     Fault = "logs-off"    // no log is written; metrics go on
)

// Faults are all faults, in the order in which they are listed to people.
func Faults() []Fault {
	return []Fault{Slow, Errors, Restarts, ToolBuffer, Maintenance, Deploy, Overload, LogsOff}
}

// Alerts are the shipped alerts that the fault raises by itself. LogsOff raises
// none: it takes away what explains the others.
func (f Fault) Alerts() []string {
	switch f {
	case Slow, Overload:
		return []string{"CodexLatencySLOBreach"}
	case Errors, Deploy:
		return []string{"CodexErrorRateHigh"}
	case Restarts:
		return []string{"CodexWorkerRestarts"}
	case ToolBuffer:
		return []string{"CodexToolBufferAnomaly"}
	case Maintenance:
		return []string{"CodexMaintenanceEnabled", "CodexErrorRateHigh"} // refused requests count
	}
	return nil
}

// ParseFault checks a fault's name.
func ParseFault(name string) (Fault, error) {
	if fault := Fault(name); slices.Contains(Faults(), fault) {
		return fault, nil
	}
	names := make([]string, 0, len(Faults()))
	for _, f := range Faults() {
		names = append(names, string(f))
	}
	return "", fmt.Errorf("unknown fault %q; known are %s", name, strings.Join(names, ", "))
}

// faults holds which faults are on.
type faults struct {
	mu      sync.Mutex
	on      map[Fault]bool
	changed chan struct{} // closed and replaced at every change
}

func newFaults() *faults {
	return &faults{on: map[Fault]bool{}, changed: make(chan struct{})}
}

func (f *faults) set(fault Fault, on bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.on[fault] = on
	close(f.changed)
	f.changed = make(chan struct{})
}

func (f *faults) is(fault Fault) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.on[fault]
}

// change returns a channel that is closed at the next change. Take it before
// looking at the faults, so that no change is missed.
func (f *faults) change() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.changed
}
