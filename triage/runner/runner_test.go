package runner_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cel.dev/cel-go/cel"
	"github.com/google/go-cmp/cmp"
	logrustest "github.com/sirupsen/logrus/hooks/test"
	"go.yaml.in/yaml/v3"

	"triagebot/triage"
	"triagebot/triage/evidence"
	"triagebot/triage/incident"
	"triagebot/triage/playbook"
	"triagebot/triage/runner"
	"triagebot/triage/store"
	"triagebot/triage/store/storetest"
)

// probe is a step kind whose actions do what the test says, by step id.
type probe struct {
	mu    sync.Mutex
	do    map[string]func(ctx context.Context, try int) (*playbook.Outcome, error)
	tries map[string]int
	order []string
}

func (p *probe) Name() string { return "probe" }

func (p *probe) Decode(*playbook.Compiler, *yaml.Node) playbook.Action { return p }

func (p *probe) Vars() map[string]*cel.Type { return map[string]*cel.Type{"value": cel.DoubleType} }

func (p *probe) Run(ctx context.Context, env *playbook.Env) (*playbook.Outcome, error) {
	p.mu.Lock()
	p.tries[env.Step]++
	try, do := p.tries[env.Step], p.do[env.Step]
	p.order = append(p.order, env.Step)
	p.mu.Unlock()
	if do == nil {
		return value(1), nil
	}
	return do(ctx, try)
}

func value(v float64, artifacts ...playbook.Artifact) *playbook.Outcome {
	return &playbook.Outcome{
		Rows:      []playbook.OutcomeRow{{Vars: map[string]any{"value": v}, Value: fmt.Sprint(v)}},
		Headline:  fmt.Sprintf("It is %g.", v),
		Artifacts: artifacts,
	}
}

// bundles keeps staged artifacts in memory.
type bundles struct {
	mu     sync.Mutex
	staged []string
	fail   error
	views  []evidence.View
}

func (b *bundles) Stage(_ context.Context, incidentID, runID int64, step string, a evidence.Artifact) (evidence.Staged, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if a.Name == "panic" {
		panic("no disk")
	}
	if b.fail != nil {
		return evidence.Staged{}, b.fail
	}
	name := fmt.Sprintf("runs/%d/%s-%s", runID, step, a.Name)
	b.staged = append(b.staged, name)
	return evidence.Staged{IncidentID: incidentID, Name: name, MediaType: a.MediaType, Size: int64(len(a.Data)), SHA256: "ab", Source: a.Source, CreatedAt: start}, nil
}

func (b *bundles) Publish(_ context.Context, v evidence.View, _ func(context.Context) error) (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.views = append(b.views, v)
	return "head", nil
}

func (b *bundles) PublishIndex(context.Context, evidence.Index, func(context.Context) error) error {
	return nil
}

var start = time.Date(2026, 3, 1, 3, 0, 0, 0, time.UTC)

// world is a runner with one playbook, on a database with one incident.
type world struct {
	t       *testing.T
	where   store.Options
	db      *store.DB
	r       *runner.Runner
	probe   *probe
	bundles *bundles
	replies runner.Replies
	inc     triage.Incident
	now     func() time.Time
}

const fourSteps = `
name: latency
title: Latency
match: ['alertname="Slow"']
timeout: 30s
steps:
  - {id: first, title: First, probe: {}, abnormal: 'value > 5'}
  - {id: second, title: Second, probe: {}, expect: 'value > 0', finding: 'Second says {{ .Value }}'}
  - {id: only-if, title: Only if, when: 'steps.first.abnormal', probe: {}}
  - {id: after, title: After, probe: {}, abnormal: 'value < steps.second.value'}
`

func each(t *testing.T, source string, test func(w *world)) {
	storetest.Each(t, func(t *testing.T, where store.Options) {
		w := &world{t: t, replies: runner.RepliesAll, bundles: &bundles{}, now: func() time.Time { return start }}
		w.probe = &probe{do: map[string]func(context.Context, int) (*playbook.Outcome, error){}, tries: map[string]int{}}
		where.Now = func() time.Time { return w.now() }
		where.SharedNow = where.Now
		w.where, w.db = where, storetest.Open(t, where)
		set, err := playbook.Load([]playbook.File{{Name: "test.yaml", Data: []byte(source)}}, playbook.LoadOptions{Kinds: []playbook.Kind{w.probe}})
		if err != nil {
			t.Fatal(err)
		}
		log, _ := logrustest.NewNullLogger()
		w.r = runner.New(runner.Options{
			Store: w.db, Bundles: w.bundles, Playbook: set.ByName,
			Redact:      func(s string) string { return strings.ReplaceAll(s, "hunter2", "<redacted>") },
			Services:    func() map[string]string { return nil },
			Replies:     func(triage.Labels) runner.Replies { return w.replies },
			Parent:      incident.Parent{Fallback: playbook.FallbackName},
			EvidenceURL: func(id int64, name string) string { return fmt.Sprintf("http://bot.example/evidence/%d/%s", id, name) },
			EditEvery:   func() time.Duration { return 5 * time.Second },
			Now:         where.Now, Log: log,
		})
		if _, err := w.db.NewJobs(store.JobsOptions{ReplicaID: "test", Run: w.r.Execute, Publish: w.r.Publish, Log: log}); err != nil {
			t.Fatal(err)
		}
		test(w)
	})
}

// open makes the incident, its parent and a pending run.
func (w *world) open() triage.Run {
	w.t.Helper()
	return w.openBy(triage.TriggerAlert)
}

// openBy is open with a run that something else started.
func (w *world) openBy(trigger triage.Trigger) triage.Run {
	w.t.Helper()
	run := triage.Run{Playbook: "latency", Trigger: trigger, At: start, CreatedAt: start, Alert: triage.Alert{Labels: triage.Labels{"alertname": "Slow"}}}
	err := w.db.Tx(w.t.Context(), func(tx *store.Tx) error {
		w.inc = triage.Incident{Key: "Slow{}", Alertname: "Slow", State: triage.IncidentFiring, Playbook: "latency", OpenedAt: start, StartedAt: start, UpdatedAt: start, Firing: 1, Alerts: 1}
		if err := tx.OpenIncident(w.t.Context(), &w.inc); err != nil {
			return err
		}
		run.IncidentID = w.inc.ID
		dest := triage.Destination{Notifier: "slack", Channel: "#inc"}
		if err := tx.OweParent(w.t.Context(), w.inc.ID, dest, triage.ParentPost{IncidentID: w.inc.ID, Alertname: "Slow"}, triage.PriorityParent, start); err != nil {
			return err
		}
		return tx.StartRun(w.t.Context(), &run)
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return run
}

func (w *world) execute(run triage.Run) {
	w.t.Helper()
	if err := w.r.Execute(w.t.Context(), run.ID); err != nil {
		w.t.Fatal(err)
	}
}

// states are the findings' states by step id.
func (w *world) states(run triage.Run) map[string]triage.StepState {
	out := map[string]triage.StepState{}
	for id, f := range w.findings(run) {
		out[id] = f.State()
	}
	return out
}

func (w *world) findings(run triage.Run) map[string]triage.Finding {
	w.t.Helper()
	findings, err := w.db.Findings(w.t.Context(), run.ID)
	if err != nil {
		w.t.Fatal(err)
	}
	out := map[string]triage.Finding{}
	for _, f := range findings {
		out[f.StepID] = f
	}
	return out
}

func (w *world) deliveries() (parent triage.ParentPost, others []triage.Delivery) {
	w.t.Helper()
	all, err := w.db.DeliveriesOf(w.t.Context(), w.inc.ID)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, d := range all {
		if d.Kind == triage.DeliveryParent {
			parent = *d.Body.Parent
		} else {
			others = append(others, d)
		}
	}
	return parent, others
}

func TestARunFromFirstToLastStep(t *testing.T) {
	each(t, fourSteps, func(w *world) {
		w.probe.do["first"] = func(context.Context, int) (*playbook.Outcome, error) {
			return value(9, playbook.Artifact{Name: "result.json", MediaType: "application/json", Data: []byte("{}")},
				playbook.Artifact{Name: "chart.png", MediaType: "image/png", Draw: func(_ context.Context, v triage.Verdict) ([]byte, string, error) {
					return []byte("png"), "It is 9, " + string(v), nil
				}}), nil
		}
		run := w.open()
		w.execute(run)
		want := map[string]triage.StepState{
			"first": triage.StepAbnormal, "second": triage.StepNormal, "only-if": triage.StepNormal, "after": triage.StepNormal,
		}
		if diff := cmp.Diff(want, w.states(run)); diff != "" {
			t.Errorf("states (-want +got):\n%s", diff)
		}
		if got := w.findings(run)["second"].Headline; got != "Second says 1" {
			t.Errorf("headline %q, want the template's", got)
		}
		parent, others := w.deliveries()
		if parent.Conclusion != "1 of 4 checks abnormal: It is 9." {
			t.Errorf("conclusion %q", parent.Conclusion)
		}
		var kinds []string
		for _, d := range others {
			kinds = append(kinds, string(d.Kind))
		}
		slices.Sort(kinds)
		if diff := cmp.Diff([]string{"file", "reply", "reply", "reply", "reply"}, kinds); diff != "" {
			t.Errorf("thread (-want +got):\n%s", diff)
		}
		chain, err := w.db.Evidence(t.Context(), w.inc.ID)
		if err != nil || len(chain) != 2 || chain[1].Prev != chain[0].Hash || chain[0].Hash == "" {
			t.Errorf("evidence %+v (%v), want a chain of two", chain, err)
		}
		if alt := w.findings(run)["first"].Evidence[1].Alt; alt != "It is 9, abnormal" {
			t.Errorf("alt text %q", alt)
		}
		after, err := w.db.Run(t.Context(), run.ID)
		if err != nil || after.State != triage.RunFinished {
			t.Errorf("run %+v (%v)", after, err)
		}
	})
}

func TestASkippedStepSpeaksInTheParentOnly(t *testing.T) {
	each(t, fourSteps, func(w *world) {
		run := w.open()
		w.execute(run)
		if got := w.findings(run)["only-if"]; got.State() != triage.StepSkipped || !strings.Contains(got.Skipped, "steps.first.abnormal") {
			t.Errorf("finding %+v, want it skipped with its condition", got)
		}
		parent, others := w.deliveries()
		if len(others) != 3 {
			t.Errorf("%d replies, want one for each step that ran", len(others))
		}
		if parent.Steps[2].State != triage.StepSkipped || parent.Conclusion != "All 3 checks normal." {
			t.Errorf("parent %+v", parent)
		}
	})
}

func TestAFailingStepIsAnUnknownFindingAndTheRestGoOn(t *testing.T) {
	each(t, fourSteps, func(w *world) {
		w.probe.do["first"] = func(context.Context, int) (*playbook.Outcome, error) {
			return nil, &playbook.StepError{Err: errors.New("prometheus at prom.example refused the connection, password hunter2"), NextStep: "Look whether it runs."}
		}
		w.probe.do["second"] = func(context.Context, int) (*playbook.Outcome, error) { panic("oh no") }
		run := w.open()
		w.execute(run)
		want := map[string]triage.StepState{
			"first": triage.StepUnknown, "second": triage.StepUnknown, "only-if": triage.StepSkipped, "after": triage.StepUnknown,
		}
		if diff := cmp.Diff(want, w.states(run)); diff != "" {
			t.Errorf("states (-want +got):\n%s", diff)
		}
		f := w.findings(run)
		if got := f["first"]; got.Headline != "Prometheus at prom.example refused the connection, password <redacted>." || got.NextStep != "Look whether it runs." {
			t.Errorf("finding %+v", got)
		}
		if got := f["second"]; !strings.Contains(got.Headline, "A defect in triagebot: oh no") {
			t.Errorf("finding %+v", got)
		}
		if parent, _ := w.deliveries(); !strings.HasPrefix(parent.Conclusion, "No check could tell anything.") {
			t.Errorf("conclusion %q", parent.Conclusion)
		}
	})
}

func TestANumberThatJSONCannotHoldCostsNothing(t *testing.T) {
	each(t, fourSteps, func(w *world) {
		w.probe.do["second"] = func(context.Context, int) (*playbook.Outcome, error) { return value(math.Inf(1)), nil }
		run := w.open()
		w.execute(run)
		want := map[string]triage.StepState{
			"first": triage.StepNormal, "second": triage.StepNormal, "only-if": triage.StepSkipped, "after": triage.StepUnknown,
		}
		if diff := cmp.Diff(want, w.states(run)); diff != "" {
			t.Errorf("states (-want +got):\n%s", diff)
		}
	})
}

// What is missing may be what is wrong: nothing partial is normal, and a
// condition that lacks a variable because of it hides nothing of what was found.
func TestWhatIsPartialIsAbnormalOrUnknown(t *testing.T) {
	source := strings.Replace(fourSteps, "{id: after,", "{id: lacking, title: Lacking, probe: {}, expect: 'value > 0'}\n  - {id: after,", 1)
	each(t, source, func(w *world) {
		partial := func(headline string, vars map[string]any) func(context.Context, int) (*playbook.Outcome, error) {
			return func(context.Context, int) (*playbook.Outcome, error) {
				return &playbook.Outcome{
					Rows: []playbook.OutcomeRow{{Vars: vars}}, Partial: true, Headline: headline, NextStep: "Look for hunter2.",
					Details: slices.Repeat([]triage.Row{{Name: "hunter2", Value: "2 s"}}, 20),
				}, nil
			}
		}
		w.probe.do["first"] = partial("Too high already.", map[string]any{"value": 9.0})
		w.probe.do["second"] = partial("Fine so far.", map[string]any{"value": 1.0})
		w.probe.do["lacking"] = partial("Nothing was found.", nil)
		run := w.open()
		w.execute(run)
		found := w.findings(run)
		for id, want := range map[string]string{
			"first": "abnormal: Too high already.", "second": "unknown: Fine so far.", "lacking": "unknown: Nothing was found.",
		} {
			f := found[id]
			if got := fmt.Sprintf("%s: %s", f.Verdict, f.Headline); got != want {
				t.Errorf("%s is %q, not %q", id, got, want)
			}
			if f.NextStep != "Look for <redacted>." || len(f.Rows) != 10 || f.Rows[0] != (triage.Row{Name: "<redacted>", Value: "2 s"}) {
				t.Errorf("%s: %+v", id, f)
			}
		}
	})
}

func TestADefectInDrawingCostsItsPicture(t *testing.T) {
	each(t, fourSteps, func(w *world) {
		w.probe.do["first"] = func(context.Context, int) (*playbook.Outcome, error) {
			return value(9, playbook.Artifact{Name: "chart.png", MediaType: "image/png", Draw: func(context.Context, triage.Verdict) ([]byte, string, error) { panic("no axis") }}), nil
		}
		run := w.open()
		w.execute(run)
		if got := w.findings(run)["first"]; got.State() != triage.StepAbnormal || len(got.Evidence) != 0 || !strings.Contains(strings.Join(got.Debug, "\n"), "no axis") {
			t.Errorf("finding %+v", got)
		}
	})
}

func TestADefectInCommittingIsAnErrorToTryAgain(t *testing.T) {
	each(t, fourSteps, func(w *world) {
		w.probe.do["first"] = func(context.Context, int) (*playbook.Outcome, error) {
			return value(9, playbook.Artifact{Name: "panic", Data: []byte("x")}), nil
		}
		run := w.open()
		if err := w.r.Execute(t.Context(), run.ID); err == nil || !strings.Contains(err.Error(), "a defect in triagebot") {
			t.Errorf("error %v", err)
		}
	})
}

func TestSecretsDeepInVariablesAreNeitherSaidNorStored(t *testing.T) {
	source := strings.Replace(fourSteps, "probe: {}, abnormal: 'value > 5'}", "probe: {}, abnormal: 'value > 5', finding: '{{ .Value }}'}", 1)
	each(t, source, func(w *world) {
		w.probe.do["first"] = func(context.Context, int) (*playbook.Outcome, error) {
			out := value(9)
			out.Rows[0].Vars["json"] = map[string]any{"db": map[string]any{"password": "hunter2", "n": 1.5}}
			out.Rows[0].Vars["headers"] = map[string]string{"x": "hunter2"}
			return out, nil
		}
		run := w.open()
		w.execute(run)
		vars := w.findings(run)["first"].Vars
		if text := fmt.Sprint(vars); strings.Contains(text, "hunter2") || strings.Count(text, "<redacted>") != 2 || !strings.Contains(text, "1.5") {
			t.Errorf("stored %s", text)
		}
	})
}

func TestATransientFailureIsTriedAgain(t *testing.T) {
	each(t, fourSteps, func(w *world) {
		w.probe.do["first"] = func(_ context.Context, try int) (*playbook.Outcome, error) {
			if try < 3 {
				return nil, &playbook.StepError{Err: errors.New("connection reset"), Transient: true}
			}
			return value(2), nil
		}
		run := w.open()
		w.execute(run)
		if got := w.findings(run)["first"]; got.State() != triage.StepNormal || len(got.Debug) != 2 {
			t.Errorf("finding %+v, want it normal after two failed tries that its debug log shows", got)
		}
	})
}

func TestAStepThatHangsEndsWithItsTimeout(t *testing.T) {
	source := strings.Replace(fourSteps, "{id: first, title: First, probe: {}", "{id: first, title: First, timeout: 100ms, probe: {}", 1)
	each(t, source, func(w *world) {
		w.probe.do["first"] = func(ctx context.Context, _ int) (*playbook.Outcome, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		run := w.open()
		w.execute(run)
		if got := w.findings(run)["first"]; got.State() != triage.StepUnknown || !strings.HasPrefix(got.Headline, "No answer within 100ms") {
			t.Errorf("finding %+v", got)
		}
		if got := w.findings(run)["second"]; got.State() != triage.StepNormal {
			t.Errorf("second: %+v, want it untouched", got)
		}
	})
}

func TestEvidenceThatCannotBeStoredCostsOnlyItself(t *testing.T) {
	each(t, fourSteps, func(w *world) {
		w.bundles.fail = errors.New("no space left on device")
		w.probe.do["first"] = func(context.Context, int) (*playbook.Outcome, error) {
			return value(9, playbook.Artifact{Name: "result.json", Data: []byte("{}")}), nil
		}
		run := w.open()
		w.execute(run)
		if got := w.findings(run)["first"]; got.State() != triage.StepAbnormal || !strings.Contains(got.NextStep, "could not be stored") {
			t.Errorf("finding %+v, want the verdict and the loss said", got)
		}
	})
}

func TestARunGoesOnWhereItWasKilled(t *testing.T) {
	each(t, fourSteps, func(w *world) {
		ctx, kill := context.WithCancel(t.Context())
		w.probe.do["after"] = func(context.Context, int) (*playbook.Outcome, error) {
			kill() // first and second stand by now, for this refers to second
			return value(1), nil
		}
		w.probe.do["first"] = func(context.Context, int) (*playbook.Outcome, error) { return value(9), nil }
		run := w.open()
		if err := w.r.Execute(ctx, run.ID); err == nil {
			t.Fatal("the attempt that was killed says that the run is over")
		}
		delete(w.probe.do, "after")
		w.execute(run)
		w.execute(run) // a third call finds it over
		if got := w.probe.tries["second"]; got != 1 {
			t.Errorf("second ran %d times, want once", got)
		}
		if got := len(w.findings(run)); got != 4 {
			t.Errorf("%d findings, want 4", got)
		}
		_, others := w.deliveries()
		if len(others) != 4 {
			t.Errorf("%d replies, want 4", len(others))
		}
	})
}

func TestTwoAttemptsAtOnceCommitEachFindingOnce(t *testing.T) {
	each(t, fourSteps, func(w *world) {
		var both sync.WaitGroup
		both.Add(2)
		w.probe.do["first"] = func(context.Context, int) (*playbook.Outcome, error) {
			both.Done()
			both.Wait() // neither goes on before the other is here
			return value(9, playbook.Artifact{Name: "result.json", Data: []byte("{}")}), nil
		}
		run := w.open()
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				if err := w.r.Execute(t.Context(), run.ID); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if got := len(w.findings(run)); got != 4 {
			t.Errorf("%d findings, want 4", got)
		}
		if _, others := w.deliveries(); len(others) != 4 {
			t.Errorf("%d replies, want 4", len(others))
		}
		chain, err := w.db.Evidence(t.Context(), w.inc.ID)
		if err != nil || len(chain) != 1 {
			t.Errorf("evidence %+v (%v), want the one artifact once", chain, err)
		}
	})
}

func TestNormalFindingsAreFoldedWhereOnlyAbnormalOnesSpeak(t *testing.T) {
	each(t, fourSteps, func(w *world) {
		w.replies = runner.RepliesAbnormal
		w.probe.do["first"] = func(context.Context, int) (*playbook.Outcome, error) { return value(9), nil }
		run := w.open()
		w.execute(run)
		_, others := w.deliveries()
		if len(others) != 2 || others[0].Body.Finding.Finding.StepID != "first" {
			t.Fatalf("thread %+v, want the abnormal finding and a closing line", others)
		}
		want := "Normal: Second (Second says 1); Only if (It is 1); After (It is 1)."
		if got := others[1].Body.Note.Text; got != want {
			t.Errorf("closing line %q, want %q", got, want)
		}
	})
}

// missing has the runner know no playbook but the fallback, which is fallback's
// when it is given.
func (w *world) missing(fallback *playbook.Playbook) {
	w.r.Playbook = func(name string) *playbook.Playbook {
		if name == playbook.FallbackName {
			return fallback
		}
		return nil
	}
}

func TestARunWaitsForAReplicaThatHasItsPlaybook(t *testing.T) {
	each(t, fourSteps, func(w *world) {
		run := w.open()
		has := w.r.Playbook
		w.missing(has("latency")) // a replica that has not reloaded yet
		for _, age := range []time.Duration{0, 59 * time.Second} {
			w.now = func() time.Time { return start.Add(age) }
			var later *store.Later
			if err := w.r.Execute(t.Context(), run.ID); !errors.As(err, &later) || later.After <= 0 {
				t.Fatalf("%s old: %v, want it put back into the queue", age, err)
			}
		}
		if _, others := w.deliveries(); len(others) != 0 || len(w.findings(run)) != 0 {
			t.Errorf("thread %+v, want nothing said while the run waits", others)
		}
		w.r.Playbook = has
		w.execute(run)
		after, err := w.db.Run(t.Context(), run.ID)
		if err != nil || after.State != triage.RunFinished || after.Playbook != "latency" || len(w.findings(run)) != 4 {
			t.Errorf("run %+v (%v), %d findings", after, err, len(w.findings(run)))
		}
	})
}

func TestTheFallbackRunsForAPlaybookThatNobodyHas(t *testing.T) {
	each(t, fourSteps, func(w *world) {
		run := w.open()
		has := w.r.Playbook
		w.missing(has("latency"))
		w.now = func() time.Time { return start.Add(time.Minute) }
		ctx, kill := context.WithCancel(t.Context())
		w.probe.do["after"] = func(context.Context, int) (*playbook.Outcome, error) {
			kill()
			return value(1), nil
		}
		if err := w.r.Execute(ctx, run.ID); err == nil {
			t.Fatal("the attempt that was killed says that the run is over")
		}
		// Whoever goes on goes on with the fallback, and says nothing twice.
		delete(w.probe.do, "after")
		w.r.Playbook = func(name string) *playbook.Playbook {
			if name != playbook.FallbackName {
				t.Errorf("the second attempt asks for %s", name)
			}
			return has("latency")
		}
		w.execute(run)
		after, err := w.db.Run(t.Context(), run.ID)
		if err != nil || after.State != triage.RunFinished || after.Playbook != playbook.FallbackName || len(w.findings(run)) != 4 {
			t.Errorf("run %+v (%v), %d findings", after, err, len(w.findings(run)))
		}
		_, others := w.deliveries()
		if len(others) != 4 || others[0].Body.Note == nil || others[0].Body.Note.Text != "Playbook latency is no longer loaded; the fallback ran." {
			t.Errorf("thread %+v, want the reason once, then three findings", others)
		}
	})
}

func TestARunWithoutAnyPlaybookFailsAndSaysSo(t *testing.T) {
	each(t, fourSteps, func(w *world) {
		run := w.open()
		w.missing(nil)
		w.now = func() time.Time { return start.Add(time.Minute) }
		w.execute(run)
		after, err := w.db.Run(t.Context(), run.ID)
		if err != nil || after.State != triage.RunFailed {
			t.Errorf("run %+v (%v)", after, err)
		}
		_, others := w.deliveries()
		if len(others) != 1 || !strings.HasPrefix(others[0].Body.Note.Text, "Run not possible: neither the playbook nor the fallback is loaded") {
			t.Errorf("thread %+v", others)
		}
	})
}

func TestARunThatComesTooLateSaysSo(t *testing.T) {
	each(t, fourSteps, func(w *world) {
		run := w.open()
		w.now = func() time.Time { return start.Add(time.Hour) }
		w.execute(run)
		if got := w.findings(run)["first"]; got.State() != triage.StepUnknown || !strings.HasPrefix(got.Headline, "Not run") {
			t.Errorf("finding %+v", got)
		}
		if len(w.probe.order) != 0 {
			t.Errorf("%v ran all the same", w.probe.order)
		}
	})
}

func TestPublishShowsTheWholeIncident(t *testing.T) {
	each(t, fourSteps, func(w *world) {
		run := w.open()
		w.execute(run)
		if err := w.r.Publish(t.Context(), w.inc.ID); err != nil {
			t.Fatal(err)
		}
		v := w.bundles.views[0]
		if len(v.Runs) != 1 || len(v.Runs[0].Findings) != 4 || len(v.Timeline) != 5 || v.Sealed {
			t.Fatalf("%d runs, %d timeline entries, sealed %t", len(v.Runs), len(v.Timeline), v.Sealed)
		}
		var order []string
		for _, f := range v.Runs[0].Findings {
			order = append(order, f.StepID)
		}
		if diff := cmp.Diff([]string{"first", "second", "only-if", "after"}, order); diff != "" {
			t.Errorf("order of the findings (-want +got):\n%s", diff)
		}
	})
}

func TestTheHeadOfASealedBundleIsPostedOnce(t *testing.T) {
	each(t, fourSteps, func(w *world) {
		run := w.open()
		w.execute(run)
		err := w.db.Tx(t.Context(), func(tx *store.Tx) error {
			w.inc.State, w.inc.ClosedAt = triage.IncidentClosed, start
			return tx.SaveIncident(t.Context(), w.inc)
		})
		if err != nil {
			t.Fatal(err)
		}
		_, before := w.deliveries()
		for range 2 { // a job may be worked twice
			if err := w.r.Publish(t.Context(), w.inc.ID); err != nil {
				t.Fatal(err)
			}
		}
		_, after := w.deliveries()
		if len(after) != len(before)+1 {
			t.Fatalf("%d replies more, want one", len(after)-len(before))
		}
		if got := after[len(after)-1].Body.Note.Text; got != "Closed. Evidence sealed: 0 files, head head" {
			t.Errorf("note %q", got)
		}
	})
}

func TestWhatAReplacedPlaybookFoundStaysInTheParent(t *testing.T) {
	each(t, fourSteps, func(w *world) {
		run := w.open()
		ctx, kill := context.WithCancel(t.Context())
		w.probe.do["first"] = func(context.Context, int) (*playbook.Outcome, error) { return value(9), nil } // abnormal
		w.probe.do["only-if"] = func(context.Context, int) (*playbook.Outcome, error) {
			kill()
			return value(1), nil
		}
		if err := w.r.Execute(ctx, run.ID); err == nil {
			w.t.Fatal("the attempt that was killed says that the run is over")
		}
		found := w.states(run)["first"]
		if found != triage.StepAbnormal {
			w.t.Fatalf("before the kill the first step is %q; the test is blind", found)
		}
		set, err := playbook.Load([]playbook.File{{Name: "other.yaml", Data: []byte(`
name: other
title: Other
match: ['alertname="Slow"']
steps: [{id: other, title: Other, probe: {}, abnormal: 'value > 5'}]
`)}}, playbook.LoadOptions{Kinds: []playbook.Kind{w.probe}})
		if err != nil {
			t.Fatal(err)
		}
		w.missing(set.ByName("other"))
		w.now = func() time.Time { return start.Add(time.Minute) }
		w.execute(run)
		parent, _ := w.deliveries()
		if !parent.NoPlaybook || parent.Playbook != playbook.FallbackName {
			t.Errorf("the parent names the playbook %q", parent.Playbook)
		}
		steps := map[string]triage.StepState{}
		for _, s := range parent.Steps {
			steps[s.ID] = s.State
		}
		if steps["first"] != triage.StepAbnormal || steps["other"] != triage.StepNormal || !strings.Contains(parent.Conclusion, "abnormal") {
			t.Errorf("steps %v, conclusion %q", steps, parent.Conclusion)
		}
	})
}
