// What a reload changes: playbooks, routes, datasources, credentials and
// timings. Addresses, storage and the notifiers' own settings need a restart,
// which is said.

package main

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"sync/atomic"
	"time"

	promconfig "github.com/prometheus/common/config"

	"triagebot/cmd/config"
	"triagebot/playbooks"
	"triagebot/triage"
	"triagebot/triage/grafana"
	"triagebot/triage/incident"
	"triagebot/triage/playbook"
	"triagebot/triage/promapi"
	"triagebot/triage/receive"
	"triagebot/triage/runner"
	"triagebot/triage/step"
	"triagebot/triage/tracelog"
)

// live holds the configuration that is in force.
type live struct{ current atomic.Pointer[settings] }

func (l *live) get() *settings { return l.current.Load() }

// settings are one configuration, loaded and ready for use.
type settings struct {
	cfg         *config.Config
	credentials receive.Credentials
	playbooks   *playbook.Set
	fallback    *playbook.Playbook
	services    map[string]string
	datasources map[string]step.Datasource
	traceLogs   *tracelog.Files
	traces      []tracelog.Home // all of them
}

// mainDatasource is the name of the Prometheus that queries ask by default.
const mainDatasource = "prometheus"

// load makes settings of a configuration. What is wrong with the playbooks is
// in the error, all of it.
func (a *app) load(cfg *config.Config) (*settings, error) {
	deps, err := a.stepDeps(cfg)
	if err != nil {
		return nil, err
	}
	s := &settings{cfg: cfg, credentials: credentials(cfg.Server.Auth), services: map[string]string{}, datasources: deps.Prometheus}
	s.traceLogs = traceLogs(&cfg.Traces, a.traceIndex, politePace())
	if deps.Traces, err = traceBackends(&cfg.Traces); err != nil {
		return nil, err
	}
	if len(cfg.Traces.Logs) > 0 {
		deps.Traces = append(deps.Traces, s.traceLogs)
	}
	s.traces = deps.Traces
	for name, service := range deps.Services {
		s.services[name] = service.URL
	}
	deps.Escalation, deps.Commands = contacts(cfg), allowedCommands(cfg)
	kinds := step.Kinds(deps)
	if s.playbooks, err = loadPlaybooks(cfg, kinds, a.log.Debugf); err != nil {
		return nil, err
	}
	if s.fallback, err = playbook.Fallback(kinds); err != nil {
		return nil, fmt.Errorf("built-in fallback playbook: %w", err)
	}
	return s, nil
}

// loadPlaybooks reads and checks the playbooks. The error says all that is wrong
// with them: one that cannot be read hides nothing of the others. debugf is told
// of files that are passed over; nil for nobody.
func loadPlaybooks(cfg *config.Config, kinds []playbook.Kind, debugf func(string, ...any)) (*playbook.Set, error) {
	files, unread := playbook.ReadFiles(cfg.Playbooks.Files, debugf)
	services := make([]string, 0, len(cfg.Services))
	for name := range cfg.Services {
		services = append(services, name)
	}
	set, err := playbook.Load(files, playbook.LoadOptions{Kinds: kinds, Services: services})
	return set, errors.Join(unread, err)
}

// stepDeps makes the clients that steps ask with. The error names all that
// cannot be made.
func (a *app) stepDeps(cfg *config.Config) (step.Deps, error) {
	deps := step.Deps{Prometheus: map[string]step.Datasource{}, Services: map[string]step.Service{}, Dashboards: readDashboard, Redact: a.redact}
	datasources := maps.Clone(cfg.Datasources)
	if datasources == nil {
		datasources = map[string]config.Datasource{}
	}
	datasources[mainDatasource] = cfg.Prometheus
	var problems []error
	for name, p := range datasources {
		client, err := promapi.New(promapi.Options{
			Name: name, URL: p.URL, HTTPClient: *p.HTTPConfig, MaxConcurrent: p.MaxConcurrent,
			Timeout: time.Duration(p.Timeout), Registerer: a.registry, Log: a.log,
		})
		if err != nil {
			problems = append(problems, fmt.Errorf("datasource %s: %w", name, err))
			continue
		}
		deps.Prometheus[name] = step.Datasource{Querier: client, PublicURL: p.ExternalURL}
	}
	deps.DefaultDatasource = mainDatasource
	for name, s := range cfg.Services {
		client, err := promconfig.NewClientFromConfig(*s.HTTPConfig, "service "+name)
		if err != nil {
			problems = append(problems, fmt.Errorf("service %s: %w", name, err))
			continue
		}
		deps.Services[name] = step.Service{URL: s.URL, Client: client}
	}
	if g := cfg.Grafana; g != nil {
		client, err := promconfig.NewClientFromConfig(*g.HTTPConfig, "grafana")
		if err != nil {
			problems = append(problems, fmt.Errorf("grafana: %w", err))
		} else {
			asked := grafana.New(grafana.Options{URL: g.URL, PublicURL: g.ExternalURL, Client: client, Timeout: time.Duration(g.Timeout)})
			deps.Grafana, deps.Annotations = asked, asked
		}
	}
	deps.HTTP = &http.Client{}
	return deps, errors.Join(problems...)
}

// readDashboard reads a dashboard beside its playbook, or the shipped one.
func readDashboard(path string) ([]byte, error) {
	return playbooks.ReadDashboard(path, step.ReadDashboard)
}

// reload reads the configuration file again. A bad one changes nothing.
func (a *app) reload() error {
	a.reloading.Lock()
	defer a.reloading.Unlock()
	err := a.tryReload()
	if err != nil {
		a.metrics.reloadOK.Set(0)
		a.log.WithError(err).Error("reload failed; the old configuration goes on")
		return err
	}
	a.metrics.reloadOK.Set(1)
	a.metrics.reloadTime.SetToCurrentTime()
	a.log.Info("reloaded the configuration")
	return nil
}

func (a *app) tryReload() error {
	cfg, err := config.Load(a.configFile)
	if err != nil {
		return err
	}
	s, err := a.load(cfg)
	if err != nil {
		return err
	}
	for _, r := range cfg.Routes {
		if a.notifiers[r.Notifier] == nil {
			return fmt.Errorf("a route names the notifier %q, which is new: that needs a restart", r.Notifier)
		}
	}
	for name, all := range cfg.Escalation {
		for _, c := range all {
			if a.notifiers[c.Notifier] == nil {
				return fmt.Errorf("escalation.%s names the notifier %q, which is new: that needs a restart", name, c.Notifier)
			}
		}
	}
	for _, what := range needsRestart(a.cfg, cfg) {
		a.log.Warnf("%s changed in the configuration; that takes effect at a restart", what)
	}
	a.live.current.Store(s)
	return nil
}

// needsRestart names the sections that differ and that a reload leaves alone.
func needsRestart(was, is *config.Config) (sections []string) {
	server := is.Server
	server.Auth = was.Server.Auth
	for _, s := range []struct {
		name    string
		was, is any
	}{
		{"server", was.Server, server},
		{"log", was.Log, is.Log},
		{"storage", was.Storage, is.Storage},
		{"evidence", was.Evidence, is.Evidence},
		{"alertmanagers", was.Alertmanagers, is.Alertmanagers},
		{"slack", was.Slack, is.Slack},
		{"webhooks", was.Webhooks, is.Webhooks},
		{"maintenance", was.Maintenance, is.Maintenance},
		{"traces.index", was.Traces.Index, is.Traces.Index},
	} {
		if !reflect.DeepEqual(s.was, s.is) {
			sections = append(sections, s.name)
		}
	}
	return sections
}

// contacts are those that playbooks may escalate to.
func contacts(cfg *config.Config) map[string][]triage.Contact {
	byName := make(map[string][]triage.Contact, len(cfg.Escalation))
	for name, all := range cfg.Escalation {
		for _, c := range all {
			byName[name] = append(byName[name], triage.Contact{
				Destination: triage.Destination{Notifier: c.Notifier, Channel: c.Channel}, Mention: c.Mention,
			})
		}
	}
	return byName
}

// escalationNames are the names that incidents may be escalated to.
func (s *settings) escalationNames() []string { return slices.Sorted(maps.Keys(s.cfg.Escalation)) }

// allowedCommands are the programs that playbooks may run.
func allowedCommands(cfg *config.Config) map[string]step.AllowedCommand {
	byPath := make(map[string]step.AllowedCommand, len(cfg.Commands))
	for _, c := range cfg.Commands {
		byPath[c.Program] = step.AllowedCommand{Timeout: time.Duration(c.Timeout), MaxOutput: int(c.MaxOutput), Env: c.Env}
	}
	return byPath
}

func credentials(auth config.Auth) receive.Credentials {
	c := receive.Credentials{BearerToken: string(auth.BearerToken)}
	if auth.Basic != nil {
		c.Username, c.Password = auth.Basic.Username, string(auth.Basic.Password)
	}
	return c
}

// playbook finds a playbook by name, the built-in one included.
func (s *settings) playbook(name string) *playbook.Playbook {
	if name == playbook.FallbackName {
		return s.fallback
	}
	return s.playbooks.ByName(name)
}

// playbookFor names the playbook for an alert.
func (s *settings) playbookFor(labels triage.Labels) (name string, matched bool) {
	if pb := s.playbooks.Match(labels); pb != nil {
		return pb.Name, true
	}
	return playbook.FallbackName, false
}

// destinations are where an incident is shown: where its first matching route says.
func (s *settings) destinations(labels triage.Labels) []triage.Destination {
	route := s.cfg.RouteFor(labels)
	return []triage.Destination{{Notifier: route.Notifier, Channel: route.Channel}}
}

func (s *settings) replies(labels triage.Labels) runner.Replies {
	return runner.Replies(s.cfg.RouteFor(labels).Replies)
}

func (s *settings) incidents() incident.Settings {
	c := s.cfg.Incidents
	return incident.Settings{
		ReopenWithin:  time.Duration(c.ReopenWithin),
		AlertTTL:      time.Duration(c.AlertTTL),
		RerunAfter:    time.Duration(c.RerunAfter),
		EditEvery:     time.Duration(c.EditEvery),
		VanishedAfter: time.Duration(c.VanishedAfter),
		KeepIncidents: time.Duration(s.cfg.Retention.Incidents),
		KeepFailed:    time.Duration(s.cfg.Retention.FailedNotifications),
		KeepActs:      time.Duration(s.cfg.Retention.Audit),
	}
}
