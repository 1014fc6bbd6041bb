// What edits have shown, so that one that changes nothing is not sent.

package outbox

import (
	"crypto/sha256"
	"encoding/json"
	"sync"

	"triagebot/triage"
)

// shown remembers the body of the parent messages that this worker sent last.
// It only saves edits (a step that flips and flips back between two of them),
// so it may forget.
type shown struct {
	mu     sync.Mutex
	bodies map[int64]shownBody // by delivery
}

type shownBody struct {
	version int64
	sum     [sha256.Size]byte
}

// shownLimit bounds the memory: about 64 bytes each.
const shownLimit = 4096

func (s *shown) remember(d *triage.Delivery) {
	sum, ok := sumOf(d)
	if d.Kind != triage.DeliveryParent || !ok {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bodies == nil || len(s.bodies) >= shownLimit {
		s.bodies = map[int64]shownBody{}
	}
	s.bodies[d.ID] = shownBody{d.Version, sum}
}

// same says whether the version that is shown, of which another replica may
// have sent a later one, has this very body.
func (s *shown) same(d *triage.Delivery) bool {
	if d.SentVersion == 0 {
		return false
	}
	s.mu.Lock()
	was, known := s.bodies[d.ID]
	s.mu.Unlock()
	if !known || was.version != d.SentVersion {
		return false
	}
	sum, ok := sumOf(d)
	if ok && sum == was.sum {
		s.remember(d)
		return true
	}
	return false
}

func sumOf(d *triage.Delivery) (sum [sha256.Size]byte, ok bool) {
	body, err := json.Marshal(d.Body)
	return sha256.Sum256(body), err == nil
}
