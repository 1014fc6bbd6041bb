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
	Live      bool // more is to come, so the page looks for it
	Status    string
	Impact    string
	Lasted    string
	Title     string // of the playbook
	Owner     string
	Labels    []string
	Links     []triage.Link
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
	v := &incidentView{
		Incident: inc, Status: status(inc), Impact: h.Redact.Text(impact(inc)), Lasted: lasted(inc),
		Verify: p.link(h.Signer, "/incidents/"+strconv.FormatInt(id, 10), id, "", url.Values{"verify": {""}}),
	}
	var runbook string
	if h.About != nil {
		v.Title, v.Owner, runbook = h.About(inc.Playbook)
	}
	v.Links = h.links(inc, runbook)
	if p.expires == 0 {
		v.List = "/incidents"
	}
	for _, name := range inc.Labels.Names() {
		v.Labels = append(v.Labels, h.Redact.Text(name)+"="+strconv.Quote(h.Redact.Value(name, inc.Labels[name])))
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
func status(inc triage.Incident) string {
	words := strings.ToUpper(string(inc.State))
	switch {
	case inc.Severity == "":
		return words
	case inc.State == triage.IncidentFiring:
		return strings.ToUpper(inc.Severity) + " · " + words
	}
	return words + " · was " + strings.ToUpper(inc.Severity)
}

// impact is what the alert says is wrong.
func impact(inc triage.Incident) string {
	for _, name := range []string{"summary", "description", "message"} {
		if text := strings.TrimSpace(inc.Annotations[name]); text != "" {
			return text
		}
	}
	return ""
}

// links are where people go from here.
func (h *Handler) links(inc triage.Incident, runbook string) []triage.Link {
	var links []triage.Link
	for _, l := range []triage.Link{
		{Title: "Runbook", URL: inc.Annotations["runbook_url"]},
		{Title: "Runbook", URL: runbook},
		{Title: "Dashboard", URL: inc.Annotations["dashboard_url"]},
		{Title: "Prometheus", URL: inc.GeneratorURL},
	} {
		u, err := url.Parse(l.URL)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || slices.ContainsFunc(links, func(o triage.Link) bool { return o.Title == l.Title }) {
			continue
		}
		links = append(links, triage.Link{Title: l.Title, URL: h.Redact.URL(l.URL)})
	}
	return links
}
