package command

// What people ask to see.

import (
	"context"
	"fmt"
	"strings"

	"triagebot/triage"
	"triagebot/triage/safetext"
)

func listIncidents(ctx context.Context, c *Core, _ *ask) (triage.Reply, error) {
	firing, err := c.Store.OpenIncidentsIn(ctx, "", maxListed)
	if err != nil {
		return triage.Reply{}, err
	}
	latest, err := c.Store.Incidents(ctx, listedIncidents)
	if err != nil {
		return triage.Reply{}, err
	}
	if len(latest) == 0 {
		return done("There was no incident yet. One opens as soon as Alertmanager sends an alert that fires."), nil
	}
	reply := done("%s.", counted(len(firing), "incident fires", "incidents fire"))
	listed := map[int64]bool{}
	for i := range firing {
		listed[firing[i].ID] = true
		reply.Lines = append(reply.Lines, c.line(&firing[i]))
	}
	for i := range latest {
		if !listed[latest[i].ID] {
			reply.Lines = append(reply.Lines, c.line(&latest[i]))
		}
	}
	return reply, nil
}

const maxListed = 30

func counted(n int, one, many string) string {
	switch n {
	case 0:
		return "No " + one
	case 1:
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func status(ctx context.Context, c *Core, a *ask) (triage.Reply, error) {
	about, err := askedIn(ctx, c.Store, a)
	if err != nil {
		return triage.Reply{}, err
	}
	if a.rest != "" || about != 0 {
		inc, err := c.incident(ctx, c.Store, a)
		if err != nil {
			return triage.Reply{}, err
		}
		return c.statusOf(ctx, inc)
	}
	states, err := c.Store.IncidentStates(ctx)
	if err != nil {
		return triage.Reply{}, err
	}
	reply := done("%s; %d resolved lately.", counted(states[string(triage.IncidentFiring)], "incident fires", "incidents fire"), states[string(triage.IncidentResolved)])
	if c.Waiting != nil {
		reply.Lines = c.Waiting(ctx)
	}
	if len(reply.Lines) == 0 {
		reply.Text += " triagebot itself is well."
	}
	return reply, nil
}

func (c *Core) statusOf(ctx context.Context, inc triage.Incident) (triage.Reply, error) {
	runs, err := c.Store.RunsOf(ctx, inc.ID)
	if err != nil {
		return triage.Reply{}, err
	}
	reply := done("%s.", c.line(&inc))
	reply.Links = c.Pages(inc)
	if impact := inc.Impact(); impact != "" {
		reply.Lines = append(reply.Lines, safetext.Line(impact, 300))
	}
	if len(runs) == 0 {
		return reply, nil
	}
	last := runs[len(runs)-1]
	findings, err := c.Store.Findings(ctx, last.ID)
	if err != nil {
		return triage.Reply{}, err
	}
	reply.Lines = append(reply.Lines, fmt.Sprintf("Playbook %s: %s, %d findings", last.Playbook, last.State, len(findings)))
	for i := range findings {
		if findings[i].Verdict == triage.VerdictAbnormal {
			reply.Lines = append(reply.Lines, "Abnormal: "+findings[i].Headline)
		}
	}
	if last.Conclusion != nil {
		reply.Lines = append(reply.Lines, last.Conclusion.Headline())
	}
	return reply, nil
}

func evidence(ctx context.Context, c *Core, a *ask) (triage.Reply, error) {
	inc, err := c.incident(ctx, c.Store, a)
	if err != nil {
		return triage.Reply{}, err
	}
	reply := done("The evidence of incident %d, %s:", inc.ID, inc.Alertname)
	reply.Links = c.Pages(inc)
	return reply, nil
}

func listPlaybooks(_ context.Context, c *Core, _ *ask) (triage.Reply, error) {
	all := c.Playbooks()
	if len(all) == 0 {
		return done("No playbook is configured, so every incident runs the built-in fallback. playbooks.files in the configuration names them."), nil
	}
	reply := done("%s:", counted(len(all), "playbook", "playbooks"))
	for _, p := range all {
		line := p.Name
		if p.Title != "" {
			line += " · " + p.Title
		}
		reply.Lines = append(reply.Lines, line+" · for "+p.Match)
	}
	return reply, nil
}

func traceRequest(ctx context.Context, c *Core, a *ask) (triage.Reply, error) {
	words := a.words()
	if len(words) != 1 {
		return triage.Reply{}, unclear(a.spec, "Which request? Say its id, one at a time.")
	}
	if c.Traces == nil {
		return noTraces(), nil
	}
	id := words[0]
	text, found, complete, err := c.Traces.Trace(ctx, id)
	switch {
	case err != nil:
		return triage.Reply{}, err
	case !found && complete:
		return done("No log has a request %s. All of them were searched.", shown(id)), nil
	case !found:
		return done("No request %s was found, but not everything could be searched.", shown(id)), nil
	}
	headline, rest, _ := strings.Cut(text, "\n")
	reply := triage.Reply{Text: headline, Fixed: true}
	for line := range strings.SplitSeq(strings.TrimRight(rest, "\n"), "\n") {
		reply.Lines = append(reply.Lines, line)
	}
	if !complete {
		reply.Text += " (Not everything could be searched.)"
	}
	return reply, nil
}

func noTraces() triage.Reply {
	return refused("No logs and no trace backends are configured; the traces section of the configuration names them.")
}

func pick(by string) func(ctx context.Context, c *Core, a *ask) (triage.Reply, error) {
	return func(ctx context.Context, c *Core, a *ask) (triage.Reply, error) {
		route := ""
		for _, w := range a.words() {
			value, is := strings.CutPrefix(w, "route=")
			if !is || value == "" {
				return triage.Reply{}, unclear(a.spec, "%s is not understood here.", shown(w))
			}
			route = value
		}
		if c.Traces == nil {
			return noTraces(), nil
		}
		lines, err := c.Traces.Pick(ctx, by, route)
		if err != nil {
			return triage.Reply{}, err
		}
		what := map[string]string{"slow": "slowest", "failing": "failed"}[by]
		if len(lines) == 0 {
			return done("The logs have no such requests in the last 15 minutes."), nil
		}
		return triage.Reply{Text: fmt.Sprintf("The %s requests of the last 15 minutes; /triage trace ID shows one:", what), Lines: lines, Fixed: true}, nil
	}
}
