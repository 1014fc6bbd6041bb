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
	ToolBuffer  Fault = "toolbuffer"  // every second tool-call buffer loses or doubles a chunk and is aborted
	Maintenance Fault = "maintenance" // the maintenance flag was left on: every chat completion is refused
)

// Faults are all faults, in the order in which they are listed to people.
func Faults() []Fault { return []Fault{Slow, Errors, Restarts, ToolBuffer, Maintenance} }

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

// set says whether that changed anything.
func (f *faults) set(fault Fault, on bool) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.on[fault] == on {
		return false
	}
	f.on[fault] = on
	close(f.changed)
	f.changed = make(chan struct{})
	return true
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
