// Assembling: the answers of all homes as one trace. What several of them have
// is in it once, what is too much is left out of its middle, and the coverage
// says so.

package tracelog

import (
	"crypto/sha256"
	"slices"
	"strings"
)

// The most that a trace, and each lookup for it, holds: more is nothing that a
// person reads, and its JSON has to be held in memory. An id that is on every
// line is not one request.
const (
	maxRecords     = 10_000
	maxRecordBytes = 32 << 20 // of lines
)

// assemble makes a trace of the answers so far. The lock is held.
func (s *stitcher) assemble() *Trace {
	records, duplicates := distinct(s.gather())
	t := &Trace{ID: s.query.ID, Links: slices.Clone(s.links), Unfollowed: s.unfollowed}
	t.Records, t.LeftOut = t.bounded(records)
	t.Coverage = s.coverage(duplicates)
	return t
}

// gather is every record of the answers, each once: a line that names two ids
// is found by both.
func (s *stitcher) gather() []Traced {
	type place struct {
		source, file string
		offset       int64
		line         [sha256.Size]byte
	}
	have := map[place]int{}
	var records []Traced
	for _, a := range s.answers {
		if a.found == nil {
			continue
		}
		// A backend's records may have no place of their own: as many of the
		// same are kept as one answer holds.
		here := map[place]int{}
		for _, r := range a.found.Records {
			at := place{r.Source, r.File, r.Offset, sha256.Sum256(r.Raw)}
			if here[at]++; here[at] <= have[at] {
				continue
			}
			have[at] = here[at]
			records = append(records, Traced{Record: r, FoundBy: a.id, Context: a.id == ""})
		}
	}
	slices.SortStableFunc(records, func(a, b Traced) int { return a.compare(&b.Record) })
	return records
}

// inFile is a file of a source.
type inFile struct{ source, file string }

// distinct leaves out lines that another file of the same source has too, as
// copytruncate and half finished compression leave them, and counts them. A
// line that stands twice in one file was written twice: it stays.
func distinct(records []Traced) ([]Traced, map[inFile]int) {
	type line struct {
		source string
		sum    [sha256.Size]byte
	}
	lineOf := func(r *Traced) line { return line{r.Source, sha256.Sum256(r.Raw)} }
	counts := map[line]map[string]int{}
	for i := range records {
		l := lineOf(&records[i])
		if counts[l] == nil {
			counts[l] = map[string]int{}
		}
		counts[l][records[i].File]++
	}
	keeper := func(byFile map[string]int) string {
		best := ""
		for file, n := range byFile {
			if n > byFile[best] || n == byFile[best] && file < best {
				best = file
			}
		}
		return best
	}
	dropped := map[inFile]int{}
	kept := make([]Traced, 0, len(records))
	for i := range records {
		r := &records[i]
		byFile := counts[lineOf(r)]
		if len(byFile) > 1 && len(r.Raw) > 0 && r.File != keeper(byFile) {
			dropped[inFile{r.Source, r.File}]++
			continue
		}
		kept = append(kept, *r)
	}
	return kept, dropped
}

// bounded keeps the records within the bounds: those of the id itself before
// those of ids further away, context last, and of what does not fit the
// beginning and the end.
func (t *Trace) bounded(records []Traced) (kept []Traced, leftOut int) {
	furthest := maxRounds
	byDistance := make([][]int, furthest+1)
	for i := range records {
		distance := furthest
		if !records[i].Context {
			distance = min(len(t.Path(records[i].FoundBy)), furthest-1)
		}
		byDistance[distance] = append(byDistance[distance], i)
	}
	keep := make([]bool, len(records))
	count, size := 0, 0
	for _, group := range byDistance {
		for first, last, head := 0, len(group)-1, true; first <= last; head = !head {
			i := group[last]
			if head {
				i = group[first]
			}
			if count == maxRecords || size+len(records[i].Raw) > maxRecordBytes {
				break
			}
			keep[i] = true
			count++
			size += len(records[i].Raw)
			if head {
				first++
			} else {
				last--
			}
		}
	}
	kept = make([]Traced, 0, count)
	for i := range records {
		if keep[i] {
			kept = append(kept, records[i])
		}
	}
	return kept, len(records) - count
}

// coverage merges what the homes say that they have searched. The window is the
// one that all of them searched for the id itself.
func (s *stitcher) coverage(duplicates map[inFile]int) Coverage {
	merged := Coverage{Parts: []Part{}, Complete: true}
	at := map[Part]int{}
	add := func(p Part) {
		key := Part{Source: p.Source, Name: p.Name}
		i, ok := at[key]
		if !ok {
			at[key] = len(merged.Parts)
			merged.Parts = append(merged.Parts, p)
			return
		}
		merged.Parts[i].also(p)
	}
	for _, a := range s.answers {
		if a.found != nil {
			for _, p := range a.found.Coverage.Parts {
				// Context is asked for in a window: with that it is whole.
				p.Complete = p.Complete || a.id == "" && p.How == HowWindow && p.Note == ""
				add(p)
			}
			if a.id == s.query.ID {
				merged.narrow(a.found.Coverage)
			}
		}
		if a.err != nil {
			name := a.home.Name()
			add(Part{Source: name, Name: name, How: HowSkipped, Note: kept(a.err.Error())})
		}
		whole := a.id == "" || a.found != nil && a.found.Coverage.Complete
		merged.Complete = merged.Complete && a.ended && a.err == nil && whole
	}
	for i := range merged.Parts {
		p := &merged.Parts[i]
		p.Duplicates += duplicates[inFile{p.Source, p.Name}]
	}
	return merged
}

// also takes in that the same part was searched for another id.
func (p *Part) also(o Part) {
	if p.How == HowSkipped {
		p.How = o.How
	}
	p.Bytes = max(p.Bytes, o.Bytes)
	p.Size = max(p.Size, o.Size)
	p.Torn += o.Torn // they hold that id
	p.TooLong = max(p.TooLong, o.TooLong)
	p.Duplicates += o.Duplicates
	p.Complete = p.Complete && o.Complete
	if !strings.Contains(p.Note, o.Note) {
		p.Note = strings.TrimPrefix(p.Note+"; "+o.Note, "; ")
	}
}

// narrow reduces the window to what another one covers as well.
func (c *Coverage) narrow(o Coverage) {
	if c.From.Before(o.From) {
		c.From = o.From
	}
	if c.To.IsZero() || !o.To.IsZero() && o.To.Before(c.To) {
		c.To = o.To
	}
}
