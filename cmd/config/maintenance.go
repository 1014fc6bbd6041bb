package config

// Guarded maintenance: the toggle, the metric that tells whether it worked, and
// the times.

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"time"

	promconfig "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"

	"triagebot/notifiers/slack"
	"triagebot/triage/maintenance"
	"triagebot/triage/strictyaml"
)

// Maintenance is the guarded maintenance of one service.
type Maintenance struct {
	Service         string                       `yaml:"service"`           // as people call it
	Notifier        string                       `yaml:"notifier"`          // where windows are announced: NotifierSlack or a webhook's name
	Channel         string                       `yaml:"channel,omitempty"` // Slack only
	Mention         string                       `yaml:"mention,omitempty"` // Slack only: who is pinged when something is loud, as Slack writes it
	Toggle          Toggle                       `yaml:"toggle"`
	Metric          string                       `yaml:"metric"` // PromQL: 1 while maintenance is on, 0 while it is off
	Datasource      string                       `yaml:"datasource"`
	ReadyURL        string                       `yaml:"ready_url"`         // answers 200 when the service can go without maintenance
	ReadyHTTPConfig *promconfig.HTTPClientConfig `yaml:"ready_http_config"` // how that is asked; never nil
	VerifyWithin    model.Duration               `yaml:"verify_within"`
	OnFailure       string                       `yaml:"on_failure"` // retry or rollback
	Attempts        int                          `yaml:"attempts"`   // calls in all
	SecondPerson    bool                         `yaml:"second_person"`
	DefaultFor      model.Duration               `yaml:"default_for"`
	MaxFor          model.Duration               `yaml:"max_for"`
	RemindBefore    model.Duration               `yaml:"remind_before"`
	OverdueEvery    model.Duration               `yaml:"overdue_every"`
	WatchEvery      model.Duration               `yaml:"watch_every"`
}

// Toggle is the HTTP request that sets the flag.
type Toggle struct {
	Method      string                       `yaml:"method"`
	URL         string                       `yaml:"url"`
	HTTPConfig  *promconfig.HTTPClientConfig `yaml:"http_config"` // never nil
	BodyOn      string                       `yaml:"body_on,omitempty"`
	BodyOff     string                       `yaml:"body_off,omitempty"`
	ContentType string                       `yaml:"content_type"`
	Timeout     model.Duration               `yaml:"timeout"` // of one call
}

// mainDatasource is the name of the one under prometheus.
const mainDatasource = "prometheus"

// Bounds of Maintenance.
const (
	maxToggleTimeout = time.Minute
	maxVerifyWithin  = 10 * time.Minute
	maxAttempts      = 10
	leastWatchEvery  = time.Second
	maxMaintenance   = 7 * 24 * time.Hour
)

func fillInMaintenance(m *Maintenance) {
	if m == nil {
		return
	}
	orDefaultHTTP(&m.Toggle.HTTPConfig)
	orDefaultHTTP(&m.ReadyHTTPConfig)
	m.Notifier = cmp.Or(m.Notifier, NotifierSlack)
	m.Toggle.Method = cmp.Or(m.Toggle.Method, http.MethodPost)
	m.Toggle.ContentType = cmp.Or(m.Toggle.ContentType, "application/json")
	m.Datasource = cmp.Or(m.Datasource, mainDatasource)
	m.OnFailure = cmp.Or(m.OnFailure, string(maintenance.Retry))
	m.Attempts = cmp.Or(m.Attempts, maintenance.DefaultAttempts)
	for _, d := range []struct {
		value    *model.Duration
		standard time.Duration
	}{
		{&m.Toggle.Timeout, maintenance.DefaultCallTimeout},
		{&m.VerifyWithin, maintenance.DefaultVerifyWithin},
		{&m.DefaultFor, maintenance.DefaultFor},
		{&m.MaxFor, maintenance.DefaultMaxFor},
		{&m.RemindBefore, maintenance.DefaultRemindBefore},
		{&m.OverdueEvery, maintenance.DefaultOverdueEvery},
		{&m.WatchEvery, maintenance.DefaultWatchEvery},
	} {
		*d.value = cmp.Or(*d.value, model.Duration(d.standard))
	}
}

func (k *checker) maintenance(c *Config) {
	m := c.Maintenance
	if m == nil {
		return
	}
	k.required("maintenance.service", m.Service)
	k.destination("maintenance", c, m.Notifier, m.Channel)
	switch {
	case m.Mention == "":
	case m.Notifier != NotifierSlack:
		k.addf("maintenance.mention", "webhooks mention nobody; remove it")
	case !slack.ValidMention(m.Mention):
		k.addf("maintenance.mention", "%q is no mention; write it as Slack does: <@U0123456>, <!subteam^S0123456>, <!here> or <!channel>", m.Mention)
	}
	k.toggle(&m.Toggle)
	k.maintenanceMetric(c, m)
	k.requestURL("maintenance.ready_url", m.ReadyURL)
	k.httpConfigAt("maintenance.ready_http_config", m.ReadyHTTPConfig)
	k.oneOf("maintenance.on_failure", m.OnFailure, string(maintenance.Retry), string(maintenance.Rollback))
	k.within("maintenance.attempts", m.Attempts, 1, maxAttempts)
	k.lasts("maintenance.verify_within", m.VerifyWithin, time.Second, maxVerifyWithin)
	k.lasts("maintenance.max_for", m.MaxFor, time.Minute, maxMaintenance)
	k.lasts("maintenance.default_for", m.DefaultFor, time.Minute, time.Duration(m.MaxFor))
	k.lasts("maintenance.remind_before", m.RemindBefore, time.Second, time.Duration(m.MaxFor))
	k.lasts("maintenance.overdue_every", m.OverdueEvery, time.Minute, maxMaintenance)
	k.lasts("maintenance.watch_every", m.WatchEvery, leastWatchEvery, time.Hour)
}

func (k *checker) toggle(t *Toggle) {
	k.oneOf("maintenance.toggle.method", t.Method, http.MethodPost, http.MethodPut, http.MethodPatch)
	k.requestURL("maintenance.toggle.url", t.URL)
	k.httpConfig("maintenance.toggle", t.HTTPConfig)
	k.lasts("maintenance.toggle.timeout", t.Timeout, time.Second, maxToggleTimeout)
	if t.BodyOn == t.BodyOff {
		k.addf("maintenance.toggle.body_on", `is the same as body_off, so that nothing tells on from off; write, for example, body_on: '{"enabled":true}' and body_off: '{"enabled":false}'`)
	}
	for _, body := range []struct{ key, text string }{{"body_on", t.BodyOn}, {"body_off", t.BodyOff}} {
		if _, masked := k.redactor.RedactString(body.text); masked > 0 {
			k.addf("maintenance.toggle."+body.key, "secrets do not stand in the configuration; show them in a header, by http_config")
		}
	}
}

func (k *checker) maintenanceMetric(c *Config, m *Maintenance) {
	datasources := []string{mainDatasource}
	for name := range c.Datasources {
		datasources = append(datasources, name)
	}
	slices.Sort(datasources)
	if !slices.Contains(datasources, m.Datasource) {
		k.addf("maintenance.datasource", "no datasource %q is configured%s", m.Datasource, strictyaml.Suggest(m.Datasource, datasources))
	}
	if m.Metric == "" {
		k.addf("maintenance.metric", "is missing; write PromQL that is 1 while maintenance is on and 0 while it is off, such as max(codex_maintenance_mode)")
		return
	}
	switch expr, err := parser.NewParser(parser.Options{}).ParseExpr(m.Metric); {
	case err != nil:
		k.addf("maintenance.metric", "%v", err)
	case expr.Type() != parser.ValueTypeVector && expr.Type() != parser.ValueTypeScalar:
		k.addf("maintenance.metric", "gives a %s; write PromQL that gives one value now, such as max(codex_maintenance_mode)", parser.DocumentedType(expr.Type()))
	}
}

// requestURL checks a URL that is asked as it is.
func (k *checker) requestURL(path, address string) {
	switch u, err := url.Parse(address); {
	case address == "":
		k.addf(path, "is missing")
	case err != nil || !isWebURL(address):
		k.addf(path, "must be a URL that begins with http:// or https:// and holds no password; credentials belong into http_config")
	default:
		if _, masked := k.redactor.RedactString(u.RawQuery); masked > 0 {
			k.addf(path, "secrets do not stand in the configuration; show them in a header, by http_config")
		}
	}
}

// lasts checks a duration's bounds.
func (k *checker) lasts(path string, d model.Duration, least, most time.Duration) {
	if value := time.Duration(d); value < least || value > most {
		k.addf(path, "%s is out of bounds; it must be from %s to %s", d, model.Duration(least), model.Duration(most))
	}
}
