// triagebot trace: one request's records by hand, from all logs.

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"golang.org/x/term"

	"triagebot/cmd/config"
	"triagebot/triage/tracelog"
	"triagebot/triage/tracelog/index"
)

// Exit statuses, as grep's.
const (
	traceNothing exitError = 1 // nothing was found, and everything was searched
	traceTrouble exitError = 2 // an error; or nothing was found where not all could be searched
)

// traceFlags are what all of the trace commands take.
type traceFlags struct {
	configFile string
	access     []string
	proto      []string
	usage      []string
	engine     []string
	index      bool
}

func (f *traceFlags) register(cmd *kingpin.CmdClause) {
	cmd.Flag("config.file", "The configuration that names the logs and backends, unless a log is named here.").Default("triagebot.yaml").StringVar(&f.configFile)
	cmd.Flag("access-log", "A log of answered requests, or a pattern; may be repeated. Only the logs named by flags are searched.").PlaceHolder("FILE").StringsVar(&f.access)
	cmd.Flag("proto-log", "A log of messages between app and worker.").PlaceHolder("FILE").StringsVar(&f.proto)
	cmd.Flag("usage-log", "A log of what requests used.").PlaceHolder("FILE").StringsVar(&f.usage)
	cmd.Flag("engine-log", "A log of workers' events, which have no request id.").PlaceHolder("FILE").StringsVar(&f.engine)
	cmd.Flag("index", "Use the index where there is one; --no-index searches the logs themselves.").Default("true").BoolVar(&f.index)
}

// sources are the homes to search.
type sources struct {
	logs  *tracelog.Files
	homes []tracelog.Home
	index *index.Index // nil for none
}

func (s *sources) Close() error {
	if s.index == nil {
		return nil
	}
	return s.index.Close()
}

// open makes the homes that the flags or the configuration name. An index that
// cannot be read is said on stderr and done without.
func (f *traceFlags) open(stderr io.Writer) (*sources, error) {
	cfg := &config.Traces{Logs: codexLogs(f)}
	if len(cfg.Logs) == 0 {
		var err error
		if cfg, err = config.LoadTraces(f.configFile); err != nil {
			return nil, fmt.Errorf("%w\nName the logs with --access-log, --proto-log and --usage-log, or a configuration with --config.file", err)
		}
		if len(cfg.Logs)+len(cfg.Backends) == 0 {
			return nil, fmt.Errorf("%s has no traces section; write one as in config.example.yaml, or name the logs with --access-log, --proto-log and --usage-log", f.configFile)
		}
	}
	s := &sources{}
	backends, err := traceBackends(cfg)
	if err != nil {
		return nil, err
	}
	if f.index {
		if s.index, err = readTraceIndex(cfg); err != nil {
			fmt.Fprintf(stderr, "the logs themselves are searched, without their index: %v\n", err)
		}
	}
	if len(cfg.Logs) > 0 {
		s.logs = traceLogs(cfg, s.index, lookupPace{})
		s.homes = append(s.homes, s.logs)
	}
	s.homes = append(s.homes, backends...)
	return s, nil
}

// codexLogs are the logs named by flags. Their fields are those of the codex
// app server, whose trace helper had these flags.
func codexLogs(f *traceFlags) []config.TraceLog {
	var logs []config.TraceLog
	for _, l := range []config.TraceLog{
		{Name: "access", Files: f.access, Keys: codexKeys, Fields: tracelog.Roles{Status: "status", Duration: "latency_ms", Error: "error", Route: "route", ToolCall: "tool_call"}},
		{Name: "proto", Files: f.proto, Keys: codexKeys, Fields: tracelog.Roles{Event: "method", Way: "direction", Seq: "seq", Error: "error"}},
		{Name: "usage", Files: f.usage, Keys: codexKeys, Fields: tracelog.Roles{Duration: "latency_ms"}},
		{Name: "engine", Files: f.engine, Fields: tracelog.Roles{Event: "event", Detail: "detail"}},
	} {
		if len(l.Files) == 0 {
			continue
		}
		l.Fields.Time, l.Fields.Worker, l.Fields.Retry = "ts", "worker", "retry_of"
		if len(l.Keys) > 0 {
			l.Links = []string{"retry_of", "trace_id"}
		}
		logs = append(logs, l)
	}
	return logs
}

var codexKeys = []string{"req_id"}

func traceCommands(app *kingpin.Application) []subcommand {
	trace := app.Command("trace", "Look up a request in logs and trace backends: triagebot trace ID. Its flags: triagebot trace show --help. Exit status: 0 found, 1 not found, 2 trouble.")
	return []subcommand{traceShowCommand(trace), tracePickCommand(trace), traceIndexCommand(trace)}
}

// traceShow is the command line of `trace ID`.
type traceShow struct {
	traceFlags
	id     string
	reqID  string
	at     string
	slack  time.Duration
	near   bool
	follow bool
	output string
	colour string
}

func traceShowCommand(trace *kingpin.CmdClause) subcommand {
	cmd := trace.Command("show", "All records of one request, in the order of time (the default: triagebot trace ID).").Default()
	var c traceShow
	c.register(cmd)
	cmd.Arg("id", "The request's id.").StringVar(&c.id)
	cmd.Flag("req-id", "The request's id.").PlaceHolder("ID").StringVar(&c.reqID)
	cmd.Flag("at", "About when it ran, as 2026-01-02T15:04:05Z or 15:04 (today, UTC): there is searched first.").StringVar(&c.at)
	cmd.Flag("slack", "How far from --at it may be to be found first.").Default(tracelog.DefaultSlack.String()).DurationVar(&c.slack)
	cmd.Flag("near", "Search around --at only, when something is found there.").BoolVar(&c.near)
	cmd.Flag("follow", "Go on with what is appended, until interrupted.").Short('f').BoolVar(&c.follow)
	cmd.Flag("output", "text, json, ndjson or markdown.").Short('o').Default("text").EnumVar(&c.output, "text", "json", "ndjson", "markdown")
	cmd.Flag("color", "auto, always or never; auto: on a terminal, unless NO_COLOR is set.").Default("auto").EnumVar(&c.colour, "auto", "always", "never")
	return subcommand{cmd.FullCommand(), c.run}
}

func (c *traceShow) run(ctx context.Context, stdout, stderr io.Writer) error {
	if err := c.show(ctx, stdout, stderr); err != nil {
		var status exitError
		if errors.As(err, &status) {
			return err
		}
		fmt.Fprintf(stderr, "triagebot: error: %v\n", err)
		return traceTrouble
	}
	return nil
}

func (c *traceShow) show(ctx context.Context, stdout, stderr io.Writer) (err error) {
	query, err := c.query(time.Now())
	if err != nil {
		return err
	}
	from, err := c.open(stderr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	var follower *tracelog.Follower
	if c.follow {
		if from.logs == nil {
			return errors.New("--follow needs a local log; backends are not followed")
		}
		// Before the lookup, which may take long: nothing that is appended
		// meanwhile is missed.
		if follower, err = from.logs.Follower(ctx, query.ID); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, follower.Close()) }()
	}
	progress := newTraceProgress(stderr)
	query.Progress = progress.bytes
	if c.output == "text" && terminalOf(stdout) != nil {
		progress.showFirst(func(t *tracelog.Trace) error { return c.writeFirst(t, stdout) })
	}
	trace, err := tracelog.Stitch(ctx, from.homes, query, tracelog.StitchOptions{Partial: progress.partial})
	err = errors.Join(err, progress.end())
	if err != nil {
		return err
	}
	if err := c.write(trace, stdout); err != nil {
		return err
	}
	found := len(trace.Records) > 0
	if c.follow {
		for i := range trace.Records {
			follower.Know(&trace.Records[i].Record)
		}
		more, err := c.followOn(ctx, follower, query.ID, stdout)
		if err != nil {
			return err
		}
		found = found || more
	}
	switch {
	case found:
		return nil
	case trace.Coverage.Complete:
		return traceNothing
	default:
		return traceTrouble
	}
}

func (c *traceShow) query(now time.Time) (q tracelog.Query, err error) {
	q = tracelog.Query{ID: c.id, Slack: c.slack, Near: c.near}
	switch {
	case c.id != "" && c.reqID != "" && c.id != c.reqID:
		return q, errors.New("two ids are given; look them up one after the other")
	case c.id == "":
		q.ID = c.reqID
	}
	if q.ID == "" {
		return q, errors.New("no id is given; write triagebot trace ID, or find one with triagebot trace pick")
	}
	if c.at != "" {
		q.At, err = parseAt(c.at, now)
	} else if c.near {
		err = errors.New("--near needs --at")
	}
	return q, err
}

// parseAt reads an instant, or a time of today in UTC.
func parseAt(text string, now time.Time) (time.Time, error) {
	for _, layout := range []string{"15:04:05", "15:04"} {
		if t, err := time.Parse(layout, text); err == nil {
			y, m, d := now.UTC().Date()
			return t.AddDate(y, int(m)-1, d-1), nil
		}
	}
	t, err := tracelog.ParseTime(text)
	switch {
	case err != nil:
		return t, fmt.Errorf("--at: %w, or 15:04 for today in UTC", err)
	case t.Year() < 2000: // a year is read as seconds since 1970
		return t, fmt.Errorf("--at: %q is %s; write a time like 2026-01-02T15:04:05Z, or 15:04 for today in UTC", text, t.UTC().Format(time.RFC3339))
	}
	return t, nil
}

func (c *traceShow) write(t *tracelog.Trace, w io.Writer) error {
	switch c.output {
	case "json":
		return t.WriteJSON(w)
	case "ndjson":
		return t.WriteNDJSON(w)
	case "markdown":
		return t.WriteMarkdown(w)
	}
	screen := terminalOf(w)
	opts := tracelog.TextOptions{Colour: c.colour == "always"}
	if screen != nil {
		opts.Colour = c.colour == "always" || c.colour == "auto" && os.Getenv("NO_COLOR") == ""
		opts.Width, _, _ = term.GetSize(int(screen.Fd())) // 0 where it cannot be told
	}
	return t.WriteText(w, opts)
}

// writeFirst writes what has been found while the search goes on.
func (c *traceShow) writeFirst(t *tracelog.Trace, w io.Writer) error {
	if err := c.write(t, w); err != nil {
		return err
	}
	_, err := fmt.Fprint(w, "\nThis is what is found so far; the search goes on.\n\n")
	return err
}

// followOn writes what is appended, one line for each record, until ctx ends.
// It says whether there was any.
func (c *traceShow) followOn(ctx context.Context, follower *tracelog.Follower, id string, w io.Writer) (found bool, err error) {
	asText := c.output == "text" || c.output == "markdown"
	if asText {
		if _, err := fmt.Fprint(w, "\nWaiting for what is appended; Ctrl-C ends it.\n\n"); err != nil {
			return false, err
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	err = follower.Follow(ctx, func(records []tracelog.Record) {
		found = true
		if err := tracelog.WriteAppended(w, id, records, asText); err != nil {
			cancel(err) // nobody reads any more
		}
	})
	if cause := context.Cause(ctx); err == nil && !errors.Is(cause, context.Canceled) {
		err = cause
	}
	return found, err
}

// terminalOf is the terminal that w is; nil when it is none.
func terminalOf(w io.Writer) *os.File {
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return f
	}
	return nil
}
