// Guarded maintenance: the configured toggle, metric and readiness, and who is
// told.

package main

import (
	"context"
	"fmt"
	"time"

	promconfig "github.com/prometheus/common/config"

	"triagebot/cmd/config"
	"triagebot/triage"
	"triagebot/triage/maintenance"
	"triagebot/triage/promapi"
)

// openMaintenance makes the service of the maintenance section; without one
// there is none.
func (a *app) openMaintenance(context.Context) (err error) {
	m := a.cfg.Maintenance
	if m == nil {
		return nil
	}
	toggle, err := maintenanceToggle(m)
	if err != nil {
		return err
	}
	ready, err := maintenanceReady(m)
	if err != nil {
		return err
	}
	a.maintenance, err = maintenance.New(maintenance.Options{
		Store:        a.db,
		Service:      m.Service,
		Destination:  triage.Destination{Notifier: m.Notifier, Channel: m.Channel},
		Toggle:       toggle,
		Metric:       maintenance.PromMetric{Querier: liveQuerier{a.live, m.Datasource}, Expr: m.Metric, Now: time.Now},
		Ready:        ready,
		Mention:      m.Mention,
		SecondPerson: m.SecondPerson,
		OnFailure:    maintenance.OnFailure(m.OnFailure),
		Attempts:     m.Attempts,
		CallTimeout:  time.Duration(m.Toggle.Timeout),
		VerifyWithin: time.Duration(m.VerifyWithin),
		DefaultFor:   time.Duration(m.DefaultFor),
		MaxFor:       time.Duration(m.MaxFor),
		RemindBefore: time.Duration(m.RemindBefore),
		OverdueEvery: time.Duration(m.OverdueEvery),
		WatchEvery:   time.Duration(m.WatchEvery),
		Keep:         time.Duration(a.cfg.Retention.Incidents),
		Redact:       a.redact,
		Log:          a.log,
		Registerer:   a.registry,
	})
	return err
}

// maintenanceToggle is the configured toggle. Its client keeps no connection,
// for the reason that maintenance.HTTPToggle gives.
func maintenanceToggle(m *config.Maintenance) (*maintenance.HTTPToggle, error) {
	client, err := promconfig.NewClientFromConfig(*m.Toggle.HTTPConfig, "maintenance", promconfig.WithKeepAlivesDisabled(), promconfig.WithUserAgent("triagebot"))
	if err != nil {
		return nil, fmt.Errorf("maintenance.toggle: %w", err)
	}
	return maintenance.NewHTTPToggle(maintenance.HTTPToggle{
		Method: m.Toggle.Method, URL: m.Toggle.URL, Client: client,
		BodyOn: m.Toggle.BodyOn, BodyOff: m.Toggle.BodyOff, ContentType: m.Toggle.ContentType,
	}), nil
}

// maintenanceReady is the configured readiness. Its client is its own, for the
// toggle's credentials are none of its business.
func maintenanceReady(m *config.Maintenance) (maintenance.HTTPReady, error) {
	client, err := promconfig.NewClientFromConfig(*m.ReadyHTTPConfig, "maintenance readiness", promconfig.WithUserAgent("triagebot"))
	if err != nil {
		return maintenance.HTTPReady{}, fmt.Errorf("maintenance.ready_http_config: %w", err)
	}
	return maintenance.HTTPReady{URL: m.ReadyURL, Client: client}, nil
}

// liveQuerier asks the datasource of a name that the configuration in force has.
type liveQuerier struct {
	live *live
	name string
}

// Query implements maintenance.Querier.
func (q liveQuerier) Query(ctx context.Context, expr string, at time.Time) (*promapi.Result, error) {
	d, known := q.live.get().datasources[q.name]
	if !known {
		return nil, fmt.Errorf("the datasource %s is not configured any more", q.name)
	}
	return d.Query(ctx, expr, at)
}
