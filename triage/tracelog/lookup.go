// One lookup under way: its pieces of work, shared by the workers, and what
// came of them.

package tracelog

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"triagebot/triage/tracelog/index"
)

// stretchSize is what a worker takes on at once, in bytes: enough for the
// kernel to read ahead, little enough to share the work evenly.
const stretchSize = 16 << 20

type lookup struct {
	home    *Files
	query   Query
	skipped []Part
	files   []*fileState

	searched, total atomic.Int64 // bytes

	mu      sync.Mutex
	records []Record
	bytes   int // of the records
	full    bool
}

// fileState is what a lookup knows of one file.
type fileState struct {
	*logFile
	how  How
	open []byteSpan // what no job covers yet, in ascending order
	part Part       // its counters
	owed int        // jobs that are not done
	note string
}

// byteSpan is a range of a file's bytes.
type byteSpan struct{ lo, hi int64 }

// job is one piece of work: the lines of a file that an index named, or those
// that begin within a span.
type job struct {
	file  *fileState
	lines []int64
	span  byteSpan
}

func newLookup(h *Files, q Query, files []*logFile, skipped []Part) *lookup {
	l := &lookup{home: h, query: q, skipped: skipped}
	for _, f := range files {
		l.total.Add(f.size)
		l.files = append(l.files, &fileState{logFile: f, how: HowScan, open: []byteSpan{{0, f.size}}})
	}
	return l
}

// first are the jobs that give an answer soonest: lines that the index names,
// and what is near the hinted time.
func (l *lookup) first(ctx context.Context) []job {
	var jobs []job
	for _, f := range l.files {
		if f.packed != unpacked {
			continue
		}
		if lines := l.indexed(ctx, f); len(lines) > 0 {
			jobs = append(jobs, job{file: f, lines: lines})
		}
		jobs = append(jobs, l.near(f)...)
	}
	return jobs
}

// indexed asks the index, and leaves open what it says nothing about.
func (l *lookup) indexed(ctx context.Context, f *fileState) []int64 {
	if l.home.Index == nil || f.size == 0 {
		return nil
	}
	hits, err := l.home.Index.Lookup(ctx, f.File, f.source.spec(), l.query.ID, f.size)
	if err != nil {
		f.note = fmt.Sprintf("the index could not be read (%v)", err)
		return nil
	}
	if hits.Damaged > 0 {
		f.note = unusable(&hits.Rest)
	}
	f.part.TooLong = hits.TooLong
	left := int64(0)
	f.open = nil
	for _, r := range hits.Scan {
		f.open = append(f.open, byteSpan{r.From, r.To})
		left += r.To - r.From
	}
	if left < f.size {
		f.how = HowIndex
		l.searched.Add(f.size - left)
	}
	return hits.Lines
}

// unusable says which part of an index is damaged.
func unusable(r *index.Rest) string {
	return fmt.Sprintf("%s could not be used (%v)", counted(r.Damaged, "index file"), r.Problem)
}

// spec is what the index keeps of the source's lines.
func (s *Source) spec() index.Spec {
	return index.Spec{
		Keys: s.idFields(), MaxLine: s.Cap(),
		Time: s.Roles.Time, Duration: s.Roles.Duration, Status: s.Roles.Status, Error: s.Roles.Error, ToolCall: s.Roles.ToolCall,
	}
}

// near takes what is near the hinted time out of what is open.
func (l *lookup) near(f *fileState) []job {
	if l.query.At.IsZero() || f.source.Roles.Time == "" || len(f.open) == 0 {
		return nil
	}
	from, to := l.query.At.Add(-l.query.Slack), l.query.At.Add(l.query.Slack)
	lo, hi, ok := windowOf(f, f.size, from, to, f.source)
	if !ok {
		return nil
	}
	if f.how == HowScan {
		f.how = HowWindow
	}
	var jobs []job
	var open []byteSpan
	for _, s := range f.open {
		if within := (byteSpan{max(s.lo, lo), min(s.hi, hi)}); within.lo < within.hi {
			jobs = append(jobs, cut(f, within)...)
		}
		if before := (byteSpan{s.lo, min(s.hi, lo)}); before.lo < before.hi {
			open = append(open, before)
		}
		if after := (byteSpan{max(s.lo, hi), s.hi}); after.lo < after.hi {
			open = append(open, after)
		}
	}
	f.open = open
	return jobs
}

// rest are the jobs for all that is still open, the latest first.
func (l *lookup) rest() []job {
	var jobs []job
	for _, f := range l.files {
		if f.how == HowWindow && len(f.open) > 0 {
			f.how = HowScan
		}
		for _, s := range slices.Backward(f.open) {
			jobs = append(jobs, cut(f, s)...)
		}
		f.open = nil
	}
	return jobs
}

// cut makes jobs of a span, the latest first. A compressed file is read as one.
func cut(f *fileState, s byteSpan) []job {
	if f.packed != unpacked {
		return []job{{file: f, span: s}}
	}
	var jobs []job
	for hi := s.hi; hi > s.lo; hi -= stretchSize {
		jobs = append(jobs, job{file: f, span: byteSpan{max(s.lo, hi-stretchSize), hi}})
	}
	return jobs
}

// alone is the work, in lines and bytes, that is not worth a second goroutine.
const (
	aloneLines = 64
	aloneBytes = 1 << 20
)

// work does the jobs, in their order as far as workers are free.
func (l *lookup) work(ctx context.Context, jobs []job) {
	lines, bytes := 0, int64(0)
	for _, j := range jobs {
		j.file.owed++
		lines += len(j.lines)
		bytes += j.span.hi - j.span.lo
	}
	workers := min(l.home.Workers, len(jobs))
	if lines <= aloneLines && bytes <= aloneBytes {
		workers = min(workers, 1)
	}
	var next atomic.Int64
	var group sync.WaitGroup
	run := func() {
		s := newScanner(l.query.ID, l.progress)
		s.pace = pace(l.home.Rest)
		for i := next.Add(1) - 1; i < int64(len(jobs)); i = next.Add(1) - 1 {
			l.do(ctx, s, jobs[i])
		}
	}
	for range workers - 1 {
		group.Go(run)
	}
	if workers > 0 {
		run()
	}
	group.Wait()
}

func (l *lookup) progress(bytes int64) {
	done := l.searched.Add(bytes)
	if l.query.Progress != nil {
		l.query.Progress(done, l.total.Load())
	}
}

// do does one job and adds what it gave.
func (l *lookup) do(ctx context.Context, s *scanner, j job) {
	if ctx.Err() != nil || l.isFull() {
		return
	}
	var out stretch
	var err error
	switch {
	case j.lines != nil:
		err = s.lines(ctx, j.file.logFile, j.lines, &out)
	case j.file.packed != unpacked:
		out, err = s.scanPacked(ctx, j.file.logFile)
	default:
		out, err = s.scan(ctx, j.file.logFile, j.span.lo, j.span.hi)
	}
	l.add(ctx, j.file, out, err)
}

func (l *lookup) isFull() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.full
}

func (l *lookup) add(ctx context.Context, f *fileState, out stretch, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f.part.Bytes += out.bytes
	f.part.Torn += out.torn
	f.part.TooLong += out.tooLong
	if err == nil {
		f.owed--
	} else if ctx.Err() == nil {
		f.note = reason(err)
	}
	for _, r := range out.records {
		if len(l.records) >= maxRecords || l.bytes+len(r.Raw) > maxRecordBytes {
			l.full = true
			f.owed++
			f.note = errEnough.Error()
			break
		}
		l.bytes += len(r.Raw)
		l.records = append(l.records, r)
	}
	if len(out.records) > 0 && l.query.Partial != nil {
		l.query.Partial(l.foundLocked())
	}
}

// found is what there is so far.
func (l *lookup) found() *Found {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.foundLocked()
}

func (l *lookup) foundLocked() *Found {
	found := &Found{Records: slices.Clone(l.records), Coverage: Coverage{Parts: slices.Clone(l.skipped), Complete: true}}
	slices.SortFunc(found.Records, func(a, b Record) int { return a.compare(&b) })
	for _, f := range l.files {
		part := f.part
		part.Source, part.Name, part.How, part.Size, part.Note = f.source.Name, f.path, f.how, f.size, f.note
		part.Complete = f.owed == 0 && len(f.open) == 0
		part.lackLong()
		found.Coverage.Parts = append(found.Coverage.Parts, part)
	}
	for _, part := range found.Coverage.Parts {
		found.Coverage.Complete = found.Coverage.Complete && part.Complete
	}
	return found
}
