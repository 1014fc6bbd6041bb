// Package step holds the step kinds: what a playbook's steps can do. Each kind
// is one file; Kinds is the one list of them.
package step

import (
	"context"
	"net/http"
	"os"
	"time"

	"triagebot/triage"
	"triagebot/triage/grafana"
	"triagebot/triage/playbook"
	"triagebot/triage/promapi"
	"triagebot/triage/tracelog"
)

// Deps are what the kinds work with.
type Deps struct {
	// Prometheus are the metrics datasources by their configured names. None
	// at all is allowed, for checking playbooks: names are then not checked.
	Prometheus map[string]Datasource
	// DefaultDatasource is the name of the one that a query asks when it names none.
	DefaultDatasource string
	// Services are the services that captures may ask with credentials, by name.
	Services map[string]Service
	// Traces are where requests are looked up; none at all is allowed, and then a
	// step that needs them says so when it runs.
	Traces []tracelog.Home
	// Annotations are Grafana's; nil where none is configured.
	Annotations Annotations
	// Escalation are the contacts of each name that a step may escalate to.
	Escalation map[string][]triage.Contact
	// Commands are the programs that playbooks may run, by their paths.
	Commands map[string]AllowedCommand
	// Starter runs them; nil means Programs.
	Starter Starter
	// LookupEnv finds a variable to pass on; nil means os.LookupEnv.
	LookupEnv func(name string) (string, bool)
	// Dashboards reads the file of a dashboard that a panel step names; nil means
	// ReadDashboard.
	Dashboards func(path string) ([]byte, error)
	// Grafana renders panels and is linked to; nil where none is configured.
	Grafana Grafana
	// Redact masks secrets; nil masks none. Kinds has the datasources' series come
	// with their labels masked. Of all else that a kind finds the runner masks what
	// is said and package evidence what is kept; only what a kind draws, it has to
	// pass through Redact itself.
	Redact triage.Redact
	// HTTP asks whatever belongs to no service; nil means http.DefaultClient.
	HTTP *http.Client
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Datasource is one Prometheus.
type Datasource struct {
	Querier
	// PublicURL is where people reach it, for links; "" for no links.
	PublicURL string
}

// Querier evaluates PromQL and gives exemplars; *promapi.Client does. Results
// are shared and must not be changed.
type Querier interface {
	Query(ctx context.Context, expr string, at time.Time) (*promapi.Result, error)
	QueryRange(ctx context.Context, expr string, from, to time.Time, step time.Duration) (*promapi.Result, error)
	Exemplars(ctx context.Context, expr string, from, to time.Time) ([]promapi.Exemplar, error)
}

// Grafana is asked for panels that it renders itself; *grafana.Client does.
type Grafana interface {
	// Dashboard gives a dashboard's JSON.
	Dashboard(ctx context.Context, uid string) ([]byte, error)
	// Render gives a panel as a PNG.
	Render(ctx context.Context, v grafana.View) ([]byte, error)
	// Link is where people see the panel.
	Link(v grafana.View) string
}

// Service is one service and the client that is configured for it.
type Service struct {
	URL    string // base URL; the client is used for it and what is below it
	Client *http.Client
}

// Kinds are all step kinds.
func Kinds(d Deps) []playbook.Kind {
	if d.HTTP == nil {
		d.HTTP = http.DefaultClient
	}
	if d.Now == nil {
		d.Now = time.Now
	}
	if d.Starter == nil {
		d.Starter = Programs{}
	}
	if d.LookupEnv == nil {
		d.LookupEnv = os.LookupEnv
	}
	if d.Dashboards == nil {
		d.Dashboards = ReadDashboard
	}
	if d.Redact != nil {
		masked := make(map[string]Datasource, len(d.Prometheus))
		for name, s := range d.Prometheus {
			s.Querier = maskedQuerier{s.Querier, d.Redact}
			masked[name] = s
		}
		d.Prometheus = masked
	}
	return []playbook.Kind{
		&query{d},
		&capture{d},
		&trace{d},
		&panel{d},
		&logsKind{d},
		&changes{d},
		&policy{d},
		&toolblocks{d},
		&escalate{d},
		announce{},
		&command{d},
	}
}
