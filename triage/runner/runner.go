package runner

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"

	"triagebot/triage"
	"triagebot/triage/evidence"
	"triagebot/triage/incident"
	"triagebot/triage/playbook"
	"triagebot/triage/store"
)

// Replies says which findings get a reply of their own in the thread.
type Replies string

// The two ways to fill a thread.
const (
	RepliesAll      Replies = "all"
	RepliesAbnormal Replies = "abnormal" // the normal ones are folded into one closing line
)

// Bundles is what the runner needs of the evidence store.
type Bundles interface {
	Stage(ctx context.Context, incidentID, runID int64, step string, a evidence.Artifact) (evidence.Staged, error)
	Publish(ctx context.Context, v evidence.View, holds func(context.Context) error) (head string, err error)
	PublishIndex(ctx context.Context, x evidence.Index, holds func(context.Context) error) error
}

// Options wire a Runner.
type Options struct {
	Store    *store.DB
	Bundles  Bundles
	Redact   triage.Redact                        // masks secrets in what is kept and posted
	Playbook func(name string) *playbook.Playbook // nil when this process has none of that name
	Services func() map[string]string             // name → base URL
	Replies  func(labels triage.Labels) Replies
	Parent   incident.Parent
	// EvidenceURL makes the link to a file of a bundle.
	EvidenceURL func(incidentID int64, name string) string
	EditEvery   func() time.Duration // progress edits of a parent come at most this often
	Now         func() time.Time     // time.Now when nil
	Log         logrus.FieldLogger
	Registerer  prometheus.Registerer // may be nil
}

// Runner executes runs.
type Runner struct {
	Options
	metrics *metrics
}

// New prepares a Runner.
func New(opts Options) *Runner {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	return &Runner{Options: opts, metrics: newMetrics(opts.Registerer)}
}

// tooLate is how long past its playbook's timeout a run is still worth
// beginning or going on with. Whoever was paged has looked by then.
const tooLate = 15 * time.Minute

// Execute works a run to its end. It returns nil when the run is over, by this
// call or another; an error means that the database could not be written, or is
// a store.Later, and that Execute is to be called again. A second call goes on where the first
// was killed: a step whose finding is committed is not run again.
func (r *Runner) Execute(ctx context.Context, runID int64) error {
	run, err := r.Store.Run(ctx, runID)
	if err != nil {
		return fmt.Errorf("run %d: %w", runID, err)
	}
	if run.State == triage.RunFinished || run.State == triage.RunFailed {
		return nil
	}
	log := r.Log.WithFields(logrus.Fields{"incident": run.IncidentID, "run": run.ID, "playbook": run.Playbook})
	pb, err := r.playbook(ctx, &run, log)
	if errors.Is(err, errNoPlaybook) {
		return r.fail(ctx, run, err.Error())
	}
	if err != nil {
		return err
	}
	inc, err := r.Store.Incident(ctx, run.IncidentID)
	if err != nil {
		return fmt.Errorf("run %d: %w", runID, err)
	}
	x := &execution{Runner: r, run: run, pb: pb, inc: inc, log: log, done: map[string]chan struct{}{}, found: map[string]playbook.StepData{}, owing: map[string]triage.Finding{}}
	if over, err := x.begin(ctx); over || err != nil {
		return err
	}
	deadline := run.CreatedAt.Add(pb.Timeout + tooLate)
	limit := r.Now().Add(pb.Timeout)
	if limit.After(deadline) {
		limit = deadline
	}
	if err := x.steps(ctx, limit); err != nil {
		return err
	}
	return x.end(ctx)
}

// execution is one attempt at a run.
type execution struct {
	*Runner
	run  triage.Run
	pb   *playbook.Playbook
	inc  triage.Incident
	log  logrus.FieldLogger
	done map[string]chan struct{} // closed when the step's finding stands

	mu    sync.Mutex
	found map[string]playbook.StepData // by step id, of the steps that are done
	// owing are the findings of an earlier attempt whose pictures are still to
	// come, by step id. It is not written once the steps run.
	owing map[string]triage.Finding
}

// begin marks the run as running and takes up what an earlier attempt found.
func (x *execution) begin(ctx context.Context) (over bool, err error) {
	marks := make([]triage.StepMark, len(x.pb.Steps))
	for i, s := range x.pb.Steps {
		marks[i] = triage.StepMark{ID: s.ID, Title: s.Title, State: triage.StepRunning}
		if len(s.DependsOn) > 0 {
			marks[i].State = triage.StepWaiting
		}
		x.done[s.ID] = make(chan struct{})
	}
	err = x.Store.Tx(ctx, func(tx *store.Tx) error {
		inc, err := tx.LockIncident(ctx, x.run.IncidentID)
		if err != nil {
			return err
		}
		findings, err := tx.Findings(ctx, x.run.ID)
		if err != nil {
			return err
		}
		began, err := tx.BeginRun(ctx, x.run.ID, x.pb.Hash, append(x.gone(findings), marks...), x.Now())
		if over = !began; err != nil || over {
			return err
		}
		if err := x.oweProgress(ctx, tx, inc); err != nil {
			return err
		}
		for _, f := range findings {
			x.learn(f)
			if len(f.Following) > 0 {
				x.owing[f.StepID] = f
			}
		}
		return nil
	})
	if err != nil {
		return false, fmt.Errorf("begin run %d: %w", x.run.ID, err)
	}
	return over, nil
}

// gone are the steps that an earlier attempt finished and that the playbook no
// longer has: it was changed or replaced meanwhile. What they found was posted,
// so the parent goes on showing them.
func (x *execution) gone(findings []triage.Finding) []triage.StepMark {
	var marks []triage.StepMark
	for _, f := range findings {
		if _, has := x.done[f.StepID]; !has {
			marks = append(marks, triage.StepMark{ID: f.StepID, Title: f.Title, State: f.State()})
		}
	}
	return marks
}

// learn makes a finding known to the steps that depend on it.
func (x *execution) learn(f triage.Finding) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if _, known := x.found[f.StepID]; known {
		return
	}
	x.found[f.StepID] = playbook.StepData{Verdict: f.Verdict, Skipped: f.Skipped != "", Headline: f.Headline, Vars: f.Vars}
	if ch, has := x.done[f.StepID]; has {
		close(ch)
	}
}

// steps runs what is not yet done, each step as soon as those it refers to
// are. The number at once is the playbook's number of steps, which its loader
// bounds.
func (x *execution) steps(ctx context.Context, limit time.Time) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	errs := make([]error, len(x.pb.Steps))
	for i, s := range x.pb.Steps {
		owing, owes := x.owing[s.ID]
		if x.isDone(s.ID) && !owes {
			continue
		}
		wg.Go(func() {
			for _, id := range s.DependsOn {
				select {
				case <-x.done[id]:
				case <-ctx.Done():
					return
				}
			}
			defer func() {
				if p := recover(); p != nil {
					errs[i] = fmt.Errorf("step %s: a defect in triagebot: %v\n%s", s.ID, p, debug.Stack())
				}
				if errs[i] != nil {
					cancel() // nothing more can be committed; this attempt is over
				}
			}()
			if owes {
				errs[i] = x.catchUp(ctx, s, owing, limit)
			} else {
				errs[i] = x.step(ctx, s, limit)
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("run %d: %w", x.run.ID, err)
	}
	return ctx.Err()
}

func (x *execution) isDone(id string) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	_, done := x.found[id]
	return done
}

// data is what a step's templates and conditions see.
func (x *execution) data() *playbook.Data {
	x.mu.Lock()
	defer x.mu.Unlock()
	steps := make(map[string]playbook.StepData, len(x.found))
	for id, s := range x.found {
		steps[id] = s
	}
	expr, _ := playbook.ExprFromGeneratorURL(x.run.Alert.GeneratorURL)
	return &playbook.Data{
		Labels:      x.run.Alert.Labels,
		Annotations: x.run.Alert.Annotations,
		GroupLabels: x.inc.GroupLabels,
		Alert:       x.run.Alert,
		AlertExpr:   expr,
		Services:    x.Services(),
		Steps:       steps,
		IncidentID:  x.inc.ID,
		At:          x.run.At,
	}
}

// step takes one step to its committed finding.
func (x *execution) step(ctx context.Context, s *playbook.Step, limit time.Time) error {
	started := x.Now()
	f, artifacts, act := x.attempt(ctx, s, limit)
	if err := ctx.Err(); err != nil {
		return err // stopped, not finished: the next attempt runs it again
	}
	f.StepID, f.Title, f.Kind, f.At = s.ID, s.Title, s.Kind, x.run.At
	f.StartedAt, f.Took = started, x.Now().Sub(started)
	artifacts, following := divide(artifacts)
	staged := x.stage(ctx, s, &f, artifacts)
	for _, a := range following {
		f.Following = append(f.Following, a.Name)
	}
	x.redact(&f)
	kept, err := x.commit(ctx, f, staged, act)
	if err != nil {
		return fmt.Errorf("step %s: %w", s.ID, err)
	}
	x.log.WithFields(logrus.Fields{"step": s.ID, "state": kept.State(), "took": kept.Took.String()}).Info(kept.Headline)
	x.learn(kept)
	return x.follow(ctx, s, kept, following)
}
