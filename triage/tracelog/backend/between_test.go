package backend

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"triagebot/triage/tracelog"
)

// shelf is a server of lines by time, as Loki's query_range and VictoriaLogs'
// query are documented. Of what it is asked it holds only to the window, the
// limit and the order.
type shelf struct {
	lines []shelved // by time
	asked int
	fail  int // the number of the request that fails
}

type shelved struct {
	at   time.Time
	text string
}

var limitPipe = regexp.MustCompile(`\| sort by \(_time\) limit (\d+)$`)

func (s *shelf) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.asked++; s.asked == s.fail {
		http.Error(w, "too busy", http.StatusServiceUnavailable)
		return
	}
	loki := r.URL.Path == "/loki/api/v1/query_range"
	instant := func(key string) time.Time {
		if nanos, err := strconv.ParseInt(r.FormValue(key), 10, 64); loki && err == nil {
			return time.Unix(0, nanos)
		}
		t, _ := time.Parse(time.RFC3339Nano, r.FormValue(key))
		return t
	}
	limit, _ := strconv.Atoi(r.FormValue("limit"))
	if m := limitPipe.FindStringSubmatch(r.FormValue("query")); m != nil {
		limit, _ = strconv.Atoi(m[1])
	}
	var hits []shelved
	for _, l := range s.lines {
		if !l.at.Before(instant("start")) && l.at.Before(instant("end")) {
			hits = append(hits, l)
		}
	}
	if r.FormValue("direction") == "backward" {
		slices.Reverse(hits)
	}
	hits = hits[:min(limit, len(hits))]
	if !loki {
		for _, h := range hits {
			fmt.Fprintf(w, `{"_time":%q,"_msg":%q}`+"\n", h.at.Format(timeFormat), h.text)
		}
		return
	}
	values := [][]string{}
	for _, h := range hits {
		values = append(values, []string{strconv.FormatInt(h.at.UnixNano(), 10), h.text})
	}
	json.NewEncoder(w).Encode(map[string]any{"status": "success", "data": map[string]any{
		"resultType": "streams", "result": []any{map[string]any{"stream": map[string]string{"worker": "w1"}, "values": values}},
	}})
}

// readers are both kinds of backend over a shelf.
func readers(t *testing.T, s *shelf) map[string]tracelog.Liner {
	t.Helper()
	return map[string]tracelog.Liner{
		"loki":         newLoki(t, serve(t, s.ServeHTTP), func(o *LokiOptions) { o.Page = 3 }),
		"victorialogs": newVictoria(t, serve(t, s.ServeHTTP)),
	}
}

// linesOf are what a home gives of the first so many seconds.
func linesOf(t *testing.T, home tracelog.Liner, seconds int, most int) ([]string, *tracelog.Lines, error) {
	t.Helper()
	var all []string
	lines, err := home.Between(t.Context(), tracelog.LineQuery{
		Source: home.LineSources()[0], From: began, To: began.Add(time.Duration(seconds) * time.Second),
	}, func(r *tracelog.Record) bool {
		text := cmp.Or(tracelog.TextOf(r.Fields, tracelog.PlainMessage), tracelog.TextOf(r.Fields, "_msg"), tracelog.TextOf(r.Fields, "event"))
		all = append(all, fmt.Sprintf("%s %s %s", r.Time.Sub(began), text, tracelog.TextOf(r.Fields, "labels.worker")))
		return len(all) < most
	})
	return all, lines, err
}

func TestAllLinesOfAWindowComeFromABackend(t *testing.T) {
	s := &shelf{lines: []shelved{{began.Add(-time.Minute), "long before"}}}
	want := map[string][]string{}
	for i := range 8 {
		s.lines = append(s.lines, shelved{began.Add(time.Duration(i/2) * time.Second), fmt.Sprintf("line %d", i)})
		want["loki"] = append(want["loki"], fmt.Sprintf("%ds line %d w1", i/2, i))
		want["victorialogs"] = append(want["victorialogs"], fmt.Sprintf("%ds line %d ", i/2, i))
	}
	s.lines = append(s.lines, shelved{began.Add(time.Minute), "after"})
	for name, home := range readers(t, s) {
		got, lines, err := linesOf(t, home, 3, 100)
		if diff := gocmp.Diff(want[name], got); diff != "" || err != nil || !lines.Older || !lines.Coverage.Complete {
			t.Errorf("%s: %v, %+v\n%s", name, err, lines, diff)
		}
		got, lines, err = linesOf(t, home, 3, 2)
		if len(got) != 2 || err != nil || lines.Coverage.Complete {
			t.Errorf("%s goes on after its reader has enough: %v, %v, %+v", name, got, err, lines)
		}
	}
	s.lines = s.lines[1:]
	for name, home := range readers(t, s) {
		if _, lines, err := linesOf(t, home, 3, 100); err != nil || lines.Older {
			t.Errorf("%s: nothing is older: %v, %+v", name, err, lines)
		}
	}
}

func TestManyEntriesArePaged(t *testing.T) {
	s := &shelf{}
	for i := range victoriaPage + 10 {
		s.lines = append(s.lines, shelved{began.Add(time.Duration(i/3) * time.Millisecond), strconv.Itoa(i)})
	}
	got, lines, err := linesOf(t, newVictoria(t, serve(t, s.ServeHTTP)), 60, 100_000)
	if err != nil || !lines.Coverage.Complete || len(got) != len(s.lines) {
		t.Errorf("%d of %d, %v, %+v", len(got), len(s.lines), err, lines)
	}
	for i := range s.lines {
		s.lines[i].at = began
	}
	got, lines, err = linesOf(t, newVictoria(t, serve(t, s.ServeHTTP)), 60, 100_000)
	if err != nil || lines.Coverage.Complete || len(got) != victoriaPage {
		t.Errorf("of one instant: %d, %v, %+v", len(got), err, lines)
	}
}

func TestABackendThatFailsHalfwayGivesWhatItGave(t *testing.T) {
	s := &shelf{fail: 2}
	for i := range 8 {
		s.lines = append(s.lines, shelved{began.Add(time.Duration(i) * time.Second), "x"})
	}
	got, lines, err := linesOf(t, readers(t, s)["loki"], 30, 100)
	if err != nil || len(got) != 3 || lines.Coverage.Complete {
		t.Errorf("%v, %v, %+v", got, err, lines)
	}
	s.fail, s.asked = 1, 0
	if _, _, err := linesOf(t, readers(t, s)["loki"], 30, 100); err == nil {
		t.Error("no error, though nothing could be read")
	}
}
