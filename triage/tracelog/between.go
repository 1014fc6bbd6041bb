// Lines by time alone: what a source holds between two instants, whatever
// request it is about.

package tracelog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

// Liner is a Home that gives the lines of a source by time alone.
type Liner interface {
	Home
	// LineSources are the names of the sources that it can read so.
	LineSources() []string
	// Between shows each line of a source that was written in the window to
	// each, until that returns false; it must not keep the record's Raw. Those of
	// one file come in its order. A line without a time, as a stack trace has, is
	// taken to be from when the line before it was. Its errors are Find's.
	Between(ctx context.Context, q LineQuery, each func(*Record) bool) (*Lines, error)
}

// LineQuery asks for the lines of a window.
type LineQuery struct {
	Source   string
	From, To time.Time // both included; neither is zero
}

// Lines say what of the source was read.
type Lines struct {
	// Coverage is not complete where each ended the reading.
	Coverage Coverage
	// Older says that the source has lines from before the window, so that
	// silence in it means that nothing was written.
	Older bool
}

// LineSources implements Liner.
func (h *Files) LineSources() []string {
	var names []string
	for i := range h.Sources {
		if s := &h.Sources[i]; s.Format == FormatPlain || s.Roles.Time != "" {
			names = append(names, s.Name)
		}
	}
	return names
}

// Between implements Liner. The oldest files come first.
func (h *Files) Between(ctx context.Context, q LineQuery, each func(*Record) bool) (*Lines, error) {
	i := slices.IndexFunc(h.Sources, func(s Source) bool { return s.Name == q.Source })
	if i < 0 {
		return nil, fmt.Errorf("no local log is called %q", q.Source)
	}
	files, skipped := openFiles([]*Source{&h.Sources[i]})
	defer func() {
		for _, f := range files {
			_ = f.Close() // it was only read from
		}
	}()
	lines := &Lines{Coverage: Coverage{Parts: skipped, From: q.From, To: q.To}}
	r := betweenReader{query: q, each: each, pace: pace(h.Rest)}
	for _, f := range slices.Backward(files) {
		part := Part{Source: f.source.Name, Name: f.path, Size: f.size, How: HowWindow}
		if f.lastWrittenBefore(q.From, &part) {
			lines.Older = lines.Older || f.size > 0
		} else {
			lines.Older = lines.Older || beginsBefore(f, q.From)
			r.file(ctx, f, &part)
		}
		lines.Coverage.Parts = append(lines.Coverage.Parts, part)
	}
	lines.Coverage.Complete = !slices.ContainsFunc(lines.Coverage.Parts, func(p Part) bool { return !p.Complete })
	return lines, ctx.Err()
}

// beginsBefore says whether the first line of a file that has a time was
// written before an instant.
func beginsBefore(f *logFile, instant time.Time) bool {
	r, err := fromStart(f)
	if err != nil {
		return false // reading it says why
	}
	defer r.Close() //nolint:errcheck // it was only read from
	head := make([]byte, mostParsed)
	n, _ := fill(r, head) // what could be read is enough
	for line := range bytes.Lines(head[:n]) {
		if t, ok := f.source.timeOf(bytes.TrimRight(line, "\r\n")); ok {
			return t.Before(instant)
		}
	}
	return false
}

// fromStart reads what a file holds, decompressed.
func fromStart(f *logFile) (io.ReadCloser, error) {
	if f.packed == unpacked {
		return io.NopCloser(io.NewSectionReader(f, 0, f.size)), nil
	}
	r, _, err := unpack(f)
	if err != nil {
		return nil, fmt.Errorf("it cannot be decompressed: %w", err)
	}
	return r, nil
}

// betweenReader shows lines of one file after the other.
type betweenReader struct {
	query LineQuery
	each  func(*Record) bool
	pace  pace
	over  bool // each wants no more
}

// errEnded says that the reading was ended by whom it is for.
var errEnded = errors.New("the reading of it was ended")

// file reads one file, and says in part how.
func (b *betweenReader) file(ctx context.Context, f *logFile, part *Part) {
	err := b.read(ctx, f, part)
	switch {
	case err != nil:
		part.Note = reason(err)
	default:
		part.Complete = true
	}
	part.lackLong()
}

func (b *betweenReader) read(ctx context.Context, f *logFile, part *Part) error {
	if b.over {
		part.How = HowSkipped
		return errEnded
	}
	var in io.Reader
	offset := int64(0)
	if f.packed == unpacked {
		lo, hi, ok := windowOf(f, f.size, b.query.From, b.query.To, f.source)
		if !ok {
			lo, hi, part.How = 0, f.size, HowScan
		}
		in, offset = io.NewSectionReader(f, lo, hi-lo), lo
	} else {
		r, err := fromStart(f)
		if err != nil {
			return err
		}
		defer r.Close() //nolint:errcheck // it was only read from
		in, part.How = r, HowScan
	}
	lines := lineReader{r: in, limit: f.source.Cap()}
	var last time.Time // of the lines so far
	for {
		text, base, err := lines.next()
		part.Bytes += int64(len(text))
		part.TooLong = lines.tooLong
		at := offset + base
		for line := range bytes.Lines(text) {
			if !b.line(f, line, at, &last, part) {
				b.over = true
				return errEnded
			}
			at += int64(len(line))
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := b.pace.rest(ctx); err != nil {
			return err
		}
	}
}

// line shows one line, if it is of the window; false ends the reading.
func (b *betweenReader) line(f *logFile, line []byte, at int64, last *time.Time, part *Part) bool {
	line = bytes.TrimRight(line, "\r\n")
	if len(bytes.Trim(line, "\x00 \t")) == 0 {
		return true
	}
	r, torn := f.source.ReadAny(line)
	if r.Time.IsZero() {
		r.Time = *last
	}
	*last = r.Time
	if r.Time.Before(b.query.From) || r.Time.After(b.query.To) {
		return true
	}
	if torn {
		part.Torn++
	}
	r.File, r.Offset = f.path, at
	return b.each(&r)
}
