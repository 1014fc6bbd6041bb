// The audit log: what people asked for, and what came of it.

package console

import (
	"net/http"
	"net/url"
	"strconv"

	"triagebot/triage"
	"triagebot/triage/store"
)

type auditView struct {
	Acts     []actView
	Incident int64  // of which alone it speaks; 0 for all
	Next     string // "" on the last page
	All      string // without filters; "" where there are none
	List     string
}

type actView struct {
	store.Act
	Who, Page string // Page is the incident's address; "" for none
	Done      bool
}

// serveAudit is for those who may see all incidents.
func (h *Handler) serveAudit(w http.ResponseWriter, r *http.Request) {
	p, ok := h.admit(w, r, listing)
	if !ok {
		return
	}
	q := r.URL.Query()
	filter := store.ActFilter{Limit: pageSize + 1}
	filter.IncidentID, _ = strconv.ParseInt(q.Get("incident"), 10, 64) // what is no number filters nothing
	filter.Before, _ = strconv.ParseInt(q.Get("before"), 10, 64)
	acts, err := h.Store.Acts(r.Context(), filter)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	v := auditView{Incident: filter.IncidentID, List: p.link(h.Signer, "/incidents", listing, "", nil)}
	more := url.Values{}
	if filter.IncidentID != 0 {
		more.Set("incident", strconv.FormatInt(filter.IncidentID, 10))
	}
	if len(acts) > pageSize {
		acts = acts[:pageSize]
		more.Set("before", strconv.FormatInt(acts[pageSize-1].ID, 10))
		v.Next = p.link(h.Signer, "/audit", listing, "", more)
	}
	if filter.IncidentID != 0 || filter.Before != 0 {
		v.All = p.link(h.Signer, "/audit", listing, "", nil)
	}
	for _, act := range acts {
		shown := actView{Act: act, Who: act.Actor.String(), Done: act.Outcome == triage.OutcomeDone}
		if act.IncidentID != 0 {
			shown.Page = p.link(h.Signer, "/incidents/"+strconv.FormatInt(act.IncidentID, 10), act.IncidentID, "", nil)
		}
		v.Acts = append(v.Acts, shown)
	}
	h.render(w, r, http.StatusOK, "audit.html", v)
}
