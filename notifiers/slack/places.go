package slack

// Where searches that broke off are taken up again: a rate limit in the middle
// of many pages must not send the next look back to the first.

import (
	"sync"

	"triagebot/triage"
)

// look is what a search looks for, and in which channel or thread. Another
// attempt at the same delivery is another look.
type look struct {
	nonce, in string
	triedAt   int64 // of the attempt, in microseconds
}

func lookFor(d *triage.Delivery, in string) look {
	return look{nonce: d.Nonce, in: in, triedAt: d.TriedAt.UnixMicro()}
}

// place is how far a search came.
type place struct {
	cursor string // of the next page; "" for the first
	pages  int    // looked through
}

// maxPlaces bounds those that are kept; a search whose place is lost starts over.
const maxPlaces = 1000

// places keeps where searches stand. The zero value is empty.
type places struct {
	mu    sync.Mutex
	stand map[look]place
}

func (p *places) keep(l look, at place) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stand == nil || len(p.stand) >= maxPlaces {
		p.stand = map[look]place{}
	}
	p.stand[l] = at
}

// take returns where the search stands, the beginning where none is kept, and
// forgets it.
func (p *places) take(l look) place {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := p.stand[l]
	delete(p.stand, l)
	return at
}
