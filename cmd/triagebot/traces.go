// The homes of traces that a configuration names.

package main

import (
	"fmt"
	"time"

	promconfig "github.com/prometheus/common/config"

	"triagebot/cmd/config"
	"triagebot/triage/tracelog"
	"triagebot/triage/tracelog/backend"
	"triagebot/triage/tracelog/index"
)

// lookupPace is how fast local logs are read; the zero value is as fast as can be.
type lookupPace struct {
	workers int           // processors
	rest    time.Duration // of each, after half a megabyte
}

// politePace is that of serve: what comes in meanwhile must be acknowledged in
// time. Without the rest, a scan makes the slowest of them take two to five
// times as long (docs/performance.md).
func politePace() lookupPace { return lookupPace{workers: 1, rest: 200 * time.Microsecond} }

// traceLogs is the home of the local logs.
func traceLogs(cfg *config.Traces, x *index.Index, pace lookupPace) *tracelog.Files {
	return tracelog.NewFiles(tracelog.FilesOptions{Name: "logs", Sources: cfg.Sources(), Index: x, Workers: pace.workers, Rest: pace.rest})
}

// traceBackends are the homes that are asked over HTTP.
func traceBackends(cfg *config.Traces) ([]tracelog.Home, error) {
	var homes []tracelog.Home
	for i := range cfg.Backends {
		home, err := traceBackend(&cfg.Backends[i])
		if err != nil {
			return nil, fmt.Errorf("traces backend %s: %w", cfg.Backends[i].Name, err)
		}
		homes = append(homes, home)
	}
	return homes, nil
}

func traceBackend(cfg *config.TraceBackend) (tracelog.Home, error) {
	client, err := promconfig.NewClientFromConfig(*cfg.HTTPConfig, "traces "+cfg.Name)
	if err != nil {
		return nil, err
	}
	opts := backend.Options{
		Name: cfg.Name, URL: cfg.URL, Client: client, Keys: cfg.Keys, Links: cfg.Links, Roles: cfg.Fields,
		LookBack: time.Duration(cfg.LookBack), Timeout: time.Duration(cfg.Timeout),
	}
	switch cfg.Type {
	case config.BackendTempo:
		return backend.NewTempo(backend.TempoOptions{Options: opts})
	case config.BackendJaeger:
		return backend.NewJaeger(backend.JaegerOptions{Options: opts, Services: cfg.Services})
	case config.BackendLoki:
		return backend.NewLoki(backend.LokiOptions{Options: opts, Selector: cfg.Selector})
	default:
		return backend.NewVictoriaLogs(backend.VictoriaLogsOptions{Options: opts, Filter: cfg.Selector})
	}
}

// openTraceIndex opens the index of local logs for updates; nil where none is
// configured.
func openTraceIndex(cfg *config.Traces) (*index.Index, error) {
	return openIndex(cfg, index.Options{})
}

// readTraceIndex opens the index of local logs for lookups alone, and makes no
// directory; nil where none is configured.
func readTraceIndex(cfg *config.Traces) (*index.Index, error) {
	return openIndex(cfg, index.Options{ReadOnly: true})
}

func openIndex(cfg *config.Traces, options index.Options) (*index.Index, error) {
	if cfg.Index.Dir == "" {
		return nil, nil
	}
	options.ParseTime = tracelog.ParseTime
	x, err := index.Open(cfg.Index.Dir, options)
	if err != nil {
		return nil, fmt.Errorf("traces.index.dir: %w", err)
	}
	return x, nil
}
