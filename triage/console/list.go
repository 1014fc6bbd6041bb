// The list of incidents.

package console

import (
	"net/http"
	"net/url"
	"strconv"
	"time"

	"triagebot/triage"
	"triagebot/triage/store"
)

// pageSize is how many incidents a page of the list has.
const pageSize = 50

// maxFilter bounds what a filter may hold, in bytes.
const maxFilter = 200

type listView struct {
	Filters   url.Values
	Hidden    []field // the signature, for the form
	Incidents []listed
	Next      string // "" on the last page
	Audit     string
	All       string // without filters; "" where there are none
	States    []option
}

type listed struct {
	triage.Incident
	URL, Fields, Lasted string
}

type option struct {
	Value, Title string
	Selected     bool
}

type field struct{ Name, Value string }

func (h *Handler) serveList(w http.ResponseWriter, r *http.Request) {
	p, ok := h.admit(w, r, listing)
	if !ok {
		return
	}
	q := r.URL.Query()
	filters := url.Values{}
	for _, name := range []string{"state", "severity", "playbook", "q"} {
		if v := q.Get(name); v != "" {
			filters.Set(name, v[:min(len(v), maxFilter)])
		}
	}
	before, _ := strconv.ParseInt(q.Get("before"), 10, 64) // what is no number begins at the newest
	found, err := h.Store.FindIncidents(r.Context(), store.IncidentFilter{
		State: triage.IncidentState(filters.Get("state")), Severity: filters.Get("severity"), Playbook: filters.Get("playbook"),
		Text: filters.Get("q"), Before: before, Limit: pageSize + 1,
	})
	if err != nil {
		h.fail(w, r, err)
		return
	}
	v := listView{Filters: filters, Audit: p.link(h.Signer, "/audit", listing, "", nil)}
	if len(found) > pageSize {
		found = found[:pageSize]
		next := url.Values{"before": {strconv.FormatInt(found[pageSize-1].ID, 10)}}
		for name, values := range filters {
			next[name] = values
		}
		v.Next = p.link(h.Signer, "/incidents", listing, "", next)
	}
	if len(filters) > 0 || before > 0 {
		v.All = p.link(h.Signer, "/incidents", listing, "", nil)
	}
	if p.expires != 0 {
		for _, name := range []string{"exp", "sig"} {
			v.Hidden = append(v.Hidden, field{name, q.Get(name)})
		}
	}
	for _, s := range []triage.IncidentState{"", triage.IncidentFiring, triage.IncidentResolved, triage.IncidentClosed} {
		title := string(s)
		if s == "" {
			title = "any state"
		}
		v.States = append(v.States, option{Value: string(s), Title: title, Selected: string(s) == filters.Get("state")})
	}
	for _, inc := range found {
		inc.Alertname, inc.Severity = h.Parent.Redact.Text(inc.Alertname), h.Parent.Redact.Text(inc.Severity)
		v.Incidents = append(v.Incidents, listed{
			Incident: inc, URL: p.link(h.Signer, "/incidents/"+strconv.FormatInt(inc.ID, 10), inc.ID, "", nil),
			Fields: h.masked(inc.GroupLabels), Lasted: lasted(inc),
		})
	}
	h.render(w, r, http.StatusOK, "list.html", v)
}

// masked is labels as text, with their secrets masked: by their names as well.
func (h *Handler) masked(labels triage.Labels) string { return h.Parent.Redact.Labels(labels).String() }

// lasted is how long an incident took; "" while it fires.
func lasted(inc triage.Incident) string {
	if inc.ResolvedAt.IsZero() || inc.State == triage.IncidentFiring {
		return ""
	}
	return inc.ResolvedAt.Sub(inc.StartedAt).Round(time.Second).String()
}
