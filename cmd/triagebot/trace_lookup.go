// Looking requests up for people who ask in Slack or by ctl.

package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"triagebot/triage/safetext"
	"triagebot/triage/tracelog"
)

// requestLookup looks requests up for people, in what is configured now.
type requestLookup struct{ app *app }

const (
	lookupTimeout = 20 * time.Second
	pickWithin    = 15 * time.Minute
	picked        = 5
	maxTraceText  = 12_000 // bytes of a timeline in an answer; Slack takes no more
)

func (l requestLookup) homes() []tracelog.Home { return l.app.live.get().traces }

// Trace implements [command.Traces].
func (l requestLookup) Trace(ctx context.Context, id string) (text string, found, complete bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	trace, err := tracelog.Stitch(ctx, l.homes(), tracelog.Query{ID: id}, tracelog.StitchOptions{})
	if err != nil {
		return "", false, false, err
	}
	var b strings.Builder
	if err := trace.WriteText(&b, tracelog.TextOptions{}); err != nil {
		return "", false, false, err
	}
	text = b.String()
	if len(text) > maxTraceText {
		text = strings.ToValidUTF8(text[:maxTraceText], "") + "…\ncut here; triagebot trace " + id + " shows all of it"
	}
	return text, len(trace.Records) > 0, trace.Complete(), nil
}

// Pick implements [command.Traces].
func (l requestLookup) Pick(ctx context.Context, by, route string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	p := tracelog.Pick{By: tracelog.PickSlowest, Route: route, At: time.Now(), Within: pickWithin, N: picked}
	if by == "failing" {
		p.By = tracelog.PickFailing
	}
	found, err := tracelog.PickFrom(ctx, l.homes(), p)
	if err != nil {
		return nil, err
	}
	var lines []string
	for _, c := range found.Candidates {
		lines = append(lines, candidateLine(c))
	}
	return lines, nil
}

// candidateLine is a request in a list.
func candidateLine(c tracelog.Candidate) string {
	line := tracelog.Harmless(c.ID) + "  " + c.Time.UTC().Format("15:04:05 UTC")
	if c.Duration > 0 {
		line += "  took " + c.Duration.Round(time.Millisecond).String()
	}
	if c.Status > 0 {
		line += fmt.Sprintf("  status %d", c.Status)
	}
	for _, said := range []string{c.Route, c.Error} {
		if said != "" {
			line += "  " + safetext.Line(tracelog.Harmless(said), 120)
		}
	}
	return line
}
