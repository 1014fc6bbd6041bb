// Following a request that is still running.

package tracelog

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"time"
)

const (
	// followEvery is how often logs are looked at for what was appended.
	followEvery = 250 * time.Millisecond
	// quietLooks are the looks, 5 s of them, in which nothing was written to a log
	// that is not where it was, and another one is: its writer has gone over to that.
	quietLooks = 20
	// mostQuietLooks are those, 5 minutes, after which no other one is waited for.
	mostQuietLooks = 1200
)

// Follower tells of an id's records as they are appended to the logs. It is
// used by one goroutine, and must be closed after use.
type Follower struct {
	home    *Files
	scanner *scanner
	begun   bool
	held    []*followed // they stay open when they are renamed, for their writer may write on
	known   map[recordPlace]bool
}

// followed is a log that is read as it grows.
type followed struct {
	*logFile
	read  int64 // bytes
	quiet int   // looks since it was last listed or written to
}

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
	f := &Follower{home: h, scanner: newScanner(id, func(int64) {}), known: map[recordPlace]bool{}}
	f.look(ctx) // what is there counts as read
	return f, nil
}

// Close lets the logs go.
func (f *Follower) Close() error {
	var errs []error
	for _, file := range f.held {
		errs = append(errs, file.Close())
	}
	f.held = nil
	return errors.Join(errs...)
}

// Know keeps a record that has been shown already from being told of.
func (f *Follower) Know(r *Record) { f.known[placeOf(r)] = true }

// Follow tells of what was appended since the Follower was made, until ctx
// ends. A file that appears meanwhile, as by rotation, is read from its
// beginning; one that is renamed or removed, for as long as it is written to. A
// line is told of when it has ended.
func (f *Follower) Follow(ctx context.Context, tell func([]Record)) error {
	ticker := time.NewTicker(followEvery)
	defer ticker.Stop()
	for {
		if records := f.news(ctx); len(records) > 0 {
			tell(records)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// news are the records that one look finds and that have not been shown.
func (f *Follower) news(ctx context.Context) []Record {
	return slices.DeleteFunc(f.look(ctx), func(r Record) bool { return f.known[placeOf(&r)] })
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
	f.list()
	var records []Record
	for _, file := range f.held {
		records = append(records, f.appended(ctx, file)...)
	}
	f.held, f.begun = slices.DeleteFunc(f.held, (*followed).letGo), true
	slices.SortFunc(records, func(a, b Record) int { return a.compare(&b) })
	return records
}

// list takes up the logs that are new, and notes where those that it has are
// now.
func (f *Follower) list() {
	o := newOpening(onDisk(), len(f.held))
	for _, file := range f.held {
		o.known[file.id] = true
	}
	o.open(f.home.withIDs())
	for _, file := range o.files {
		if file.packed != unpacked { // no log that is written to
			_ = file.Close() // it was only read from
			continue
		}
		f.held = append(f.held, &followed{logFile: file})
	}
	for _, file := range f.held {
		file.quiet++
		if path, listed := o.paths[file.id]; listed {
			file.path, file.quiet = path, 0
		}
	}
}

// appended reads what a log has more than at the last look. What fails now is
// tried again at the next.
func (f *Follower) appended(ctx context.Context, file *followed) []Record {
	info, err := file.Stat()
	if err != nil {
		return nil
	}
	if info.Size() < file.read { // truncated, and written anew
		file.read = 0
	}
	if file.size != info.Size() {
		file.size, file.quiet = info.Size(), 0
	}
	if file.read == 0 { // it may have been empty, or become another's
		if file.packed, err = packingOf(file); err != nil || file.packed != unpacked {
			return nil
		}
	}
	end := endOfLines(file.logFile, file.size)
	if !f.begun {
		file.read = end
	}
	if end <= file.read {
		return nil
	}
	out, err := f.scanner.scan(ctx, file.logFile, file.read, end)
	if err != nil {
		return nil
	}
	file.read = end
	return out.records
}

// letGo closes a log that nobody writes to any more, and says whether it did.
func (file *followed) letGo() bool {
	if file.quiet < quietLooks {
		return false
	}
	if _, err := os.Stat(file.path); err != nil && file.quiet < mostQuietLooks {
		return false
	}
	_ = file.Close() // it was only read from
	return true
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
