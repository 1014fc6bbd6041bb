package slacklocal

// Faults on demand, for the tests of what triagebot does when Slack misbehaves.

import (
	"net/http"
	"strconv"
	"sync"
)

// Fault is what goes wrong with one call. The zero value is a call that goes well.
type Fault struct {
	// Accept carries the call out before it goes wrong: the message is shown,
	// and its sender does not learn it.
	Accept bool
	// Cut closes the connection without an answer.
	Cut bool
	// Status answers with this HTTP status and an HTML body.
	Status int
	// RetryAfter is the Retry-After header's value along with Status, "" for none.
	RetryAfter string
	// Error answers 200 with ok=false and this error.
	Error string
	// Wait holds the call until the channel is closed or the caller gives up.
	Wait <-chan struct{}
	// LateShare lets files.completeUploadExternal answer ok without sharing
	// the file; ReleaseShares shares it later.
	LateShare bool
	// Lost drops what is sent over Socket Mode: an envelope, a ping, or an
	// acknowledgement of the app's.
	Lost bool
	// Twice sends an envelope over Socket Mode twice.
	Twice bool
}

type faults struct {
	mu    sync.Mutex
	plans map[string]*plan // by method and what Fail lists
}

type plan struct {
	calls int
	fault func(n int) Fault
}

// Fail has fault asked at each call of a method, n counting from 1. The method
// "upload" is the upload URL, "response_url" a message to one; "socket", "ping"
// and "ack" are an envelope, a ping and an acknowledgement over Socket Mode,
// which Lost, Twice and Cut apply to. "*" is every method without a plan of its
// own: an outage is Fail("*", …) until Fail("*", nil). A nil fault ends the plan.
func (w *Workspace) Fail(method string, fault func(n int) Fault) {
	w.faults.mu.Lock()
	defer w.faults.mu.Unlock()
	if fault == nil {
		delete(w.faults.plans, method)
		return
	}
	if w.faults.plans == nil {
		w.faults.plans = make(map[string]*plan)
	}
	w.faults.plans[method] = &plan{fault: fault}
}

// of takes the next call of a method.
func (f *faults) of(method string) Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.plans[method]
	if p == nil {
		p = f.plans["*"]
	}
	if p == nil {
		return Fault{}
	}
	p.calls++
	return p.fault(p.calls)
}

// answer writes the fault; done is false when the call is to go on as usual.
func (f Fault) answer(rw http.ResponseWriter) (done bool) {
	switch {
	case f.Cut:
		panic(http.ErrAbortHandler) // net/http's way to close the connection
	case f.Status != 0:
		if f.RetryAfter != "" {
			rw.Header().Set("Retry-After", f.RetryAfter)
		}
		rw.Header().Set("Content-Type", "text/html")
		rw.WriteHeader(f.Status)
		_, _ = rw.Write([]byte("<html><body>" + strconv.Itoa(f.Status) + "</body></html>"))
		return true
	case f.Error != "":
		writeJSON(rw, failure{Error: f.Error})
		return true
	}
	return false
}
