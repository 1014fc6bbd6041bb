package evidence

// The manifest: what a bundle consists of, in a form that proves itself. Each
// evidence entry is chained to the one before; the head covers all of it.

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"triagebot/triage"
)

// Format is the manifest format that this version writes and verifies.
const Format = "triagebot-evidence/1"

// maxManifest bounds a manifest that is read, in bytes.
const maxManifest = 64 << 20

// Manifest lists what a bundle consists of.
type Manifest struct {
	Format   string            `json:"format"`
	Incident ManifestIncident  `json:"incident"`
	Sealed   bool              `json:"sealed"` // nothing is to be added any more
	Evidence []triage.Evidence `json:"evidence"`
	Chain    string            `json:"chain"` // Hash of the last evidence entry, "" without any
	Derived  []DerivedFile     `json:"derived"`
	// Head is the SHA-256 of this manifest with Head empty. Kept elsewhere (in
	// the incident's channel), it proves that the bundle was not rewritten.
	Head string `json:"head"`
}

// ManifestIncident says which incident a bundle belongs to.
type ManifestIncident struct {
	ID        int64     `json:"id"`
	Key       string    `json:"key"`
	StartedAt time.Time `json:"started_at"`
}

// DerivedFile is a file made from the store's rows: report, timeline.
type DerivedFile struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"` // bytes
	SHA256 string `json:"sha256"`
}

// seal sets the manifest's head.
func (m *Manifest) seal() error {
	m.Head = ""
	b, err := m.encode()
	if err != nil {
		return err
	}
	m.Head = sha256Hex(b)
	return nil
}

// encode gives the one form a manifest is written in.
func (m *Manifest) encode() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(m); err != nil {
		return nil, fmt.Errorf("encode the manifest: %w", err)
	}
	return b.Bytes(), nil
}

// errForeign is a manifest of another format than Format.
var errForeign = errors.New("foreign manifest format")

// decodeManifest reads a manifest and insists on the form in which it is written.
func decodeManifest(b []byte) (*Manifest, error) {
	var head struct {
		Format string `json:"format"`
	}
	if err := json.Unmarshal(b, &head); err != nil {
		return nil, fmt.Errorf("is no JSON any more: %w", err)
	}
	if head.Format != Format {
		return nil, fmt.Errorf("%w: it says %q, this version verifies %q", errForeign, head.Format, Format)
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	m := new(Manifest)
	if err := dec.Decode(m); err != nil {
		return nil, fmt.Errorf("does not have the form of %s: %w", Format, err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("has something after its end")
	}
	return m, nil
}
