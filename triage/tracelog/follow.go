// Following a request that is still running.

package tracelog

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"slices"
	"strings"
	"time"
)

// followEvery is how often logs are looked at for what was appended.
const followEvery = 250 * time.Millisecond

// Follower tells of an id's records as they are appended to the logs. It is
// used by one goroutine.
type Follower struct {
	home    *Files
	scanner *scanner
	begun   bool
	read    map[fileID]readTo
	known   map[recordPlace]bool
}

// readTo is how far a file has been read, and for how many looks it has not
// been there.
type readTo struct {
	offset  int64
	missing int
}

// mostMissing is for how many looks a file is remembered that is not there: one
// that is being renamed may be seen under neither name.
const mostMissing = 2

// recordPlace is where a line stands; with its contents, for a truncated file
// may have another one there.
type recordPlace struct {
	source, file string
	offset       int64
	line         [sha256.Size]byte
}

func placeOf(r *Record) recordPlace {
	return recordPlace{r.Source, r.File, r.Offset, sha256.Sum256(r.Raw)}
}

// Follower notes how far the logs reach now. Made before a Find, it misses
// nothing that is appended during that.
func (h *Files) Follower(ctx context.Context, id string) (*Follower, error) {
	if id == "" {
		return nil, errors.New("the id is empty; write the request's id")
	}
	f := &Follower{home: h, scanner: newScanner(id, func(int64) {}), read: map[fileID]readTo{}, known: map[recordPlace]bool{}}
	f.look(ctx) // what is there counts as read
	return f, nil
}

// Know keeps a record that has been shown already from being told of.
func (f *Follower) Know(r *Record) { f.known[placeOf(r)] = true }

// Follow tells of what was appended since the Follower was made, until ctx
// ends. A file that appears meanwhile, as by rotation, is read from its
// beginning. A line is told of when it has ended.
func (f *Follower) Follow(ctx context.Context, tell func([]Record)) error {
	ticker := time.NewTicker(followEvery)
	defer ticker.Stop()
	for {
		records := slices.DeleteFunc(f.look(ctx), func(r Record) bool { return f.known[placeOf(&r)] })
		if len(records) > 0 {
			tell(records)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// WriteAppended writes records that Follow told of: one line each, as text for
// a person or as WriteNDJSON does.
func WriteAppended(w io.Writer, id string, records []Record, asText bool) error {
	t := &Trace{ID: id}
	for _, r := range records {
		t.Records = append(t.Records, Traced{Record: r, FoundBy: id})
	}
	if !asText {
		return t.WriteNDJSON(w)
	}
	p := &textWriter{Writer: bufio.NewWriter(w), width: mostWidth}
	for i := range t.Records {
		p.line(plain, fit(appendedLine(&t.Records[i], id), mostWidth))
	}
	return p.Flush()
}

// appendedLine is a record as a line for a person: when it was written, of
// which request where that is not the one followed, and what it says.
func appendedLine(t *Traced, id string) string {
	r := t.row(t.Time, nil)
	at, about := "no time", ""
	if r.timed {
		at = t.Time.UTC().Format("15:04:05.000")
	}
	if t.about() != id {
		about = "[" + shownID(t.about()) + "]"
	}
	if r.failed {
		at = "! " + at
	}
	said := slices.DeleteFunc([]string{at, r.source, about, r.took, r.what, r.failure}, func(s string) bool { return s == "" })
	return strings.Join(said, "  ")
}

// look reads what has been appended, up to the last line that has ended.
func (f *Follower) look(ctx context.Context) []Record {
	files, _ := openFiles(f.home.withIDs())
	var records []Record
	now := map[fileID]readTo{}
	for _, file := range files {
		last, known := f.read[file.id]
		from := last.offset
		if from > file.size { // truncated, and written anew
			from = 0
		}
		end := endOfLines(file, file.size)
		switch {
		case !f.begun && !known:
			from = end
		case file.packed == unpacked && end > from:
			// What fails now is tried again at the next look.
			out, err := f.scanner.scan(ctx, file, from, end)
			if err == nil {
				records = append(records, out.records...)
				from = end
			}
		}
		now[file.id] = readTo{offset: from}
		_ = file.Close() // it was only read from
	}
	for id, last := range f.read {
		if _, there := now[id]; !there && last.missing < mostMissing {
			now[id] = readTo{last.offset, last.missing + 1}
		}
	}
	f.read, f.begun = now, true
	slices.SortFunc(records, func(a, b Record) int { return a.compare(&b) })
	return records
}

// endOfLines is where the last line ends that has an end, looking no further
// back than the longest line.
func endOfLines(f *logFile, size int64) int64 {
	var buf [16 << 10]byte
	for end := size; end > 0 && size-end <= int64(f.source.Cap()); {
		begin := max(0, end-int64(len(buf)))
		n, err := f.ReadAt(buf[:end-begin], begin)
		if err != nil && !errors.Is(err, io.EOF) {
			return 0
		}
		if i := bytes.LastIndexByte(buf[:n], '\n'); i >= 0 {
			return begin + int64(i) + 1
		}
		end = begin
	}
	return 0
}
