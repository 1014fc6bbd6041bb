// Making a segment of a stretch of a log, and one of several.

package index

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"triagebot/triage/tracelog/bytescan"
)

const (
	// blockLen is how much of a log one block summarises, in bytes.
	blockLen = 64 << 10
	// bufferLen is read at once: what fits in a core's cache.
	bufferLen = 256 << 10
	// MaxSegment is the most of a log that one index file covers, in bytes,
	// but for a line that begins in it and is longer.
	MaxSegment = maxSpan * granule
)

// builder makes segments, one after the other, in memory that they share.
type builder struct {
	extractor  *extractor
	maxSegment int64
	buffer     []byte

	// Of the segment in the making:
	from, to       int64
	entries, spare []entry
	blocks         []block
	tooLong        uint32 // lines
	tail           []byte // the bytes before to, as they were read
	full           bool
}

// build reads a log from a line's start to the last line that ends before
// limit, or until the segment is full. It returns nil when no line ends there.
// The header lacks what is known of the log's begin.
func (b *builder) build(ctx context.Context, log io.ReaderAt, from, limit int64) (*header, error) {
	b.from, b.to, b.full, b.tooLong = from, from, false, 0
	b.entries, b.tail = b.entries[:0], b.tail[:0]
	b.blocks = append(b.blocks[:0], block{offset: from, summary: emptySummary})
	n := 0                 // bytes in the buffer
	var skipped skippedRun // of a line that is too long
	for at := from; at < limit && !b.full; {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		got, err := log.ReadAt(b.buffer[n:min(int64(len(b.buffer)), int64(n)+limit-at)], at)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("index: reading the log at byte %d: %w", at, err)
		}
		if got == 0 {
			break // it was truncated
		}
		at += int64(got)
		text := b.buffer[:n+got]
		if skipped.bytes > 0 {
			end := bytes.IndexByte(text, '\n')
			skipped.add(text[:end+1])
			if end < 0 {
				skipped.add(text)
				n = 0
				continue
			}
			b.to += skipped.bytes
			b.tooLong++
			b.tail = keepLast(b.tail, skipped.last)
			skipped = skippedRun{}
			text = text[end+1:]
		}
		whole := bytes.LastIndexByte(text, '\n') + 1
		b.lines(text[:whole])
		n = copy(b.buffer, text[whole:])
		switch {
		case n < len(b.buffer):
		case n > b.extractor.maxLine:
			skipped.add(b.buffer)
			n = 0
		default:
			b.buffer = append(b.buffer, make([]byte, min(n, b.extractor.maxLine+1-n))...)
		}
	}
	if b.to == from {
		return nil, nil
	}
	b.endBlock(b.to)
	b.entries, b.spare = sortEntries(b.entries, b.spare)
	return &header{From: from, To: b.to, Tail: sum(b.tail), TailLen: uint32(len(b.tail)), TooLong: b.tooLong}, nil
}

// skippedRun is what was read of a line that is too long.
type skippedRun struct {
	bytes int64
	last  []byte
}

func (s *skippedRun) add(text []byte) {
	s.bytes += int64(len(text))
	s.last = keepLast(s.last, text)
}

// keepLast is the end of tail and text together.
func keepLast(tail, text []byte) []byte {
	text = text[max(0, len(text)-tailLen):]
	tail = tail[max(0, len(tail)+len(text)-tailLen):]
	return append(append(make([]byte, 0, tailLen), tail...), text...)
}

// lines takes up whole lines, the first of which begins at b.to.
func (b *builder) lines(text []byte) {
	base := b.to
	taken := len(text)
	b.extractor.scan(text, func(start, _ int, l *line) bool {
		at := base + int64(start)
		position := at/granule - b.from/granule
		if at > b.from && (position >= maxSpan || at-b.from >= b.maxSegment || len(b.entries) >= fullEntries) {
			b.full = true
			taken = start
			return false
		}
		for _, id := range l.ids {
			b.entries = append(b.entries, newEntry(id, position))
		}
		if at-b.last().offset >= blockLen {
			b.endBlock(at)
			b.blocks = append(b.blocks, block{offset: at, summary: emptySummary})
		}
		b.last().add(&l.summary)
		return true
	})
	b.to += int64(taken)
	b.tooLong += uint32(bytescan.CountLonger(text[:taken], b.extractor.maxLine))
	b.tail = keepLast(b.tail, text[:taken])
}

func (b *builder) last() *block { return &b.blocks[len(b.blocks)-1] }

func (b *builder) endBlock(at int64) { b.last().length = at - b.last().offset }

// merge makes one segment of several that follow each other. It returns an
// error when one of them is damaged, and sets its mark.
func (b *builder) merge(parts []*segment) (*header, error) {
	first, last := parts[0], parts[len(parts)-1]
	b.entries, b.blocks = b.entries[:0], b.blocks[:0]
	for _, part := range parts {
		err := b.take(part, entry(part.base()-first.base()))
		if err != nil {
			part.bad.Store(&err)
			return nil, err
		}
	}
	b.entries, b.spare = sortEntries(b.entries, b.spare)
	merged := last.header
	merged.From, merged.TooLong = first.From, 0
	for _, part := range parts {
		merged.TooLong += part.TooLong
	}
	return &merged, nil
}

// take adds a segment's contents, with its positions moved.
func (b *builder) take(part *segment, move entry) (err error) {
	before := len(b.entries)
	if b.entries, err = part.all(b.entries); err != nil {
		return err
	}
	for i := range b.entries[before:] {
		b.entries[before+i] += move
	}
	blocks := len(b.blocks)
	if b.blocks, err = part.readBlocks(b.blocks); err != nil {
		return err
	}
	kept := b.blocks[:min(len(b.blocks), max(blocks, 1))]
	for _, next := range b.blocks[len(kept):] {
		if prev := &kept[len(kept)-1]; prev.length+next.length <= blockLen {
			prev.length += next.length
			prev.add(&next.summary)
		} else {
			kept = append(kept, next)
		}
	}
	b.blocks = kept
	return nil
}

// mergeable says whether segments that follow each other can be one.
func mergeable(parts []*segment, maxSegment int64) bool {
	first, last := parts[0], parts[len(parts)-1]
	entries := uint32(0)
	for _, part := range parts {
		entries += part.Entries
	}
	return last.To-first.From <= maxSegment && (last.To-1)/granule-first.base() < maxSpan && entries <= fullEntries
}
