// A run's last word: what its findings say together.

package runner

import (
	"context"
	"fmt"

	"triagebot/triage"
	"triagebot/triage/incident"
	"triagebot/triage/store"
)

// conclude keeps the run's conclusion and puts it into the thread, after all
// that it rests on.
func (x *execution) conclude(ctx context.Context, tx *store.Tx) error {
	data := x.data()
	var err error
	if data.Inputs, err = x.pb.Inputs(data); err != nil {
		data.Inputs = map[string]string{} // the steps have said so
	}
	c := x.pb.Conclude(data)
	x.redactConclusion(&c)
	if err := tx.Conclude(ctx, x.run.ID, &c); err != nil {
		return err
	}
	entry := triage.TimelineEntry{IncidentID: x.run.IncidentID, At: x.Now(), Kind: "concluded", Actor: "triagebot", Text: c.Sentence()}
	if err := tx.AppendTimeline(ctx, entry); err != nil {
		return err
	}
	post := triage.Post{Conclusion: &triage.ConclusionPost{IncidentID: x.run.IncidentID, RunID: x.run.ID, Conclusion: c}}
	return incident.OweReplies(ctx, tx, x.run.IncidentID, fmt.Sprintf("run/%d/conclusion", x.run.ID), post, triage.PriorityFinding)
}

// redactConclusion masks secrets: the playbook's templates may quote labels.
func (x *execution) redactConclusion(c *triage.Conclusion) {
	c.Says, c.Next = x.Redact.Text(c.Says), x.Redact.Text(c.Next)
	for _, texts := range [][]string{c.For, c.Against, c.Rivals, c.Open} {
		for i := range texts {
			texts[i] = x.Redact.Text(texts[i])
		}
	}
}
