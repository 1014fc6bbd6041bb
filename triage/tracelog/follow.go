// Following a request that is still running.

package tracelog

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"time"
)

// followEvery is how often logs are looked at for what was appended.
const followEvery = 250 * time.Millisecond

// Follow tells of an id's records as they are appended to the logs, from now on
// until ctx ends. What stands in them already is Find's. A file that appears
// meanwhile, as by rotation, is read from its beginning.
func (h *Files) Follow(ctx context.Context, id string, tell func([]Record)) error {
	if id == "" {
		return errors.New("the id is empty; write the request's id")
	}
	f := &follower{home: h, scanner: newScanner(id, func(int64) {}), read: map[fileID]int64{}}
	f.look(ctx) // what is there counts as read
	ticker := time.NewTicker(followEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
		if records := f.look(ctx); len(records) > 0 {
			tell(records)
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
	for i, r := range t.rows(t.Facts()) {
		at := "no time"
		if !t.Records[i].Time.IsZero() {
			at = t.Records[i].Time.UTC().Format("15:04:05.000")
		}
		p.line(plain, fit(strings.Join([]string{at, r.source, r.took, r.what, r.failure}, "  "), mostWidth))
	}
	return p.Flush()
}

// follower knows how far each file has been read.
type follower struct {
	home    *Files
	scanner *scanner
	begun   bool
	read    map[fileID]int64
}

// look reads what has been appended, up to the last line that has ended.
func (f *follower) look(ctx context.Context) []Record {
	files, _ := openFiles(f.home.withIDs())
	var records []Record
	now := map[fileID]int64{}
	for _, file := range files {
		from, known := f.read[file.id]
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
		now[file.id] = from
		_ = file.Close() // it was only read from
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
