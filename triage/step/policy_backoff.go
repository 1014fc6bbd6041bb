// A policy's backoff: every wait that was seen must be a stage of the ladder
// (250ms doubling to 5s: 250ms, 500ms, 1s, 2s, 4s, 5s), and the stages must come
// in their order.
//
// A gauge is only seen when it is scraped. Between two samples a wait may have
// come and gone, but only as many stages as fit between them: 250ms to 1s is
// fine when at least the 500ms in between have passed, and 250ms to 5s within a
// second is not.

package step

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v3"
	"golang.org/x/sync/errgroup"

	"triagebot/triage/playbook"
	"triagebot/triage/promapi"
	"triagebot/triage/step/unit"
)

// Bounds of a backoff's options.
const (
	minBackoff      = time.Millisecond
	maxBackoff      = 24 * time.Hour
	minFactor       = 1.1
	maxFactor       = 100
	maxStages       = 100
	maxBackoffRange = 6 * time.Hour
	defaultScrape   = time.Minute
	backoffPoints   = 1000 // of a series, about
	maxBackoffs     = 500  // series
	maxShownStages  = 12   // in a sentence
	maxReportRuns   = 1000 // of a series, in the evidence
)

type backoffYAML struct {
	// PromQL template, needed: the series that say how long is waited.
	Expr string `yaml:"expr"`
	// name, default the one under `prometheus`: the Prometheus to ask.
	Datasource string `yaml:"datasource"`
	// `ms` (default), `s`: of the series.
	Unit string `yaml:"unit"`
	// duration, needed, [minBackoff] to [maxBackoff]: the first wait.
	First string `yaml:"first"`
	// number, default 2, [minFactor] to [maxFactor]: from one wait to the next.
	Factor *float64 `yaml:"factor"`
	// duration, needed, [minBackoff] to [maxBackoff]: the longest wait.
	Most string `yaml:"most"`
	// duration, default [defaultWithin], [minRange] to [maxBackoffRange]: before the incident's instant.
	Range string `yaml:"range"`
	// duration, default [defaultScrape], 1ms to [maxBackoffRange]: how far apart samples are, where Prometheus does not tell.
	Scrape string `yaml:"scrape"`
}

// backoffPolicy is the decoded comparison of waits.
type backoffPolicy struct {
	expr       *playbook.Template
	name       string // of the datasource
	datasource Datasource
	unit       unit.Unit
	ladder     ladder
	span       time.Duration
	scrape     time.Duration
}

func (k *policy) decodeBackoff(c *playbook.Compiler, node *yaml.Node, y *backoffYAML) *backoffPolicy {
	p := &backoffPolicy{span: defaultWithin, scrape: defaultScrape}
	if y.Expr == "" {
		c.Errorf(node, "backoff.expr", "is missing; write the series that says how long is waited, such as codex_worker_backoff_ms")
	} else {
		p.expr = c.PromQL(node, "backoff.expr", y.Expr)
	}
	p.name, p.datasource = k.datasource(c, node, "backoff.datasource", y.Datasource)
	p.unit = unit.Unit(oneOf(c, node, "backoff.unit", y.Unit, string(unit.Millis), string(unit.Millis), string(unit.Seconds)))
	if y.Range != "" {
		p.span = c.Duration(node, "backoff.range", y.Range, minRange, maxBackoffRange)
	}
	if y.Scrape != "" {
		p.scrape = c.Duration(node, "backoff.scrape", y.Scrape, time.Millisecond, maxBackoffRange)
	}
	var first, most time.Duration
	for _, wait := range []struct {
		key, text string
		into      *time.Duration
	}{{"backoff.first", y.First, &first}, {"backoff.most", y.Most, &most}} {
		if wait.text == "" {
			c.Errorf(node, wait.key, "is missing; write how long is waited %s, as in 250ms", strings.TrimPrefix(wait.key, "backoff."))
			continue
		}
		*wait.into = c.Duration(node, wait.key, wait.text, minBackoff, maxBackoff)
	}
	factor := 2.0
	if y.Factor != nil {
		factor = *y.Factor
	}
	switch {
	case !(factor >= minFactor && factor <= maxFactor):
		c.Errorf(node, "backoff.factor", "%s is out of bounds; write a number from %s to %s", number(factor), number(minFactor), number(maxFactor))
	case first == 0 || most == 0: // said above
	case first > most:
		c.Errorf(node, "backoff.first", "%s is longer than most, %s; swap them", y.First, y.Most)
	default:
		p.ladder = newLadder(first, most, factor)
		if len(p.ladder.stages) > maxStages {
			c.Errorf(node, "backoff.factor", "%s makes more than %d stages of %s to %s; write a larger one", number(factor), maxStages, y.First, y.Most)
		}
	}
	return p
}

func (p *backoffPolicy) compare(ctx context.Context, env *playbook.Env) (*compared, error) {
	if p.datasource.Querier == nil {
		return nil, &playbook.StepError{Err: errors.New("no Prometheus is configured"), NextStep: "Add the datasource to the configuration."}
	}
	expr, err := p.expr.Render(env.Data)
	if err != nil {
		return nil, &playbook.StepError{Err: fmt.Errorf("the query cannot be written: %w", err), NextStep: "Look at the alert's labels and at the step's backoff.expr."}
	}
	at := env.At.UTC().Truncate(time.Second) // as queries, so that steps of several incidents share them
	values, stamps, err := p.ask(ctx, expr, at)
	if err != nil {
		var failure *promapi.Error
		if !errors.As(err, &failure) {
			return nil, fmt.Errorf("%s: %w", promapi.Display(p.name), err)
		}
		return nil, &playbook.StepError{Err: err, NextStep: nextSteps[failure.Reason], Transient: failure.Transient}
	}
	for _, warning := range values.Warnings {
		env.Debugf("%s warns: %s", promapi.Display(p.name), warning)
	}
	return p.judge(values, stamps, cut(expr, maxShownExpr), at), nil
}

// ask reads the series over the range and, of a plain selector, when each value
// was scraped; stamps is nil where that cannot be told.
func (p *backoffPolicy) ask(ctx context.Context, expr string, at time.Time) (values, stamps *promapi.Result, err error) {
	step := max((p.span/backoffPoints + time.Second - 1).Truncate(time.Second), time.Second)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		values, err = p.datasource.QueryRange(ctx, expr, at.Add(-p.span), at, step)
		return err
	})
	if isSelector(expr) {
		group.Go(func() (err error) {
			stamps, err = p.datasource.QueryRange(ctx, "timestamp("+expr+")", at.Add(-p.span), at, step)
			return err
		})
	}
	return values, stamps, group.Wait()
}

// isSelector says whether an expression is a series as it was scraped, whose
// samples timestamp() knows the time of.
func isSelector(expr string) bool {
	parsed, err := parser.NewParser(parser.Options{}).ParseExpr(expr)
	if err != nil {
		return false
	}
	for {
		inner, is := parsed.(*parser.ParenExpr)
		if !is {
			break
		}
		parsed = inner.Expr
	}
	_, is := parsed.(*parser.VectorSelector)
	return is
}

// judge follows each series through its stages.
func (p *backoffPolicy) judge(values, stamps *promapi.Result, expr string, at time.Time) *compared {
	c := &compared{}
	when := window(p.span, at)
	scraped := map[string][]promapi.Point{}
	if stamps != nil {
		for _, s := range stamps.Series {
			scraped[unnamed(s.Labels)] = s.Points
		}
	}
	names := shortNames(values.Series[:min(len(values.Series), maxBackoffs)])
	var report bytes.Buffer
	fmt.Fprintf(&report, "Backoff: %s in %s, %s\nMeant: 0 or %s\n", expr, promapi.Display(p.name), when, p.ladder.all())
	backingOff, longest := 0, track{}
	for i := range values.Series {
		if c.checked == maxBackoffs {
			c.lacks = fmt.Sprintf("%d of the %d series of %s, for at most %d are followed", len(values.Series)-c.checked, len(values.Series), expr, maxBackoffs)
			c.next = "Aggregate the query, or narrow its matchers."
			break
		}
		samples := p.samples(values.Series[i].Points, scraped[unnamed(values.Series[i].Labels)])
		if len(samples) == 0 {
			continue
		}
		c.checked++
		t := p.ladder.follow(names[i], samples)
		c.violations = append(c.violations, t.violations...)
		t.write(&report)
		if len(t.longest) > 0 {
			backingOff++
		}
		if len(t.longest) > len(longest.longest) || c.checked == 1 {
			longest = t
		}
	}
	switch {
	case c.checked == 0:
		c.lacks = fmt.Sprintf("the backoff, for %s has no values in %s in %s", expr, promapi.Display(p.name), when)
		c.next = "Check that the series exists and that its target is scraped."
	case len(c.violations) > 0:
	case backingOff == 0:
		c.fine = fmt.Sprintf("nothing backed off in %s (%d series of %s stayed at 0)", when, c.checked, expr)
	default:
		c.fine = longest.fine(backingOff-1, &p.ladder)
	}
	c.report = report.Bytes()
	return c
}

// samples are the waits as they were scraped, each once. Where it is not known
// when that was, each point counts as a sample of the time before it.
func (p *backoffPolicy) samples(points, scraped []promapi.Point) []sampled {
	times := make(map[int64]time.Time, len(scraped))
	for _, s := range scraped {
		if !math.IsNaN(s.V) && !math.IsInf(s.V, 0) {
			times[s.T.UnixMilli()] = time.UnixMilli(int64(math.Round(s.V * 1000))).UTC()
		}
	}
	var all []sampled
	for _, point := range points {
		if math.IsNaN(point.V) {
			continue
		}
		s := sampled{at: point.T, slack: p.scrape, wait: point.V}
		if p.unit == unit.Seconds {
			s.wait *= 1000
		}
		if at, known := times[point.T.UnixMilli()]; known {
			s.at, s.slack = at, 0
		}
		if n := len(all); n > 0 && !s.at.After(all[n-1].at) {
			continue
		}
		all = append(all, s)
	}
	return all
}
