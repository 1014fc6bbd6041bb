// Made-up history: what the metrics would have shown in the past, so that
// baselines and charts of a demo that has just begun have something to show.

package codexsim

import (
	"fmt"
	"time"

	dto "github.com/prometheus/client_model/go"
)

// HistoryOptions say what past to make up.
type HistoryOptions struct {
	From, To time.Time     // inclusive; a zero To means until now, which moves on meanwhile
	Step     time.Duration // between two gatherings
	Rate     float64       // requests a second; default DefaultRate
	Seed     uint64
}

// History plays normal traffic from From to To through the same metrics that a
// running App has, without serving or waiting, and calls emit with what
// /metrics would have shown at each step. It is synthetic: nothing of it
// happened. It stops at emit's first error.
func History(opts HistoryOptions, emit func(at time.Time, families []*dto.MetricFamily) error) error {
	if opts.Rate == 0 {
		opts.Rate = DefaultRate
	}
	if opts.Step <= 0 || opts.Rate < 0 || !opts.To.IsZero() && opts.To.Before(opts.From) {
		return fmt.Errorf("history from %s to %s by %s at %g/s: want a positive step and rate and an end after the start",
			opts.From, opts.To, opts.Step, opts.Rate)
	}
	m := newMetrics()
	buffers := &toolBuffers{metrics: m}
	perStep := opts.Rate * opts.Step.Seconds()
	var owed float64
	var sent, chats uint64
	past := func(at time.Time) bool {
		if opts.To.IsZero() {
			return at.Before(time.Now())
		}
		return !at.After(opts.To)
	}
	for at := opts.From; past(at); at = at.Add(opts.Step) {
		for owed += perStep; owed >= 1; owed-- {
			sent++
			if sent%modelsEvery == 0 {
				m.observe(routeModels, "GET", 200, modelsLatency)
				continue
			}
			chats++
			took, status := chatLatency(quantileAt(opts.Seed, chats), false), 200
			if chats%usualErrorEvery == 0 {
				status = 502
				m.errors.WithLabelValues(routeChat, reasonBackend).Inc()
			} else if chats%toolCallEvery == 0 {
				buffers.finish(false)
			}
			m.observe(routeChat, "POST", status, took)
		}
		families, err := m.registry.Gather()
		if err != nil {
			return fmt.Errorf("gather made-up metrics: %w", err)
		}
		if err := emit(at, families); err != nil {
			return err
		}
	}
	return nil
}
