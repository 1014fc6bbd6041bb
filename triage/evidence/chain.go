package evidence

// The hash chain: each entry's hash covers the entry and the hash before it,
// so that none can be edited, dropped or moved unseen.

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"time"

	"triagebot/triage"
)

// Staged is an artifact that is stored durably and awaits its row.
type Staged struct {
	IncidentID int64
	Name       string // path within the bundle
	MediaType  string
	Size       int64  // bytes, as stored
	SHA256     string // hexadecimal, of what is stored
	Source     string // redacted
	CreatedAt  time.Time
	Redactions int // secrets masked in content and source
}

// Chain makes the manifest entry of a staged artifact. prev is the incident's
// last entry, or zero for its first. It is to be called in the transaction
// that stores the entry, with the incident's last entry locked, so that
// sequence numbers have neither gaps nor twins.
func Chain(prev triage.Evidence, s Staged) triage.Evidence {
	e := triage.Evidence{
		IncidentID: s.IncidentID,
		Seq:        prev.Seq + 1,
		Name:       s.Name,
		MediaType:  s.MediaType,
		Size:       s.Size,
		SHA256:     s.SHA256,
		Source:     s.Source,
		CreatedAt:  normalTime(s.CreatedAt),
		Redactions: s.Redactions,
		Prev:       prev.Hash,
	}
	e.Hash = entryHash(e)
	return e
}

// entryHash is SHA-256 over the previous hash, a newline and the entry's
// canonical JSON: the fields in the order of triage.Evidence, Hash empty.
func entryHash(e triage.Evidence) string {
	prev := e.Prev
	e.Hash = ""
	e.CreatedAt = normalTime(e.CreatedAt)
	body, err := json.Marshal(e)
	if err != nil {
		panic("evidence: an entry of strings and numbers does not marshal: " + err.Error())
	}
	h := sha256.New()
	h.Write([]byte(prev))
	h.Write([]byte{'\n'})
	h.Write(body)
	return hex.EncodeToString(h.Sum(nil))
}

// normalTime is a time as every database keeps it, so that an entry read back
// hashes to the same.
func normalTime(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

func sha256Hex(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
