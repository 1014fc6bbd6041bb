// Summaries of a log's stretches, to find the lines worth a look without
// reading the others.

package index

import (
	"context"
	"math"
	"os"
	"time"
)

// Block summarises the lines that begin in a stretch of about 64 KiB of a log.
// All values of a field count that a line has anywhere, nested or twice, so
// that a block promises too much at times and never too little. Lines over
// Spec.MaxLine do not count.
type Block struct {
	Range
	// First and Last are the earliest and the latest time; both are zero when no
	// line has one that can be read.
	First, Last time.Time
	// Longest is the largest duration, as the number that stands in the log;
	// negative infinity when there is none.
	Longest  float64
	Failing  bool // some line has a status of 500 and more or an error
	ToolCall bool // some line is a tool call
	// Unsure says that a line has a time or duration that could not be taken
	// into account. Its lines are to be read whatever else the block says.
	Unsure bool
}

// Summary are the blocks of a log.
type Summary struct {
	Blocks []Block // in ascending order
	Rest
}

// Blocks gives those blocks in the first size bytes of a log that keep returns
// true for.
func (x *Index) Blocks(ctx context.Context, log *os.File, spec Spec, size int64, keep func(*Block) bool) (*Summary, error) {
	if _, err := spec.names(); err != nil {
		return nil, err
	}
	l, err := x.of(log, &spec)
	if err != nil {
		return nil, err
	}
	summary := &Summary{}
	var blocks []block
	summary.Rest, err = l.ask(ctx, log, size, func(s *segment) (scan bool, err error) {
		blocks, err = s.readBlocks(blocks[:0])
		if err != nil {
			return true, err
		}
		for i := range blocks {
			b := blocks[i].public()
			if b.From < size && keep(&b) {
				b.To = min(b.To, size)
				summary.Blocks = append(summary.Blocks, b)
			}
		}
		return false, nil
	})
	if err != nil {
		return nil, err
	}
	if summary.Rewritten {
		summary.Blocks = nil
	}
	return summary, nil
}

func (b *block) public() Block {
	p := Block{
		Range:    Range{b.offset, b.offset + b.length},
		Longest:  b.longest,
		Failing:  b.flags&flagFailing != 0,
		ToolCall: b.flags&flagToolCall != 0,
		Unsure:   b.flags&flagUnsure != 0 || math.IsNaN(b.longest),
	}
	if b.first <= b.last {
		p.First, p.Last = time.Unix(0, b.first).UTC(), time.Unix(0, b.last).UTC()
	}
	return p
}
