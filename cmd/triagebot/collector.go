// The metrics that stand in the database: they are counted when scraped, and
// are the same from every replica.

package main

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"

	"triagebot/triage/store"
)

// collector counts rows for /metrics.
type collector struct {
	db            *store.DB
	log           logrus.FieldLogger
	backlog       *prometheus.Desc
	backlogAge    *prometheus.Desc
	notifications *prometheus.Desc
	incidents     *prometheus.Desc
	runs          *prometheus.Desc
	up            *prometheus.Desc
}

func newCollector(db *store.DB, log logrus.FieldLogger) *collector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("triagebot_"+name, help, labels, nil)
	}
	return &collector{
		db: db, log: log,
		backlog:       desc("backlog_notifications", "Notifications accepted and not yet folded into incidents."),
		backlogAge:    desc("backlog_oldest_seconds", "Age of the oldest notification not yet folded; 0 when none waits."),
		notifications: desc("notifications_kept", "Notifications in the database, by state.", "state"),
		incidents:     desc("incidents", "Incidents in the database, by state.", "state"),
		runs:          desc("runs", "Runs in the database, by state.", "state"),
		up:            desc("database_up", "1 when the database could be read for this scrape."),
	}
}

func (c *collector) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(c, ch) }

func (c *collector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	up := 1.0
	failed := func(err error) bool {
		if err != nil {
			c.log.WithError(err).Warn("counting rows for /metrics failed")
			up = 0
		}
		return err != nil
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	if n, oldest, err := c.db.Backlog(ctx); !failed(err) {
		gauge(c.backlog, float64(n))
		age := 0.0
		if !oldest.IsZero() {
			age = time.Since(oldest).Seconds()
		}
		gauge(c.backlogAge, age)
	}
	for _, counted := range []struct {
		desc  *prometheus.Desc
		count func(context.Context) (map[string]int, error)
	}{{c.notifications, c.db.NotificationStates}, {c.incidents, c.db.IncidentStates}, {c.runs, c.db.RunStates}} {
		if states, err := counted.count(ctx); !failed(err) {
			for state, n := range states {
				gauge(counted.desc, float64(n), state)
			}
		}
	}
	gauge(c.up, up)
}
