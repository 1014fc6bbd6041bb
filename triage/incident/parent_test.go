package incident

import (
	"slices"
	"testing"

	"triagebot/triage"
)

func TestTheParentTellsWhatItsPlaybookSaysOfItself(t *testing.T) {
	parent := Parent{Fallback: "fallback", About: func(name string) About {
		return About{Title: "About " + name, Owner: "sre", Runbook: "https://runbooks.example.com/own"}
	}}
	runbook := func(post triage.ParentPost) string {
		i := slices.IndexFunc(post.Links, func(l triage.Link) bool { return l.Title == "Runbook" })
		if i < 0 {
			return ""
		}
		return post.Links[i].URL
	}
	inc := triage.Incident{Playbook: "latency"}
	post := parent.Post(inc, nil, nil, nil)
	if post.PlaybookTitle != "About latency" || post.Owner != "sre" || runbook(post) != "https://runbooks.example.com/own" {
		t.Errorf("got %+v", post)
	}
	inc.Annotations = triage.Labels{"runbook_url": "https://runbooks.example.com/alert"}
	if got := runbook(parent.Post(inc, nil, nil, nil)); got != "https://runbooks.example.com/alert" {
		t.Errorf("the alert's own runbook gives way to %q", got)
	}
	inc.Playbook, inc.Annotations = "fallback", nil
	if post := parent.Post(inc, nil, nil, nil); post.Owner != "" || runbook(post) != "" {
		t.Errorf("the fallback is somebody's: %+v", post)
	}
}
