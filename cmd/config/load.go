package config

// Loading: read, decode over the defaults, resolve paths and secrets, check.

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	promconfig "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"

	"triagebot/triage/evidence"
	"triagebot/triage/grafana"
	"triagebot/triage/strictyaml"
)

// maxFile bounds the configuration file and each secret, in bytes.
const maxFile = 4 << 20

// Load reads and checks the configuration file at path. The error is a
// strictyaml.Problems with all that is wrong.
func Load(path string) (*Config, error) {
	c, problems := Check(path)
	if err := problems.Err(); err != nil {
		return nil, err
	}
	return c, nil
}

// LoadBytes is Load for a file's content; relative paths in it count from the
// folder of path.
func LoadBytes(path string, data []byte) (*Config, error) {
	c, problems := check(path, data)
	if err := problems.Err(); err != nil {
		return nil, err
	}
	return c, nil
}

// Check reads the configuration file at path and returns all that is wrong
// with it. The configuration is nil when the file is no YAML, and fit for use
// only when nothing is wrong.
func Check(path string) (*Config, strictyaml.Problems) {
	data, err := readFile(path)
	if err != nil {
		return nil, strictyaml.Problems{{File: path, Text: err.Error()}}
	}
	return check(path, data)
}

func check(path string, data []byte) (*Config, strictyaml.Problems) {
	root, problems := strictyaml.Parse(path, data)
	if len(problems) > 0 {
		return nil, problems
	}
	c := defaults()
	k := &checker{file: path, dir: filepath.Dir(path), root: root, redactor: evidence.NewRedactor()}
	k.problems = k.withoutSecrets(explainSecrets(strictyaml.Decode(path, "", root, c)))
	for _, p := range k.problems {
		k.skipBelow(p)
	}
	k.fillIn(c)
	k.resolve(c)
	k.check(c)
	return c, k.problems
}

// defaults are the values of keys that are left out. Those of items of lists
// and maps are in fillIn.
func defaults() *Config {
	return &Config{
		Server: Server{
			Listen: ":9095", MaxBody: 3 << 20, MaxAlertnames: 1000, MaxConcurrent: 256,
			ReadTimeout: model.Duration(10 * time.Second), WriteTimeout: model.Duration(time.Minute),
			EvidenceLinkTTL: model.Duration(720 * time.Hour),
		},
		Log:        Log{Level: "info", Format: "logfmt"},
		Storage:    Storage{MaxBacklog: 20000},
		Prometheus: Datasource{Timeout: model.Duration(defaultQueryTimeout), MaxConcurrent: defaultQueryConcurrency},
		Incidents: Incidents{
			ReopenWithin: model.Duration(15 * time.Minute), AlertTTL: model.Duration(24 * time.Hour),
			VanishedAfter: model.Duration(5 * time.Minute),
			RerunAfter:    model.Duration(5 * time.Minute), EditEvery: model.Duration(5 * time.Second), Replies: RepliesAll,
		},
		Retention: Retention{Incidents: model.Duration(90 * 24 * time.Hour), FailedNotifications: model.Duration(30 * 24 * time.Hour), Audit: model.Duration(365 * 24 * time.Hour)},
		Access:    Access{KeepFor: model.Duration(5 * time.Minute)},
		Slack:     Slack{Timeout: model.Duration(10 * time.Second), Local: SlackLocal{Listen: "127.0.0.1:9096"}},
	}
}

const (
	defaultQueryTimeout     = 20 * time.Second
	defaultQueryConcurrency = 8
	defaultWebhookTimeout   = 10 * time.Second
	defaultPollInterval     = model.Duration(time.Minute)
)

// fillIn sets the defaults that depend on what was given.
func (k *checker) fillIn(c *Config) {
	if c.Storage.SQLite == nil && c.Storage.Postgres == nil {
		c.Storage.SQLite = &SQLite{}
	}
	if s := c.Storage.SQLite; s != nil && s.Path == "" {
		s.Path = filepath.Join("data", "triagebot.db")
	}
	if c.Evidence == (Evidence{}) {
		c.Evidence.Dir = filepath.Join("data", "evidence")
	}
	for i := range c.Alertmanagers {
		a := &c.Alertmanagers[i]
		trimURL(&a.URL, &a.ExternalURL)
		orDefaultHTTP(&a.HTTPConfig)
		if !k.given(fmt.Sprintf("alertmanagers[%d].poll_interval", i)) { // 0 means never
			a.PollInterval = defaultPollInterval
		}
	}
	fillInDatasource(&c.Prometheus)
	for name, d := range c.Datasources {
		fillInDatasource(&d)
		c.Datasources[name] = d
	}
	for name, s := range c.Services {
		trimURL(&s.URL)
		orDefaultHTTP(&s.HTTPConfig)
		c.Services[name] = s
	}
	if g := c.Grafana; g != nil {
		trimURL(&g.URL, &g.ExternalURL)
		orDefaultHTTP(&g.HTTPConfig)
		if g.ExternalURL == "" {
			g.ExternalURL = g.URL
		}
		if g.Timeout == 0 {
			g.Timeout = model.Duration(grafana.DefaultTimeout)
		}
	}
	for i := range c.Webhooks {
		w := &c.Webhooks[i]
		orDefaultHTTP(&w.HTTPConfig)
		if w.Timeout == 0 {
			w.Timeout = model.Duration(defaultWebhookTimeout)
		}
	}
	k.fillInTraces(&c.Traces)
	fillInCommands(c.Commands)
	fillInMaintenance(c.Maintenance)
	trimURL(&c.Server.ExternalURL)
	if c.Server.ExternalURL == "" {
		c.Server.ExternalURL = localURL(c.Server.Listen)
	}
}

func fillInDatasource(d *Datasource) {
	trimURL(&d.URL, &d.ExternalURL)
	orDefaultHTTP(&d.HTTPConfig)
	if d.ExternalURL == "" {
		d.ExternalURL = d.URL
	}
	if d.Timeout == 0 {
		d.Timeout = model.Duration(defaultQueryTimeout)
	}
	if d.MaxConcurrent == 0 {
		d.MaxConcurrent = defaultQueryConcurrency
	}
}

func orDefaultHTTP(h **promconfig.HTTPClientConfig) {
	if *h == nil {
		standard := promconfig.DefaultHTTPClientConfig
		*h = &standard
	}
}

func trimURL(urls ...*string) {
	for _, u := range urls {
		*u = strings.TrimRight(*u, "/")
	}
}

// localURL is how this machine reaches a listen address.
func localURL(listen string) string {
	host, port, ok := splitListen(listen)
	switch {
	case !ok:
		return ""
	case host == "", host == "0.0.0.0", host == "::":
		host = "localhost"
	case strings.Contains(host, ":"):
		host = "[" + host + "]"
	}
	return "http://" + host + ":" + port
}

// readFile reads a file within maxFile. Its error needs no prefix.
func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("the file %s does not exist", path)
	case err != nil:
		return nil, fmt.Errorf("the file %s cannot be read: %w", path, errors.Unwrap(err))
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a file", path)
	case info.Size() > maxFile:
		return nil, fmt.Errorf("the file %s is over %d bytes", path, maxFile)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("the file %s cannot be read: %w", path, errors.Unwrap(err))
	}
	return data, nil
}

// LoadTraces reads and checks the section traces of the configuration file at
// path alone: who looks up a trace by hand need not be let read Slack's token.
func LoadTraces(path string) (*Traces, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	root, problems := strictyaml.Parse(path, data)
	if len(problems) > 0 {
		return nil, problems.Err()
	}
	k := &checker{file: path, dir: filepath.Dir(path), root: root, redactor: evidence.NewRedactor()}
	c := defaults()
	for _, p := range k.withoutSecrets(strictyaml.Decode(path, "", root, c)) {
		k.skipBelow(p)
		if p.Key == "traces" || strings.HasPrefix(p.Key, "traces.") {
			k.problems = append(k.problems, p)
		}
	}
	k.fillInTraces(&c.Traces)
	k.resolveTraces(&c.Traces)
	k.traces(&c.Traces)
	return &c.Traces, k.problems.Err()
}
