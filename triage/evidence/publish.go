package evidence

// The derived files of a bundle: timeline.ndjson, report.md and, last,
// manifest.json. They are made from committed rows alone, so the same view
// gives the same bytes, and an interrupted Publish is mended by the next.

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"triagebot/triage"
)

// View is all that the derived files are made from, read in one transaction.
type View struct {
	Incident triage.Incident
	Alerts   []triage.Alert         // of the incident, at most MaxAlerts
	Runs     []RunView              // in order
	Evidence []triage.Evidence      // by Seq
	Timeline []triage.TimelineEntry // by Seq
	// Sealed says that nothing is to be added any more: the incident is closed.
	Sealed bool
}

// RunView is a run with its findings in the playbook's order.
type RunView struct {
	Run      triage.Run
	Findings []triage.Finding
}

// Publish writes the derived files of an incident's bundle, at the end of a
// run, when the incident resolves and when it is closed. It returns the
// manifest's head, which is worth posting when the bundle is sealed: Verify
// takes it as proof from outside.
//
// holds is asked before each file is written, and its error ends the publish:
// one that was stalled and lost its claim must not write over a bundle that
// another has sealed since. nil asks nobody.
func (s *Store) Publish(ctx context.Context, v View, holds func(context.Context) error) (head string, err error) {
	id := v.Incident.ID
	timeline, err := s.timeline(v.Timeline)
	if err != nil {
		return "", fmt.Errorf("publish the bundle of incident %d: %w", id, err)
	}
	m := &Manifest{
		Format: Format,
		Incident: ManifestIncident{
			ID: id, Key: s.masked(v.Incident.Key), StartedAt: normalTime(v.Incident.StartedAt),
		},
		Sealed:   v.Sealed,
		Evidence: make([]triage.Evidence, len(v.Evidence)),
		Derived:  []DerivedFile{},
	}
	for i, e := range v.Evidence {
		e.CreatedAt = normalTime(e.CreatedAt)
		m.Evidence[i] = e
		m.Chain = e.Hash
	}
	for _, f := range []struct {
		name string
		data []byte
	}{{TimelineName, timeline}, {ReportName, s.report(v)}} {
		if err := s.derive(ctx, id, f.name, f.data, holds); err != nil {
			return "", err
		}
		m.Derived = append(m.Derived, DerivedFile{Name: f.name, Size: int64(len(f.data)), SHA256: sha256Hex(f.data)})
	}
	if err := m.seal(); err != nil {
		return "", fmt.Errorf("publish the bundle of incident %d: %w", id, err)
	}
	b, err := m.encode()
	if err != nil {
		return "", fmt.Errorf("publish the bundle of incident %d: %w", id, err)
	}
	if err := s.derive(ctx, id, ManifestName, b, holds); err != nil {
		return "", err
	}
	s.log.WithField("incident", id).WithField("evidence", len(v.Evidence)).WithField("sealed", v.Sealed).Debug("bundle published")
	return m.Head, nil
}

// derive writes one derived file, if the publisher still holds the bundle.
func (s *Store) derive(ctx context.Context, incidentID int64, name string, data []byte, holds func(context.Context) error) error {
	if holds != nil {
		if err := holds(ctx); err != nil {
			return fmt.Errorf("publish %s of incident %d: %w", name, incidentID, err)
		}
	}
	if err := s.write(ctx, key(incidentID, name), mediaTypeOf(name), data); err != nil {
		return fmt.Errorf("publish %s of incident %d: %w", name, incidentID, err)
	}
	return nil
}

// timeline is the timeline as NDJSON, one entry a line.
func (s *Store) timeline(entries []triage.TimelineEntry) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	for _, e := range entries {
		e.At = normalTime(e.At)
		e.Actor, e.Text = s.masked(e.Actor), s.masked(e.Text)
		if err := enc.Encode(e); err != nil {
			return nil, fmt.Errorf("encode timeline entry %d: %w", e.Seq, err)
		}
	}
	return b.Bytes(), nil
}

// masked is text without its secrets.
func (s *Store) masked(text string) string {
	text, _ = s.redactor.RedactString(text)
	return text
}
