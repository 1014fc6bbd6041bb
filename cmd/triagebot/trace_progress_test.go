package main

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"triagebot/triage/tracelog"
)

// traceOf is a trace of so many records.
func traceOf(records int) *tracelog.Trace {
	return &tracelog.Trace{Records: make([]tracelog.Traced, records)}
}

// Where it is no terminal, there is a line now and then.
func TestALongLookupSaysHowFarItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // the time stands still
		var said strings.Builder
		p := newTraceProgress(&said)
		p.bytes(1e9, 4e9)
		if said.Len() > 0 {
			t.Errorf("a lookup that has just begun says %q", said.String())
		}
		p.next = time.Now()
		p.bytes(1e9, 4e9)
		p.bytes(2e9, 4e9)
		p.partial(traceOf(2))
		p.next = time.Now()
		p.bytes(3e9, 4e9)
		if want := "searched 1.00 GB of 4.00 GB (25 %)\nsearched 3.00 GB of 4.00 GB (75 %), 2 records so far\n"; said.String() != want {
			t.Errorf("it says %q, want %q", said.String(), want)
		}
		if err := p.end(); err != nil {
			t.Error(err)
		}
	})
}

func TestALongLookupShowsItsFirstAnswerOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTraceProgress(&strings.Builder{})
		shown := make(chan *tracelog.Trace, 9)
		p.showFirst(func(t *tracelog.Trace) error {
			shown <- t
			return nil
		})
		p.partial(traceOf(0))
		p.partial(traceOf(1))
		if len(shown) > 0 {
			t.Error("shown, though the whole answer may come as soon")
		}
		if first := <-shown; len(first.Records) != 1 {
			t.Errorf("the first answer has %d records", len(first.Records))
		}
		p.partial(traceOf(2))
		if err := p.end(); err != nil || len(shown) > 0 {
			t.Errorf("shown %d times more; %v", len(shown), err)
		}
	})
}
