package evidence

// The minimum set: what an incident's evidence has to consist of at the least,
// and which of it a bundle has. It is read off the findings, so no playbook has
// to say which of its artifacts are part of it.

import (
	"fmt"
	"net/url"
	"path"
	"strings"

	"triagebot/triage"
)

// minimumPart is one part of the minimum set.
type minimumPart struct {
	title string
	files []minimumFile
	// missing says why there is no file, as far as a finding does.
	missing string
}

// minimumFile is an artifact with the title of the step that it came from.
type minimumFile struct{ step, name, title string }

// minimumSet holds the parts of the minimum set in the order in which they are
// shown.
type minimumSet struct{ panels, trace, readyz, metrics minimumPart }

func (m *minimumSet) parts() []*minimumPart {
	return []*minimumPart{&m.panels, &m.trace, &m.readyz, &m.metrics}
}

// summary is which parts there are.
func (m *minimumSet) summary() triage.MinimumSet {
	return triage.MinimumSet{
		Panels: len(m.panels.files), Trace: len(m.trace.files) > 0,
		Readyz: len(m.readyz.files) > 0, Metrics: len(m.metrics.files) > 0,
	}
}

// minimumOf sorts the artifacts of all runs. Only what the chain lists counts:
// a finding may name a file that was refused.
func minimumOf(v View) *minimumSet {
	m := &minimumSet{
		panels:  minimumPart{title: "Panels"},
		trace:   minimumPart{title: "Trace of a request"},
		readyz:  minimumPart{title: "/readyz"},
		metrics: minimumPart{title: "/metrics"},
	}
	kept := make(map[string]triage.Evidence, len(v.Evidence))
	for _, e := range v.Evidence {
		kept[e.Name] = e
	}
	for _, run := range v.Runs {
		for _, f := range run.Findings {
			found := false
			for _, ref := range f.Evidence {
				if e, has := kept[ref.Name]; has {
					if part := m.partOf(f, ref, e); part != nil {
						part.files = append(part.files, minimumFile{step: titleOf(f), name: ref.Name, title: ref.Title})
						found = true
					}
				}
			}
			if part := m.meantFor(f); part != nil && !found {
				part.missing = whyMissing(f)
			}
		}
	}
	return m
}

// partOf is the part that an artifact belongs to, or nil.
func (m *minimumSet) partOf(f triage.Finding, ref triage.EvidenceRef, e triage.Evidence) *minimumPart {
	switch {
	case ref.IsPicture():
		return &m.panels
	case f.Kind == "trace", f.Kind == "toolblocks": // both stitch requests from the logs
		return &m.trace
	case f.Kind == "capture":
		return m.captured(capturedPath(e.Source))
	default:
		return nil
	}
}

// captured is the part of a service's page, by its path.
func (m *minimumSet) captured(page string) *minimumPart {
	switch page {
	case "readyz":
		return &m.readyz
	case "metrics":
		return &m.metrics
	default:
		return nil
	}
}

// capturedPath is the last part of the path that a capture asked for, whose
// source reads GET http://app:8080/readyz.
func capturedPath(source string) string {
	_, address, _ := strings.Cut(source, " ")
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return path.Base(u.Path)
}

// meantFor is the part that a step without a file was for, as far as can be
// told: which page it would have captured stands in its name alone.
func (m *minimumSet) meantFor(f triage.Finding) *minimumPart {
	switch f.Kind {
	case "panel":
		return &m.panels
	case "trace", "toolblocks":
		return &m.trace
	case "capture":
		return m.captured(strings.TrimPrefix(f.StepID, "/"))
	default:
		return nil
	}
}

// whyMissing is what a finding without a file says of that.
func whyMissing(f triage.Finding) string {
	switch {
	case f.Skipped != "":
		return fmt.Sprintf("%s was skipped: %s", titleOf(f), f.Skipped)
	case len(f.Following) > 0:
		return titleOf(f) + " is still being drawn"
	default:
		return fmt.Sprintf("%s: %s", titleOf(f), f.Headline)
	}
}

// titleOf is what a finding is called.
func titleOf(f triage.Finding) string {
	if f.Title != "" {
		return f.Title
	}
	return f.StepID
}
