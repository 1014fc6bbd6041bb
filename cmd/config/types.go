package config

// The shape of the file. config.example.yaml at the top of the tree explains
// each key to people; a test holds the two together.

import (
	"cmp"
	"strings"

	promconfig "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"

	"triagebot/triage/matcher"
)

// Config is the whole file, with defaults filled in, paths made relative to
// the file's folder, and secrets read.
type Config struct {
	Server        Server                `yaml:"server"`
	Log           Log                   `yaml:"log"`
	Storage       Storage               `yaml:"storage"`
	Evidence      Evidence              `yaml:"evidence"`
	Alertmanagers []Alertmanager        `yaml:"alertmanagers"`
	Prometheus    Datasource            `yaml:"prometheus"`
	Datasources   map[string]Datasource `yaml:"datasources"` // more of them, by name
	Services      map[string]Service    `yaml:"services"`
	Grafana       *Grafana              `yaml:"grafana,omitempty"` // nil: none
	Playbooks     Playbooks             `yaml:"playbooks"`
	Incidents     Incidents             `yaml:"incidents"`
	Retention     Retention             `yaml:"retention"`
	Access        Access                `yaml:"access"`
	Slack         Slack                 `yaml:"slack"`
	Webhooks      []Webhook             `yaml:"webhooks"`
	Traces        Traces                `yaml:"traces"`
	Escalation    map[string][]Contact  `yaml:"escalation"`            // by the names that playbooks escalate to
	Commands      []Command             `yaml:"commands"`              // what playbooks may run
	Maintenance   *Maintenance          `yaml:"maintenance,omitempty"` // nil: none
	Routes        []Route               `yaml:"routes"`                // the first that matches wins; the last matches all
}

// Server is triagebot's own HTTP server.
type Server struct {
	Listen          string         `yaml:"listen"`
	ExternalURL     string         `yaml:"external_url"`    // without a trailing slash
	WebConfigFile   string         `yaml:"web_config_file"` // exporter-toolkit's: TLS, mutual TLS, basic auth
	MaxBody         Size           `yaml:"max_body"`        // of a notification
	MaxAlertnames   int            `yaml:"max_alertnames"`  // of one notification: each becomes an incident
	MaxConcurrent   int            `yaml:"max_concurrent"`  // notifications received at once
	ReadTimeout     model.Duration `yaml:"read_timeout"`
	WriteTimeout    model.Duration `yaml:"write_timeout"`
	Auth            Auth           `yaml:"auth"`
	EvidenceLinkTTL model.Duration `yaml:"evidence_link_ttl"`
}

// Auth is what senders of notifications must show: either of the two. Neither
// is set: anybody may send.
type Auth struct {
	BearerTokenFile string `yaml:"bearer_token_file,omitempty"`
	BearerTokenEnv  string `yaml:"bearer_token_env,omitempty"`
	Basic           *Basic `yaml:"basic,omitempty"`

	BearerToken Secret `yaml:"-"`
}

// Basic is a user name and password.
type Basic struct {
	Username     string `yaml:"username"`
	PasswordFile string `yaml:"password_file,omitempty"`
	PasswordEnv  string `yaml:"password_env,omitempty"`

	Password Secret `yaml:"-"`
}

// Log is what triagebot says of itself.
type Log struct {
	Level  string `yaml:"level"`  // debug, info, warn or error
	Format string `yaml:"format"` // logfmt or json
}

// Storage is the database: exactly one of SQLite and Postgres is set.
type Storage struct {
	SQLite     *SQLite   `yaml:"sqlite,omitempty"`
	Postgres   *Postgres `yaml:"postgres,omitempty"`
	MaxBacklog int       `yaml:"max_backlog"` // notifications that wait to be worked on
}

// SQLite is the embedded database.
type SQLite struct {
	Path string `yaml:"path"`
}

// Postgres is a PostgreSQL server, for several replicas.
type Postgres struct {
	URLFile string `yaml:"url_file,omitempty"`
	URLEnv  string `yaml:"url_env,omitempty"`

	URL Secret `yaml:"-"`
}

// Evidence is where bundles are kept: exactly one of the two is set.
type Evidence struct {
	Dir       string `yaml:"dir,omitempty"`
	BucketURL string `yaml:"bucket_url,omitempty"` // s3://name?region=…
}

// Alertmanager is one whose API is asked what still fires.
type Alertmanager struct {
	Name         string                       `yaml:"name"`
	URL          string                       `yaml:"url"`
	ExternalURL  string                       `yaml:"external_url,omitempty"` // as it names itself in notifications; "" when not given
	HTTPConfig   *promconfig.HTTPClientConfig `yaml:"http_config"`            // never nil
	PollInterval model.Duration               `yaml:"poll_interval"`          // 0: never
}

// Sends says whether notifications with this external URL are taken for those
// of this Alertmanager. Without an external_url it is taken to name itself by
// its URL; that this is a guess, ExternalURL still tells.
func (a *Alertmanager) Sends(externalURL string) bool {
	return strings.TrimRight(externalURL, "/") == cmp.Or(a.ExternalURL, a.URL)
}

// Datasource is a Prometheus, or what speaks its API.
type Datasource struct {
	URL           string                       `yaml:"url"`
	ExternalURL   string                       `yaml:"external_url,omitempty"` // for links; URL when ""
	HTTPConfig    *promconfig.HTTPClientConfig `yaml:"http_config"`            // never nil
	Timeout       model.Duration               `yaml:"timeout"`
	MaxConcurrent int                          `yaml:"max_concurrent"`
}

// Service is what playbooks name as {{ .Services.NAME }}.
type Service struct {
	URL        string                       `yaml:"url"`         // without a trailing slash
	HTTPConfig *promconfig.HTTPClientConfig `yaml:"http_config"` // never nil
}

// Grafana is one that renders panels, is linked to, and whose annotations are
// changes that may explain an incident.
type Grafana struct {
	URL         string                       `yaml:"url"`
	ExternalURL string                       `yaml:"external_url,omitempty"` // for links; URL when ""
	HTTPConfig  *promconfig.HTTPClientConfig `yaml:"http_config"`            // never nil
	Timeout     model.Duration               `yaml:"timeout"`                // of one request; a render takes seconds
}

// Playbooks are where the playbooks are.
type Playbooks struct {
	Files []string `yaml:"files"` // globs, each of which matches something
}

// Incidents are the rules of an incident's life.
type Incidents struct {
	ReopenWithin  model.Duration `yaml:"reopen_within"`
	AlertTTL      model.Duration `yaml:"alert_ttl"`
	VanishedAfter model.Duration `yaml:"vanished_after"`
	RerunAfter    model.Duration `yaml:"rerun_after"`
	EditEvery     model.Duration `yaml:"edit_every"`
	Replies       string         `yaml:"replies"` // RepliesAll or RepliesAbnormal
}

// Retention is how long the database keeps what is over; 0 is for good.
type Retention struct {
	Incidents           model.Duration `yaml:"incidents"`            // after they closed
	FailedNotifications model.Duration `yaml:"failed_notifications"` // after they were received
	Audit               model.Duration `yaml:"audit"`                // what people asked for, after they did
}

// Which findings get a reply of their own in the thread.
const (
	RepliesAll      = "all"
	RepliesAbnormal = "abnormal" // the normal ones are folded into one line
)

// Slack is the Slack notifier, and how people in Slack are heard. Without a
// token it talks to the local channel.
type Slack struct {
	TokenFile string `yaml:"token_file,omitempty"`
	TokenEnv  string `yaml:"token_env,omitempty"`

	SigningSecretFile string `yaml:"signing_secret_file,omitempty"` // Slack posts to triagebot
	SigningSecretEnv  string `yaml:"signing_secret_env,omitempty"`
	AppTokenFile      string `yaml:"app_token_file,omitempty"` // Socket Mode: triagebot connects to Slack
	AppTokenEnv       string `yaml:"app_token_env,omitempty"`

	APIURL          string         `yaml:"api_url,omitempty"` // "": Slack's own; ends in a slash
	FallbackChannel string         `yaml:"fallback_channel,omitempty"`
	Timeout         model.Duration `yaml:"timeout"`
	Local           SlackLocal     `yaml:"local"`

	Token         Secret `yaml:"-"` // "": the local channel
	SigningSecret Secret `yaml:"-"` // "": nothing is taken by HTTP
	AppToken      Secret `yaml:"-"` // "": no Socket Mode
}

// SlackLocal is the local channel, a small Slack workspace within the process.
type SlackLocal struct {
	Listen  string `yaml:"listen"`            // on loopback
	Journal string `yaml:"journal,omitempty"` // a file that keeps its messages; "": memory only
}

// Webhook is an outgoing webhook notifier.
type Webhook struct {
	Name       string                       `yaml:"name"`
	URL        WebhookURL                   `yaml:"url,omitempty"` // read from URLFile where that is set
	URLFile    string                       `yaml:"url_file,omitempty"`
	HTTPConfig *promconfig.HTTPClientConfig `yaml:"http_config"` // never nil
	Timeout    model.Duration               `yaml:"timeout"`
}

// Route sends incidents to a notifier.
type Route struct {
	Match    []string `yaml:"match,omitempty"`   // Alertmanager matchers, all of which must match
	Notifier string   `yaml:"notifier"`          // NotifierSlack or a webhook's name
	Channel  string   `yaml:"channel,omitempty"` // Slack only
	Replies  string   `yaml:"replies,omitempty"` // Incidents.Replies when ""

	matchers matcher.Matchers
}

// Contact is one of those that a name stands for.
type Contact struct {
	Notifier string `yaml:"notifier"`          // NotifierSlack or a webhook's name
	Channel  string `yaml:"channel,omitempty"` // Slack only
	Mention  string `yaml:"mention,omitempty"` // Slack only: who is pinged, as Slack writes it
}

// NotifierSlack is the name of the Slack notifier in routes.
const NotifierSlack = "slack"
