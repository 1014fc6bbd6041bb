// What a toolblocks step comes to: what is wrong with which request, in the
// order in which its chunks came.

package step

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"triagebot/triage"
	"triagebot/triage/playbook"
	"triagebot/triage/tracelog"
)

const (
	maxShownChunks = 12 // pieces of a sequence in a sentence
	maxShownFaults = 6
	maxShownText   = 80 // runes of a chunk's text in the evidence
)

// toolTally counts what tool calls are judged by.
type toolTally struct {
	requests, blocks, twice, unclosed, truncated, aborted, duplicated int
	missing                                                           int64
	bad                                                               int
	worst                                                             string
}

// vars are the tally as variables; whole says that everything was searched.
func (t *toolTally) vars(whole bool) map[string]any {
	vars := map[string]any{
		"requests": int64(t.requests), "blocks": int64(t.blocks), "opened_twice": int64(t.twice),
		"aborted": int64(t.aborted), "duplicated": int64(t.duplicated), "bad": int64(t.bad), "sequence": t.worst,
	}
	if whole {
		vars["unclosed"], vars["truncated"], vars["missing"] = int64(t.unclosed), int64(t.truncated), t.missing
	}
	return vars
}

// toolCall is one request and what is wrong with its streams.
type toolCall struct {
	*lookup
	streams []tracelog.ToolStream
	tally   toolTally // of this one
	faults  []string  // in words
	chunks  int
}

// newToolCall judges a request's streams. What was not seen is held against a
// request only where everything was searched.
func newToolCall(l *lookup) *toolCall {
	c := &toolCall{lookup: l, streams: l.ToolStreams()}
	for i := range c.streams {
		c.judge(&c.streams[i])
	}
	return c
}

func (c *toolCall) fault(format string, args ...any) {
	c.faults = append(c.faults, fmt.Sprintf(format, args...))
}

func (c *toolCall) judge(s *tracelog.ToolStream) {
	c.chunks += s.Chunks
	c.tally.duplicated += s.Duplicates + len(s.Repeats)
	for _, r := range s.Duplicated {
		if r.From < r.To {
			c.fault("%s came again", chunksText(r))
			continue
		}
		c.fault("chunk %d came %s", r.From, times(countOf(s, r.From)))
	}
	for _, n := range s.Repeats {
		c.fault("chunk %d has the text of the one before it", n)
	}
	whole := !c.facts.Partial
	if whole {
		c.tally.missing += s.Misses
		for _, r := range s.Missing {
			c.fault("%s never", chunksText(r))
		}
	}
	for i := range s.Blocks {
		b := &s.Blocks[i]
		if s.Resent && !b.IsClosed() {
			continue // dropped with its turn, which was sent again
		}
		c.tally.blocks++
		c.judgeBlock(s, b, whole)
	}
}

func (c *toolCall) judgeBlock(s *tracelog.ToolStream, b *tracelog.ToolBlock, whole bool) {
	name := "block"
	if b.Opened != tracelog.NoSeq {
		name = fmt.Sprintf("block opened at chunk %d", b.Opened)
	}
	if b.Twice {
		c.tally.twice++
		c.fault("%s was opened again before it was closed", name)
	}
	switch {
	case b.Aborted:
		c.tally.aborted++
		why := ""
		if b.Error != "" {
			why = " (" + tracelog.Harmless(b.Error) + ")"
		}
		c.fault("%s was aborted%s", name, why)
	case !whole:
	case b.Closed == tracelog.NoSeq && b.Opened != tracelog.NoSeq:
		c.tally.unclosed++
		c.fault("%s was never closed", name)
	case b.Opened == tracelog.NoSeq:
		c.fault("block closed at chunk %d was never opened", max(b.Closed, 0))
	}
	// A buffer that was given up because of a chunk that came twice has lost
	// nothing.
	lost := b.Torn || b.Opened == tracelog.NoSeq && b.Closed != tracelog.NoSeq ||
		b.Aborted && b.Closed == tracelog.NoSeq && s.Duplicates == 0 && len(s.Repeats) == 0
	if whole && lost {
		c.tally.truncated++
	}
}

func countOf(s *tracelog.ToolStream, seq int64) int {
	n := 0
	for _, step := range s.Steps {
		if step.Chunk && step.Seq == seq {
			n++
		}
	}
	return n
}

func times(n int) string {
	if n == 2 {
		return "twice"
	}
	return strconv.Itoa(n) + " times"
}

func chunksText(r tracelog.Range) string {
	if r.From == r.To {
		return fmt.Sprintf("chunk %d", r.From)
	}
	return fmt.Sprintf("chunks %d–%d", r.From, r.To)
}

// said is the request's sequence and what is wrong with it:
// req_9f: chunks 1, 2, 2, 4: chunk 2 came twice, chunk 3 never.
func (c *toolCall) said() string {
	sequences := make([]string, 0, len(c.streams))
	for i := range c.streams {
		if s := &c.streams[i]; s.Chunks > 0 {
			sequences = append(sequences, "chunks "+sequence(s))
		}
	}
	if len(sequences) == 0 {
		sequences = []string{"no chunks on record"}
	}
	faults := c.faults
	if n := len(faults) - maxShownFaults; n > 0 {
		faults = append(slices.Clone(faults[:maxShownFaults]), fmt.Sprintf("and %d more", n))
	}
	return fmt.Sprintf("%s: %s: %s", tracelog.Harmless(c.ID), strings.Join(firsts(sequences, maxOfAKind), ", then again "), strings.Join(faults, ", "))
}

// sequence is the order in which chunks came. Three and more in a row are
// written 1–9; of a long one the part around what is wrong is kept.
func sequence(s *tracelog.ToolStream) string {
	var pieces []string
	wrong := -1 // the first piece after which it does not go on by one
	var seqs []int64
	for _, step := range s.Steps {
		if step.Chunk {
			seqs = append(seqs, step.Seq)
		}
	}
	for i := 0; i < len(seqs); {
		end := i + 1
		for end < len(seqs) && seqs[end] == seqs[end-1]+1 {
			end++
		}
		switch end - i {
		case 1:
			pieces = append(pieces, strconv.FormatInt(seqs[i], 10))
		case 2:
			pieces = append(pieces, strconv.FormatInt(seqs[i], 10), strconv.FormatInt(seqs[end-1], 10))
		default:
			pieces = append(pieces, fmt.Sprintf("%d–%d", seqs[i], seqs[end-1]))
		}
		if wrong < 0 && end < len(seqs) {
			wrong = len(pieces) - 1
		}
		i = end
	}
	if len(pieces) > maxShownChunks {
		from := min(max(wrong-maxShownChunks/2, 0), len(pieces)-maxShownChunks)
		to := from + maxShownChunks
		before, after := from > 0, to < len(pieces)
		pieces = pieces[from:to]
		if before {
			pieces = append([]string{"…"}, pieces...)
		}
		if after {
			pieces = append(pieces, "…")
		}
	}
	return strings.Join(pieces, ", ")
}

func (a *toolblocksAction) outcome(env *playbook.Env, chosen []choice, all []*toolCall, errs []error) (*playbook.Outcome, error) {
	var sum toolTally
	calls := slices.DeleteFunc(slices.Clone(all), func(c *toolCall) bool { return c == nil })
	if len(calls) == 0 {
		err := errors.Join(errs...)
		return nil, &playbook.StepError{
			Err:      &wordedError{"nothing could be searched: " + oneLine(errs[0]), err},
			NextStep: "Check that the logs and backends of the configuration's traces section are there and can be reached.",
		}
	}
	chunks, texts := 0, false
	var incomplete *toolCall
	for _, c := range calls {
		if c.facts.Records > 0 {
			sum.requests++
		}
		if c.facts.Partial && incomplete == nil {
			incomplete = c
		}
		sum.add(c)
		chunks += c.chunks
		texts = texts || slices.ContainsFunc(c.streams, func(s tracelog.ToolStream) bool { return s.Text })
	}
	if !texts {
		env.Debugf("no source has a field for the text of chunks: blocks are known by the events of their buffer, chunks by their numbers")
	}
	bad := slices.DeleteFunc(slices.Clone(calls), func(c *toolCall) bool { return len(c.faults) == 0 })
	// The one with the most faults tells the most; the first of equals is the
	// likeliest to be about the alert.
	slices.SortStableFunc(bad, func(x, y *toolCall) int { return cmp.Compare(len(y.faults), len(x.faults)) })
	sum.bad = len(bad)
	if len(bad) > 0 {
		sum.worst = safeText(bad[0].said())
	}
	failed := slices.DeleteFunc(slices.Clone(errs), func(err error) bool { return err == nil })
	whole := incomplete == nil && len(failed) == 0
	out := &playbook.Outcome{
		Rows:     []playbook.OutcomeRow{{Vars: sum.vars(whole)}},
		Partial:  !whole || chunks == 0 && sum.blocks == 0,
		Headline: sum.headline(chosen, chunks),
	}
	for _, c := range bad {
		out.Details = append(out.Details, triage.Row{Name: tracelog.Harmless(c.ID), Value: strings.Join(firsts(c.faults, maxShownFaults), ", "), Abnormal: true})
	}
	switch {
	case len(failed) > 0:
		out.Headline += fmt.Sprintf(" Not complete: %s of the %d requests could not be looked up: %s.", strconv.Itoa(len(failed)), len(chosen), oneLine(failed[0]))
		out.NextStep = "Check that the logs and backends of the configuration's traces section are there and can be reached."
	case incomplete != nil:
		missing, next := incomplete.missing()
		out.Headline += fmt.Sprintf(" Not complete: %s.", missing)
		out.NextStep = next
	case out.Partial:
		out.NextStep = "Check that the request is a tool call, and that the log of its messages is in traces.logs with its fields event and seq."
	}
	var err error
	out.Artifacts, err = toolArtifacts(env, calls)
	return out, err
}

func (t *toolTally) add(c *toolCall) {
	t.blocks += c.tally.blocks
	t.twice += c.tally.twice
	t.unclosed += c.tally.unclosed
	t.truncated += c.tally.truncated
	t.aborted += c.tally.aborted
	t.duplicated += c.tally.duplicated
	t.missing += c.tally.missing
}

func (t *toolTally) headline(chosen []choice, chunks int) string {
	how := chosen[0].how
	if len(chosen) > 1 {
		how += fmt.Sprintf(", and %d more", len(chosen)-1)
	}
	switch {
	case t.requests == 0:
		return fmt.Sprintf("Nothing was found of %s (%s).", tracelog.Harmless(chosen[0].id), how)
	case t.bad > 1:
		return fmt.Sprintf("%s; %d of %d requests are not as they should be (%s).", t.worst, t.bad, t.requests, how)
	case t.bad == 1:
		return fmt.Sprintf("%s (%s).", t.worst, how)
	case chunks == 0 && t.blocks == 0:
		return fmt.Sprintf("The logs have neither chunks nor tool-call blocks of %s (%s).", tracelog.Harmless(chosen[0].id), how)
	}
	if t.blocks == 0 {
		return fmt.Sprintf("No tool-call block in %s, none duplicated or missing (%s).", counted(chunks, "chunk"), how)
	}
	return fmt.Sprintf("%s opened and closed once, %s, none duplicated or missing (%s).", counted(t.blocks, "block"), counted(chunks, "chunk"), how)
}

// toolArtifacts are the sequences for people and the records for programs.
func toolArtifacts(env *playbook.Env, calls []*toolCall) ([]playbook.Artifact, error) {
	name, source := stem(env, "toolblocks"), "Lookup in "+calls[0].sources()
	records := 0
	for _, c := range calls {
		records += len(c.Records)
	}
	text, err := textArtifact(name+".txt", "Tool calls, chunk by chunk", source, func(w io.Writer) error {
		for _, c := range calls {
			if _, err := w.Write(c.report()); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil || records == 0 {
		return []playbook.Artifact{text}, err
	}
	lines, err := linesArtifact(name+".ndjson", "Tool calls as NDJSON", source, 0, records, func(w io.Writer) error {
		for _, c := range calls {
			if err := c.WriteNDJSON(w); err != nil {
				return err
			}
		}
		return nil
	})
	return []playbook.Artifact{text, lines}, err
}

// report is the request's sequence, a line for each chunk and event.
func (c *toolCall) report() []byte {
	var b bytes.Buffer
	if len(c.faults) > 0 {
		fmt.Fprintf(&b, "%s\n", c.said())
	} else {
		fmt.Fprintf(&b, "%s: %s, nothing wrong\n", tracelog.Harmless(c.ID), counted(c.chunks, "chunk"))
	}
	for i := range c.streams {
		s := &c.streams[i]
		again := ""
		if i > 0 {
			again = ", sent again"
		}
		fmt.Fprintf(&b, "  %s%s\n", tracelog.Harmless(s.Source), again)
		seen := map[int64]bool{}
		for _, step := range s.Steps {
			writeStep(&b, &step, seen)
		}
	}
	for _, sentence := range c.CoverageSentences() {
		fmt.Fprintf(&b, "  %s\n", sentence)
	}
	b.WriteByte('\n')
	return b.Bytes()
}

func writeStep(b *bytes.Buffer, step *tracelog.StreamStep, seen map[int64]bool) {
	mark, what := " ", tracelog.Harmless(step.Event)
	if step.Chunk {
		what = fmt.Sprintf("chunk %d", step.Seq)
		if seen[step.Seq] {
			mark, what = "!", what+", again"
		}
		seen[step.Seq] = true
	}
	if step.Error != "" {
		mark, what = "!", what+": "+tracelog.Harmless(step.Error)
	}
	if step.Text != "" {
		what += "  " + strconv.Quote(cut(step.Text, maxShownText))
	}
	at := "no time"
	if !step.Time.IsZero() {
		at = stamp(step.Time)
	}
	fmt.Fprintf(b, "  %s %s  %s\n", mark, at, what)
}
