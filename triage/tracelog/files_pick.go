// Picking from local logs: which files and which parts of them are read.

package tracelog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"triagebot/triage/tracelog/index"
)

// Pick implements Home. It reads only what the index, or the order of the
// lines' times, does not rule out.
func (h *Files) Pick(ctx context.Context, p Pick) (*Picked, error) {
	if p.N < 1 || p.N > MaxPick {
		return nil, fmt.Errorf("pick %d ids: write a number from 1 to %d", p.N, MaxPick)
	}
	if p.At.IsZero() {
		p.At = h.Now()
	}
	picker := newPicker(p)
	picker.workers, picker.pace = h.Workers, pace(h.Rest)
	var sources []*Source
	var cannot error
	for i := range h.Sources {
		if err := picker.canPick(&h.Sources[i]); err != nil {
			cannot = errors.Join(cannot, err)
			continue
		}
		sources = append(sources, &h.Sources[i])
	}
	if len(sources) == 0 {
		return nil, cmp.Or(cannot, ErrCannotPick)
	}
	files, skipped := openFiles(sources)
	defer func() {
		for _, f := range files {
			_ = f.Close() // it was only read from
		}
	}()
	coverage := Coverage{Parts: skipped, To: p.At}
	if p.Within > 0 {
		coverage.From = p.At.Add(-p.Within)
	}
	for _, f := range files {
		coverage.Parts = append(coverage.Parts, h.pickFrom(ctx, picker, f, coverage.From))
	}
	coverage.Complete = !slices.ContainsFunc(coverage.Parts, func(part Part) bool { return !part.Complete })
	return &Picked{Candidates: picker.picked(), Coverage: coverage}, ctx.Err()
}

func (h *Files) pickFrom(ctx context.Context, p *picker, f *logFile, from time.Time) Part {
	part := Part{Source: f.source.Name, Name: f.path, Size: f.size, How: HowScan}
	var tally pickTally
	var err error
	switch {
	case f.lastWrittenBefore(from, &part):
		return part
	case f.packed != unpacked:
		tally, err = pickPacked(ctx, p, f)
		tally.Bytes = f.size
	default:
		in := pickInput{Source: f.source, File: f.path, At: f, Size: f.size}
		var skipped int
		in.Ranges, skipped, part.How, part.Note = h.pickRanges(ctx, p.pick, f, from)
		tally, err = p.file(ctx, in)
		tally.TooLong += skipped
	}
	part.Bytes, part.Torn, part.TooLong = tally.Bytes, tally.Torn, tally.TooLong
	switch {
	case err != nil:
		part.Note = reason(err)
	case tally.Short:
		part.Note = errShrank.Error()
	default:
		part.Complete = true
	}
	part.lackLong()
	return part
}

func pickPacked(ctx context.Context, p *picker, f *logFile) (pickTally, error) {
	r, _, err := unpack(f)
	if err != nil {
		return pickTally{}, fmt.Errorf("it cannot be decompressed: %w", err)
	}
	defer r.Close() //nolint:errcheck // it was only read from
	return p.file(ctx, pickInput{Source: f.source, File: f.path, Stream: r})
}

// pickRanges are the parts of a file that may have what is picked, the most
// promising first; nil means all of it. skipped are the lines over the source's
// cap that the index has counted.
func (h *Files) pickRanges(ctx context.Context, p Pick, f *logFile, from time.Time) (ranges []pickRange, skipped int, how How, note string) {
	if h.Index != nil && f.size > 0 {
		var ok bool
		if ranges, skipped, ok, note = h.indexedRanges(ctx, p, f, from); ok {
			return ranges, skipped, HowIndex, note
		}
	}
	if ranges, ok := windowRange(p, f, from); ok {
		return ranges, 0, HowWindow, note
	}
	return nil, 0, HowScan, note
}

// windowRange is the part of a file that has the window. Without one lines that
// have no time count too, and those may be anywhere.
func windowRange(p Pick, f *logFile, from time.Time) ([]pickRange, bool) {
	if f.source.Roles.Time == "" || from.IsZero() {
		return nil, false
	}
	lo, hi, ok := windowOf(f, f.size, from, p.At, f.source)
	return []pickRange{{Off: lo, Len: hi - lo}}, ok
}

// indexedRanges asks the index for blocks that may have what is picked. It
// returns false when it knows nothing of the file.
func (h *Files) indexedRanges(ctx context.Context, p Pick, f *logFile, from time.Time) (ranges []pickRange, skipped int, ok bool, note string) {
	summary, err := h.Index.Blocks(ctx, f.File, f.source.spec(), f.size, func(b *index.Block) bool { return mayHave(b, p, from) })
	if err != nil {
		return nil, 0, false, fmt.Sprintf("the index could not be read (%v)", err)
	}
	if summary.Damaged > 0 {
		note = unusable(&summary.Rest)
	}
	unit := float64(f.source.Roles.DurationUnit())
	ranges = []pickRange{}
	for _, r := range summary.Scan {
		if r.From == 0 && r.To == f.size {
			return nil, 0, false, note
		}
		ranges = append(ranges, pickRange{Off: r.From, Len: r.To - r.From})
	}
	for _, b := range summary.Blocks {
		r := pickRange{Off: b.From, Len: b.To - b.From, Counted: true}
		if !b.Unsure {
			r.Latest = b.Last
			if slowest := math.Ceil(b.Longest * unit); slowest > 0 && slowest < math.MaxInt64 {
				r.Slowest = time.Duration(slowest)
			}
		}
		ranges = append(ranges, r)
	}
	slices.SortStableFunc(ranges, func(a, b pickRange) int {
		if p.By == PickSlowest {
			return cmp.Or(cmp.Compare(b.Slowest, a.Slowest), b.Latest.Compare(a.Latest))
		}
		return b.Latest.Compare(a.Latest)
	})
	return ranges, summary.TooLong, true, note
}

// mayHave says whether a block can have a line that is picked. Without a window
// the block's times say nothing: lines that have none count too.
func mayHave(b *index.Block, p Pick, from time.Time) bool {
	if b.Unsure {
		return true
	}
	if p.Within > 0 && (b.First.IsZero() || b.Last.Before(from) || b.First.After(p.At)) {
		return false
	}
	switch p.By {
	case PickSlowest:
		return !math.IsInf(b.Longest, -1)
	case PickFailing:
		return b.Failing
	default:
		return b.ToolCall
	}
}
