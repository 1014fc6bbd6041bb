// The page of one incident.

package console

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/gorilla/mux"

	"triagebot/triage"
	"triagebot/triage/evidence"
)

type incidentView struct {
	Incident  triage.Incident
	Said      triage.ParentPost // what its parent message says
	Live      bool              // more is to come, so the page looks for it
	Status    string
	Impact    string
	Lasted    string
	Held      string // who has it, and what else people did to it
	Labels    []string
	List      string // the address of the list; "" for who may not see it
	Runs      []runView
	Timeline  []triage.TimelineEntry
	Files     []fileView
	Report    string // its address; "" before the first run has ended
	Manifest  string
	Head      string // of the sealed bundle
	Verify    string // the address that checks the bundle
	Verified  *evidence.Report
	Unchecked string // why it cannot be checked
}

type runView struct {
	triage.Run
	Took     string
	Steps    []triage.StepMark
	Done     int
	Findings []findingView
	Latest   bool
}

type findingView struct {
	triage.Finding
	Pictures  []fileView
	Files     []fileView
	Waterfall *waterfall
}

type fileView struct {
	Name, Title, Alt, URL, SHA256, Source string
	Size                                  int64
	Redactions                            int
}

func (h *Handler) serveIncident(w http.ResponseWriter, r *http.Request) {
	id, err := strconv.ParseInt(mux.Vars(r)["id"], 10, 64)
	if err != nil {
		h.refuse(w, http.StatusNotFound, "There is no such incident", "")
		return
	}
	p, ok := h.admit(w, r, id)
	if !ok {
		return
	}
	v, err := h.incident(r.Context(), p, id)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	if r.URL.Query().Has("verify") {
		report, err := h.Bundles.Verify(r.Context(), id, v.Head)
		if err != nil {
			h.Log.WithError(err).WithField("incident", id).Warn("the bundle cannot be checked")
			v.Unchecked = "The bundle cannot be read; triagebot's log says why."
		} else {
			v.Verified = &report
		}
	}
	h.render(w, r, http.StatusOK, "incident.html", v)
}

func (h *Handler) incident(ctx context.Context, p pass, id int64) (*incidentView, error) {
	inc, err := h.Store.Incident(ctx, id)
	if err != nil {
		return nil, err
	}
	parent := h.Parent
	parent.Links = nil // they lead here
	said := parent.Post(inc, nil, nil, nil)
	v := &incidentView{
		Incident: inc, Said: said, Status: status(said), Impact: h.Parent.Redact.Text(inc.Impact()), Lasted: lasted(inc), Held: held(said),
		Verify: p.link(h.Signer, "/incidents/"+strconv.FormatInt(id, 10), id, "", url.Values{"verify": {""}}),
	}
	if p.expires == 0 {
		v.List = "/incidents"
	}
	for _, name := range inc.Labels.Names() {
		v.Labels = append(v.Labels, h.Parent.Redact.Text(name)+"="+strconv.Quote(h.Parent.Redact.Value(name, inc.Labels[name])))
	}
	runs, err := h.Store.RunsOf(ctx, id)
	if err != nil {
		return nil, err
	}
	slices.Reverse(runs) // the newest is what one looks for
	for i, run := range runs {
		rv, err := h.run(ctx, p, run)
		if err != nil {
			return nil, err
		}
		rv.Latest = i == 0
		v.Runs = append(v.Runs, rv)
		v.Live = v.Live || run.State == triage.RunPending || run.State == triage.RunRunning
	}
	v.Live = v.Live || inc.State != triage.IncidentClosed
	if v.Timeline, err = h.Store.Timeline(ctx, id); err != nil {
		return nil, err
	}
	if v.Head, err = h.Store.SealedHead(ctx, id); err != nil {
		return nil, err
	}
	return v, h.files(ctx, p, v)
}

// files adds the bundle's files.
func (h *Handler) files(ctx context.Context, p pass, v *incidentView) error {
	id := v.Incident.ID
	kept, err := h.Store.Evidence(ctx, id)
	if err != nil {
		return err
	}
	for _, e := range kept {
		v.Files = append(v.Files, fileView{
			Name: e.Name, URL: h.fileURL(p, id, e.Name), SHA256: e.SHA256, Source: e.Source, Size: e.Size, Redactions: e.Redactions,
		})
	}
	if slices.ContainsFunc(v.Runs, func(r runView) bool { return !r.FinishedAt.IsZero() }) {
		v.Report, v.Manifest = h.fileURL(p, id, evidence.ReportName), h.fileURL(p, id, evidence.ManifestName)
	}
	return nil
}

func (h *Handler) run(ctx context.Context, p pass, run triage.Run) (v runView, err error) {
	v.Run = run
	if !run.FinishedAt.IsZero() && !run.StartedAt.IsZero() {
		v.Took = run.FinishedAt.Sub(run.StartedAt).Round(1e6).String()
	}
	if v.Steps, err = h.Store.StepsOf(ctx, run.ID); err != nil {
		return v, err
	}
	findings, err := h.Store.Findings(ctx, run.ID)
	if err != nil {
		return v, err
	}
	byStep := map[string]triage.Finding{}
	for _, f := range findings {
		byStep[f.StepID] = f
	}
	for i, s := range v.Steps {
		f, done := byStep[s.ID]
		if !done {
			continue
		}
		v.Done++
		v.Steps[i].State = f.State()
		v.Findings = append(v.Findings, h.finding(ctx, p, run.IncidentID, f))
	}
	// What is wrong first, in the playbook's order among its like.
	slices.SortStableFunc(v.Findings, func(a, b findingView) int { return rank(a.State()) - rank(b.State()) })
	return v, nil
}

func rank(s triage.StepState) int {
	return slices.Index([]triage.StepState{triage.StepAbnormal, triage.StepUnknown, triage.StepNormal, triage.StepSkipped}, s)
}

func (h *Handler) finding(ctx context.Context, p pass, incidentID int64, f triage.Finding) findingView {
	v := findingView{Finding: f}
	for _, e := range f.Evidence {
		file := fileView{Name: e.Name, Title: e.Title, Alt: e.Alt, URL: h.fileURL(p, incidentID, e.Name)}
		if file.Title == "" {
			file.Title = e.Name
		}
		if e.IsPicture() {
			v.Pictures = append(v.Pictures, file)
		} else {
			v.Files = append(v.Files, file)
		}
		if f.Kind == "trace" && strings.HasSuffix(e.Name, ".ndjson") {
			v.Waterfall = h.waterfall(ctx, incidentID, e.Name)
		}
	}
	return v
}

func (h *Handler) fileURL(p pass, incidentID int64, name string) string {
	return p.link(h.Signer, fmt.Sprintf("/evidence/%d/%s", incidentID, name), incidentID, name, nil)
}

// status is the incident's state in words.
func status(said triage.ParentPost) string {
	words := strings.ToUpper(string(said.State))
	switch {
	case said.Severity == "":
		return words
	case said.State == triage.IncidentFiring:
		return strings.ToUpper(said.Severity) + " · " + words
	}
	return words + " · was " + strings.ToUpper(said.Severity)
}

// held says who has the incident and until when it is silenced, in a line.
func held(said triage.ParentPost) string {
	var parts []string
	if said.RequestedBy != "" {
		parts = append(parts, "Run by hand, asked for by "+said.RequestedBy)
	}
	if said.AckedBy != "" {
		parts = append(parts, "Acked by "+said.AckedBy+" at "+instant(said.AckedAt))
	}
	if !said.SilencedUntil.IsZero() {
		parts = append(parts, "silenced until "+instant(said.SilencedUntil))
	}
	return strings.Join(parts, " · ")
}
