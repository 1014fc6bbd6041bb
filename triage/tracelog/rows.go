// Rows: the records as lines of a table, for whichever way they are shown.

package tracelog

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// row is a record, or a number of chunks in a row, in words that are harmless
// but not yet fitted to any width.
type row struct {
	timed   bool
	at      time.Duration // since the request began
	span    span
	took    string
	source  string
	what    string
	failure string
	failed  bool
	context bool
	link    int // the number of the link by which it is part of the trace; 0 for none
}

// mostInARow is how many chunks in a row are shown one by one.
const mostInARow = 6

// rows are those of a trace.
func (t *Trace) rows(f *Facts) []row {
	began := f.Began
	if began.IsZero() && len(t.Records) > 0 {
		began = t.Records[0].Time
	}
	linkOf := map[string]int{}
	for i, link := range t.Links {
		linkOf[link.To] = i + 1
	}
	var all []row
	for i := 0; i < len(t.Records); i++ {
		all = append(all, t.Records[i].row(began, linkOf))
		if end := t.rowOfChunks(i); end-i > mostInARow {
			first, last := &t.Records[i+1], &t.Records[end-2]
			between := first.row(began, linkOf)
			between.span = span{first.Time, last.Time}
			between.took = durationColumn(last.Time.Sub(first.Time))
			between.what = fmt.Sprintf("… %d more chunks", end-i-2)
			all = append(all, between)
			i = end - 2 // the last one has its own row
		}
	}
	return all
}

// rowOfChunks is where the chunks that come one after another end, if the i-th
// record begins them; i otherwise.
func (t *Trace) rowOfChunks(i int) int {
	if r := &t.Records[i]; !r.chunk() || r.failure() != "" || r.Time.IsZero() {
		return i
	}
	end := i + 1
	for end < len(t.Records) && sameStream(&t.Records[end-1], &t.Records[end]) && t.Records[end].failure() == "" {
		end++
	}
	return end
}

func (r *Traced) row(began time.Time, linkOf map[string]int) row {
	out := row{
		timed: !r.Time.IsZero(), span: r.span(), source: shown(r.Source), failure: shown(r.failure()), context: r.Context,
		link: cmp.Or(linkOf[r.about()], linkOf[r.FoundBy]),
	}
	if out.timed {
		out.at = r.Time.Sub(began)
	}
	out.failed = r.failed()
	if took := r.took(); took > 0 {
		out.took = durationColumn(took)
	}
	out.what = r.said()
	return out
}

// failed says whether the record reports that something went wrong.
func (r *Record) failed() bool { return r.failure() != "" || r.status() >= leastFailing }

// said is what the record reports, in a line.
func (r *Record) said() string {
	var words []string
	if status := r.status(); status > 0 {
		words = append(words, strconv.Itoa(status))
	}
	words = append(words, r.role(r.Roles.Way), r.event(), r.route())
	if n, ok := r.seq(); ok {
		words = append(words, "#"+strconv.FormatInt(n, 10))
	}
	words = append(words, r.worker(), r.role(r.Roles.Detail))
	var line string
	for _, word := range words {
		if word != "" {
			line += " " + shown(word)
		}
	}
	return strings.TrimPrefix(line, " ")
}

// offsetColumn is a time since the request began, in at most ten columns.
func offsetColumn(d time.Duration) string {
	switch abs := d.Abs(); {
	case abs < 1000*time.Second:
		return fmt.Sprintf("%+.3f s", d.Seconds())
	case abs < 1e6*time.Second:
		return fmt.Sprintf("%+.0f s", d.Seconds())
	default:
		return fmt.Sprintf("%+.0f d", d.Hours()/24)
	}
}

// durationColumn is a duration in at most eight columns.
func durationColumn(d time.Duration) string {
	switch {
	case d < 100*time.Second:
		return inWords(d)
	case d < 1e6*time.Second:
		return fmt.Sprintf("%.0f s", d.Seconds())
	default:
		return fmt.Sprintf("%.0f d", d.Hours()/24)
	}
}

// linksSaid say how the ids of other records were reached.
func (t *Trace) linksSaid() []string {
	var all []string
	for i, link := range t.Links {
		field := "a field"
		if link.Field != "" {
			field = shown(link.Field)
		}
		all = append(all, fmt.Sprintf("[%d] %s, named by %s in %s records of %s", i+1, shownID(link.To), field, shown(link.Source), shownID(link.From)))
	}
	return all
}
