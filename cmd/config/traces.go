package config

// Where records of single requests are: local logs and trace backends.

import (
	"fmt"
	"path/filepath"
	"time"

	promconfig "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"

	"triagebot/triage/tracelog"
)

// Traces are the homes of traces, for trace steps and `triagebot trace`.
type Traces struct {
	Logs     []TraceLog     `yaml:"logs"`
	Index    TraceIndex     `yaml:"index"`
	Backends []TraceBackend `yaml:"backends"`
}

// TraceLog is one kind of local log.
type TraceLog struct {
	Name       string          `yaml:"name"`
	Files      []string        `yaml:"files"` // globs
	Format     tracelog.Format `yaml:"format"`
	TimeLayout string          `yaml:"time_layout,omitempty"` // of plain lines, as Go writes it; "": the usual ones
	Keys       []string        `yaml:"keys"`                  // fields whose value is the line's own request id
	Links      []string        `yaml:"links"`                 // fields whose value is another request's or trace's id
	Fields     tracelog.Roles  `yaml:"fields"`
	MaxLine    Size            `yaml:"max_line"` // longer lines are skipped
}

// Sources are the local logs, as package tracelog knows them.
func (t *Traces) Sources() []tracelog.Source {
	sources := make([]tracelog.Source, len(t.Logs))
	for i, l := range t.Logs {
		sources[i] = tracelog.Source{Name: l.Name, Files: l.Files, Keys: l.Keys, Links: l.Links, Roles: l.Fields, MaxLine: int(l.MaxLine), Format: l.Format, TimeLayout: l.TimeLayout}
	}
	return sources
}

// TraceIndex is the index of the logs' ids, which serve keeps up to date.
type TraceIndex struct {
	Dir   string         `yaml:"dir"`   // "": none
	Every model.Duration `yaml:"every"` // how often it is brought up to date
}

// TraceBackend is one Tempo, Jaeger, Loki or VictoriaLogs.
type TraceBackend struct {
	Name       string                       `yaml:"name"`
	Type       string                       `yaml:"type"`
	URL        string                       `yaml:"url"`
	HTTPConfig *promconfig.HTTPClientConfig `yaml:"http_config"` // never nil
	Keys       []string                     `yaml:"keys"`
	Links      []string                     `yaml:"links"`
	Fields     tracelog.Roles               `yaml:"fields"`
	Selector   string                       `yaml:"selector,omitempty"` // Loki's streams, VictoriaLogs' filter
	Services   []string                     `yaml:"services,omitempty"` // Jaeger's
	LookBack   model.Duration               `yaml:"look_back"`
	Timeout    model.Duration               `yaml:"timeout"`
}

// The types of trace backends.
const (
	BackendTempo        = "tempo"
	BackendJaeger       = "jaeger"
	BackendLoki         = "loki"
	BackendVictoriaLogs = "victorialogs"
)

const (
	defaultTraceKey   = "req_id"
	defaultTraceTime  = "ts"
	defaultIndexEvery = model.Duration(15 * time.Second)
	defaultLookBack   = model.Duration(24 * time.Hour)
	defaultTraceWait  = model.Duration(15 * time.Second)
)

func (k *checker) fillInTraces(t *Traces) {
	for i := range t.Logs {
		l := &t.Logs[i]
		if l.Format == "" {
			l.Format = tracelog.FormatNDJSON
		}
		if l.Format == tracelog.FormatPlain {
			l.MaxLine = orSize(l.MaxLine, tracelog.DefaultMaxLine)
			continue
		}
		if !k.given(fmt.Sprintf("traces.logs[%d].keys", i)) { // an empty list means that lines have no ids
			l.Keys = []string{defaultTraceKey}
		}
		if l.Fields.Time == "" {
			l.Fields.Time = defaultTraceTime
		}
		l.MaxLine = orSize(l.MaxLine, tracelog.DefaultMaxLine)
	}
	if t.Index.Every == 0 {
		t.Index.Every = defaultIndexEvery
	}
	for i := range t.Backends {
		b := &t.Backends[i]
		trimURL(&b.URL)
		orDefaultHTTP(&b.HTTPConfig)
		if len(b.Keys) == 0 {
			b.Keys = []string{defaultTraceKey}
		}
		if b.LookBack == 0 {
			b.LookBack = defaultLookBack
		}
		if b.Timeout == 0 {
			b.Timeout = defaultTraceWait
		}
	}
}

func orSize(s, otherwise Size) Size {
	if s == 0 {
		return otherwise
	}
	return s
}

func (k *checker) resolveTraces(t *Traces) {
	t.Index.Dir = promconfig.JoinDir(k.dir, t.Index.Dir)
	for i := range t.Logs {
		for j, glob := range t.Logs[i].Files {
			t.Logs[i].Files[j] = promconfig.JoinDir(k.dir, glob)
		}
	}
}

func (k *checker) traces(t *Traces) {
	seen := map[string]bool{}
	for i := range t.Logs {
		l := &t.Logs[i]
		path := fmt.Sprintf("traces.logs[%d]", i)
		k.unique(path+".name", l.Name, seen)
		if len(l.Files) == 0 {
			k.addf(path+".files", "is missing; write the log's path, or a pattern that takes the rotated ones in, such as /var/log/app/access.ndjson*")
		}
		for j, glob := range l.Files {
			// The log itself may come later; only a pattern can be wrong now.
			if _, err := filepath.Match(glob, ""); err != nil {
				k.addf(fmt.Sprintf("%s.files[%d]", path, j), "%q is no pattern: %v", glob, err)
			}
		}
		k.oneOf(path+".format", string(l.Format), string(tracelog.FormatNDJSON), string(tracelog.FormatPlain))
		k.plainLog(path, l)
		k.fieldNames(path+".keys", l.Keys)
		k.fieldNames(path+".links", l.Links)
		k.roles(path+".fields", &l.Fields)
		if l.MaxLine < minLogLine || l.MaxLine > maxLogLine {
			k.addf(path+".max_line", "%s is out of bounds; it must be from 64KiB to 64MiB", l.MaxLine)
		}
	}
	k.positive("traces.index.every", t.Index.Every)
	for i := range t.Backends {
		b := &t.Backends[i]
		path := fmt.Sprintf("traces.backends[%d]", i)
		k.unique(path+".name", b.Name, seen)
		k.oneOf(path+".type", b.Type, BackendTempo, BackendJaeger, BackendLoki, BackendVictoriaLogs)
		k.required(path+".url", b.URL)
		k.url(path+".url", b.URL)
		k.httpConfig(path, b.HTTPConfig)
		k.fieldNames(path+".keys", b.Keys)
		k.fieldNames(path+".links", b.Links)
		k.roles(path+".fields", &b.Fields)
		k.positive(path+".look_back", b.LookBack)
		k.positive(path+".timeout", b.Timeout)
		switch {
		case b.Type == BackendLoki && b.Selector == "":
			k.addf(path+".selector", "is missing; write which streams to search, such as '{app=\"codex\"}'")
		case b.Selector != "" && b.Type != BackendLoki && b.Type != BackendVictoriaLogs:
			k.addf(path+".selector", "is for loki and victorialogs only")
		case len(b.Services) > 0 && b.Type != BackendJaeger:
			k.addf(path+".services", "is for jaeger only")
		}
	}
}

// plainLog holds a log to what its format has.
func (k *checker) plainLog(path string, l *TraceLog) {
	switch {
	case l.Format != tracelog.FormatPlain && l.TimeLayout != "":
		k.addf(path+".time_layout", "is for format: plain only; the time of an NDJSON line is in fields.time")
	case l.TimeLayout != "":
		if err := tracelog.CheckTimeLayout(l.TimeLayout); err != nil {
			k.addf(path+".time_layout", "%q cannot be used: %v", l.TimeLayout, err)
		}
	}
	if l.Format == tracelog.FormatPlain && (len(l.Keys) > 0 || len(l.Links) > 0 || l.Fields != (tracelog.Roles{})) {
		k.addf(path+".format", "plain lines have no fields; remove keys, links and fields, or write ndjson")
	}
}

const (
	minLogLine = 64 << 10
	maxLogLine = 64 << 20
)

func (k *checker) fieldNames(path string, names []string) {
	for i, name := range names {
		if name == "" {
			k.addf(fmt.Sprintf("%s[%d]", path, i), "is empty; write a field's name")
		}
	}
}

func (k *checker) roles(path string, r *tracelog.Roles) {
	if r.Unit != "" {
		k.oneOf(path+".unit", r.Unit, "ns", "us", "ms", "s")
	}
}
