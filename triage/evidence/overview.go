package evidence

// README.md above all bundles: which incidents there are, and what each bundle
// has of the minimum set. It is made from the database and belongs to no bundle.

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"triagebot/triage"
)

// MaxIndexed is how many incidents the index lists.
const MaxIndexed = 200

// indexNames are what the index of all bundles is called: the second where
// somebody else's file has the first name.
var indexNames = [...]string{"README.md", "incidents.md"}

// indexMark begins an index, by which it is known for one that may be
// overwritten.
const indexMark = "<!-- triagebot writes this file anew whenever a bundle changes -->\n"

// ErrForeignIndex says that the index has no name left.
var ErrForeignIndex = errors.New("README.md and incidents.md in the evidence store are somebody else's; move one of them away")

// Index is what the index of all bundles is made from.
type Index struct {
	Bundles []triage.BundleSummary // the latest, the newest first
	Total   int                    // bundles that the database knows
}

// Summary is the bundle's line in the index of all bundles.
func (v View) Summary() triage.BundleSummary {
	sum := triage.BundleSummary{
		IncidentID: v.Incident.ID, Alertname: v.Incident.Alertname, State: v.Incident.State,
		FiredAt: normalTime(v.Incident.StartedAt), Playbook: v.Incident.Playbook,
		Conclusion: "no run has finished", Minimum: minimumOf(v).summary(),
	}
	if !v.Incident.ResolvedAt.IsZero() {
		sum.ClearedAt = normalTime(v.Incident.ResolvedAt)
	}
	for _, run := range v.Runs { // the latest that is over has the last word
		if run.Run.State == triage.RunFinished || run.Run.State == triage.RunFailed {
			sum.Playbook, sum.Conclusion = run.Run.Playbook, lastWord(run)
		}
	}
	return sum
}

// maxConclusion bounds a conclusion in the index, in bytes.
const maxConclusion = 200

// lastWord is a run's conclusion in one sentence.
func lastWord(run RunView) string {
	switch c := run.Run.Conclusion; {
	case run.Run.Error != "":
		return firstSentence("could not be executed: " + run.Run.Error)
	case c != nil:
		return firstSentence(c.Headline())
	}
	count := map[triage.StepState]int{}
	for _, f := range run.Findings {
		count[f.State()]++
	}
	return fmt.Sprintf("no conclusion: %d abnormal, %d unknown, %d normal", count[triage.StepAbnormal], count[triage.StepUnknown], count[triage.StepNormal])
}

// firstSentence is text up to the end of its first sentence, bounded.
func firstSentence(text string) string {
	text, _, _ = strings.Cut(strings.TrimSpace(text), ". ")
	if len(text) > maxConclusion {
		return strings.ToValidUTF8(text[:maxConclusion], "") + "…"
	}
	return strings.TrimSuffix(text, ".")
}

// PublishIndex writes the index of all bundles. holds is asked before, as by
// Publish. The error is ErrForeignIndex where it may overwrite neither name.
func (s *Store) PublishIndex(ctx context.Context, x Index, holds func(context.Context) error) error {
	name, err := s.indexName(ctx)
	if err != nil {
		return fmt.Errorf("publish the index of all bundles: %w", err)
	}
	if holds != nil {
		if err := holds(ctx); err != nil {
			return fmt.Errorf("publish %s: %w", name, err)
		}
	}
	if err := s.write(ctx, name, mediaTypeOf(name), s.index(x)); err != nil {
		return fmt.Errorf("publish %s: %w", name, err)
	}
	return nil
}

// indexName is the first name that is free or an index's.
func (s *Store) indexName(ctx context.Context) (string, error) {
	for _, name := range indexNames {
		r, err := s.bucket.NewReader(ctx, name, nil)
		if isNotFound(err) {
			return name, nil
		}
		if err != nil {
			return "", fmt.Errorf("look at %s: %w", name, err)
		}
		begin, err := io.ReadAll(io.LimitReader(r, int64(len(indexMark))))
		if err := errors.Join(err, r.Close()); err != nil {
			return "", fmt.Errorf("look at %s: %w", name, err)
		}
		if bytes.Equal(begin, []byte(indexMark)) {
			return name, nil
		}
	}
	return "", ErrForeignIndex
}

// index renders the index.
func (s *Store) index(x Index) []byte {
	r := &reportWriter{store: s}
	r.printf("%s# Evidence of incidents\n\n", indexMark)
	if len(x.Bundles) == 0 {
		r.printf("No incident has a bundle yet.\n")
		return []byte(r.String())
	}
	r.printf("| incident | alert | fired | cleared | playbook | conclusion | panels | trace | /readyz | /metrics |\n")
	r.printf("|---|---|---|---|---|---|---|---|---|---|\n")
	for _, b := range x.Bundles {
		r.printf("| [%06d](%s/%s) | %s | %s | %s | %s | %s | %s | %s | %s | %s |\n",
			b.IncidentID, Folder(b.IncidentID), ReportName, r.text(b.Alertname),
			clock(b.FiredAt), cleared(b.ClearedAt, b.State == triage.IncidentFiring), r.text(b.Playbook), r.text(b.Conclusion),
			count(b.Minimum.Panels), mark(b.Minimum.Trace), mark(b.Minimum.Readyz), mark(b.Minimum.Metrics))
	}
	r.printf("\n✓ is in the bundle, – is not: its report says why. Times are as of the bundle's last change.\n")
	oldest := x.Bundles[len(x.Bundles)-1].IncidentID
	if more := x.Total - len(x.Bundles); more > 0 {
		r.printf("\n%d earlier incidents are not listed.\n", more)
	}
	if oldest > 1 {
		r.printf("\nThe bundles of incidents before %06d, where they were kept, stand in folders of the same form beside this file.\n", oldest)
	}
	r.printf("\n`triagebot evidence verify` on this folder proves every bundle whole.\n")
	return []byte(r.String())
}

// mark is whether there is such a part.
func mark(has bool) string {
	if has {
		return "✓"
	}
	return "–"
}

// count is how many there are.
func count(n int) string {
	if n == 0 {
		return mark(false)
	}
	return strconv.Itoa(n)
}
