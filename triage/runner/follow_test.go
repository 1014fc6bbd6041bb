package runner_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"triagebot/triage"
	"triagebot/triage/playbook"
)

// following is an outcome with a picture that follows its finding.
func following(draw func(context.Context, triage.Verdict) ([]byte, string, error)) *playbook.Outcome {
	return value(9,
		playbook.Artifact{Name: "values.json", MediaType: "application/json", Data: []byte("{}")},
		playbook.Artifact{Name: "panel.png", Title: "Panel", MediaType: "image/png", Follows: true, Draw: draw})
}

func drawn(context.Context, triage.Verdict) ([]byte, string, error) {
	return []byte("png"), "It is 9", nil
}

// thread is what the step first put into the thread, by kind.
func (w *world) thread() (replies, files, notes []triage.Delivery) {
	_, others := w.deliveries()
	for _, d := range others {
		switch {
		case d.Body.File != nil:
			files = append(files, d)
		case d.Body.Note != nil:
			notes = append(notes, d)
		case d.Body.Finding != nil && d.Body.Finding.Finding.StepID == "first":
			replies = append(replies, d)
		}
	}
	return replies, files, notes
}

func TestThePictureFollowsThePostedText(t *testing.T) {
	each(t, fourSteps, func(w *world) {
		run := w.open()
		w.probe.do["first"] = func(context.Context, int) (*playbook.Outcome, error) {
			return following(func(ctx context.Context, v triage.Verdict) ([]byte, string, error) {
				replies, files, _ := w.thread()
				f := w.findings(run)["first"]
				if len(replies) != 1 || len(files) != 0 || len(f.Evidence) != 1 || len(f.Following) != 1 || v != triage.VerdictAbnormal {
					t.Errorf("while it is drawn: %d replies, %d files, %+v", len(replies), len(files), f)
				}
				return drawn(ctx, v)
			}), nil
		}
		w.execute(run)
		replies, files, notes := w.thread()
		if len(replies) != 1 || len(files) != 1 || len(notes) != 0 || files[0].Body.File.Artifact.Alt != "It is 9" {
			t.Errorf("%d replies, %d notes, files %+v", len(replies), len(notes), files)
		}
		if f := w.findings(run)["first"]; len(f.Following) != 0 || len(f.Evidence) != 2 || f.Evidence[1].Title != "Panel" {
			t.Errorf("%+v", f)
		}
		chain, err := w.db.Evidence(t.Context(), w.inc.ID)
		if err != nil || len(chain) != 2 || chain[1].Prev != chain[0].Hash {
			t.Errorf("evidence %+v (%v)", chain, err)
		}
	})
}

func TestAStepThatRefersToAnotherDoesNotWaitForItsPicture(t *testing.T) {
	each(t, fourSteps, func(w *world) {
		ran := make(chan struct{})
		w.probe.do["second"] = func(context.Context, int) (*playbook.Outcome, error) {
			return following(func(ctx context.Context, v triage.Verdict) ([]byte, string, error) {
				<-ran
				return drawn(ctx, v)
			}), nil
		}
		w.probe.do["after"] = func(context.Context, int) (*playbook.Outcome, error) { // refers to second
			close(ran)
			return value(1), nil
		}
		w.execute(w.open())
	})
}

func TestAFailedPictureIsALine(t *testing.T) {
	for name, draw := range map[string]func(context.Context, triage.Verdict) ([]byte, string, error){
		"an error": func(context.Context, triage.Verdict) ([]byte, string, error) {
			return nil, "", errors.New("no renderer, token hunter2")
		},
		"a defect": func(context.Context, triage.Verdict) ([]byte, string, error) { panic("no renderer, token hunter2") },
	} {
		t.Run(name, func(t *testing.T) {
			each(t, fourSteps, func(w *world) {
				w.probe.do["first"] = func(context.Context, int) (*playbook.Outcome, error) { return following(draw), nil }
				run := w.open()
				w.execute(run)
				f := w.findings(run)["first"]
				_, files, notes := w.thread()
				if f.State() != triage.StepAbnormal || len(f.Following) != 0 || len(f.Evidence) != 1 || len(files) != 0 || len(notes) != 1 {
					t.Fatalf("%+v, %d files, %d notes", f, len(files), len(notes))
				}
				if got := notes[0].Body.Note.Text; !strings.HasPrefix(got, "First: picture failed: ") || !strings.Contains(got, "no renderer, token <redacted>") {
					t.Errorf("%s", got)
				}
				if after, err := w.db.Run(t.Context(), run.ID); err != nil || after.State != triage.RunFinished {
					t.Errorf("%+v, %v", after, err)
				}
			})
		})
	}
}

func TestARunThatIsKilledWhileItDrawsMakesUpForThePicture(t *testing.T) {
	for name, second := range map[string]func() (*playbook.Outcome, error){
		"with what it shows": func() (*playbook.Outcome, error) { return following(drawn), nil },
		"without": func() (*playbook.Outcome, error) {
			return nil, errors.New("Prometheus is down")
		},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, fourSteps, func(w *world) {
				ctx, kill := context.WithCancel(t.Context())
				w.probe.do["first"] = func(_ context.Context, try int) (*playbook.Outcome, error) {
					if try > 1 {
						return second()
					}
					return following(func(ctx context.Context, _ triage.Verdict) ([]byte, string, error) {
						kill()
						return nil, "", ctx.Err()
					}), nil
				}
				run := w.open()
				if err := w.r.Execute(ctx, run.ID); err == nil {
					t.Fatal("the attempt that was killed says that the run is over")
				}
				w.execute(run)
				f := w.findings(run)["first"]
				replies, files, notes := w.thread()
				if f.State() != triage.StepAbnormal || len(f.Following) != 0 || len(replies) != 1 || len(files)+len(notes) != 1 {
					t.Fatalf("%+v: %d replies, %d files, %d notes", f, len(replies), len(files), len(notes))
				}
				if len(notes) == 1 && notes[0].Body.Note.Text != "First: picture failed: Prometheus is down." {
					t.Errorf("%s", notes[0].Body.Note.Text)
				}
			})
		})
	}
}

func TestTwoAttemptsAtOnceShowAPictureOnce(t *testing.T) {
	each(t, fourSteps, func(w *world) {
		var both sync.WaitGroup
		both.Add(2)
		w.probe.do["first"] = func(context.Context, int) (*playbook.Outcome, error) {
			both.Done()
			both.Wait()
			return following(drawn), nil
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
		replies, files, _ := w.thread()
		if len(replies) != 1 || len(files) != 1 {
			t.Errorf("%d replies, %d files", len(replies), len(files))
		}
		if f := w.findings(run)["first"]; len(f.Following) != 0 || len(f.Evidence) != 2 {
			t.Errorf("%+v", f)
		}
	})
}

func TestAPictureForASealedBundleIsALine(t *testing.T) {
	each(t, fourSteps, func(w *world) {
		w.probe.do["first"] = func(context.Context, int) (*playbook.Outcome, error) {
			return following(func(ctx context.Context, v triage.Verdict) ([]byte, string, error) {
				w.setState(triage.IncidentClosed)
				return drawn(ctx, v)
			}), nil
		}
		run := w.open()
		w.execute(run)
		_, files, notes := w.thread()
		if len(files) != 0 || len(notes) == 0 || !strings.Contains(notes[0].Body.Note.Text, "picture not kept: the incident was closed") {
			t.Errorf("%d files, notes %+v", len(files), notes)
		}
	})
}
