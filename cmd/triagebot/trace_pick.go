// triagebot trace pick and trace index: ids worth looking at, and the index
// made by hand.

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/alecthomas/kingpin/v2"
	"github.com/sirupsen/logrus"

	"triagebot/cmd/config"
	"triagebot/triage/tracelog"
)

// tracePick is the command line of `trace pick`.
type tracePick struct {
	traceFlags
	slowest  bool
	failing  bool
	toolCall bool
	route    string
	within   time.Duration
	at       string
	n        int
	output   string
}

func tracePickCommand(trace *kingpin.CmdClause) subcommand {
	cmd := trace.Command("pick", "Recent requests worth looking at, the best first.")
	var c tracePick
	c.register(cmd)
	cmd.Flag("slowest", "Those that took longest.").BoolVar(&c.slowest)
	cmd.Flag("failing", "Those with a status of 500 and more or an error, the latest first.").BoolVar(&c.failing)
	cmd.Flag("tool-call", "Tool calls, failing ones first.").BoolVar(&c.toolCall)
	cmd.Flag("route", "Only requests of this route.").StringVar(&c.route)
	cmd.Flag("within", "Only those of so long before --at; 0s for all.").Default("15m").DurationVar(&c.within)
	cmd.Flag("at", "The end of the time looked at, as 2026-01-02T15:04:05Z or 15:04 (today, UTC). Default: now.").StringVar(&c.at)
	cmd.Flag("number", "How many.").Short('n').Default("5").IntVar(&c.n)
	cmd.Flag("output", "text, json, ndjson or ids.").Short('o').Default("text").EnumVar(&c.output, "text", "json", "ndjson", "ids")
	return subcommand{cmd.FullCommand(), c.run}
}

func (c *tracePick) run(ctx context.Context, stdout, stderr io.Writer) error {
	picked, err := c.pick(ctx, stderr)
	if err == nil {
		err = c.write(picked, stdout, stderr)
	}
	if err != nil {
		fmt.Fprintf(stderr, "triagebot: error: %v\n", err)
		return traceTrouble
	}
	if c.output != "json" {
		for _, part := range picked.Coverage.Parts {
			if !part.Complete {
				fmt.Fprintf(stderr, "not all of %s was searched: %s\n", part.Name, part.Note)
			}
		}
	}
	switch {
	case len(picked.Candidates) > 0:
		return nil
	case picked.Coverage.Complete:
		return traceNothing
	default:
		return traceTrouble
	}
}

func (c *tracePick) pick(ctx context.Context, stderr io.Writer) (picked *tracelog.Picked, err error) {
	pick, err := c.request(time.Now())
	if err != nil {
		return nil, err
	}
	from, err := c.open(stderr)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	return tracelog.PickFrom(ctx, from.homes, pick)
}

func (c *tracePick) request(now time.Time) (p tracelog.Pick, err error) {
	p = tracelog.Pick{Route: c.route, At: now, Within: c.within, N: c.n}
	chosen := 0
	for by, wanted := range map[tracelog.PickBy]bool{tracelog.PickSlowest: c.slowest, tracelog.PickFailing: c.failing, tracelog.PickToolCall: c.toolCall} {
		if wanted {
			p.By = by
			chosen++
		}
	}
	switch {
	case chosen != 1:
		return p, errors.New("write one of --slowest, --failing and --tool-call")
	case c.n < 1 || c.n > tracelog.MaxPick:
		return p, fmt.Errorf("-n %d: write a number from 1 to %d", c.n, tracelog.MaxPick)
	case c.within < 0:
		return p, errors.New("--within is negative; write how long before --at to look, such as 15m, or 0s for all")
	case c.at != "":
		p.At, err = parseAt(c.at, now)
	}
	return p, err
}

func (c *tracePick) write(picked *tracelog.Picked, w, stderr io.Writer) error {
	switch c.output {
	case "json":
		if picked.Candidates == nil {
			picked.Candidates = []tracelog.Candidate{}
		}
		return tracelog.WriteIndentedJSON(w, struct {
			Candidates []tracelog.Candidate `json:"candidates"`
			Coverage   tracelog.Coverage    `json:"coverage"`
		}{picked.Candidates, picked.Coverage})
	case "ndjson":
		for _, candidate := range picked.Candidates {
			if err := tracelog.WriteJSONLine(w, candidate); err != nil {
				return err
			}
		}
		return nil
	case "ids":
		return writeIDs(picked.Candidates, w, stderr)
	}
	return c.table(picked, w)
}

// writeIDs writes a line for each id. One that a terminal would obey, or that
// is no line, is left out: escaped it would be another id.
func writeIDs(candidates []tracelog.Candidate, w, stderr io.Writer) error {
	for _, candidate := range candidates {
		if strings.ContainsFunc(candidate.ID, func(r rune) bool { return !unicode.IsPrint(r) }) {
			fmt.Fprintf(stderr, "left out, for it has characters that cannot be printed: the id %+q; -o json has it\n", candidate.ID)
			continue
		}
		if _, err := fmt.Fprintln(w, candidate.ID); err != nil {
			return err
		}
	}
	return nil
}

var trailingBlanks = regexp.MustCompile(`(?m) +$`)

func (c *tracePick) table(picked *tracelog.Picked, w io.Writer) error {
	if len(picked.Candidates) == 0 {
		_, err := fmt.Fprintf(w, "No request of this kind%s. Try a longer --within, or another --at.\n", c.window(picked.Coverage))
		return err
	}
	var b bytes.Buffer
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "TIME\tID\tDURATION\tSTATUS\tROUTE\tERROR")
	for _, r := range picked.Candidates {
		took, status := "", ""
		if r.Duration > 0 {
			took = r.Duration.Round(100 * time.Microsecond).String()
		}
		if r.Status > 0 {
			status = fmt.Sprint(r.Status)
		}
		cells := []string{r.Time.UTC().Format("2006-01-02T15:04:05.000Z"), tracelog.Harmless(r.ID), took, status, tracelog.Harmless(r.Route), tracelog.Harmless(r.Error)}
		fmt.Fprintln(table, strings.Join(cells, "\t"))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	// Cells of nothing have kept the columns' width; their blanks are not shown.
	_, err := io.WriteString(w, trailingBlanks.ReplaceAllString(b.String(), ""))
	return err
}

func (c *tracePick) window(coverage tracelog.Coverage) string {
	if coverage.From.IsZero() {
		return ""
	}
	return fmt.Sprintf(" from %s to %s", coverage.From.UTC().Format(time.RFC3339), coverage.To.UTC().Format(time.RFC3339))
}

func traceIndexCommand(trace *kingpin.CmdClause) subcommand {
	cmd := trace.Command("index", "Bring the index of the configured logs up to date now; serve does so by itself.")
	file := cmd.Flag("config.file", "The configuration.").Default("triagebot.yaml").String()
	return subcommand{cmd.FullCommand(), func(ctx context.Context, _, stderr io.Writer) error {
		if err := updateTraceIndex(ctx, *file, stderr); err != nil {
			fmt.Fprintf(stderr, "triagebot: error: %v\n", err)
			return traceTrouble
		}
		return nil
	}}
}

// updateTraceIndex indexes what the logs of a configuration have and their
// index has not.
func updateTraceIndex(ctx context.Context, configFile string, stderr io.Writer) (err error) {
	cfg, err := config.LoadTraces(configFile)
	if err != nil {
		return err
	}
	if len(cfg.Logs) == 0 {
		return fmt.Errorf("%s has no traces.logs; write the logs to index as in config.example.yaml", configFile)
	}
	x, err := openTraceIndex(cfg)
	if err != nil {
		return err
	}
	if x == nil {
		return fmt.Errorf("%s has no traces.index.dir; write the folder in which the index shall be", configFile)
	}
	defer func() { err = errors.Join(err, x.Close()) }()
	log := logrus.New()
	log.SetOutput(stderr)
	logs := traceLogs(cfg, x, lookupPace{})
	indexer := tracelog.NewIndexer(tracelog.IndexerOptions{Index: x, Files: func() *tracelog.Files { return logs }, Log: log})
	done := indexer.Update(ctx, true)
	fmt.Fprintf(stderr, "indexed logs: %d, new in the index: %s\n", done.Logs, gigabytes(done.Bytes))
	if done.Failed > 0 {
		return fmt.Errorf("%d logs could not be indexed; lookups scan them", done.Failed)
	}
	return ctx.Err()
}
