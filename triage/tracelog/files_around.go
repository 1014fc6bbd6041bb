// What befell a worker meanwhile: events that are about no request.

package tracelog

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// maxAround bounds the events of a worker in one file; what restarts every
// few milliseconds needs no longer list to be seen.
const maxAround = 200

// Around implements Contexter, for sources that have a worker and a time and no
// ids.
func (h *Files) Around(ctx context.Context, from, to time.Time, worker string) (*Found, error) {
	var sources []*Source
	for i := range h.Sources {
		if s := &h.Sources[i]; len(s.idFields()) == 0 && s.Roles.Worker != "" && s.Roles.Time != "" {
			sources = append(sources, s)
		}
	}
	files, skipped := openFiles(sources)
	defer func() {
		for _, f := range files {
			_ = f.Close() // it was only read from
		}
	}()
	found := &Found{Coverage: Coverage{Parts: skipped, From: from, To: to}}
	for _, f := range files {
		records, part := around(ctx, f, from, to, worker)
		found.Records = append(found.Records, records...)
		found.Coverage.Parts = append(found.Coverage.Parts, part)
	}
	slices.SortFunc(found.Records, func(a, b Record) int { return a.compare(&b) })
	found.Coverage.Complete = !slices.ContainsFunc(found.Coverage.Parts, func(p Part) bool { return !p.Complete })
	return found, ctx.Err()
}

func around(ctx context.Context, f *logFile, from, to time.Time, worker string) (records []Record, part Part) {
	part = Part{Source: f.source.Name, Name: f.path, Size: f.size, How: HowWindow}
	if f.packed != unpacked {
		part.How, part.Note = HowSkipped, "compressed logs are not searched for a worker's events"
		return nil, part
	}
	if f.lastWrittenBefore(from, &part) {
		return nil, part
	}
	lo, hi, ok := windowOf(f, f.size, from, to, f.source)
	if !ok {
		lo, hi, part.How = 0, f.size, HowScan
	}
	s := newScanner(worker, func(n int64) { part.Bytes += n })
	s.read = func(source *Source, line []byte) (Record, bool, bool) {
		return source.readEvent(line, from, to, worker)
	}
	out, err := s.scan(ctx, f, lo, hi)
	part.Torn, part.TooLong = out.torn, out.tooLong
	switch {
	case err != nil:
		part.Note = reason(err)
	case len(out.records) > maxAround:
		part.Note = fmt.Sprintf("only the first %d of the worker's events are kept", maxAround)
	default:
		part.Complete = true
	}
	part.lackLong()
	return out.records[:min(len(out.records), maxAround)], part
}

// readEvent makes a record of a line that is the worker's in the window.
func (s *Source) readEvent(line []byte, from, to time.Time, worker string) (r Record, torn, ok bool) {
	fields, err := s.parse(line)
	if err != nil {
		return Record{}, true, false
	}
	at, ok := fieldTime(fields, s.Roles.Time)
	who, _ := Field(fields, s.Roles.Worker)
	if !ok || at.Before(from) || at.After(to) || text(who) != worker {
		return Record{}, false, false
	}
	return Record{Source: s.Name, Time: at, Fields: fields, Raw: line, Roles: &s.Roles}, false, true
}
